"""The audit trail: what the store shows of it, and what it takes to prove it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class TrailEvent:
    """One event of an order. `detail` are its facts; `payload` what lies apart, None where there is none or it was erased.

    `number` counts the order's events from 1; `digest` is that of the payload's text, `mac` its seal. All three are empty for
    what was noted before events were sealed.
    """

    id: int
    at: datetime
    stage: str
    event: str
    by: str
    detail: Mapping[str, Any]
    number: int | None
    digest: str
    mac: str
    payload: str | None = None
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Trail:
    """An order's events in order, and what its row says of them. `bodies` are the digests of the raw bodies, by version."""

    thread_id: int
    order_number: str
    platform_order_id: str
    site: str
    count: int
    head: str
    erased_at: datetime | None
    events: Sequence[TrailEvent]
    bodies: Mapping[int, str]


class AuditStore(Protocol):
    """Reading the audit trail."""

    def trails(self, *, after: int, limit: int) -> tuple[Trail, ...]:
        """The trails of orders with row ids beyond `after`, ascending: with payloads, from the archive as well."""
        ...

    def trail_of(self, thread_id: int) -> Trail:
        """The trail of one order, with payloads, from the archive as well."""
        ...

    def threads_of(self, key: str) -> tuple[int, ...]:
        """The row ids of the orders with this number, or else this platform's id, the newest first."""
        ...
