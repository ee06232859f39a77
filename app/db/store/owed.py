"""Owed steps: what the platform and the ERP are still to be told."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.db.store.base import NARROW_FROM, Base, Entry, chunks, cut, lease_free, unfinished_in_batch
from app.db.store.road import SETTLED, open_error, resolve_errors, split_batch, stopped
from app.db.tables import error_orders, id_map, lineitems, orders, steps, threads
from app.db.types import Exact
from app.domain.road import STEP_UNFINISHED, UNFINISHED, Owed, Stage, State, StepState
from app.ports.erp import ErpDocument, Exchange
from app.ports.store import Closed, CustomerLink, Failed, OwedStep, Settled, StepDone, StepOutcome, Waiting

CUSTOMER = "customer"


def due_steps(kind: Owed, now: datetime, *, batch_id: int | None = None) -> Any:
    """Steps of this kind, of all or of one batch, that may be worked on now.

    An export waits until its acknowledgement has been tried once.
    """
    unfinished: tuple[ColumnElement[bool], ...]
    if batch_id is None:
        unfinished = (steps.c.state.in_(STEP_UNFINISHED), threads.c.state.in_(UNFINISHED))
    else:
        unfinished = (
            threads.c.batch_id == batch_id,
            unfinished_in_batch(steps),
            unfinished_in_batch(threads),
        )
    query = (
        select(steps.c.id)
        .join(threads, threads.c.id == steps.c.thread_id)
        .where(
            steps.c.kind == kind,
            *unfinished,
            steps.c.next_at <= now,
            lease_free(steps, now),
            threads.c.stage == Stage.DELIVER,
        )
    )
    if kind is Owed.EXPORT:
        first = steps.alias("first")
        untried = select(first.c.id).where(
            first.c.thread_id == steps.c.thread_id,
            first.c.kind == Owed.ACKNOWLEDGE,
            first.c.state == StepState.OWED,
            first.c.attempts == 0,
        )
        query = query.where(~untried.exists())
    return query


class OwedSteps(Base):
    """Claiming, intending and settling owed steps, and the customers that exports need."""

    def claim_steps(
        self, kind: Owed, *, batch_id: int, token: str, lease_seconds: float, limit: int
    ) -> tuple[OwedStep, ...]:
        """Take up to `limit` of the batch's due steps of this kind under lease; one alone, where some were claimed in vain."""
        with self._writing() as connection:
            now = self._now(connection)
            mine = (
                due_steps(kind, now, batch_id=batch_id)
                .add_columns(steps.c.unsettled)
                .order_by(steps.c.unsettled.desc(), steps.c.id)
                .limit(limit)
            )
            due = connection.execute(mine.with_for_update(skip_locked=True)).all()
            if not due:
                return ()
            ids = [row.id for row in (due[:1] if due[0].unsettled >= NARROW_FROM else due)]
            connection.execute(
                update(steps)
                .where(steps.c.id.in_(ids), lease_free(steps, now))
                .values(
                    lease_until=now + timedelta(seconds=lease_seconds),
                    lease_token=token,
                    fence=steps.c.fence + 1,
                    unsettled=steps.c.unsettled + 1,
                    attempts=steps.c.attempts + 1,
                )
            )
            query = (
                select(
                    steps,
                    threads.c.site_id,
                    threads.c.platform_order_id,
                    threads.c.document,
                    orders.c.erp_id,
                    orders.c.external_number,
                    orders.c.acknowledged_at,
                )
                .join(threads, threads.c.id == steps.c.thread_id)
                .join(orders, orders.c.thread_id == threads.c.id)
                .where(steps.c.id.in_(ids), steps.c.lease_token == token)
                .order_by(steps.c.id)
            )
            return tuple(_owed(row) for row in connection.execute(query))

    def intend(self, step_ids: Sequence[int], *, token: str) -> tuple[int, ...]:
        """Store that these steps are about to be sent. Returns those still under this token; only they may be sent."""
        with self._writing() as connection:
            now = self._now(connection)
            # The threads first: a new version of the order takes the same locks in the same order.
            of_steps = select(steps.c.thread_id).where(steps.c.id.in_(step_ids))
            connection.execute(
                select(threads.c.id)
                .where(threads.c.id.in_(of_steps))
                .order_by(threads.c.id)
                .with_for_update()
            ).all()
            ours = connection.execute(
                select(steps.c.id, steps.c.thread_id, steps.c.kind)
                .where(steps.c.id.in_(step_ids), steps.c.lease_token == token)
                .with_for_update()
            ).all()
            if ours:
                connection.execute(
                    update(steps)
                    .where(steps.c.id.in_([row.id for row in ours]))
                    .values(state=StepState.SENDING, intent_at=now)
                )
                self._note(connection, [Entry(row.thread_id, row.kind, "sending") for row in ours], now=now)
            return tuple(row.id for row in ours)

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
        """Store what became of the claimed steps; those no longer under this token are left alone."""
        with self._writing() as connection:
            picked = or_(
                steps.c.id.in_([_step_id(each) for each in outcomes]),
                steps.c.thread_id.in_([each.thread_id for each in closed]),
            )
            settlement = _StepSettlement(
                self,
                connection,
                kind=kind,
                batch_id=batch_id,
                mine=(picked, steps.c.lease_token == token),
                exchanges=exchanges,
            )
            return settlement.settle(outcomes, closed)

    def customer_link(self, erp_id: int, email: str, *, intend: bool) -> CustomerLink | None:
        """The stored link for an e-mail address; with `intend`, an intent is stored where there is none."""
        where = (id_map.c.erp_id == erp_id, id_map.c.kind == CUSTOMER, id_map.c.our_key == email)
        try:
            with self._writing() as connection:
                row = connection.execute(select(id_map).where(*where)).first()
                if row is not None:
                    return CustomerLink(number=row.their_key, intent_at=row.intent_at, mine=False)
                if not intend:
                    return None
                now = self._now(connection)
                new = {
                    "erp_id": erp_id,
                    "kind": CUSTOMER,
                    "our_key": email,
                    "state": "intended",
                    "intent_at": now,
                }
                connection.execute(insert(id_map).values(**new))
                return CustomerLink(number="", intent_at=now, mine=True)
        except IntegrityError:
            # Another worker stored its intent between our look and our insert: theirs counts.
            return self.customer_link(erp_id, email, intend=False)

    def customer_numbers(self, erp_id: int, emails: Sequence[str]) -> Mapping[str, str]:
        """The confirmed customer numbers of these e-mail addresses (lower case)."""
        found: dict[str, str] = {}
        with self._reading() as connection:
            query = select(id_map.c.our_key, id_map.c.their_key).where(
                id_map.c.erp_id == erp_id, id_map.c.kind == CUSTOMER, id_map.c.their_key != ""
            )
            for part in chunks(list(emails)):
                rows = connection.execute(query.where(id_map.c.our_key.in_(part)))
                found.update((row.our_key, row.their_key) for row in rows)
        return found

    def confirm_customer(self, erp_id: int, email: str, *, number: str) -> None:
        """The customer exists in the ERP under this number."""
        where = (id_map.c.erp_id == erp_id, id_map.c.kind == CUSTOMER, id_map.c.our_key == email)
        values = {"their_key": number, "state": "confirmed"}
        confirm = update(id_map).where(*where).values(**values)
        try:
            with self._writing() as connection:
                if connection.execute(confirm).rowcount:
                    return
                key = {"erp_id": erp_id, "kind": CUSTOMER, "our_key": email}
                connection.execute(insert(id_map).values(**key, **values, intent_at=self._now(connection)))
        except IntegrityError:
            # Another worker stored the same customer between our update and our insert.
            with self._writing() as connection:
                connection.execute(confirm)

    def drop_customer_intent(self, erp_id: int, email: str, *, intent_at: datetime) -> None:
        """Forget this intent (and no later one): the creation certainly did not happen."""
        with self._writing() as connection:
            where = (id_map.c.erp_id == erp_id, id_map.c.kind == CUSTOMER, id_map.c.our_key == email)
            connection.execute(
                delete(id_map).where(*where, id_map.c.their_key == "", id_map.c.intent_at == intent_at)
            )


def _owed(row: Row[Any]) -> OwedStep:
    return OwedStep(
        step_id=row.id,
        thread_id=row.thread_id,
        site_id=row.site_id,
        erp_id=row.erp_id,
        state=StepState(row.state),
        attempts=row.attempts,
        unsettled=row.unsettled,
        waiting_since=row.waiting_since,
        intent_at=row.intent_at,
        acknowledged_at=row.acknowledged_at,
        platform_order_id=row.platform_order_id,
        external_number=row.external_number,
        document=row.document,
        linked=row.document_number or row.document_id,
    )


class _StepSettlement:
    """One settling transaction over owed steps."""

    def __init__(
        self,
        store: Base,
        connection: Connection,
        *,
        kind: Owed,
        batch_id: int,
        mine: tuple[ColumnElement[bool], ...],
        exchanges: Mapping[int, Sequence[Exchange]],
    ) -> None:
        self._store = store
        self._connection = connection
        self._now = store._now(connection)  # noqa: SLF001 - a part of the store, split off for its length
        self._kind = kind
        self._batch_id = batch_id
        self._exchanges = exchanges
        claimed = select(steps.c.thread_id).where(steps.c.kind == kind, *mine)
        locked = select(*SETTLED).where(threads.c.id.in_(claimed)).order_by(threads.c.id).with_for_update()
        self._threads = {row.id: row for row in connection.execute(locked)}
        ours = select(steps).where(steps.c.kind == kind, *mine).with_for_update()
        self._steps = {row.id: row for row in connection.execute(ours)}
        self._settled = {"lease_until": None, "lease_token": None, "unsettled": 0, "rung_at": self._now}

    def settle(self, outcomes: Sequence[StepOutcome], closed: Sequence[Closed]) -> Settled:
        ours = [outcome for outcome in outcomes if _step_id(outcome) in self._steps]
        # By the steps that are still ours: an order that restarted while we waited for its row is not ours to close.
        claimed = {row.thread_id for row in self._steps.values()}
        closing = [each for each in closed if each.thread_id in claimed]
        amended = [each for each in ours if self._is_overtaken(each)]
        for each in amended:
            self._restart(self._threads[self._steps[_step_id(each)].thread_id])
        ours = [each for each in ours if each not in amended]
        done = [each for each in ours if isinstance(each, StepDone)]
        waiting = [each for each in ours if isinstance(each, Waiting)]
        failed = [each for each in ours if isinstance(each, Failed)]
        asked_at = min((one.asked_at for one in done if one.asked_at is not None), default=self._now)
        self._finish({one.step_id: one.document for one in done}, asked_at=asked_at)
        for wait in waiting:
            self._wait(wait)
        for fault in failed:
            self._fail(fault)
        ended = {end.thread_id for end in closing if self._close(end)}
        batch_id = self._batch_id
        if waiting and done:
            batch_id = split_batch(self._connection, self._threads, self._batch_id, now=self._now)
            moved = [self._steps[each.id].thread_id for each in waiting]
            self._connection.execute(update(threads).where(threads.c.id.in_(moved)).values(batch_id=batch_id))
        self._note(ours, closing, ended)
        self._note_rest({_step_id(each) for each in ours})
        touched = {self._steps[_step_id(each)].thread_id for each in ours} | {
            end.thread_id for end in closing
        }
        self._settle_threads(sorted(touched - ended))
        due_at = min((each.next_at for each in waiting), default=None)
        return Settled(
            passed=len(done), waiting=len(waiting), waiting_batch=batch_id if waiting else None, due_at=due_at
        )

    def _is_overtaken(self, outcome: StepOutcome) -> bool:
        """Whether nothing was sent after all, while a new version of the order had to wait for what might have been."""
        unsent = (isinstance(outcome, Waiting) and outcome.state == StepState.OWED) or (
            isinstance(outcome, Failed) and outcome.unsent
        )
        thread = self._threads[self._steps[_step_id(outcome)].thread_id]
        return unsent and self._kind is Owed.EXPORT and thread.amended_version is not None

    def _restart(self, thread: Row[Any]) -> None:
        """Run the order again with the version that had to wait."""
        free = {"lease_until": None, "lease_token": None, "attempts": 0, "unsettled": 0, "rung_at": None}
        self._connection.execute(
            update(steps)
            .where(steps.c.thread_id == thread.id, steps.c.kind == Owed.EXPORT)
            .values(state=StepState.OWED, intent_at=None, reason="", next_at=self._now, **free)
        )
        self._connection.execute(
            update(threads)
            .where(threads.c.id == thread.id)
            .values(
                version=thread.amended_version,
                amended_version=None,
                stage=Stage.NORMALIZE,
                state=State.ACTIVE,
                reason="",
                hold_kind="",
                waiting_since=None,
                document=None,
                next_at=self._now,
                fence=threads.c.fence + 1,
                updated_at=self._now,
                **free,
            )
        )
        resolve_errors(self._connection, [thread.id], resolution="a new version arrived", now=self._now)
        self._append([Entry(thread.id, self._kind, "changed", {"version": thread.amended_version})])

    def _step(self, step_id: int, **values: Any) -> None:
        self._connection.execute(update(steps).where(steps.c.id == step_id).values(**self._settled, **values))

    def _finish(self, done: Mapping[int, ErpDocument | None], *, asked_at: datetime) -> None:
        """These steps, by id, are done; an export's with the document that the ERP holds."""
        if not done:
            return
        ended = {"state": StepState.DONE, "done_at": self._now, "next_at": None, "reason": ""}
        self._connection.execute(
            update(steps).where(steps.c.id.in_(list(done))).values(**self._settled, **ended)
        )
        if self._kind is Owed.ACKNOWLEDGE:
            thread_ids = [self._steps[step_id].thread_id for step_id in done]
            self._connection.execute(
                update(orders).where(orders.c.thread_id.in_(thread_ids)).values(acknowledged_at=asked_at)
            )
        self._link({step_id: found for step_id, found in done.items() if found is not None})

    def _link(self, documents: Mapping[int, ErpDocument]) -> None:
        """Tie orders to their documents."""
        if not documents:
            return
        rows = [
            {
                "b_step": step_id,
                "b_thread": self._steps[step_id].thread_id,
                "b_id": found.id[:64],
                "b_number": found.number[:64],
                "b_customer": found.customer_number[:64],
                # A total that the column cannot hold must not cost the link to the document.
                "b_total": found.total if Exact().holds(found.total) else None,
            }
            for step_id, found in documents.items()
        ]
        self._connection.execute(
            update(steps)
            .where(steps.c.id == bindparam("b_step"))
            .values(document_id=bindparam("b_id"), document_number=bindparam("b_number")),
            rows,
        )
        self._connection.execute(
            update(orders)
            .where(orders.c.thread_id == bindparam("b_thread"))
            .values(
                imported=1,
                exported_at=self._now,
                erp_document_id=bindparam("b_id"),
                erp_document_number=bindparam("b_number"),
                erp_customer_number=bindparam("b_customer"),
                erp_total=bindparam("b_total"),
                updated_at=self._now,
            ),
            rows,
        )
        of_orders = select(orders.c.id).where(orders.c.thread_id.in_([row["b_thread"] for row in rows]))
        self._connection.execute(
            update(lineitems).where(lineitems.c.order_id.in_(of_orders)).values(imported=1)
        )

    def _wait(self, wait: Waiting) -> None:
        values: dict[str, Any] = {} if wait.state is None else {"state": wait.state}
        if wait.state == StepState.OWED:
            values["intent_at"] = None
        if _is_given_back(wait):
            # Else what fails once, after it was given back often, would wait as if it had failed so often.
            values["attempts"] = max(0, self._steps[wait.id].attempts - 1)
        since = self._steps[wait.id].waiting_since or self._now
        self._step(wait.id, next_at=wait.next_at, reason=cut(wait.reason), waiting_since=since, **values)
        thread_id = self._steps[wait.id].thread_id
        self._connection.execute(
            update(threads)
            .where(threads.c.id == thread_id)
            .values(
                state=State.HELD if wait.hold_kind else State.ACTIVE,
                hold_kind=wait.hold_kind,
                reason=cut(wait.reason),
                waiting_since=since,
                next_at=wait.next_at,
            )
        )

    def _fail(self, fault: Failed) -> None:
        thread = self._threads[self._steps[fault.id].thread_id]
        if fault.document is not None:
            # The document exists: the step is done and stays done, whatever a person decides about the difference.
            self._finish({fault.id: fault.document}, asked_at=self._now)
        else:
            # An intent of which something may still come outlives the failure: sending again heeds it.
            values: dict[str, Any] = {"intent_at": None} if fault.unsent else {}
            self._step(fault.id, state=StepState.FAILED, next_at=None, reason=cut(fault.reason), **values)
        attempts = self._steps[fault.id].attempts
        open_error(self._connection, thread, fault, stage=self._kind, attempts=attempts, now=self._now)
        self._connection.execute(
            update(threads).where(threads.c.id == thread.id).values(reason=cut(fault.reason))
        )

    def _close(self, end: Closed) -> bool:
        """Drop what is still owed. An order whose document may be on its way stays open until that is known."""
        self._connection.execute(
            update(steps)
            .where(steps.c.thread_id == end.thread_id, steps.c.state == StepState.OWED)
            .values(
                state=StepState.CLOSED,
                next_at=None,
                reason=cut(end.reason),
                lease_until=None,
                lease_token=None,
            )
        )
        on_its_way = select(steps.c.id).where(
            steps.c.thread_id == end.thread_id, steps.c.state.in_(STEP_UNFINISHED)
        )
        exported = select(steps.c.id).where(
            steps.c.thread_id == end.thread_id,
            steps.c.kind == Owed.EXPORT,
            steps.c.state == StepState.DONE,
        )
        if any(self._connection.execute(each).first() is not None for each in (on_its_way, exported)):
            return False
        self._connection.execute(
            update(threads)
            .where(threads.c.id == end.thread_id)
            .values(
                state=State.CLOSED, next_at=None, hold_kind="", reason=cut(end.reason), updated_at=self._now
            )
        )
        self._connection.execute(
            update(orders)
            .where(orders.c.thread_id == end.thread_id, orders.c.imported == 0)
            .values(imported=2)
        )
        # What failed of it before is nobody's to mend any more.
        self._connection.execute(
            update(steps)
            .where(steps.c.thread_id == end.thread_id, steps.c.state == StepState.FAILED)
            .values(state=StepState.CLOSED, next_at=None)
        )
        resolve_errors(self._connection, [end.thread_id], resolution="closed on the platform", now=self._now)
        return True

    def _append(self, entries: Sequence[Entry]) -> None:
        self._store._note(self._connection, entries, now=self._now)  # noqa: SLF001 - a part of the store

    def _note(self, outcomes: list[StepOutcome], closing: Sequence[Closed], ended: set[int]) -> None:
        entries = []
        for each in outcomes:
            step_id = _step_id(each)
            sent = [asdict(one) for one in self._exchanges.get(step_id, ())]
            if isinstance(each, Waiting) and not each.reason and not sent:
                # Nothing happened to the order.
                continue
            entry = _entry(self._kind, each, thread_id=self._steps[step_id].thread_id)
            entries.append(replace(entry, payload={**entry.payload, "sent": sent}) if sent else entry)
        for end in closing:
            event = "closed" if end.thread_id in ended else "not_closed"
            entries.append(Entry(end.thread_id, self._kind, event, payload={"reason": end.reason}))
        self._append(entries)

    def _note_rest(self, told: set[int]) -> None:
        """What was said to the outside for steps that have no outcome here: the work was stopped, or another took over."""
        rest = [step_id for step_id, said in self._exchanges.items() if said and step_id not in told]
        of = select(steps.c.id, steps.c.thread_id).where(steps.c.id.in_(rest)).order_by(steps.c.id)
        rows = self._connection.execute(of).all() if rest else ()
        self._append(
            [
                Entry(
                    row.thread_id,
                    self._kind,
                    "sent",
                    payload={"sent": [asdict(one) for one in self._exchanges[row.id]]},
                )
                for row in rows
            ]
        )

    def _settle_threads(self, thread_ids: list[int]) -> None:
        """An order is at its end when nothing is owed any more: done, or rejected where a step failed or an error is open."""
        if not thread_ids:
            return
        found: dict[int, list[Row[Any]]] = {}
        for row in self._connection.execute(select(steps).where(steps.c.thread_id.in_(thread_ids))):
            found.setdefault(row.thread_id, []).append(row)
        open_reasons = _open_reasons(self._connection, thread_ids)
        alike: dict[tuple[tuple[str, Any], ...], list[int]] = {}
        for thread_id, owed in found.items():
            unfinished = [row for row in owed if row.state in STEP_UNFINISHED]
            if self._threads[thread_id].state not in UNFINISHED:
                continue
            if unfinished:
                first = min(row.next_at for row in unfinished)
                values: dict[str, Any] = {"next_at": first}
                if not any(row.reason for row in unfinished):
                    values |= {"state": State.ACTIVE, "hold_kind": "", "reason": "", "waiting_since": None}
            else:
                failed = [row.reason for row in owed if row.state == StepState.FAILED]
                # Not the order's own reason: a wait that came after the failure has written over it.
                broken = failed or open_reasons.get(thread_id)
                values = {"next_at": None, "hold_kind": "", "waiting_since": None}
                values |= (
                    {"state": State.REJECTED, "reason": cut(broken[-1])}
                    if broken
                    else {"state": State.DONE, "reason": ""}
                )
            alike.setdefault(tuple(values.items()), []).append(thread_id)
        for same, ids in alike.items():
            self._connection.execute(
                update(threads).where(threads.c.id.in_(ids)).values(updated_at=self._now, **dict(same))
            )


def _open_reasons(connection: Connection, thread_ids: list[int]) -> dict[int, list[str]]:
    """The reasons of the open errors of these orders, by order, the oldest first."""
    query = (
        select(error_orders.c.thread_id, error_orders.c.reason)
        .where(error_orders.c.thread_id.in_(thread_ids), error_orders.c.open_key.is_not(None))
        .order_by(error_orders.c.id)
    )
    found: dict[int, list[str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.thread_id, []).append(row.reason)
    return found


def _is_given_back(wait: Waiting) -> bool:
    """Whether there was no time to try."""
    return not wait.reason and wait.state is None


def _step_id(outcome: StepOutcome) -> int:
    return outcome.step_id if isinstance(outcome, StepDone) else outcome.id


def _entry(kind: Owed, outcome: StepOutcome, *, thread_id: int) -> Entry:
    match outcome:
        case StepDone():
            found = outcome.document
            detail = dict(outcome.detail)
            if found is not None:
                detail |= {
                    "document": found.number,
                    "document_id": found.id,
                    "customer": found.customer_number,
                    "total": str(found.total),
                }
            return Entry(thread_id, kind, "acknowledged" if kind is Owed.ACKNOWLEDGE else "exported", detail)
        case _:
            return stopped(outcome, thread_id=thread_id, stage=kind)
