"""One site or ERP in full, but for its secrets: of credentials only the names are told."""

from datetime import datetime
from typing import Any

from app.errors import Misconfigured
from app.ports.store import ErpRow, Site
from app.sync import systems
from app.sync.parts import Parts, site_named
from app.sync.setting_texts import texts


def site_page(parts: Parts, name: str) -> dict[str, Any]:
    """A site, its settings as a person would type them. Raises `UsageError`."""
    site = site_named(parts, name)
    connector = parts.peers.connector(site.platform)
    erps = {row.id: row.name for row in parts.store.erps()}
    cursor = site.cursor
    return {
        "name": site.name,
        "platform": site.platform,
        "url": site.url,
        "prefix": site.prefix,
        "erp": erps.get(site.erp_id or 0),
        "allow_private": site.allow_private,
        "active": site.is_active and site.orders_sync,
        "last_run": site.order_last_run,
        "next_run": site.order_next_run,
        **_pause(parts, site),
        "read_to": None if cursor is None else cursor.modified_at,
        "orders": parts.store.totals()["sites"].get(site.name, {}),
        **_webhooks(parts, site),
        **credentials_of(parts, site),
        "settings": texts(
            site.settings,
            defaults=systems.site_settings(connector, {}),
            platform=connector.setting_text,
        ),
    }


def erp_page(parts: Parts, name: str) -> dict[str, Any]:
    """An ERP, its settings as a person would type them. Raises `UsageError`."""
    row = systems.erp_named(parts, name)
    connector = parts.peers.connector(row.platform)
    use = parts.store.erp_use(row.id)
    sites = parts.store.sites()
    alone = len(parts.store.erps()) == 1
    return {
        "name": row.name,
        "platform": row.platform,
        "url": row.url,
        "company": row.company,
        "allow_private": row.allow_private,
        "sites": [each.name for each in sites if each.erp_id == row.id or (alone and each.erp_id is None)],
        "items_last_run": row.items_last_run,
        "items_next_run": row.items_next_run,
        **_pause(parts, row),
        "orders": {"written": use.written, "unfinished": use.unfinished, "sent": use.sent},
        **credentials_of(parts, row),
        "settings": texts(
            row.settings,
            defaults=systems.erp_settings(connector, {}),
            platform=connector.setting_text,
        ),
    }


def _webhooks(parts: Parts, site: Site) -> dict[str, Any]:
    """Where the platform sends its webhooks, when the last one came, and what a person should be told of the site."""
    return {
        "webhooks": site.hook_url or None,
        "last_webhook": parts.store.last_delivery(site.id) if site.hook_url else None,
        "alerts": [each.reason for each in parts.store.open_alerts(site_id=site.id)],
    }


def _pause(parts: Parts, row: Site | ErpRow) -> dict[str, datetime | str | None]:
    paused = row.paused_until is not None and row.paused_until > parts.store.now()
    return {
        "paused_until": row.paused_until if paused else None,
        "paused": row.paused_reason if paused else None,
    }


def credentials_of(parts: Parts, row: Site | ErpRow) -> dict[str, Any]:
    """The names of the stored credentials (`credentials`), or why they cannot be opened (`credentials_fault`)."""
    try:
        found = parts.peers.decrypt(row.credentials, name=row.name)
    except Misconfigured as error:
        return {"credentials": None, "credentials_fault": error.reason}
    return {"credentials": sorted(found), "credentials_fault": None}
