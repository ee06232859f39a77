"""What every part of the store shares: the engine, the clock, and the two kinds of transaction."""

import functools
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, bindparam, insert, select, text, update
from sqlalchemy.exc import OperationalError

from app.db.tables import events, payloads, steps, threads
from app.db.types import storable
from app.domain import trail
from app.domain.road import STEP_UNFINISHED, UNFINISHED, State, StepState

_CLOCK_SQL = {
    "sqlite": text("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')"),
    "postgresql": text("SELECT clock_timestamp() AT TIME ZONE 'UTC'"),
    "mysql": text("SELECT UTC_TIMESTAMP(6)"),
    "mariadb": text("SELECT UTC_TIMESTAMP(6)"),
}

REASON_LENGTH = 1000


def clock_of(connection: Connection) -> datetime:
    """The database's own clock, aware UTC."""
    value = connection.execute(_CLOCK_SQL[connection.dialect.name]).scalar_one()
    moment: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC)


_DEADLOCKS: tuple[Any, ...] = (1213, "40P01")
"""MariaDB's and PostgreSQL's word for a transaction they gave up so that another could go on."""

_TRIES = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened to an order. `payload` may quote people or be long; `detail` holds the facts that are kept."""

    thread_id: int
    stage: str
    event: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)
    by: str = ""


class Base:
    """Holds the engine. `shift` moves the clock (for the demo); `clock` replaces it (for tests).

    `audit_key` gives the key of the audit trail's seals, `by` is the process that is named in it.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        audit_key: Callable[[], bytes],
        by: str = "worker",
        shift: timedelta = timedelta(0),
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.engine = engine
        self.audit_key = audit_key
        self._by = by
        self._shift = shift
        self._clock = clock

    def __init_subclass__(cls) -> None:
        """Every public method is one transaction, so one that lost a deadlock is simply done again.

        InnoDB locks index entries and rows in the order its plan meets them; two claims beside a settlement are enough.
        """
        super().__init_subclass__()
        for name, value in list(vars(cls).items()):
            if callable(value) and not name.startswith("_"):
                setattr(cls, name, _done_again_after_deadlock(value))

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self.engine.connect().execution_options(read_only=True) as connection:
            yield connection

    def now(self) -> datetime:
        """The database's clock (with the shift), aware UTC."""
        if self._clock is not None:
            return self._clock()
        with self._reading() as connection:
            return self._now(connection)

    def _note(self, connection: Connection, entries: Sequence[Entry], *, now: datetime) -> None:
        """Append to the audit trail. The orders' rows are locked, so that two who append do so one after the other."""
        if not entries:
            return
        key = self.audit_key()
        heads = _heads(connection, sorted({each.thread_id for each in entries}))
        rows: list[dict[str, Any]] = []
        apart: list[dict[str, Any]] = []
        for each in entries:
            count, head = heads[each.thread_id]
            payload = storable(trail.as_text(each.payload))
            place: dict[str, Any] = {"thread_id": each.thread_id, "number": count + 1}
            told: dict[str, Any] = {
                **place,
                "at": now,
                "stage": str(each.stage),
                "event": each.event,
                "by": storable(each.by or self._by)[:64],
                "detail": _storable_facts(each.detail),
                "digest": trail.digest(payload),
            }
            mac = trail.seal(key, head=head, **told)
            rows.append({**told, "mac": mac})
            if payload:
                apart.append({**place, "body": payload})
            heads[each.thread_id] = (count + 1, trail.head_over(key, **place, mac=mac))
        connection.execute(insert(events), rows)
        if apart:
            connection.execute(insert(payloads), apart)
        connection.execute(
            update(threads)
            .where(threads.c.id == bindparam("b_id"))
            .values(event_count=bindparam("b_count"), event_head=bindparam("b_head")),
            [{"b_id": each, "b_count": count, "b_head": head} for each, (count, head) in heads.items()],
        )

    def _now(self, connection: Connection) -> datetime:
        if self._clock is not None:
            return self._clock()
        return clock_of(connection) + self._shift


def _heads(connection: Connection, thread_ids: list[int]) -> dict[int, tuple[int, str]]:
    """How many sealed events each of these orders has, and the last seal over them."""
    found: dict[int, tuple[int, str]] = {}
    query = select(threads.c.id, threads.c.event_count, threads.c.event_head).order_by(threads.c.id)
    for part in chunks(thread_ids):
        rows = connection.execute(query.where(threads.c.id.in_(part)).with_for_update())
        found.update((row.id, (row.event_count or 0, row.event_head or "")) for row in rows)
    return found


def _storable_facts(detail: Mapping[str, Any]) -> dict[str, Any]:
    """Facts that come back from every database as they went in, for the seal is over them."""
    if all(isinstance(value, str) and value.isascii() and value.isprintable() for value in detail.values()):
        return dict(detail)
    clean: dict[str, Any] = json.loads(storable(json.dumps(dict(detail), ensure_ascii=False)))
    return clean


def _done_again_after_deadlock(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        for tries in range(1, _TRIES + 1):
            try:
                return method(*args, **kwargs)
            except OperationalError as error:
                codes = (getattr(error.orig, "sqlstate", None), *getattr(error.orig, "args", ())[:1])
                if tries == _TRIES or not any(code in _DEADLOCKS for code in codes):
                    raise
                time.sleep(random.uniform(0, 0.01 * 2**tries))  # noqa: S311 - only to get out of each other's way
        raise AssertionError

    return call


NARROW_FROM = 2
"""Rows claimed this often without an outcome are claimed one by one, so that the one that kills its process is found alone."""


def lease_free(table: Table, now: datetime) -> ColumnElement[bool]:
    """The rows nobody works on."""
    return table.c.lease_until.is_(None) | (table.c.lease_until <= now)


_ENDED: dict[Table, list[State] | list[StepState]] = {
    threads: [state for state in State if state not in UNFINISHED],
    steps: [state for state in StepState if state not in STEP_UNFINISHED],
}


def unfinished_in_batch(table: Table) -> ColumnElement[bool]:
    """The unfinished rows of `table`, for a query that goes by a batch.

    Told by the states they are not in, which no index answers: SQLite guesses how many rows an index will find, and would go
    through all that waits in the installation, where the batch has a hundred.
    """
    return table.c.state.not_in(_ENDED[table])


def cut(reason: str) -> str:
    """A reason that fits its column."""
    reason = storable(reason)
    return reason if len(reason) <= REASON_LENGTH else reason[: REASON_LENGTH - 1] + "…"


def chunks(values: list[Any], size: int = 500) -> Iterator[list[Any]]:
    """The values in lists of at most `size`: databases bound the number of parameters."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
