"""Webhooks that have fallen silent: polling finds orders that they should have told of long ago.

Nothing is lost by that, because polling is the truth; but orders come late, and a person can mend it.
"""

from datetime import datetime, timedelta

from app.ports.deliveries import AlertKind
from app.ports.store import Site
from app.sync.alerts import open_alert
from app.sync.parts import Parts
from app.sync.policy import HOOKS_CHECKED_EVERY

SENT_WITHIN = timedelta(minutes=15)
"""A platform's queue may be minutes late (contract woocommerce, section 9); by then a webhook must have come."""

QUIET_FOR = timedelta(hours=1)
"""So long no delivery at all must have come: one that was lost by itself is no silence."""

_JUST_AFTER = timedelta(minutes=1)
"""What a delivery has brought is stored within this, and is not what polling has found."""


def unheard(*, now: datetime, heard_at: datetime) -> tuple[datetime, datetime] | None:
    """After and until when an order must have come by polling so that its webhook is missing; None where it is too early to tell.

    `heard_at` is when the webhooks were last known to work.
    """
    if now - heard_at < QUIET_FOR:
        return None
    return heard_at + _JUST_AFTER, now - SENT_WITHIN


def notice_silence(parts: Parts, site: Site) -> None:
    """Tell of it where polling has found new orders that webhooks should have announced."""
    if not (site.hook_url and site.hooks_next_check):
        return
    now = parts.store.now()
    checked_at = site.hooks_next_check - HOOKS_CHECKED_EVERY
    heard_at = max(checked_at, parts.store.last_delivery(site.id) or checked_at)
    span = unheard(now=now, heard_at=heard_at)
    if span is None:
        return
    after, until = span
    found = parts.store.unannounced(site.id, after=after, until=until)
    if found:
        open_alert(
            parts,
            site,
            AlertKind.WEBHOOK_SILENT,
            reason=(
                f"Polling found {found} new order{'s' if found > 1 else ''} of which no webhook had told, and none at all has come "
                f"since {heard_at:%Y-%m-%d %H:%M} UTC. See that {site.hook_url} can be reached from outside, and try "
                f"ordersync site hooks check {site.name}."
            ),
        )
