"""The overview: how every site and ERP stands, in few numbers. For the panel, and for whoever shows it elsewhere."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from app.domain.windows import Window, closed_until
from app.ports.alerting import SiteReading
from app.ports.dashboard import Figures, SiteFigures
from app.ports.store import ErpRow, Site
from app.sync.overview import queue
from app.sync.panel.freshness import freshness, windows_by_erp, windows_of_site
from app.sync.panel.parts import Panel
from app.sync.parts import Parts

HOURS = 48
"""How far back the plot goes."""

EXPORTS = 500
"""Of so many of a site's latest exports it is told how long they took: enough for a 95th percentile."""


def overview(panel: Panel) -> dict[str, Any]:
    """How everything stands: totals, the last hours, sites, ERPs, and what people should be told, as sentences.

    The number of questions to the database depends neither on sites nor on orders.
    """
    parts, store = panel.parts, panel.store
    figures = store.figures(hours=HOURS, exports=EXPORTS)
    sites, erps, readings = store.sites(), store.erps(), store.readings()
    windows = windows_by_erp(parts, erps)
    names = {site.id: site.name for site in sites}
    return {
        "now": figures.now,
        "totals": _totals(figures),
        "hours": [
            {"begins": each.begins, "arrived": each.arrived, "exported": each.exported}
            for each in figures.hours
        ],
        "sites": [
            _site(parts, site, figures, reading=readings.get(site.id), windows=windows_of_site(site, windows))
            for site in sites
        ],
        "erps": [_erp(parts, row, windows[row.id], figures.now) for row in erps],
        "alerts": [
            {
                "site": names.get(alert.site_id or 0, ""),
                "sentence": alert.reason,
                "since": alert.opened_at,
            }
            for alert in store.open_alerts()
        ],
        "stuck": queue(parts)["stuck"],
    }


def _totals(figures: Figures) -> dict[str, Any]:
    every = figures.sites.values()
    return {
        **{
            name: sum(getattr(each, name) for each in every)
            for name in ("pending", "stopped", "moving", "held", "errors")
        },
        "money": _added(each.money for each in every),
        "last_hour": figures.last_hour,
        "last_day": figures.last_day,
    }


def _added(amounts: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(Decimal)
    for each in amounts:
        for currency, value in each.items():
            found[currency] += value
    return dict(sorted(found.items()))


def _site(
    parts: Parts, site: Site, figures: Figures, *, reading: SiteReading | None, windows: tuple[Window, ...]
) -> dict[str, Any]:
    now, mine = figures.now, figures.sites.get(site.id, SiteFigures())
    closed = _closed(parts, windows, now)
    is_on = site.is_active and site.orders_sync
    is_paused = site.paused_until is not None and site.paused_until > now
    fresh = freshness(
        parts,
        site,
        now=now,
        read_at=None if reading is None else reading.read_at,
        created_at=now if reading is None else reading.created_at,
        windows=windows,
    )
    return {
        "name": site.name,
        "platform": site.platform,
        "state": "disabled"
        if not is_on
        else "paused"
        if is_paused
        else "maintenance"
        if closed
        else "active",
        "is_active": site.is_active,
        "paused": {"until": site.paused_until, "reason": site.paused_reason or ""} if is_paused else None,
        "maintenance": _left(closed, now),
        "last_run": site.order_last_run,
        "next_run": _next(site.order_next_run, site.paused_until, closed) if is_on else None,
        "failures": site.failures,
        **{name: getattr(mine, name) for name in ("pending", "stopped", "moving", "held", "errors")},
        "money": dict(mine.money),
        "took": _took(mine.took),
        "freshness": {
            "read_at": fresh.read_at,
            "age": fresh.age,
            "target": fresh.target,
            "is_due": fresh.is_due,
            "is_late": fresh.is_late,
        },
        "certificate": None
        if mine.verdict is None
        else {
            "complete": mine.verdict.complete,
            "until": mine.verdict.until,
            "made_at": mine.verdict.made_at,
        },
    }


def _erp(parts: Parts, row: ErpRow, windows: tuple[Window, ...], now: datetime) -> dict[str, Any]:
    closed = _closed(parts, windows, now)
    is_paused = row.paused_until is not None and row.paused_until > now
    following = min((each.current_or_next(closed or now) for each in windows), default=None)
    return {
        "name": row.name,
        "platform": row.platform,
        "state": "disabled"
        if not row.is_active
        else "paused"
        if is_paused
        else "maintenance"
        if closed
        else "active",
        "items_last_run": row.items_last_run,
        "items_next_run": _next(row.items_next_run, row.paused_until, closed) if row.is_active else None,
        "paused": {"until": row.paused_until, "reason": row.paused_reason or ""} if is_paused else None,
        "maintenance": _left(closed, now),
        "next_window": None
        if following is None
        else {"begins": following[0], "ends": following[1], "in": following[0] - now},
    }


def _closed(parts: Parts, windows: tuple[Window, ...], now: datetime) -> datetime | None:
    """When the maintenance ends, or None while the ERP is open; as the road sees it, which stops by the longest task before it."""
    return closed_until(now, windows=windows, early=timedelta(seconds=parts.limits.soft_time_limit))


def _left(until: datetime | None, now: datetime) -> dict[str, Any] | None:
    return None if until is None else {"until": until, "left": until - now}


def _next(planned: datetime, *others: datetime | None) -> datetime:
    """When it is done next: not before what holds it up is over."""
    return max((planned, *(each for each in others if each is not None)))


def _took(seconds: Sequence[float]) -> dict[str, Any] | None:
    """How long the orders took from the checkout to the ERP: the half, and 95 of 100, took no longer than this."""
    if not seconds:
        return None
    return {
        "orders": len(seconds),
        "median": timedelta(seconds=_percentile(seconds, 50)),
        "p95": timedelta(seconds=_percentile(seconds, 95)),
        "is_cut": len(seconds) >= EXPORTS,
    }


def _percentile(ascending: Sequence[float], percent: int) -> float:
    """The smallest value that so many of a hundred do not exceed (nearest rank)."""
    return ascending[max(0, math.ceil(len(ascending) * percent / 100) - 1)]
