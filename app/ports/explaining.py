"""What the store keeps of an order beside its rows: the text it was made from, and the text that was made of it."""

from dataclasses import dataclass
from typing import Protocol

from app.ports.desk import Repair


@dataclass(frozen=True, slots=True)
class Stray:
    """A number in the order's rows that is not the one of its document; `line` is its position, None in the header."""

    line: int | None
    column: str
    stored: str
    due: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """`body` is what the platform showed of the order's present version, with all its parts; None where it was erased.

    `sent` is the text of the request by which the order was last written to the ERP, as its `Exchange` had it; None where
    nothing was sent, or where that is not stored. `repairs` are what people have changed of it. `strays` are the numbers in
    `rm_order` and `rm_lineitems` that differ from the document they were written from; None where there is nothing to compare.
    """

    body: str | None
    sent: str | None
    repairs: tuple[Repair, ...] = ()
    strays: tuple[Stray, ...] | None = None


class ExplainingStore(Protocol):
    """The part of the store that explaining reads."""

    def evidence(self, thread_id: int) -> Evidence:
        """What an order can be explained from."""
        ...
