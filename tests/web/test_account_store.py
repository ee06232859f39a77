"""What the database promises of accounts, also where several people or guessers come at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from sqlalchemy import text

from app.ports.accounts import Role
from app.sync.panel import accounts
from app.sync.panel.accounts import NotLetIn
from tests.web.office import PASSWORD, Office

T = TypeVar("T")
MANY = 12


def at_once(act: Callable[[int], T], count: int = MANY) -> list[T]:
    """What `act` returns, done by so many at the same moment."""
    ready = threading.Barrier(count)

    def wait_and_act(number: int) -> T:
        ready.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(wait_and_act, range(count)))


def add(office: Office, name: str = "anna", role: Role = Role.VIEWER) -> int:
    return accounts.add_user(office.panel, name=name, role=role, password=PASSWORD, by="tests")


def opened(
    office: Office, user_id: int, digest: str, *, password: str = PASSWORD, lasts: float = 100.0
) -> bool:
    """Whether a session could be opened by this password."""
    hashed = office.panel.passwords.hashed(password)
    return office.panel.store.open_session(user_id, password=hashed, digest=digest, expires_in=lasts)


def tried(office: Office, password: str) -> bool:
    try:
        accounts.sign_in(office.panel, name="anna", password=password)
    except NotLetIn:
        return False
    return True


def test_however_many_guess_at_once_no_more_than_five_passwords_are_looked_at(office: Office) -> None:
    anna = add(office)
    looked_at = at_once(
        lambda _: office.panel.store.count_attempt(
            anna, limit=accounts.FAILURES, lock_seconds=accounts.LOCK_SECONDS
        )
    )
    assert looked_at.count(True) == accounts.FAILURES
    assert not tried(office, PASSWORD)


def test_many_who_guess_at_once_lock_the_account(office: Office) -> None:
    add(office)
    assert not any(at_once(lambda _: tried(office, "wrong")))
    assert not tried(office, PASSWORD)
    office.world.clock.advance(accounts.LOCK_SECONDS + 1)
    assert tried(office, PASSWORD)


def test_a_lock_that_is_over_begins_the_count_anew(office: Office) -> None:
    add(office)
    for _ in range(2):
        for _ in range(accounts.FAILURES):
            assert not tried(office, "wrong")
        assert not tried(office, PASSWORD)
        office.world.clock.advance(accounts.LOCK_SECONDS + 1)
    for _ in range(accounts.FAILURES - 1):
        assert not tried(office, "wrong")
    assert tried(office, PASSWORD)


def test_a_link_signs_in_one_of_many_who_open_it_at_once(office: Office) -> None:
    add(office)
    key = accounts.make_link(office.panel, "anna")
    taken = at_once(lambda _: office.panel.store.take_link(accounts.digest(key)))
    assert sum(each is not None for each in taken) == 1


def test_a_link_that_is_taken_ends_every_session_and_link_of_its_person_and_nobody_elses(
    office: Office,
) -> None:
    anna, bert, store = add(office), add(office, "bert"), office.panel.store
    assert opened(office, anna, "annas")
    assert opened(office, bert, "berts")
    key = accounts.make_link(office.panel, "anna")
    assert store.take_link("no such link") is None
    assert store.session("annas", idle=100.0) is not None
    taken = store.take_link(accounts.digest(key))
    assert taken is not None
    assert (taken.id, taken.password) == (anna, None)
    assert store.session("annas", idle=100.0) is None
    assert store.session("berts", idle=100.0) is not None
    assert office.world.rows("SELECT user_id FROM rm_session") == [{"user_id": bert}]


def test_a_link_of_somebody_inactive_ends_no_session_and_takes_no_password(office: Office) -> None:
    add(office, "boss", Role.ADMIN)
    anna, store = add(office), office.panel.store
    key = accounts.make_link(office.panel, "anna")
    for active in (0, 1):
        # Not by the store, which would end the link.
        with office.world.engine.begin() as connection:
            connection.execute(
                text("UPDATE rm_user SET is_active = :a WHERE id = :id"), {"a": active, "id": anna}
            )
        if not active:
            assert store.take_link(accounts.digest(key)) is None
    assert tried(office, PASSWORD)


def test_a_session_is_opened_only_where_the_password_is_still_the_one_that_fitted(office: Office) -> None:
    add(office, "boss", Role.ADMIN)
    anna, store = add(office), office.panel.store
    assert not opened(office, anna, "another", password="another password")
    assert not store.open_session(anna, password=None, digest="none", expires_in=100.0)
    assert not opened(office, 9999, "nobody")
    assert store.change_user(anna, is_active=False)
    assert not opened(office, anna, "inactive")
    assert store.change_user(anna, is_active=True)
    assert office.world.rows("SELECT id FROM rm_session") == []
    assert accounts.user_named(office.panel, "anna").last_login_at is None
    assert opened(office, anna, "right")


def test_a_reset_beside_a_sign_in_leaves_no_session_of_the_old_password(office: Office) -> None:
    anna, store = add(office), office.panel.store
    for number in range(MANY):
        hashed = office.panel.passwords.hashed(PASSWORD)
        assert store.set_password(anna, hashed)

        def act(which: int, digest: str = f"session{number}") -> bool:
            return opened(office, anna, digest) if which else store.set_password(anna, "plain:another")

        at_once(act, 2)
        assert store.session(f"session{number}", idle=100.0) is None


def test_who_was_signed_out_meanwhile_sets_no_password(office: Office) -> None:
    anna, bert, store = add(office), add(office, "bert"), office.panel.store
    assert opened(office, anna, "annas")
    assert opened(office, bert, "berts")
    mine, other = (store.session(each, idle=100.0) for each in ("annas", "berts"))
    assert mine is not None
    assert other is not None
    before = mine.user.password
    assert not store.set_password(anna, "plain:stolen", keep_session=other.id)
    assert store.set_password(anna, "plain:another", keep_session=mine.id)
    assert store.session("annas", idle=100.0) is not None
    store.end_sessions(anna)
    assert not store.set_password(anna, "plain:stolen", keep_session=mine.id)
    found = accounts.user_named(office.panel, "anna").password
    assert found == "plain:another" != before


def test_two_admins_who_demote_each_other_at_once_leave_one(office: Office) -> None:
    ids = [add(office, "anna", Role.ADMIN), add(office, "bert", Role.ADMIN)]
    done = at_once(lambda number: office.panel.store.change_user(ids[number], role=Role.VIEWER), 2)
    assert sorted(done) == [False, True]
    assert [each.role for each in office.panel.store.users()].count(Role.ADMIN) == 1


def test_one_name_is_given_once_however_many_ask_for_it(office: Office) -> None:
    store = office.panel.store
    made = at_once(lambda _: store.add_user("anna", role=Role.VIEWER, password=None, by="tests"))
    assert sum(each is not None for each in made) == 1


def test_what_has_ended_is_dropped_and_nothing_else(office: Office) -> None:
    anna, store = add(office), office.panel.store
    for number in range(3):
        assert opened(office, anna, f"session{number}", lasts=100.0 * (number + 1))
    store.add_link(anna, digest="link", expires_in=50.0)
    office.token()
    (token,) = store.tokens()
    store.begin_keyed(token.id, "old", request="r", expires_in=50.0)
    store.begin_keyed(token.id, "new", request="r", expires_in=500.0)
    office.world.clock.advance(150)
    assert store.drop_ended() == 3
    assert store.drop_ended() == 0
    assert [store.session(f"session{number}", idle=9999.0) is not None for number in range(3)] == [
        False,
        True,
        True,
    ]


def test_ending_the_sessions_of_one_ends_nobody_elses(office: Office) -> None:
    anna, bert, store = add(office), add(office, "bert"), office.panel.store
    assert opened(office, anna, "annas")
    assert opened(office, bert, "berts")
    store.add_link(bert, digest="berts link", expires_in=100.0)
    store.end_sessions(anna)
    assert store.session("annas", idle=100.0) is None
    assert store.session("berts", idle=100.0) is not None
    assert store.link_owner("berts link") is not None


@pytest.mark.parametrize("name", ["a\x00b", "\udcff", "", "x" * 70_000, "ANNA\u0130", "'; --"])
def test_a_name_that_no_database_takes_is_nobodys(office: Office, name: str) -> None:
    add(office)
    assert accounts.find_user(office.panel, name) is None
    with pytest.raises(NotLetIn):
        accounts.sign_in(office.panel, name=name, password=PASSWORD)


def test_the_record_takes_whatever_was_asked_for(office: Office) -> None:
    store = office.panel.store
    number = store.begin_action(
        by="x" * 500,
        via="panel",
        action="site.add",
        target="\x00\udcff" + "y" * 500,
        detail={"a\x00": "b\udcff", "many": ["1", "2"], "emoji": "\U0001f600"},
    )
    store.end_action(number, "refused: \x00" + "z" * 5000)
    (noted,) = store.actions(before=None, limit=5)
    assert (len(noted.by), len(noted.target), len(noted.outcome)) == (80, 255, 1000)
    assert noted.detail == {"a": "b?", "many": ["1", "2"], "emoji": "\U0001f600"}
    assert store.actions(before=noted.id, limit=5) == ()
    assert store.actions(before=None, limit=5, by="anna\x00") == ()
