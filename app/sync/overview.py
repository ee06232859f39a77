"""What people and scripts look at: runs and their outcome, the orders a person should see, and what waits where."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from app.domain.road import HOLD_SKU, State
from app.errors import Misconfigured, UsageError
from app.ports.desk import HeldOrder
from app.ports.store import OrderSummary, Run, Site
from app.sync.parts import Parts
from app.sync.policy import HOLD_MAINTENANCE, HOLD_SETTINGS
from app.sync.verify import missing_skus

COUNTED = ("fetched", "written", "acknowledged", "exported", "held", "rejected", "skipped", "closed")

_NOBODY_COMES = timedelta(minutes=5)
"""What is due for longer than this is not waiting for its turn: nobody comes for it."""


def run_report(parts: Parts, run: Run, *, site: str, settled: bool) -> dict[str, Any]:
    """A run as a JSON object: its counts, seconds, and every order that did not go through, with its reason."""
    end = run.finished_at or parts.store.now()
    stopped = {State.HELD, State.REJECTED, State.SKIPPED, State.CLOSED}
    orders = [each for each in orders_of(parts, run_id=run.id) if each.state in stopped]
    return {
        "site": site,
        "run": run.id,
        "state": run.state if settled else "moving",
        "reason": run.reason,
        **{name: run.counts.get(name, 0) for name in COUNTED},
        "seconds": round((end - run.started_at).total_seconds(), 2),
        "orders": [problem(each) for each in orders],
    }


def problem(order: OrderSummary) -> dict[str, str]:
    """An order that did not go through, as a table shows it."""
    return {
        "order": order.order_number or f"(platform id {order.platform_order_id})",
        "platform_order_id": order.platform_order_id,
        "state": order.state.value,
        "stage": order.stage.value,
        "reason": order.reason,
    }


def orders_of(
    parts: Parts,
    *,
    site: str | None = None,
    state: State | None = None,
    limit: int = 100_000,
    run_id: int | None = None,
    amended: bool = False,
) -> Sequence[OrderSummary]:
    """The orders of a site, newest first; with `amended` those that the platform has changed since they were sent."""
    return parts.store.order_summaries(site=site, state=state, limit=limit, run_id=run_id, amended=amended)


def runs(parts: Parts, *, site: str | None, limit: int) -> list[dict[str, Any]]:
    """The latest runs, newest first, each with its counts. Raises `UsageError` for a site that never was."""
    names = {each.id: each.name for each in _ever_connected(parts)}
    site_id = None if site is None else known_site(parts, site).id
    now = parts.store.now()
    return [
        {
            "run": run.id,
            "site": names.get(run.site_id or 0, ""),
            "kind": run.kind,
            "state": run.state,
            "started_at": run.started_at,
            "seconds": round(((run.finished_at or now) - run.started_at).total_seconds(), 2),
            **{name: run.counts.get(name, 0) for name in COUNTED},
            "reason": run.reason,
        }
        for run in parts.store.runs(site_id=site_id, limit=limit)
    ]


def run_page(parts: Parts, run_id: int) -> dict[str, Any]:
    """One run with every order of it that did not go through. Raises `Misconfigured` where there is none."""
    for run in parts.store.runs(run_id=run_id, limit=1):
        names = {each.id: each.name for each in _ever_connected(parts)}
        report = run_report(
            parts, run, site=names.get(run.site_id or 0, ""), settled=run.finished_at is not None
        )
        return {"kind": run.kind, "started_at": run.started_at, "finished_at": run.finished_at, **report}
    raise Misconfigured(f"There is no run {run_id}.")


def held(parts: Parts, *, site: str | None) -> dict[str, Any]:
    """The orders that are held, and how many of them wait for the same thing. Raises `UsageError` for a site that never was."""
    if site is not None:
        known_site(parts, site)
    found = parts.store.held_orders(site=site)
    counted = Counter(what for each in found for what in _waits_for(each))
    return {
        "held": len(found),
        "waits_for": [
            {"kind": kind, "what": what, "orders": orders} for (kind, what), orders in counted.most_common()
        ],
        "orders": [asdict(each) for each in found],
    }


def _waits_for(order: HeldOrder) -> set[tuple[str, str]]:
    """What an order waits for, in words that are the same for all that wait for it."""
    match order.hold_kind:
        case kind if kind == HOLD_SKU:
            return {(HOLD_SKU, f"the SKU {sku}") for sku in missing_skus(order.reason)}
        case kind if kind == HOLD_MAINTENANCE:
            return {(HOLD_MAINTENANCE, "the end of a maintenance window")}
        case kind if kind == HOLD_SETTINGS:
            return {(HOLD_SETTINGS, f"settings to be mended: {order.reason}")}
        case kind:
            return {(kind, order.reason)}


def queue(parts: Parts) -> dict[str, Any]:
    """What waits at which link of the road. `stuck` names the links at which something is due and nobody comes for it."""
    now = parts.store.now()
    waits = parts.store.waits()
    return {
        "now": now,
        "road": [asdict(each) for each in waits],
        "stuck": [each.link for each in waits if each.due_since and now - each.due_since > _NOBODY_COMES],
    }


def known_site(parts: Parts, name: str) -> Site:
    """The site of this name, also one that was removed: its orders can still be looked at. Raises `UsageError`."""
    found = {site.name: site for site in _ever_connected(parts)}
    if name not in found:
        raise UsageError(f"There is no site named {name!r} (there are: {', '.join(found) or 'none yet'}).")
    return found[name]


def _ever_connected(parts: Parts) -> tuple[Site, ...]:
    return (*parts.store.sites(), *parts.store.removed_sites())
