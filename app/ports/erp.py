"""An ERP: where items are verified and orders end up as sales documents."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from app.domain.order import Order
from app.errors import OrderSyncError
from app.ports.examination import Examination


class ItemKind(StrEnum):
    """What the ERP does with an item: keeps stock of it, does not, or works it."""

    INVENTORY = "inventory"
    NON_INVENTORY = "non_inventory"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class ErpItem:
    """One item. `number` is in upper case. `modified_at` is aware UTC."""

    number: str
    name: str
    blocked: bool
    kind: ItemKind
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ErpCustomer:
    """One customer. `blocked` holds the ERP's own word for why it takes no orders, or an empty string."""

    number: str
    name: str
    email: str
    blocked: str = ""


@dataclass(frozen=True, slots=True)
class ErpDocument:
    """One sales document. `posted`: it has already become an invoice. `total` includes tax."""

    id: str
    number: str
    external_number: str
    customer_number: str
    total: Decimal
    currency: str
    posted: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """One order to be written. `items` tells the kinds of the kit parents it contains, by upper-case number."""

    external_number: str
    customer_number: str
    order: Order
    items: Mapping[str, ErpItem]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that wrote, and what came back, as text: without credentials, `answer` empty where none came.

    `what` says in a word or two what was written (`sales order`, `customer`).
    """

    what: str
    request: str
    answer: str


Told = Callable[[str, Exchange], None]
"""Is given each exchange as soon as it is over, with the external number of the order that it was for."""


@dataclass(frozen=True, slots=True)
class PlannedLine:
    """One line of a document as it is to be written. `net` is its amount, discount taken off, as the ERP computes it.

    `positions` are those of the order's lines that it is made of; `kind` is `item` or `account`, `number` the item's or the
    account's, `discount` an amount.
    """

    positions: tuple[int, ...]
    kind: str
    number: str
    description: str
    quantity: Decimal
    unit_price: Decimal
    discount: Decimal
    net: Decimal


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written for one draft. `request` is the text of the request, the same as its `Exchange` shows."""

    lines: tuple[PlannedLine, ...]
    request: str


class Erp(Protocol):
    """Raises `Retry` (reads), `Unknown` (writes), `Reject` or `Misconfigured`, and no other failures."""

    @property
    def slice_size(self) -> int:
        """How many documents one request writes now, at least 1: it follows how fast the ERP has been."""
        ...

    def find_items(self, numbers: Sequence[str]) -> Mapping[str, ErpItem]:
        """The items with these numbers, in few requests, keyed by upper-case number; what is not there is left out."""
        ...

    def changed_items(self, since: datetime | None) -> Iterator[tuple[ErpItem, ...]]:
        """Every item modified after `since` (all, where None), page by page."""
        ...

    def find_customers(self, emails: Sequence[str]) -> Mapping[str, tuple[ErpCustomer, ...]]:
        """All customers with these e-mail addresses, whatever the case, keyed by lower-case address."""
        ...

    def create_customer(self, order: Order, *, in_time: Callable[[], bool], told: Told) -> ErpCustomer:
        """A new customer from the order's billing address. Raises `Unknown` where the outcome is not known.

        `in_time` is asked right before the request; where it says no, nothing is sent and `Retry` raised.

        `told` is given what was sent and what came back, under the order's number in upper case.
        """
        ...

    def find_documents(self, external_numbers: Sequence[str]) -> Mapping[str, tuple[ErpDocument, ...]]:
        """All documents with these external numbers, open and posted; every number asked for is a key of the answer."""
        ...

    def plan(self, draft: Draft) -> Plan:
        """What `create_documents` would write for this draft. Pure. Raises `Reject` where the mapping refuses this order."""
        ...

    def sent_lines(self, request: str, *, currency: str) -> tuple[PlannedLine, ...]:
        """The lines of a document by the text of the request that wrote it, whatever the settings are by now. Pure.

        They are those of its `Plan`, but that their `positions` are empty: a request does not name the order's lines.
        `currency` is the order's. Raises `Reject` for a text that cannot be read.
        """
        ...

    def create_documents(
        self, drafts: Sequence[Draft], *, in_time: Callable[[], bool], told: Told
    ) -> Mapping[str, ErpDocument | OrderSyncError]:
        """Write each draft as one document with all its lines, or not at all, and read it back.

        For each external number: the document as the ERP holds it; `Reject` where the ERP, or the mapping, refuses this
        order (nothing was written); `Retry` where it certainly was not tried; `Unknown` where the outcome is not known.
        `in_time` is asked before each request that writes; once it says no, what was not begun is answered `Retry`.
        `told` is given what was sent of each draft, and the answer to that part.
        Raises nothing but `Misconfigured`, and that only before anything was sent.
        """
        ...

    def examine(self, *, customer: str) -> Examination:
        """Harmless reads that prove as much as can be proved: company, permissions, and what the settings name.

        `customer` is the number of the default customer, empty where there is none.
        """
        ...
