"""Whether the rows of an order that is written are still what they were made from."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, select

from app.db.store.both import of_both
from app.db.store.rows import DoesNotFit, line_rows, order_row
from app.db.tables import lineitems, orders, threads
from app.domain import document
from app.domain.road import Stage
from app.ports.explaining import Stray

_OF_ORDER = (
    "currency",
    "subtotal",
    "shipping_total",
    "tax_total",
    "discount_total",
    "store_credit",
    "total",
)
_OF_LINE = ("line_type", "parent", "sku", "quantity", "listed", "amount", "credit", "nominal", "tax")


def strays(connection: Connection, thread_id: int) -> tuple[Stray, ...] | None:
    """The numbers in `rm_order` and `rm_lineitems`, or their archives, that differ from the order's document.

    None while the order is not written as it stands: its rows, if there are any, are of an earlier version.
    """

    def header(table: Table) -> Select[Any]:
        return select(table).where(table.c.thread_id == thread_id)

    thread = connection.execute(
        select(threads.c.stage, threads.c.version, threads.c.document).where(threads.c.id == thread_id)
    ).first()
    stored = connection.execute(of_both(header, orders)).first()
    if (
        thread is None
        or stored is None
        or not thread.document
        or (thread.stage, thread.version) != (Stage.DELIVER, stored.version)
    ):
        return None
    order = document.load_text(thread.document)
    try:
        due = order_row(order, external_number=stored.external_number)
        made = {row["position"]: row for row in line_rows(order)}
    except DoesNotFit as error:
        return (Stray(None, error.column, "another", "what does not even fit there"),)
    order_id = stored.id

    def lines(table: Table) -> Select[Any]:
        return select(table).where(table.c.order_id == order_id)

    rows = {row.position: row for row in connection.execute(of_both(lines, lineitems))}
    found = list(_differing(None, stored, due, _OF_ORDER))
    for position in sorted({*rows, *made}):
        if position in rows and position in made:
            found += _differing(position, rows[position], made[position], _OF_LINE)
        else:
            found.append(Stray(position, "line", *(_there(position in side) for side in (rows, made))))
    return tuple(found)


def _differing(
    line: int | None, stored: Row[Any], due: Mapping[str, Any], columns: tuple[str, ...]
) -> Iterator[Stray]:
    for name in columns:
        value = getattr(stored, name)
        if value != due[name]:
            yield Stray(line, name, _text(value), _text(due[name]))


def _text(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else "nothing" if value is None else str(value)


def _there(is_there: bool) -> str:  # noqa: FBT001 - one word for each
    return "there" if is_there else "not there"
