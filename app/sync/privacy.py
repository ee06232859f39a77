"""Erasing personal data on request: who an order was from is forgotten, what it came to and what was done stays."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from app.domain.road import State
from app.domain.words import counted
from app.errors import Misconfigured, UsageError
from app.ports.retention import Subject
from app.sync.parts import Parts

log = structlog.get_logger("ordersync.privacy")

ELSEWHERE = (
    "The platform, the ERP and backups of this database still have the data: erase it there as well. "
    "Where such an order is edited on the platform, it is read anew with what stands there then."
)

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Refusal:
    """An order whose data is still needed, and what has to be done first."""

    order: str
    reason: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """Which orders' data was erased (or would be), which were refused, and how many links to customers were made unreadable."""

    orders: tuple[str, ...]
    refused: tuple[Refusal, ...]
    customers: int = 0
    dry_run: bool = False


def find(parts: Parts, *, orders: Sequence[str], email: str | None) -> tuple[Subject, ...]:
    """The orders of which the data is to be erased: by number (or platform's id), or all in which an e-mail address stands.

    Raises `UsageError` where both or none is given, `Misconfigured` where there is no such order, or several have that id.
    """
    if bool(orders) == (email is not None):
        raise UsageError("Give either the numbers of orders, or --email ADDRESS.")
    if email is not None:
        if "@" not in email.strip(" @"):
            raise UsageError(f"--email {email!r} is no e-mail address.")
        found = parts.store.orders_with_email(email)
        if not found:
            raise Misconfigured("There is no order with this e-mail address.")
        return tuple(parts.store.subjects(found))
    return tuple(parts.store.subjects([_one(parts, each) for each in dict.fromkeys(orders)]))


def _one(parts: Parts, key: str) -> int:
    match parts.store.threads_of(key):
        case ():
            raise Misconfigured(f"There is no order {key!r}; nothing was erased.")
        case (only,):
            return only
        case several:
            names = ", ".join(name_of(each) for each in parts.store.subjects(several))
            raise Misconfigured(f"{key} is an order of several sites: {names}. Give the order number.")


def name_of(subject: Subject) -> str:
    """An order as people name it."""
    return subject.order_number or f"(platform id {subject.platform_order_id} of {subject.site})"


def erase(
    parts: Parts, subjects: Sequence[Subject], *, email: str | None = None, dry_run: bool = False
) -> Erasure:
    """Erase names, addresses, notes and all that quotes them of those of these orders that have come to their end.

    Names, streets, e-mail addresses, phones and notes; raw bodies; the order as it stood between the steps; reasons; requests
    and answers; repairs. What stays: amounts, SKUs, quantities, dates, countries, numbers of documents and payments, and the
    events with their seals, so that the trail can still be proved. An order whose data is still needed is refused.
    With `email`, its links to customers in the ERP go too where no order has it any more, as those of the orders' addresses do.
    """
    refused = tuple(
        Refusal(name_of(each), reason) for each in subjects if (reason := _why_not(each)) is not None
    )
    wanted = [each for each in subjects if _why_not(each) is None]
    if dry_run:
        return Erasure(tuple(map(name_of, wanted)), refused, dry_run=True)
    erased: set[int] = set()
    customers = 0
    for begin in range(0, len(wanted), _AT_ONCE):
        some = parts.store.erase([each.thread_id for each in wanted[begin : begin + _AT_ONCE]], email=email)
        erased |= some.thread_ids
        customers += some.customers
    moved = tuple(
        Refusal(name_of(each), "It was changed just now and is on its way again; wait for its end.")
        for each in wanted
        if each.thread_id not in erased
    )
    log.info("personal_data_erased", orders=len(erased), customers=customers)
    names = tuple(name_of(each) for each in wanted if each.thread_id in erased)
    return Erasure(names, (*refused, *moved), customers)


def _why_not(subject: Subject) -> str | None:
    match subject.state:
        case State.REJECTED:
            return "It needs a person: repair it, or close or skip it first, for its data is still needed."
        case State.HELD:
            return "It waits: release it, or cancel it on the platform, and erase its data once it has come to its end."
        case State.ACTIVE:
            return "It is on its way to the ERP: erase its data once it has come to its end."
        case _ if subject.open_error:
            return "It has an open error: settle that first, for its data is still needed."
        case _:
            return None


def sentence(result: Erasure) -> str:
    """The outcome in a sentence or two."""
    what = f"The personal data of {counted(len(result.orders), 'order')}"
    if result.dry_run:
        return f"{what} would be erased: {', '.join(result.orders) or 'none'}. This cannot be undone."
    return f"{what} was erased."
