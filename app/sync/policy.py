"""The only table that says what happens after a failure: later, or a person. No retry numbers elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.road import HOLD_SKU
from app.errors import Hold, Misconfigured, OrderSyncError, Reject, Retry, Unknown, UsageError

SHORT = timedelta(seconds=300)
"""Waits up to this are Celery's task retry; longer ones live in the row alone. Well below the visibility timeout of 600 s."""

MAX_UNSETTLED = 5
"""A row claimed this often without an outcome kills its process each time; a person has to look."""

MAX_LOOKS_CUT_OFF = 20
"""The same for a row of which something may be in the ERP: it is looked up so often before a person has to look."""

SWEEPS_BEFORE_RINGING_AGAIN = 3
"""A due row that was rung so many sweeps ago and still waits is rung again: its message was lost, or will do no harm."""

ENOUGH_WAITING = 100
"""Messages. While so many wait for a worker, what is due most likely has its message among them."""

RUNG_AMONG_MANY = 100
"""Rows that a sweep rings of each kind all the same: one that did lose its message comes to its turn in any flood."""

HOOKS_CHECKED_EVERY = timedelta(days=1)
"""How often it is seen that a platform still sends its webhooks."""

LOOKS_AFTER_A_LOST_REPLY = 2
"""How often what became of a registration is looked up, and the rest done, before its failure is told."""

DELIVERIES_KEPT = timedelta(days=14)
"""Longer than any sender repeats a delivery: a repeat is known by the row of the first."""

HOLD_MAINTENANCE = "maintenance"
HOLD_SETTINGS = "settings"

_FIRST, _CAP = 5.0, 900.0
_FIRST_BY_HOLD = {HOLD_SKU: 60.0, HOLD_SETTINGS: 60.0, HOLD_MAINTENANCE: 60.0}
_RETRY_AGE = timedelta(hours=72)
HOLD_AGE = timedelta(hours=48)
"""How long an order waits for the world before it is a person's, where its site says nothing else."""
_PAUSE = timedelta(minutes=5)
_LONGEST_ASKED = 3600.0
_READ_AGAIN = 120.0
_BREAKER_OPENS = 3
_TELL_AGAIN = 60.0
_TELLING_AGE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Later:
    """Try again at `at`, or once the items are known that it waits for. `hold_kind` is empty for a plain retry."""

    at: datetime
    reason: str
    hold_kind: str = ""
    waits_for: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Person:
    """A person has to look."""

    kind: str
    reason: str
    field: str | None = None


def after(  # noqa: PLR0911 - a table: one answer for each kind of failure
    error: OrderSyncError,
    *,
    attempts: int,
    waiting_since: datetime | None,
    now: datetime,
    spread: Callable[[float], float],
    hold_age: timedelta = HOLD_AGE,
) -> Later | Person:
    """What follows a failure of an order or an owed step that has been tried `attempts` times and waits since then."""
    waited = timedelta(0) if waiting_since is None else now - waiting_since
    match error:
        case Reject():
            return Person(kind=error.kind, reason=error.reason, field=error.field)
        case Hold(kind=kind, until=until) if until is not None:
            return Later(at=until + timedelta(seconds=spread(60.0)), reason=error.reason, hold_kind=kind)
        case Hold(kind=kind):
            if waited >= hold_age:
                return Person(kind=kind, reason=f"Waited for {_hours(waited)} hours in vain. {error.reason}")
            return Later(
                at=now + _backoff(attempts, _FIRST_BY_HOLD.get(kind, 60.0), spread),
                reason=error.reason,
                hold_kind=kind,
                waits_for=error.waits_for,
            )
        case Misconfigured() | UsageError():
            # Never the orders' fault, however long it takes: the site or the ERP is paused and says why.
            return Later(at=now + _PAUSE, reason=error.reason, hold_kind=HOLD_SETTINGS)
        case Retry(after=asked):
            if waited >= _RETRY_AGE:
                return Person(
                    kind="gave_up", reason=f"Tried for {_hours(waited)} hours in vain. {error.reason}"
                )
            wait = max(
                _backoff(attempts, _FIRST, spread), timedelta(seconds=min(asked or 0.0, _LONGEST_ASKED))
            )
            return Later(at=now + wait, reason=error.reason)
        case Unknown():
            return Later(at=now + _backoff(attempts, _FIRST, spread), reason=error.reason)
        case _:
            raise AssertionError(f"no rule for {type(error).__name__}")


def _backoff(attempts: int, first: float, spread: Callable[[float], float]) -> timedelta:
    """Growing, capped, and spread by a fifth so that those who failed together do not come back together."""
    seconds = min(_CAP, first * 2.0 ** min(max(attempts - 1, 0), 16))
    return timedelta(seconds=seconds * 0.9 + spread(seconds * 0.2))


def _hours(span: timedelta) -> int:
    return round(span.total_seconds() / 3600)


def pause_until(now: datetime) -> datetime:
    """How long a site or an ERP with settings that cannot work is left alone before it is tried again."""
    return now + _PAUSE


def read_again_at(now: datetime, *, asked: float | None, failures: int = 1) -> datetime:
    """When a site whose reading failed is read again. `asked` is the platform's Retry-After.

    `failures` in a row, this one counted, make the pause grow: a site that is away is asked less and less often.
    """
    pause = min(_CAP, _READ_AGAIN * 2.0 ** min(failures - 1, 16))
    return now + timedelta(seconds=max(pause, min(asked or 0.0, _LONGEST_ASKED)))


def go_on_after(asked: float | None) -> timedelta:
    """How long a reading waits that its account's limits hold. `asked`: seconds until there is room again."""
    return timedelta(seconds=min(max(_FIRST, asked or 0.0), _LONGEST_ASKED))


def is_open_breaker(failures: int) -> bool:
    """Whether a site has failed so often in a row that its schedule no longer counts.

    One reading in a quarter of an hour asks then whether it is back. Apart from this, an account whose calls fail in a row, a
    site's or an ERP's, is left alone for seconds or minutes by its limiter (`app.transport.limits`), which looks at calls and not
    at readings: what meets that is a `Retry` like any other, and a reading that meets it has failed. One that its own limits hold
    (`Held`) has not.
    """
    return failures >= _BREAKER_OPENS


def tell_again_at(now: datetime, *, made_at: datetime, attempts: int) -> datetime | None:
    """When a target that could not be told of an alert is tried again, in growing pauses; None once it is given up."""
    if now - made_at >= _TELLING_AGE:
        return None
    return now + timedelta(seconds=min(_LONGEST_ASKED, _TELL_AGAIN * 2.0 ** min(attempts - 1, 16)))


def next_look(*, intent_at: datetime, now: datetime, late: timedelta) -> datetime:
    """When a write in doubt is looked up next: often enough to be found soon, and once T_LATE has passed."""
    pause = max(late / 10, timedelta(seconds=0.5))
    last = intent_at + late
    return min(now + pause, last) if now < last else now + pause
