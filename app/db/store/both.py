"""Orders that have long been done lie in the archive: questions that must see them too, and how they come back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Label,
    Select,
    Table,
    delete,
    func,
    insert,
    select,
    union_all,
    update,
)

from app.db.tables import (
    ARCHIVES,
    addresses,
    error_orders,
    events,
    inbox,
    lineitems,
    orders,
    payloads,
    repairs,
    steps,
    threads,
)

_OWNERS_FIRST = (orders, addresses, lineitems, inbox, steps, error_orders, events, payloads, repairs)
"""An order's row is named by those of its addresses and lines."""

NAMED = (orders, error_orders, events)
"""Tables whose rows are named by their ids, here or by people: a row keeps its id wherever it goes."""


def of_both(query: Callable[..., Select[Any]], *tables: Table) -> CompoundSelect[Any]:
    """What a query finds in these tables and in their archives."""
    return union_all(query(*tables), query(*(ARCHIVES[table] for table in tables)))


def either(table: Table, name: str) -> Label[Any]:
    """A column of a row that is joined from a table and from its archive, of which one has it."""
    return func.coalesce(table.c[name], ARCHIVES[table].c[name]).label(name)


def to_archive(connection: Connection, thread_ids: Sequence[int]) -> int:
    """Move the rows of these orders to the archive, but for the orders' own. Returns how many there were."""
    return _move(connection, thread_ids, {live: (live, archive) for live, archive in ARCHIVES.items()})


def bring_back(connection: Connection, thread_ids: Sequence[int]) -> None:
    """Bring the rows of those of these orders back that are in the archive: something happens to them again."""
    if not thread_ids:
        return
    away = select(threads.c.id).where(threads.c.id.in_(thread_ids), threads.c.archived_at.is_not(None))
    found = list(connection.scalars(away))
    if found:
        _move(connection, found, {live: (archive, live) for live, archive in ARCHIVES.items()})
        connection.execute(update(threads).where(threads.c.id.in_(found)).values(archived_at=None))


def leave_no_trace(connection: Connection) -> None:
    """Have SQLite write zeros over what is deleted, which could else be read in the file for long."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")


def rows_of(
    connection: Connection, table: Table, thread_ids: Sequence[int], *, orders_in: Table
) -> ColumnElement[bool]:
    """The rows of these orders in `table`; `orders_in` is where the orders' own rows are, for what belongs to those.

    The ids are looked up apart: not every database would use an index for a question within a change.
    """
    if "thread_id" in table.c:
        return table.c.thread_id.in_(thread_ids)
    if "order_id" in table.c:
        of_threads = select(orders_in.c.id).where(orders_in.c.thread_id.in_(thread_ids))
        return table.c.order_id.in_(list(connection.scalars(of_threads)))
    same = (threads.c.site_id == table.c.site_id) & (threads.c.platform_order_id == table.c.platform_order_id)
    bodies = select(table.c.id).join(threads, same).where(threads.c.id.in_(thread_ids))
    return table.c.id.in_(list(connection.scalars(bodies)))


def _move(
    connection: Connection, thread_ids: Sequence[int], ways: Mapping[Table, tuple[Table, Table]]
) -> int:
    orders_in, _ = ways[orders]
    mine = {table: rows_of(connection, ways[table][0], thread_ids, orders_in=orders_in) for table in ways}
    for table in _OWNERS_FIRST:
        source, target = ways[table]
        if connection.dialect.name == "sqlite" and table not in NAMED:
            _make_room(connection, source, target, mine[table])
        names = [column.name for column in table.c]
        rows = select(*(source.c[name] for name in names)).where(mine[table])
        connection.execute(insert(target).from_select(names, rows))
    return sum(
        connection.execute(delete(ways[table][0]).where(mine[table])).rowcount
        for table in reversed(_OWNERS_FIRST)
    )


def _make_room(connection: Connection, source: Table, target: Table, mine: ColumnElement[bool]) -> None:
    """SQLite gives the id of a row that has gone to another one: such rows get ids that neither table has."""
    highest = max(connection.scalar(select(func.max(each.c.id))) or 0 for each in (source, target))
    taken = source.c.id.in_(select(target.c.id))
    connection.execute(update(source).where(mine, taken).values(id=source.c.id + highest))
