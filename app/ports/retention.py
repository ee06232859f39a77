"""What happens to orders that have long been done: they go to the archive, and personal data is erased on request."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.road import State


@dataclass(frozen=True, slots=True)
class Archived:
    """What one move to the archive took: so many orders with so many rows. `last` is the row id of the last order looked at."""

    orders: int
    rows: int
    last: int | None


@dataclass(frozen=True, slots=True)
class Subject:
    """An order whose personal data may be asked to be erased. `open_error`: a person is still to look at it."""

    thread_id: int
    order_number: str
    platform_order_id: str
    site: str
    state: State
    open_error: bool
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased: of these orders, and so many links from an e-mail address to a customer in the ERP."""

    thread_ids: frozenset[int]
    customers: int


class RetentionStore(Protocol):
    """The archive, and the erasing of personal data."""

    def archivable(self, *, before: datetime) -> int:
        """How many orders would go to the archive: at their end, nothing open about them, and unchanged since `before`."""
        ...

    def archive(self, *, before: datetime, after: int, limit: int) -> Archived:
        """Move the next such orders, beyond the row id `after`, to the archive in one transaction."""
        ...

    def subjects(self, thread_ids: Collection[int]) -> Sequence[Subject]:
        """These orders, in the order of their ids."""
        ...

    def orders_with_email(self, email: str) -> tuple[int, ...]:
        """The row ids of all orders in which this e-mail address stands, ascending."""
        ...

    def erase(self, thread_ids: Sequence[int], *, email: str | None = None) -> Erased:
        """Erase the personal data of those of these orders that are at their end, in one transaction. See `app.sync.privacy`.

        The links of their addresses to customers, and that of `email`, go where no order has the address any more.
        """
        ...
