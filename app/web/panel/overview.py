"""The overview: how every site and ERP stands."""

from flask import Blueprint

from app.sync.panel import dashboard
from app.web.panel.shared import page
from app.web.people import People


def add(pages: Blueprint, people: People) -> None:
    """Add the page."""

    @pages.get("/")
    def overview() -> str:
        return page("overview.html", **dashboard.overview(people.panel))
