"""Reading the audit trail, wherever an order's rows are."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, Text, select, type_coerce

from app.db.store.base import Base, chunks
from app.db.store.both import of_both
from app.db.tables import error_orders, events, inbox, payloads, repairs, sites, threads
from app.domain import trail
from app.ports.audit import History, PastError, PastRepair, Received, Trail, TrailEvent


class Audit(Base):
    """Questions about what has happened; they change nothing."""

    def trails(self, *, after: int, limit: int) -> tuple[Trail, ...]:
        """The trails of orders with row ids beyond `after`, ascending: with payloads, from the archive as well."""
        page = _threads().where(threads.c.id > after).order_by(threads.c.id).limit(limit)
        with self._snapshot() as connection:
            return _trails(connection, page)

    def trail_of(self, thread_id: int) -> Trail:
        """The trail of one order, with payloads, from the archive as well."""
        with self._snapshot() as connection:
            (found,) = _trails(connection, _threads().where(threads.c.id == thread_id))
            return found

    def threads_of(self, key: str) -> tuple[int, ...]:
        """The row ids of the orders with this number, or else this platform's id, the newest first."""
        with self._reading() as connection:
            for column in (threads.c.order_number, threads.c.platform_order_id):
                query = select(threads.c.id).where(column == key).order_by(threads.c.id.desc())
                found = tuple(connection.scalars(query))
                if found:
                    return found
        return ()

    def history_of(self, thread_id: int) -> History:
        """All that is stored of one order's life, from the archive as well."""
        with self._snapshot() as connection:
            (told,) = _trails(connection, _threads().where(threads.c.id == thread_id))
            row = connection.execute(select(threads).where(threads.c.id == thread_id)).one()

            def of_thread(table: Table) -> Select[Any]:
                return select(table).where(table.c.thread_id == thread_id)

            def of_order(table: Table) -> Select[Any]:
                mine = (table.c.site_id == row.site_id, table.c.platform_order_id == row.platform_order_id)
                return select(table).where(*mine)

            bodies = connection.execute(of_both(of_order, inbox)).all()
            errors = connection.execute(of_both(of_thread, error_orders)).all()
            changed = connection.execute(of_both(of_thread, repairs)).all()
        return History(
            trail=told,
            state=row.state,
            stage=row.stage,
            reason=row.reason,
            amended_version=row.amended_version,
            archived_at=row.archived_at,
            received=[_value(Received, each) for each in sorted(bodies, key=lambda body: int(body.version))],
            errors=[_value(PastError, each) for each in sorted(errors, key=_by_id)],
            repairs=[_value(PastRepair, each) for each in sorted(changed, key=_by_id)],
        )

    def ownerless_events(self) -> tuple[int, ...]:
        """The order rows that events name and that are not there."""

        def named(table: Table) -> Select[Any]:
            owner = select(threads.c.id).where(threads.c.id == table.c.thread_id)
            return select(table.c.thread_id).where(~owner.exists()).distinct()

        with self._reading() as connection:
            return tuple(sorted(set(connection.scalars(of_both(named, events)))))

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        """Several questions that see the same moment: orders go on, and to the archive, while they are looked at."""
        options: dict[str, Any] = {"read_only": True}
        if self.engine.dialect.name != "sqlite":
            options["isolation_level"] = "REPEATABLE READ"
        with self.engine.connect().execution_options(**options) as connection:
            yield connection


def _by_id(row: Row[Any]) -> int:
    return int(row.id)


def _value(kind: Any, row: Row[Any]) -> Any:
    return kind(**{name: getattr(row, name) for name in kind.__dataclass_fields__})


def _threads() -> Select[Any]:
    columns = (
        threads.c.id,
        threads.c.order_number,
        threads.c.platform_order_id,
        threads.c.event_count,
        threads.c.event_head,
        threads.c.erased_at,
        sites.c.name.label("site"),
    )
    return select(*columns).join(sites, sites.c.id == threads.c.site_id)


def _trails(connection: Connection, page: Select[Any]) -> tuple[Trail, ...]:
    rows = connection.execute(page).all()
    told: dict[int, list[TrailEvent]] = {row.id: [] for row in rows}
    bodies: dict[int, dict[int, str]] = {row.id: {} for row in rows}
    completed: dict[int, dict[int, str]] = {row.id: {} for row in rows}
    as_text = connection.dialect.name == "sqlite"
    for part in chunks(list(told)):

        def of_page(events: Table, payloads: Table, part: list[int] = part) -> Select[Any]:
            apart = (payloads.c.thread_id == events.c.thread_id) & (payloads.c.number == events.c.number)
            # As text, so that facts that somebody has made unreadable are looked at too.
            facts = events.c.detail if not as_text else type_coerce(events.c.detail, Text)
            others = (column for column in events.c if column.name != "detail")
            return (
                select(*others, facts.label("detail"), payloads.c.id.label("payload"), payloads.c.body)
                .outerjoin(payloads, apart)
                .where(events.c.thread_id.in_(part))
            )

        def received(inbox: Table, part: list[int] = part) -> Select[Any]:
            same = (threads.c.site_id == inbox.c.site_id) & (
                threads.c.platform_order_id == inbox.c.platform_order_id
            )
            return (
                select(threads.c.id, inbox.c.version, inbox.c.body, inbox.c.completed)
                .join(inbox, same)
                .where(threads.c.id.in_(part))
            )

        for row in connection.execute(of_both(of_page, events, payloads)):
            told[row.thread_id].append(_event(row))
        for row in connection.execute(of_both(received, inbox)):
            bodies[row.id][row.version] = trail.digest(row.body)
            if row.completed is not None:
                completed[row.id][row.version] = trail.digest(row.completed)
    return tuple(
        Trail(
            thread_id=row.id,
            order_number=row.order_number,
            platform_order_id=row.platform_order_id,
            site=row.site,
            count=row.event_count or 0,
            head=row.event_head or "",
            erased_at=row.erased_at,
            events=sorted(told[row.id], key=lambda event: event.id),
            bodies=bodies[row.id],
            completed=completed[row.id],
        )
        for row in rows
    )


def _event(row: Row[Any]) -> TrailEvent:
    return TrailEvent(
        id=row.id,
        at=row.at,
        stage=row.stage,
        event=row.event,
        by=row.by,
        detail=_facts(row.detail),
        number=row.number,
        digest=row.digest or "",
        mac=row.mac or "",
        payload=row.body,
        erased=row.payload is not None and row.body is None,
    )


def _facts(detail: Any) -> dict[str, Any]:
    try:
        found = json.loads(detail) if isinstance(detail, str) else detail
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"unreadable": str(detail)}
