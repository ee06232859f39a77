"""Lists for programs: newest first, a page at a time, each page beginning below the id at which the one before it ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from app.domain.road import Stage, State
from app.ports.certificates import Certificate
from app.ports.desk import ErrorFilter
from app.ports.error_counts import FoundError
from app.ports.reporting import OrderFilter


@dataclass(frozen=True, slots=True)
class ListFilter(OrderFilter):
    """Which orders are listed. `updated_since` is when anything of them was last changed; `amended`: a later version waits, or not."""

    number: str | None = None
    run_id: int | None = None
    updated_since: datetime | None = None
    amended: bool | None = None


@dataclass(frozen=True, slots=True)
class ListedOrder:
    """One order in a list. `order_date_raw` is the platform's own string; both are None where the order was never written."""

    id: int
    order_number: str
    platform_order_id: str
    site: str
    run_id: int | None
    state: State
    stage: Stage
    reason: str
    hold_kind: str
    waiting_since: datetime | None
    next_at: datetime | None
    amended: bool
    total: Decimal | None
    currency: str | None
    order_date: datetime | None
    order_date_raw: str | None
    seen_at: datetime
    updated_at: datetime
    acknowledged_at: datetime | None
    exported_at: datetime | None
    erp_document: str


@dataclass(frozen=True, slots=True)
class KindSums:
    """How many errors there are of a kind, and what their orders are worth together, by currency."""

    kind: str
    errors: int
    money: Mapping[str, Decimal]


class ListingStore(Protocol):
    """Pages of what there is, newest first: at most `limit` with ids below `before`, or the first ones."""

    def listed_orders(
        self, wanted: ListFilter, *, before: int | None, limit: int
    ) -> tuple[ListedOrder, ...]: ...
    def listed_errors(
        self, wanted: ErrorFilter, *, before: int | None, limit: int
    ) -> tuple[FoundError, ...]: ...
    def listed_certificates(
        self, site_id: int, *, before: int | None, limit: int
    ) -> tuple[Certificate, ...]: ...
    def listed_order(self, order_id: int) -> ListedOrder | None:
        """The order with this id."""
        ...

    def order_with_id(self, order_id: int) -> Mapping[str, Any] | None:
        """All that is known of the order with this id, as `order_details`."""
        ...

    def error_kinds(self, wanted: ErrorFilter) -> tuple[KindSums, ...]:
        """How many of these errors there are of each kind, and the money at risk, by kind."""
        ...
