"""What the overview tells of many orders in few numbers, and runs page by page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from app.ports.store import OrderSummary, Run


@dataclass(frozen=True, slots=True)
class Verdict:
    """The latest certificate of a site in a word: whether all was there, and the same, up to `until`."""

    complete: bool
    until: datetime
    made_at: datetime


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """How the orders of one site stand.

    `pending` are those that were written and are not exported; `stopped` of them are not in motion: a person has to see to them.
    `money` is what the orders with an open error are worth, `took` how long the latest exports took from the checkout on, in seconds.
    """

    pending: int = 0
    stopped: int = 0
    moving: int = 0
    held: int = 0
    errors: int = 0
    money: Mapping[str, Decimal] = field(default_factory=dict)
    verdict: Verdict | None = None
    took: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour of the clock (UTC): how many orders were first seen in it, and how many exported."""

    begins: datetime
    arrived: int
    exported: int


@dataclass(frozen=True, slots=True)
class Figures:
    """How everything stands at `now`. `sites` are by id, those that were removed as well where anything of them is open.

    `last_hour` and `last_day` are how many orders were first seen in the last 60 minutes and 24 hours.
    """

    now: datetime
    sites: Mapping[int, SiteFigures]
    hours: tuple[Hour, ...]
    last_hour: int
    last_day: int


class DashboardStore(Protocol):
    """What the overview and the pages of runs ask. The number of statements depends on nothing, the rows are bounded."""

    def figures(self, *, hours: int, exports: int) -> Figures:
        """How everything stands, with the last so many hours, and of each site the latest so many exports of the last 24 hours."""
        ...

    def runs_before(
        self, *, site_id: int | None, kind: str | None, before: int | None, limit: int
    ) -> tuple[Run, ...]:
        """The latest runs with ids below `before`, the newest first; of a run that goes on the counts are taken now."""
        ...

    def stopped_in(self, run_id: int, *, after: int, limit: int) -> tuple[OrderSummary, ...]:
        """The next orders of this run that did not go through, ascending, beyond the thread `after`."""
        ...
