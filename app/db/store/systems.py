"""Changing, removing and restoring sites and ERPs, and how much they are in use."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Select, Table, case, delete, func, select, update

from app.db.store.base import Base
from app.db.store.both import of_both
from app.db.tables import (
    ARCHIVES,
    alert_notices,
    alerts,
    batches,
    certificates,
    deliveries,
    erps,
    error_orders,
    id_map,
    items,
    orders,
    runs,
    sites,
    steps,
    threads,
)
from app.domain.road import SENT, UNFINISHED, Owed, State, StepState
from app.ports.store import NewErp, NewSite
from app.ports.systems import ErpChanges, ErpUse, Removal, SiteChanges, SiteUse


class Systems(Base):
    """What happens to sites and ERPs after they were added."""

    def change_erp(self, erp_id: int, changes: ErpChanges) -> None:
        """Store the parts that are given."""
        given = asdict(changes)
        anew = {"items_cursor": None} if given.pop("read_items_anew") else {}
        self._change(erps, erp_id, {**_named(given), **anew})

    def change_site(self, site_id: int, changes: SiteChanges) -> None:
        """Store the parts that are given."""
        self._change(sites, site_id, _named(asdict(changes)))

    def _change(self, table: Table, row_id: int, values: dict[str, Any]) -> None:
        if values:
            with self._writing() as connection:
                connection.execute(update(table).where(table.c.id == row_id).values(**values))

    def switch_site(self, site_id: int, *, active: bool) -> None:
        """Whether the site is read when its schedule says so."""
        # An operator may have switched off either of the two; a site that is switched on is on.
        values = {"is_active": True, "orders_sync": True} if active else {"is_active": False}
        with self._writing() as connection:
            connection.execute(update(sites).where(sites.c.id == site_id).values(**values))

    def site_use(self, site_id: int) -> SiteUse:
        """How many orders the site has, and how they stand."""
        with self._reading() as connection:
            return _site_use(connection, site_id)

    def erp_use(self, erp_id: int) -> ErpUse:
        """How many orders were written for the ERP, and how they stand."""
        with self._reading() as connection:
            return _erp_use(connection, erp_id)

    def remove_site(self, site_id: int) -> Removal:
        """Remove a site that has no unfinished order; its name and prefix stay taken where it had any order."""
        with self._writing() as connection:
            now = self._now(connection)
            # A page of orders is stored under the same lock, so that none comes in between.
            row = connection.execute(select(sites).where(sites.c.id == site_id).with_for_update()).one()
            if row.lease_until is not None and row.lease_until > now:
                return Removal.BEING_READ
            use = _site_use(connection, site_id)
            if use.unfinished:
                return Removal.IN_USE
            of_site = runs.c.site_id == site_id
            if not use.orders:
                connection.execute(delete(runs).where(of_site))
                connection.execute(delete(batches).where(batches.c.site_id == site_id))
                told = select(alerts.c.id).where(alerts.c.site_id == site_id)
                connection.execute(delete(alert_notices).where(alert_notices.c.alert_id.in_(told)))
                for table in (deliveries, alerts, certificates):
                    connection.execute(delete(table).where(table.c.site_id == site_id))
                connection.execute(delete(sites).where(sites.c.id == site_id))
                return Removal.DELETED
            ended = {"state": "failed", "reason": "Its site was removed.", "read_at": now, "finished_at": now}
            connection.execute(update(runs).where(of_site, runs.c.finished_at.is_(None)).values(**ended))
            is_open = (alerts.c.site_id == site_id, alerts.c.closed_at.is_(None))
            connection.execute(update(alerts).where(*is_open).values(closed_at=now, open_key=None))
            owed = (deliveries.c.site_id == site_id, deliveries.c.done_at.is_(None))
            dropped = {"next_at": None, "done_at": now, "outcome": "Its site was removed."}
            connection.execute(update(deliveries).where(*owed).values(**dropped))
            values = {**_removed(now), "hook_url": None, "hook_secrets": None, "hooks_next_check": None}
            connection.execute(update(sites).where(sites.c.id == site_id).values(**values))
            return Removal.KEPT

    def remove_erp(self, erp_id: int) -> Removal:
        """Remove an ERP that no site uses and that has no unfinished order; its name stays taken where it had any order."""
        with self._writing() as connection:
            now = self._now(connection)
            row = connection.execute(select(erps).where(erps.c.id == erp_id).with_for_update()).one()
            if row.lease_until is not None and row.lease_until > now:
                return Removal.BEING_READ
            # A site that names no ERP goes to the only one there is, which may be this one.
            using = select(sites.c.id).where(
                sites.c.removed_at.is_(None), (sites.c.erp_id == erp_id) | sites.c.erp_id.is_(None)
            )
            if (
                connection.execute(using.limit(1)).first() is not None
                or _erp_use(connection, erp_id).unfinished
            ):
                return Removal.IN_USE
            traces = (
                orders.c.erp_id,
                ARCHIVES[orders].c.erp_id,
                id_map.c.erp_id,
                sites.c.erp_id,
                runs.c.erp_id,
            )
            if any(
                connection.execute(select(column).where(column == erp_id).limit(1)).first()
                for column in traces
            ):
                connection.execute(update(erps).where(erps.c.id == erp_id).values(**_removed(now)))
                return Removal.KEPT
            connection.execute(delete(items).where(items.c.erp_id == erp_id))
            connection.execute(delete(erps).where(erps.c.id == erp_id))
            return Removal.DELETED

    def restore_erp(self, erp_id: int, erp: NewErp) -> None:
        """A removed ERP is connected again, with these settings and credentials; what it has read stays read."""
        with self._writing() as connection:
            values = {
                **_connected(erp),
                "company": erp.company,
                "items_next_run": self._now(connection),
            }
            connection.execute(update(erps).where(erps.c.id == erp_id).values(**values))

    def restore_site(self, site_id: int, site: NewSite) -> None:
        """A removed site is connected again, with these settings and credentials; it is read on from where it stood."""
        with self._writing() as connection:
            values = {
                **_connected(site),
                "erp_id": site.erp_id,
                "order_next_run": site.order_next_run,
                "orders_sync": True,
            }
            connection.execute(update(sites).where(sites.c.id == site_id).values(**values))


def _named(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if value is not None}


def _removed(now: Any) -> dict[str, Any]:
    """What a removed row keeps tells what was; it is never active, also for a program that does not know `removed_at`."""
    return {
        "removed_at": now,
        "is_active": False,
        "credentials": "",
        "paused_until": None,
        "paused_reason": None,
        "lease_until": None,
        "lease_token": None,
    }


def _connected(new: NewErp | NewSite) -> dict[str, Any]:
    return {
        "removed_at": None,
        "is_active": True,
        "url": new.url,
        "allow_private": new.allow_private,
        "settings": dict(new.settings),
        "credentials": new.credentials,
    }


def _site_use(connection: Connection, site_id: int) -> SiteUse:
    row = connection.execute(
        select(
            func.count().label("orders"),
            func.coalesce(func.sum(case((threads.c.state == State.ACTIVE, 1), else_=0)), 0).label("active"),
            func.coalesce(func.sum(case((threads.c.state == State.HELD, 1), else_=0)), 0).label("held"),
        ).where(threads.c.site_id == site_id)
    ).one()
    errors = select(func.count()).where(
        error_orders.c.site_id == site_id, error_orders.c.open_key.is_not(None)
    )
    # An intent outlives a failed export of which something may still come.
    in_doubt = (
        select(func.count())
        .select_from(steps)
        .join(threads, threads.c.id == steps.c.thread_id)
        .where(
            threads.c.site_id == site_id,
            steps.c.kind == Owed.EXPORT,
            steps.c.intent_at.is_not(None),
            steps.c.state.not_in((StepState.DONE, StepState.CLOSED)),
        )
    )
    return SiteUse(
        orders=int(row.orders),
        active=int(row.active),
        held=int(row.held),
        errors=int(connection.execute(errors).scalar_one()),
        in_doubt=int(connection.execute(in_doubt).scalar_one()),
    )


def _erp_use(connection: Connection, erp_id: int) -> ErpUse:
    def written(orders: Table) -> Select[Any]:
        return select(func.count()).select_from(orders).where(orders.c.erp_id == erp_id)

    def sent(orders: Table, steps: Table) -> Select[Any]:
        export = (steps.c.thread_id == orders.c.thread_id) & (steps.c.kind == Owed.EXPORT)
        may_be_there = steps.c.state.in_(SENT) | steps.c.intent_at.is_not(None)
        return written(orders).join(steps, export).where(may_be_there)

    unfinished = (
        written(orders)
        .join(threads, threads.c.id == orders.c.thread_id)
        .where(threads.c.state.in_(UNFINISHED))
    )
    return ErpUse(
        written=sum(connection.scalars(of_both(written, orders))),
        unfinished=int(connection.execute(unfinished).scalar_one()),
        sent=sum(connection.scalars(of_both(sent, orders, steps))),
    )
