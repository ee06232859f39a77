"""What is due and must be rung again, and which runs have come to their end."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from app.domain.road import UNFINISHED, Link, Owed, Stage, State
from app.ports.store import STOPPED_FULL, Bell, Run, UnreadRun
from tests.fakes.memory_store.base import Base, Row, change, is_free

_BATCH = 100
_KINDS = ("orders", "resume", "task")


class Upkeep(Base):
    """The sweeper's questions."""

    def due(self, *, rung_before: float, limit: int) -> tuple[Bell, ...]:
        now = self.now()
        silent = now - timedelta(seconds=rung_before)
        bells = self._due_threads(silent, limit)
        rung = {bell.batch_id for bell in bells}
        for kind in Owed:
            by_batch: dict[int, list[Row]] = {}
            found = [
                (step, thread)
                for step, thread in self._due_steps(kind, now)
                if step.rung_at is None or step.rung_at <= silent
            ]
            for step, thread in sorted(found, key=lambda each: each[0].next_at)[:limit]:
                step.rung_at = now
                by_batch.setdefault(thread.batch_id, []).append(thread)
            for batch_id, group in by_batch.items():
                if batch_id not in rung:
                    rung.add(batch_id)
                    bells.append(self._bell(batch_id, kind, group))
        return tuple(bells)

    def _due_threads(self, silent: Any, limit: int) -> list[Bell]:
        now = self.now()
        found = [
            each
            for each in self.data.threads
            if each.state in UNFINISHED
            and each.stage != Stage.DELIVER
            and each.next_at <= now
            and is_free(each, now)
            and (each.rung_at is None or each.rung_at <= silent)
        ]
        places: dict[tuple[int, Stage], list[Row]] = {}
        for thread in sorted(found, key=lambda each: each.next_at)[:limit]:
            thread.rung_at = now
            places.setdefault((thread.site_id, Stage(thread.stage)), []).append(thread)
        return [
            self._bell(self._gathered(group), stage, group)
            for (_, stage), rows in places.items()
            for group in (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))
        ]

    def _gathered(self, group: list[Row]) -> int:
        """The batch these are in, or a new one where they are spread over several."""
        found = {each.batch_id for each in group}
        if len(found) > 1 or None in found:
            batch_id = self._batch(group[0].site_id, self.now())
            for each in group:
                each.batch_id = batch_id
        return int(group[0].batch_id)

    def _bell(self, batch_id: int, link: Link, group: Iterable[Row]) -> Bell:
        threads = list(group)
        run_ids = {each.run_id for each in threads}
        run_id = run_ids.pop() if len(run_ids) == 1 else None
        return Bell(batch_id=batch_id, link=link, site=self._site_names()[threads[0].site_id], run_id=run_id)

    def unread_runs(self, *, rung_before: float) -> tuple[UnreadRun, ...]:
        now = self.now()
        silent = now - timedelta(seconds=rung_before)
        found = []
        for run in self.data.runs:
            site = self.data.sites.rows.get(run.site_id)
            if site is None or run.kind != "orders" or run.read_at or run.finished_at:
                continue
            if (run.rung_at or run.started_at) <= silent and is_free(site, now):
                run.rung_at = now
                found.append(UnreadRun(run_id=run.id, site_id=site.id, site=site.name))
        return tuple(found)

    def read_later(self, run_id: int, *, at: datetime) -> None:
        for run in self.data.runs:
            if run.id == run_id:
                run.rung_at = at

    def close_runs(self, *, cut_off_after: float) -> tuple[Run, ...]:
        now = self.now()
        given_up = now - timedelta(seconds=cut_off_after)
        active = {each.run_id for each in self.data.threads if each.state == State.ACTIVE}
        ended = []
        for run in self.data.runs:
            if run.finished_at is not None:
                continue
            site = self.data.sites.rows.get(run.site_id)
            is_due = (run.rung_at or now) <= now and (site is None or is_free(site, now))
            if run.read_at is None and run.started_at <= given_up and is_due:
                change(run, read_at=now, reason="Its reading was cut off again and again.")
            if run.read_at is not None and run.kind in _KINDS and run.id not in active:
                state = "failed" if run.reason else "finished"
                change(run, state=state, finished_at=now, counts=self._run_counts(run.id))
                if run.is_full and not run.reason:
                    change(run, reason=STOPPED_FULL)
                ended.append(as_run(run))
        return tuple(ended)

    def _run_counts(self, run_id: int) -> dict[str, int]:
        threads = [each for each in self.data.threads if each.run_id == run_id]
        orders = [order for each in threads if (order := self._order_of(each.id)) is not None]
        states = [each.state for each in threads]
        return {
            "fetched": len(threads),
            "written": len(orders),
            "acknowledged": sum(each.acknowledged_at is not None for each in orders),
            "exported": sum(each.imported == 1 for each in orders),
            **{
                str(state): states.count(state)
                for state in (State.HELD, State.REJECTED, State.SKIPPED, State.CLOSED)
            },
            "moving": states.count(State.ACTIVE),
        }


def as_run(row: Row, **changed: Any) -> Run:
    """A run's row as a value."""
    names = ("id", "site_id", "kind", "state", "reason", "counts", "started_at", "finished_at")
    values = {name: getattr(row, name) for name in names}
    return Run(**{**values, "is_read": row.read_at is not None, **changed})
