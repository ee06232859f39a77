"""Claiming and settling orders at the stages of the road, and writing them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Row, Select, Table, bindparam, delete, func, insert, select, update

from app.db.store.base import NARROW_FROM, Base, Entry, chunks, cut, lease_free, unfinished_in_batch
from app.db.store.both import of_both
from app.db.store.repairs import repairs_of
from app.db.store.rows import DoesNotFit, address_rows, line_rows, order_row
from app.db.tables import addresses, batches, error_orders, inbox, lineitems, orders, steps, threads, waits
from app.db.types import Exact, storable
from app.domain import document
from app.domain.order import Order
from app.domain.road import Owed, Stage, State, StepState, stage_after
from app.ports.desk import Repair
from app.ports.store import Claimed, Failed, Passed, Settled, ThreadOutcome, Waiting

NUMBER_LENGTH = 80
_VALUE = Exact()

SETTLED: tuple[Column[Any], ...] = (
    threads.c.id,
    threads.c.site_id,
    threads.c.platform_order_id,
    threads.c.order_number,
    threads.c.version,
    threads.c.amended_version,
    threads.c.state,
    threads.c.attempts,
    threads.c.waiting_since,
)
"""What settling looks at. Documents are long, and only a failure needs one."""


class Road(Base):
    """The stages before delivery."""

    def claim(self, stage: Stage, *, batch_id: int, token: str, lease_seconds: float) -> tuple[Claimed, ...]:
        """Take the batch's due orders at this stage under lease; one alone, where some were claimed often in vain.

        Orders that another transaction holds at this moment are left to it, so that two claims never wait for each other.
        """
        with self._writing() as connection:
            now = self._now(connection)
            mine = (
                select(threads.c.id, threads.c.unsettled)
                .where(
                    threads.c.batch_id == batch_id,
                    threads.c.stage == stage,
                    unfinished_in_batch(threads),
                    threads.c.next_at <= now,
                    lease_free(threads, now),
                )
                .order_by(threads.c.unsettled.desc(), threads.c.id)
            )
            due = connection.execute(mine.with_for_update(skip_locked=True)).all()
            if not due:
                return ()
            ids = [row.id for row in (due[:1] if due[0].unsettled >= NARROW_FROM else due)]
            connection.execute(
                update(threads)
                .where(threads.c.id.in_(ids))
                .values(
                    lease_until=now + timedelta(seconds=lease_seconds),
                    lease_token=token,
                    fence=threads.c.fence + 1,
                    unsettled=threads.c.unsettled + 1,
                    attempts=threads.c.attempts + 1,
                )
            )
            query: Select[Any] = (
                select(*SETTLED, threads.c.unsettled, threads.c.fresh)
                .where(threads.c.id.in_(ids))
                .order_by(threads.c.id)
            )
            if stage is Stage.NORMALIZE:
                same_version = (
                    (inbox.c.site_id == threads.c.site_id)
                    & (inbox.c.platform_order_id == threads.c.platform_order_id)
                    & (inbox.c.version == threads.c.version)
                )
                query = query.add_columns(
                    func.coalesce(inbox.c.completed, inbox.c.body).label("body"),
                    inbox.c.completed.is_not(None).label("completed"),
                ).outerjoin_from(threads, inbox, same_version)
            else:
                query = query.add_columns(threads.c.document)
            rows = connection.execute(query).all()
            changed = repairs_of(connection, [row.id for row in rows]) if stage is Stage.NORMALIZE else {}
            return tuple(_claimed(row, changed.get(row.id, ())) for row in rows)

    def settle(
        self, stage: Stage, *, batch_id: int, token: str, outcomes: Sequence[ThreadOutcome]
    ) -> Settled:
        """Store what became of the claimed orders; those no longer under this token are left alone."""
        # Made before the transaction, which on SQLite keeps every other process waiting.
        documents = _documents(outcomes)
        with self._writing() as connection:
            settlement = Settlement(self, connection, stage=stage, batch_id=batch_id, token=token)
            return settlement.settle(outcomes, documents)

    def write(
        self, *, batch_id: int, token: str, erp_ids: Mapping[int, int], outcomes: Sequence[ThreadOutcome]
    ) -> Settled:
        """Like `settle` for the stage `write`: the passed orders' rows and owed steps are stored in the same transaction."""
        rows, fitting = _made(outcomes)
        documents = _documents(fitting)
        with self._writing() as connection:
            settlement = Settlement(self, connection, stage=Stage.WRITE, batch_id=batch_id, token=token)
            return settlement.settle(_Writer(settlement, erp_ids).write(fitting, rows), documents)


def _claimed(row: Row[Any], changed: tuple[Repair, ...]) -> Claimed:
    given = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    return Claimed(
        thread_id=row.id,
        site_id=row.site_id,
        order_number=row.order_number,
        platform_order_id=row.platform_order_id,
        attempts=row.attempts,
        unsettled=row.unsettled,
        waiting_since=row.waiting_since,
        fresh=row.fresh,
        body=given.get("body"),
        document=given.get("document"),
        version=row.version,
        completed=bool(given.get("completed")),
        repairs=changed,
    )


class Settlement:
    """One settling transaction: which claimed rows are still ours, and what becomes of them."""

    def __init__(
        self, store: Base, connection: Connection, *, stage: Stage, batch_id: int, token: str
    ) -> None:
        self._store = store
        self.connection = connection
        self.now = store._now(connection)  # noqa: SLF001 - a part of the store, split off for its length
        self.stage = stage
        self.batch_id = batch_id
        self._token = token
        owned = (
            select(*SETTLED)
            .where(threads.c.batch_id == batch_id, threads.c.lease_token == token)
            .with_for_update()
        )
        self.owned: dict[int, Row[Any]] = {row.id: row for row in connection.execute(owned)}

    def settle(self, outcomes: Iterable[ThreadOutcome], documents: Mapping[int, str]) -> Settled:
        """Store the outcomes of those that are still ours, with the `documents` of the orders that pass."""
        ours = [outcome for outcome in outcomes if _thread_id(outcome) in self.owned]
        passed = [outcome for outcome in ours if isinstance(outcome, Passed)]
        waiting = [outcome for outcome in ours if isinstance(outcome, Waiting)]
        failed = [outcome for outcome in ours if isinstance(outcome, Failed)]
        self._pass(passed, documents)
        batch_id = (
            split_batch(self.connection, self.owned, self.batch_id, now=self.now)
            if passed and waiting
            else self.batch_id
        )
        self._wait(waiting, batch_id)
        self._fail(failed)
        self._note(ours)
        due_at = min((outcome.next_at for outcome in waiting), default=None)
        return Settled(
            passed=len(passed),
            waiting=len(waiting),
            waiting_batch=batch_id if waiting else None,
            due_at=due_at,
        )

    def _update(self, rows: list[dict[str, Any]], **also: Any) -> None:
        """Update threads by id; `also` holds for all of them. Every settled row gives its lease back."""
        if not rows:
            return
        names = [name for name in rows[0] if name != "b_id"]
        own: dict[str, Any] = {name: bindparam(name) for name in names}
        settled: dict[str, Any] = {
            "lease_until": None,
            "lease_token": None,
            "unsettled": 0,
            "rung_at": self.now,
            "updated_at": self.now,
        }
        self.connection.execute(
            update(threads).where(threads.c.id == bindparam("b_id")).values(**settled, **also, **own),
            rows,
        )

    def _pass(self, passed: list[Passed], documents: Mapping[int, str]) -> None:
        rows = [
            {
                "b_id": each.thread_id,
                "order_number": _number(each.order),
                "document": documents[each.thread_id],
            }
            for each in passed
        ]
        # A resumed order asks afresh until its SKUs are verified; from then on it is an order like the others.
        kept_fresh = {} if self.stage is Stage.NORMALIZE else {"fresh": False}
        self._update(
            rows,
            stage=stage_after(self.stage),
            state=State.ACTIVE,
            reason="",
            hold_kind="",
            waiting_since=None,
            next_at=self.now,
            attempts=0,
            **kept_fresh,
        )

    def _wait(self, waiting: list[Waiting], batch_id: int) -> None:
        rows = [
            {
                "b_id": each.id,
                "state": State.HELD if each.hold_kind else State.ACTIVE,
                "reason": cut(each.reason),
                "hold_kind": each.hold_kind,
                "waiting_since": self.owned[each.id].waiting_since or self.now,
                "next_at": each.next_at,
            }
            for each in waiting
        ]
        self._update(rows, batch_id=batch_id)
        self._await(waiting)

    def _await(self, waiting: list[Waiting]) -> None:
        """Keep what these orders wait for; what they waited for before counts no more."""
        if not waiting:
            return
        ids = [each.id for each in waiting]
        self.connection.execute(delete(waits).where(waits.c.thread_id.in_(ids)))
        rows = [
            {"thread_id": each.id, "erp_id": erp_id, "sku": storable(sku)[:255]}
            for each in waiting
            for erp_id, sku in each.waits_for
        ]
        if rows:
            self.connection.execute(insert(waits), rows)

    def _fail(self, failed: list[Failed]) -> None:
        rows = [
            {
                "b_id": each.id,
                "reason": cut(each.reason),
                **({"order_number": _number(each.order)} if each.order else {}),
            }
            for each in failed
        ]
        for row in rows:
            self._update([row], state=State.REJECTED, hold_kind="", next_at=None)
        for each in failed:
            thread = self.owned[each.id]
            open_error(
                self.connection, thread, each, stage=self.stage, attempts=thread.attempts, now=self.now
            )

    def _note(self, outcomes: list[ThreadOutcome]) -> None:
        entries = [_entry(each, self.stage) for each in outcomes]
        self._store._note(self.connection, entries, now=self.now)  # noqa: SLF001 - a part of the store


def _number(order: Order) -> str:
    """The number as lists show it; whole, it stands in the document, and `write` refuses one that does not fit."""
    return storable(order.number)[:NUMBER_LENGTH]


def _document(order: Order) -> str:
    return storable(document.dump_text(order))


def _documents(outcomes: Iterable[ThreadOutcome]) -> dict[int, str]:
    return {
        each.thread_id: _document(each.order) if each.document is None else each.document
        for each in outcomes
        if isinstance(each, Passed)
    }


def _thread_id(outcome: ThreadOutcome) -> int:
    return outcome.thread_id if isinstance(outcome, Passed) else outcome.id


def _entry(outcome: ThreadOutcome, stage: Stage) -> Entry:
    match outcome:
        case Passed():
            return Entry(outcome.thread_id, stage, "passed", dict(outcome.detail))
        case _:
            return stopped(outcome, thread_id=outcome.id, stage=stage)


def stopped(outcome: Waiting | Failed, *, thread_id: int, stage: Stage | Owed) -> Entry:
    """The event of an order or an owed step that did not go on."""
    told = {"reason": outcome.reason}
    match outcome:
        case Waiting():
            event = "held" if outcome.hold_kind else "postponed"
            return Entry(thread_id, stage, event, {"until": outcome.next_at.isoformat()}, told)
        case Failed():
            return Entry(thread_id, stage, "rejected", {"kind": outcome.kind}, told)


def split_batch(
    connection: Connection, owned: Mapping[int, Row[Any]], batch_id: int, *, now: datetime
) -> int:
    """A child batch for the orders that wait, so that the chain of this one goes on with the others."""
    site_id = next(iter(owned.values())).site_id
    made = connection.execute(insert(batches).values(site_id=site_id, parent_id=batch_id, created_at=now))
    return int(made.inserted_primary_key[0])  # type: ignore[index]


def open_error(
    connection: Connection,
    thread: Row[Any],
    failed: Failed,
    *,
    stage: Stage | Owed,
    attempts: int,
    now: datetime,
) -> None:
    """One open error row for this order and stage: an open one is renewed, else one is added."""
    key = f"{thread.id}:{stage}"
    order = failed.order
    if order is not None:
        text: str | None = _document(order)
    else:
        text = connection.scalar(select(threads.c.document).where(threads.c.id == thread.id))
        order = document.load_text(text) if text else None
    total, currency = (order.total, order.currency) if order else failed.worth or (None, None)
    values = {
        "stage": str(stage),
        "kind": failed.kind,
        "reason": storable(failed.reason),
        "field": None if failed.field is None else storable(failed.field)[:255],
        "document": text,
        # What no column holds stands in the document.
        "value": total if total is not None and _VALUE.holds(total) else None,
        "currency": currency,
        "order_number": _number(order) if order else thread.order_number,
        "attempts": attempts,
    }
    if connection.execute(
        update(error_orders).where(error_orders.c.open_key == key).values(**values)
    ).rowcount:
        return
    if _reopened(connection, thread.id, str(stage), values):
        return
    place = {"thread_id": thread.id, "site_id": thread.site_id, "platform_order_id": thread.platform_order_id}
    connection.execute(insert(error_orders).values(**place, **values, opened_at=now, open_key=key))


def _reopened(connection: Connection, thread_id: int, stage: str, values: dict[str, Any]) -> bool:
    """Whether the order was let go on after its last error, at this stage, and comes back with it: the same error then."""
    last = connection.execute(
        select(error_orders.c.id, error_orders.c.resolution, error_orders.c.resumed)
        .where(
            error_orders.c.thread_id == thread_id,
            error_orders.c.stage == stage,
            error_orders.c.resolved_at.is_not(None),
        )
        .order_by(error_orders.c.resolved_at.desc(), error_orders.c.id.desc())
        .limit(1)
    ).first()
    if last is None or last.resolution != RESUMED:
        return False
    again = {"resolved_at": None, "resolved_by": None, "resolution": None, "open_key": f"{thread_id}:{stage}"}
    connection.execute(
        update(error_orders)
        .where(error_orders.c.id == last.id)
        .values(**values, **again, resumed=(last.resumed or 0) + 1)
    )
    return True


RESUMED = "resumed"
"""How an error was resolved whose order was let go on: where the order comes back, it is the same error."""


def resolve_errors(
    connection: Connection,
    thread_ids: Sequence[int],
    *,
    resolution: str,
    now: datetime,
    by: str | None = None,
) -> None:
    """Close the open errors of these orders; `by` is the person who had it done."""
    connection.execute(
        update(error_orders)
        .where(error_orders.c.thread_id.in_(thread_ids), error_orders.c.open_key.is_not(None))
        .values(
            open_key=None,
            resolved_at=now,
            resolution=resolution,
            resolved_by=None if by is None else storable(by)[:64],
        )
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """One order as it is stored."""

    header: dict[str, Any]
    addresses: list[dict[str, Any]]
    lines: list[dict[str, Any]]


def _made(outcomes: Sequence[ThreadOutcome]) -> tuple[dict[int, _Rows], list[ThreadOutcome]]:
    """The rows of the orders that pass, by thread, and the outcomes; an order that does not fit its columns fails."""
    rows: dict[int, _Rows] = {}
    fitting: list[ThreadOutcome] = []
    for each in outcomes:
        if isinstance(each, Passed):
            try:
                rows[each.thread_id] = _rows(each.order)
            except DoesNotFit as error:
                fitting.append(_unwritable(each, str(error), field=error.column))
                continue
        fitting.append(each)
    return rows, fitting


def _rows(order: Order) -> _Rows:
    # In this order, so that a part that does not fit is named as part of its address or line, not of the header's copy.
    address, lines = address_rows(order), line_rows(order)
    return _Rows(
        header=order_row(order, external_number=order.number.upper()), addresses=address, lines=lines
    )


def unfit_sentence(order: Order) -> tuple[str, str] | None:
    """Why this order does not fit the columns, and the field; None where it does."""
    try:
        _rows(order)
    except DoesNotFit as error:
        return str(error), error.column
    return None


def number_taken(connection: Connection, order: Order, *, erp_id: int, thread_id: int) -> str | None:
    """The sentence that says which other order has this order's number, or None."""
    having = partial(_having, [order.number.upper()], {erp_id})
    for other in connection.execute(of_both(having, orders)):
        if other.thread_id != thread_id:
            return _taken_by(order.number, other.platform_order_id)
    return None


def _taken_by(number: str, platform_order_id: str) -> str:
    return f"The order number {number} already belongs to the platform's order {platform_order_id}."


def rewrite(connection: Connection, thread_id: int, order: Order, *, now: datetime) -> None:
    """Replace the rows of an order that was written by those of `order`, which must fit."""
    made = _rows(order)
    order_id = connection.execute(select(orders.c.id).where(orders.c.thread_id == thread_id)).scalar_one()
    kept = {name: value for name, value in made.header.items() if name != "imported"}
    connection.execute(update(orders).where(orders.c.id == order_id).values(**kept, updated_at=now))
    for table, rows in ((addresses, made.addresses), (lineitems, made.lines)):
        connection.execute(delete(table).where(table.c.order_id == order_id))
        connection.execute(insert(table), [{"order_id": order_id, **row} for row in rows])


def _unwritable(passed: Passed, reason: str, *, field: str) -> Failed:
    return Failed(id=passed.thread_id, reason=reason, kind="validation", field=field, order=passed.order)


def _having(external_numbers: list[str], erp_ids: set[int], orders: Table) -> Select[Any]:
    columns = (orders.c.erp_id, orders.c.external_number, orders.c.thread_id, orders.c.platform_order_id)
    mine = (orders.c.erp_id.in_(erp_ids), orders.c.external_number.in_(external_numbers))
    return select(*columns).where(*mine)


class _Writer:
    """Stores the rows of the orders that pass the stage `write`, in bulk; storing one again replaces its rows."""

    def __init__(self, settlement: Settlement, erp_ids: Mapping[int, int]) -> None:
        self._settlement = settlement
        self._connection = settlement.connection
        self._erp_ids = erp_ids

    def write(self, outcomes: Sequence[ThreadOutcome], made: Mapping[int, _Rows]) -> list[ThreadOutcome]:
        """Store the rows that were `made` of those that are still ours; the outcomes, where a number is taken a failure."""
        owned = self._settlement.owned
        rows = {
            thread_id: self._placed(each, owned[thread_id])
            for thread_id, each in made.items()
            if thread_id in owned
        }
        taken = self._taken(rows)
        for thread_id in taken:
            del rows[thread_id]
        if rows:
            self._store(rows)
        return [
            _unwritable(each, taken[each.thread_id], field="/number")
            if isinstance(each, Passed) and each.thread_id in taken
            else each
            for each in outcomes
        ]

    def _placed(self, rows: _Rows, thread: Row[Any]) -> _Rows:
        now = self._settlement.now
        place = {
            "thread_id": thread.id,
            "site_id": thread.site_id,
            "erp_id": self._erp_ids[thread.site_id],
            "version": thread.version,
            "created_at": now,
            "updated_at": now,
        }
        return replace(rows, header={**rows.header, **place})

    def _taken(self, rows: Mapping[int, _Rows]) -> dict[int, str]:
        """The orders whose number another order already has, with the sentence that says so."""
        found: dict[int, str] = {}
        owner: dict[tuple[int, str], str] = {}
        numbers = [row.header["external_number"] for row in rows.values()]
        for part in chunks(numbers):
            having = partial(_having, part, set(self._erp_ids.values()))
            for other in self._connection.execute(of_both(having, orders)):
                if other.thread_id not in rows:
                    owner[other.erp_id, other.external_number] = other.platform_order_id
        for thread_id, row in rows.items():
            new = row.header
            key = (new["erp_id"], new["external_number"])
            if key in owner:
                found[thread_id] = _taken_by(new["order_number"], owner[key])
            else:
                owner[key] = new["platform_order_id"]
        return found

    def _store(self, rows: dict[int, _Rows]) -> None:
        connection = self._connection
        ids = list(rows)
        existing = {
            row.thread_id: row.id
            for row in connection.execute(
                select(orders.c.id, orders.c.thread_id).where(orders.c.thread_id.in_(ids))
            )
        }
        if existing:
            for table in (addresses, lineitems):
                connection.execute(delete(table).where(table.c.order_id.in_(list(existing.values()))))
            for thread_id, order_id in existing.items():
                kept = {name: value for name, value in rows[thread_id].header.items() if name != "created_at"}
                connection.execute(update(orders).where(orders.c.id == order_id).values(**kept))
        new = [row.header for thread_id, row in rows.items() if thread_id not in existing]
        if new:
            connection.execute(insert(orders), new)
            made = connection.execute(
                select(orders.c.id, orders.c.thread_id).where(orders.c.thread_id.in_(ids))
            )
            existing = {row.thread_id: row.id for row in made}
        place = {thread_id: {"order_id": existing[thread_id]} for thread_id in ids}
        connection.execute(
            insert(addresses),
            [{**place[each], **row} for each in ids for row in rows[each].addresses],
        )
        connection.execute(
            insert(lineitems), [{**place[each], **row} for each in ids for row in rows[each].lines]
        )
        self._owe(ids)

    def _owe(self, ids: list[int]) -> None:
        now = self._settlement.now
        there = {
            (row.thread_id, row.kind)
            for row in self._connection.execute(
                select(steps.c.thread_id, steps.c.kind).where(steps.c.thread_id.in_(ids))
            )
        }
        new = [
            {
                "thread_id": thread_id,
                "kind": kind.value,
                "state": StepState.OWED.value,
                "next_at": now,
                "rung_at": now,
            }
            for thread_id in ids
            for kind in Owed
            if (thread_id, kind) not in there
        ]
        if new:
            self._connection.execute(insert(steps), new)
        if there:
            renewed = (StepState.OWED, StepState.FAILED, StepState.CLOSED)
            self._connection.execute(
                update(steps)
                .where(steps.c.thread_id.in_(ids), steps.c.state.in_(renewed))
                .values(
                    state=StepState.OWED,
                    reason="",
                    attempts=0,
                    unsettled=0,
                    next_at=now,
                    rung_at=now,
                    waiting_since=None,
                )
            )
