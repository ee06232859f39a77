"""Tables of plain Python rows, with the columns of the real ones; and what every part of the store shares."""

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Table

from app.db import tables
from app.db.store.base import Entry, cut
from app.db.types import storable
from app.domain import trail
from app.domain.road import STEP_UNFINISHED, UNFINISHED, Owed, Stage, StepState

Row = Any
"""A row: an attribute for each column of the table that it is of."""


class MemoryTable:
    """The rows of one table by their ids. Unlike a database it forbids nothing but a column that is not there."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.rows: dict[int, Row] = {}
        self._last_id = 0
        self._empty = _defaults(table)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows.values())

    def add(self, **values: Any) -> Row:
        """A new row; what is not given is as the column's default has it."""
        self._last_id += 1
        row = SimpleNamespace(id=self._last_id, **{**self._empty, **values})
        assert len(row.__dict__) == len(self._empty) + 1, values.keys() - self._empty.keys()
        self.rows[row.id] = row
        return row

    def put(self, row: Mapping[str, Any]) -> None:
        """A row as it is, with its id."""
        self.rows[row["id"]] = SimpleNamespace(**row)
        self._last_id = max(self._last_id, row["id"])

    def clear(self) -> None:
        """No rows."""
        self.rows.clear()


@cache
def _defaults(table: Table) -> dict[str, Any]:
    return {column.name: getattr(column.default, "arg", None) for column in table.c if column.name != "id"}


class Tables:
    """A database: several stores may stand on one. `lock` is held by whoever is in a transaction."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.erps = MemoryTable(tables.erps)
        self.sites = MemoryTable(tables.sites)
        self.items = MemoryTable(tables.items)
        self.kits = MemoryTable(tables.kits)
        self.runs = MemoryTable(tables.runs)
        self.batches = MemoryTable(tables.batches)
        self.inbox = MemoryTable(tables.inbox)
        self.threads = MemoryTable(tables.threads)
        self.steps = MemoryTable(tables.steps)
        self.orders = MemoryTable(tables.orders)
        self.addresses = MemoryTable(tables.addresses)
        self.lineitems = MemoryTable(tables.lineitems)
        self.error_orders = MemoryTable(tables.error_orders)
        self.id_map = MemoryTable(tables.id_map)
        self.events = MemoryTable(tables.events)
        self.payloads = MemoryTable(tables.payloads)
        self.waits = MemoryTable(tables.waits)
        self.deliveries = MemoryTable(tables.deliveries)
        self.alerts = MemoryTable(tables.alerts)
        self.by_name = {
            each.table.name: each for each in vars(self).values() if isinstance(each, MemoryTable)
        }


class Base:
    """Holds the tables and the clock. Every public method is one transaction: it happens as a whole."""

    def __init__(self, data: Tables | None = None, *, clock: Callable[[], datetime] | None = None) -> None:
        self.data = data or Tables()
        self._clock = clock

    def __init_subclass__(cls) -> None:
        """Let one transaction wait for the other, where there are threads."""
        super().__init_subclass__()
        for name, value in list(vars(cls).items()):
            if callable(value) and not name.startswith("_"):
                setattr(cls, name, _alone(value))

    def now(self) -> datetime:
        """The database's clock, aware UTC."""
        return datetime.now(UTC) if self._clock is None else self._clock()

    def _note(self, entries: Iterable[Entry], *, now: datetime) -> None:
        """Append to the audit trail. The seals are the real store's affair: nothing that is done depends on them."""
        for each in entries:
            thread = self.data.threads.rows[each.thread_id]
            thread.event_count = (thread.event_count or 0) + 1
            body = storable(trail.as_text(each.payload))
            place = {"thread_id": thread.id, "number": thread.event_count}
            told = {"stage": str(each.stage), "event": each.event, "by": each.by or "worker"}
            self.data.events.add(**place, **told, at=now, detail=dict(each.detail))
            if body:
                self.data.payloads.add(**place, body=body)

    def _site_names(self) -> dict[int, str]:
        return {each.id: each.name for each in self.data.sites}

    def _steps_of(self, thread_id: int) -> list[Row]:
        return [each for each in self.data.steps if each.thread_id == thread_id]

    def _order_of(self, thread_id: int) -> Row | None:
        return next((each for each in self.data.orders if each.thread_id == thread_id), None)

    def _resolve_errors(self, thread_ids: Iterable[int], *, resolution: str, now: datetime) -> None:
        ids = set(thread_ids)
        for each in self.data.error_orders:
            if each.thread_id in ids and each.open_key is not None:
                each.open_key = each.resolved_by = None
                each.resolved_at, each.resolution = now, resolution

    def _batch(self, site_id: int, now: datetime, *, parent_id: int | None = None) -> int:
        return int(self.data.batches.add(site_id=site_id, parent_id=parent_id, created_at=now).id)

    def _due_steps(self, kind: Owed, now: datetime) -> list[tuple[Row, Row]]:
        """Steps of this kind that may be worked on now, each with its thread. An export waits until its mark has been tried."""
        return [
            (step, thread)
            for step in self.data.steps
            if step.kind == kind
            and step.state in STEP_UNFINISHED
            and step.next_at <= now
            and is_free(step, now)
            and (thread := self.data.threads.rows[step.thread_id]).stage == Stage.DELIVER
            and thread.state in UNFINISHED
            and not (kind is Owed.EXPORT and self._is_untried(thread.id))
        ]

    def _is_untried(self, thread_id: int) -> bool:
        return any(
            each.kind == Owed.ACKNOWLEDGE and each.state == StepState.OWED and each.attempts == 0
            for each in self._steps_of(thread_id)
        )


def is_free(row: Row, now: datetime) -> bool:
    """Whether nobody works on it."""
    return row.lease_until is None or row.lease_until <= now


def change(row: Row, **values: Any) -> None:
    """Set these columns."""
    row.__dict__.update(values)


def _alone(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Base, *args: Any, **kwargs: Any) -> Any:
        with self.data.lock:
            return method(self, *args, **kwargs)

    return call


__all__ = ["Base", "Entry", "MemoryTable", "Row", "Tables", "change", "cut", "is_free", "storable"]
