"""What the store shows of orders that wait or need a person, and what a person can have done about them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from app.domain.order import Order
from app.domain.overlay import Change, Layer
from app.domain.road import SENT, Link, Owed, Stage, State, StepState


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


KIND_DELETED = "deleted"
"""The kind of an error whose order was tied to a document that is no longer in the ERP."""


@dataclass(frozen=True, slots=True)
class Repair:
    """A field that a person has changed, on top of what was received. `change` is over the document that `layer` names."""

    id: int
    layer: Layer
    change: Change
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DeskStep:
    """How an owed step of an order stands. `intent_at`: something may have been sent then; `document`: the ERP's number of it."""

    kind: Owed
    state: StepState
    reason: str
    intent_at: datetime | None
    document: str

    @property
    def is_sent(self) -> bool:
        """Whether what it is to bring about is there, or is on its way."""
        return self.state in SENT or bool(self.document)

    @property
    def may_exist(self) -> bool:
        """The same, or whether it may still come of an attempt that has failed: it is looked up before the next."""
        return self.is_sent or self.intent_at is not None


@dataclass(frozen=True, slots=True)
class DeskOrder:
    """One order as the desk works on it. What a person does is for the order at this `revision` and no later one.

    `body` is the raw body (completed, where it was) of its present version, `document` the order so far as it is stored;
    None where there is none. `repairs` are those in force, `errors` the open ones.
    """

    thread_id: int
    site_id: int
    site: str
    erp_id: int | None
    order_number: str
    platform_order_id: str
    stage: Stage
    state: State
    hold_kind: str
    reason: str
    version: int
    content_hash: str
    amended_version: int | None
    revision: int
    body: str | None
    document: str | None
    acknowledged_at: datetime | None
    skipped_by: str | None
    archived_at: datetime | None
    erased_at: datetime | None
    steps: tuple[DeskStep, ...]
    errors: tuple[ErrorOrder, ...]
    repairs: tuple[Repair, ...]

    @property
    def name(self) -> str:
        """Its number, or the platform's id where it has none yet."""
        return self.order_number or f"(platform id {self.platform_order_id})"

    def step(self, kind: Owed) -> DeskStep | None:
        """The owed step of this kind, where there is one."""
        return next((each for each in self.steps if each.kind is kind), None)


@dataclass(frozen=True, slots=True)
class SavedRepair:
    """What a person has changed: over which layer, what it replaces of earlier repairs, and the order as it stands with it.

    `order` is None where it can only be made at normalize; `stage` is where the order is to go on.
    """

    thread_id: int
    revision: int
    layer: Layer
    changes: tuple[Change, ...]
    withdrawn: tuple[int, ...]
    order: Order | None
    stage: Stage
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Resumption:
    """An order that is to go on: from `stage`, or None for where it stopped.

    `send_again`: a person says that the ERP's document, which is no longer there, is to be written once more.
    `read_again`: what the platform shows only in calls of its own is asked for anew.
    """

    thread_id: int
    revision: int
    run_id: int
    by: str
    stage: Stage | None = None
    send_again: bool = False
    read_again: bool = False


@dataclass(frozen=True, slots=True)
class Resumed:
    """Those that go on, by thread, and what is to be rung for them: batches and links with the site's name and run."""

    thread_ids: frozenset[int]
    batches: tuple[tuple[int, Link, str, int], ...]


class DeskStore(Protocol):
    """What the desk asks of the database. A change is for the order at a revision; a later one is left alone."""

    def desk_threads(self, key: str) -> tuple[int, ...]:
        """The orders that a key names: by number, or else all of the error with this id and by the platform's id."""
        ...

    def desk_orders(self, thread_ids: Collection[int]) -> tuple[DeskOrder, ...]:
        """These orders with all that the desk needs, by thread."""
        ...

    def open_error_threads(self, *, site: str | None, kind: str | None) -> tuple[int, ...]:
        """The orders with an open error of this site and kind, the oldest error first."""
        ...

    def unfit(self, order: Order, *, erp_id: int, thread_id: int) -> tuple[str, str] | None:
        """Why this order cannot be written: a sentence and the field; None where it can."""
        ...

    def save_repair(self, repair: SavedRepair) -> bool:
        """Store what a person has changed. False where the order is no longer at that revision; nothing is stored then."""
        ...

    def resume(self, wanted: Sequence[Resumption]) -> Resumed:
        """Let these orders go on; their open errors are resolved. Those no longer at their revision are left out."""
        ...

    def skip(self, thread_id: int, *, revision: int, reason: str, by: str) -> bool:
        """Settle an order as it is: nothing more is done for it. False where it is no longer at that revision."""
        ...

    def assign(self, thread_ids: Sequence[int], *, to: str | None, by: str) -> int:
        """Give the open errors of these orders to somebody, or to nobody. Returns how many errors."""
        ...

    def comment(self, thread_id: int, *, text: str, by: str) -> None:
        """Note in the order's life what a person has to say."""
        ...

    def held_threads(self, *, site: str | None, hold_kind: str | None) -> tuple[int, ...]:
        """The orders that are held, the longest wait first."""
        ...

    def release_known(self) -> int:
        """Make due the orders held for SKUs all of which are known by now. Returns how many there were."""
        ...

    def to_recheck(
        self, places: Collection[tuple[str, str]], *, before: datetime, limit: int
    ) -> tuple[int, ...]:
        """The orders with an open error at these stages and of these kinds that was not looked at since `before`.

        An error that came back n times is looked at 2^n times less often. They count as looked at now.
        """
        ...
