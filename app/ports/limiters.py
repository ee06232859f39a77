"""How often an account may be called, how many calls may run at once, and whether it is to be called at all now.

An account is what a platform counts by: a store, a shop's key, an ERP's user. All processes share what they know of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What one account takes: `requests` in any span of `window` seconds (0: as many as come), and `at_once` running calls.

    Of a quota that its answers tell of, `reserve` requests are left to others, though never more than half of it.
    """

    at_once: int
    requests: int = 0
    window: float = 60.0
    reserve: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """What an answer tells of the peer's own window: its size, what is left of it, and seconds until it ends and of its length."""

    size: int
    left: int
    resets_in: float
    window: float


class Verdict(StrEnum):
    """What a call says about the account: it works, it is asked too often, it does not work, or nothing at all."""

    GOOD = "good"
    REFUSED = "refused"
    FAILED = "failed"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a call. `wait`: seconds that the peer asked for; `fault`: what failed, in words for a person.

    `status` is by what the call is counted: the answer's status code, or `timeout`, `refused`, `reset` or `error` where there was
    none; empty where nothing was sent.
    """

    verdict: Verdict
    wait: float | None = None
    quota: Quota | None = None
    fault: str = ""
    status: str = ""


class Why(StrEnum):
    """Why a call may not go out now."""

    OPEN = "open"
    """The breaker is open: the account failed again and again."""
    SLOWED = "slowed"
    """It asked to be left alone for a while, or refused a call."""
    WINDOW = "window"
    """The requests of its window are used up."""
    RUNNING = "running"
    """As many calls are running as it takes at once."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A call may not go out now; asking again makes sense in `seconds`. `fault` is the last failure's, where the breaker is open."""

    why: Why
    seconds: float
    fault: str = ""


class Change(StrEnum):
    """What a report changed for all who call the account."""

    OPENED = "opened"
    CLOSED = "closed"
    SLOWED = "slowed"


@dataclass(frozen=True, slots=True)
class Changed:
    """`seconds`: how long the account is left alone now, or for how long the breaker was open that has closed."""

    change: Change
    seconds: float


class Limiter(Protocol):
    """One account's. Never fails and never waits for longer than it takes to find out that a server is away."""

    def enter(self, *, lasts: float) -> str | Wait:
        """A place for one call, which is given back by `leave` or ends by itself after `lasts` seconds; else why there is none."""
        ...

    def leave(self, place: str, report: Report) -> Changed | None:
        """The call is over, or was not made (`Verdict.NONE`)."""
        ...


class Breaker(StrEnum):
    """Whether calls go out: all of them, none, or one that finds out whether the account works again."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"


@dataclass(frozen=True, slots=True)
class Usage:
    """How one account stands. `names` are those of the sites and ERPs that call it; all spans are in seconds.

    `left` is None where nothing bounds the requests. `shared` is whether all processes count together, or each by itself. `answers` are
    the calls of late by name and status, where they are counted.
    """

    names: tuple[str, ...]
    ceilings: Ceilings
    used: int
    left: int | None
    running: int
    slowed_for: float
    breaker: Breaker
    breaker_since: float
    next_try_in: float
    failures: int
    fault: str
    fault_ago: float
    shared: bool
    answers: Mapping[tuple[str, str], int] = field(default_factory=dict)


class Limiters(Protocol):
    """The limiters of all accounts."""

    def of(self, *, name: str, counted_by: Sequence[str], ceilings: Ceilings) -> Limiter:
        """The limiter of the account that is told apart by `counted_by` (an address, a client's id), which is kept nowhere as it is."""
        ...

    def usage(self) -> tuple[Usage, ...]:
        """Every account that `of` was asked for, by name."""
        ...

    def forget(self, name: str) -> bool:
        """Forget what is known of the accounts that `name` calls, but for the calls that run: breaker, waits, what was counted.

        Returns whether that holds for all processes; False where each counts for itself.
        """
        ...
