"""What acknowledging and exporting share: the gate, the poison pill, and failures as the store settles them."""

from collections.abc import Sequence
from datetime import datetime

from app.domain.road import StepState
from app.errors import Hold, Misconfigured, OrderSyncError, Retry
from app.ports.store import ErpRow, Failed, OwedStep, Site, StepOutcome, Waiting
from app.sync.parts import Parts, erp_maintenance_until, maintenance_until, paused_sentence
from app.sync.policy import (
    HOLD_MAINTENANCE,
    MAX_LOOKS_CUT_OFF,
    MAX_UNSETTLED,
    Later,
    Person,
    after,
    is_open_breaker,
)
from app.sync.steps import poison
from app.sync.telling import pause_site


def failure(
    parts: Parts, step: OwedStep, error: OrderSyncError, *, now: datetime, state: StepState | None = None
) -> StepOutcome:
    """A failed step's outcome, by the one table that says what follows.

    A step of which something may still come is never given up: it is looked up for as long as it takes.
    """
    sent = step.begun and state is None
    since = None if sent else step.waiting_since
    match after(error, attempts=step.attempts, waiting_since=since, now=now, spread=parts.spread):
        case Later(at=at, reason=reason, hold_kind=hold_kind):
            return Waiting(id=step.step_id, reason=reason, next_at=at, hold_kind=hold_kind, state=state)
        case Person(kind=kind, reason=reason, field=field):
            return Failed(
                id=step.step_id, reason=reason, kind=kind, field=field, order=step.order, unsent=not sent
            )


def failures(parts: Parts, owed: Sequence[OwedStep], error: OrderSyncError) -> list[StepOutcome]:
    """The same failure for all of them; their states stay as they are."""
    now = parts.store.now()
    return [failure(parts, step, error, now=now) for step in owed]


def gate(parts: Parts, site: Site, owed: Sequence[OwedStep]) -> tuple[list[OwedStep], list[StepOutcome]]:
    """Those that may be worked on now, and the outcomes of those that may not."""
    now = parts.store.now()
    until = maintenance_until(parts, site)
    if until is not None:
        return [], failures(
            parts, owed, Hold(paused_sentence(now, until), kind=HOLD_MAINTENANCE, until=until)
        )
    # What may have been sent is looked up for longer: a person could do nothing else about it either.
    poisoned = [
        step for step in owed if step.unsettled > (MAX_LOOKS_CUT_OFF if step.begun else MAX_UNSETTLED)
    ]
    return (
        [step for step in owed if step not in poisoned],
        [failure(parts, step, poison(step.unsettled), now=now) for step in poisoned],
    )


def check_reachable(parts: Parts, site: Site) -> None:
    """Raises `Retry` where a site is not to be called now although orders wait for it.

    Its readings have failed again and again; the next of them asks whether it is back, and until then no other call waits
    in vain for an answer and keeps a worker from other sites' orders.
    """
    left = (site.order_next_run - parts.store.now()).total_seconds()
    if is_open_breaker(site.failures) and site.is_active and site.orders_sync and left > 0:
        raise Retry(
            f"The site {site.name} has not answered {site.failures} times in a row; it is asked again in {round(left / 60)} min.",
            after=left,
        )


def pause_channel(parts: Parts, site: Site, error: OrderSyncError) -> None:
    """A site whose settings cannot work is left alone for a while."""
    if isinstance(error, Misconfigured):
        pause_site(parts, site, error)


def in_time(parts: Parts, started: float) -> bool:
    """Whether a call that begins now ends within the time of a task that began at `started`, and so within its lease."""
    return parts.ticks() - started + parts.limits.http_timeout < parts.limits.soft_time_limit


def check_open(parts: Parts, row: ErpRow) -> None:
    """Raises `Hold` where this ERP's maintenance has begun, or would begin before a call that is made now ends.

    Asked right before the calls. The gate at the claim knows only the ERP that the site names today, and its answer is old where
    the process, or the whole machine, was stopped in between.
    """
    until = _closed_to_a_call(parts, row)
    if until is not None:
        raise Hold(paused_sentence(parts.store.now(), until), kind=HOLD_MAINTENANCE, until=until)


def may_write(parts: Parts, row: ErpRow, started: float) -> bool:
    """Whether a write that begins now ends within the time of a task that began at `started`, and before maintenance begins."""
    return in_time(parts, started) and _closed_to_a_call(parts, row) is None


def _closed_to_a_call(parts: Parts, row: ErpRow) -> datetime | None:
    return erp_maintenance_until(parts, row, early=parts.limits.http_timeout)
