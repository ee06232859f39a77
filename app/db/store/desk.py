"""What waits where, and what needs a person."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, case, func, select

from app.db.store.base import Base, lease_free
from app.db.store.both import of_both
from app.db.store.owed import due_steps
from app.db.tables import error_orders, runs, sites, steps, threads
from app.domain.road import LINKS, STEP_UNFINISHED, UNFINISHED, Owed, Stage, State
from app.ports.desk import ErrorOrder, HeldOrder, Waits


class Desk(Base):
    """Questions of the error desk; they change nothing."""

    def held_orders(self, *, site: str | None) -> tuple[HeldOrder, ...]:
        """The orders that are held, the longest wait first."""
        query = (
            select(threads, sites.c.name.label("site"))
            .join(sites, sites.c.id == threads.c.site_id)
            .where(threads.c.state == State.HELD)
            .order_by(threads.c.waiting_since, threads.c.id)
        )
        if site is not None:
            query = query.where(sites.c.name == site)
        with self._reading() as connection:
            return tuple(
                HeldOrder(
                    order_number=row.order_number,
                    platform_order_id=row.platform_order_id,
                    site=row.site,
                    stage=row.stage,
                    hold_kind=row.hold_kind,
                    reason=row.reason,
                    since=row.waiting_since,
                    next_at=row.next_at,
                )
                for row in connection.execute(query)
            )

    def errors_of(self, key: str) -> tuple[ErrorOrder, ...]:
        """With documents, the errors of an order by its number, or else the error with this id, or those by the platform's id.

        Those of orders in the archive as well; open ones first.
        """
        keys: list[tuple[str, str | int]] = [("order_number", key), ("platform_order_id", key)]
        if is_row_id(key):
            keys.insert(1, ("id", int(key)))
        with self._reading() as connection:
            for name, value in keys:

                def query(errors: Table, name: str = name, value: object = value) -> Select[Any]:
                    return errors_query(errors).add_columns(errors.c.document).where(errors.c[name] == value)

                found = connection.execute(of_both(query, error_orders)).all()
                if found:
                    open_first = sorted(found, key=lambda row: (row.open_key is None, -row.id))
                    return tuple(as_error(row, document=row.document) for row in open_first)
        return ()

    def waits(self) -> tuple[Waits, ...]:
        """What stands where on the road, from `fetch` to `export`; links at which nothing stands are left out."""
        with self._reading() as connection:
            now = self._now(connection)
            # A reading that its account's limits hold goes on later.
            at = case((runs.c.rung_at > now, runs.c.rung_at), else_=runs.c.started_at)
            unread = (
                select(*_counts(sites, at, now))
                .select_from(runs)
                .join(sites, sites.c.id == runs.c.site_id)
                .where(runs.c.kind == "orders", runs.c.read_at.is_(None), runs.c.finished_at.is_(None))
            )
            on_road = (
                select(threads.c.stage.label("link"), *_counts(threads, threads.c.next_at, now))
                .where(threads.c.state.in_(UNFINISHED), threads.c.stage != Stage.DELIVER)
                .group_by(threads.c.stage)
            )
            found = {row.link: row for row in connection.execute(on_road)}
            found |= {str(kind): self._owed(connection, kind, now) for kind in Owed}
            found["fetch"] = connection.execute(unread).one()
        waits = [_waits(link, found[link]) for link in ("fetch", *map(str, LINKS)) if link in found]
        return tuple(each for each in waits if each.due or each.later or each.leased)

    def _owed(self, connection: Connection, kind: Owed, now: Any) -> Row[Any]:
        # An export whose acknowledgement is still to be tried is not due yet, whatever its own time says.
        due = steps.c.id.in_(due_steps(kind, now))
        query = (
            select(*_counts(steps, steps.c.next_at, now, due=due))
            .select_from(steps)
            .join(threads, threads.c.id == steps.c.thread_id)
            .where(
                steps.c.kind == kind,
                steps.c.state.in_(STEP_UNFINISHED),
                threads.c.stage == Stage.DELIVER,
                threads.c.state.in_(UNFINISHED),
            )
        )
        return connection.execute(query).one()


def _counts(table: Table, at: Any, now: Any, *, due: ColumnElement[bool] | None = None) -> tuple[Any, ...]:
    """How many rows are due, later and under the lease of `table`; `at` is the time at which a row is due."""
    free = lease_free(table, now)
    is_due = free & ((at <= now) if due is None else due)
    is_later = free & ~((at <= now) if due is None else due)

    def count(condition: ColumnElement[bool]) -> Any:
        return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

    return (
        count(is_due).label("due"),
        func.min(case((is_due, at))).label("due_since"),
        count(is_later).label("later"),
        func.min(case((is_later & (at > now), at))).label("next_at"),
        count(~free).label("leased"),
    )


def _waits(link: str, row: Row[Any]) -> Waits:
    return Waits(
        link=link,
        due=int(row.due),
        due_since=row.due_since,
        later=int(row.later),
        next_at=row.next_at,
        leased=int(row.leased),
    )


def errors_query(errors: Table = error_orders) -> Select[Any]:
    """Every error with its site's name, and without the document, which is large."""
    names = [column for column in errors.columns if column.name != "document"]
    return select(*names, sites.c.name.label("site")).join(sites, sites.c.id == errors.c.site_id)


def as_error(row: Row[Any], *, document: str | None = None) -> ErrorOrder:
    """An error as the desk shows it."""
    return ErrorOrder(
        id=row.id,
        order_number=row.order_number,
        platform_order_id=row.platform_order_id,
        site=row.site,
        stage=row.stage,
        kind=row.kind,
        reason=row.reason,
        field=row.field,
        value=row.value,
        currency=row.currency,
        attempts=row.attempts,
        opened_at=row.opened_at,
        resolved_at=row.resolved_at,
        resolution=row.resolution,
        assignee=row.assignee,
        resumed=row.resumed or 0,
        resolved_by=row.resolved_by,
        checked_at=row.checked_at,
        document=document,
    )


def is_row_id(key: str) -> bool:
    """Whether this could be the id of a row: a larger number is refused by the database, not just not found."""
    return key.isascii() and key.isdecimal() and int(key) < 2**31
