"""Reading without losing: where a read starts, what a page adds, and where the cursor may stand afterwards. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last stored row of a site: its modified time (UTC) and platform order id."""

    modified_at: datetime
    platform_order_id: str


@dataclass(frozen=True, slots=True)
class Position:
    """Where the next page is asked for: everything modified at or after `since`, page `page` of it (from 1).

    `back`: the pages of one crowded second are being read again from its end to its start, to go on at `resume`.
    """

    since: datetime | None
    page: int = 1
    back: bool = False
    resume: datetime | None = None

    @property
    def holds_cursor(self) -> bool:
        """Whether rows of this page's second may still be unread, so that the cursor must not leave it."""
        return self.page > 1 or self.back


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Where a pass over what changed goes on, should it be cut off.

    More may bear the times of an overlap than can be read in one go: a pass that began anew each time would never come to its end.
    `begun` belongs to the whole pass, however often it was cut off: for new orders the Date of its first answer, beyond which the
    cursor must not get; for the look far back when that was begun, by our clock.
    """

    position: Position
    begun: datetime


def start(cursor: Cursor | None, *, overlap: timedelta, floor: datetime | None) -> Position:
    """The first page of a run. With an overlap, because rows appear late and share seconds; never before `floor`."""
    since = None if cursor is None else cursor.modified_at - overlap
    if floor is not None and (since is None or since < floor):
        since = floor
    return Position(since=since)


def following(position: Position, *, last_modified_at: datetime | None, more: bool) -> Position | None:
    """The page after one whose last row was modified at `last_modified_at` (rows ascend), or None at the end.

    By key rather than by offset: an order edited meanwhile leaves its place, the rows behind it move up, and an offset
    would step over one of them. Only where a whole page lies in one second, which no key can split, are pages counted; then
    they are read a second time from the last to the first, because rows move only towards pages that are still to be read.
    """
    beyond = last_modified_at is not None and (position.since is None or last_modified_at > position.since)
    if position.back:
        if position.page > 1:
            return replace(position, page=position.page - 1)
        return None if position.resume is None else Position(since=position.resume)
    if position.page == 1:
        if not more:
            return None
        return Position(since=last_modified_at) if beyond else replace(position, page=2)
    if more and not beyond:
        return replace(position, page=position.page + 1)
    return replace(position, page=position.page - 1, back=True, resume=last_modified_at if beyond else None)


def jump(before: float | None, now: float, *, overlap: timedelta) -> timedelta:
    """By how much a clock was set since the platform was last read: `before` and `now` are how far it was ahead of ours.

    What lies within half the overlap is the way an answer takes, and nothing that the overlap does not cover.
    """
    moved = timedelta(seconds=0.0 if before is None else abs(now - before))
    return moved if moved > overlap / 2 else timedelta(0)


def set_back(cursor: Cursor | None, *, by: timedelta) -> Cursor | None:
    """The cursor after a clock was set: what has been modified since may be stamped as much earlier."""
    return cursor if cursor is None or not by else Cursor(cursor.modified_at - by, platform_order_id="")


WIDE_EVERY = timedelta(hours=1)
_FAR = timedelta(hours=1)
"""How far back a stamp may lie without any clock that we see having been set: an hour of summer time."""


def far_back(
    cursor: Cursor | None,
    *,
    last: datetime | None,
    clock_ahead: float | None,
    now: datetime,
    overlap: timedelta,
) -> datetime | None:
    """Since when to look for what was stamped long ago but is new, or None while it is not yet time to look again.

    `last` is when that was looked for before, by our clock. What has come since then is stamped an hour before it at most.
    """
    if cursor is None or (last is not None and timedelta(0) <= now - last < WIDE_EVERY):
        return None
    begin = cursor.modified_at
    if last is not None:
        begin = min(begin, last + timedelta(seconds=clock_ahead or 0.0))
    return begin - _FAR - 2 * overlap


def cursors(
    cursor: Cursor | None,
    *,
    rows: Sequence[tuple[datetime | None, str]],
    position: Position,
    answered_at: datetime,
    overlap: timedelta,
) -> dict[int, Cursor | None]:
    """The cursor after each number of stored rows of a page, from none to all. `rows` are (modified, platform order id).

    `answered_at` is the Date of the run's first answer: what was modified after it may lie on a page already read.
    """
    found = {0: cursor}
    waits = position.holds_cursor and position.since is None
    for count, (modified_at, platform_order_id) in enumerate(rows, start=1):
        if modified_at is not None and not waits:
            limit = position.since if position.holds_cursor and position.since is not None else modified_at
            last = Cursor(modified_at=min(modified_at, limit), platform_order_id=platform_order_id)
            cursor = advanced(cursor, last=last, answered_at=answered_at, overlap=overlap)
        found[count] = cursor
    return found


def advanced(
    cursor: Cursor | None, *, last: Cursor, answered_at: datetime, overlap: timedelta
) -> Cursor | None:
    """The cursor after `last` was stored: never backwards, never beyond the answer's own `Date` minus the overlap.

    A platform clock that runs ahead stamps orders with times to come; a cursor pinned there would step over what is
    modified until then.
    """
    if last.modified_at > answered_at - overlap:
        last = Cursor(modified_at=answered_at - overlap, platform_order_id="")
    if cursor is not None and last.modified_at <= cursor.modified_at:
        return cursor
    return last
