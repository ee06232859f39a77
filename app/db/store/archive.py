"""Moving orders that have long been done to the archive."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, func, select, update

from app.db.store.base import Base, lease_free
from app.db.store.both import NAMED, leave_no_trace, to_archive
from app.db.tables import error_orders, steps, threads, waits
from app.domain.road import STEP_UNFINISHED, State, StepState
from app.ports.retention import Archived

ENDS = (State.DONE, State.CLOSED, State.SKIPPED)
"""States in which nothing more is going to happen to an order by itself."""


class Archive(Base):
    """The archive. Questions that must see it look at both: see `app.db.store.both`."""

    def archivable(self, *, before: datetime) -> int:
        """How many orders would go to the archive: at their end, nothing open about them, and unchanged since `before`."""
        with self._reading() as connection:
            ripe = _ripe(before, now=self._now(connection)).where(threads.c.id.not_in(_newest(connection)))
            return int(connection.execute(select(func.count()).select_from(ripe.subquery())).scalar_one())

    def archive(self, *, before: datetime, after: int, limit: int) -> Archived:
        """Move the next such orders, beyond the row id `after`, to the archive in one transaction."""
        with self._writing() as connection:
            now = self._now(connection)
            ripe = (
                _ripe(before, now=now)
                .where(threads.c.id > after, threads.c.id.not_in(_newest(connection)))
                .order_by(threads.c.id)
                .limit(limit)
                # Whoever works on one of them is quicker; it moves another night.
                .with_for_update(skip_locked=True)
            )
            found = list(connection.scalars(ripe))
            if not found:
                return Archived(orders=0, rows=0, last=None)
            leave_no_trace(connection)
            rows = to_archive(connection, found)
            connection.execute(delete(waits).where(waits.c.thread_id.in_(found)))
            # Whoever saw an order before this and means to have it go on is told that it is not as it was.
            moved = {"archived_at": now, "fence": threads.c.fence + 1}
            connection.execute(update(threads).where(threads.c.id.in_(found)).values(**moved))
            return Archived(orders=len(found), rows=rows, last=found[-1])


def _ripe(before: datetime, *, now: datetime) -> Select[Any]:
    """Orders at their end about which nothing is open and which nothing has changed since `before`."""
    in_error = select(error_orders.c.id).where(
        error_orders.c.thread_id == threads.c.id, error_orders.c.open_key.is_not(None)
    )
    # An intent outlives a failed export of which something may still come.
    owed = select(steps.c.id).where(
        steps.c.thread_id == threads.c.id,
        steps.c.state.in_(STEP_UNFINISHED)
        | (steps.c.intent_at.is_not(None) & (steps.c.state != StepState.DONE)),
    )
    return select(threads.c.id).where(
        threads.c.state.in_(ENDS),
        threads.c.archived_at.is_(None),
        threads.c.updated_at <= before,
        lease_free(threads, now),
        ~in_error.exists(),
        ~owed.exists(),
    )


def _newest(connection: Connection) -> list[int]:
    """The orders that have the newest row of a table: without it SQLite would give the next row the same id again."""
    found: set[int] = set()
    for table in NAMED:
        newest = select(table.c.thread_id).order_by(table.c.id.desc()).limit(1)
        found.update(connection.scalars(newest))
    return sorted(found)
