"""Explaining: the texts that an order was made from and that were made of it."""

import json

from sqlalchemy import Connection, Select, Table, func, select

from app.db.store.base import Base
from app.db.store.both import of_both
from app.db.store.repairs import as_repair
from app.db.store.strays import strays
from app.db.tables import inbox, payloads, repairs, threads
from app.ports.explaining import Evidence

_ORDER = "sales order"


class Explaining(Base):
    """Implements `app.ports.explaining.ExplainingStore`."""

    def evidence(self, thread_id: int) -> Evidence:
        """What an order can be explained from, from the archive as well."""

        def body(bodies: Table) -> Select[str]:
            present = (
                (bodies.c.site_id == threads.c.site_id)
                & (bodies.c.platform_order_id == threads.c.platform_order_id)
                & (bodies.c.version == threads.c.version)
            )
            return (
                select(func.coalesce(bodies.c.completed, bodies.c.body))
                .join(threads, present)
                .where(threads.c.id == thread_id)
            )

        def in_force(changed: Table) -> Select[str]:
            return select(changed).where(changed.c.thread_id == thread_id, changed.c.ended_at.is_(None))

        with self._reading() as connection:
            return Evidence(
                body=connection.scalar(of_both(body, inbox)) or None,
                sent=_last_sent(connection, thread_id),
                repairs=tuple(
                    sorted(
                        map(as_repair, connection.execute(of_both(in_force, repairs))),
                        key=lambda each: each.id,
                    )
                ),
                strays=strays(connection, thread_id),
            )


def _last_sent(connection: Connection, thread_id: int) -> str | None:
    """The request by which the order was last written to the ERP, None where none is stored."""

    def told(apart: Table) -> Select[str]:
        of_thread = (apart.c.thread_id == thread_id, apart.c.body.like('%"sent"%'))
        return select(apart.c.number, apart.c.body).where(*of_thread)

    for row in sorted(connection.execute(of_both(told, payloads)), key=lambda one: -int(one.number)):
        requests = [
            each["request"] for each in json.loads(row.body).get("sent", ()) if each["what"] == _ORDER
        ]
        if requests:
            return str(requests[-1])
    return None
