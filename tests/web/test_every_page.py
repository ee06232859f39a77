"""What holds for every page of the panel, whoever adds one: it is found by looking at what the application answers."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.routing import AnyConverter, BaseConverter, IntegerConverter, Rule

from app.db.tables import metadata
from app.ports.accounts import Role
from app.web.panel.shared import CONTENT_SECURITY
from tests.web.office import Browser, Office

METHODS = {"GET", "HEAD", "OPTIONS", "POST"}
NOT_THE_PERSONS_DOING = {"rm_session", "rm_action"}
"""Tables that have who is signed in, and what was asked for and refused."""


def rules(app: Flask) -> Iterator[Rule]:
    """The addresses of the panel's pages."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("panel.") and rule.endpoint != "panel.static":
            yield rule


def paths(app: Flask, method: str) -> Iterator[tuple[str, Any]]:
    """An address for every page that takes this method, and the view that answers. What it is about is not there."""
    adapter = app.url_map.bind("localhost")
    for rule in rules(app):
        if rule.methods and method in rule.methods:
            values = {name: _any(rule._converters[name]) for name in rule.arguments}
            path = adapter.build(rule.endpoint, values, method=method)
            yield path, app.view_functions[rule.endpoint]


def _any(converter: BaseConverter) -> str | int:
    if isinstance(converter, AnyConverter):
        return min(converter.items)
    return 2_000_000_000 if isinstance(converter, IntegerConverter) else "nobody"


def rows(office: Office) -> dict[str, Any]:
    """All that is stored, but for who is signed in and what was asked for."""
    with office.world.engine.connect() as connection:
        return {
            table.name: connection.execute(select(table).order_by(*table.primary_key)).all()
            for table in metadata.sorted_tables
            if table.name not in NOT_THE_PERSONS_DOING
        }


def counts(office: Office, table: str) -> int:
    with office.world.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(metadata.tables[table])).scalar_one()


def test_a_page_is_looked_at_or_changes_something_and_nothing_else(office: Office) -> None:
    assert len(list(rules(office.app))) > 20
    for rule in rules(office.app):
        assert rule.methods is not None
        assert rule.methods <= METHODS, rule
        # One address may answer both, by two views.
        assert not {"GET", "POST"} <= rule.methods, rule


def test_who_is_not_signed_in_sees_no_page(office: Office) -> None:
    token = {"Authorization": f"Bearer {office.token()}"}
    for path, _view in paths(office.app, "GET"):
        for more in ({}, {"headers": token}, {"method": "HEAD"}, {"method": "OPTIONS"}):
            answer = office.app.test_client().open(path, **more)
            assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (303, "/login"), path
            assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY
        in_part = office.app.test_client().get(path, headers={"HX-Request": "true"})
        assert (in_part.text, in_part.headers["HX-Redirect"]) == ("", "/login"), path


def test_who_is_not_signed_in_changes_nothing(office: Office) -> None:
    before, token = rows(office), {"Authorization": f"Bearer {office.token()}"}
    before = rows(office)
    stranger = office.browser()
    form = {"csrf_token": _token_of_the_form(stranger)}
    for path, _view in paths(office.app, "POST"):
        for data in ({}, form):
            for headers in ({}, token):
                answer = stranger.client.post(path, data=data, headers=headers)
                assert answer.status_code in {303, 400}, (path, answer.status_code)
                if answer.status_code == 303:
                    assert answer.headers["Location"] == "/login"
    assert rows(office) == before
    assert counts(office, "rm_action") == 0
    assert (office.doors.sent, office.doors.rung) == ([], [])


def _token_of_the_form(browser: Browser) -> str:
    page = browser.page("/login")
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]


def test_every_change_says_whose_it_is(office: Office) -> None:
    without = [path for path, view in paths(office.app, "POST") if not isinstance(_role(view), Role)]
    assert without == []


def _role(view: Any) -> Role | None:
    return getattr(view, "needs_role", None)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_may_not_make_a_change_is_refused_and_nothing_is_changed(office: Office, role: Role) -> None:
    browser = office.signed_in(role)
    form, before = {"csrf_token": browser.token()}, rows(office)
    noted = counts(office, "rm_action")
    tried = 0
    for path, view in paths(office.app, "POST"):
        if not role.includes(view.needs_role):
            tried += 1
            assert browser.client.post(path, data=form).status_code == 403, path
    assert tried > 5
    assert rows(office) == before
    assert counts(office, "rm_action") == noted
    assert (office.doors.sent, office.doors.rung) == ([], [])


def test_a_change_takes_the_token_of_the_persons_own_pages(office: Office) -> None:
    browser, before = office.signed_in(), rows(office)
    foreign = office.signed_in(name="admin2").token()
    before = rows(office)
    for path, _view in paths(office.app, "POST"):
        for data in ({}, {"csrf_token": foreign}):
            assert browser.client.post(path, data=data).status_code == 400, path
    assert rows(office) == before


def test_every_page_says_what_it_may_load_and_is_kept_by_nobody(office: Office) -> None:
    browser = office.signed_in()
    for path, _view in paths(office.app, "GET"):
        answer = browser.get(path)
        assert answer.status_code < 500, (path, answer.text[:2000])
        assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY, path
        assert answer.headers["X-Frame-Options"] == "DENY", path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert answer.headers["Referrer-Policy"] == "no-referrer", path
        assert answer.headers["Cache-Control"] == "no-store", path
        assert "Strict-Transport-Security" not in answer.headers, path


def test_looking_at_every_page_changes_nothing(office: Office) -> None:
    browser, before = office.signed_in(), rows(office)
    before = rows(office)
    noted = counts(office, "rm_action")
    for path, _view in paths(office.app, "GET"):
        browser.get(path)
    assert rows(office) == before
    assert counts(office, "rm_action") == noted
    assert (office.doors.sent, office.doors.rung) == ([], [])


def test_what_never_changes_is_kept_by_browsers_and_carries_no_cookie(office: Office) -> None:
    for browser in (office.browser(), office.signed_in()):
        with browser.get("/static/panel.css") as answer:
            assert answer.status_code == 200
            assert answer.headers["Cache-Control"] == "public, max-age=86400"
            assert "Set-Cookie" not in answer.headers
            assert "Cookie" not in answer.headers.get("Vary", "")
    assert office.browser().get("/static/../users.html").status_code in {303, 404}
