"""Looking: what people and scripts ask for."""

import json
from decimal import Decimal
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, func, or_, select

from app.db.store.base import Base
from app.db.store.both import either, of_both
from app.db.store.upkeep import as_run, run_counts
from app.db.tables import (
    ARCHIVES,
    addresses,
    error_orders,
    events,
    inbox,
    lineitems,
    orders,
    payloads,
    runs,
    sites,
    steps,
    threads,
)
from app.domain.road import Stage, State
from app.ports.store import Json, OrderSummary, Run


class Looking(Base):
    """Questions that change nothing."""

    def first_seen_in(self, run_id: int) -> int:
        """How many orders this run has brought that nobody had seen before."""
        with self._reading() as connection:
            began = select(runs.c.started_at).where(runs.c.id == run_id).scalar_subquery()
            query = select(func.count()).where(threads.c.run_id == run_id, threads.c.created_at >= began)
            return int(connection.execute(query).scalar_one())

    def run(self, run_id: int) -> Run:
        """One run; while it goes on, its counts are taken now."""
        with self._reading() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).one()
            counts = row.counts if row.finished_at is not None else run_counts(connection, run_id)
            return as_run(row, counts=counts)

    def runs(self, *, run_id: int | None = None, site_id: int | None = None, limit: int) -> tuple[Run, ...]:
        """The latest runs, newest first; while one goes on, its counts are taken now."""
        query = select(runs).order_by(runs.c.id.desc()).limit(limit)
        if run_id is not None:
            query = query.where(runs.c.id == run_id)
        if site_id is not None:
            query = query.where(runs.c.site_id == site_id)
        with self._reading() as connection:
            return tuple(
                as_run(row, counts=row.counts if row.finished_at else run_counts(connection, row.id))
                for row in connection.execute(query).all()
            )

    def order_summaries(
        self,
        *,
        site: str | None,
        state: State | None,
        limit: int,
        run_id: int | None = None,
        amended: bool = False,
    ) -> tuple[OrderSummary, ...]:
        """The latest orders, newest first; with `amended` those of which a later version waits."""
        query = summaries().order_by(threads.c.id.desc()).limit(limit)
        if site is not None:
            query = query.where(sites.c.name == site)
        if state is not None:
            query = query.where(threads.c.state == state)
        if amended:
            query = query.where(threads.c.amended_version.is_not(None))
        if run_id is not None:
            query = query.where(threads.c.run_id == run_id)
        with self._reading() as connection:
            return tuple(as_summary(row) for row in connection.execute(query))

    def order_details(self, number: str) -> Json | None:
        """All that is known of one order, by its number or the platform's id; the newest where an id is of several sites."""
        with self._reading() as connection:
            found = connection.execute(
                select(threads, sites.c.name.label("site"))
                .join(sites, sites.c.id == threads.c.site_id)
                .where(or_(threads.c.order_number == number, threads.c.platform_order_id == number))
                .order_by(threads.c.order_number != number, threads.c.id.desc())
                .limit(1)
            ).first()
            return None if found is None else self._details(connection, found)

    def order_with_id(self, order_id: int) -> Json | None:
        """The same of the order with this id."""
        with self._reading() as connection:
            found = connection.execute(
                select(threads, sites.c.name.label("site"))
                .join(sites, sites.c.id == threads.c.site_id)
                .where(threads.c.id == order_id)
            ).first()
            return None if found is None else self._details(connection, found)

    def _details(self, connection: Connection, found: Row[Any]) -> dict[str, Any]:
        def rows(table: Table, by: str, **where: Any) -> list[dict[str, Any]]:
            """Of the live table and of its archive."""

            def query(table: Table) -> Select[Any]:
                return select(table).where(*(table.c[name] == value for name, value in where.items()))

            found = [dict(row._mapping) for row in connection.execute(of_both(query, table))]  # noqa: SLF001 - SQLAlchemy's public name
            return sorted(found, key=itemgetter(by))

        order = next(iter(rows(orders, "id", thread_id=found.id)), None)
        of_order = -1 if order is None else order["id"]
        place = {"site_id": found.site_id, "platform_order_id": found.platform_order_id}
        return {
            "thread": dict(found._mapping),  # noqa: SLF001 - SQLAlchemy's public name
            "order": order,
            "addresses": rows(addresses, "kind", order_id=of_order),
            "lines": rows(lineitems, "position", order_id=of_order),
            "steps": rows(steps, "id", thread_id=found.id),
            "errors": rows(error_orders, "id", thread_id=found.id),
            "events": self._told(connection, found.id),
            "versions": [
                {name: each[name] for name in ("version", "status", "modified_raw", "read_at")}
                for each in rows(inbox, "version", **place)
            ],
        }

    def _told(self, connection: Connection, thread_id: int) -> list[dict[str, Any]]:
        """The events of an order, each with the reason it quotes; what was sent and received is the trail's to show."""

        def query(events: Table, payloads: Table) -> Select[Any]:
            apart = (payloads.c.thread_id == events.c.thread_id) & (payloads.c.number == events.c.number)
            told = select(events, payloads.c.body).outerjoin(payloads, apart)
            return told.where(events.c.thread_id == thread_id)

        found = connection.execute(of_both(query, events, payloads))
        return [
            {
                "id": row.id,
                "at": row.at,
                "stage": row.stage,
                "event": row.event,
                "by": row.by,
                "detail": {**row.detail, **_quoted(row.body)},
            }
            for row in sorted(found, key=attrgetter("id"))
        ]

    def totals(self) -> Json:
        """How many orders are in each state, per site, and what is open."""
        with self._reading() as connection:
            states = connection.execute(
                select(sites.c.name, threads.c.state, func.count())
                .join(sites, sites.c.id == threads.c.site_id)
                .group_by(sites.c.name, threads.c.state)
                .order_by(sites.c.name, threads.c.state)
            )
            by_site: dict[str, dict[str, int]] = {}
            for name, state, count in states:
                by_site.setdefault(name, {})[state] = count
            pending = connection.execute(
                select(func.count()).select_from(orders).where(orders.c.imported == 0)
            ).scalar_one()
            open_errors = connection.execute(
                select(error_orders.c.kind, func.count().label("open"))
                .where(error_orders.c.open_key.is_not(None))
                .group_by(error_orders.c.kind)
                .order_by(error_orders.c.kind)
            )
            return {
                "sites": by_site,
                "pending": pending,
                "errors": {row.kind: row.open for row in open_errors},
            }


def summaries() -> Select[Any]:
    """Orders as `as_summary` reads them: threads with what is stored of their orders, be it live or in the archive."""
    names = ("total", "currency", "acknowledged_at", "erp_document_number")
    return (
        select(threads, sites.c.name.label("site"), *(either(orders, name) for name in names))
        .join(sites, sites.c.id == threads.c.site_id)
        .outerjoin(orders, orders.c.thread_id == threads.c.id)
        .outerjoin(ARCHIVES[orders], ARCHIVES[orders].c.thread_id == threads.c.id)
    )


def as_summary(row: Row[Any]) -> OrderSummary:
    """One order, as a list shows it."""
    return OrderSummary(
        thread_id=row.id,
        run_id=row.run_id,
        site=row.site,
        order_number=row.order_number,
        platform_order_id=row.platform_order_id,
        stage=Stage(row.stage),
        state=State(row.state),
        reason=row.reason,
        total=row.total,
        currency=row.currency,
        acknowledged=row.acknowledged_at is not None,
        erp_document=row.erp_document_number or "",
        updated_at=row.updated_at,
        amended=row.amended_version is not None,
    )


def _quoted(body: str | None) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(body, parse_float=Decimal) if body else {}
    return {name: value for name, value in payload.items() if name == "reason"}
