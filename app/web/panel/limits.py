"""Limits: how often each account may be called, whether it is called at all now, and what waits for its turn."""

from flask import Blueprint, request, url_for

from app.ports.accounts import Role
from app.sync import limiters
from app.sync.overview import queue
from app.web.panel.access import Answer, changes
from app.web.panel.shared import done, page
from app.web.people import People


def add(pages: Blueprint, people: People) -> None:
    """Add the page."""

    @pages.get("/limits")
    def limits() -> str:
        parts = people.panel.parts
        return page(
            "limits.html",
            **limiters.accounts(parts, people.panel.limiters()),
            road=queue(parts),
            broker=people.doors.queues(),
        )

    @pages.post("/limits")
    @changes(people, Role.OPERATOR, "limits.reset")
    def reset_limits() -> Answer:
        name = request.form.get("account", "")
        limiters.reset(people.panel.parts, people.panel.limiters(), name=name)
        return done(f"{name} is called again at once; nothing is held against it.", url_for("panel.limits"))
