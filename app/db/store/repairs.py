"""What people have changed of orders, as it is stored."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from app.db.store.base import chunks
from app.db.tables import repairs
from app.domain.overlay import ABSENT, Change, Layer, dumped, loaded
from app.ports.desk import Repair


def repairs_of(connection: Connection, thread_ids: Sequence[int]) -> Mapping[int, tuple[Repair, ...]]:
    """The repairs in force of these orders, by thread, in the order in which they were made."""
    found: dict[int, tuple[Repair, ...]] = {}
    query = select(repairs).where(repairs.c.ended_at.is_(None)).order_by(repairs.c.id)
    for part in chunks(list(thread_ids)):
        for row in connection.execute(query.where(repairs.c.thread_id.in_(part))):
            found[row.thread_id] = (*found.get(row.thread_id, ()), as_repair(row))
    return found


def as_repair(row: Row[Any]) -> Repair:
    """A stored repair as a value."""
    return Repair(
        id=row.id,
        layer=Layer(row.layer),
        change=Change(
            pointer=row.pointer, before=read(row.before), after=read(row.after), context=row.context
        ),
        by=row.by,
        reason=row.reason,
        at=row.at,
    )


def read(text: str) -> object:
    """A stored value: JSON text, or an empty text where there was none."""
    return loaded(text) if text else ABSENT


def stored(value: object) -> str:
    """A value as it is stored."""
    return "" if value is ABSENT else dumped(value)
