"""Which orders name an e-mail address, and which addresses orders name, wherever their rows are."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, or_, select
from sqlalchemy import func as sql

from app.db.store.both import of_both, rows_of
from app.db.tables import ARCHIVES, addresses, error_orders, inbox, orders, repairs, threads
from app.domain.emails import ESCAPED, emails_in, folded, plain_part, stands_in, strings_in
from app.domain.road import UNFINISHED, State

_TEXTS: dict[Table, tuple[str, ...]] = {
    inbox: ("body", "completed"),
    orders: ("bill_email", "customer_note"),
    addresses: ("email",),
    error_orders: ("document",),
    repairs: ("before", "after"),
}
"""Where the data of one order alone stands. What was sent and received may be of several orders, and is no proof."""


def orders_that_name(connection: Connection, email: str) -> set[int]:
    """The row ids of the orders in which this address stands."""
    if "@" not in email:
        return set()
    found: set[int] = set()
    for query, texts in _places():
        for row in connection.execute(query.where(or_(*(_may_name(each, email) for each in texts)))):
            thread_id, *told = row
            if thread_id not in found and any(stands_in(email, each) for each in told if each):
                found.add(thread_id)
    return found


def emails_of(connection: Connection, thread_ids: Sequence[int]) -> set[str]:
    """The addresses that stand in these orders, earlier ones as well, in lower case."""
    found: set[str] = set()
    for query, _ in _places(connection, thread_ids):
        for _, *told in connection.execute(query):
            found.update(*(emails_in(each) for each in told if each))
    return found


def in_use(connection: Connection, email: str) -> bool:
    """Whether an order is billed to exactly this address still: one that is written, or one on its way there."""
    wanted = folded(email)

    def written(orders: Table) -> Select[Any]:
        return select(orders.c.bill_email).where(_may_name(orders.c.bill_email, email))

    coming = select(threads.c.document).where(
        threads.c.state.in_((*UNFINISHED, State.REJECTED)), _may_name(threads.c.document, email)
    )
    return any(folded(each) == wanted for each in connection.scalars(of_both(written, orders))) or any(
        folded(each) == wanted for text in connection.scalars(coming) for each in strings_in(text)
    )


def _places(
    connection: Connection | None = None, thread_ids: Sequence[int] = ()
) -> list[tuple[Select[Any], list[Column[Any]]]]:
    """Questions for the texts in which addresses stand, each after its order's row id: of these orders, or of all."""
    documents = select(threads.c.id, threads.c.document)
    found = [
        (
            documents if connection is None else documents.where(threads.c.id.in_(thread_ids)),
            [threads.c.document],
        )
    ]
    for live, names in _TEXTS.items():
        for table, orders_in in ((live, orders), (ARCHIVES[live], ARCHIVES[orders])):
            texts = [table.c[name] for name in names]
            query = _owned(table, texts, orders_in)
            if connection is not None:
                query = query.where(rows_of(connection, table, thread_ids, orders_in=orders_in))
            found.append((query, texts))
    return found


def _owned(table: Table, texts: list[Any], orders_in: Table) -> Select[Any]:
    if "thread_id" in table.c:
        return select(table.c.thread_id, *texts)
    if "order_id" in table.c:
        return select(orders_in.c.thread_id, *texts).join(table, table.c.order_id == orders_in.c.id)
    same = (threads.c.site_id == table.c.site_id) & (threads.c.platform_order_id == table.c.platform_order_id)
    return select(threads.c.id, *texts).join(table, same)


def _may_name(column: ColumnElement[Any], email: str) -> ColumnElement[bool]:
    """True of all texts that name the address, and of some others: the database knows of no escapes, nor of case beyond ASCII."""
    escaped = (column.contains(each, autoescape=True) for each in ESCAPED)
    return or_(sql.lower(column).contains(plain_part(email), autoescape=True), *escaped)
