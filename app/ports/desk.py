"""What the store shows of orders that wait or need a person, and of what waits where."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


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
    """An order that needs a person, or needed one. `document` is the order so far, where it was asked for and there is one."""

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
