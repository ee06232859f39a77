"""One stage for one batch: claim, work, settle. Every stage of the road runs through here."""

import traceback
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from app.domain.order import Order
from app.domain.road import Link, Stage
from app.errors import Hold, OrderSyncError, Reject
from app.ports.store import Claimed, Failed, Passed, Settled, Site, ThreadOutcome, Waiting
from app.sync.options import site_options
from app.sync.parts import Parts, erp_of, maintenance_until, paused_sentence, site_with_id
from app.sync.policy import HOLD_MAINTENANCE, MAX_UNSETTLED, SHORT, Later, Person, after
from app.sync.telling import KIND_CRASH, tell_rejected

log = structlog.get_logger("ordersync.road")


@dataclass(frozen=True, slots=True)
class StepResult:
    """What the chain does next: go on where orders `passed`, and come back for the `waiting` batches in so many seconds.

    Long waits are not among them; they live in the rows alone. `restarted` batches begin the road anew.
    """

    passed: int = 0
    waiting: tuple[tuple[int, float], ...] = ()
    restarted: tuple[int, ...] = ()

    def and_then(self, other: "StepResult") -> "StepResult":
        """Both results as one."""
        return StepResult(
            passed=self.passed + other.passed,
            waiting=(*self.waiting, *other.waiting),
            restarted=(*self.restarted, *other.restarted),
        )


_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What a fault in our own rules looks like. Not `Exception`: the time limit's signal is one, and it is no order's fault."""

Outcome = Order | OrderSyncError
Work = Callable[[Site, Sequence[Claimed]], dict[int, Outcome]]
"""Gives each claimed thread the order as it goes on, or the failure that stops it. Raises what concerns all of them."""


def run_stage(parts: Parts, stage: Stage, *, batch_id: int, work: Work) -> StepResult:
    """Claim the batch's due orders at `stage`, do the work outside any transaction, and settle each by itself.

    Where earlier attempts were cut off, orders are claimed one by one for as long as there is time.
    """
    total = StepResult()
    began = parts.ticks()
    while True:
        result, one_by_one = _claim_and_run(parts, stage, batch_id=batch_id, work=work)
        total = total.and_then(result)
        if not one_by_one or parts.ticks() - began > parts.limits.soft_time_limit / 2:
            return total


def _claim_and_run(parts: Parts, stage: Stage, *, batch_id: int, work: Work) -> tuple[StepResult, bool]:
    token = str(uuid.uuid4())
    claimed = parts.store.claim(stage, batch_id=batch_id, token=token, lease_seconds=parts.limits.lease)
    if not claimed:
        return StepResult(), False
    started = parts.ticks()
    outcomes = thread_outcomes(parts, stage, claimed, work)
    if stage is Stage.WRITE:
        erp_ids = {}
        if any(isinstance(each, Passed) for each in outcomes):
            # A batch is of one site.
            site = site_with_id(parts, claimed[0].site_id)
            erp_ids[site.id] = erp_of(parts, site).id
        settled = parts.store.write(batch_id=batch_id, token=token, erp_ids=erp_ids, outcomes=outcomes)
    else:
        settled = parts.store.settle(stage, batch_id=batch_id, token=token, outcomes=outcomes)
    failed = tell_rejected(
        stage,
        outcomes,
        numbers={each.thread_id: each.order_number or each.platform_order_id for each in claimed},
    )
    report(parts, stage, batch_id, settled, claimed=len(claimed), failed=failed, started=started)
    return step_result(parts, settled), is_alone([each.unsettled for each in claimed])


def is_alone(unsettled: Sequence[int]) -> bool:
    """Whether this claim was of one row alone because earlier attempts were cut off; there may be more of them."""
    return len(unsettled) == 1 and unsettled[0] > 1


def report(
    parts: Parts,
    link: Link,
    batch_id: int,
    settled: Settled,
    *,
    claimed: int,
    failed: int,
    started: float,
) -> None:
    """One log line for a settled step."""
    log.info(
        "step",
        link=str(link),
        batch=batch_id,
        claimed=claimed,
        passed=settled.passed,
        waiting=settled.waiting,
        failed=failed,
        milliseconds=round((parts.ticks() - started) * 1000),
    )


def step_result(parts: Parts, settled: Settled, *, restarted: tuple[int, ...] = ()) -> StepResult:
    """What the chain is told of a settled step."""
    waiting: tuple[tuple[int, float], ...] = ()
    if settled.waiting_batch is not None and settled.due_at is not None:
        wait = settled.due_at - parts.store.now()
        if wait <= SHORT:
            # A little late rather than early: a row that is not due yet is not claimed.
            waiting = ((settled.waiting_batch, max(0.0, wait.total_seconds()) + 0.05),)
    return StepResult(passed=settled.passed, waiting=waiting, restarted=restarted)


def thread_outcomes(
    parts: Parts, stage: Stage, claimed: Sequence[Claimed], work: Work
) -> list[ThreadOutcome]:
    """The outcome of every claimed order; a failure of the whole step is every order's failure."""
    now = parts.store.now()
    site = site_with_id(parts, claimed[0].site_id)
    poisoned = [each for each in claimed if each.unsettled > MAX_UNSETTLED]
    workable = [each for each in claimed if each.unsettled <= MAX_UNSETTLED]
    done: dict[int, Outcome] = {each.thread_id: poison(each.unsettled) for each in poisoned}
    if workable:
        done |= _guarded(parts, stage, site, workable, work, now=now)
    hold_age = site_options(site.settings).hold_age
    return [thread_outcome(parts, each, done[each.thread_id], now=now, hold_age=hold_age) for each in claimed]


def poison(unsettled: int) -> Reject:
    """The failure of a row that was claimed again and again without an outcome."""
    return Reject(
        f"Its processing was cut off {unsettled - 1} times without an outcome; it may crash its process.",
        kind=KIND_CRASH,
    )


def _guarded(
    parts: Parts, stage: Stage, site: Site, claimed: list[Claimed], work: Work, *, now: datetime
) -> dict[int, Outcome]:
    until = maintenance_until(parts, site)
    if until is not None:
        hold = Hold(paused_sentence(now, until), kind=HOLD_MAINTENANCE, until=until)
        return {each.thread_id: hold for each in claimed}
    try:
        return work(site, claimed)
    except OrderSyncError as error:
        log.warning("step_failed", link=str(stage), site=site.name, failure=type(error).__name__)
        return {each.thread_id: error for each in claimed}


def thread_outcome(
    parts: Parts, claimed: Claimed, outcome: Outcome, *, now: datetime, hold_age: timedelta
) -> ThreadOutcome:
    """An order's outcome as the store settles it."""
    if isinstance(outcome, Order):
        unchanged = claimed.document if claimed.document and outcome is claimed.order else None
        return Passed(thread_id=claimed.thread_id, order=outcome, document=unchanged)
    decision = after(
        outcome,
        attempts=claimed.attempts,
        waiting_since=claimed.waiting_since,
        now=now,
        spread=parts.spread,
        hold_age=hold_age,
    )
    match decision:
        case Later(at=at, reason=reason, hold_kind=hold_kind, waits_for=waits_for):
            return Waiting(
                id=claimed.thread_id, reason=reason, next_at=at, hold_kind=hold_kind, waits_for=waits_for
            )
        case Person(kind=kind, reason=reason, field=field):
            worth = outcome.worth if isinstance(outcome, Reject) else None
            return Failed(id=claimed.thread_id, reason=reason, kind=kind, field=field, worth=worth)


def each_order(claimed: Sequence[Claimed], change: Callable[[Claimed], Order]) -> dict[int, Outcome]:
    """Apply `change` to every order by itself: one that fails never stops the next."""
    found: dict[int, Outcome] = {}
    for each in claimed:
        try:
            found[each.thread_id] = change(each)
        except OrderSyncError as error:
            found[each.thread_id] = error
        except _FAULTS as error:
            # A fault of ours in one order must not hold up the others; it is shown, not hidden. Its text may hold what the
            # customer wrote, so only its kind and place are told; the log's traces leave it out as well.
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{place.name}, line {place.lineno}"
            kind = type(error).__name__
            order = each.order_number or each.platform_order_id
            log.exception("unexpected_fault", order=order, failure=kind, where=where)
            found[each.thread_id] = Reject(
                f"An unexpected fault stopped it ({kind} in {where}).", kind="internal"
            )
    return found
