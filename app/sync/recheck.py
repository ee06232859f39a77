"""Orders whose error lies in the ERP: whether it has been put right there is seen by itself, and the order goes on."""

from datetime import datetime, timedelta

import structlog

from app.domain.road import Owed, Stage
from app.sync.fetch import Ring
from app.sync.owed import in_time
from app.sync.parts import Parts
from app.sync.resume import End, How, foresee, resume

log = structlog.get_logger("ordersync.desk")

PAUSE = timedelta(minutes=5)
_MOST = 100

_PLACES = (
    (Stage.VERIFY_SKUS, "bad_sku"),
    (Stage.VERIFY_SKUS, "kit"),
    (Stage.VERIFY_SKUS, "sku"),
    (Stage.EXPAND_KITS, "bad_sku"),
    (Stage.EXPAND_KITS, "kit"),
    (Owed.EXPORT, "customer"),
    (Owed.EXPORT, "duplicate"),
    (Owed.EXPORT, "totals"),
)
"""Errors of which reading alone shows whether they are over. What the ERP refused when it was written to is not among them."""


def recheck(parts: Parts, *, ring: Ring) -> int:
    """Look at open errors that lie in the ERP, those first that were not looked at for longest. Returns how many go on.

    As many as there is time for; the next call goes on with the others.
    """
    started = parts.ticks()
    before = parts.store.now() - PAUSE
    resumed = 0
    while in_time(parts, started):
        looked_at, going = _some(parts, before=before, ring=ring)
        resumed += going
        if looked_at < _MOST:
            break
    return resumed


def _some(parts: Parts, *, before: datetime, ring: Ring) -> tuple[int, int]:
    """How many were looked at, and how many of them go on."""
    places = [(str(stage), kind) for stage, kind in _PLACES]
    orders = parts.store.desk_orders(parts.store.to_recheck(places, before=before, limit=_MOST))
    how = How(by="recheck")
    over = {each.thread_id for each in foresee(parts, orders, how) if each.end is End.FORESEEN}
    if not over:
        return len(orders), 0
    results = resume(parts, [each for each in orders if each.thread_id in over], how, ring=ring)
    resumed = sum(each.end is End.RESUMED for each in results)
    log.info("errors_rechecked", looked_at=len(orders), resumed=resumed)
    return len(orders), resumed
