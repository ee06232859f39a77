"""How the accounts stand that sites and ERPs are called with: for `ordersync limits`, and for whoever shows it elsewhere."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from app.errors import OrderSyncError
from app.ports.limiters import Breaker, Limiters, Usage
from app.sync.parts import Parts


def accounts(parts: Parts, limiters: Limiters) -> Mapping[str, Any]:
    """Every account of the connected sites and ERPs, and those that cannot be opened, with the reason. Nothing is sent.

    `limiters` are those that the parts' peers are called with. `shared` is whether the figures are those of all processes.
    """
    faults = _opened(parts)
    now = parts.store.now()
    rows = [_row(each, now) for each in limiters.usage()]
    return {"accounts": rows, "shared": all(each["shared"] for each in rows), "faults": faults}


def _opened(parts: Parts) -> Sequence[Mapping[str, str]]:
    """Open them all, which makes each one's account known; what is closed for its settings has no account."""
    faults = []
    for site in parts.store.sites():
        try:
            parts.peers.channel(site)
        except OrderSyncError as error:
            faults.append({"name": site.name, "reason": error.reason})
    for row in parts.store.erps():
        try:
            parts.peers.erp(row)
        except OrderSyncError as error:
            faults.append({"name": row.name, "reason": error.reason})
    return faults


def _row(usage: Usage, now: datetime) -> dict[str, Any]:
    def moment(seconds: float) -> datetime:
        return now + timedelta(seconds=seconds)

    is_closed = usage.breaker is Breaker.CLOSED
    return {
        "account": ", ".join(usage.names),
        "used": usage.used,
        "left": usage.left,
        "window_seconds": usage.ceilings.window,
        "running": usage.running,
        "at_once": usage.ceilings.at_once,
        "slowed_until": moment(usage.slowed_for) if usage.slowed_for else None,
        "breaker": usage.breaker.value,
        "breaker_since": None if is_closed else moment(-usage.breaker_since),
        "next_try_at": moment(usage.next_try_in) if usage.breaker is Breaker.OPEN else None,
        "failures_in_a_row": usage.failures,
        "last_failure": usage.fault,
        "last_failure_at": moment(-usage.fault_ago) if usage.fault else None,
        "shared": usage.shared,
    }
