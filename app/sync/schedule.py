"""Schedules: what is due now, and when it is due next. UTC throughout."""

from dataclasses import dataclass
from datetime import UTC, datetime

from croniter import croniter

from app.ports.store import ErpRow, Site
from app.sync.options import erp_options, site_options
from app.sync.parts import Parts


@dataclass(frozen=True, slots=True)
class Due:
    """Sites to be read, ERPs whose items are to be read, sites to be compared, and sites whose webhooks are to be looked after."""

    sites: tuple[Site, ...]
    erps: tuple[ErpRow, ...]
    reconcile: tuple[Site, ...] = ()
    hooks: tuple[Site, ...] = ()


def next_time(cron: str, *, after: datetime) -> datetime:
    """The first moment of the schedule after `after`."""
    moment: datetime = croniter(cron, after.astimezone(UTC)).get_next(datetime)
    return moment


def tick(parts: Parts) -> Due:
    """What is due now. Asking twice does no harm: whoever reads first takes the site's lease and sets its next time."""
    now = parts.store.now()
    active = [
        site
        for site in parts.store.sites()
        if site.is_active and site.orders_sync and not _paused(site.paused_until, now)
    ]
    erps = (
        row
        for row in parts.store.erps()
        if row.is_active and row.items_next_run <= now and not _paused(row.paused_until, now)
    )
    return Due(
        sites=tuple(site for site in active if site.order_next_run <= now),
        erps=tuple(erps),
        reconcile=tuple(site for site in active if _is_reconciled_now(parts, site, now)),
        hooks=tuple(
            site for site in active if site.hooks_next_check is not None and site.hooks_next_check <= now
        ),
    )


def _is_reconciled_now(parts: Parts, site: Site, now: datetime) -> bool:
    if site.reconcile_next_run is None:
        at = next_time(site_options(site.settings).reconcile_schedule, after=now)
        parts.store.plan_reconciliation(site.id, at=at)
        return False
    return site.reconcile_next_run <= now


def _paused(until: datetime | None, now: datetime) -> bool:
    return until is not None and until > now


def next_site_run(parts: Parts, settings: dict[str, object]) -> datetime:
    """When a site with these settings is read next."""
    return next_time(site_options(settings).schedule, after=parts.store.now())


def next_items_run(parts: Parts, settings: dict[str, object]) -> datetime:
    """When the items of an ERP with these settings are read next."""
    return next_time(erp_options(settings).items_schedule, after=parts.store.now())
