"""How fresh a site is: when it was last read to the end, and how long ago that may be. One rule for the overview and the alerts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from croniter import croniter

from app.domain.windows import WEEK, Window, closed_until
from app.errors import OrderSyncError
from app.ports.store import ErpRow, Site
from app.sync.options import site_options
from app.sync.parts import Parts, windows_of

MARGIN = timedelta(minutes=15)
"""A reading that waits for its turn, or for its account's limits, is not late yet."""

_MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Freshness:
    """`read_at` is when the last complete reading ended, None for never; `since` is what its age is counted from.

    `target` is how old it may be. `is_due`: the site is switched on and its ERP not in maintenance, so that it ought to be fresh.
    """

    read_at: datetime | None
    since: datetime
    target: timedelta
    is_due: bool
    age: timedelta

    @property
    def is_late(self) -> bool:
        """Whether a person should look."""
        return self.is_due and self.age > self.target


def target(settings: Mapping[str, Any]) -> timedelta:
    """How old the last reading of a site may be: `fresh_minutes` of its settings, else its schedule's longest gap and a margin."""
    minutes = settings.get("fresh_minutes")
    if minutes:
        return timedelta(minutes=int(minutes))
    return longest_gap(site_options(settings).schedule) + MARGIN


@lru_cache(maxsize=256)
def longest_gap(schedule: str) -> timedelta:
    """The longest time between two moments of a schedule that begin within a week; of one that is rarer, between the next two."""
    moments = croniter(schedule, _MONDAY - timedelta(seconds=1))
    # A schedule that names no day is the same every day, and there may be one moment for each minute.
    span = timedelta(days=1) if schedule.split()[2:] == ["*", "*", "*"] else WEEK
    moment: datetime = moments.get_next(datetime)
    end, longest = moment + span, timedelta(0)
    while moment < end:
        following: datetime = moments.get_next(datetime)
        longest, moment = max(longest, following - moment), following
    return longest


def freshness(
    parts: Parts,
    site: Site,
    *,
    now: datetime,
    read_at: datetime | None,
    created_at: datetime,
    windows: tuple[Window, ...],
) -> Freshness:
    """How fresh a site is. What lies before the end of its ERP's last maintenance window is no age: nothing is read within one.

    `windows` are those of its ERP.
    """
    early = timedelta(seconds=parts.limits.soft_time_limit)
    ends = (each.current_or_next(now - WEEK)[1] for each in windows)
    since = max((read_at or created_at, *(end for end in ends if end <= now)))
    is_on = site.is_active and site.orders_sync
    return Freshness(
        read_at=read_at,
        since=since,
        target=target(site.settings),
        is_due=is_on and closed_until(now, windows=windows, early=early) is None,
        age=max(now - since, timedelta(0)),
    )


def windows_by_erp(parts: Parts, erps: Iterable[ErpRow]) -> dict[int, tuple[Window, ...]]:
    """The maintenance windows of these ERPs by their ids; none of a system that this program does not know any more."""
    found: dict[int, tuple[Window, ...]] = {}
    for row in erps:
        try:
            found[row.id] = windows_of(parts, row)
        except OrderSyncError:
            # Whatever else is looked at is no worse for it.
            found[row.id] = ()
    return found


def windows_of_site(site: Site, windows: Mapping[int, tuple[Window, ...]]) -> tuple[Window, ...]:
    """Of `windows_by_erp` of all ERPs those that the site's orders wait for; none where it is not known which ERP they go to."""
    only = next(iter(windows)) if len(windows) == 1 else None
    return windows.get(site.erp_id or only or 0, ())
