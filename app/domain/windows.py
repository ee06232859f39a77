"""Maintenance windows: the weekly time in which an ERP is left alone."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Window:
    """A weekly window. `weekday` 0 is Monday. `start` is the clock time in `zone`; it lasts `length`."""

    weekday: int
    start: time
    length: timedelta
    zone: str = "UTC"

    def current_or_next(self, now: datetime) -> tuple[datetime, datetime]:
        """Start and end (UTC) of the window `now` lies in, else of the next one. `now` is aware."""
        local = now.astimezone(ZoneInfo(self.zone))
        first_day = local.date() - timedelta(days=(local.weekday() - self.weekday) % 7 + 7)
        for week in range(4):
            wall = datetime.combine(first_day + timedelta(weeks=week), self.start, tzinfo=ZoneInfo(self.zone))
            # Add the length in UTC: a window of nine hours lasts nine hours, whatever the clocks do in it.
            begin = wall.astimezone(UTC)
            if now < begin + self.length:
                return begin, begin + self.length
        raise AssertionError("a weekly window comes every week")


BUSINESS_CENTRAL = Window(weekday=6, start=time(19, 0), length=timedelta(hours=9))
"""Sunday 19:00 to Monday 04:00 UTC; the owner's rule, which no setting removes."""


def closed_until(
    now: datetime, *, windows: tuple[Window, ...], early: timedelta = timedelta(0)
) -> datetime | None:
    """The moment (UTC) at which the last of the overlapping windows ends, or None while all are open.

    A window closes `early` before its start, so that no call that begins now can still run when it starts.
    """
    end: datetime | None = None
    moment = now
    moved = True
    # Windows that cover the whole week never end; a week ahead is answer enough, and it is asked again then.
    while moved and moment - now < WEEK:
        moved = False
        for window in windows:
            begin, over = window.current_or_next(moment)
            if begin - early <= moment < over:
                end, moment, moved = over, over, True
    return end
