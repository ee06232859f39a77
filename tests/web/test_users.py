"""People's accounts, programs' tokens, the record of what they did, and one's own account."""

import re
from html import unescape
from typing import Any

import pytest

from app.ports.accounts import Role, Scope, User
from app.sync.panel import accounts
from tests.web.office import PASSWORD, Browser, Office
from tests.web.test_signing_in import sign_in

ANOTHER = "another password of the tests"
HOSTILE = "<script>alert(1)</script>\"'\x07"


def words(text: str) -> str:
    """What a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())


def value_of(page: str, part: str) -> str:
    """The value of the field that holds `part`."""
    found = re.search(rf'value="([^"]*{part}[^"]*)"', page)
    assert found, page
    return unescape(found[1])


def outcomes(office: Office) -> list[tuple[str, str, str]]:
    """What the record has of the panel's changes, the latest first."""
    found = office.panel.store.actions(before=None, limit=20)
    return [(each.action, each.target, each.outcome) for each in found if not each.action.startswith("sign")]


def user(office: Office, name: str) -> User:
    return accounts.user_named(office.panel, name)


def test_an_admin_adds_somebody_with_a_password(office: Office) -> None:
    boss = office.signed_in()
    answer = boss.post("/users", name=" Anna ", role="operator", way="password", password=PASSWORD)
    assert "anna may sign in as operator." in words(answer.text)
    assert sign_in(office.browser(), "anna", PASSWORD) == (303, "/")
    assert (user(office, "anna").role, user(office, "anna").created_by) == (Role.OPERATOR, "admin1")
    (noted,) = [
        each for each in office.panel.store.actions(before=None, limit=9) if each.action == "user.add"
    ]
    assert (noted.by, noted.via, noted.outcome) == ("admin1", "panel", "done")
    assert noted.detail == {"name": " Anna ", "role": "operator", "way": "password"}


def test_a_link_is_shown_once_and_is_written_nowhere(office: Office) -> None:
    boss = office.signed_in()
    shown = boss.post("/users", name="anna", role="viewer", way="link")
    link = value_of(shown.text, "/login/")
    assert link.startswith("http://localhost/login/")
    key = link.rpartition("/")[2]
    assert shown.headers["Cache-Control"] == "no-store"
    for path in ("/users", "/users/account/anna", "/users/actions"):
        assert key not in boss.page(path)
    for table in ("rm_session", "rm_action", "rm_user"):
        assert key not in str(office.world.rows(f"SELECT * FROM {table}"))
    guest = office.browser()
    offered = guest.page(f"/login/{key}")
    token = value_of_token(offered)
    assert guest.client.post(f"/login/{key}", data={"csrf_token": token}).headers["Location"] == "/account"
    account = guest.page("/account")
    assert "set a password under your name" in account
    assert "password_old" not in account
    guest.post("/account/password", password_new=ANOTHER, password_again=ANOTHER)
    assert sign_in(office.browser(), "anna", ANOTHER) == (303, "/")


def value_of_token(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return unescape(found[1])


def test_a_new_link_takes_the_place_of_the_one_before_and_then_of_the_password(office: Office) -> None:
    boss = office.signed_in()
    office.signed_in(Role.VIEWER)
    first = value_of(boss.post("/users/account/viewer1/link").text, "/login/").rpartition("/")[2]
    second = value_of(boss.post("/users/account/viewer1/link").text, "/login/").rpartition("/")[2]
    assert accounts.link_owner(office.panel, first) is None
    assert user(office, "viewer1").password is not None
    accounts.sign_in_by_link(office.panel, second)
    assert user(office, "viewer1").password is None
    assert sign_in(office.browser(), "viewer1", PASSWORD)[0] == 401


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": HOSTILE, "role": "viewer"}, "cannot be a user's name"),
        ({"name": "x" * 3000, "role": "viewer"}, "cannot be a user's name"),
        ({"name": "anna", "role": "king"}, "Say what they may do: viewer, operator, admin."),
        ({"name": "anna"}, "Say what they may do"),
        ({"name": "ADMIN1 ", "role": "admin"}, "There is a user 'admin1' already."),
        ({"name": "anna", "role": "viewer", "way": "password", "password": "short"}, "12 characters"),
        ({"name": "anna", "role": "viewer", "way": "password"}, "12 characters"),
        ({"name": "anna", "role": "viewer", "way": "password", "password": "x" * 1001}, "1000 at most"),
    ],
)
def test_an_account_that_cannot_be_made_changes_nothing_and_keeps_what_was_typed(
    office: Office, fields: dict[str, Any], sentence: str
) -> None:
    boss = office.signed_in()
    answer = boss.post("/users", **fields)
    assert answer.status_code == 422
    assert sentence in words(answer.text)
    assert "<script>alert" not in answer.text
    if len(fields["name"]) < 20:
        assert f'name="name" value="{fields["name"]}"' in answer.text
    assert "password=" not in str(office.world.rows("SELECT * FROM rm_action"))
    assert [each.name for each in office.panel.store.users()] == ["admin1"]
    ((_action, _target, outcome),) = outcomes(office)
    assert outcome.startswith("refused: ")


def test_an_admin_changes_a_role_and_it_holds_at_once(office: Office) -> None:
    boss, browser = office.signed_in(), office.signed_in(Role.VIEWER)
    assert "viewer1 is admin now." in words(boss.post("/users/account/viewer1/role", role="admin").text)
    assert browser.get("/users").status_code == 200
    for word in ("", "king", "VIEWER"):
        assert boss.post("/users/account/viewer1/role", role=word).status_code == 422
    assert user(office, "viewer1").role is Role.ADMIN


def test_the_last_admin_cannot_step_down(office: Office) -> None:
    boss = office.signed_in()
    answer = boss.post("/users/account/admin1/role", role="viewer")
    assert answer.status_code == 422
    assert "only active admin" in answer.text
    assert boss.post("/users/account/admin1/active", active="no").status_code == 422
    assert user(office, "admin1").role is Role.ADMIN
    assert [outcome[:27] for _, _, outcome in outcomes(office)] == ["refused: admin1 is the only"] * 2


def test_an_admin_who_steps_down_beside_another_sees_their_own_account(office: Office) -> None:
    boss = office.signed_in()
    office.signed_in(name="boss2")
    answer = boss.post("/users/account/admin1/role", role="viewer")
    assert answer.status_code == 200
    assert "admin1 is viewer now." in words(answer.text)
    assert boss.get("/users").status_code == 403


def test_who_is_shut_out_is_out_at_once_and_may_come_back(office: Office) -> None:
    boss, browser = office.signed_in(), office.signed_in(Role.OPERATOR)
    boss.post("/users/account/operator1/active", active="no")
    assert browser.get("/account").status_code == 303
    assert sign_in(office.browser(), "operator1", PASSWORD)[0] == 401
    answer = boss.post("/users/account/operator1/link")
    assert (answer.status_code, "not active" in answer.text) == (422, True)
    boss.post("/users/account/operator1/active", active="yes")
    assert sign_in(office.browser(), "operator1", PASSWORD)[0] == 303
    assert boss.post("/users/account/operator1/active", active="maybe").status_code == 422


def test_an_admin_unlocks_who_guessed_too_often(office: Office) -> None:
    boss = office.signed_in()
    office.signed_in(Role.VIEWER)
    for _ in range(accounts.FAILURES):
        sign_in(office.browser(), "viewer1", "wrong")
    assert "locked" in words(boss.page("/users"))
    assert sign_in(office.browser(), "viewer1", PASSWORD)[0] == 401
    boss.post("/users/account/viewer1/unlock")
    assert sign_in(office.browser(), "viewer1", PASSWORD)[0] == 303


def test_an_admin_sets_a_password_and_stays_signed_in_where_it_is_their_own(office: Office) -> None:
    boss, browser = office.signed_in(), office.signed_in(Role.VIEWER)
    boss.post("/users/account/viewer1/password", password=ANOTHER)
    assert browser.get("/account").status_code == 303
    assert sign_in(office.browser(), "viewer1", ANOTHER)[0] == 303
    other = office.signed_in()
    boss.post("/users/account/admin1/password", password=ANOTHER)
    assert (boss.get("/account").status_code, other.get("/account").status_code) == (200, 303)
    assert boss.post("/users/account/admin1/password", password="short").status_code == 422
    assert ANOTHER not in str(office.world.rows("SELECT * FROM rm_action"))


@pytest.mark.parametrize("name", ["nobody", "%00", "%3Cscript%3E", "x" * 3000, "a%20b", "\u20ac"])
def test_an_account_that_is_not_there_is_not_found(office: Office, name: str) -> None:
    boss = office.signed_in()
    assert boss.get(f"/users/account/{name}").status_code == 404
    for change in ("role", "active", "link", "unlock", "password"):
        assert boss.post(f"/users/account/{name}/{change}", role="admin", active="no").status_code == 404
    assert len(office.panel.store.users()) == 1


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
@pytest.mark.parametrize("path", ["/users", "/users/account/admin1", "/users/tokens", "/users/actions"])
def test_only_admins_see_who_there_is_and_what_was_done(office: Office, role: Role, path: str) -> None:
    office.signed_in()
    answer = office.signed_in(role).get(path)
    assert answer.status_code == 403
    assert "This takes the role admin" in words(answer.text)
    assert "admin1" not in answer.text


# Tokens.


def test_a_token_is_shown_once_and_is_written_nowhere(office: Office) -> None:
    boss = office.signed_in()
    shown = boss.post("/users/tokens", name="scanner 1", scope=["orders:read", "metrics:read"], days="30")
    key = value_of(shown.text, "os_")
    found = accounts.token_of(office.panel, key)
    assert found is not None
    assert (found.name, found.scopes) == ("scanner 1", (Scope.ORDERS_READ, Scope.METRICS_READ))
    assert found.expires_at is not None
    assert round((found.expires_at - office.panel.store.now()).total_seconds() / 86400) == 30
    assert shown.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in shown.headers
    for path in ("/users/tokens", "/users/actions"):
        assert key not in boss.page(path)
    for table in ("rm_token", "rm_action"):
        assert key not in str(office.world.rows(f"SELECT * FROM {table}"))
    assert key[:7] in boss.page("/users/tokens")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": "scanner"}, "Say what the token is for"),
        ({"name": "scanner", "scope": "everything"}, "Say what the token is for"),
        ({"name": HOSTILE, "scope": "orders:read"}, "cannot be a token's name"),
        ({"name": "", "scope": "orders:read"}, "cannot be a token's name"),
        ({"name": "scanner", "scope": "orders:read", "days": "soon"}, "'soon' is no number of days."),
        ({"name": "scanner", "scope": "orders:read", "days": "\u0663"}, "is no number of days."),
        ({"name": "scanner", "scope": "orders:read", "days": "0"}, "1 day at least"),
        ({"name": "scanner", "scope": "orders:read", "days": "9999999999"}, "3650 at most"),
        ({"name": "scanner", "scope": "orders:read", "days": "9" * 5000}, "is no number of days."),
        ({"name": "t0", "scope": "orders:read"}, "There is a token 't0' already"),
    ],
)
def test_a_token_that_cannot_be_made_changes_nothing(
    office: Office, fields: dict[str, Any], sentence: str
) -> None:
    office.token()
    answer = office.signed_in().post("/users/tokens", **fields)
    assert answer.status_code == 422
    assert sentence in words(answer.text)
    assert len(office.panel.store.tokens()) == 1


def test_a_token_is_revoked_and_its_name_may_be_given_again(office: Office) -> None:
    boss, key = office.signed_in(), office.token()
    assert "t0 is revoked" in words(boss.post("/users/tokens/t0/revoke").text)
    assert accounts.token_of(office.panel, key) is None
    assert boss.post("/users/tokens/t0/revoke").status_code == 422
    again = value_of(boss.post("/users/tokens", name="t0", scope="orders:read").text, "os_")
    assert accounts.token_of(office.panel, again) is not None
    assert [each.revoked_at is None for each in office.panel.store.tokens()] == [False, True]


# The record.


def test_the_record_is_paged_and_told_by_person(office: Office) -> None:
    boss = office.signed_in()
    store = office.panel.store
    for number in range(120):
        action = store.begin_action(
            by="anna" if number % 2 else HOSTILE,
            via="api",
            action="x.y",
            target=HOSTILE,
            detail={"n": [1, "2"]},
        )
        if number != 119:
            store.end_action(action, f"refused: {HOSTILE}")
    seen, path = 0, "/users/actions"
    while path:
        page = boss.page(path)
        assert "<script>alert" not in page
        seen += page.count("<td>api</td>")
        older = re.search(r'href="([^"]+)" rel="next"', page)
        path = unescape(older[1]) if older else ""
    assert seen == 120
    assert "cut off" in boss.page("/users/actions")
    annas = boss.page("/users/actions?by=anna")
    assert (annas.count("<td>anna</td>"), annas.count("<td>api</td>")) == (50, 50)
    assert "Nothing of nobody is recorded here." in words(boss.page("/users/actions?by=nobody"))
    assert boss.page("/users/actions?by=%00%3Cb%3E" + "x" * 3000)


@pytest.mark.parametrize("before", ["x", "-1", "2147483648", "9" * 4000, "1.5", "\u0663"])
def test_a_page_of_the_record_that_cannot_be_is_not_found(office: Office, before: str) -> None:
    assert office.signed_in().get("/users/actions", query_string={"before": before}).status_code == 404


def test_a_change_that_was_refused_is_recorded_as_refused(office: Office) -> None:
    boss = office.signed_in()
    boss.post("/users/tokens", name="t")
    boss.post("/users/account/nobody/unlock")
    first, second = outcomes(office)
    assert second[2].startswith("refused: Say what the token is for")
    assert first == ("user.unlock", "nobody", "failed: NotFound")


# One's own account.


def test_a_person_changes_their_own_password_and_is_signed_out_elsewhere(office: Office) -> None:
    browser, elsewhere = office.signed_in(Role.VIEWER), office.signed_in(Role.VIEWER)
    answer = browser.post(
        "/account/password", password_old=PASSWORD, password_new=ANOTHER, password_again=ANOTHER
    )
    assert "Your password is changed." in words(answer.text)
    assert (browser.get("/account").status_code, elsewhere.get("/account").status_code) == (200, 303)
    assert sign_in(office.browser(), "viewer1", PASSWORD)[0] == 401
    assert sign_in(office.browser(), "viewer1", ANOTHER)[0] == 303
    noted = office.panel.store.actions(before=None, limit=2)[1]
    assert (noted.action, noted.detail, noted.outcome) == ("account.password", {}, "done")


@pytest.mark.parametrize(
    ("old", "new", "again", "sentence"),
    [
        ("wrong", ANOTHER, ANOTHER, "The old password is not right"),
        (PASSWORD, ANOTHER, PASSWORD, "typed in two ways"),
        (PASSWORD, "short", "short", "12 characters"),
    ],
)
def test_a_password_that_cannot_be_changed_stays(
    office: Office, old: str, new: str, again: str, sentence: str
) -> None:
    browser = office.signed_in(Role.VIEWER)
    answer = browser.post("/account/password", password_old=old, password_new=new, password_again=again)
    assert answer.status_code == 422
    assert sentence in words(answer.text)
    assert user(office, "viewer1").password == f"plain:{PASSWORD}"
    assert ANOTHER not in answer.text


def test_who_has_found_an_open_browser_cannot_guess_the_password_there(office: Office) -> None:
    browser = office.signed_in(Role.VIEWER)
    for _ in range(accounts.FAILURES):
        guess(browser, "wrong")
    assert "too many attempts" in guess(browser, PASSWORD)
    assert user(office, "viewer1").password == f"plain:{PASSWORD}"
    assert sign_in(office.browser(), "viewer1", PASSWORD)[0] == 401


def guess(browser: Browser, old: str) -> str:
    sent = browser.post("/account/password", password_old=old, password_new=ANOTHER, password_again=ANOTHER)
    assert sent.status_code == 422
    return words(sent.text)


def test_a_person_signs_out_everywhere(office: Office) -> None:
    browser, elsewhere = office.signed_in(Role.VIEWER), office.signed_in(Role.VIEWER)
    other = office.signed_in(Role.OPERATOR)
    link = accounts.make_link(office.panel, "viewer1")
    assert browser.post("/account/end", follow=False).headers["Location"] == "/login"
    assert (browser.get("/account").status_code, elsewhere.get("/account").status_code) == (303, 303)
    assert other.get("/account").status_code == 200
    assert accounts.link_owner(office.panel, link) is None
