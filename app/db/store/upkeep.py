"""Upkeep: what is due and must be rung again, and which runs have come to their end."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, case, func, insert, select, update

from app.db.store.base import Base, lease_free
from app.db.store.owed import due_steps
from app.db.tables import batches, orders, runs, sites, steps, threads
from app.domain.road import UNFINISHED, Link, Owed, Stage, State
from app.ports.store import STOPPED_FULL, Bell, Run, UnreadRun

BATCH = 100

KINDS = ("orders", "resume", "task")
"""What a run may be: the reading of a site, orders that the desk resumed, and a task that a person started."""


class Upkeep(Base):
    """The sweeper's questions."""

    def due(self, *, rung_before: float, limit: int) -> tuple[Bell, ...]:
        """Batches with rows due and not rung within `rung_before` seconds, marked as rung now.

        Orders that wait at the same link of the same site are gathered into common batches, so that a thousand held orders
        are ten messages and not a thousand.
        """
        with self._writing() as connection:
            now = self._now(connection)
            silent = now - timedelta(seconds=rung_before)
            names = {row.id: row.name for row in connection.execute(select(sites.c.id, sites.c.name))}
            bells = self._due_threads(connection, now, silent, limit, names=names)
            rung_batches = {bell.batch_id for bell in bells}
            for kind in Owed:
                for bell in self._due_steps(connection, kind, now, silent, limit, names=names):
                    # One ring for each batch: acknowledge is followed by export in the same chain.
                    if bell.batch_id not in rung_batches:
                        rung_batches.add(bell.batch_id)
                        bells.append(bell)
            return tuple(bells)

    def _due_threads(
        self, connection: Connection, now: datetime, silent: datetime, limit: int, *, names: Mapping[int, str]
    ) -> list[Bell]:
        query = (
            select(
                threads.c.id,
                threads.c.site_id,
                threads.c.batch_id,
                threads.c.run_id,
                threads.c.stage.label("link"),
            )
            .where(
                threads.c.state.in_(UNFINISHED),
                threads.c.stage != Stage.DELIVER,
                threads.c.next_at <= now,
                lease_free(threads, now),
                threads.c.rung_at.is_(None) | (threads.c.rung_at <= silent),
            )
            .order_by(threads.c.next_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = connection.execute(query).all()
        bells = [
            bell_for(gather(connection, group, now), Stage(group[0].link), group, names)
            for group in groups(rows)
        ]
        if rows:
            connection.execute(
                update(threads).where(threads.c.id.in_([row.id for row in rows])).values(rung_at=now)
            )
        return bells

    def _due_steps(
        self,
        connection: Connection,
        kind: Owed,
        now: datetime,
        silent: datetime,
        limit: int,
        *,
        names: Mapping[int, str],
    ) -> list[Bell]:
        query = (
            due_steps(kind, now)
            .where(steps.c.rung_at.is_(None) | (steps.c.rung_at <= silent))
            .add_columns(
                threads.c.id.label("thread_id"), threads.c.site_id, threads.c.batch_id, threads.c.run_id
            )
            .order_by(steps.c.next_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = connection.execute(query).all()
        if rows:
            connection.execute(
                update(steps).where(steps.c.id.in_([row.id for row in rows])).values(rung_at=now)
            )
        by_batch: dict[int, list[Row[Any]]] = {}
        for row in rows:
            by_batch.setdefault(row.batch_id, []).append(row)
        return [bell_for(batch_id, kind, group, names) for batch_id, group in by_batch.items()]

    def unread_runs(self, *, rung_before: float) -> tuple[UnreadRun, ...]:
        """Runs whose reading is owed, which nobody reads and which were not rung for so many seconds; rung now."""
        with self._writing() as connection:
            now = self._now(connection)
            silent = func.coalesce(runs.c.rung_at, runs.c.started_at)
            query = (
                select(runs.c.id, runs.c.site_id, sites.c.name)
                .join(sites, sites.c.id == runs.c.site_id)
                .where(
                    runs.c.kind == "orders",
                    runs.c.read_at.is_(None),
                    runs.c.finished_at.is_(None),
                    silent <= now - timedelta(seconds=rung_before),
                    lease_free(sites, now),
                )
                .order_by(runs.c.id)
            )
            found = connection.execute(query).all()
            if found:
                connection.execute(
                    update(runs).where(runs.c.id.in_([row.id for row in found])).values(rung_at=now)
                )
            return tuple(UnreadRun(run_id=row.id, site_id=row.site_id, site=row.name) for row in found)

    def read_later(self, run_id: int, *, at: datetime) -> None:
        """The reading of this run goes on at `at`; until then it is neither among the unread ones nor given up."""
        with self._writing() as connection:
            connection.execute(update(runs).where(runs.c.id == run_id).values(rung_at=at))

    def close_runs(self, *, cut_off_after: float) -> tuple[Run, ...]:
        """End the runs none of whose orders is in motion. Returns those that ended now."""
        with self._writing() as connection:
            now = self._now(connection)
            read_now = select(sites.c.id).where(sites.c.id == runs.c.site_id, ~lease_free(sites, now))
            connection.execute(
                update(runs)
                .where(
                    runs.c.finished_at.is_(None),
                    runs.c.read_at.is_(None),
                    runs.c.rung_at.is_(None) | (runs.c.rung_at <= now),
                    ~read_now.exists(),
                    runs.c.started_at <= now - timedelta(seconds=cut_off_after),
                )
                .values(
                    read_at=now,
                    reason=case(
                        (
                            runs.c.kind == "orders",
                            "Its reading was cut off again and again; what it had stored goes its way.",
                        ),
                        else_="Nothing was heard of it any more: it was not worked on, or its process ended.",
                    ),
                )
            )
            moving = select(threads.c.id).where(
                threads.c.run_id == runs.c.id, threads.c.state == State.ACTIVE
            )
            over = select(runs).where(
                runs.c.finished_at.is_(None),
                runs.c.read_at.is_not(None),
                runs.c.kind.in_(KINDS),
                ~moving.exists(),
            )
            ended = []
            for row in connection.execute(over.with_for_update()).all():
                counts = run_counts(connection, row.id)
                end = {"state": "failed" if row.reason else "finished", "finished_at": now, "counts": counts}
                if row.is_full and not row.reason:
                    end["reason"] = STOPPED_FULL
                connection.execute(update(runs).where(runs.c.id == row.id).values(**end))
                ended.append(as_run(row, **end))
            return tuple(ended)


def bell_for(
    batch_id: int,
    link: Link,
    group: list[Row[Any]],
    names: Mapping[int, str],
    *,
    run_id: int | None = None,
) -> Bell:
    """A batch's bell, with the names by which a reader of its messages knows it; the run where it is given or they have one."""
    run_ids = {row.run_id for row in group} if run_id is None else {run_id}
    return Bell(
        batch_id=batch_id,
        link=link,
        site=names[group[0].site_id],
        run_id=run_ids.pop() if len(run_ids) == 1 else None,
    )


def gather(connection: Connection, group: list[Row[Any]], now: datetime) -> int:
    """The batch these orders are in, all of it or a part, or a new one where they are spread over several."""
    found = {row.batch_id for row in group}
    if len(found) == 1 and None not in found:
        return int(found.pop())
    made = connection.execute(insert(batches).values(site_id=group[0].site_id, created_at=now))
    batch_id = int(made.inserted_primary_key[0])  # type: ignore[index]
    connection.execute(
        update(threads).where(threads.c.id.in_([row.id for row in group])).values(batch_id=batch_id)
    )
    return batch_id


def groups(rows: Any) -> list[list[Row[Any]]]:
    """Rows of one site and link, at most a batch full of them together."""
    by_place: dict[tuple[int, str], list[Row[Any]]] = {}
    for row in rows:
        by_place.setdefault((row.site_id, row.link), []).append(row)
    return [
        group[start : start + BATCH] for group in by_place.values() for start in range(0, len(group), BATCH)
    ]


def run_counts(connection: Connection, run_id: int) -> dict[str, int]:
    """How the orders of a run stand, in the words of the summary."""
    return counts_of_runs(connection, [run_id])[run_id]


def counts_of_runs(connection: Connection, run_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """The same for several runs."""

    def count(condition: Any) -> Any:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    counted = {
        "fetched": func.count(threads.c.id),
        "written": count(orders.c.id.is_not(None)),
        "acknowledged": count(orders.c.acknowledged_at.is_not(None)),
        "exported": count(orders.c.imported == 1),
        "held": count(threads.c.state == State.HELD),
        "rejected": count(threads.c.state == State.REJECTED),
        "skipped": count(threads.c.state == State.SKIPPED),
        "closed": count(threads.c.state == State.CLOSED),
        "moving": count(threads.c.state == State.ACTIVE),
    }
    query = (
        select(threads.c.run_id, *(value.label(name) for name, value in counted.items()))
        .select_from(threads)
        .outerjoin(orders, orders.c.thread_id == threads.c.id)
        .where(threads.c.run_id.in_(run_ids))
        .group_by(threads.c.run_id)
    )
    found = {run_id: dict.fromkeys(counted, 0) for run_id in run_ids}
    for row in connection.execute(query):
        found[row.run_id] = {name: int(getattr(row, name)) for name in counted}
    return found


def as_run(row: Row[Any], **changed: Any) -> Run:
    """A run's row as a value."""
    names = ("id", "site_id", "kind", "state", "reason", "counts", "started_at", "finished_at")
    values = {name: getattr(row, name) for name in names}
    return Run(**{**values, "is_read": row.read_at is not None, **changed})
