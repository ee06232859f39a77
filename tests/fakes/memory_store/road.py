"""Claiming and settling orders at the stages of the road, and writing them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from app.db.store.rows import DoesNotFit, address_rows, line_rows, order_row
from app.db.types import Exact
from app.domain import document
from app.domain.order import Order
from app.domain.road import UNFINISHED, Owed, Stage, State, StepState, stage_after
from app.ports.store import Claimed, Failed, Passed, Settled, ThreadOutcome, Waiting
from tests.fakes.memory_store.base import Base, Entry, Row, change, cut, is_free, storable

_NARROW_FROM = 2
_RENEWED = (StepState.OWED, StepState.FAILED, StepState.CLOSED)
_FREE = {"lease_until": None, "lease_token": None, "unsettled": 0}


class Road(Base):
    """The stages before delivery."""

    def claim(self, stage: Stage, *, batch_id: int, token: str, lease_seconds: float) -> tuple[Claimed, ...]:
        now = self.now()
        mine = [
            each
            for each in self.data.threads
            if each.batch_id == batch_id
            and each.stage == stage
            and each.state in UNFINISHED
            and each.next_at <= now
            and is_free(each, now)
        ]
        for each in narrowed(mine):
            lease(each, now, token, lease_seconds)
        taken = [each for each in mine if each.lease_token == token]
        return tuple(self._claimed(each, stage) for each in taken)

    def _claimed(self, row: Row, stage: Stage) -> Claimed:
        body, completed = None, False
        if stage is Stage.NORMALIZE:
            place = (row.site_id, row.platform_order_id, row.version)
            for stored in self.data.inbox:
                if (stored.site_id, stored.platform_order_id, stored.version) == place:
                    completed = stored.completed is not None
                    body = stored.completed if completed else stored.body
        return Claimed(
            thread_id=row.id,
            site_id=row.site_id,
            order_number=row.order_number,
            platform_order_id=row.platform_order_id,
            attempts=row.attempts,
            unsettled=row.unsettled,
            waiting_since=row.waiting_since,
            fresh=row.fresh,
            body=body,
            document=None if stage is Stage.NORMALIZE else row.document,
            version=row.version,
            completed=completed,
        )

    def settle(
        self, stage: Stage, *, batch_id: int, token: str, outcomes: Sequence[ThreadOutcome]
    ) -> Settled:
        now = self.now()
        owned = self._owned(batch_id, token)
        ours = [each for each in outcomes if _thread_id(each) in owned]
        passed = [each for each in ours if isinstance(each, Passed)]
        waiting = [each for each in ours if isinstance(each, Waiting)]
        for done in passed:
            self._pass(owned[done.thread_id], done, stage, now)
        if passed and waiting:
            batch_id = self._batch(next(iter(owned.values())).site_id, now, parent_id=batch_id)
        for wait in waiting:
            self._wait(owned[wait.id], wait, batch_id, now)
        for fault in ours:
            if isinstance(fault, Failed):
                self._fail(owned[fault.id], fault, stage, now)
        self._note([_entry(each, stage) for each in ours], now=now)
        due_at = min((each.next_at for each in waiting), default=None)
        return Settled(
            passed=len(passed),
            waiting=len(waiting),
            waiting_batch=batch_id if waiting else None,
            due_at=due_at,
        )

    def write(
        self, *, batch_id: int, token: str, erp_ids: Mapping[int, int], outcomes: Sequence[ThreadOutcome]
    ) -> Settled:
        owned = self._owned(batch_id, token)
        written = [
            self._written(owned[each.thread_id], each, erp_ids)
            if isinstance(each, Passed) and each.thread_id in owned
            else each
            for each in outcomes
        ]
        return self.settle(Stage.WRITE, batch_id=batch_id, token=token, outcomes=written)

    def _owned(self, batch_id: int, token: str) -> dict[int, Row]:
        return {
            each.id: each
            for each in self.data.threads
            if each.batch_id == batch_id and each.lease_token == token
        }

    def _pass(self, row: Row, done: Passed, stage: Stage, now: datetime) -> None:
        change(
            row,
            order_number=_number(done.order),
            document=_document(done.order) if done.document is None else done.document,
            stage=stage_after(stage),
            state=State.ACTIVE,
            reason="",
            hold_kind="",
            waiting_since=None,
            next_at=now,
            attempts=0,
            fresh=row.fresh and stage is Stage.NORMALIZE,
            rung_at=now,
            updated_at=now,
            **_FREE,
        )

    def _wait(self, row: Row, wait: Waiting, batch_id: int, now: datetime) -> None:
        change(
            row,
            state=State.HELD if wait.hold_kind else State.ACTIVE,
            reason=cut(wait.reason),
            hold_kind=wait.hold_kind,
            waiting_since=row.waiting_since or now,
            next_at=wait.next_at,
            batch_id=batch_id,
            rung_at=now,
            updated_at=now,
            **_FREE,
        )
        for key in [each.id for each in self.data.waits if each.thread_id == row.id]:
            del self.data.waits.rows[key]
        for erp_id, sku in wait.waits_for:
            self.data.waits.add(thread_id=row.id, erp_id=erp_id, sku=storable(sku)[:255])

    def _fail(self, row: Row, fault: Failed, stage: Stage, now: datetime) -> None:
        number = {"order_number": _number(fault.order)} if fault.order else {}
        ended = {"state": State.REJECTED, "hold_kind": "", "next_at": None, "reason": cut(fault.reason)}
        change(row, **ended, **number, rung_at=now, updated_at=now, **_FREE)
        self._open_error(row, fault, stage=stage, attempts=row.attempts, now=now)

    def _open_error(
        self, thread: Row, fault: Failed, *, stage: Stage | Owed, attempts: int, now: datetime
    ) -> None:
        """One open error for this order and stage."""
        key, order = f"{thread.id}:{stage}", fault.order
        text = thread.document if order is None else _document(order)
        if order is None and text:
            order = document.load_text(text)
        total, currency = (order.total, order.currency) if order else fault.worth or (None, None)
        values = {
            "stage": str(stage),
            "kind": fault.kind,
            "reason": storable(fault.reason),
            "field": None if fault.field is None else storable(fault.field)[:255],
            "document": text,
            "value": total if total is not None and Exact().holds(total) else None,
            "currency": currency,
            "order_number": _number(order) if order else thread.order_number,
            "attempts": attempts,
        }
        there = next((each for each in self.data.error_orders if each.open_key == key), None)
        if there is not None:
            change(there, **values)
            return
        place = {"site_id": thread.site_id, "platform_order_id": thread.platform_order_id}
        self.data.error_orders.add(thread_id=thread.id, **place, **values, opened_at=now, open_key=key)

    def _written(self, thread: Row, done: Passed, erp_ids: Mapping[int, int]) -> ThreadOutcome:
        """Store the rows of one order; the outcome, which is a failure where they do not fit or its number is taken."""
        order, erp_id = done.order, erp_ids[thread.site_id]
        try:
            parts = address_rows(order), line_rows(order)
            header = order_row(order, external_number=order.number.upper())
        except DoesNotFit as error:
            return _unwritable(done, str(error), field=error.column)
        for other in self.data.orders:
            taken = (other.erp_id, other.external_number) == (erp_id, header["external_number"])
            if taken and other.thread_id != thread.id:
                reason = f"The order number {order.number} already belongs to the platform's order {other.platform_order_id}."
                return _unwritable(done, reason, field="/number")
        now = self.now()
        placed = {"site_id": thread.site_id, "erp_id": erp_id, "version": thread.version, "updated_at": now}
        row = self._order_of(thread.id)
        if row is None:
            row = self.data.orders.add(thread_id=thread.id, **header, **placed, created_at=now)
        else:
            change(row, **header, **placed)
        for table, rows in zip((self.data.addresses, self.data.lineitems), parts, strict=True):
            for key in [each.id for each in table if each.order_id == row.id]:
                del table.rows[key]
            for each in rows:
                table.add(order_id=row.id, **each)
        self._owe(thread.id, now)
        return done

    def _owe(self, thread_id: int, now: datetime) -> None:
        there = {each.kind: each for each in self._steps_of(thread_id)}
        due = {"next_at": now, "rung_at": now}
        for kind in Owed:
            if kind not in there:
                self.data.steps.add(thread_id=thread_id, kind=kind.value, state=StepState.OWED, **due)
            elif there[kind].state in _RENEWED:
                anew = {"reason": "", "attempts": 0, "unsettled": 0, "waiting_since": None}
                change(there[kind], state=StepState.OWED, **anew, **due)


def narrowed(rows: list[Row]) -> list[Row]:
    """One alone, where some were claimed often in vain."""
    worst = max(rows, key=lambda each: (each.unsettled, -each.id), default=None)
    return rows if worst is None or worst.unsettled < _NARROW_FROM else [worst]


def lease(row: Row, now: datetime, token: str, seconds: float) -> None:
    """Take a row."""
    change(
        row,
        lease_until=now + timedelta(seconds=seconds),
        lease_token=token,
        fence=row.fence + 1,
        unsettled=row.unsettled + 1,
        attempts=row.attempts + 1,
    )


def _number(order: Order) -> str:
    return storable(order.number)[:80]


def _document(order: Order) -> str:
    return storable(document.dump_text(order))


def _thread_id(outcome: ThreadOutcome) -> int:
    return outcome.thread_id if isinstance(outcome, Passed) else outcome.id


def _unwritable(done: Passed, reason: str, *, field: str) -> Failed:
    return Failed(id=done.thread_id, reason=reason, kind="validation", field=field, order=done.order)


def _entry(outcome: ThreadOutcome, stage: Stage) -> Entry:
    if isinstance(outcome, Passed):
        return Entry(outcome.thread_id, stage, "passed", dict(outcome.detail))
    return stopped(outcome, thread_id=outcome.id, stage=stage)


def stopped(outcome: Waiting | Failed, *, thread_id: int, stage: Stage | Owed) -> Entry:
    """The event of an order or an owed step that did not go on."""
    told: dict[str, Any] = {"reason": outcome.reason}
    if isinstance(outcome, Failed):
        return Entry(thread_id, stage, "rejected", {"kind": outcome.kind}, told)
    event = "held" if outcome.hold_kind else "postponed"
    return Entry(thread_id, stage, event, {"until": outcome.next_at.isoformat()}, told)


def thread_ids(rows: Iterable[Row]) -> set[int]:
    """The orders that these rows belong to."""
    return {each.thread_id for each in rows}
