"""What the platform and the ERP are still to be told, and the customers that exports need."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from app.db.types import Exact
from app.domain.road import STEP_UNFINISHED, UNFINISHED, Owed, Stage, State, StepState
from app.ports.erp import ErpDocument, Exchange
from app.ports.store import Closed, CustomerLink, Failed, OwedStep, Settled, StepDone, StepOutcome, Waiting
from tests.fakes.memory_store.base import Entry, Row, change, cut
from tests.fakes.memory_store.road import Road, lease, narrowed, stopped

_FREE = {"lease_until": None, "lease_token": None}


class OwedSteps(Road):
    """Claiming, intending and settling."""

    def claim_steps(
        self, kind: Owed, *, batch_id: int, token: str, lease_seconds: float, limit: int
    ) -> tuple[OwedStep, ...]:
        now = self.now()
        due = [step for step, thread in self._due_steps(kind, now) if thread.batch_id == batch_id]
        due.sort(key=lambda each: (-each.unsettled, each.id))
        taken = narrowed(due[:limit])
        for each in taken:
            lease(each, now, token, lease_seconds)
        return tuple(self._owed(each) for each in sorted(taken, key=lambda each: int(each.id)))

    def _owed(self, row: Row) -> OwedStep:
        thread, order = self.data.threads.rows[row.thread_id], self._order_of(row.thread_id)
        assert order is not None
        return OwedStep(
            step_id=row.id,
            thread_id=row.thread_id,
            site_id=thread.site_id,
            erp_id=order.erp_id,
            state=StepState(row.state),
            attempts=row.attempts,
            unsettled=row.unsettled,
            waiting_since=row.waiting_since,
            intent_at=row.intent_at,
            acknowledged_at=order.acknowledged_at,
            platform_order_id=thread.platform_order_id,
            external_number=order.external_number,
            document=thread.document,
            linked=row.document_number or row.document_id,
        )

    def intend(self, step_ids: Sequence[int], *, token: str) -> tuple[int, ...]:
        now = self.now()
        ours = [row for each in step_ids if (row := self.data.steps.rows[each]).lease_token == token]
        for row in ours:
            change(row, state=StepState.SENDING, intent_at=now)
        self._note([Entry(row.thread_id, row.kind, "sending") for row in ours], now=now)
        return tuple(sorted(row.id for row in ours))

    def settle_steps(
        self,
        kind: Owed,
        *,
        batch_id: int,
        token: str,
        outcomes: Sequence[StepOutcome],
        closed: Sequence[Closed] = (),
        exchanges: Mapping[int, Sequence[Exchange]] = MappingProxyType({}),
    ) -> Settled:
        return _Settlement(self, kind, batch_id, token, exchanges).settle(outcomes, closed)

    def customer_numbers(self, erp_id: int, emails: Sequence[str]) -> Mapping[str, str]:
        found = ((each.our_key, each.their_key) for each in self.data.id_map if each.erp_id == erp_id)
        return {email: number for email, number in found if number and email in emails}

    def customer_link(self, erp_id: int, email: str, *, intend: bool) -> CustomerLink | None:
        row = self._link_of(erp_id, email)
        if row is not None:
            return CustomerLink(number=row.their_key, intent_at=row.intent_at, mine=False)
        if not intend:
            return None
        now = self.now()
        self._link(erp_id, email, state="intended", intent_at=now)
        return CustomerLink(number="", intent_at=now, mine=True)

    def confirm_customer(self, erp_id: int, email: str, *, number: str) -> None:
        row = self._link_of(erp_id, email) or self._link(
            erp_id, email, state="intended", intent_at=self.now()
        )
        change(row, their_key=number, state="confirmed")

    def drop_customer_intent(self, erp_id: int, email: str, *, intent_at: datetime) -> None:
        row = self._link_of(erp_id, email)
        if row is not None and not row.their_key and row.intent_at == intent_at:
            del self.data.id_map.rows[row.id]

    def _link_of(self, erp_id: int, email: str) -> Row | None:
        place = (erp_id, "customer", email)
        return next(
            (each for each in self.data.id_map if (each.erp_id, each.kind, each.our_key) == place), None
        )

    def _link(self, erp_id: int, email: str, **values: Any) -> Row:
        return self.data.id_map.add(erp_id=erp_id, kind="customer", our_key=email, **values)


class _Settlement:
    """One settling of owed steps: which of them are still ours, and what becomes of them."""

    def __init__(
        self,
        store: OwedSteps,
        kind: Owed,
        batch_id: int,
        token: str,
        exchanges: Mapping[int, Sequence[Exchange]],
    ) -> None:
        self._store = store
        self._kind = kind
        self._batch_id = batch_id
        self._exchanges = exchanges
        self._now = store.now()
        mine = [each for each in store.data.steps if each.kind == kind and each.lease_token == token]
        self._steps = {each.id: each for each in mine}

    def settle(self, outcomes: Sequence[StepOutcome], closed: Sequence[Closed]) -> Settled:
        store = self._store
        ours = [each for each in outcomes if _step_id(each) in self._steps]
        claimed = {each.thread_id for each in self._steps.values()}
        closing = [each for each in closed if each.thread_id in claimed]
        overtaken = [each for each in ours if self._is_overtaken(each)]
        for each in overtaken:
            self._restart(self._thread(each))
        ours = [each for each in ours if each not in overtaken]
        done = [each for each in ours if isinstance(each, StepDone)]
        waiting = [each for each in ours if isinstance(each, Waiting)]
        for one in done:
            self._finish(one.step_id, one.document, asked_at=one.asked_at)
        for wait in waiting:
            self._wait(wait)
        for fault in ours:
            if isinstance(fault, Failed):
                self._fail(fault)
        ended = {end.thread_id for end in closing if self._close(end)}
        batch_id = self._batch_id
        if waiting and done:
            batch_id = store._batch(self._thread(waiting[0]).site_id, self._now, parent_id=batch_id)
            for wait in waiting:
                self._thread(wait).batch_id = batch_id
        self._note(ours, closing, ended)
        touched = {self._thread(each).id for each in ours} | {end.thread_id for end in closing}
        for thread_id in sorted(touched - ended):
            self._settle_thread(store.data.threads.rows[thread_id])
        return Settled(
            passed=len(done),
            waiting=len(waiting),
            waiting_batch=batch_id if waiting else None,
            due_at=min((each.next_at for each in waiting), default=None),
        )

    def _thread(self, outcome: StepOutcome) -> Row:
        return self._store.data.threads.rows[self._steps[_step_id(outcome)].thread_id]

    def _is_overtaken(self, outcome: StepOutcome) -> bool:
        """Whether nothing was sent after all, while a new version of the order had to wait for what might have been."""
        unsent = (isinstance(outcome, Waiting) and outcome.state == StepState.OWED) or (
            isinstance(outcome, Failed) and outcome.unsent
        )
        return unsent and self._kind is Owed.EXPORT and self._thread(outcome).amended_version is not None

    def _restart(self, thread: Row) -> None:
        version = thread.amended_version
        anew = {"reason": "", "next_at": self._now, "attempts": 0, "unsettled": 0, "rung_at": None, **_FREE}
        for step in self._store._steps_of(thread.id):
            if step.kind == Owed.EXPORT:
                change(step, state=StepState.OWED, intent_at=None, **anew)
        change(
            thread,
            version=version,
            amended_version=None,
            stage=Stage.NORMALIZE,
            state=State.ACTIVE,
            hold_kind="",
            waiting_since=None,
            document=None,
            fence=thread.fence + 1,
            updated_at=self._now,
            **anew,
        )
        self._store._resolve_errors([thread.id], resolution="a new version arrived", now=self._now)
        self._store._note([Entry(thread.id, self._kind, "changed", {"version": version})], now=self._now)

    def _settled(self, step: Row, **values: Any) -> None:
        change(step, **_FREE, unsettled=0, rung_at=self._now, **values)

    def _finish(
        self, step_id: int, document: ErpDocument | None, *, asked_at: datetime | None = None
    ) -> None:
        step = self._steps[step_id]
        self._settled(step, state=StepState.DONE, done_at=self._now, next_at=None, reason="")
        order = self._store._order_of(step.thread_id)
        assert order is not None
        if self._kind is Owed.ACKNOWLEDGE:
            order.acknowledged_at = asked_at or self._now
        if document is None:
            return
        change(step, document_id=document.id[:64], document_number=document.number[:64])
        change(
            order,
            imported=1,
            exported_at=self._now,
            erp_document_id=document.id[:64],
            erp_document_number=document.number[:64],
            erp_customer_number=document.customer_number[:64],
            erp_total=document.total if Exact().holds(document.total) else None,
            updated_at=self._now,
        )
        for line in self._store.data.lineitems:
            if line.order_id == order.id:
                line.imported = 1

    def _wait(self, wait: Waiting) -> None:
        step, thread = self._steps[wait.id], self._thread(wait)
        values: dict[str, Any] = {} if wait.state is None else {"state": wait.state}
        if wait.state == StepState.OWED:
            values["intent_at"] = None
        if not wait.reason and wait.state is None:
            values["attempts"] = max(0, step.attempts - 1)
        told = {
            "next_at": wait.next_at,
            "reason": cut(wait.reason),
            "waiting_since": step.waiting_since or self._now,
        }
        self._settled(step, **told, **values)
        state = State.HELD if wait.hold_kind else State.ACTIVE
        change(thread, state=state, hold_kind=wait.hold_kind, **told)

    def _fail(self, fault: Failed) -> None:
        step, thread = self._steps[fault.id], self._thread(fault)
        if fault.document is not None:
            self._finish(fault.id, fault.document)
        else:
            values = {"intent_at": None} if fault.unsent else {}
            self._settled(step, state=StepState.FAILED, next_at=None, reason=cut(fault.reason), **values)
        self._store._open_error(thread, fault, stage=self._kind, attempts=step.attempts, now=self._now)
        thread.reason = cut(fault.reason)

    def _close(self, end: Closed) -> bool:
        """Drop what is still owed. An order whose document may be on its way stays open until that is known."""
        store, reason = self._store, cut(end.reason)
        steps = store._steps_of(end.thread_id)
        for step in steps:
            if step.state == StepState.OWED:
                change(step, state=StepState.CLOSED, next_at=None, reason=reason, **_FREE)
        exported = any(each.kind == Owed.EXPORT and each.state == StepState.DONE for each in steps)
        if exported or any(each.state in STEP_UNFINISHED for each in steps):
            return False
        ended = {"state": State.CLOSED, "next_at": None, "hold_kind": "", "reason": reason}
        change(store.data.threads.rows[end.thread_id], **ended, updated_at=self._now)
        order = store._order_of(end.thread_id)
        if order is not None and order.imported == 0:
            order.imported = 2
        for step in steps:
            if step.state == StepState.FAILED:
                change(step, state=StepState.CLOSED, next_at=None)
        store._resolve_errors([end.thread_id], resolution="closed on the platform", now=self._now)
        return True

    def _note(self, outcomes: list[StepOutcome], closing: Sequence[Closed], ended: set[int]) -> None:
        entries = []
        for each in outcomes:
            sent = [asdict(one) for one in self._exchanges.get(_step_id(each), ())]
            if isinstance(each, Waiting) and not each.reason and not sent:
                continue
            entry = _entry(self._kind, each, thread_id=self._thread(each).id)
            entries.append(replace(entry, payload={**entry.payload, "sent": sent}) if sent else entry)
        for end in closing:
            event = "closed" if end.thread_id in ended else "not_closed"
            entries.append(Entry(end.thread_id, self._kind, event, payload={"reason": end.reason}))
        told = {_step_id(each) for each in outcomes}
        for step_id, said in sorted(self._exchanges.items()):
            if said and step_id not in told:
                payload = {"sent": [asdict(one) for one in said]}
                thread_id = self._store.data.steps.rows[step_id].thread_id
                entries.append(Entry(thread_id, self._kind, "sent", payload=payload))
        self._store._note(entries, now=self._now)

    def _settle_thread(self, thread: Row) -> None:
        """An order is at its end when nothing is owed any more: done, or rejected where a step failed or an error is open."""
        if thread.state not in UNFINISHED:
            return
        steps = self._store._steps_of(thread.id)
        unfinished = [each for each in steps if each.state in STEP_UNFINISHED]
        thread.updated_at = self._now
        if unfinished:
            thread.next_at = min(each.next_at for each in unfinished)
            if not any(each.reason for each in unfinished):
                change(thread, state=State.ACTIVE, hold_kind="", reason="", waiting_since=None)
            return
        failed = [each.reason for each in steps if each.state == StepState.FAILED]
        errors = self._store.data.error_orders
        broken = failed or [each.reason for each in errors if each.thread_id == thread.id and each.open_key]
        change(thread, next_at=None, hold_kind="", waiting_since=None)
        state = State.REJECTED if broken else State.DONE
        change(thread, state=state, reason=cut(broken[-1]) if broken else "")


def _step_id(outcome: StepOutcome) -> int:
    return outcome.step_id if isinstance(outcome, StepDone) else outcome.id


def _entry(kind: Owed, outcome: StepOutcome, *, thread_id: int) -> Entry:
    if not isinstance(outcome, StepDone):
        return stopped(outcome, thread_id=thread_id, stage=kind)
    found, detail = outcome.document, dict(outcome.detail)
    if found is not None:
        told = {"document": found.number, "document_id": found.id, "customer": found.customer_number}
        detail |= {**told, "total": str(found.total)}
    return Entry(thread_id, kind, "acknowledged" if kind is Owed.ACKNOWLEDGE else "exported", detail)
