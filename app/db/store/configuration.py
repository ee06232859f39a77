"""Sites and ERPs."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.db.store.base import Base, cut
from app.db.tables import erps, sites
from app.domain.reading import Cursor
from app.errors import UsageError
from app.ports.store import ErpRow, NewErp, NewSite, Site


class Configuration(Base):
    """Adding, listing and pausing sites and ERPs."""

    def add_erp(self, erp: NewErp) -> int:
        """Store a new ERP. Raises `UsageError` where the name is taken."""
        with self._writing() as connection:
            now = self._now(connection)
            if connection.execute(select(erps.c.id).where(erps.c.name == erp.name)).first():
                raise UsageError(f"There is an ERP named {erp.name!r} already.")
            return _inserted(
                connection.execute(
                    insert(erps).values(
                        name=erp.name,
                        platform=erp.platform,
                        url=erp.url,
                        company=erp.company,
                        allow_private=erp.allow_private,
                        settings=dict(erp.settings),
                        credentials=erp.credentials,
                        items_next_run=now,
                        created_at=now,
                    )
                )
            )

    def add_site(self, site: NewSite) -> int:
        """Store a new site. Raises `UsageError` where the name or the prefix is taken."""
        try:
            with self._writing() as connection:
                if connection.execute(select(sites.c.id).where(sites.c.name == site.name)).first():
                    raise UsageError(f"There is a site named {site.name!r} already.")
                taken = connection.execute(select(sites.c.name).where(sites.c.prefix == site.prefix)).first()
                if taken:
                    raise UsageError(
                        f"The prefix {site.prefix} belongs to the site {taken.name!r}; order numbers must differ."
                    )
                return _inserted(
                    connection.execute(
                        insert(sites).values(
                            name=site.name,
                            platform=site.platform,
                            url=site.url,
                            prefix=site.prefix,
                            erp_id=site.erp_id,
                            allow_private=site.allow_private,
                            settings=dict(site.settings),
                            credentials=site.credentials,
                            order_next_run=site.order_next_run,
                            created_at=self._now(connection),
                        )
                    )
                )
        except IntegrityError as error:
            raise UsageError("Another command has just added a site with this name or prefix.") from error

    def erps(self) -> tuple[ErpRow, ...]:
        """Every ERP that is connected, by name."""
        return self._erps(erps.c.removed_at.is_(None))

    def removed_erps(self) -> tuple[ErpRow, ...]:
        """Those that were removed and are kept for explanation."""
        return self._erps(erps.c.removed_at.is_not(None))

    def _erps(self, where: ColumnElement[bool]) -> tuple[ErpRow, ...]:
        with self._reading() as connection:
            return tuple(map(_erp, connection.execute(select(erps).where(where).order_by(erps.c.name))))

    def sites(self) -> tuple[Site, ...]:
        """Every site that is connected, by name."""
        return self._sites(sites.c.removed_at.is_(None))

    def removed_sites(self) -> tuple[Site, ...]:
        """Those that were removed and are kept for explanation."""
        return self._sites(sites.c.removed_at.is_not(None))

    def _sites(self, where: ColumnElement[bool]) -> tuple[Site, ...]:
        with self._reading() as connection:
            return tuple(map(_site, connection.execute(select(sites).where(where).order_by(sites.c.name))))

    def pause_erp(self, erp_id: int, *, until: datetime | None, reason: str | None) -> bool:
        """Leave this ERP alone until then; None goes on at once. Returns whether a pause has begun with this."""
        return self._pause(erps, erp_id, until, reason)

    def pause_site(self, site_id: int, *, until: datetime | None, reason: str | None) -> bool:
        """Leave this site alone until then; None goes on at once. Returns whether a pause has begun with this."""
        return self._pause(sites, site_id, until, reason)

    def _pause(self, table: Table, row_id: int, until: datetime | None, reason: str | None) -> bool:
        with self._writing() as connection:
            before = select(table.c.paused_reason).where(table.c.id == row_id).with_for_update()
            begins = reason is not None and connection.execute(before).scalar() is None
            values = {"paused_until": until, "paused_reason": None if reason is None else cut(reason)}
            connection.execute(update(table).where(table.c.id == row_id).values(**values))
            return begins


def _inserted(result: Any) -> int:
    return int(result.inserted_primary_key[0])


def _erp(row: Row[Any]) -> ErpRow:
    return ErpRow(
        id=row.id,
        name=row.name,
        platform=row.platform,
        url=row.url,
        company=row.company,
        allow_private=row.allow_private,
        settings=row.settings,
        credentials=row.credentials,
        is_active=row.is_active,
        paused_until=row.paused_until,
        paused_reason=row.paused_reason,
        items_cursor=row.items_cursor,
        items_next_run=row.items_next_run,
        items_last_run=row.items_last_run,
    )


def _site(row: Row[Any]) -> Site:
    cursor = (
        None
        if row.cursor_modified is None
        else Cursor(modified_at=row.cursor_modified, platform_order_id=row.cursor_order_id)
    )
    return Site(
        id=row.id,
        name=row.name,
        platform=row.platform,
        url=row.url,
        prefix=row.prefix,
        erp_id=row.erp_id,
        allow_private=row.allow_private,
        settings=row.settings,
        credentials=row.credentials,
        is_active=row.is_active,
        orders_sync=row.orders_sync,
        order_last_run=row.order_last_run,
        order_next_run=row.order_next_run,
        cursor=cursor,
        paused_until=row.paused_until,
        paused_reason=row.paused_reason,
        clock_ahead=row.clock_ahead,
        wide_read_at=row.wide_read_at,
        bookmark=row.bookmark,
        wide_bookmark=row.wide_bookmark,
        failures=row.failures or 0,
        hook_url=row.hook_url or "",
        hook_secrets=row.hook_secrets or "",
        hooks_next_check=row.hooks_next_check,
        reconcile_next_run=row.reconcile_next_run,
    )
