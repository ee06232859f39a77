"""Sites, ERPs, their items and kits."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from app.domain.kits import Component, Kits
from app.domain.reading import Cursor
from app.domain.road import HOLD_SKU, STEP_UNFINISHED, State
from app.errors import UsageError
from app.ports.erp import ErpItem
from app.ports.store import ErpRow, NewErp, NewSite, Site
from tests.fakes.memory_store.base import Base, MemoryTable, Row, change, cut, is_free

_ERP = tuple(each.name for each in fields(ErpRow))
_SITE = tuple(
    each.name for each in fields(Site) if each.name not in {"cursor", "failures", "hook_url", "hook_secrets"}
)


class Configuration(Base):
    """Adding, listing and pausing."""

    def add_erp(self, erp: NewErp) -> int:
        if any(each.name == erp.name for each in self.data.erps):
            raise UsageError(f"There is an ERP named {erp.name!r} already.")
        now = self.now()
        row = self.data.erps.add(**_values(erp), items_next_run=now, created_at=now)
        return int(row.id)

    def add_site(self, site: NewSite) -> int:
        if any(each.name == site.name or each.prefix == site.prefix for each in self.data.sites):
            raise UsageError(f"The name {site.name!r} or the prefix {site.prefix} is taken.")
        return int(self.data.sites.add(**_values(site), created_at=self.now()).id)

    def erps(self) -> tuple[ErpRow, ...]:
        return tuple(
            ErpRow(**{name: getattr(row, name) for name in _ERP}) for row in _connected(self.data.erps)
        )

    def sites(self) -> tuple[Site, ...]:
        return tuple(_site(row) for row in _connected(self.data.sites))

    def pause_erp(self, erp_id: int, *, until: datetime | None, reason: str | None) -> bool:
        return _pause(self.data.erps.rows[erp_id], until, reason)

    def pause_site(self, site_id: int, *, until: datetime | None, reason: str | None) -> bool:
        return _pause(self.data.sites.rows[site_id], until, reason)

    def plan_reconciliation(self, site_id: int, *, at: datetime) -> None:
        self.data.sites.rows[site_id].reconcile_next_run = at


class Items(Base):
    """The ERP's items, kits, and the orders that wait for one of them."""

    def save_items(
        self, erp_id: int, items: Sequence[ErpItem], *, source: str, cursor: datetime | None
    ) -> int:
        now, new = self.now(), 0
        for item in {each.number: each for each in items}.values():
            values = {"name": item.name[:255], "kind": item.kind.value, "updated_at": now}
            known = self._item(erp_id, item.number)
            if known is None:
                self.data.items.add(erp_id=erp_id, sku=item.number, status="allowed", source=source, **values)
                new += 1
            else:
                change(known, **values)
        if cursor is not None:
            self.data.erps.rows[erp_id].items_cursor = cursor
        return new

    def set_item_status(self, erp_id: int, statuses: Mapping[str, tuple[str, str]], *, source: str) -> int:
        new = 0
        for sku, (name, status) in statuses.items():
            values = {"name": name[:255], "status": status, "source": source, "updated_at": self.now()}
            known = self._item(erp_id, sku)
            if known is None:
                self.data.items.add(erp_id=erp_id, sku=sku, **values)
                new += 1
            else:
                change(known, **values)
        return new

    def item_statuses(self, erp_id: int, skus: Sequence[str]) -> Mapping[str, str]:
        return {
            each.sku: each.status for each in self.data.items if each.erp_id == erp_id and each.sku in skus
        }

    def has_items(self, erp_id: int) -> bool:
        return any(each.erp_id == erp_id for each in self.data.items)

    def save_kits(self, kits: Kits) -> None:
        rows = self.data.kits.rows
        for key in [each.id for each in self.data.kits if each.parent_sku in kits]:
            del rows[key]
        for parent, components in kits.items():
            for position, component in enumerate(components, start=1):
                self.data.kits.add(
                    parent_sku=parent,
                    component_sku=component.sku,
                    quantity=component.quantity,
                    position=position,
                )

    def kits(self) -> Kits:
        found: dict[str, tuple[Component, ...]] = {}
        for row in sorted(self.data.kits, key=lambda each: (each.parent_sku, each.position)):
            component = Component(sku=row.component_sku, quantity=row.quantity)
            found[row.parent_sku] = (*found.get(row.parent_sku, ()), component)
        return found

    def claim_items_sync(self, erp_id: int, *, lease_seconds: float) -> str | None:
        return take_lease(self.data.erps.rows[erp_id], self.now(), lease_seconds)

    def release_items_sync(self, erp_id: int, token: str, *, next_run: datetime) -> None:
        row = self.data.erps.rows[erp_id]
        if row.lease_token == token:
            change(
                row, lease_token=None, lease_until=None, items_next_run=next_run, items_last_run=self.now()
            )

    def release_held(self, *, hold_kind: str, erp_id: int | None = None, site_id: int | None = None) -> int:
        now = self.now()
        of_erp = {each.id for each in self.data.sites if erp_id is None or each.erp_id in {None, erp_id}}
        held = {
            each.id: each
            for each in self.data.threads
            if each.state == State.HELD
            and each.hold_kind == hold_kind
            and each.site_id in of_erp
            and (site_id is None or each.site_id == site_id)
        }
        for thread in held.values():
            change(thread, next_at=now, rung_at=None)
        for step in self.data.steps:
            if step.thread_id in held and step.state in STEP_UNFINISHED and step.next_at > now:
                change(step, next_at=now, rung_at=None)
        return len(held)

    def release_known(self) -> int:
        now, released = self.now(), 0
        for thread in self.data.threads:
            if thread.state != State.HELD or thread.hold_kind != HOLD_SKU or thread.next_at <= now:
                continue
            missing = [each for each in self.data.waits if each.thread_id == thread.id]
            if missing and all(self._item(each.erp_id, each.sku) for each in missing):
                change(thread, next_at=now, rung_at=None)
                released += 1
        return released

    def _item(self, erp_id: int, sku: str) -> Row | None:
        return next((each for each in self.data.items if each.erp_id == erp_id and each.sku == sku), None)


def take_lease(row: Row, now: datetime, seconds: float) -> str | None:
    """A token, or None while somebody else has the lease."""
    token = str(uuid.uuid4())
    if not is_free(row, now):
        return None
    change(row, lease_token=token, lease_until=now + timedelta(seconds=seconds))
    return token


def _values(new: NewErp | NewSite) -> dict[str, Any]:
    values = {each.name: getattr(new, each.name) for each in fields(new)}
    return {**values, "settings": dict(new.settings)}


def _connected(table: MemoryTable) -> list[Row]:
    return sorted((each for each in table if each.removed_at is None), key=lambda each: str(each.name))


def _site(row: Row) -> Site:
    at = row.cursor_modified
    return Site(
        **{name: getattr(row, name) for name in _SITE},
        cursor=None if at is None else Cursor(modified_at=at, platform_order_id=row.cursor_order_id),
        failures=row.failures or 0,
        hook_url=row.hook_url or "",
        hook_secrets=row.hook_secrets or "",
    )


def _pause(row: Row, until: datetime | None, reason: str | None) -> bool:
    begins = reason is not None and row.paused_reason is None
    change(row, paused_until=until, paused_reason=None if reason is None else cut(reason))
    return begins
