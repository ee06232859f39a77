"""Letting orders go on that had stopped: from where they stopped, or from the start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from app.db.store.base import Base, Entry, chunks
from app.db.store.road import RESUMED, resolve_errors
from app.db.store.upkeep import BATCH
from app.db.tables import batches, error_orders, inbox, orders, sites, steps, threads
from app.domain.road import SENT, Link, Owed, Stage, State, StepState
from app.ports.desk import KIND_DELETED, Resumed, Resumption

CLOSED = 2
"""`rm_order.imported` of an order that was closed without export."""


class Resuming(Base):
    """Resuming and replaying."""

    def resume(self, wanted: Sequence[Resumption]) -> Resumed:
        """Let these orders go on; their open errors are resolved. Those no longer at their revision are left out."""
        with self._writing() as connection:
            work = _Work(connection, now=self._now(connection))
            by_thread = {each.thread_id: each for each in wanted}
            rows = work.locked(sorted(by_thread))
            going = [
                (row, by_thread[row.id])
                for row in rows
                if row.fence == by_thread[row.id].revision and work.may_go(row, by_thread[row.id])
            ]
            bells = work.let_go(going)
            self._note(connection, [_entry(row, resumption) for row, resumption in going], now=work.now)
            return Resumed(thread_ids=frozenset(row.id for row, _ in going), batches=bells)


def _entry(row: Row[Any], wanted: Resumption) -> Entry:
    event = "resumed" if wanted.stage is None else "replayed"
    detail: dict[str, Any] = {"run": wanted.run_id, "version": row.version}
    if wanted.send_again:
        detail["send_again"] = True
    if wanted.read_again:
        # What it had been completed with is put away.
        detail["completed_sha256"] = ""
    return Entry(row.id, row.stage, event, detail, by=wanted.by)


@dataclass(frozen=True, slots=True)
class _Work:
    """One transaction that lets orders go on."""

    connection: Connection
    now: datetime

    def locked(self, thread_ids: Sequence[int]) -> list[Row[Any]]:
        query = select(threads).order_by(threads.c.id).with_for_update()
        return [
            row
            for part in chunks(list(thread_ids))
            for row in self.connection.execute(query.where(threads.c.id.in_(part)))
        ]

    def may_go(self, row: Row[Any], wanted: Resumption) -> bool:
        """Whether nothing of it may be in the ERP, where it is to begin anew: the export does not raise the order's fence."""
        export = self.connection.execute(
            select(steps).where(steps.c.thread_id == row.id, steps.c.kind == Owed.EXPORT).with_for_update()
        ).first()
        if export is None or (wanted.stage is None and Stage(row.stage) is Stage.DELIVER):
            return True
        # What may still come of a failed attempt is looked up before the next, wherever the order begins.
        return export.state not in SENT and not export.document_id

    def let_go(self, going: Sequence[tuple[Row[Any], Resumption]]) -> tuple[tuple[int, Link, str, int], ...]:
        groups: dict[tuple[int, Stage, int], list[Row[Any]]] = {}
        for row, wanted in going:
            stage = Stage(row.stage) if wanted.stage is None else wanted.stage
            if wanted.send_again and stage is Stage.DELIVER and self._is_deleted(row.id):
                self._untie(row.id)
                if row.amended_version is not None:
                    # It is written again as the platform shows it now.
                    stage = Stage.NORMALIZE
            groups.setdefault((row.site_id, stage, wanted.run_id), []).append(row)
            self._free_thread(row, wanted, stage)
            if wanted.stage is Stage.NORMALIZE and wanted.read_again:
                self._forget_completed(row)
            if stage is Stage.DELIVER:
                self._free_steps(row.id)
            else:
                self._take_back_steps(row.id)
        ids = [row.id for row, _ in going]
        for part in chunks(ids):
            self._resolve(part, {row.id: wanted.by for row, wanted in going})
        names = {row.id: row.name for row in self.connection.execute(select(sites.c.id, sites.c.name))}
        return tuple(
            (self._batch(part), _link(stage), names[part[0].site_id], run_id)
            for (_, stage, run_id), rows in groups.items()
            for part in chunks(rows, BATCH)
        )

    def _resolve(self, thread_ids: list[int], by: Mapping[int, str]) -> None:
        for name in {by[each] for each in thread_ids}:
            mine = [each for each in thread_ids if by[each] == name]
            resolve_errors(self.connection, mine, resolution=RESUMED, now=self.now, by=name)

    def _free_thread(self, row: Row[Any], wanted: Resumption, stage: Stage) -> None:
        anew: dict[str, Any] = {"document": None} if stage is Stage.NORMALIZE else {}
        if stage is Stage.NORMALIZE and row.amended_version is not None:
            # Nothing of it was sent anywhere: what the platform shows now is what counts.
            anew |= {"version": row.amended_version, "amended_version": None}
        self.connection.execute(
            update(threads)
            .where(threads.c.id == row.id)
            .values(
                stage=stage,
                state=State.ACTIVE,
                reason="",
                hold_kind="",
                waiting_since=None,
                # What the ERP said a moment ago may be what has been put right since.
                fresh=True,
                run_id=wanted.run_id,
                skipped_by=None,
                next_at=self.now,
                # Rung now, by whoever lets it go on; where that message is lost, the sweeper rings again.
                rung_at=self.now,
                attempts=0,
                unsettled=0,
                fence=threads.c.fence + 1,
                lease_until=None,
                lease_token=None,
                updated_at=self.now,
                **anew,
            )
        )

    def _forget_completed(self, row: Row[Any]) -> None:
        self.connection.execute(
            update(inbox)
            .where(
                inbox.c.site_id == row.site_id,
                inbox.c.platform_order_id == row.platform_order_id,
                inbox.c.version == row.version,
            )
            .values(completed=None)
        )

    def _take_back_steps(self, thread_id: int) -> None:
        """Whoever still works on a step of the order finds its token gone."""
        self.connection.execute(
            update(steps)
            .where(steps.c.thread_id == thread_id)
            .values(lease_until=None, lease_token=None, fence=steps.c.fence + 1)
        )

    def _is_deleted(self, thread_id: int) -> bool:
        """Whether it stands in error because the document it was tied to is no longer in the ERP."""
        deleted = select(error_orders.c.id).where(
            error_orders.c.thread_id == thread_id,
            error_orders.c.stage == Owed.EXPORT,
            error_orders.c.kind == KIND_DELETED,
            error_orders.c.open_key.is_not(None),
        )
        return self.connection.execute(deleted).first() is not None

    def _free_steps(self, thread_id: int) -> None:
        """What failed is owed again. What may be in the ERP, or was there, is looked up before anything else."""
        failed_at = set(
            self.connection.scalars(
                select(error_orders.c.stage).where(
                    error_orders.c.thread_id == thread_id, error_orders.c.open_key.is_not(None)
                )
            )
        )
        for row in self.connection.execute(select(steps).where(steps.c.thread_id == thread_id)).all():
            doubted = row.kind == Owed.EXPORT and row.state == StepState.DONE and row.kind in failed_at
            if row.state not in {StepState.FAILED, StepState.CLOSED} and not doubted:
                continue
            values: dict[str, Any] = {"state": StepState.OWED}
            if row.kind == Owed.EXPORT and (row.intent_at is not None or row.document_id):
                values = {"state": StepState.IN_DOUBT, "intent_at": row.intent_at or self.now}
            self.connection.execute(
                update(steps)
                .where(steps.c.id == row.id)
                .values(
                    reason="",
                    waiting_since=None,
                    done_at=None,
                    next_at=self.now,
                    rung_at=self.now,
                    attempts=0,
                    unsettled=0,
                    fence=steps.c.fence + 1,
                    lease_until=None,
                    lease_token=None,
                    **values,
                )
            )
        self.connection.execute(
            update(orders)
            .where(orders.c.thread_id == thread_id, orders.c.imported == CLOSED)
            .values(imported=0)
        )

    def _untie(self, thread_id: int) -> None:
        """A person has said that the document, which is gone, is to be written once more."""
        self.connection.execute(
            update(steps)
            .where(steps.c.thread_id == thread_id, steps.c.kind == Owed.EXPORT)
            .values(state=StepState.FAILED, intent_at=None, document_id="", document_number="")
        )
        untied = {"imported": 0, "exported_at": None, "erp_document_id": "", "erp_document_number": ""}
        self.connection.execute(
            update(orders).where(orders.c.thread_id == thread_id).values(erp_total=None, **untied)
        )

    def _batch(self, rows: Sequence[Row[Any]]) -> int:
        made = self.connection.execute(insert(batches).values(site_id=rows[0].site_id, created_at=self.now))
        batch_id = int(made.inserted_primary_key[0])  # type: ignore[index]
        self.connection.execute(
            update(threads).where(threads.c.id.in_([row.id for row in rows])).values(batch_id=batch_id)
        )
        return batch_id


def _link(stage: Stage) -> Link:
    return Owed.ACKNOWLEDGE if stage is Stage.DELIVER else stage
