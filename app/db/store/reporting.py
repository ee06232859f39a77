"""Rows for tables, and the report on a span of time at the error desk."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    case,
    extract,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from app.db.amounts import decimal_of, total
from app.db.store.base import Base
from app.db.store.both import either
from app.db.tables import ARCHIVES, error_orders, orders, sites, threads
from app.db.types import storable
from app.domain.road import State
from app.ports.reporting import Counted, ErrorReport, OldError, OrderFilter, OrderRow

_REPORTED = (
    *("id", "site_id", "order_number", "platform_order_id", "kind", "value", "currency"),
    *("opened_at", "resolved_at", "resolution"),
)

_OF_ORDERS = ("total", "currency", "order_date", "acknowledged_at", "exported_at", "erp_document_number")


class Reporting(Base):
    """Questions about many orders; they change nothing."""

    def orders_after(self, wanted: OrderFilter, *, after: int, limit: int) -> tuple[OrderRow, ...]:
        """The next of these orders with ids beyond `after`, ascending."""
        query = (
            select(
                *(threads.c.id, threads.c.order_number, threads.c.platform_order_id, threads.c.state),
                *(threads.c.stage, threads.c.reason, threads.c.created_at, threads.c.updated_at),
                *(either(orders, name) for name in _OF_ORDERS),
                sites.c.name.label("site"),
            )
            .join(sites, sites.c.id == threads.c.site_id)
            .outerjoin(orders, orders.c.thread_id == threads.c.id)
            .outerjoin(ARCHIVES[orders], ARCHIVES[orders].c.thread_id == threads.c.id)
            .where(threads.c.id > after, *order_conditions(wanted))
            .order_by(threads.c.id)
            .limit(limit)
        )
        with self._reading() as connection:
            return tuple(
                OrderRow(
                    id=row.id,
                    order_number=row.order_number,
                    platform_order_id=row.platform_order_id,
                    site=row.site,
                    state=State(row.state),
                    stage=row.stage,
                    reason=row.reason,
                    total=row.total,
                    currency=row.currency,
                    order_date=row.order_date,
                    seen_at=row.created_at,
                    acknowledged_at=row.acknowledged_at,
                    exported_at=row.exported_at,
                    erp_document=row.erp_document_number or "",
                    updated_at=row.updated_at,
                )
                for row in connection.execute(query)
            )

    def error_report(self, *, since: datetime, until: datetime, oldest: int) -> ErrorReport:
        """The errors from `since` to before `until`, those of archived orders as well, and the `oldest` left open."""
        with self._reading() as connection:
            span = _Span(connection, since=since, until=until)
            median, longest = span.durations()
            return ErrorReport(
                counted=span.counted(),
                resolutions=span.resolutions(),
                at_risk=span.at_risk(),
                oldest=span.oldest(oldest),
                median_seconds=median,
                longest_seconds=longest,
            )


class _Span:
    """The errors of a span of time, those of orders in the archive as well."""

    def __init__(self, connection: Connection, *, since: datetime, until: datetime) -> None:
        both = (error_orders, ARCHIVES[error_orders])
        chosen = (select(*(table.c[name] for name in _REPORTED)) for table in both)
        self._connection = connection
        self._errors = union_all(*chosen).subquery("errors")
        opened, resolved = self._errors.c.opened_at, self._errors.c.resolved_at
        self._opened = (opened >= since) & (opened < until)
        self._resolved = (resolved >= since) & (resolved < until)
        self._open = (opened < until) & (resolved.is_(None) | (resolved >= until))

    def counted(self) -> tuple[Counted, ...]:
        """By site and kind."""
        conditions = {"opened": self._opened, "resolved": self._resolved, "still_open": self._open}
        query = (
            select(
                sites.c.name.label("site"),
                self._errors.c.kind,
                *(func.sum(case((each, 1), else_=0)).label(name) for name, each in conditions.items()),
            )
            .join(self._errors, self._errors.c.site_id == sites.c.id)
            .where(or_(*conditions.values()))
            .group_by(sites.c.name, self._errors.c.kind)
            .order_by(sites.c.name, self._errors.c.kind)
        )
        return tuple(
            Counted(
                site=row.site,
                kind=row.kind,
                opened=int(row.opened),
                resolved=int(row.resolved),
                still_open=int(row.still_open),
            )
            for row in self._connection.execute(query)
        )

    def resolutions(self) -> dict[str, int]:
        """How often errors were resolved in which way, the most frequent first."""
        number = func.count().label("errors")
        query = (
            select(self._errors.c.resolution, number)
            .where(self._resolved)
            .group_by(self._errors.c.resolution)
            .order_by(number.desc(), self._errors.c.resolution)
        )
        return {row.resolution or "": row.errors for row in self._connection.execute(query)}

    def at_risk(self) -> dict[str, Decimal]:
        """What the orders that were open at the end are worth, by currency."""
        query = (
            select(self._errors.c.currency, total(self._connection, self._errors.c.value).label("money"))
            .where(self._open, self._errors.c.currency.is_not(None))
            .group_by(self._errors.c.currency)
            .order_by(self._errors.c.currency)
        )
        return {row.currency: decimal_of(row.money) for row in self._connection.execute(query)}

    def oldest(self, limit: int) -> tuple[OldError, ...]:
        """Those that were open at the end for the longest time."""
        query = (
            select(self._errors, sites.c.name.label("site"))
            .join(sites, sites.c.id == self._errors.c.site_id)
            .where(self._open)
            .order_by(self._errors.c.opened_at, self._errors.c.id)
            .limit(limit)
        )
        names = ("id", "order_number", "platform_order_id", "site", "kind", "opened_at", "value", "currency")
        return tuple(
            OldError(**{name: getattr(row, name) for name in names})
            for row in self._connection.execute(query)
        )

    def durations(self) -> tuple[int | None, int | None]:
        """The median and the longest of the seconds from opening to resolving."""
        lasted = _seconds(self._connection, self._errors.c.opened_at, self._errors.c.resolved_at)
        times = select(lasted.label("lasted")).where(self._resolved).subquery("times")
        sums = select(func.count().label("number"), func.max(times.c.lasted).label("longest"))
        row = self._connection.execute(sums.select_from(times)).one()
        if not row.number:
            return None, None
        # One in the middle, or the two around it.
        middle = (
            select(times.c.lasted)
            .order_by(times.c.lasted)
            .offset((row.number - 1) // 2)
            .limit(2 - row.number % 2)
        )
        found = [round(each) for each in self._connection.execute(middle).scalars()]
        return sum(found) // len(found), round(row.longest)


def order_conditions(wanted: OrderFilter) -> list[ColumnElement[bool]]:
    """What these orders have in common, in terms of threads that are joined with the sites."""
    found: list[ColumnElement[bool]] = []
    if wanted.site is not None:
        found.append(sites.c.name == storable(wanted.site))
    if wanted.state is not None:
        found.append(threads.c.state == wanted.state)
    if wanted.text:
        text = storable(wanted.text)
        found.append(
            threads.c.order_number.icontains(text, autoescape=True)
            | (threads.c.platform_order_id == text)
            | threads.c.reason.icontains(text, autoescape=True)
        )
    if wanted.since is not None:
        found.append(threads.c.created_at >= wanted.since)
    return found


def _seconds(connection: Connection, begin: Any, end: Any) -> ColumnElement[Any]:
    """The seconds between two times, in the database's own words."""
    match connection.dialect.name:
        case "sqlite":
            return (func.julianday(end) - func.julianday(begin)) * 86_400
        case "postgresql":
            return extract("epoch", end - begin)
        case _:
            return func.timestampdiff(literal_column("MICROSECOND"), begin, end) / 1_000_000
