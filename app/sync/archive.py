"""Orders that have long been done go to the archive, a few at a time, so that the tables stay as small as the work is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from app.domain.words import counted
from app.errors import UsageError
from app.sync.parts import Parts

log = structlog.get_logger("ordersync.archive")

AT_ONCE = 200
"""Orders for one transaction: on SQLite all others wait for its end."""

_MOST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class ArchiveResult:
    """How many orders, with how many rows, were moved (or would be); `finished`: no more of them are left for now."""

    orders: int
    rows: int
    days: int
    finished: bool = True
    dry_run: bool = False


def ripe(parts: Parts, *, days: int) -> int:
    """How many orders would go to the archive. Raises `UsageError` for a number of days that cannot be."""
    return parts.store.archivable(before=parts.store.now() - _age(days))


def archive(
    parts: Parts,
    *,
    days: int,
    progress: Callable[[int], None] = lambda _: None,
    in_time: Callable[[], bool] = lambda: True,
) -> ArchiveResult:
    """Move the orders that are done, closed or skipped and unchanged for so many days; nothing may be open about them.

    Each transaction moves some of them whole, so that it may end anywhere and be begun again. `in_time` is asked before each.
    `progress` is told how many were moved so far. Raises `UsageError` for a number of days that cannot be.
    """
    before = parts.store.now() - _age(days)
    orders = rows = after = 0
    finished = False
    while not finished and in_time():
        moved = parts.store.archive(before=before, after=after, limit=AT_ONCE)
        orders += moved.orders
        rows += moved.rows
        finished = moved.last is None
        after = moved.last or after
        progress(orders)
    log.info("archived", orders=orders, rows=rows, days=days, finished=finished)
    return ArchiveResult(orders=orders, rows=rows, days=days, finished=finished)


def archive_nightly(parts: Parts, *, days: int) -> ArchiveResult:
    """The same, within the time of a task; with 0 days nothing is ever moved."""
    if days == 0:
        return ArchiveResult(orders=0, rows=0, days=0)
    started = parts.ticks()
    # A transaction takes a part of a second, and a task that is told to end would undo the one it is in.
    most = parts.limits.soft_time_limit / 2
    return archive(parts, days=days, in_time=lambda: parts.ticks() - started < most)


def sentence(result: ArchiveResult) -> str:
    """The outcome in a sentence or two."""
    which = f"unchanged for {counted(result.days, 'day')}"
    if result.dry_run:
        return f"{counted(result.orders, 'order')} {which} would go to the archive."
    done = f"{counted(result.orders, 'order')} {which} went to the archive, {counted(result.rows, 'row')} in all."
    return done if result.finished else f"{done} There was not enough time for the rest."


def _age(days: int) -> timedelta:
    if not 1 <= days <= _MOST_DAYS:
        raise UsageError(f"The number of days must be from 1 to {_MOST_DAYS}.")
    return timedelta(days=days)
