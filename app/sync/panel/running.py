"""Runs as people look at them, and as they are started by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.ports.store import OrderSummary, Run
from app.sync.overview import COUNTED, known_site, problem
from app.sync.panel.parts import Panel
from app.sync.parts import Parts, site_named

KINDS = {
    "orders": "the reading of a site",
    "resume": "orders that were resumed",
    "task": "a task started by hand",
}
"""What a run may be, in words."""

ROWS = 50
Send = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Started:
    """A run that was opened. `was_sent`: the broker took the message; where it did not, the run begins once it does."""

    run_id: int
    was_sent: bool


def start(parts: Parts, name: str, *, send: Send) -> Started:
    """Open a run that reads this site now, and tell the workers. Raises `UsageError` for a site that is not connected."""
    site = site_named(parts, name)
    run_id = parts.store.open_run(kind="orders", site_id=site.id)
    # A door that tells nothing has not failed: it would have raised.
    was_sent = send("fetch", site_id=site.id, run_id=run_id, site=site.name) is not False
    return Started(run_id=run_id, was_sent=was_sent)


def runs(panel: Panel, *, site: str | None, kind: str | None, before: int | None) -> dict[str, Any]:
    """A page of runs, the newest first, and the number below which the next page begins. Raises `UsageError` for an unknown site."""
    store = panel.store
    names = _names(panel)
    site_id = None if site is None else known_site(panel.parts, site).id
    found = store.runs_before(site_id=site_id, kind=kind, before=before, limit=ROWS + 1)
    now = store.now()
    return {
        "runs": [_row(run, names, now) for run in found[:ROWS]],
        "before": found[ROWS - 1].id if len(found) > ROWS else None,
        "sites": [each.name for each in store.sites()],
    }


def run_page(panel: Panel, run_id: int, *, after: int) -> dict[str, Any] | None:
    """One run with a page of its orders that did not go through, beyond the one with the id `after`. None where there is no such run."""
    store = panel.store
    found = store.runs(run_id=run_id, limit=1)
    if not found:
        return None
    stopped = store.stopped_in(run_id, after=after, limit=ROWS + 1)
    return {
        "run": _row(found[0], _names(panel), store.now()),
        "orders": [_stopped(each) for each in stopped[:ROWS]],
        "after": stopped[ROWS - 1].thread_id if len(stopped) > ROWS else None,
    }


def _names(panel: Panel) -> dict[int, str]:
    return {each.id: each.name for each in (*panel.store.sites(), *panel.store.removed_sites())}


def _row(run: Run, names: dict[int, str], now: datetime) -> dict[str, Any]:
    end = run.finished_at or now
    return {
        "id": run.id,
        "site": names.get(run.site_id or 0, ""),
        "kind": run.kind,
        "state": "moving" if run.finished_at is None else run.state,
        "is_moving": run.finished_at is None,
        "is_read": run.is_read,
        "reason": run.reason,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "seconds": round((end - run.started_at).total_seconds(), 1),
        "moving": run.counts.get("moving", 0),
        **{name: run.counts.get(name, 0) for name in COUNTED},
    }


def _stopped(order: OrderSummary) -> dict[str, Any]:
    return {**problem(order), "key": order.order_number or order.platform_order_id, "site": order.site}
