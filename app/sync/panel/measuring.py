"""Every figure that a monitoring system is told, in one look."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.domain.road import LINKS, State
from app.ports.limiters import Usage
from app.ports.measures import OpenErrors
from app.sync.limiters import usages
from app.sync.panel.parts import Panel


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """How one connected site stands: when it was last read to the end. Ages are in seconds; None where there is nothing to tell."""

    name: str
    last_read: datetime | None
    is_paused: bool
    certificate_age: float | None
    is_complete: bool | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What the database and the limiters tell. `waits` is the age of what waits longest, in seconds, at each link of the road."""

    orders: Mapping[str, Mapping[str, int]]
    pending: int
    errors: tuple[OpenErrors, ...]
    waits: Mapping[str, float]
    sites: tuple[SiteFigures, ...]
    accounts: tuple[Usage, ...]
    alerts: Mapping[str, int]

    def money_at_risk(self) -> Mapping[tuple[str, str], Decimal]:
        """What the orders with open errors are worth, by site and currency."""
        found: dict[tuple[str, str], Decimal] = {}
        for each in self.errors:
            if each.currency:
                key = (each.site, each.currency)
                found[key] = found.get(key, Decimal(0)) + each.money
        return found


def figures(panel: Panel) -> Figures:
    """Ask for everything, in a fixed number of questions."""
    store = panel.store
    totals = store.totals()
    now = store.now()
    waits = dict.fromkeys(("fetch", *map(str, LINKS)), 0.0)
    for wait in store.waits():
        if wait.due_since is not None:
            waits[wait.link] = max(0.0, (now - wait.due_since).total_seconds())
    readings = store.readings()
    certificates = {each.site_id: each for each in store.last_certificates()}
    sites = []
    for site in store.sites():
        last = certificates.get(site.id)
        sites.append(
            SiteFigures(
                name=site.name,
                last_read=readings[site.id].read_at if site.id in readings else None,
                is_paused=site.paused_until is not None and site.paused_until > now,
                certificate_age=None if last is None else (now - last.made_at).total_seconds(),
                is_complete=None if last is None else last.complete,
            )
        )
    return Figures(
        orders={name: _every_state(counts) for name, counts in totals["sites"].items()},
        pending=totals["pending"],
        errors=store.open_errors(),
        waits=waits,
        sites=tuple(sites),
        accounts=usages(panel.parts, panel.limiters()),
        alerts=store.alert_counts(),
    )


def _every_state(counts: Mapping[str, Any]) -> Mapping[str, int]:
    """With the states that no order is in: a figure that goes away is no zero to whoever watches it."""
    return {state.value: counts.get(state.value, 0) for state in State}
