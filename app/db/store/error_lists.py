"""Lists of errors: which, in which order, how many, and how much money is at risk. All of it is the database's work."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Subquery, Table, func, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from app.db.amounts import as_number, decimal_of, total
from app.db.store.base import Base
from app.db.store.both import of_both
from app.db.store.desk import as_error, errors_query
from app.db.tables import error_orders, sites
from app.db.types import storable
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
            errors = chosen(wanted)
            query = select(errors).order_by(*ordered(connection, errors.c, sort, reverse=reverse))
            if limit is not None or offset:
                query = query.limit(limit).offset(offset)
            return tuple(as_error(row) for row in connection.execute(query))

    def error_orders_after(self, wanted: ErrorFilter, *, after: int, limit: int) -> tuple[ErrorOrder, ...]:
        """The next of these errors with ids beyond `after`, ascending, without documents."""
        errors = chosen(wanted, after=after)
        query = select(errors).order_by(errors.c.id).limit(limit)
        with self._reading() as connection:
            return tuple(as_error(row) for row in connection.execute(query))

    def error_sums(self, wanted: ErrorFilter) -> ErrorSums:
        """How many of these errors there are, and the money at risk by currency."""
        errors = chosen(wanted)
        with self._reading() as connection:
            query: Select[Any] = (
                select(
                    errors.c.currency,
                    func.count().label("errors"),
                    total(connection, errors.c.value).label("money"),
                )
                .group_by(errors.c.currency)
                .order_by(errors.c.currency)
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
                error_orders.c.order_number.startswith(storable(beginning), autoescape=True),
            )
            .distinct()
            .order_by(error_orders.c.order_number)
            .limit(limit)
        )
        with self._reading() as connection:
            return tuple(connection.execute(query).scalars())


def chosen(wanted: ErrorFilter, *, after: int = 0) -> Subquery:
    """These errors, without documents. Of orders in the archive none is open."""

    def query(errors: Table) -> Select[Any]:
        return errors_query(errors).where(errors.c.id > after, *error_conditions(wanted, errors))

    return (of_both(query, error_orders) if wanted.resolved else query(error_orders)).subquery("errors")


def error_conditions(wanted: ErrorFilter, errors: Table) -> list[ColumnElement[bool]]:
    """What these errors have in common, in terms of a table of errors that is joined with the sites."""
    found: list[ColumnElement[bool]] = []
    if not wanted.resolved:
        found.append(errors.c.open_key.is_not(None))
    for column, value in (
        (sites.c.name, wanted.site),
        (errors.c.kind, wanted.kind),
        (errors.c.stage, wanted.stage),
        (errors.c.assignee, wanted.assignee),
    ):
        if value is not None:
            found.append(column == storable(value))
    if wanted.unassigned:
        found.append(func.coalesce(errors.c.assignee, "") == "")
    if wanted.text:
        text = storable(wanted.text)
        found.append(
            errors.c.order_number.icontains(text, autoescape=True)
            | (errors.c.platform_order_id == text)
            | errors.c.reason.icontains(text, autoescape=True)
        )
    if wanted.since is not None:
        found.append(errors.c.opened_at >= wanted.since)
    return found


def ordered(
    connection: Connection, errors: ReadOnlyColumnCollection[str, Any], sort: ErrorSort, *, reverse: bool
) -> list[Any]:
    """What to order by; equal ones by their ids."""
    last, keys, descending = _keys(connection, errors, sort)
    way = [key.desc() if descending is not reverse else key.asc() for key in keys]
    return [*last, *way, errors.id.desc() if reverse else errors.id]


def _keys(
    connection: Connection, errors: ReadOnlyColumnCollection[str, Any], sort: ErrorSort
) -> tuple[list[Any], list[Any], bool]:
    """What comes last whichever way it goes, what is compared, and whether the largest comes first."""
    match sort:
        case ErrorSort.MONEY:
            return [errors.value.is_(None)], [as_number(connection, errors.value)], True
        case ErrorSort.ATTEMPTS:
            return [], [errors.attempts], True
        case ErrorSort.ORDER:
            # Shorter ones first, so that 99 comes before 100.
            return [], [errors.site, func.length(errors.order_number), errors.order_number], False
        case ErrorSort.AGE:
            return [], [errors.opened_at], False
