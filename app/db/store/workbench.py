"""The error desk's hands: orders as the desk works on them, and the repairs, skips and notes that people make."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, case, func, insert, or_, select, tuple_, update

from app.db.store.base import Base, Entry, chunks, cut
from app.db.store.desk import as_error, errors_query, is_row_id
from app.db.store.repairs import repairs_of, stored
from app.db.store.road import number_taken, resolve_errors, rewrite, unfit_sentence
from app.db.tables import error_orders, inbox, items, orders, repairs, sites, steps, threads, waits
from app.db.types import storable
from app.domain import document
from app.domain.order import Order
from app.domain.road import HOLD_SKU, STEP_UNFINISHED, Owed, Stage, State, StepState
from app.ports.desk import DeskOrder, DeskStep, ErrorOrder, SavedRepair

_LONGEST_DOUBLING = 10


class Workbench(Base):
    """Orders under a person's hands."""

    def desk_threads(self, key: str) -> tuple[int, ...]:
        """The orders that a key names: by number, or else all of the error with this id and by the platform's id."""
        with self._reading() as connection:
            found = tuple(connection.scalars(select(threads.c.id).where(threads.c.order_number == key)))
            if found:
                return found
            others = list(connection.scalars(select(threads.c.id).where(threads.c.platform_order_id == key)))
            if is_row_id(key):
                by_error = select(error_orders.c.thread_id).where(error_orders.c.id == int(key))
                others += connection.scalars(by_error)
            return tuple(dict.fromkeys(others))

    def desk_orders(self, thread_ids: Collection[int]) -> tuple[DeskOrder, ...]:
        """These orders with all that the desk needs, by thread."""
        with self._reading() as connection:
            found: list[DeskOrder] = []
            for part in chunks(sorted(thread_ids)):
                rows = connection.execute(_desk_orders().where(threads.c.id.in_(part))).all()
                owed = _steps(connection, part)
                open_errors = _errors(connection, part)
                changed = repairs_of(connection, part)
                found += [
                    _desk_order(
                        row, owed.get(row.id, ()), open_errors.get(row.id, ()), changed.get(row.id, ())
                    )
                    for row in rows
                ]
            return tuple(found)

    def open_error_threads(self, *, site: str | None, kind: str | None) -> tuple[int, ...]:
        """The orders with an open error of this site and kind, the oldest error first."""
        query = (
            select(error_orders.c.thread_id)
            .join(sites, sites.c.id == error_orders.c.site_id)
            .where(error_orders.c.open_key.is_not(None))
            .order_by(error_orders.c.id)
        )
        if site is not None:
            query = query.where(sites.c.name == site)
        if kind is not None:
            query = query.where(error_orders.c.kind == kind)
        with self._reading() as connection:
            return tuple(dict.fromkeys(connection.scalars(query)))

    def held_threads(self, *, site: str | None, hold_kind: str | None) -> tuple[int, ...]:
        """The orders that are held, the longest wait first."""
        query = (
            select(threads.c.id)
            .join(sites, sites.c.id == threads.c.site_id)
            .where(threads.c.state == State.HELD)
            .order_by(threads.c.waiting_since, threads.c.id)
        )
        if site is not None:
            query = query.where(sites.c.name == site)
        if hold_kind is not None:
            query = query.where(threads.c.hold_kind == hold_kind)
        with self._reading() as connection:
            return tuple(connection.scalars(query))

    def unfit(self, order: Order, *, erp_id: int, thread_id: int) -> tuple[str, str] | None:
        """Why this order cannot be written: a sentence and the field; None where it can."""
        found = unfit_sentence(order)
        if found is not None:
            return found
        with self._reading() as connection:
            taken = number_taken(connection, order, erp_id=erp_id, thread_id=thread_id)
        return None if taken is None else (taken, "/number")

    def save_repair(self, repair: SavedRepair) -> bool:
        """Store what a person has changed. False where the order is no longer at that revision; nothing is stored then."""
        with self._writing() as connection:
            now = self._now(connection)
            thread = _locked(connection, repair.thread_id)
            if thread is None or thread.fence != repair.revision:
                return False
            self._replace_repairs(connection, repair, now)
            values: dict[str, Any] = {"stage": repair.stage}
            if repair.order is not None:
                values["document"] = storable(document.dump_text(repair.order))
                if repair.stage is Stage.DELIVER:
                    rewrite(connection, repair.thread_id, repair.order, now=now)
            # A revision of its own: whoever saw the order before this is told.
            values |= {"fence": threads.c.fence + 1, "updated_at": now}
            connection.execute(update(threads).where(threads.c.id == repair.thread_id).values(**values))
            fields = [each.pointer for each in repair.changes]
            told = {
                "changes": [
                    {"field": each.pointer, "before": stored(each.before), "after": stored(each.after)}
                    for each in repair.changes
                ],
                "reason": repair.reason,
            }
            detail = {"fields": fields, "withdrawn": len(repair.withdrawn)}
            self._note(
                connection,
                [Entry(thread.id, thread.stage, "repaired", detail, told, by=repair.by)],
                now=now,
            )
            return True

    def _replace_repairs(self, connection: Connection, repair: SavedRepair, now: datetime) -> None:
        in_force = (repairs.c.thread_id == repair.thread_id, repairs.c.ended_at.is_(None))
        pointers = [storable(each.pointer) for each in repair.changes]
        connection.execute(
            update(repairs)
            .where(*in_force, repairs.c.pointer.in_(pointers), repairs.c.layer == repair.layer)
            .values(ended_at=now, ended=storable(f"replaced by {repair.by}")[:255])
        )
        connection.execute(
            update(repairs)
            .where(*in_force, repairs.c.id.in_(repair.withdrawn))
            .values(ended_at=now, ended=storable(f"withdrawn by {repair.by}")[:255])
        )
        rows = [
            {
                "thread_id": repair.thread_id,
                "layer": repair.layer.value,
                "pointer": storable(each.pointer),
                "before": storable(stored(each.before)),
                "after": storable(stored(each.after)),
                "context": each.context,
                "by": storable(repair.by)[:64],
                "reason": storable(repair.reason),
                "at": now,
                "ended": "",
            }
            for each in repair.changes
        ]
        if rows:
            connection.execute(insert(repairs), rows)

    def skip(self, thread_id: int, *, revision: int, reason: str, by: str) -> bool:
        """Settle an order as it is: nothing more is done for it. False where it is no longer at that revision."""
        with self._writing() as connection:
            now = self._now(connection)
            thread = _locked(connection, thread_id)
            if thread is None or thread.fence != revision:
                return False
            owed = connection.execute(
                select(steps).where(steps.c.thread_id == thread_id).with_for_update()
            ).all()
            if any(
                row.kind == Owed.EXPORT and row.state in {StepState.SENDING, StepState.IN_DOUBT}
                for row in owed
            ):
                return False
            exported = any(row.document_id for row in owed)
            free = {"lease_until": None, "lease_token": None, "next_at": None}
            open_ones = (*STEP_UNFINISHED, StepState.FAILED)
            connection.execute(
                update(steps)
                .where(steps.c.thread_id == thread_id, steps.c.state.in_(open_ones))
                .values(state=StepState.CLOSED, fence=steps.c.fence + 1, **free)
            )
            connection.execute(
                update(threads)
                .where(threads.c.id == thread_id)
                .values(
                    state=State.DONE if exported else State.CLOSED,
                    skipped_by=storable(by)[:64],
                    reason=cut(f"Settled as it is by {by}: {reason}"),
                    hold_kind="",
                    waiting_since=None,
                    fence=threads.c.fence + 1,
                    updated_at=now,
                    **free,
                )
            )
            if not exported:
                connection.execute(
                    update(orders)
                    .where(orders.c.thread_id == thread_id, orders.c.imported == 0)
                    .values(imported=2)
                )
            resolve_errors(connection, [thread_id], resolution="skipped", now=now, by=by)
            entry = Entry(thread_id, thread.stage, "settled", payload={"reason": reason}, by=by)
            self._note(connection, [entry], now=now)
            return True

    def assign(self, thread_ids: Sequence[int], *, to: str | None, by: str) -> int:
        """Give the open errors of these orders to somebody, or to nobody. Returns how many errors."""
        with self._writing() as connection:
            now = self._now(connection)
            ids = sorted(thread_ids)
            given = 0
            noted: list[Entry] = []
            for part in chunks(ids):
                open_ones = (error_orders.c.thread_id.in_(part), error_orders.c.open_key.is_not(None))
                rows = connection.execute(
                    select(error_orders.c.thread_id, error_orders.c.stage).where(*open_ones)
                ).all()
                given += len(rows)
                name = None if to is None else storable(to)[:64]
                connection.execute(update(error_orders).where(*open_ones).values(assignee=name))
                noted += [
                    Entry(row.thread_id, row.stage, "assigned", {"to": to or ""}, by=by) for row in rows
                ]
            self._note(connection, noted, now=now)
            return given

    def comment(self, thread_id: int, *, text: str, by: str) -> None:
        """Note in the order's life what a person has to say."""
        with self._writing() as connection:
            now = self._now(connection)
            thread = _locked(connection, thread_id)
            if thread is not None:
                entry = Entry(thread_id, thread.stage, "commented", payload={"text": text}, by=by)
                self._note(connection, [entry], now=now)

    def release_known(self) -> int:
        """Make due the orders held for SKUs all of which are known by now. Returns how many there were."""
        known = select(items.c.id).where(items.c.erp_id == waits.c.erp_id, items.c.sku == waits.c.sku)
        missing = select(waits.c.id).where(waits.c.thread_id == threads.c.id, ~known.exists())
        waiting = select(waits.c.id).where(waits.c.thread_id == threads.c.id)
        held = (threads.c.state == State.HELD, threads.c.hold_kind == HOLD_SKU)
        with self._writing() as connection:
            now = self._now(connection)
            query = select(threads.c.id).where(
                *held, threads.c.next_at > now, waiting.exists(), ~missing.exists()
            )
            found = list(connection.scalars(query.with_for_update(skip_locked=True)))
            for part in chunks(found):
                connection.execute(
                    update(threads).where(threads.c.id.in_(part)).values(next_at=now, rung_at=None)
                )
            return len(found)

    def to_recheck(
        self, places: Collection[tuple[str, str]], *, before: datetime, limit: int
    ) -> tuple[int, ...]:
        """The orders with an open error at these stages and of these kinds that was not looked at since `before`."""
        with self._writing() as connection:
            now = self._now(connection)
            pause = now - before
            came_back = func.coalesce(error_orders.c.resumed, 0)
            # The times differ from error to error: one condition for each number of times that it came back.
            due = [
                (came_back == times if times < _LONGEST_DOUBLING else came_back >= times)
                & (error_orders.c.checked_at <= now - pause * 2**times)
                for times in range(_LONGEST_DOUBLING + 1)
            ]
            query = (
                select(error_orders.c.id, error_orders.c.thread_id)
                .where(
                    error_orders.c.open_key.is_not(None),
                    tuple_(error_orders.c.stage, error_orders.c.kind).in_(list(places)),
                    or_(error_orders.c.checked_at.is_(None) & (error_orders.c.opened_at <= before), *due),
                )
                .order_by(case((error_orders.c.checked_at.is_(None), 0), else_=1), error_orders.c.checked_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            rows = connection.execute(query).all()
            connection.execute(
                update(error_orders)
                .where(error_orders.c.id.in_([row.id for row in rows]))
                .values(checked_at=now)
            )
            return tuple(dict.fromkeys(row.thread_id for row in rows))


def _locked(connection: Connection, thread_id: int) -> Row[Any] | None:
    return connection.execute(select(threads).where(threads.c.id == thread_id).with_for_update()).first()


def _desk_orders() -> Select[Any]:
    present = (
        (inbox.c.site_id == threads.c.site_id)
        & (inbox.c.platform_order_id == threads.c.platform_order_id)
        & (inbox.c.version == threads.c.version)
    )
    return (
        select(
            threads,
            sites.c.name.label("site"),
            func.coalesce(inbox.c.completed, inbox.c.body).label("body"),
            orders.c.erp_id,
            orders.c.acknowledged_at,
        )
        .join(sites, sites.c.id == threads.c.site_id)
        .outerjoin(inbox, present)
        .outerjoin(orders, orders.c.thread_id == threads.c.id)
        .order_by(threads.c.id)
    )


def _steps(connection: Connection, thread_ids: list[int]) -> Mapping[int, tuple[DeskStep, ...]]:
    found: dict[int, tuple[DeskStep, ...]] = {}
    for row in connection.execute(
        select(steps).where(steps.c.thread_id.in_(thread_ids)).order_by(steps.c.id)
    ):
        step = DeskStep(
            kind=Owed(row.kind),
            state=StepState(row.state),
            reason=row.reason,
            intent_at=row.intent_at,
            document=row.document_number or row.document_id,
        )
        found[row.thread_id] = (*found.get(row.thread_id, ()), step)
    return found


def _errors(connection: Connection, thread_ids: list[int]) -> Mapping[int, tuple[ErrorOrder, ...]]:
    query = (
        errors_query()
        .where(error_orders.c.thread_id.in_(thread_ids), error_orders.c.open_key.is_not(None))
        .order_by(error_orders.c.id)
    )
    found: dict[int, tuple[ErrorOrder, ...]] = {}
    for row in connection.execute(query):
        found[row.thread_id] = (*found.get(row.thread_id, ()), as_error(row))
    return found


def _desk_order(row: Row[Any], owed: Any, open_errors: Any, changed: Any) -> DeskOrder:
    return DeskOrder(
        thread_id=row.id,
        site_id=row.site_id,
        site=row.site,
        erp_id=row.erp_id,
        order_number=row.order_number,
        platform_order_id=row.platform_order_id,
        stage=Stage(row.stage),
        state=State(row.state),
        hold_kind=row.hold_kind,
        reason=row.reason,
        version=row.version,
        content_hash=row.content_hash,
        amended_version=row.amended_version,
        revision=row.fence,
        body=row.body,
        document=row.document,
        acknowledged_at=row.acknowledged_at,
        skipped_by=row.skipped_by,
        archived_at=row.archived_at,
        erased_at=row.erased_at,
        steps=owed,
        errors=open_errors,
        repairs=changed,
    )
