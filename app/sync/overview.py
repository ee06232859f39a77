"""What people and scripts look at: one run's outcome, and the orders a person should see."""

from collections.abc import Sequence
from typing import Any

from app.domain.road import State
from app.ports.store import OrderSummary, Run
from app.sync.parts import Parts

COUNTED = ("fetched", "written", "acknowledged", "exported", "held", "rejected", "skipped", "closed")


def run_report(parts: Parts, run: Run, *, site: str, settled: bool) -> dict[str, Any]:
    """A run as a JSON object: its counts, seconds, and every order that did not go through, with its reason."""
    end = run.finished_at or parts.store.now()
    stopped = {State.HELD, State.REJECTED, State.SKIPPED, State.CLOSED}
    orders = [each for each in orders_of(parts, site=site) if each.run_id == run.id and each.state in stopped]
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
    parts: Parts, *, site: str | None = None, state: State | None = None, limit: int = 100_000
) -> Sequence[OrderSummary]:
    """The orders of a site, newest first."""
    return parts.store.order_summaries(site=site, state=state, limit=limit)
