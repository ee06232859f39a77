"""What the store shows of orders that wait or need a person, and of what waits where."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class HeldOrder:
    """An order that waits for the world. `since` is when it began to wait, `next_at` when it is looked at again."""

    order_number: str
    platform_order_id: str
    site: str
    stage: str
    hold_kind: str
    reason: str
    since: datetime | None
    next_at: datetime


@dataclass(frozen=True, slots=True)
class ErrorOrder:
    """An order that needs a person, or needed one. `document` is the order so far, where it was asked for and there is one.

    `resumed` counts how often it was resumed and came back; `checked_at` is when it was last seen whether the ERP is put right.
    """

    id: int
    order_number: str
    platform_order_id: str
    site: str
    stage: str
    kind: str
    reason: str
    field: str | None
    value: Decimal | None
    currency: str | None
    attempts: int
    opened_at: datetime
    resolved_at: datetime | None
    resolution: str | None
    assignee: str | None = None
    resumed: int = 0
    resolved_by: str | None = None
    checked_at: datetime | None = None
    document: str | None = None


@dataclass(frozen=True, slots=True)
class Waits:
    """How much stands at one link of the road: due now (the oldest since `due_since`), due later, and being worked on.

    At `fetch` these are runs whose reading is owed, at every other link orders.
    """

    link: str
    due: int
    due_since: datetime | None
    later: int
    next_at: datetime | None
    leased: int


# Which errors are listed, and in which order.


@dataclass(frozen=True, slots=True)
class ErrorFilter:
    """Which errors are asked for: the open ones, with `resolved` the others too. `text` is looked for in number and reason."""

    site: str | None = None
    kind: str | None = None
    stage: str | None = None
    assignee: str | None = None
    unassigned: bool = False
    text: str = ""
    since: datetime | None = None
    resolved: bool = False


class ErrorSort(StrEnum):
    """How errors are sorted: the oldest, the dearest, by number, the most often tried first."""

    AGE = "age"
    MONEY = "money"
    ORDER = "order"
    ATTEMPTS = "attempts"


@dataclass(frozen=True, slots=True)
class ErrorSums:
    """How many errors there are, and what their orders are worth together, by currency. Orders of unknown value count as none."""

    errors: int
    money: Mapping[str, Decimal]
