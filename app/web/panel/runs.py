"""Runs: what was read, resumed or started by hand, what came of its orders, and what the log says of it."""

from typing import Any

from flask import Blueprint, abort, request, url_for

from app.errors import UsageError
from app.logs.reading import LogPart, lines_of_run
from app.ports.accounts import Role
from app.sync.panel import running
from app.web.panel.access import Answer, changes
from app.web.panel.shared import LARGEST_ID, done, page, pick, refused
from app.web.people import People


def add(pages: Blueprint, people: People) -> None:
    """Add the pages."""

    @pages.get("/runs")
    def runs() -> Answer:
        site, kind = request.args.get("site") or None, request.args.get("kind") or None
        chosen = {"site": site, "kind": pick(tuple(running.KINDS), kind)}
        before = _number("before")
        unknown = (
            ""
            if kind == chosen["kind"]
            else f"There is no kind of run {kind!r}; runs of every kind are shown."
        )
        try:
            found = running.runs(people.panel, **chosen, before=before)
        except UsageError as error:
            unknown, chosen["site"] = f"{error.reason} Runs of every site are shown.", None
            found = running.runs(people.panel, **chosen, before=before)
        return page(
            "runs.html", **found, chosen=chosen, kinds=running.KINDS, is_first=before is None, unknown=unknown
        )

    @pages.get("/runs/<int:run_id>")
    def run(run_id: int) -> str:
        found = None
        if run_id <= LARGEST_ID:
            found = running.run_page(people.panel, run_id, after=_number("after") or 0)
        if found is None:
            abort(404)
        return page(
            "run.html", **found, log=_log(people, found["run"]), here="panel.runs", settings=people.settings
        )

    @pages.post("/runs")
    @changes(people, Role.OPERATOR, "run.start")
    def run_now() -> Answer:
        started = running.start(people.panel.parts, request.form.get("site", ""), send=people.doors.send)
        here = url_for("panel.run", run_id=started.run_id)
        if not started.was_sent:
            return refused(
                f"Run {started.run_id} is stored, but the broker did not take its message: it begins by itself once broker and "
                "workers are there (ordersync doctor broker).",
                here,
            )
        return done(f"Run {started.run_id} was started.", here)


def _number(name: str) -> int | None:
    """An id of the query; a page that begins nowhere is not there."""
    text = request.args.get(name)
    if text is None:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_ID))
    if not is_number or int(text) > LARGEST_ID:
        abort(404)
    return int(text)


def _log(people: People, run: dict[str, Any]) -> LogPart | None:
    settings = people.settings
    if settings.log_file is None:
        return None
    return lines_of_run(settings.log_file, run["id"], since=run["started_at"], files=settings.log_files)
