"""Lists of errors: which, in which order, how many, and how much money is at risk. All of it is the database's work."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from app.db.amounts import as_number, decimal_of, total
from app.db.store.base import Base
from app.db.store.desk import as_error, errors_query
from app.db.tables import error_orders, sites
from app.ports.desk import ErrorFilter, ErrorOrder, ErrorSort, ErrorSums


class ErrorLists(Base):
    """Questions of the error desk about many errors; they change nothing."""

    def error_orders(
        self,
        wanted: ErrorFilter,
        *,
        sort: ErrorSort = ErrorSort.AGE,
        reverse: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> tuple[ErrorOrder, ...]:
        """These errors in this order, without documents. Orders of unknown value come last where it goes by money."""
        with self._reading() as connection:
            query = errors_query().where(*_conditions(wanted))
            query = query.order_by(*_order(connection, sort, reverse=reverse))
            if limit is not None or offset:
                query = query.limit(limit).offset(offset)
            return tuple(as_error(row) for row in connection.execute(query))

    def error_orders_after(self, wanted: ErrorFilter, *, after: int, limit: int) -> tuple[ErrorOrder, ...]:
        """The next of these errors with ids beyond `after`, ascending, without documents."""
        query = errors_query().where(error_orders.c.id > after, *_conditions(wanted))
        with self._reading() as connection:
            found = connection.execute(query.order_by(error_orders.c.id).limit(limit))
            return tuple(as_error(row) for row in found)

    def error_sums(self, wanted: ErrorFilter) -> ErrorSums:
        """How many of these errors there are, and the money at risk by currency."""
        with self._reading() as connection:
            query: Select[Any] = (
                select(
                    error_orders.c.currency,
                    func.count().label("errors"),
                    total(connection, error_orders.c.value).label("money"),
                )
                .join(sites, sites.c.id == error_orders.c.site_id)
                .where(*_conditions(wanted))
                .group_by(error_orders.c.currency)
                .order_by(error_orders.c.currency)
            )
            rows = connection.execute(query).all()
            return ErrorSums(
                errors=sum(row.errors for row in rows),
                money={row.currency: decimal_of(row.money) for row in rows if row.currency},
            )

    def open_error_numbers(self, beginning: str, *, limit: int) -> tuple[str, ...]:
        """Numbers of orders with an open error that begin like this, in their order."""
        query = (
            select(error_orders.c.order_number)
            .where(
                error_orders.c.open_key.is_not(None),
                error_orders.c.order_number != "",
                error_orders.c.order_number.startswith(beginning, autoescape=True),
            )
            .distinct()
            .order_by(error_orders.c.order_number)
            .limit(limit)
        )
        with self._reading() as connection:
            return tuple(connection.execute(query).scalars())


def _conditions(wanted: ErrorFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if not wanted.resolved:
        found.append(error_orders.c.open_key.is_not(None))
    for column, value in (
        (sites.c.name, wanted.site),
        (error_orders.c.kind, wanted.kind),
        (error_orders.c.stage, wanted.stage),
        (error_orders.c.assignee, wanted.assignee),
    ):
        if value is not None:
            found.append(column == value)
    if wanted.unassigned:
        found.append(func.coalesce(error_orders.c.assignee, "") == "")
    if wanted.text:
        text = wanted.text
        found.append(
            error_orders.c.order_number.icontains(text, autoescape=True)
            | (error_orders.c.platform_order_id == text)
            | error_orders.c.reason.icontains(text, autoescape=True)
        )
    if wanted.since is not None:
        found.append(error_orders.c.opened_at >= wanted.since)
    return found


def _order(connection: Connection, sort: ErrorSort, *, reverse: bool) -> list[Any]:
    """What to order by; equal ones by their ids."""
    last, keys, descending = _keys(connection, sort)
    way = [key.desc() if descending is not reverse else key.asc() for key in keys]
    return [*last, *way, error_orders.c.id.desc() if reverse else error_orders.c.id]


def _keys(connection: Connection, sort: ErrorSort) -> tuple[list[Any], list[Any], bool]:
    """What comes last whichever way it goes, what is compared, and whether the largest comes first."""
    match sort:
        case ErrorSort.MONEY:
            unknown = error_orders.c.value.is_(None)
            return [unknown], [as_number(connection, error_orders.c.value)], True
        case ErrorSort.ATTEMPTS:
            return [], [error_orders.c.attempts], True
        case ErrorSort.ORDER:
            number = error_orders.c.order_number
            # Shorter ones first, so that 99 comes before 100.
            return [], [sites.c.name, func.length(number), number], False
        case ErrorSort.AGE:
            return [], [error_orders.c.opened_at], False
