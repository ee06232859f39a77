"""Webhook deliveries: each row is the job of reading the order that it names."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.db.store.base import Base, lease_free
from app.db.store.hooks import end_alert
from app.db.tables import deliveries, runs, sites, threads
from app.db.types import storable
from app.ports.deliveries import (
    AlertKind,
    DeliveryDone,
    DeliveryOutcome,
    DueSite,
    OwedDelivery,
)
from app.ports.hooks import Delivery

_ORDERS = 100
_ROWS = 1_000
_MOST = 2_000
_OUTCOME_LENGTH = 255
_NO_ORDER = "It names no order."


class Deliveries(Base):
    """Taking, claiming, settling and forgetting deliveries."""

    def take_delivery(self, site_id: int, delivery: Delivery) -> bool:
        """Store a delivery as something to be done now, or as done where it names no order. False where it is stored already.

        It ends the alert that no deliveries come.
        """
        same = (deliveries.c.site_id == site_id, deliveries.c.delivery_id == delivery.delivery_id)
        seen = select(deliveries.c.id).where(*same)
        try:
            with self._writing() as connection:
                if connection.execute(seen).first() is not None:
                    return False
                now = self._now(connection)
                row = {
                    "site_id": site_id,
                    "delivery_id": delivery.delivery_id,
                    "topic": delivery.topic,
                    "platform_order_id": delivery.platform_order_id,
                    "received_at": now,
                    **_owed(delivery, now),
                }
                connection.execute(insert(deliveries).values(**row))
                end_alert(connection, site_id, AlertKind.WEBHOOK_SILENT, now)
                return True
        except IntegrityError:
            # The same delivery came twice at once, and the other one was faster; else its site is gone.
            with self._reading() as connection:
                if connection.execute(seen).first() is not None:
                    return False
            raise

    def claim_deliveries(self, site_id: int, *, token: str, lease_seconds: float) -> tuple[OwedDelivery, ...]:
        """Take due deliveries of a site under lease, the oldest first: all those of up to 100 orders."""
        with self._writing() as connection:
            now = self._now(connection)
            query = (
                select(
                    deliveries.c.id,
                    deliveries.c.platform_order_id,
                    deliveries.c.received_at,
                    deliveries.c.attempts,
                )
                .where(*_due(now), _of(site_id))
                .order_by(deliveries.c.next_at, deliveries.c.id)
                .limit(_ROWS)
                .with_for_update(skip_locked=True)
            )
            taken = _of_few_orders(connection.execute(query).all())
            if taken:
                connection.execute(
                    update(deliveries)
                    .where(deliveries.c.id.in_([row.id for row in taken]))
                    .values(
                        lease_until=now + timedelta(seconds=lease_seconds),
                        lease_token=token,
                        attempts=deliveries.c.attempts + 1,
                    )
                )
            return tuple(
                OwedDelivery(
                    id=row.id,
                    platform_order_id=row.platform_order_id,
                    received_at=row.received_at,
                    attempts=row.attempts + 1,
                )
                for row in taken
            )

    def settle_deliveries(self, *, token: str, outcomes: Sequence[DeliveryOutcome]) -> int:
        """Store what became of claimed deliveries; those no longer under this token are left alone. Returns how many were not."""
        settled = 0
        with self._writing() as connection:
            now = self._now(connection)
            for each in outcomes:
                values: dict[str, Any] = {"lease_until": None, "lease_token": None, "rung_at": None}
                if isinstance(each, DeliveryDone):
                    values |= {"next_at": None, "done_at": now}
                else:
                    values |= {"next_at": each.next_at}
                mine = (deliveries.c.id == each.id, deliveries.c.lease_token == token)
                outcome = storable(each.outcome)[:_OUTCOME_LENGTH]
                settled += connection.execute(
                    update(deliveries).where(*mine).values(outcome=outcome, **values)
                ).rowcount
        return settled

    def due_deliveries(self, *, rung_before: float) -> tuple[DueSite, ...]:
        """The sites with due deliveries that were not rung within `rung_before` seconds, marked as rung now."""
        with self._writing() as connection:
            now = self._now(connection)
            silent = now - timedelta(seconds=rung_before)
            query = (
                select(deliveries.c.id, deliveries.c.site_id)
                .where(*_due(now), deliveries.c.rung_at.is_(None) | (deliveries.c.rung_at <= silent))
                .order_by(deliveries.c.next_at)
                .limit(_MOST)
                .with_for_update(skip_locked=True)
            )
            rows = connection.execute(query).all()
            if not rows:
                return ()
            found = [row.id for row in rows]
            connection.execute(update(deliveries).where(deliveries.c.id.in_(found)).values(rung_at=now))
            # By themselves: together with the deliveries they would be locked, and a site that is being read is.
            names = {row.id: row.name for row in connection.execute(select(sites.c.id, sites.c.name))}
            due = dict.fromkeys(row.site_id for row in rows)
            return tuple(DueSite(id=site_id, name=names[site_id]) for site_id in due)

    def last_delivery(self, site_id: int) -> datetime | None:
        """When the last delivery of a site was taken."""
        query = select(func.max(deliveries.c.received_at)).where(deliveries.c.site_id == site_id)
        with self._reading() as connection:
            found: datetime | None = connection.execute(query).scalar_one()
            return found

    def drop_deliveries(self, *, before: datetime, most: int) -> int:
        """Forget at most so many deliveries that were taken before then and are done. Returns how many there were."""
        with self._writing() as connection:
            found: list[int] = []
            for site_id in connection.execute(select(sites.c.id)).scalars().all():
                # By the site, because the index begins with it.
                query = (
                    select(deliveries.c.id)
                    .where(
                        deliveries.c.site_id == site_id,
                        deliveries.c.received_at < before,
                        deliveries.c.done_at.is_not(None),
                    )
                    .order_by(deliveries.c.received_at)
                    .limit(most - len(found))
                )
                found += connection.execute(query).scalars().all()
                if len(found) >= most:
                    break
            if found:
                connection.execute(delete(deliveries).where(deliveries.c.id.in_(found)))
            return len(found)

    def unannounced(self, site_id: int, *, after: datetime, until: datetime) -> int:
        """How many new orders, changed after `after`, polling has brought to this site by `until`."""
        began = (runs.c.site_id == site_id, runs.c.started_at > after, runs.c.started_at <= until)
        query = select(func.count()).where(
            threads.c.run_id.in_(select(runs.c.id).where(*began)),
            threads.c.modified_at > after,
            threads.c.created_at > after,
            threads.c.created_at <= until,
        )
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())


def _owed(delivery: Delivery, now: datetime) -> dict[str, Any]:
    """What is to be done for a delivery that has just come; whoever stores it rings for it."""
    if not delivery.platform_order_id:
        return {"done_at": now, "outcome": _NO_ORDER}
    return {"next_at": now, "rung_at": now}


def _due(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return deliveries.c.next_at <= now, lease_free(deliveries, now)


def _of(site_id: int) -> ColumnElement[bool]:
    # Without the sum SQLite takes the index that begins with the site, and so looks at two weeks of done deliveries for each claim.
    return deliveries.c.site_id + 0 == site_id


def _of_few_orders(rows: Sequence[Any]) -> list[Any]:
    """The rows of the first orders among them, as many as one call to a platform reads."""
    wanted: set[str] = set()
    taken = []
    for row in rows:
        if row.platform_order_id in wanted or len(wanted) < _ORDERS:
            wanted.add(row.platform_order_id)
            taken.append(row)
    return taken
