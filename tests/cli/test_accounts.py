"""`user` and `token`: who may use the panel, and which programs the API."""

from collections.abc import Iterator

import pytest

from app.bootstrap import open_program, panel_of
from app.ports.accounts import Role, Scope
from app.settings import load_settings
from app.sync.panel import Panel, accounts
from tests.cli.conftest import CommandLine, sentence

PASSWORD = "correct horse battery"


@pytest.fixture
def panel(ordersync: CommandLine) -> Iterator[Panel]:
    program = open_program(load_settings(ordersync.environment))
    try:
        yield panel_of(program)
    finally:
        program.engine.dispose()


def test_a_password_is_asked_for_twice_and_is_shown_nowhere(ordersync: CommandLine, panel: Panel) -> None:
    done = ordersync.good("user", "add", "Anna", "--role", "admin", input=f"{PASSWORD}\n{PASSWORD}\n")
    assert "Anna may sign in as admin." in sentence(done.output)
    assert PASSWORD not in done.output
    assert accounts.sign_in(panel, name="anna", password=PASSWORD).user.role is Role.ADMIN
    (noted,) = [each for each in panel.store.actions(before=None, limit=9) if each.via == "cli"]
    assert (noted.action, noted.target, noted.outcome) == ("user.add", "Anna", "done")
    assert noted.detail == {"role": "admin"}


def test_two_passwords_that_differ_are_asked_for_again(ordersync: CommandLine, panel: Panel) -> None:
    typed = f"{PASSWORD}\nsomething else\n{PASSWORD}\n{PASSWORD}\n"
    ordersync.good("user", "add", "anna", input=typed)
    assert accounts.sign_in(panel, name="anna", password=PASSWORD).user.role is Role.VIEWER


def test_who_types_no_password_has_made_no_account(ordersync: CommandLine, panel: Panel) -> None:
    assert ordersync.run("user", "add", "anna", input="").exit_code == 1
    assert panel.store.users() == ()


def test_a_password_comes_from_standard_input(ordersync: CommandLine, panel: Panel) -> None:
    ordersync.good("user", "add", "anna", "--password-stdin", input=f"{PASSWORD}\r\nand more\n")
    assert accounts.sign_in(panel, name="anna", password=PASSWORD).user.name == "anna"


def test_a_link_is_printed_and_signs_in_once(ordersync: CommandLine, panel: Panel) -> None:
    told = ordersync.json(
        "user", "add", "anna", "--role", "operator", "--link", ORDERSYNC_WEB_URL="https://orders.example"
    )
    assert (told["name"], told["role"]) == ("anna", "operator")
    assert told["link"].startswith("https://orders.example/login/")
    key = told["link"].rpartition("/")[2]
    again = ordersync.json("user", "link", "anna")
    assert again["link"].startswith("http://127.0.0.1:8080/login/")
    assert accounts.link_owner(panel, key) is None
    assert accounts.sign_in_by_link(panel, again["link"].rpartition("/")[2]).user.name == "anna"
    assert key not in str([each.detail for each in panel.store.actions(before=None, limit=9)])


@pytest.mark.parametrize(
    ("arguments", "typed", "told"),
    [
        (("user", "add", "a b", "--password-stdin"), PASSWORD, "cannot be a user's name"),
        (("user", "add", "boss", "--password-stdin"), PASSWORD, "There is a user 'boss' already."),
        (("user", "add", "anna", "--password-stdin"), "short", "12 characters at least"),
        (("user", "add", "anna", "--password-stdin"), "", "12 characters at least"),
        (("user", "add", "anna", "--password-stdin", "--link"), PASSWORD, "not both"),
        (("user", "set", "nobody", "--role", "admin"), "", "There is no user 'nobody' (there are: boss)."),
        (("user", "set", "boss"), "", "Say what is to change"),
        (("user", "set", "boss", "--role", "viewer"), "", "boss is the only active admin"),
        (("user", "set", "boss", "--inactive"), "", "boss is the only active admin"),
        (("user", "password", "boss", "--password-stdin"), "short", "12 characters at least"),
        (("user", "password", "nobody", "--password-stdin"), PASSWORD, "There is no user 'nobody'"),
        (("user", "link", "nobody"), "", "There is no user 'nobody'"),
        (("user", "unlock", "nobody"), "", "There is no user 'nobody'"),
        (("token", "revoke", "nothing", "--yes"), "", "There is no token 'nothing' in use."),
        (("token", "add", "a/b", "--scope", "orders:read"), "", "cannot be a token's name"),
        (("token", "add", "taken", "--scope", "orders:read"), "", "There is a token 'taken' already"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(
    ordersync: CommandLine, panel: Panel, arguments: tuple[str, ...], typed: str, told: str
) -> None:
    accounts.add_user(panel, name="boss", role=Role.ADMIN, password=PASSWORD, by="tests")
    accounts.make_token(panel, name="taken", scopes=[Scope.ORDERS_READ], days=None, by="tests")
    before = panel.store.users(), panel.store.tokens()
    assert told in ordersync.refused(2, *arguments, input=f"{typed}\n")
    assert (panel.store.users(), panel.store.tokens()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "add", "anna", "--role", "king"),
        ("token", "add", "t"),
        ("token", "add", "t", "--scope", "everything"),
        ("token", "add", "t", "--scope", "orders:read", "--days", "0"),
        ("token", "add", "t", "--scope", "orders:read", "--days", "4000"),
    ],
)
def test_words_that_are_not_known_are_refused(ordersync: CommandLine, arguments: tuple[str, ...]) -> None:
    assert ordersync.run(*arguments).exit_code == 2


def test_accounts_are_listed_without_what_it_takes_to_sign_in(ordersync: CommandLine, panel: Panel) -> None:
    assert ordersync.json("user", "list") == []
    accounts.add_user(panel, name="anna", role=Role.ADMIN, password=PASSWORD, by="tests")
    accounts.add_user(panel, name="bert", role=Role.VIEWER, password=None, by="tests")
    anna, bert = ordersync.json("user", "list")
    assert anna == {
        "name": "anna",
        "role": "admin",
        "active": True,
        "password": "set",
        "last_login": None,
        "locked_until": None,
        "created_by": "tests",
    }
    assert bert["password"] == "none"
    listed = ordersync.good("user", "list").output
    assert "anna" in listed
    assert "argon2" not in listed


def test_somebody_is_shut_out_and_let_in_again(ordersync: CommandLine, panel: Panel) -> None:
    accounts.add_user(panel, name="boss", role=Role.ADMIN, password=PASSWORD, by="tests")
    accounts.add_user(panel, name="anna", role=Role.VIEWER, password=PASSWORD, by="tests")
    session = accounts.sign_in(panel, name="anna", password=PASSWORD)
    changed = ordersync.json("user", "set", "anna", "--role", "operator", "--inactive")
    assert changed == {"name": "anna", "role": "operator", "active": False}
    assert accounts.session_of(panel, session.key) is None
    assert "not active" in ordersync.refused(2, "user", "link", "anna")
    ordersync.good("user", "set", "anna", "--active")
    assert accounts.sign_in(panel, name="anna", password=PASSWORD).user.role is Role.OPERATOR


def test_another_password_signs_out_and_a_lock_is_undone(ordersync: CommandLine, panel: Panel) -> None:
    accounts.add_user(panel, name="anna", role=Role.ADMIN, password=PASSWORD, by="tests")
    session = accounts.sign_in(panel, name="anna", password=PASSWORD)
    done = ordersync.good("user", "password", "anna", input="another password\nanother password\n")
    assert "anna has another password." in sentence(done.output)
    assert accounts.session_of(panel, session.key) is None
    for _ in range(accounts.FAILURES):
        with pytest.raises(accounts.NotLetIn):
            accounts.sign_in(panel, name="anna", password="wrong")
    assert ordersync.json("user", "list")[0]["locked_until"] is not None
    assert "anna may try" in ordersync.good("user", "unlock", "anna").output
    assert accounts.sign_in(panel, name="anna", password="another password").user.name == "anna"


def test_a_token_is_printed_once(ordersync: CommandLine, panel: Panel) -> None:
    done = ordersync.good("token", "add", "prometheus", "--scope", "metrics:read", "--days", "30")
    key = done.stdout.strip()
    found = accounts.token_of(panel, key)
    assert found is not None
    assert (found.name, found.scopes) == ("prometheus", (Scope.METRICS_READ,))
    assert sentence(done.stderr) == "Keep it now; it is not shown again."
    told = ordersync.json("token", "add", "scanner", "--scope", "orders:read", "--scope", "errors:read")
    assert accounts.token_of(panel, told["token"]) is not None
    listed = ordersync.json("token", "list")
    assert [(each["name"], each["begins"], each["scopes"]) for each in listed] == [
        ("prometheus", key[:7], "metrics:read"),
        ("scanner", told["token"][:7], "orders:read errors:read"),
    ]
    assert key not in str(listed)
    assert key not in str([each.detail for each in panel.store.actions(before=None, limit=9)])


def test_a_token_is_revoked_after_a_question(ordersync: CommandLine, panel: Panel) -> None:
    key = accounts.make_token(panel, name="t", scopes=[Scope.ORDERS_READ], days=None, by="tests")
    assert "add --yes" in ordersync.refused(2, "token", "revoke", "t", input="n\n")
    assert accounts.token_of(panel, key) is not None
    ordersync.good("token", "revoke", "t", "--yes")
    assert accounts.token_of(panel, key) is None
    assert ordersync.good("token", "list").exit_code == 0
