"""Rows for tables, and the report on a span of time at the error desk."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    case,
    extract,
    func,
    literal_column,
    select,
    union_all,
)

from app.db.amounts import decimal_of, total
from app.db.store.base import Base
from app.db.store.both import either
from app.db.tables import ARCHIVES, error_orders, orders, sites, threads
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
            .where(threads.c.id > after, *_conditions(wanted))
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
            errors = _all_errors().subquery("errors")
            is_open = (errors.c.opened_at < until) & (
                errors.c.resolved_at.is_(None) | (errors.c.resolved_at >= until)
            )
            was_opened = (errors.c.opened_at >= since) & (errors.c.opened_at < until)
            was_resolved = (errors.c.resolved_at >= since) & (errors.c.resolved_at < until)
            named = select(sites.c.name.label("site"), errors.c.kind).join(
                errors, errors.c.site_id == sites.c.id
            )
            by_place = (
                named.add_columns(
                    *(
                        func.sum(case((condition, 1), else_=0)).label(name)
                        for name, condition in (
                            ("opened", was_opened),
                            ("resolved", was_resolved),
                            ("still_open", is_open),
                        )
                    )
                )
                .where(is_open | was_opened | was_resolved)
                .group_by(sites.c.name, errors.c.kind)
                .order_by(sites.c.name, errors.c.kind)
            )
            resolutions = (
                select(errors.c.resolution, func.count().label("errors"))
                .where(was_resolved)
                .group_by(errors.c.resolution)
                .order_by(func.count().desc(), errors.c.resolution)
            )
            money = (
                select(errors.c.currency, total(connection, errors.c.value).label("money"))
                .where(is_open, errors.c.currency.is_not(None))
                .group_by(errors.c.currency)
                .order_by(errors.c.currency)
            )
            first = (
                select(errors, sites.c.name.label("site"))
                .join(sites, sites.c.id == errors.c.site_id)
                .where(is_open)
                .order_by(errors.c.opened_at, errors.c.id)
                .limit(oldest)
            )
            lasted = _seconds(connection, errors.c.opened_at, errors.c.resolved_at)
            median, longest = _median_and_longest(
                connection, select(lasted.label("lasted")).where(was_resolved)
            )
            return ErrorReport(
                counted=tuple(
                    Counted(
                        site=row.site,
                        kind=row.kind,
                        opened=int(row.opened),
                        resolved=int(row.resolved),
                        still_open=int(row.still_open),
                    )
                    for row in connection.execute(by_place)
                ),
                resolutions={row.resolution or "": row.errors for row in connection.execute(resolutions)},
                at_risk={row.currency: decimal_of(row.money) for row in connection.execute(money)},
                oldest=tuple(
                    OldError(
                        id=row.id,
                        order_number=row.order_number,
                        platform_order_id=row.platform_order_id,
                        site=row.site,
                        kind=row.kind,
                        opened_at=row.opened_at,
                        value=row.value,
                        currency=row.currency,
                    )
                    for row in connection.execute(first)
                ),
                median_seconds=median,
                longest_seconds=longest,
            )


def _conditions(wanted: OrderFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.site is not None:
        found.append(sites.c.name == wanted.site)
    if wanted.state is not None:
        found.append(threads.c.state == wanted.state)
    if wanted.text:
        found.append(
            threads.c.order_number.icontains(wanted.text, autoescape=True)
            | (threads.c.platform_order_id == wanted.text)
            | threads.c.reason.icontains(wanted.text, autoescape=True)
        )
    if wanted.since is not None:
        found.append(threads.c.created_at >= wanted.since)
    return found


def _all_errors() -> CompoundSelect[Any]:
    """The errors of orders that are at hand and of those in the archive."""
    both = (error_orders, ARCHIVES[error_orders])
    return union_all(*(select(*(table.c[name] for name in _REPORTED)) for table in both))


def _seconds(connection: Connection, begin: Any, end: Any) -> ColumnElement[Any]:
    """The seconds between two times, in the database's own words."""
    match connection.dialect.name:
        case "sqlite":
            return (func.julianday(end) - func.julianday(begin)) * 86_400
        case "postgresql":
            return extract("epoch", end - begin)
        case _:
            return func.timestampdiff(literal_column("MICROSECOND"), begin, end) / 1_000_000


def _median_and_longest(connection: Connection, lasted: Select[Any]) -> tuple[float | None, float | None]:
    times = lasted.subquery("times")
    row = connection.execute(
        select(func.count().label("number"), func.max(times.c.lasted).label("longest")).select_from(times)
    ).one()
    if not row.number:
        return None, None
    # One in the middle, or the two around it.
    middle = (
        select(times.c.lasted)
        .order_by(times.c.lasted)
        .offset((row.number - 1) // 2)
        .limit(2 - row.number % 2)
    )
    found = [float(each) for each in connection.execute(middle).scalars()]
    return round(sum(found) / len(found), 3), round(float(row.longest), 3)
