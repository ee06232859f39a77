"""What the overview asks of the database: many orders, few numbers. And runs, page by page."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, Connection, Table, extract, func, select

from app.db.amounts import decimal_of, total
from app.db.store.base import Base
from app.db.store.looking import as_summary, summaries
from app.db.store.upkeep import as_run, counts_of_runs
from app.db.tables import certificates, error_orders, orders, runs, sites, threads
from app.domain.road import UNFINISHED, Stage, State
from app.ports.dashboard import Figures, Hour, SiteFigures, Verdict
from app.ports.store import OrderSummary, Run

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_STOPPED = (State.HELD, State.REJECTED, State.SKIPPED, State.CLOSED)

Told = Iterator[tuple[int, dict[str, Any]]]
"""Figures of sites, by the sites' ids."""


class Dashboard(Base):
    """What the overview and the pages of runs ask; nothing is changed."""

    def figures(self, *, hours: int, exports: int) -> Figures:
        """How everything stands, with the last so many hours, and of each site the latest so many exports of the last 24 hours."""
        with self._reading() as connection:
            now = self._now(connection)
            told: dict[int, dict[str, Any]] = defaultdict(dict)
            for site_id, figures in (
                *_verdicts(connection),
                *_unfinished(connection),
                *_pending(connection),
                *_errors(connection),
                *_took(connection, since=now - _DAY, most=exports),
            ):
                told[site_id] |= figures
            return Figures(
                now=now,
                sites={site_id: SiteFigures(**figures) for site_id, figures in told.items()},
                hours=_by_hour(connection, now, hours),
                last_hour=_seen_since(connection, now - _HOUR),
                last_day=_seen_since(connection, now - _DAY),
            )

    def runs_before(
        self, *, site_id: int | None, kind: str | None, before: int | None, limit: int
    ) -> tuple[Run, ...]:
        """The latest runs with ids below `before`, the newest first; of a run that goes on the counts are taken now."""
        query = select(runs).order_by(runs.c.id.desc()).limit(limit)
        if site_id is not None:
            query = query.where(runs.c.site_id == site_id)
        if kind is not None:
            query = query.where(runs.c.kind == kind)
        if before is not None:
            query = query.where(runs.c.id < before)
        with self._reading() as connection:
            found = connection.execute(query).all()
            going = [row.id for row in found if row.finished_at is None]
            counts = counts_of_runs(connection, going) if going else {}
            return tuple(as_run(row, counts=counts.get(row.id, row.counts)) for row in found)

    def stopped_in(self, run_id: int, *, after: int, limit: int) -> tuple[OrderSummary, ...]:
        """The next orders of this run that did not go through, ascending, beyond the thread `after`."""
        query = (
            summaries()
            .where(threads.c.run_id == run_id, threads.c.state.in_(_STOPPED), threads.c.id > after)
            .order_by(threads.c.id)
            .limit(limit)
        )
        with self._reading() as connection:
            return tuple(as_summary(row) for row in connection.execute(query))


def _verdicts(connection: Connection) -> Told:
    each = certificates.alias()
    latest = (
        select(each.c.id)
        .where(each.c.site_id == sites.c.id)
        .order_by(each.c.made_at.desc(), each.c.id.desc())
        .limit(1)
        .correlate(sites)
        .scalar_subquery()
    )
    query = select(
        sites.c.id, certificates.c.complete, certificates.c.until_at, certificates.c.made_at
    ).join_from(sites, certificates, certificates.c.id == latest)
    for row in connection.execute(query):
        verdict = Verdict(complete=row.complete, until=row.until_at, made_at=row.made_at)
        yield row.id, {"verdict": verdict}


def _unfinished(connection: Connection) -> Told:
    query = (
        select(threads.c.site_id, threads.c.state, func.count().label("orders"))
        .where(threads.c.state.in_(UNFINISHED))
        .group_by(threads.c.site_id, threads.c.state)
    )
    names = {State.ACTIVE: "moving", State.HELD: "held"}
    for row in connection.execute(query):
        yield row.site_id, {names[State(row.state)]: row.orders}


def _pending(connection: Connection) -> Told:
    query = select(orders.c.site_id, func.count().label("orders")).where(orders.c.imported == 0)
    # From the few that are in motion to their orders: the other way round every thread would be looked at.
    moving = (
        select(threads.c.site_id, func.count().label("orders"))
        .join(orders, orders.c.thread_id == threads.c.id)
        .where(threads.c.state.in_(UNFINISHED), threads.c.stage == Stage.DELIVER, orders.c.imported == 0)
        .group_by(threads.c.site_id)
    )
    in_motion = {row.site_id: row.orders for row in connection.execute(moving)}
    for row in connection.execute(query.group_by(orders.c.site_id)):
        yield row.site_id, {"pending": row.orders, "stopped": row.orders - in_motion.get(row.site_id, 0)}


def _errors(connection: Connection) -> Told:
    query = (
        select(
            error_orders.c.site_id,
            error_orders.c.currency,
            func.count().label("errors"),
            total(connection, error_orders.c.value).label("money"),
        )
        .where(error_orders.c.resolved_at.is_(None))
        .group_by(error_orders.c.site_id, error_orders.c.currency)
        .order_by(error_orders.c.site_id, error_orders.c.currency)
    )
    errors: dict[int, int] = defaultdict(int)
    money: dict[int, dict[str, Decimal]] = defaultdict(dict)
    for row in connection.execute(query):
        errors[row.site_id] += row.errors
        if row.currency:
            money[row.site_id][row.currency] = decimal_of(row.money)
    for site_id, count in errors.items():
        yield site_id, {"errors": count, "money": money[site_id]}


def _took(connection: Connection, *, since: datetime, most: int) -> Told:
    """How long the latest exports of each site took from the checkout on."""
    place = func.row_number().over(partition_by=orders.c.site_id, order_by=orders.c.exported_at.desc())
    numbered = (
        select(orders.c.site_id, orders.c.order_date, orders.c.exported_at, place.label("place"))
        .where(orders.c.exported_at >= since)
        .subquery()
    )
    found: dict[int, list[float]] = defaultdict(list)
    for row in connection.execute(select(numbered).where(numbered.c.place <= most)):
        # By the shop's clock and by ours: an order cannot be here before it was placed.
        found[row.site_id].append(max(0.0, (row.exported_at - row.order_date).total_seconds()))
    for site_id, seconds in found.items():
        yield site_id, {"took": tuple(sorted(seconds))}


def _seen_since(connection: Connection, since: datetime) -> int:
    query = select(func.count()).select_from(threads).where(threads.c.created_at >= since)
    return int(connection.execute(query).scalar_one())


def _by_hour(connection: Connection, now: datetime, hours: int) -> tuple[Hour, ...]:
    last = now.replace(minute=0, second=0, microsecond=0)
    begins = [last - _HOUR * back for back in reversed(range(hours))]
    arrived = _counted(connection, threads, threads.c.created_at, since=begins[0])
    exported = _counted(connection, orders, orders.c.exported_at, since=begins[0])
    return tuple(
        Hour(
            each,
            arrived=arrived.get((each.day, each.hour), 0),
            exported=exported.get((each.day, each.hour), 0),
        )
        for each in begins
    )


def _counted(
    connection: Connection, table: Table, at: Column[Any], *, since: datetime
) -> dict[tuple[int, int], int]:
    """How many rows there are of each hour, by day and hour of the clock: within a month these tell one hour from all others."""
    day, hour = extract("day", at), extract("hour", at)
    query = select(day, hour, func.count()).select_from(table).where(at >= since).group_by(day, hour)
    return {(int(of_day), int(of_hour)): count for of_day, of_hour, count in connection.execute(query)}
