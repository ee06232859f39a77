"""Items and kits: what the middleware knows of the merchant's assortment."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, insert, select, update

from app.db.store.base import Base, chunks, lease_free
from app.db.tables import erps, items, kits, sites, steps, threads
from app.domain.kits import Component, Kits
from app.domain.road import STEP_UNFINISHED, State
from app.ports.erp import ErpItem

ALLOWED = "allowed"
NOT_ALLOWED = "not_allowed"


class Items(Base):
    """`rm_items` and `rm_kits`."""

    def save_items(
        self, erp_id: int, items_read: Sequence[ErpItem], *, source: str, cursor: datetime | None
    ) -> int:
        """Insert or update items; a person's `not_allowed` is kept. Moves the item cursor. Returns how many are new."""
        rows = {item.number: {"name": item.name[:255], "kind": item.kind.value} for item in items_read}
        with self._writing() as connection:
            now = self._now(connection)
            known: set[str] = set()
            for part in chunks(list(rows)):
                known.update(
                    connection.scalars(
                        select(items.c.sku).where(items.c.erp_id == erp_id, items.c.sku.in_(part))
                    )
                )
            new = [
                {"erp_id": erp_id, "sku": sku, "status": ALLOWED, "source": source, "updated_at": now, **row}
                for sku, row in rows.items()
                if sku not in known
            ]
            if new:
                connection.execute(insert(items), new)
            changed = [{"b_sku": sku, "b_now": now, **row} for sku, row in rows.items() if sku in known]
            if changed:
                connection.execute(
                    update(items)
                    .where(items.c.erp_id == erp_id, items.c.sku == bindparam("b_sku"))
                    .values(name=bindparam("name"), kind=bindparam("kind"), updated_at=bindparam("b_now")),
                    changed,
                )
            if cursor is not None:
                connection.execute(update(erps).where(erps.c.id == erp_id).values(items_cursor=cursor))
        return len(new)

    def set_item_status(self, erp_id: int, statuses: Mapping[str, tuple[str, str]], *, source: str) -> int:
        """Insert or update items from a person's list: SKU to (name, `allowed` or `not_allowed`)."""
        with self._writing() as connection:
            now = self._now(connection)
            known: set[str] = set()
            for part in chunks(list(statuses)):
                known.update(
                    connection.scalars(
                        select(items.c.sku).where(items.c.erp_id == erp_id, items.c.sku.in_(part))
                    )
                )
            same = {"erp_id": erp_id, "source": source, "updated_at": now}
            new = [
                {"sku": sku, "name": name[:255], "status": status, **same}
                for sku, (name, status) in statuses.items()
                if sku not in known
            ]
            if new:
                connection.execute(insert(items), new)
            changed = [
                {"b_sku": sku, "name": name[:255], "status": status}
                for sku, (name, status) in statuses.items()
                if sku in known
            ]
            if changed:
                connection.execute(
                    update(items)
                    .where(items.c.erp_id == erp_id, items.c.sku == bindparam("b_sku"))
                    .values(
                        name=bindparam("name"), status=bindparam("status"), source=source, updated_at=now
                    ),
                    changed,
                )
        return len(statuses) - len(known)

    def item_statuses(self, erp_id: int, skus: Sequence[str]) -> Mapping[str, str]:
        """The status of each of these SKUs (upper case) that `rm_items` has."""
        found: dict[str, str] = {}
        with self._reading() as connection:
            for part in chunks(list(skus)):
                rows = connection.execute(
                    select(items.c.sku, items.c.status).where(items.c.erp_id == erp_id, items.c.sku.in_(part))
                )
                found.update((row.sku, row.status) for row in rows)
        return found

    def has_items(self, erp_id: int) -> bool:
        """Whether any item of this ERP is known."""
        with self._reading() as connection:
            return (
                connection.execute(select(items.c.id).where(items.c.erp_id == erp_id).limit(1)).first()
                is not None
            )

    def save_kits(self, definitions: Kits) -> None:
        """Replace the definitions of these parents by these components."""
        with self._writing() as connection:
            for part in chunks(list(definitions)):
                connection.execute(delete(kits).where(kits.c.parent_sku.in_(part)))
            rows = [
                {
                    "parent_sku": parent,
                    "component_sku": component.sku,
                    "quantity": component.quantity,
                    "position": position,
                }
                for parent, components in definitions.items()
                for position, component in enumerate(components, start=1)
            ]
            if rows:
                connection.execute(insert(kits), rows)

    def kits(self) -> Kits:
        """Every kit definition."""
        found: dict[str, tuple[Component, ...]] = {}
        with self._reading() as connection:
            for row in connection.execute(select(kits).order_by(kits.c.parent_sku, kits.c.position)):
                found[row.parent_sku] = (
                    *found.get(row.parent_sku, ()),
                    Component(sku=row.component_sku, quantity=row.quantity),
                )
        return found

    def claim_items_sync(self, erp_id: int, *, lease_seconds: float) -> str | None:
        """A token, or None while another item sync of this ERP holds the lease."""
        token = str(uuid.uuid4())
        with self._writing() as connection:
            now = self._now(connection)
            taken = connection.execute(
                update(erps)
                .where(erps.c.id == erp_id, lease_free(erps, now))
                .values(lease_token=token, lease_until=now + timedelta(seconds=lease_seconds))
            )
        return token if taken.rowcount == 1 else None

    def release_items_sync(self, erp_id: int, token: str, *, next_run: datetime) -> None:
        """Give the lease back and set when the next sync is due."""
        with self._writing() as connection:
            connection.execute(
                update(erps)
                .where(erps.c.id == erp_id, erps.c.lease_token == token)
                .values(
                    lease_token=None,
                    lease_until=None,
                    items_next_run=next_run,
                    items_last_run=self._now(connection),
                )
            )

    def release_held(self, *, hold_kind: str, erp_id: int | None = None, site_id: int | None = None) -> int:
        """Make the orders held for this reason, and what is owed for them, due now. Returns how many orders."""
        with self._writing() as connection:
            now = self._now(connection)
            held = [threads.c.state == State.HELD, threads.c.hold_kind == hold_kind]
            if site_id is not None:
                held.append(threads.c.site_id == site_id)
            if erp_id is not None:
                of_erp = select(sites.c.id).where((sites.c.erp_id == erp_id) | sites.c.erp_id.is_(None))
                held.append(threads.c.site_id.in_(of_erp))
            now_due = {"next_at": now, "rung_at": None}
            released = connection.execute(update(threads).where(*held).values(**now_due)).rowcount
            owed = steps.c.thread_id.in_(select(threads.c.id).where(*held))
            connection.execute(
                update(steps)
                .where(owed, steps.c.state.in_(STEP_UNFINISHED), steps.c.next_at > now)
                .values(**now_due)
            )
            return released
