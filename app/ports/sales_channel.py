"""A sales channel: a shop or marketplace that orders are read from and that is told when one has been taken over."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from app.domain.order import Order
from app.domain.reading import Position
from app.errors import OrderSyncError
from app.ports.examination import Examination
from app.ports.survey import Survey


@dataclass(frozen=True, slots=True)
class Seen:
    """One order as the platform showed it, with what reading needs to know of it.

    `body` is the raw JSON text of this order, as received. `modified_at` and `created_at` are aware UTC, None where the
    platform's string cannot be read (such an order is stored all the same, and rejected by name at normalize).
    `content_hash` leaves out modified dates, our own mark, meta ids and the order of meta, so that an echo of our own
    write has the hash of what it echoes. `gross` is the total before any discount, credit or gift card, None where it
    cannot be told. `eligible`: the platform's status is one the site reads, or the one that our own
    acknowledgement gave it. `marked`: it carries our export mark. `number`: the platform's order number, without our prefix,
    empty where it cannot be told.
    """

    platform_order_id: str
    body: str
    content_hash: str
    status: str
    modified_raw: str
    modified_at: datetime | None
    created_at: datetime | None
    gross: Decimal | None
    eligible: bool
    marked: bool
    number: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of orders, ascending by (modified, id). `answered_at` is the answer's own Date header, UTC."""

    rows: tuple[Seen, ...]
    more: bool
    answered_at: datetime | None


class Gone:
    """The platform says that there is no such order any more."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a harmless call found. `orders` is how many orders the platform says it has, whatever their status."""

    orders: int
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Listed:
    """One order as a short list shows it. `eligible`, `number` and the times are those of `Seen`; `total` is the platform's.

    `total` is None where it cannot be read.
    """

    platform_order_id: str
    number: str
    status: str
    eligible: bool
    total: Decimal | None
    created_at: datetime | None
    modified_at: datetime | None


class Makes(StrEnum):
    """Which amount of an order, or of a line, a figure is a part of."""

    AMOUNT = "amount"
    LISTED = "listed"
    NOMINAL = "nominal"
    CREDIT = "credit"
    TAX = "tax"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the platform that went into an amount of ours; `value` has the sign with which it went in.

    `position` is that of the order's line, None for the order's total. `pointer` is the JSON pointer of the figure in the
    body, `text` the platform's own digits there, `name` a word or two for people. A figure that we worked out ourselves (a
    rounding, a difference) has an empty `text`, and its name says how.
    """

    position: int | None
    makes: Makes
    name: str
    pointer: str
    text: str
    value: Decimal


class SalesChannel(Protocol):
    """Raises `Retry`, `Misconfigured` or `Unknown` (writes only), and no other failures, for the whole of a call."""

    def changed(self, position: Position, *, page_size: int) -> Page:
        """Eligible orders modified at or after `position.since` (all, where None), page `position.page`, ascending.

        `page_size` is at most 100. The rows of one second may come again; none is left out.
        """
        ...

    def read(self, platform_order_ids: Sequence[str]) -> Mapping[str, Seen | Gone]:
        """How these orders stand now, whatever their status: one answer for each id asked for (at most 100)."""
        ...

    def acknowledge(self, platform_order_ids: Sequence[str]) -> Mapping[str, Seen | OrderSyncError]:
        """Mark these orders (at most 100) as taken over; marking twice does no harm.

        For each id the order as it stands after the mark, or what became of the attempt: `Reject` where the platform
        refuses this order, `Unknown` where it did not say.
        """
        ...

    def complete(self, bodies: Sequence[str]) -> Sequence[str | OrderSyncError]:
        """These bodies with what the platform shows of an order only in calls of its own: one answer for each, in order.

        A body that lacks nothing comes back as it is and costs no call. `Retry` stands for what could not be read now.
        """
        ...

    def normalize(self, body: str, *, prefix: str) -> Order:
        """The raw `body`, completed where that was needed, in our own words, balanced to the cent.

        Pure. Raises `Reject` with every fault named.
        """
        ...

    def worth(self, body: str) -> tuple[Decimal, str] | None:
        """The platform's own total of an order and its currency, also of one that cannot be normalized; None where none is told.

        Pure; raises nothing. It says how much money stands behind an order, and goes into no sum that is exported.
        """
        ...

    def figures(self, body: str, *, prefix: str) -> tuple[Figure, ...]:
        """Where the amounts of `normalize(body)` come from.

        Pure. For the order's total and for every amount of a line that is not zero, and not equal to another one it defaults
        to (`listed` to `amount`), the figures of it add up to it. Raises `Reject` like `normalize`.
        """
        ...

    def probe(self) -> Probe:
        """A harmless call that proves address and credentials."""
        ...

    def examine(self) -> Examination:
        """Harmless calls that prove as much as can be proved: reading, writing, and the settings of this site."""
        ...

    def census(self, *, since: datetime | None, until: datetime) -> Iterator[tuple[Listed, ...]]:
        """Every order created from `since` (or ever) to `until` that is eligible now, page by page, each order once.

        Orders that are not eligible may be among them and say so. Both ends are included. Small answers, few calls.
        """
        ...

    def survey(self, *, orders: int) -> Survey:
        """What this very platform does, measured by reading alone, on its last `orders` orders where orders are looked at."""
        ...
