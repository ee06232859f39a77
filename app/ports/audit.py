"""The audit trail: what the store shows of it, and what it takes to prove it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    """An order's events in order, and what its row says of them.

    `bodies` are the digests of the raw bodies, by version; empty for one that was erased. `completed` are those of the bodies
    with the parts that were asked for apart, where there are such.
    """

    thread_id: int
    order_number: str
    platform_order_id: str
    site: str
    count: int
    head: str
    erased_at: datetime | None
    events: Sequence[TrailEvent]
    bodies: Mapping[int, str]
    completed: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Received:
    """One version of an order as the platform showed it. `completed` has the parts that were asked for apart.

    `body` is empty where it was erased. `modified_raw` is the platform's own word for when it was changed.
    """

    version: int
    status: str
    modified_raw: str
    read_at: datetime
    body: str
    completed: str | None


@dataclass(frozen=True, slots=True)
class PastError:
    """An error that an order had, or has where `resolved_at` is None."""

    id: int
    stage: str
    kind: str
    reason: str
    field: str | None
    opened_at: datetime
    resolved_at: datetime | None
    resolution: str | None


@dataclass(frozen=True, slots=True)
class PastRepair:
    """What a person changed of an order. `before` and `after` are JSON texts."""

    layer: str
    pointer: str
    before: str
    after: str
    by: str
    reason: str
    at: datetime
    ended_at: datetime | None
    ended: str


@dataclass(frozen=True, slots=True)
class History:
    """All that is stored of how one order came to be as it is."""

    trail: Trail
    state: str
    stage: str
    reason: str
    amended_version: int | None
    archived_at: datetime | None
    received: Sequence[Received]
    errors: Sequence[PastError]
    repairs: Sequence[PastRepair]


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

    def history_of(self, thread_id: int) -> History:
        """All that is stored of one order's life, from the archive as well."""
        ...

    def ownerless_events(self) -> tuple[int, ...]:
        """The order rows that events name and that are not there."""
        ...
