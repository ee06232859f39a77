"""How sites and runs stand, as programs ask for it, and what they have done about them. Nothing here says how we get in there."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from app.ports.store import Run, Site
from app.sync.panel.dashboard import overview
from app.sync.panel.parts import Panel
from app.sync.panel.remote import NotThere, money_rows
from app.sync.parts import site_named
from app.sync.retire import disable_site, enable_site
from app.sync.showing import site_page

Send = Callable[..., bool]
"""Sends a task by its name; what could not be sent is stored, and the sweeper comes for it."""

_STANDING = ("pending", "stopped", "moving", "held", "errors")


def overview_page(panel: Panel) -> dict[str, Any]:
    """How everything stands, in few numbers."""
    found = overview(panel)
    totals = found["totals"]
    return {
        **{name: found[name] for name in ("now", "alerts", "stuck")},
        **{name: totals[name] for name in (*_STANDING, "last_hour", "last_day")},
        "money": money_rows(totals["money"]),
        "sites": [
            {
                **{name: each[name] for name in ("name", "state", "last_run", "next_run", *_STANDING)},
                "money": money_rows(each["money"]),
                "read_at": each["freshness"]["read_at"],
                "is_late": each["freshness"]["is_late"],
            }
            for each in found["sites"]
        ],
        "erps": [
            {name: each[name] for name in ("name", "state", "items_last_run")} for each in found["erps"]
        ],
    }


def site_rows(panel: Panel) -> list[dict[str, Any]]:
    """Every site, but for how we get in there."""
    totals: Mapping[str, Mapping[str, int]] = panel.store.totals()["sites"]
    now = panel.store.now()
    return [_site_row(each, totals.get(each.name, {}), now) for each in panel.store.sites()]


def _site_row(site: Site, orders: Mapping[str, int], now: datetime) -> dict[str, Any]:
    is_paused = site.paused_until is not None and site.paused_until > now
    return {
        "name": site.name,
        "platform": site.platform,
        "url": site.url,
        "prefix": site.prefix,
        "active": site.is_active and site.orders_sync,
        "last_run": site.order_last_run,
        "next_run": site.order_next_run,
        "paused_until": site.paused_until if is_paused else None,
        "paused": site.paused_reason if is_paused else None,
        "orders": orders,
    }


def site_details(panel: Panel, name: str) -> dict[str, Any]:
    """One site in full, but for how we get in there. Raises `NotThere`."""
    site(panel, name)
    page = site_page(panel.parts, name)
    return {each: value for each, value in page.items() if not each.startswith("credentials")}


def site(panel: Panel, name: str) -> Site:
    """The site that an address names. Raises `NotThere`."""
    for each in panel.store.sites():
        if each.name == name:
            return each
    raise NotThere(f"There is no site {name!r}.")


def pause(panel: Panel, name: str) -> dict[str, Any]:
    """Let no schedule read a site any more. Raises `NotThere`."""
    site(panel, name)
    return {"name": name, "active": False, "unfinished": disable_site(panel.parts, name)}


def unpause(panel: Panel, name: str) -> dict[str, Any]:
    """Let the schedule read a site. Raises `NotThere`."""
    site(panel, name)
    return {"name": name, "active": True, "next_run": enable_site(panel.parts, name)}


def start_run(panel: Panel, name: str, *, send: Send) -> dict[str, Any]:
    """Have a site read now. Where no worker can be told, the run is owed all the same. Raises `UsageError`."""
    found = site_named(panel.parts, name)
    run_id = panel.store.open_run(kind="orders", site_id=found.id)
    send("fetch", site_id=found.id, run_id=run_id, site=found.name)
    return run_row(panel.store.run(run_id), site=found.name)


def run_page(panel: Panel, run_id: int) -> dict[str, Any]:
    """One run. Raises `NotThere`."""
    for run in panel.store.runs(run_id=run_id, limit=1):
        return run_row(run, site=site_names(panel).get(run.site_id or 0, ""))
    raise NotThere(f"There is no run {run_id}.")


def site_names(panel: Panel) -> dict[int, str]:
    """The names of all sites that are or were connected, by their ids."""
    return {each.id: each.name for each in (*panel.store.sites(), *panel.store.removed_sites())}


def run_row(run: Run, *, site: str) -> dict[str, Any]:
    """A run in a list."""
    names = ("id", "kind", "state", "reason", "started_at", "finished_at", "counts")
    return {"site": site, **{name: getattr(run, name) for name in names}}
