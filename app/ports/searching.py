"""Orders as they are found by what a person knows of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from app.domain.road import Stage, State


@dataclass(frozen=True, slots=True)
class Search:
    """Which orders are asked for. `text` is what a person typed; `since` is when they were first seen.

    `amended`: only those that the platform has changed since they were sent.
    """

    text: str = ""
    site: str | None = None
    state: State | None = None
    since: datetime | None = None
    amended: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a list that is sorted by id, the newest first: what is `older` than an id, or `newer`; of neither, its beginning."""

    limit: int
    older: int | None = None
    newer: int | None = None


@dataclass(frozen=True, slots=True)
class FoundOrder:
    """One order of a list. What stands in `rm_order` is None or empty where it was not written yet.

    `customer` is empty as well where it was erased.
    """

    id: int
    order_number: str
    platform_order_id: str
    site: str
    state: State
    stage: Stage
    reason: str
    total: Decimal | None
    currency: str | None
    customer: str
    order_date: datetime | None
    seen_at: datetime
    acknowledged_at: datetime | None
    exported_at: datetime | None
    erp_document: str
    updated_at: datetime
    amended: bool
    archived: bool
    erased: bool

    @property
    def key(self) -> str:
        """By what its page is found."""
        return self.order_number or self.platform_order_id


@dataclass(frozen=True, slots=True)
class OrderRows:
    """The rows of one order, by column, from the archive as well, without what is large: document and bodies.

    `thread` has the name of the order's `site`, too; `order` is None while it is not written.
    """

    thread: Mapping[str, Any]
    order: Mapping[str, Any] | None
    addresses: Sequence[Mapping[str, Any]]
    lines: Sequence[Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]
    errors: Sequence[Mapping[str, Any]]


class SearchStore(Protocol):
    """Orders as they are found by what a person knows of them."""

    def orders_with_key(self, key: str, wanted: Search) -> tuple[FoundOrder, ...]:
        """Those of the orders asked for, whatever their text, that a key names: the newest first, and not more than a hundred.

        A key is a number with or without its site's prefix, or the platform's id, or the number of the ERP's document.
        """
        ...

    def found_orders(self, wanted: Search, span: Span) -> tuple[FoundOrder, ...]:
        """These orders, the newest first.

        The text is the platform's id or an SKU; or all its words stand in number, customer's name, e-mail address or the number
        of the ERP's document. Case does not count. Orders in the archive are found by their whole numbers and ids only.
        """
        ...

    def found_ids(self, wanted: Search) -> list[int]:
        """All of these orders by their row ids, the newest first."""
        ...

    def orders_with_ids(self, ids: Sequence[int]) -> tuple[FoundOrder, ...]:
        """The orders with these row ids, the newest first."""
        ...

    def order_rows(self, thread_id: int) -> OrderRows: ...
