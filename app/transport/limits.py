"""The limiter of one process: rate, running calls, what the peer asked for, and a breaker, per account.

The breaker opens when five calls in a row got no connection, no answer or a 5xx; answers about one order (4xx) and refusals (429)
are no such failures. It stays open for a growing, jittered, capped time, in which nothing is sent, and then lets one call through:
its success closes it. It is about single calls, of an ERP as of a site, and spares each of them its timeout. What the site's row
says (`app.sync.policy`: `read_again_at`, `is_open_breaker`) is about whole readings, is kept in the database, and goes on counting:
a reading that meets an open breaker has failed like any other.

`app.limits` has the same rules as a script for all processes together; a test holds the two against each other.
"""

import hashlib
import math
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace

from app.ports.limiters import (
    Breaker,
    Ceilings,
    Change,
    Changed,
    Report,
    Usage,
    Verdict,
    Wait,
    Why,
)
from app.transport.answers import Answer

PARTS = 20
"""A window is counted in so many parts. A part counts until all of it lies outside: a request for 5 % too long at most."""
MARGIN = 0.05
"""Seconds between two questions for what ends at an unknown time."""
FAILURES_TO_OPEN = 5
FIRST_OPEN, LONGEST_OPEN = 15.0, 600.0
FIRST_BACK_OFF, LONGEST_BACK_OFF = 15.0, 600.0
"""Seconds after a 429 that does not say how long to wait; each further one doubles it (bigcommerce contract, section 10)."""
LEAST_WAIT = 1.0
"""Seconds; who asks for less, by a zero or by a time that is over, has not said how long to wait."""
JITTER = 0.25
MOST_DOUBLINGS = 16
_TOO_MANY, _SERVER_ERROR = 429, 500


def report_of(answer: Answer) -> Report:
    """What an answer says about the account, by its status and its Retry-After."""
    wait = named_wait(answer.retry_after)
    if answer.status == _TOO_MANY:
        return Report(Verdict.REFUSED, wait=wait)
    if answer.status >= _SERVER_ERROR:
        return Report(Verdict.FAILED, wait=wait, fault=f"it answered {answer.status}")
    return Report(Verdict.GOOD)


def named_wait(seconds: float | None) -> float | None:
    """The seconds that a peer asked for, None where they are no wait."""
    return None if seconds is None or seconds < LEAST_WAIT else seconds


def account_key(counted_by: Sequence[str]) -> str:
    """The account's key, which tells nothing of the credentials in it."""
    return hashlib.sha256("\n".join(counted_by).encode()).hexdigest()[:24]


@dataclass(slots=True)
class State:
    """What is known of one account. Moments are in seconds of whoever keeps it; 0 is never."""

    counts: dict[int, int] = field(default_factory=dict)
    running: dict[str, float] = field(default_factory=dict)
    slowed_until: float = 0.0
    unexplained: int = 0
    quota_size: int = 0
    quota_left: int = 0
    quota_resets: float = 0.0
    failures: int = 0
    openings: int = 0
    opened_at: float = 0.0
    open_until: float = 0.0
    probe: str = ""
    probe_until: float = 0.0
    fault: str = ""
    fault_at: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def forget(self) -> None:
        """As if the account had never been called, but for the calls that run."""
        with self.lock:
            new = State(running=self.running)
            for each in fields(self):
                if each.compare:
                    setattr(self, each.name, getattr(new, each.name))

    def used(self, ceilings: Ceilings, now: float) -> int:
        """Requests that count in the window that ends now."""
        length = ceilings.window / PARTS
        first, last = math.floor((now - ceilings.window) / length), math.floor(now / length)
        return sum(count for part, count in self.counts.items() if first <= part <= last)

    def usage(self, *, names: tuple[str, ...], ceilings: Ceilings, now: float, shared: bool) -> Usage:
        """How the account stands."""
        used = self.used(ceilings, now)
        left = max(0, ceilings.requests - used) if ceilings.requests else None
        if self.quota_size and (now < self.quota_resets or not self.quota_resets):
            used, left = self.quota_size - self.quota_left, max(0, self.quota_left)
        is_open = self.open_until > 0
        probing = is_open and now < self.probe_until
        return Usage(
            names=names,
            ceilings=ceilings,
            used=used,
            left=left,
            running=sum(1 for until in self.running.values() if until > now),
            slowed_for=max(0.0, self.slowed_until - now),
            breaker=Breaker.PROBING if probing else Breaker.OPEN if is_open else Breaker.CLOSED,
            breaker_since=max(0.0, now - self.opened_at) if is_open else 0.0,
            next_try_in=max(0.0, self.open_until - now) if is_open else 0.0,
            failures=self.failures,
            fault=self.fault,
            fault_ago=max(0.0, now - self.fault_at) if self.fault else 0.0,
            shared=shared,
        )


class LocalLimiter:
    """Implements `app.ports.limiters.Limiter` for the threads of one process. `jitter` gives a random number from 0 to 1."""

    def __init__(
        self,
        *,
        ceilings: Ceilings,
        state: State | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._ceilings = ceilings
        self._state = State() if state is None else state
        self._clock = clock
        self._jitter = jitter
        self._lock = self._state.lock

    def enter(self, *, lasts: float) -> str | Wait:
        """A place for one call, else why there is none."""
        with self._lock:
            now, state = self._clock(), self._state
            state.running = {place: until for place, until in state.running.items() if until > now}
            wait = self._held(now) or self._full(now)
            if wait is not None:
                return wait
            place = uuid.uuid4().hex
            part = math.floor(now / (self._ceilings.window / PARTS))
            state.counts[part] = state.counts.get(part, 0) + 1
            state.running[place] = now + lasts
            if state.open_until:
                state.probe, state.probe_until = place, now + lasts
            return place

    def leave(self, place: str, report: Report) -> Changed | None:
        """The call is over."""
        with self._lock:
            now, state = self._clock(), self._state
            state.running.pop(place, None)
            self._observe(report, now)
            is_probe = bool(place) and place == state.probe
            match report.verdict:
                case Verdict.GOOD:
                    state.unexplained = state.failures = 0
                    return self._close(now)
                case Verdict.REFUSED:
                    changed = self._slow(report.wait, now)
                    return (self._close(now) if is_probe else None) or changed
                case Verdict.FAILED:
                    return self._failed(report, now, is_probe=is_probe)
                case Verdict.NONE:
                    if is_probe:
                        state.probe, state.probe_until = "", 0.0
                    return None

    def slow(self, seconds: float) -> None:
        """Nothing goes out for so long: others have learned it."""
        with self._lock:
            self._state.slowed_until = max(self._state.slowed_until, self._clock() + seconds)

    def _held(self, now: float) -> Wait | None:
        state = self._state
        until = max(state.open_until, state.probe_until)
        if state.open_until and now < until:
            return Wait(Why.OPEN, until - now, state.fault)
        if now < state.slowed_until:
            return Wait(Why.SLOWED, state.slowed_until - now)
        return None

    def _full(self, now: float) -> Wait | None:
        state, ceilings = self._state, self._ceilings
        if state.quota_size:
            if state.quota_resets and now >= state.quota_resets:
                # Until an answer of the new window says when that ends.
                state.quota_left, state.quota_resets = state.quota_size, 0.0
            if state.quota_left - len(state.running) <= min(ceilings.reserve, state.quota_size // 2):
                if state.quota_resets:
                    return Wait(Why.WINDOW, state.quota_resets - now)
                if state.running:
                    return Wait(Why.WINDOW, MARGIN)
        length = ceilings.window / PARTS
        first = math.floor((now - ceilings.window) / length)
        state.counts = {part: count for part, count in state.counts.items() if part >= first}
        if ceilings.requests and sum(state.counts.values()) >= ceilings.requests:
            return Wait(Why.WINDOW, max(MARGIN, (min(state.counts) + 1) * length + ceilings.window - now))
        if len(state.running) >= ceilings.at_once:
            return Wait(Why.RUNNING, MARGIN)
        return None

    def _observe(self, report: Report, now: float) -> None:
        state, told = self._state, report.quota
        if told is None:
            if report.verdict is Verdict.FAILED and state.quota_size:
                state.quota_left -= 1  # It may have been counted.
            return
        resets, left = now + told.resets_in, told.left
        if state.quota_size and resets <= state.quota_resets + told.window / 2:
            # Answers come in another order than they were given in: within one window the lowest figure is the newest.
            left = min(left, state.quota_left)
        state.quota_size, state.quota_left, state.quota_resets = told.size, left, resets

    def _slow(self, asked: float | None, now: float) -> Changed:
        state, wait = self._state, asked
        if wait is None:
            wait = self._grown(FIRST_BACK_OFF, LONGEST_BACK_OFF, state.unexplained)
            state.unexplained = min(state.unexplained + 1, MOST_DOUBLINGS)
        state.slowed_until = max(state.slowed_until, now + wait)
        return Changed(Change.SLOWED, wait)

    def _failed(self, report: Report, now: float, *, is_probe: bool) -> Changed | None:
        state = self._state
        state.fault, state.fault_at = report.fault, now
        state.failures += 1
        if report.wait is not None:
            state.slowed_until = max(state.slowed_until, now + report.wait)
        if state.open_until and not is_probe:
            return None  # It began before the breaker opened.
        if not state.open_until:
            if state.failures < FAILURES_TO_OPEN:
                return None
            state.openings, state.opened_at = 0, now
        span = self._grown(FIRST_OPEN, LONGEST_OPEN, state.openings)
        state.openings = min(state.openings + 1, MOST_DOUBLINGS)
        state.open_until, state.probe, state.probe_until = now + span, "", 0.0
        return Changed(Change.OPENED, span)

    def _close(self, now: float) -> Changed | None:
        state = self._state
        if not state.open_until:
            return None
        opened_at = state.opened_at
        state.failures = state.openings = 0
        state.opened_at = state.open_until = state.probe_until = 0.0
        state.probe = ""
        return Changed(Change.CLOSED, now - opened_at)

    def _grown(self, first: float, longest: float, doublings: int) -> float:
        return min(first * 2.0**doublings, longest) * (1 + JITTER * self._jitter())


class LocalLimiters:
    """Implements `app.ports.limiters.Limiters` for one process."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._states: dict[str, State] = {}
        self._book = Book()

    def of(self, *, name: str, counted_by: Sequence[str], ceilings: Ceilings) -> LocalLimiter:
        """The limiter of this account."""
        key = self._book.enter(name=name, counted_by=counted_by, ceilings=ceilings)
        state = self._states.setdefault(key, State())
        return LocalLimiter(ceilings=ceilings, state=state, clock=self._clock, jitter=self._jitter)

    def forget(self, name: str) -> bool:
        """Forget what this process knows of the accounts of this name. Always False: others have their own."""
        for each in self._book.entries():
            if name in each.names:
                self._states[each.key].forget()
        return False

    def usage(self) -> tuple[Usage, ...]:
        """How each account stands in this process."""
        return tuple(
            self._states[each.key].usage(
                names=each.names, ceilings=each.ceilings, now=self._clock(), shared=False
            )
            for each in self._book.entries()
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One account that is called, by whom, and the lowest ceilings that any of them has."""

    key: str
    names: tuple[str, ...]
    ceilings: Ceilings


class Book:
    """Who calls which account in this process. Whoever is given another address calls the account there, and no longer the old one."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._keys: dict[tuple[str, str], str] = {}

    def enter(self, *, name: str, counted_by: Sequence[str], ceilings: Ceilings) -> str:
        """Note it; returns the account's key. The first of `counted_by` is the kind of system, of which a name has one account."""
        key = account_key(counted_by)
        before = self._keys.get((counted_by[0], name))
        if before not in {None, key}:
            self._leave(str(before), name)
        self._keys[counted_by[0], name] = key
        known = self._entries.get(key, Entry(key, (), ceilings))
        names = tuple(sorted({*known.names, name}))
        self._entries[key] = Entry(key, names, _lower(known.ceilings, ceilings))
        return key

    def _leave(self, key: str, name: str) -> None:
        known = self._entries[key]
        names = tuple(each for each in known.names if each != name)
        if names:
            self._entries[key] = replace(known, names=names)
        else:
            del self._entries[key]

    def entries(self) -> tuple[Entry, ...]:
        """All of them, by name."""
        return tuple(sorted(self._entries.values(), key=lambda each: each.names))


def _lower(one: Ceilings, other: Ceilings) -> Ceilings:
    requests = min(filter(None, (one.requests, other.requests)), default=0)
    return replace(
        one,
        at_once=min(one.at_once, other.at_once),
        requests=requests,
        reserve=max(one.reserve, other.reserve),
    )
