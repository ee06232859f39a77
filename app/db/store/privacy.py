"""Erasing the personal data of orders, wherever their rows are."""

import hashlib
import hmac
import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, func, select, update

from app.db.store.archive import ENDS
from app.db.store.base import Base, Entry, chunks
from app.db.store.both import leave_no_trace, of_both, rows_of
from app.db.store.owed import CUSTOMER
from app.db.tables import (
    ARCHIVES,
    addresses,
    error_orders,
    id_map,
    inbox,
    lineitems,
    orders,
    payloads,
    repairs,
    sites,
    steps,
    threads,
)
from app.domain.road import UNFINISHED, State
from app.ports.retention import Erased, Subject

_NAMES = ("first_name", "last_name", "company", "address1", "address2", "city", "state", "postcode")
_ERASED = "(erased)"

_BLANKS: dict[Table, dict[str, Any]] = {
    orders: dict.fromkeys(
        (
            *("bill_first_name", "bill_last_name", "bill_email", "customer_note"),
            *(
                "ship_first_name",
                "ship_last_name",
                "ship_address1",
                "ship_city",
                "ship_state",
                "ship_postcode",
            ),
        ),
        "",
    ),
    # The country stays: taxes are explained by it, and nobody is found by it.
    addresses: dict.fromkeys((*_NAMES, "email", "phone"), ""),
    lineitems: {"detail": ""},
    # The row stays, so that nobody takes the body for lost and reads it again.
    inbox: {"body": "", "completed": None},
    steps: {"reason": ""},
    error_orders: {"reason": _ERASED, "document": None},
    payloads: {"body": None},
    repairs: {"before": "", "after": "", "reason": "", "ended": _ERASED},
}
"""What takes the place of personal data, by table."""


class Privacy(Base):
    """Finding people's orders, and forgetting who they were."""

    def subjects(self, thread_ids: Collection[int]) -> Sequence[Subject]:
        """These orders, in the order of their ids."""
        is_open = (
            select(error_orders.c.id)
            .where(error_orders.c.thread_id == threads.c.id, error_orders.c.open_key.is_not(None))
            .exists()
        )
        query = (
            select(threads, sites.c.name.label("site"), is_open.label("open_error"))
            .join(sites, sites.c.id == threads.c.site_id)
            .order_by(threads.c.id)
        )
        with self._reading() as connection:
            return [
                Subject(
                    thread_id=row.id,
                    order_number=row.order_number,
                    platform_order_id=row.platform_order_id,
                    site=row.site,
                    state=State(row.state),
                    open_error=bool(row.open_error),
                    erased_at=row.erased_at,
                )
                for part in chunks(sorted(thread_ids))
                for row in connection.execute(query.where(threads.c.id.in_(part)))
            ]

    def orders_with_email(self, email: str) -> tuple[int, ...]:
        """The row ids of all orders in which this e-mail address stands, ascending."""
        email = email.strip().lower()

        def written(orders: Table, addresses: Table) -> Select[Any]:
            query = select(orders.c.thread_id).outerjoin(addresses, addresses.c.order_id == orders.c.id)
            return query.where(_is(orders.c.bill_email, email) | _is(addresses.c.email, email))

        def received(inbox: Table) -> Select[Any]:
            same = (threads.c.site_id == inbox.c.site_id) & (
                threads.c.platform_order_id == inbox.c.platform_order_id
            )
            text = func.coalesce(inbox.c.completed, inbox.c.body)
            query = select(threads.c.id, text.label("body")).join(inbox, same)
            return query.where(func.lower(text).contains(email, autoescape=True))

        # Not the address of somebody else that ends or begins with this one.
        alone = re.compile(rf"(?<![\w.+-]){re.escape(email)}(?![\w-]|\.\w)")
        with self._reading() as connection:
            found = set(connection.scalars(of_both(written, orders, addresses)))
            bodies = connection.execute(of_both(received, inbox))
            found |= {row.id for row in bodies if alone.search(row.body.lower())}
        return tuple(sorted(found))

    def erase(self, thread_ids: Sequence[int]) -> Erased:
        """Erase the personal data of those of these orders that are at their end, in one transaction."""
        with self._writing() as connection:
            now = self._now(connection)
            leave_no_trace(connection)
            at_end = (threads.c.id.in_(thread_ids), threads.c.state.in_(ENDS))
            ids = list(connection.scalars(select(threads.c.id).where(*at_end).with_for_update()))
            if not ids:
                return Erased(frozenset(), 0)
            emails = _emails(connection, ids)
            for live, blank in _BLANKS.items():
                for table, orders_in in ((live, orders), (ARCHIVES[live], ARCHIVES[orders])):
                    mine = rows_of(connection, table, ids, orders_in=orders_in)
                    connection.execute(update(table).where(mine).values(**blank))
            self._end_texts(connection, ids, now)
            self._note(connection, [Entry(each, "privacy", "erased") for each in ids], now=now)
            forgotten: dict[str, Any] = {"document": None, "reason": "", "erased_at": now, "updated_at": now}
            forgotten["fence"] = threads.c.fence + 1
            connection.execute(update(threads).where(threads.c.id.in_(ids)).values(**forgotten))
            customers = sum(self._forget_customer(connection, each) for each in sorted(emails))
        if self.engine.dialect.name == "sqlite":
            self._empty_log()
        return Erased(frozenset(ids), customers)

    def _empty_log(self) -> None:
        """What was erased is still in SQLite's log of what was written. Where others read just now, it goes with a later write."""
        raw = self.engine.raw_connection()
        try:
            cursor = raw.cursor()
            cursor.execute("PRAGMA busy_timeout=1000")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            cursor.close()
        finally:
            raw.close()

    @staticmethod
    def _end_texts(connection: Connection, ids: list[int], now: datetime) -> None:
        """People's words at the end of errors; and repairs that are in force are so no longer, for they change nothing now."""
        for table in (error_orders, ARCHIVES[error_orders]):
            told = (table.c.thread_id.in_(ids), table.c.resolved_by.is_not(None))
            connection.execute(update(table).where(*told).values(resolution=_ERASED))
        for table in (repairs, ARCHIVES[repairs]):
            in_force = (table.c.thread_id.in_(ids), table.c.ended_at.is_(None))
            connection.execute(update(table).where(*in_force).values(ended_at=now))

    def _forget_customer(self, connection: Connection, email: str) -> int:
        """Put a keyed hash in the place of an address that no order has any more. Returns how many links had it."""
        if _in_use(connection, email):
            return 0
        links = (id_map.c.kind == CUSTOMER, _is(id_map.c.our_key, email))
        rows = connection.execute(select(id_map).where(*links)).all()
        hidden = hmac.new(self.audit_key(), f"{CUSTOMER}:{email}".encode(), hashlib.sha256).hexdigest()
        for row in rows:
            # The address came back after it had been erased before: the later link counts.
            earlier = (id_map.c.erp_id == row.erp_id, id_map.c.kind == CUSTOMER, id_map.c.our_key == hidden)
            connection.execute(delete(id_map).where(*earlier))
            connection.execute(update(id_map).where(id_map.c.id == row.id).values(our_key=hidden))
        return len(rows)


def _is(column: Any, email: str) -> Any:
    return func.lower(func.trim(column)) == email


def _emails(connection: Connection, thread_ids: list[int]) -> set[str]:
    def of_orders(orders: Table) -> Select[Any]:
        return select(orders.c.bill_email).where(orders.c.thread_id.in_(thread_ids))

    found = connection.scalars(of_both(of_orders, orders))
    return {each.strip().lower() for each in found} - {""}


def _in_use(connection: Connection, email: str) -> bool:
    """Whether an order has this address still: one that is written, or one on its way there."""

    def written(orders: Table) -> Select[Any]:
        return select(orders.c.thread_id).where(_is(orders.c.bill_email, email)).limit(1)

    coming = select(threads.c.id).where(
        threads.c.state.in_((*UNFINISHED, State.REJECTED)),
        func.lower(threads.c.document).contains(email, autoescape=True),
    )
    written_ones = (connection.execute(written(table)).first() for table in (orders, ARCHIVES[orders]))
    return any(written_ones) or connection.execute(coming.limit(1)).first() is not None
