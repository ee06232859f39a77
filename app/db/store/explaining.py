"""Explaining: the texts that an order was made from and that were made of it."""

from sqlalchemy import and_, func, select

from app.db.store.base import Base
from app.db.tables import inbox, threads
from app.ports.explaining import Evidence


class Explaining(Base):
    """Implements `app.ports.explaining.ExplainingStore`."""

    def evidence(self, thread_id: int) -> Evidence:
        """What an order can be explained from. Nothing is known of what was sent while exchanges are not stored."""
        of_thread = and_(
            inbox.c.site_id == threads.c.site_id,
            inbox.c.platform_order_id == threads.c.platform_order_id,
            inbox.c.version == threads.c.version,
        )
        query = (
            select(func.coalesce(inbox.c.completed, inbox.c.body))
            .join(threads, of_thread)
            .where(threads.c.id == thread_id)
        )
        with self._reading() as connection:
            body = connection.execute(query).scalar_one_or_none()
        return Evidence(body=body or None, sent=None)
