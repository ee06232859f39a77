"""Telling the platform that its orders have been taken over."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from app.domain.road import Owed
from app.errors import OrderSyncError
from app.ports.sales_channel import Seen
from app.ports.store import Closed, OwedStep, Site, StepDone, StepOutcome
from app.sync import standing
from app.sync.owed import check_reachable, failure, failures, gate, in_time, pause_channel
from app.sync.parts import Parts, site_with_id
from app.sync.steps import StepResult, is_alone, report, step_result
from app.sync.telling import tell_rejected

log = structlog.get_logger("ordersync.road")

_AT_ONCE = 100


def acknowledge(parts: Parts, *, batch_id: int) -> StepResult:
    """Mark the batch's written orders on the platform, after asking how they stand now."""
    total = StepResult()
    started = parts.ticks()
    while in_time(parts, started):
        result, one_by_one = _some(parts, batch_id=batch_id)
        total = total.and_then(result)
        if not one_by_one:
            break
    return total


def _some(parts: Parts, *, batch_id: int) -> tuple[StepResult, bool]:
    token = str(uuid.uuid4())
    claim = parts.store.claim_steps
    owed = claim(
        Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, lease_seconds=parts.limits.lease, limit=_AT_ONCE
    )
    if not owed:
        return StepResult(), False
    started = parts.ticks()
    site = site_with_id(parts, owed[0].site_id)
    workable, outcomes = gate(parts, site, owed)
    closed: tuple[Closed, ...] = ()
    restarted: tuple[int, ...] = ()
    if workable:
        try:
            more, closed, restarted = _mark(parts, site, workable)
            outcomes += more
        except OrderSyncError as error:
            kind = type(error).__name__
            log.warning("step_failed", link="acknowledge", site=site.name, failure=kind)
            pause_channel(parts, site, error)
            outcomes += failures(parts, workable, error)
    settled = parts.store.settle_steps(
        Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, outcomes=outcomes, closed=closed
    )
    failed = tell_rejected(
        Owed.ACKNOWLEDGE, outcomes, numbers={step.step_id: step.external_number for step in owed}
    )
    report(parts, Owed.ACKNOWLEDGE, batch_id, settled, claimed=len(owed), failed=failed, started=started)
    return step_result(parts, settled, restarted=restarted), is_alone([each.unsettled for each in owed])


def _mark(
    parts: Parts, site: Site, owed: Sequence[OwedStep]
) -> tuple[list[StepOutcome], tuple[Closed, ...], tuple[int, ...]]:
    check_reachable(parts, site)
    channel = parts.peers.channel(site)
    before = standing.ask(parts, site, channel, owed)
    if not before.wanted:
        return [], before.closed, before.restarted
    read_at = parts.store.now()
    answers = channel.acknowledge([step.platform_order_id for step in before.wanted])
    outcomes, marked = _outcomes(parts, before.wanted, answers, asked_at=read_at)
    # The answer shows each order as it was when the mark was set: what changed in between is seen here and not later.
    seen = {each.platform_order_id: each for each in answers.values() if isinstance(each, Seen)}
    since = standing.sort(parts, site, marked, seen, read_at=read_at)
    return outcomes, (*before.closed, *since.closed), (*before.restarted, *since.restarted)


def _outcomes(
    parts: Parts,
    owed: Sequence[OwedStep],
    answers: Mapping[str, Seen | OrderSyncError],
    *,
    asked_at: datetime,
) -> tuple[list[StepOutcome], list[OwedStep]]:
    now = parts.store.now()
    outcomes: list[StepOutcome] = []
    marked: list[OwedStep] = []
    for step in owed:
        answer = answers[step.platform_order_id]
        if isinstance(answer, Seen):
            outcomes.append(StepDone(step_id=step.step_id, asked_at=asked_at))
            marked.append(step)
        else:
            outcomes.append(failure(parts, step, answer, now=now))
    return outcomes, marked
