"""The error desk in figures, and the orders that a page of the panel or a filter means. All of it is the database's work."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, case, func, select

from app.db.amounts import decimal_of, total
from app.db.store.base import Base, chunks
from app.db.store.both import of_both
from app.db.store.desk import as_error, errors_query
from app.db.store.error_lists import chosen, ordered
from app.db.tables import error_orders, sites, threads, waits
from app.db.types import storable
from app.domain.road import HOLD_SKU, State
from app.ports.desk import ErrorFilter, ErrorSort
from app.ports.error_counts import ErrorFigures, FoundError, HeldFilter, HeldGroup, HeldThread

_AGES = (timedelta(hours=1), timedelta(days=1), timedelta(days=7))


class ErrorCounts(Base):
    """Few numbers of many errors and holds, and pages of them; they change nothing."""

    def error_figures(self) -> ErrorFigures:
        """All open errors, in figures."""
        with self._reading() as connection:
            rows = connection.execute(_figures(connection, self._now(connection))).all()
        kinds: Counter[str] = Counter()
        persons: Counter[str] = Counter()
        money: dict[str, Decimal] = {}
        for row in rows:
            kinds[row.kind] += row.errors
            persons[row.assignee or ""] += row.errors
            if row.currency:
                money[row.currency] = money.get(row.currency, Decimal(0)) + decimal_of(row.money)
        younger = [sum(int(getattr(row, f"age{number}")) for row in rows) for number in range(len(_AGES))]
        errors = sum(kinds.values())
        return ErrorFigures(
            errors=errors,
            unassigned=persons.pop("", 0),
            money=dict(sorted(money.items())),
            kinds=dict(kinds.most_common()),
            persons=dict(sorted(persons.items())),
            ages=(younger[0], younger[1] - younger[0], younger[2] - younger[1], errors - younger[2]),
        )

    def found_error(self, error_id: int) -> FoundError | None:
        """The error with this id, with its document; also of an order in the archive."""

        def query(errors: Table) -> Select[Any]:
            return errors_query(errors).add_columns(errors.c.document).where(errors.c.id == error_id)

        with self._reading() as connection:
            row = connection.execute(of_both(query, error_orders)).first()
        return None if row is None else FoundError(row.thread_id, as_error(row, document=row.document))

    def error_threads(
        self, wanted: ErrorFilter, *, sort: ErrorSort, reverse: bool, limit: int
    ) -> tuple[int, ...]:
        """The orders of the first so many of these errors, each once."""
        with self._reading() as connection:
            errors = chosen(wanted)
            query = (
                select(errors.c.thread_id)
                .order_by(*ordered(connection, errors.c, sort, reverse=reverse))
                .limit(limit)
            )
            return tuple(dict.fromkeys(connection.scalars(query)))

    def threads_of_errors(self, error_ids: Collection[int]) -> tuple[int, ...]:
        """The orders of the errors with these ids, each once, those in the archive as well."""
        found: dict[int, None] = {}
        with self._reading() as connection:
            for part in chunks(sorted(error_ids)):

                def query(errors: Table, part: list[int] = part) -> Select[Any]:
                    return select(errors.c.thread_id).where(errors.c.id.in_(part))

                found |= dict.fromkeys(connection.scalars(of_both(query, error_orders)))
        return tuple(found)

    def held_count(self, wanted: HeldFilter) -> int:
        """How many of these there are."""
        query = select(func.count()).select_from(threads).where(*_held(wanted))
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())

    def held_groups(self, *, site: str | None, limit: int) -> tuple[HeldGroup, ...]:
        """What held orders wait for, the most frequent first, at most so many of those with a name of their own."""
        held = _held(HeldFilter(site=site))
        count = func.count().label("orders")
        by_sku = (
            select(waits.c.sku.label("what"), count)
            .join(threads, threads.c.id == waits.c.thread_id)
            .where(*held, threads.c.hold_kind == HOLD_SKU)
            .group_by(waits.c.sku)
        )
        by_reason = (
            select(threads.c.hold_kind, threads.c.reason.label("what"), count)
            .where(*held, threads.c.hold_kind != HOLD_SKU)
            .group_by(threads.c.hold_kind, threads.c.reason)
        )
        with self._reading() as connection:
            skus = connection.execute(by_sku.order_by(count.desc(), waits.c.sku).limit(limit)).all()
            reasons = connection.execute(by_reason.order_by(count.desc(), threads.c.reason).limit(limit))
            found = [HeldGroup(HOLD_SKU, row.what, row.orders) for row in skus]
            found += [HeldGroup(row.hold_kind, row.what, row.orders) for row in reasons]
        return tuple(sorted(found, key=lambda each: -each.orders))

    def held_page(self, wanted: HeldFilter, *, limit: int, offset: int) -> tuple[HeldThread, ...]:
        """These held orders, the longest wait first."""
        query = (
            select(threads, sites.c.name.label("site"))
            .join(sites, sites.c.id == threads.c.site_id)
            .where(*_held(wanted))
            .order_by(threads.c.waiting_since, threads.c.id)
            .limit(limit)
            .offset(offset)
        )
        with self._reading() as connection:
            return tuple(_held_thread(row) for row in connection.execute(query))


def _figures(connection: Connection, now: datetime) -> Select[Any]:
    """One pass over the open errors: a row for each kind, currency and person."""
    errors = error_orders.c
    younger = [
        func.sum(case((errors.opened_at > now - age, 1), else_=0)).label(f"age{number}")
        for number, age in enumerate(_AGES)
    ]
    return (
        select(
            errors.kind,
            errors.currency,
            errors.assignee,
            func.count().label("errors"),
            total(connection, errors.value).label("money"),
            *younger,
        )
        .where(errors.open_key.is_not(None))
        .group_by(errors.kind, errors.currency, errors.assignee)
    )


def _held(wanted: HeldFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [threads.c.state == State.HELD]
    if wanted.site is not None:
        found.append(threads.c.site_id.in_(select(sites.c.id).where(sites.c.name == storable(wanted.site))))
    if wanted.kind is not None:
        found.append(threads.c.hold_kind == storable(wanted.kind))
    if wanted.waits_for is not None and wanted.kind == HOLD_SKU:
        found.append(
            threads.c.id.in_(select(waits.c.thread_id).where(waits.c.sku == storable(wanted.waits_for)))
        )
    elif wanted.waits_for is not None:
        found.append(threads.c.reason == storable(wanted.waits_for))
    return found


def _held_thread(row: Row[Any]) -> HeldThread:
    return HeldThread(
        thread_id=row.id,
        order_number=row.order_number,
        platform_order_id=row.platform_order_id,
        site=row.site,
        stage=row.stage,
        kind=row.hold_kind,
        reason=row.reason,
        since=row.waiting_since,
        next_at=row.next_at,
    )
