"""The comparison that is made each night by itself."""

from datetime import datetime, timedelta

import structlog

from app.errors import Misconfigured, OrderSyncError, UsageError
from app.ports.deliveries import AlertKind
from app.ports.store import Site
from app.sync.alerts import close_alert, open_alert
from app.sync.by_hand import Finding
from app.sync.fetch import Ring
from app.sync.options import site_options
from app.sync.owed import check_reachable, in_time
from app.sync.parts import Parts, maintenance_until, paused_sentence, site_with_id
from app.sync.reconcile import Comparison, Heal, reconcile, sentence
from app.sync.schedule import next_time

log = structlog.get_logger("ordersync.reconcile")

_TRY_AGAIN = timedelta(hours=1)
_LONG_AGO = timedelta(hours=36)
"""Without a certificate of the last night a person is told why."""


def reconcile_nightly(parts: Parts, *, site_id: int, ring: Ring) -> str:
    """Compare a site's last days and read again what is missing. One that cannot be compared now is tried in an hour.

    Returns why it was not compared; nothing where it was, now or by somebody who was quicker.
    """
    try:
        site = site_with_id(parts, site_id)
    except UsageError as error:
        return error.reason
    now = parts.store.now()
    if site.reconcile_next_run is None or site.reconcile_next_run > now:
        # Somebody was quicker.
        return ""
    until = maintenance_until(parts, site)
    # Planned before it is made: one that ends its process is not made again and again.
    parts.store.plan_reconciliation(site.id, at=_next(site, parts) if until is None else until)
    if until is not None:
        return paused_sentence(now, until)
    if site.cursor is None:
        return f"The site {site.name} was not read yet."
    options = site_options(site.settings)
    started = parts.ticks()
    # Told before it is tried: an attempt that ends its process tells nothing any more.
    _tell_of_missing(parts, site, now=now)
    try:
        check_reachable(parts, site)
        found = reconcile(
            parts,
            site,
            since=now - timedelta(days=options.reconcile_days),
            until=None,
            heal=Heal.UNMARKED if options.reconcile_heals else Heal.NOTHING,
            ring=ring,
            in_time=lambda: in_time(parts, started),
        )
        _tell(parts, site, found)
    except OrderSyncError as error:
        log.warning("not_reconciled", site=site.name, failure=type(error).__name__)
        if not isinstance(error, Misconfigured):
            parts.store.plan_reconciliation(site.id, at=min(now + _TRY_AGAIN, _next(site, parts)))
        _tell_of_missing(parts, site, now=now, why=error.reason)
        return error.reason
    return "" if found.complete else Finding(sentence(found))


def _tell_of_missing(parts: Parts, site: Site, *, now: datetime, why: str = "") -> None:
    last = parts.store.certificates(site.id, limit=1)
    if last and now - last[0].made_at > _LONG_AGO:
        since = f"It was not compared since {last[0].made_at:%Y-%m-%d %H:%M} UTC."
        open_alert(parts, site, AlertKind.NOT_COMPLETE, reason=f"{since} {why}".strip())


def _tell(parts: Parts, site: Site, found: Comparison) -> None:
    if found.complete:
        close_alert(parts, site, AlertKind.NOT_COMPLETE)
    else:
        reason = f"{sentence(found)} See ordersync reconcile {site.name}."
        open_alert(parts, site, AlertKind.NOT_COMPLETE, reason=reason)


def _next(site: Site, parts: Parts) -> datetime:
    return next_time(site_options(site.settings).reconcile_schedule, after=parts.store.now())
