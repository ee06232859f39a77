"""Workers: who is alive, what waits, and where nobody comes for it."""

from flask import Blueprint

from app.sync.overview import queue
from app.web.panel.shared import page
from app.web.people import People

FLOWER = "http://127.0.0.1:5555"
"""Where `ordersync up` starts Flower unless it is told otherwise."""


def add(pages: Blueprint, people: People) -> None:
    """Add the pages."""

    @pages.get("/workers")
    def workers() -> str:
        return page(
            "workers.html",
            road=queue(people.panel.parts),
            broker=people.doors.queues(),
            flower=people.settings.flower_url or FLOWER,
            is_default=people.settings.flower_url is None,
        )

    @pages.get("/workers/alive")
    def alive() -> str:
        # A page of its own: the workers have a second to answer.
        return page("workers_alive.html", processes=people.doors.processes(), here="panel.workers")
