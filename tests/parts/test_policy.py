"""The one table that says what follows a failure."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.road import HOLD_SKU
from app.errors import Hold, Misconfigured, OrderSyncError, Reject, Retry, Unknown, UsageError
from app.sync.policy import (
    HOLD_MAINTENANCE,
    HOLD_SETTINGS,
    SHORT,
    Later,
    Person,
    after,
    next_look,
    pause_until,
)
from tests.domain.profile import REPEATABLE

NOW = datetime(2026, 3, 17, 12, 0, 0, tzinfo=UTC)
VISIBILITY_TIMEOUT = timedelta(seconds=600)


def least(_seconds: float) -> float:
    return 0.0


def most(seconds: float) -> float:
    return seconds


def decide(error: OrderSyncError, *, attempts: int = 1, waited: timedelta | None = None) -> Later | Person:
    since = None if waited is None else NOW - waited
    return after(error, attempts=attempts, waiting_since=since, now=NOW, spread=lambda seconds: seconds / 2)


def seconds_of(found: Later | Person) -> float:
    assert isinstance(found, Later)
    return (found.at - NOW).total_seconds()


def test_a_rejection_goes_to_a_person_at_once_with_its_kind_and_field() -> None:
    found = decide(Reject("The kit is circular.", kind="kit", field="/lines/0"), attempts=1)
    assert found == Person(kind="kit", reason="The kit is circular.", field="/lines/0")


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 5), (2, 10), (3, 20), (4, 40), (8, 640), (9, 900), (40, 900), (10**9, 900)]
)
def test_a_retry_waits_twice_as_long_each_time_up_to_a_quarter_of_an_hour(
    attempts: int, seconds: float
) -> None:
    assert decide(Retry("Later."), attempts=attempts) == Later(
        at=NOW + timedelta(seconds=seconds), reason="Later."
    )


@pytest.mark.parametrize(("asked", "seconds"), [(0.0, 5.0), (3.0, 5.0), (120.0, 120.0), (3600.0, 3600.0)])
def test_a_retry_never_comes_before_the_peer_asked_for_it(asked: float, seconds: float) -> None:
    assert seconds_of(decide(Retry("Later.", after=asked))) == seconds


@pytest.mark.parametrize("asked", [1e9, 1e12, 1e15, float("inf")])
def test_a_peer_that_asks_for_an_endless_wait_does_not_break_the_step(asked: float) -> None:
    assert isinstance(decide(Retry("Later.", after=asked)), Later)


@pytest.mark.parametrize(
    ("kind", "seconds"), [(HOLD_SKU, 60), (HOLD_SETTINGS, 60), (HOLD_MAINTENANCE, 60), ("else", 60)]
)
def test_a_hold_waits_with_its_kind(kind: str, seconds: float) -> None:
    found = decide(Hold("Not known yet.", kind=kind))
    assert found == Later(at=NOW + timedelta(seconds=seconds), reason="Not known yet.", hold_kind=kind)


def test_a_hold_until_a_moment_comes_back_within_a_minute_of_it_however_long_it_waited() -> None:
    until = NOW + timedelta(hours=9)
    hold = Hold("Maintenance.", kind=HOLD_MAINTENANCE, until=until)
    for spread, late in ((least, 0), (most, 60)):
        found = after(hold, attempts=99, waiting_since=NOW - timedelta(days=90), now=NOW, spread=spread)
        assert found == Later(
            at=until + timedelta(seconds=late), reason="Maintenance.", hold_kind=HOLD_MAINTENANCE
        )


def test_wrong_settings_hold_the_order_for_five_minutes_each_time() -> None:
    for attempts in (1, 50):
        assert decide(Misconfigured("No account."), attempts=attempts) == Later(
            at=NOW + timedelta(minutes=5), reason="No account.", hold_kind=HOLD_SETTINGS
        )
    assert pause_until(NOW) == NOW + timedelta(minutes=5)


_SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("error", "age", "person"),
    [
        (
            Retry("Away."),
            timedelta(hours=72),
            Person(kind="gave_up", reason="Tried for 72 hours in vain. Away."),
        ),
        (
            Hold("Unknown SKU.", kind=HOLD_SKU),
            timedelta(hours=48),
            Person(kind=HOLD_SKU, reason="Waited for 48 hours in vain. Unknown SKU."),
        ),
    ],
    ids=["retry", "hold"],
)
def test_what_waits_too_long_goes_to_a_person(error: OrderSyncError, age: timedelta, person: Person) -> None:
    assert isinstance(decide(error, waited=age - _SECOND), Later)
    assert isinstance(decide(error, attempts=10**6, waited=None), Later)
    assert decide(error, waited=age) == person


def test_the_age_at_which_a_held_order_goes_to_a_person_can_be_set() -> None:
    found = after(
        Hold("Unknown SKU.", kind=HOLD_SKU),
        attempts=1,
        waiting_since=NOW - timedelta(hours=2),
        now=NOW,
        spread=least,
        hold_age=timedelta(hours=2),
    )
    assert found == Person(kind=HOLD_SKU, reason="Waited for 2 hours in vain. Unknown SKU.")


def test_a_write_in_doubt_is_never_given_up() -> None:
    found = decide(Unknown("No answer."), attempts=99, waited=timedelta(days=365))
    assert found == Later(at=NOW + timedelta(seconds=900), reason="No answer.")


@pytest.mark.parametrize("error", [Misconfigured("No account."), UsageError("No such platform.")])
def test_settings_that_cannot_work_are_never_held_against_the_orders(error: OrderSyncError) -> None:
    found = decide(error, waited=timedelta(days=365))
    assert found == Later(at=NOW + timedelta(minutes=5), reason=error.reason, hold_kind=HOLD_SETTINGS)


def test_an_error_without_a_rule_is_a_fault_of_the_program() -> None:
    with pytest.raises(AssertionError, match="no rule for OrderSyncError"):
        decide(OrderSyncError("What?"))


errors = st.sampled_from(
    [Retry("a"), Retry("a", after=30.0), Hold("b", kind=HOLD_SKU), Misconfigured("c"), Unknown("d")]
)


@REPEATABLE
@given(error=errors, attempts=st.integers(0, 10**6), share=st.floats(0, 1))
def test_every_wait_is_above_zero_and_at_most_the_cap_and_its_spread(
    error: OrderSyncError, attempts: int, share: float
) -> None:
    found = after(
        error, attempts=attempts, waiting_since=None, now=NOW, spread=lambda seconds: seconds * share
    )
    assert 0 < seconds_of(found) <= 900 * 1.1
    assert found.reason == error.reason


@REPEATABLE
@given(error=errors, attempts=st.integers(1, 100))
def test_no_wait_is_shorter_than_the_one_before(error: OrderSyncError, attempts: int) -> None:
    assert seconds_of(decide(error, attempts=attempts)) <= seconds_of(decide(error, attempts=attempts + 1))


@REPEATABLE
@given(asked=st.floats(0, 10**6), attempts=st.integers(1, 100), share=st.floats(0, 1))
def test_what_the_peer_asked_for_is_honoured_up_to_an_hour(asked: float, attempts: int, share: float) -> None:
    found = after(
        Retry("a", after=asked),
        attempts=attempts,
        waiting_since=None,
        now=NOW,
        spread=lambda seconds: seconds * share,
    )
    assert seconds_of(found) >= min(asked, 3600.0) - 1e-6


@REPEATABLE
@given(
    late=st.timedeltas(timedelta(seconds=1), timedelta(hours=1)),
    gone=st.timedeltas(timedelta(0), timedelta(hours=2)),
)
def test_a_write_in_doubt_is_looked_up_again_and_once_exactly_when_it_can_no_longer_arrive(
    late: timedelta, gone: timedelta
) -> None:
    now = NOW + gone
    at = next_look(intent_at=NOW, now=now, late=late)
    assert now < at <= now + max(late / 10, timedelta(seconds=0.5))
    if now < NOW + late:
        assert at <= NOW + late


def test_waits_that_are_task_retries_stay_well_below_the_visibility_timeout() -> None:
    assert SHORT * 2 <= VISIBILITY_TIMEOUT
