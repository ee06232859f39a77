"""How the accounts stand that sites and ERPs are called with: for `ordersync limits`, and for whoever shows it elsewhere."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from app.errors import Misconfigured, OrderSyncError, Retry, UsageError
from app.ports.limiters import Breaker, Limiters, Usage
from app.sync.parts import Parts

log = structlog.get_logger("ordersync.limits")


def accounts(parts: Parts, limiters: Limiters) -> Mapping[str, Any]:
    """Every account of the connected sites and ERPs, and those that cannot be opened, with the reason. Nothing is sent.

    `limiters` are those that the parts' peers are called with. `shared` is whether the figures are those of all processes.
    """
    faults = _opened(parts)
    now = parts.store.now()
    rows = [_row(each, now) for each in limiters.usage()]
    return {"accounts": rows, "shared": all(each["shared"] for each in rows), "faults": faults}


def usages(parts: Parts, limiters: Limiters) -> tuple[Usage, ...]:
    """How every account of the connected sites and ERPs stands; those that cannot be opened are left out. Nothing is sent."""
    _opened(parts)
    return limiters.usage()


def reset(parts: Parts, limiters: Limiters, *, name: str) -> Mapping[str, Any]:
    """Call the account again at once, as after its server was mended: its breaker is closed, nothing is waited for or counted.

    Raises `UsageError` for a name that no account has, `Misconfigured` for one that cannot be opened, and `Retry` where no
    broker can be asked, so that each process counts for itself.
    """
    faults = {each["name"]: each["reason"] for each in _opened(parts)}
    known = sorted({each for usage in limiters.usage() for each in usage.names})
    if name in faults:
        raise Misconfigured(f"{name} cannot be opened: {faults[name]}")
    if name not in known:
        names = ", ".join(known) or "none yet"
        raise UsageError(f"There is no account named {name!r} (there are: {names}).")
    if not limiters.forget(name):
        raise Retry(
            "No broker can be asked, so each process counts for itself; restart the workers to have them all call at once."
        )
    log.info("account_reset", account=name)
    return {"account": name, "reset": True}


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
