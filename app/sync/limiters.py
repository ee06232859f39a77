"""How the accounts stand that sites and ERPs are called with: for `ordersync limits`, and for whoever shows it elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    faults, known = _opened(parts, limiters)
    now = parts.store.now()
    rows = [_row(each, now) for each in known]
    return {"accounts": rows, "shared": all(each["shared"] for each in rows), "faults": faults}


def usages(parts: Parts, limiters: Limiters) -> tuple[Usage, ...]:
    """How every account of the connected sites and ERPs stands; those that cannot be opened are left out. Nothing is sent."""
    return _opened(parts, limiters)[1]


def reset(parts: Parts, limiters: Limiters, *, name: str) -> Mapping[str, Any]:
    """Call the account again at once, as after its server was mended: its breaker is closed, nothing is waited for or counted.

    Raises `UsageError` for a name that no account has, `Misconfigured` for one that cannot be opened, and `Retry` where no
    broker can be asked, so that each process counts for itself.
    """
    not_opened, accounts_now = _opened(parts, limiters)
    faults = {each["name"]: each["reason"] for each in not_opened}
    known = sorted({each for usage in accounts_now for each in usage.names})
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


def _opened(parts: Parts, limiters: Limiters) -> tuple[Sequence[Mapping[str, str]], tuple[Usage, ...]]:
    """Open them all, which makes each one's account known: those that cannot be opened, and how the accounts of all stand.

    What is closed for its settings has no account, and what this process has called for a site or an ERP that is removed now is
    nobody's any more.
    """
    faults, sites, erps = [], parts.store.sites(), parts.store.erps()
    for site in sites:
        try:
            parts.peers.channel(site)
        except OrderSyncError as error:
            faults.append({"name": site.name, "reason": error.reason})
    for row in erps:
        try:
            parts.peers.erp(row)
        except OrderSyncError as error:
            faults.append({"name": row.name, "reason": error.reason})
    there = {each.name for each in sites} | {each.name for each in erps}
    found = []
    for usage in limiters.usage():
        # An ERP's sign-in is an account of its own, behind the ERP's name; no name has a blank in it.
        names = tuple(each for each in usage.names if each.partition(" ")[0] in there)
        if names:
            found.append(replace(usage, names=names))
    return faults, tuple(found)


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
