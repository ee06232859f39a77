"""The control panel: pages for people who are signed in. Each module holds the pages of one subject."""

from flask import Blueprint, Flask

from app.web.panel import (
    access,
    alerts,
    desk,
    items,
    limits,
    orders,
    overview,
    runs,
    shared,
    signing,
    systems,
    users,
    workers,
)
from app.web.people import People

_SUBJECTS = (overview, desk, orders, systems, items, limits, runs, workers, alerts, users)


def add(app: Flask, people: People) -> None:
    """Add the panel to the application."""
    shared.set_up(app, people)
    app.register_blueprint(signing.pages(people))
    pages = Blueprint("panel", __name__, template_folder="../templates", static_folder="../static")
    access.guard(pages, people)
    for subject in _SUBJECTS:
        subject.add(pages, people)
    app.register_blueprint(pages)
