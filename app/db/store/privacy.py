"""Erasing the personal data of orders, wherever their rows are."""

import hashlib
import hmac
import json
from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Table, Text, delete, select, type_coerce, update

from app.db.store.archive import ENDS
from app.db.store.base import Base, Entry, chunks
from app.db.store.both import leave_no_trace, rows_of
from app.db.store.emails import emails_of, in_use, orders_that_name
from app.db.store.owed import CUSTOMER
from app.db.tables import (
    ARCHIVES,
    addresses,
    error_orders,
    events,
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
from app.db.types import storable
from app.domain.road import State
from app.ports.retention import Erased, Subject

_NAMES = ("first_name", "last_name", "company", "address1", "address2", "city", "state", "postcode")
_ERASED = "(erased)"
_HARMLESS = frozenset(("version", "kind", "until", "found", "document", "document_id", "customer", "total"))
"""The facts of old events that name nobody."""

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
        with self._reading() as connection:
            return tuple(sorted(orders_that_name(connection, email)))

    def erase(self, thread_ids: Sequence[int], *, email: str | None = None) -> Erased:
        """Erase the personal data of those of these orders that are at their end, in one transaction.

        The links of their addresses to customers, and that of `email`, go where no order has the address any more.
        """
        with self._writing() as connection:
            now = self._now(connection)
            leave_no_trace(connection)
            at_end = (threads.c.id.in_(thread_ids), threads.c.state.in_(ENDS))
            ids = list(connection.scalars(select(threads.c.id).where(*at_end).with_for_update()))
            if not ids:
                return Erased(frozenset(), 0)
            emails = emails_of(connection, ids) | ({email.strip().lower()} if email else set())
            for live, blank in _BLANKS.items():
                for table, orders_in in ((live, orders), (ARCHIVES[live], ARCHIVES[orders])):
                    mine = rows_of(connection, table, ids, orders_in=orders_in)
                    connection.execute(update(table).where(mine).values(**blank))
            _forget_old_reasons(connection, ids)
            self._end_texts(connection, ids, now)
            self._note(connection, [Entry(each, "privacy", "erased") for each in ids], now=now)
            forgotten: dict[str, Any] = {"document": None, "reason": "", "erased_at": now, "updated_at": now}
            forgotten["fence"] = threads.c.fence + 1
            connection.execute(update(threads).where(threads.c.id.in_(ids)).values(**forgotten))
            customers = self._forget_customers(connection, emails)
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

    def _forget_customers(self, connection: Connection, emails: Collection[str]) -> int:
        """Put keyed hashes in the place of those addresses that no order has any more. Returns how many links had one."""
        of_customers = select(id_map).where(id_map.c.kind == CUSTOMER).order_by(id_map.c.id)
        links = [
            row
            for part in chunks(sorted(set(map(storable, emails))))
            for row in connection.execute(of_customers.where(id_map.c.our_key.in_(part))).all()
        ]
        kept = {email for email in {row.our_key for row in links} if in_use(connection, email)}
        gone = [row for row in links if row.our_key not in kept]
        for row in gone:
            said = f"{CUSTOMER}:{row.our_key}".encode()
            hidden = hmac.new(self.audit_key(), said, hashlib.sha256).hexdigest()
            # The address came back after it had been erased before: the later link counts.
            earlier = (id_map.c.erp_id == row.erp_id, id_map.c.kind == CUSTOMER, id_map.c.our_key == hidden)
            connection.execute(delete(id_map).where(*earlier))
            connection.execute(update(id_map).where(id_map.c.id == row.id).values(our_key=hidden))
        return len(gone)


def _forget_old_reasons(connection: Connection, thread_ids: list[int]) -> None:
    """Events from before there were seals have people's words among their facts: only what is known to name nobody stays."""
    for table in (events, ARCHIVES[events]):
        # As text, so that facts that somebody has made unreadable go as well.
        facts = type_coerce(table.c.detail, Text) if connection.dialect.name == "sqlite" else table.c.detail
        unsealed = table.c.number.is_(None) | table.c.mac.is_(None)
        query = select(table.c.id, facts.label("detail")).where(table.c.thread_id.in_(thread_ids), unsealed)
        for row in connection.execute(query).all():
            kept = _harmless(row.detail)
            connection.execute(update(table).where(table.c.id == row.id).values(detail=kept))


def _harmless(detail: Any) -> dict[str, Any]:
    try:
        found = json.loads(detail, parse_float=Decimal) if isinstance(detail, str) else detail
    except (ValueError, ArithmeticError):
        found = None
    facts = found if isinstance(found, dict) else {}
    return {
        name: value for name, value in facts.items() if name in _HARMLESS and isinstance(value, str | int)
    }
