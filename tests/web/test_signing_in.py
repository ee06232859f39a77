"""Who gets into the panel, and who may do what there."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from app.errors import UsageError
from app.ports.accounts import Role, Scope
from app.sync.panel import accounts
from app.web.panel.access import KEY
from tests.web.office import PASSWORD, Browser, Office, PlainPasswords


def sign_in(browser: Browser, name: str, password: str, *, wanted: str = "") -> tuple[int, str]:
    form = browser.get("/login").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', form)
    assert token
    answer = browser.client.post(
        "/login", data={"csrf_token": token[1], "name": name, "password": password, "next": wanted}
    )
    return answer.status_code, answer.headers.get("Location", answer.text)


def add(office: Office, name: str, role: Role = Role.VIEWER) -> None:
    accounts.add_user(office.panel, name=name, role=role, password=PASSWORD, by="tests")


def test_who_is_not_signed_in_is_sent_to_the_form_and_back_to_the_page_that_was_wanted(
    office: Office,
) -> None:
    add(office, "anna")
    browser = office.browser()
    answer = browser.get("/orders?text=x")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login?next=%2Forders%3Ftext%3Dx")
    assert sign_in(browser, "Anna ", PASSWORD, wanted="/orders?text=x") == (303, "/orders?text=x")
    assert browser.get("/orders").status_code == 200


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "/\tx", "javascript:x"]
)
def test_nobody_is_sent_elsewhere_after_signing_in(office: Office, elsewhere: str) -> None:
    add(office, "anna")
    assert sign_in(office.browser(), "anna", PASSWORD, wanted=elsewhere) == (303, "/")


@pytest.mark.parametrize(
    ("name", "password"), [("anna", "wrong"), ("nobody", PASSWORD), ("", ""), ("anna", "x" * 9999)]
)
def test_a_wrong_name_and_a_wrong_password_are_told_alike(office: Office, name: str, password: str) -> None:
    add(office, "anna")
    browser = office.browser()
    status, page = sign_in(browser, name, password)
    assert status == 401
    assert accounts.NOT_LET_IN in page.replace("&#39;", "'")
    assert browser.get("/").status_code == 303
    # The record grows by what people do, not by what anybody tries.
    assert office.panel.store.actions(before=None, limit=5) == ()


def test_five_wrong_passwords_lock_the_account_for_a_quarter_of_an_hour(office: Office) -> None:
    add(office, "anna")
    for _ in range(accounts.FAILURES):
        assert sign_in(office.browser(), "anna", "wrong")[0] == 401
    assert sign_in(office.browser(), "anna", PASSWORD)[0] == 401
    office.world.clock.advance(accounts.LOCK_SECONDS + 1)
    assert sign_in(office.browser(), "anna", PASSWORD)[0] == 303


def test_a_right_password_forgets_the_wrong_ones(office: Office) -> None:
    add(office, "anna")
    for _ in range(3):
        for _ in range(accounts.FAILURES - 1):
            sign_in(office.browser(), "anna", "wrong")
        assert sign_in(office.browser(), "anna", PASSWORD)[0] == 303


def test_a_session_ends_by_signing_out_by_idleness_and_after_a_week(office: Office) -> None:
    out, idle, old = (office.signed_in(name=name) for name in ("a1", "a2", "a3"))
    assert out.post("/logout", follow=False).headers["Location"] == "/login"
    assert out.get("/").status_code == 303
    office.world.clock.advance(accounts.IDLE_SECONDS - 60)
    assert old.get("/").status_code == 200
    office.world.clock.advance(120)
    assert idle.get("/").status_code == 303
    for _ in range(14):
        assert old.get("/").status_code in {200, 303}
        office.world.clock.advance(accounts.IDLE_SECONDS - 60)
    assert old.get("/").status_code == 303


def test_a_page_that_renews_itself_does_not_keep_a_session_open(office: Office) -> None:
    browser = office.signed_in()
    office.world.clock.advance(accounts.IDLE_SECONDS - 60)
    assert browser.get("/", headers={"HX-Request": "true"}).status_code == 200
    office.world.clock.advance(120)
    answer = browser.get("/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.text, answer.headers["HX-Redirect"]) == (200, "", "/login")


def test_the_key_of_a_session_is_stored_nowhere_and_signed_out_it_opens_nothing(office: Office) -> None:
    browser = office.signed_in()
    with browser.client.session_transaction() as session:
        key = session[KEY]
    assert key not in str(office.world.rows("SELECT * FROM rm_session"))
    browser.post("/logout")
    stolen = office.app.test_client()
    with stolen.session_transaction() as session:
        session[KEY] = key
    assert stolen.get("/").status_code == 303


def test_whoever_is_made_inactive_is_out_at_once(office: Office) -> None:
    office.signed_in(name="boss")
    browser = office.signed_in(Role.OPERATOR)
    accounts.change_user(office.panel, "operator1", is_active=False)
    assert browser.get("/").status_code == 303
    assert sign_in(office.browser(), "operator1", PASSWORD)[0] == 401


class SlowPasswords(PlainPasswords):
    """Something happens while a password is compared."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.meanwhile = meanwhile

    def fits(self, password: str, stored: str | None) -> bool:
        found = super().fits(password, stored)
        self.meanwhile()
        return found


@pytest.mark.parametrize("change", ["a reset", "a link", "deactivation"])
def test_a_sign_in_under_way_ends_where_the_account_is_changed(office: Office, change: str) -> None:
    add(office, "boss", Role.ADMIN)
    add(office, "anna")

    def meanwhile() -> None:
        match change:
            case "a reset":
                accounts.set_password(office.panel, "anna", "another password")
            case "a link":
                accounts.sign_in_by_link(office.panel, accounts.make_link(office.panel, "anna"))
            case _:
                accounts.change_user(office.panel, "anna", is_active=False)

    panel = replace(office.panel, passwords=SlowPasswords(meanwhile))
    with pytest.raises(accounts.NotLetIn) as refused:
        accounts.sign_in(panel, name="anna", password=PASSWORD)
    assert refused.value.reason == accounts.NOT_LET_IN
    assert len(office.world.rows("SELECT id FROM rm_session")) == (1 if change == "a link" else 0)
    noted = {each.action: each.outcome for each in office.panel.store.actions(before=None, limit=5)}
    assert noted["sign in"].startswith("refused: The name or the password is not right")


def test_a_link_under_way_opens_nothing_once_its_account_is_changed(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(office, "boss", Role.ADMIN)
    add(office, "anna")
    key = accounts.make_link(office.panel, "anna")
    take = office.panel.store.take_link

    def taken_then_closed(digest: str) -> object:
        found = take(digest)
        accounts.change_user(office.panel, "anna", is_active=False)
        return found

    monkeypatch.setattr(office.panel.store, "take_link", taken_then_closed)
    with pytest.raises(accounts.NotLetIn, match="ask for another"):
        accounts.sign_in_by_link(office.panel, key)
    assert office.world.rows("SELECT id FROM rm_session") == []


def test_an_older_session_is_over_once_a_link_signs_in(office: Office) -> None:
    office.signed_in(name="boss")
    older = office.signed_in(name="anna")
    token = older.token()
    accounts.sign_in_by_link(office.panel, accounts.make_link(office.panel, "anna"))
    fields = {"csrf_token": token, "password_new": "another password", "password_again": "another password"}
    assert older.client.post("/account/password", data=fields).headers["Location"] == "/login"
    assert older.get("/").status_code == 303
    assert accounts.user_named(office.panel, "anna").password is None


def test_an_own_password_is_not_changed_over_a_reset_that_came_meanwhile(office: Office) -> None:
    add(office, "anna")
    key = accounts.sign_in(office.panel, name="anna", password=PASSWORD).key
    session = accounts.session_of(office.panel, key)
    assert session is not None
    reset = "a password by an admin"
    slow = SlowPasswords(lambda: accounts.set_password(office.panel, "anna", reset))
    with pytest.raises(UsageError, match="signed out meanwhile"):
        accounts.change_own_password(
            replace(office.panel, passwords=slow), session, old=PASSWORD, new="another password"
        )
    assert accounts.sign_in(office.panel, name="anna", password=reset).user.name == "anna"


def test_the_last_admin_stays_one(office: Office) -> None:
    office.signed_in(name="boss")
    for change in ({"role": Role.VIEWER}, {"is_active": False}):
        with pytest.raises(UsageError, match="only active admin"):
            accounts.change_user(office.panel, "boss", **change)
    assert [(each.role, each.is_active) for each in office.panel.store.users()] == [(Role.ADMIN, True)]


def test_a_link_signs_in_once_and_only_by_its_button(office: Office) -> None:
    accounts.add_user(office.panel, name="anna", role=Role.ADMIN, password=None, by="tests")
    key = accounts.make_link(office.panel, "anna")
    first, second = office.browser(), office.browser()
    first.page(f"/login/{key}")
    offered = first.page(f"/login/{key}")
    assert "Sign in as anna" in offered
    token = re.search(r'name="csrf_token" value="([^"]+)"', offered)
    assert token
    assert first.client.post(f"/login/{key}", data={"csrf_token": token[1]}).headers["Location"] == "/account"
    assert first.get("/").status_code == 200
    assert second.get(f"/login/{key}").status_code == 404
    assert key not in str(office.world.rows("SELECT * FROM rm_session"))


def test_a_link_ends_after_a_day(office: Office) -> None:
    accounts.add_user(office.panel, name="anna", role=Role.ADMIN, password=None, by="tests")
    key = accounts.make_link(office.panel, "anna")
    office.world.clock.advance(accounts.LINK_SECONDS + 1)
    assert office.browser().get(f"/login/{key}").status_code == 404
    assert office.panel.store.drop_ended() == 1


def test_without_an_address_that_is_set_people_get_in_from_this_machine_only(office: Office) -> None:
    client: FlaskClient = office.app.test_client()
    assert client.get("/login", environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 403
    assert client.get("/login", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 403
    assert client.get("/login").status_code == 200


@pytest.mark.parametrize("token", ["", "nonsense", None])
def test_a_form_without_the_pages_own_token_changes_nothing(office: Office, token: str | None) -> None:
    browser = office.signed_in()
    foreign = office.signed_in(name="other").token()
    data = {} if token is None else {"csrf_token": token}
    for sent in (data, {"csrf_token": foreign}):
        answer = browser.client.post("/logout", data=sent)
        assert answer.status_code == 400
        assert "Nothing was changed" in " ".join(answer.text.split())
    assert browser.get("/").status_code == 200


def test_a_token_is_good_until_it_is_revoked_or_ends(office: Office) -> None:
    panel = office.panel
    key = accounts.make_token(panel, name="scanner", scopes=[Scope.ORDERS_READ], days=2, by="tests")
    found = accounts.token_of(panel, key)
    assert found is not None
    assert (found.name, found.scopes, found.hint) == ("scanner", (Scope.ORDERS_READ,), key[:7])
    assert key not in str(office.world.rows("SELECT * FROM rm_token"))
    with pytest.raises(UsageError, match="already"):
        accounts.make_token(panel, name="scanner", scopes=[Scope.ORDERS_READ], days=2, by="tests")
    office.world.clock.advance(2 * 86_400 + 1)
    assert accounts.token_of(panel, key) is None
    accounts.revoke_token(panel, "scanner")
    again = accounts.make_token(panel, name="scanner", scopes=[Scope.ORDERS_READ], days=None, by="tests")
    assert accounts.token_of(panel, again) is not None
    accounts.revoke_token(panel, "scanner")
    assert accounts.token_of(panel, again) is None
    assert accounts.token_of(panel, "os_" + "x" * 43) is None
    assert accounts.token_of(panel, "") is None


@pytest.mark.parametrize("name", ["", " ", "a b", "é", "-x", "x" * 65, "<b>", "a\nb"])
def test_names_that_cannot_be_told_apart_or_read_are_refused(office: Office, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a user's name"):
        accounts.add_user(office.panel, name=name, role=Role.ADMIN, password=PASSWORD, by="tests")


def test_a_short_password_is_refused(office: Office) -> None:
    with pytest.raises(UsageError, match="12 characters"):
        accounts.add_user(office.panel, name="anna", role=Role.ADMIN, password="short", by="tests")
    assert office.panel.store.users() == ()
