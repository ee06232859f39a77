"""The error desk in figures, and the orders that a page of the panel or a filter means."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from app.ports.desk import ErrorFilter, ErrorOrder, ErrorSort


@dataclass(frozen=True, slots=True)
class ErrorFigures:
    """All open errors: how many there are, what their orders are worth, and how many of each kind, person and age.

    `ages` are those younger than an hour, a day, a week, and the older ones. `persons` has no entry for nobody.
    """

    errors: int
    unassigned: int
    money: Mapping[str, Decimal]
    kinds: Mapping[str, int]
    persons: Mapping[str, int]
    ages: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class FoundError:
    """One error, with the order that it is of."""

    thread_id: int
    error: ErrorOrder


@dataclass(frozen=True, slots=True)
class HeldFilter:
    """Which held orders are asked for. `waits_for` is the SKU where `kind` says that they wait for one, else their reason."""

    site: str | None = None
    kind: str | None = None
    waits_for: str | None = None


@dataclass(frozen=True, slots=True)
class HeldThread:
    """An order that is held, as a list shows it."""

    thread_id: int
    order_number: str
    platform_order_id: str
    site: str
    stage: str
    kind: str
    reason: str
    since: datetime | None
    next_at: datetime


@dataclass(frozen=True, slots=True)
class HeldGroup:
    """How many held orders wait for the same. `what` is the SKU, or the reason; empty where the kind says all."""

    kind: str
    what: str
    orders: int


class ErrorCountStore(Protocol):
    """Few numbers of many errors and holds, and pages of them. All of it is bounded, whatever there is."""

    def error_figures(self) -> ErrorFigures:
        """All open errors, in figures."""
        ...

    def found_error(self, error_id: int) -> FoundError | None:
        """The error with this id, with its document; also of an order in the archive."""
        ...

    def error_threads(
        self, wanted: ErrorFilter, *, sort: ErrorSort, reverse: bool, limit: int
    ) -> tuple[int, ...]:
        """The orders of the first so many of these errors, each once."""
        ...

    def threads_of_errors(self, error_ids: Collection[int]) -> tuple[int, ...]:
        """The orders of the errors with these ids, each once, those in the archive as well."""
        ...

    def held_count(self, wanted: HeldFilter) -> int: ...
    def held_groups(self, *, site: str | None, limit: int) -> tuple[HeldGroup, ...]:
        """What held orders wait for, the most frequent first, at most so many of those with a name of their own."""
        ...

    def held_page(self, wanted: HeldFilter, *, limit: int, offset: int) -> tuple[HeldThread, ...]:
        """These held orders, the longest wait first."""
        ...
