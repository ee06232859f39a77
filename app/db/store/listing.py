"""Lists for programs, newest first: each page is found by its ids, however long the list is and whatever arrives meanwhile."""

from decimal import Decimal
from typing import Any

from sqlalchemy import Row, Select, func, select

from app.db.amounts import decimal_of, total
from app.db.store.base import Base
from app.db.store.both import either
from app.db.store.desk import as_error, errors_query
from app.db.store.error_lists import error_conditions
from app.db.store.reporting import order_conditions
from app.db.tables import ARCHIVES, certificates, error_orders, orders, sites, threads
from app.db.types import storable
from app.domain.road import Stage, State
from app.ports.certificates import Certificate
from app.ports.desk import ErrorFilter
from app.ports.error_counts import FoundError
from app.ports.listing import KindSums, ListedOrder, ListFilter

_OF_THREADS = (
    *("id", "order_number", "platform_order_id", "run_id", "state", "stage", "reason", "hold_kind"),
    *("waiting_since", "next_at", "amended_version", "created_at", "updated_at"),
)
_OF_ORDERS = (
    *("total", "currency", "order_date", "order_date_raw", "acknowledged_at", "exported_at"),
    "erp_document_number",
)
_OF_CERTIFICATES = ("id", "site_id", "from_at", "until_at", "made_at", "complete", "counts", "findings")


class Listing(Base):
    """Questions of programs; they change nothing."""

    def listed_orders(self, wanted: ListFilter, *, before: int | None, limit: int) -> tuple[ListedOrder, ...]:
        """The next of these orders with ids below `before`, the newest first."""
        query = _orders().where(*order_conditions(wanted)).order_by(threads.c.id.desc()).limit(limit)
        if wanted.number is not None:
            query = query.where(threads.c.order_number == storable(wanted.number))
        if wanted.run_id is not None:
            query = query.where(threads.c.run_id == wanted.run_id)
        if wanted.updated_since is not None:
            query = query.where(threads.c.updated_at >= wanted.updated_since)
        if wanted.amended is not None:
            later = threads.c.amended_version.is_not(None)
            query = query.where(later if wanted.amended else ~later)
        if before is not None:
            query = query.where(threads.c.id < before)
        with self._reading() as connection:
            return tuple(_order(row) for row in connection.execute(query))

    def listed_order(self, order_id: int) -> ListedOrder | None:
        """The order with this id."""
        with self._reading() as connection:
            row = connection.execute(_orders().where(threads.c.id == order_id)).first()
        return None if row is None else _order(row)

    def listed_errors(self, wanted: ErrorFilter, *, before: int | None, limit: int) -> tuple[FoundError, ...]:
        """The next of these errors with ids below `before`, the newest first, without documents."""
        found: dict[int, FoundError] = {}
        with self._reading() as connection:
            # Of orders in the archive none is open. It is asked last: what goes there in between is found in both.
            for errors in (error_orders, *([ARCHIVES[error_orders]] if wanted.resolved else [])):
                query = (
                    errors_query(errors)
                    .where(*error_conditions(wanted, errors))
                    .order_by(errors.c.id.desc())
                    .limit(limit)
                )
                if before is not None:
                    query = query.where(errors.c.id < before)
                found |= {row.id: _error(row) for row in connection.execute(query)}
        return tuple(found[each] for each in sorted(found, reverse=True)[:limit])

    def error_kinds(self, wanted: ErrorFilter) -> tuple[KindSums, ...]:
        """How many of these open errors there are of each kind, and the money at risk, by kind."""
        errors = errors_query().where(*error_conditions(wanted, error_orders)).subquery("errors")
        counts: dict[str, int] = {}
        money: dict[str, dict[str, Decimal]] = {}
        with self._reading() as connection:
            query: Select[Any] = (
                select(
                    *(errors.c.kind, errors.c.currency, func.count().label("errors")),
                    total(connection, errors.c.value).label("money"),
                )
                .group_by(errors.c.kind, errors.c.currency)
                .order_by(errors.c.kind, errors.c.currency)
            )
            for row in connection.execute(query):
                counts[row.kind] = counts.get(row.kind, 0) + row.errors
                worth = money.setdefault(row.kind, {})
                if row.currency:
                    worth[row.currency] = decimal_of(row.money)
        return tuple(KindSums(kind=kind, errors=each, money=money[kind]) for kind, each in counts.items())

    def listed_certificates(self, site_id: int, *, before: int | None, limit: int) -> tuple[Certificate, ...]:
        """The next certificates of a site with ids below `before`, the newest first."""
        query = (
            select(certificates)
            .where(certificates.c.site_id == site_id)
            .order_by(certificates.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(certificates.c.id < before)
        with self._reading() as connection:
            return tuple(
                Certificate(**{name: getattr(row, name) for name in _OF_CERTIFICATES})
                for row in connection.execute(query)
            )


def _orders() -> Select[Any]:
    return (
        select(
            *(threads.c[name] for name in _OF_THREADS),
            *(either(orders, name) for name in _OF_ORDERS),
            sites.c.name.label("site"),
        )
        .join(sites, sites.c.id == threads.c.site_id)
        .outerjoin(orders, orders.c.thread_id == threads.c.id)
        .outerjoin(ARCHIVES[orders], ARCHIVES[orders].c.thread_id == threads.c.id)
    )


def _order(row: Row[Any]) -> ListedOrder:
    return ListedOrder(
        id=row.id,
        order_number=row.order_number,
        platform_order_id=row.platform_order_id,
        site=row.site,
        run_id=row.run_id,
        state=State(row.state),
        stage=Stage(row.stage),
        reason=row.reason,
        hold_kind=row.hold_kind,
        waiting_since=row.waiting_since,
        next_at=row.next_at,
        amended=row.amended_version is not None,
        total=row.total,
        currency=row.currency,
        order_date=row.order_date,
        order_date_raw=row.order_date_raw,
        seen_at=row.created_at,
        updated_at=row.updated_at,
        acknowledged_at=row.acknowledged_at,
        exported_at=row.exported_at,
        erp_document=row.erp_document_number or "",
    )


def _error(row: Row[Any]) -> FoundError:
    return FoundError(row.thread_id, as_error(row))
