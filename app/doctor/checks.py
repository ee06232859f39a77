"""Checks as values, and how they are run: all at once, each with its own time, none hiding another."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from app.errors import OrderSyncError, UsageError
from app.sync.findings import Finding, Report

SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """`look` gives what it found, or further checks to be made; it has `SECONDS` for it."""

    name: str
    look: Callable[[], "Iterable[Finding | Check]"]


@dataclass(frozen=True, slots=True)
class Begun:
    """This check is being made."""

    check: str


@dataclass(frozen=True, slots=True)
class Ended:
    """What a check found; nothing where it only led to others."""

    check: str
    findings: tuple[Finding, ...]


_Outcome = tuple["Finding | Check", ...] | BaseException


def run(checks: Sequence[Check], *, seconds: float = SECONDS) -> Iterator[Begun | Ended]:
    """Make these checks, telling of each when it is begun and when it is known. Raises `UsageError` where one of them does.

    A check that does not end in time is left behind: its thread is a daemon, and what it calls has a timeout of its own.
    """
    outcomes: queue.SimpleQueue[tuple[str, _Outcome]] = queue.SimpleQueue()
    deadlines: dict[str, float] = {}
    waiting = list(checks)
    while waiting or deadlines:
        for check in waiting:
            deadlines[check.name] = time.monotonic() + seconds
            threading.Thread(target=_make, args=(check, outcomes), daemon=True).start()
            yield Begun(check.name)
        waiting = []
        name, outcome = _next(outcomes, deadlines, seconds)
        if deadlines.pop(name, None) is None:
            continue
        if isinstance(outcome, BaseException):
            yield Ended(name, (_failed(name, outcome),))
            continue
        waiting = [each for each in outcome if isinstance(each, Check)]
        yield Ended(name, tuple(each for each in outcome if isinstance(each, Finding)))


def _make(check: Check, outcomes: "queue.SimpleQueue[tuple[str, _Outcome]]") -> None:
    try:
        outcome: _Outcome = tuple(check.look())
    except BaseException as error:  # noqa: BLE001 - whatever befalls one check, the others are still made
        outcome = error
    outcomes.put((check.name, outcome))


def _next(
    outcomes: "queue.SimpleQueue[tuple[str, _Outcome]]", deadlines: dict[str, float], seconds: float
) -> tuple[str, _Outcome]:
    """The next outcome; that of a check whose time is up is `TimeoutError`."""
    name = min(deadlines, key=lambda each: deadlines[each])
    try:
        return outcomes.get(timeout=max(0.0, deadlines[name] - time.monotonic()))
    except queue.Empty:
        return name, TimeoutError(f"There was no answer within {seconds:g} s.")


def _failed(name: str, error: BaseException) -> Finding:
    report = Report(name)
    if isinstance(error, UsageError):
        raise error
    again = f"ordersync doctor {name}"
    if isinstance(error, TimeoutError):
        return report.wrong(str(error), do=again)
    if isinstance(error, OrderSyncError):
        return report.wrong(error.reason, do=again)
    return report.wrong(
        f"The check itself failed ({type(error).__name__}: {error}).", do=f"ordersync -v doctor {name}"
    )
