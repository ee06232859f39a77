"""What keeps a browser's session safe: its cookie, the address that is asked for, and what is written into the log."""

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from structlog.testing import capture_logs

from app.db.engine import open_engine
from app.errors import UsageError
from app.ports.accounts import Role
from app.sync.panel import accounts
from app.sync.panel.acting import acting
from app.web import People, create_app
from tests.pipeline.world import MakeWorld, plain_order
from tests.web.office import PASSWORD, Office
from tests.web.test_signing_in import add, sign_in

HTTPS = "https://orders.example"


def behind_https(office: Office) -> Flask:
    """The same panel, where people reach it by https."""
    settings = replace(office.world.settings, web_url=HTTPS)
    people = People(panel=office.panel, doors=office.doors, key=b"k" * 32, settings=settings)
    return create_app(office.program, ring=lambda _site: None, people=people)


def let_in(client: FlaskClient, base_url: str) -> str:
    """Signs in; gives the cookie's header."""
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/login", base_url=base_url).text)
    assert token
    form = {"csrf_token": unescape(token[1]), "name": "anna", "password": PASSWORD}
    answer = client.post("/login", data=form, base_url=base_url)
    assert answer.status_code == 303
    return answer.headers["Set-Cookie"]


def test_behind_https_the_cookie_is_for_this_host_and_https_alone(office: Office) -> None:
    add(office, "anna")
    client = behind_https(office).test_client()
    cookie = let_in(client, HTTPS)
    name, *attributes = cookie.split("; ")
    assert name.startswith("__Host-ordersync=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
    assert not [each for each in attributes if each.startswith("Domain")]
    answer = client.get("/account", base_url=HTTPS)
    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_on_this_machine_the_cookie_cannot_be_read_by_scripts(office: Office) -> None:
    add(office, "anna")
    name, *attributes = let_in(office.app.test_client(), "http://localhost").split("; ")
    assert name.startswith("ordersync=")
    assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes)
    assert "Secure" not in attributes


def test_what_was_in_the_cookie_before_is_good_for_nothing_after_signing_in(office: Office) -> None:
    add(office, "anna")
    planted = office.browser()
    before = re.search(r'name="csrf_token" value="([^"]+)"', planted.page("/login"))
    assert before
    with planted.client.session_transaction() as session:
        session["planted"] = "yes"
    assert sign_in(planted, "anna", PASSWORD)[0] == 303
    with planted.client.session_transaction() as session:
        assert "planted" not in session
        assert len(session["key"]) > 40
    assert planted.client.post("/logout", data={"csrf_token": unescape(before[1])}).status_code == 400


def test_who_signs_in_as_somebody_else_ends_the_session_before(office: Office) -> None:
    browser = office.signed_in(Role.ADMIN)
    with browser.client.session_transaction() as session:
        first = session["key"]
    add(office, "anna")
    assert sign_in(browser, "anna", PASSWORD)[0] == 303
    assert accounts.session_of(office.panel, first) is None
    assert "anna (viewer)" in browser.page("/account")


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "10.0.0.7"]
)
def test_a_page_elsewhere_whose_name_leads_to_this_machine_is_not_let_in(office: Office, host: str) -> None:
    assert office.app.test_client().get("/login", headers={"Host": host}).status_code in {400, 403}


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080"])
def test_this_machine_is_reached_by_its_own_names(office: Office, host: str) -> None:
    assert office.app.test_client().get("/login", headers={"Host": host}).status_code == 200


def test_with_an_address_that_is_set_people_get_in_from_elsewhere(office: Office) -> None:
    client = behind_https(office).test_client()
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    answer = client.get(
        "/login", base_url=HTTPS, environ_base=elsewhere, headers={"X-Forwarded-For": "192.0.2.9"}
    )
    assert answer.status_code == 200


def test_the_host_that_is_asked_for_stands_in_no_link_where_an_address_is_set(office: Office) -> None:
    add(office, "anna", Role.ADMIN)
    client = behind_https(office).test_client()
    let_in(client, HTTPS)
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/account", base_url=HTTPS).text)
    assert token
    page = client.post(
        "/users/account/anna/link",
        data={"csrf_token": unescape(token[1])},
        base_url=HTTPS,
        headers={"Host": "orders.example", "X-Forwarded-Host": "evil.example"},
    ).text
    assert f'value="{HTTPS}/login/' in page
    assert "evil" not in page


def without_database(office: Office) -> None:
    """From now on the database gives no answer."""
    store = office.world.parts.store
    store.engine = open_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")  # type: ignore[attr-defined]


def broken(office: Office) -> None:
    """From now on every question ends in a fault of the program."""
    store = office.world.parts.store
    store.engine = None  # type: ignore[attr-defined]


@pytest.mark.parametrize("trouble", [without_database, broken])
def test_no_key_of_a_link_is_in_the_log_whatever_goes_wrong(
    office: Office, trouble: Callable[[Office], None], capsys: pytest.CaptureFixture[str]
) -> None:
    add(office, "anna")
    key = accounts.make_link(office.panel, "anna")
    trouble(office)
    with capture_logs() as lines:
        answer = office.browser().get(f"/login/{key}")
    assert answer.status_code in {500, 503}
    assert key not in answer.text
    assert len(lines) == 1
    assert key not in str({name: value for name, value in lines[0].items() if name != "exc_info"})
    assert lines[0]["page"] == "/login/<key>"


def test_neither_password_nor_unknown_name_is_in_the_log(office: Office) -> None:
    add(office, "anna")
    with capture_logs() as lines:
        sign_in(office.browser(), "anna", "my secret password")
        sign_in(office.browser(), "my secret password", "x")
        sign_in(office.browser(), "anna", PASSWORD)
    refused = [each for each in lines if each["event"] == "sign_in_refused"]
    assert [(each["account"], each["why"]) for each in refused] == [
        ("anna", "wrong password"),
        (None, "no such account"),
    ]
    assert "secret" not in str(lines)
    assert PASSWORD not in str(lines)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("\x00", "\x00"),
        ("x" * 100_000, "y" * 100_000),
        ("\U0001f600", "\u202e"),
        ("anna\r\nSet-Cookie: a=b", ""),
    ],
)
def test_odd_names_and_passwords_are_wrong_ones(office: Office, name: str, password: str) -> None:
    add(office, "anna")
    assert sign_in(office.browser(), name, password)[0] == 401


def test_an_error_shows_who_is_signed_out_no_page_of_the_panel(make_world: MakeWorld) -> None:
    office = Office(make_world())
    for answer in (office.browser().get("/nowhere"), office.browser().client.post("/login", data={})):
        assert answer.status_code in {400, 404}
        assert "Sign out" not in answer.text
        assert "Order health" not in answer.text


def test_only_one_page_a_minute_writes_that_somebody_was_there(office: Office) -> None:
    browser = office.signed_in()
    browser.page("/account")
    office.world.clock.advance(61)
    written: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA", "WITH")):
            written.append(statement)

    event.listen(office.world.engine, "before_cursor_execute", note)
    browser.page("/account")
    first, written[:] = list(written), []
    browser.page("/account")
    event.remove(office.world.engine, "before_cursor_execute", note)
    assert any("rm_session" in each for each in first)
    assert [each for each in written if "rm_" in each] == []


def test_what_is_refused_for_an_order_is_noted_without_the_sentence(office: Office) -> None:
    with pytest.raises(UsageError), acting(office.panel.store, by="x", via="api", action="errors.repair"):
        raise UsageError("X has changed /bill/email to 'ada@example.test'.")
    with pytest.raises(UsageError), acting(office.panel.store, by="x", via="cli", action="site.set"):
        raise UsageError("There is no site.")
    site, order = office.panel.store.actions(before=None, limit=2)
    assert (order.outcome, site.outcome) == ("refused", "refused: There is no site.")


def test_an_address_of_this_machine_lets_nobody_in_whom_a_proxy_hands_on(make_world: MakeWorld) -> None:
    world = make_world()
    world.settings = replace(world.settings, web_url="http://127.0.0.1:8080")
    client = Office(world).app.test_client()
    # A container sees the address of its network.
    assert client.get("/login", environ_base={"REMOTE_ADDR": "172.18.0.1"}).status_code == 200
    assert client.get("/login", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 403
    assert client.get("/login", headers={"Host": "orders.example"}).status_code == 403


@pytest.mark.parametrize("number", ["0" * 11 + "9" * 30, "9" * 5_000, "-1", "1e3", ""])
@pytest.mark.parametrize("path", ["/runs?before=", "/runs/1?after=", "/users/actions?before="])
def test_a_page_that_begins_at_an_impossible_number_is_no_fault(
    office: Office, path: str, number: str
) -> None:
    assert office.signed_in().get(path + number).status_code in {200, 404}


def test_a_form_with_two_revisions_is_refused(make_world: MakeWorld) -> None:
    order = plain_order(1)
    order["line_items"][0]["sku"] = "NOPE-1"
    office = Office(make_world(orders=[order]))
    office.world.run()
    browser = office.signed_in()
    number = office.world.errors()[1]["id"]
    answer = browser.post(f"/desk/{number}/repair", revision=["1", "2"])
    assert answer.status_code in {200, 422}
    assert office.world.rows("SELECT * FROM rm_repair") == []


def test_a_file_of_orders_is_refused_where_a_part_of_the_filter_is_wrong(office: Office) -> None:
    browser = office.signed_in()
    for wrong in ("state=rejectd", "site=nowhere", "since=2026-13-01"):
        assert browser.get(f"/orders.csv?{wrong}").status_code == 422
    assert browser.get("/orders.csv?state=rejected").status_code == 200
