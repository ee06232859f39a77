"""What a person should be told about a site although no order has stopped: told once, and taken back when it is over."""

import structlog

from app.ports.deliveries import AlertKind
from app.ports.store import Site
from app.sync.parts import Parts

log = structlog.get_logger("ordersync.alerts")


def open_alert(parts: Parts, site: Site, kind: AlertKind, *, reason: str) -> None:
    """Tell of this, with one line in the log, unless it is being told already. `reason` is for people and stays in the database."""
    if parts.store.open_alert(site.id, kind, reason=reason):
        log.warning("alert_opened", site=site.name, kind=kind.value, see=f"ordersync site show {site.name}")


def close_alert(parts: Parts, site: Site, kind: AlertKind) -> None:
    """It is over."""
    if parts.store.close_alert(site.id, kind):
        log.info("alert_closed", site=site.name, kind=kind.value)
