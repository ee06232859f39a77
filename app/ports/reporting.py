"""What the store tells of many orders at once: rows to be exported, and the report on a month's errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from app.domain.road import State


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders are asked for. `since` is when they were first seen; `text` is looked for in number and reason."""

    site: str | None = None
    state: State | None = None
    text: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One order as it is exported to a table."""

    id: int
    order_number: str
    platform_order_id: str
    site: str
    state: State
    stage: str
    reason: str
    total: Decimal | None
    currency: str | None
    order_date: datetime | None
    seen_at: datetime
    acknowledged_at: datetime | None
    exported_at: datetime | None
    erp_document: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Counted:
    """How many errors of a site and kind were opened and resolved in a span of time, and were open at its end."""

    site: str
    kind: str
    opened: int
    resolved: int
    still_open: int


@dataclass(frozen=True, slots=True)
class OldError:
    """An error that was open at the end of the span."""

    id: int
    order_number: str
    platform_order_id: str
    site: str
    kind: str
    opened_at: datetime
    value: Decimal | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """A span of time at the error desk. Seconds are those from opening to resolving, of what was resolved in it; None for nothing.

    `at_risk` is what the orders that were open at its end are worth, by currency; `resolutions` counts how errors were resolved.
    """

    counted: tuple[Counted, ...]
    resolutions: Mapping[str, int]
    at_risk: Mapping[str, Decimal]
    oldest: tuple[OldError, ...]
    median_seconds: int | None
    longest_seconds: int | None
