"""Finding orders by what a person knows of them."""

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, select, union_all

from app.db.store.base import Base
from app.db.store.both import either, of_both
from app.db.store.texts import holds
from app.db.tables import (
    ARCHIVES,
    addresses,
    error_orders,
    lineitems,
    orders,
    sites,
    steps,
    threads,
)
from app.db.types import storable
from app.domain.road import Stage, State
from app.ports.searching import FoundOrder, OrderRows, Search, Span

_LONGEST = 255
"""No column that is searched takes more."""

_WORDS = 6
_AT_ONCE = 100

_UNWRITTEN = [State.ACTIVE, State.HELD, State.SKIPPED, State.CLOSED]
"""How orders stand, few of many, that may have no row of their own yet."""

_OF_ORDERS = (
    *("total", "currency", "bill_first_name", "bill_last_name", "order_date"),
    *("acknowledged_at", "exported_at", "erp_document_number"),
)

Condition = ColumnElement[bool]


class Searching(Base):
    """Finding orders by what a person knows of them."""

    def orders_with_key(self, key: str, wanted: Search) -> tuple[FoundOrder, ...]:
        """Those of the orders asked for, whatever their text, that a key names: the newest first, and not more than a hundred.

        A key is a number with or without its site's prefix, or the platform's id, or the number of the ERP's document.
        """
        key = storable(key).strip()
        if not key or len(key) > _LONGEST:
            return ()
        with self._reading() as connection:
            named = union_all(*_named(connection, key)).subquery("named")
            ids = select(named.c.id).distinct().order_by(named.c.id.desc()).limit(_AT_ONCE)
            filters = _filters(wanted)
            if wanted.site is not None:
                filters.append(sites.c.name == storable(wanted.site))
            return _shown(connection, list(connection.scalars(ids)), filters)

    def found_orders(self, wanted: Search, span: Span) -> tuple[FoundOrder, ...]:
        """These orders, the newest first.

        The text is the platform's id or an SKU; or all its words stand in number, customer's name, e-mail address or the number
        of the ERP's document. Case does not count. Orders in the archive are found by their whole numbers and ids only.
        """
        with self._reading() as connection:
            return _shown(connection, _ids(connection, wanted, span))

    def found_ids(self, wanted: Search) -> list[int]:
        """All of these orders by their row ids, the newest first."""
        with self._reading() as connection:
            return _ids(connection, wanted, None)

    def orders_with_ids(self, ids: Sequence[int]) -> tuple[FoundOrder, ...]:
        """The orders with these row ids, the newest first."""
        with self._reading() as connection:
            return _shown(connection, ids)

    def order_rows(self, thread_id: int) -> OrderRows:
        """The rows of one order."""
        with self._reading() as connection:
            columns = (each for each in threads.c if each.name != "document")
            found = connection.execute(
                select(*columns, sites.c.name.label("site"))
                .join(sites, sites.c.id == threads.c.site_id)
                .where(threads.c.id == thread_id)
            ).one()

            def rows(table: Table, by: str, **where: Any) -> list[dict[str, Any]]:
                """Of the live table and of its archive."""

                def query(table: Table) -> Select[Any]:
                    small = (each for each in table.c if each.name != "document")
                    return select(*small).where(*(table.c[name] == value for name, value in where.items()))

                told = [dict(row._mapping) for row in connection.execute(of_both(query, table))]  # noqa: SLF001 - SQLAlchemy's public name
                return sorted(told, key=itemgetter(by))

            order = next(iter(rows(orders, "id", thread_id=thread_id)), None)
            of_order = -1 if order is None else order["id"]
            return OrderRows(
                thread=dict(found._mapping),  # noqa: SLF001 - SQLAlchemy's public name
                order=order,
                addresses=rows(addresses, "kind", order_id=of_order),
                lines=rows(lineitems, "position", order_id=of_order),
                steps=rows(steps, "id", thread_id=thread_id),
                errors=rows(error_orders, "id", thread_id=thread_id),
            )


def _ids(connection: Connection, wanted: Search, span: Span | None) -> list[int]:
    """The row ids of the orders that are asked for, the newest first: those of a span, or all of them."""
    text = storable(wanted.text).strip()
    if len(text) > _LONGEST:
        return []
    filters = _filters(wanted)
    site_id = None
    if wanted.site is not None:
        site_id = connection.scalar(select(sites.c.id).where(sites.c.name == storable(wanted.site)))
        if site_id is None:
            return []
    column: ColumnElement[int] = threads.c.id
    query = select(column)
    if text:
        named = union_all(*_branches(connection, text, site_id)).subquery("named")
        column = named.c.id
        query = select(column).distinct()
        if filters:
            query = query.join(threads, threads.c.id == column)
    elif site_id is not None:
        filters.append(threads.c.site_id == site_id)
    query = query.where(*filters)
    if span is None:
        return list(connection.scalars(query.order_by(column.desc())))
    return _page(connection, query, column, span)


def _branches(connection: Connection, text: str, site_id: int | None) -> Iterator[Select[int]]:
    """The ways to find orders by a text: by indexes, and by what stands in all orders that are not in the archive."""
    yield from _named(connection, text, site_id)

    def of_site(table: Table) -> list[Condition]:
        return [] if site_id is None else [table.c.site_id == site_id]

    yield (
        select(orders.c.thread_id)
        .join(lineitems, lineitems.c.order_id == orders.c.id)
        .where(lineitems.c.sku.in_(_cases(text)), *of_site(orders))
    )
    words = text.split()[:_WORDS]
    if any(each.isdigit() for each in text):
        # Orders that stopped before they were written have their number here alone. Rejected ones have an error: there may be many,
        # and errors are read faster than orders.
        of_order = [holds(threads.c.order_number, each) for each in words]
        yield select(threads.c.id).where(threads.c.state.in_(_UNWRITTEN), *of_order, *of_site(threads))
        of_error = [holds(error_orders.c.order_number, each) for each in words]
        yield select(error_orders.c.thread_id).where(*of_error, *of_site(error_orders))
    told: ColumnElement[str] = orders.c.order_number
    for name in ("erp_document_number", "bill_first_name", "bill_last_name", "bill_email"):
        told = told + " " + orders.c[name]
    yield select(orders.c.thread_id).where(*(holds(told, each) for each in words), *of_site(orders))


def _named(connection: Connection, key: str, site_id: int | None = None) -> Iterator[Select[int]]:
    """The orders with this number, with or without the prefix of a site, or this platform's id, or this document in the ERP."""
    prefixes = connection.scalars(select(sites.c.prefix))
    numbers = [*_cases(key), *(f"{prefix}-{key}" for prefix in prefixes)]
    found = [
        select(threads.c.id).where(threads.c.order_number.in_(numbers)),
        select(threads.c.id).where(threads.c.platform_order_id == key),
    ]
    found += [
        select(table.c.thread_id).where(table.c.erp_document_number.in_(_cases(key)))
        for table in (orders, ARCHIVES[orders])
    ]
    for each in found:
        (column,) = each.selected_columns
        yield each if site_id is None else each.where(column.table.c.site_id == site_id)


def _cases(text: str) -> list[str]:
    """A text as it is typed and as it is written."""
    return list(dict.fromkeys((text, text.upper(), text.lower())))


def _filters(wanted: Search) -> list[Condition]:
    found: list[Condition] = []
    if wanted.state is not None:
        found.append(threads.c.state == wanted.state)
    if wanted.since is not None:
        found.append(threads.c.created_at >= wanted.since)
    if wanted.amended:
        # Asked for apart, so that every database goes by the index, in which there are few.
        amended = threads.alias("amended")
        found.append(threads.c.id.in_(select(amended.c.id).where(amended.c.amended_version > 0)))
    return found


def _page(connection: Connection, query: Select[int], column: ColumnElement[int], span: Span) -> list[int]:
    if span.newer is not None:
        query = query.where(column > span.newer).order_by(column)
    else:
        query = query.order_by(column.desc())
        if span.older is not None:
            query = query.where(column < span.older)
    return list(connection.scalars(query.limit(span.limit)))


def _shown(
    connection: Connection, ids: Sequence[int], filters: Sequence[Condition] = ()
) -> tuple[FoundOrder, ...]:
    if not ids:
        return ()
    names = (
        *("id", "order_number", "platform_order_id", "state", "stage", "reason", "created_at", "updated_at"),
        *("amended_version", "archived_at", "erased_at"),
    )
    query = (
        select(
            *(threads.c[name] for name in names),
            *(either(orders, name) for name in _OF_ORDERS),
            sites.c.name.label("site"),
        )
        .join(sites, sites.c.id == threads.c.site_id)
        .outerjoin(orders, orders.c.thread_id == threads.c.id)
        .outerjoin(ARCHIVES[orders], ARCHIVES[orders].c.thread_id == threads.c.id)
        .where(threads.c.id.in_(ids), *filters)
        .order_by(threads.c.id.desc())
    )
    return tuple(map(_found, connection.execute(query)))


def _found(row: Any) -> FoundOrder:
    return FoundOrder(
        id=row.id,
        order_number=row.order_number,
        platform_order_id=row.platform_order_id,
        site=row.site,
        state=State(row.state),
        stage=Stage(row.stage),
        reason=row.reason,
        total=row.total,
        currency=row.currency,
        customer=f"{row.bill_first_name or ''} {row.bill_last_name or ''}".strip(),
        order_date=row.order_date,
        seen_at=row.created_at,
        acknowledged_at=row.acknowledged_at,
        exported_at=row.exported_at,
        erp_document=row.erp_document_number or "",
        updated_at=row.updated_at,
        amended=row.amended_version is not None,
        archived=row.archived_at is not None,
        erased=row.erased_at is not None,
    )
