"""What an answer of the ERP about an order means: done, a person, in doubt, or not there."""

from collections.abc import Sequence
from datetime import datetime

import structlog

from app.domain.order import LineType, sku_key
from app.domain.road import StepState
from app.errors import OrderSyncError, Reject, Unknown
from app.ports.desk import KIND_DELETED
from app.ports.erp import ErpDocument
from app.ports.store import Failed, OwedStep, StepDone, StepOutcome, Waiting
from app.sync.customers import Customers
from app.sync.options import ErpOptions
from app.sync.owed import failure
from app.sync.parts import Parts
from app.sync.policy import next_look

log = structlog.get_logger("ordersync.road")

_DOUBT = "Its outcome in the ERP is being verified: the last attempt got no answer."


def looked_up(
    step: OwedStep,
    found: Sequence[ErpDocument],
    customers: Customers,
    options: ErpOptions,
    *,
    asked_at: datetime,
) -> StepOutcome | None:
    """The outcome of a step by what the ERP has under its number; None where nothing is there and it may be sent.

    `asked_at` is a moment before the ERP was asked: what it answered says nothing about what was committed later.
    """
    if not found:
        return _absent(step, options, asked_at)
    if len(found) > 1:
        numbers = ", ".join(each.number for each in found)
        reason = (
            f"The ERP has {len(found)} documents with the number {step.external_number} ({numbers}); "
            "a person has to say which one counts."
        )
        return Failed(id=step.step_id, reason=reason, kind="duplicate", order=step.order)
    document = found[0]
    if customers.may_be(step.order, document.customer_number) and totals_agree(step, document, options):
        return StepDone(step_id=step.step_id, document=document, detail={"found": True})
    reason = (
        f"The ERP already has the document {document.number} with the number {step.external_number}, but its customer "
        f"({document.customer_number}) or total ({document.total}) is not this order's "
        f"({step.order.total} {step.order.currency})."
    )
    if not step.begun:
        # Nothing of ours was ever sent: somebody else's document, to which this order is not tied.
        return Failed(id=step.step_id, reason=reason, kind="duplicate", order=step.order)
    return Failed(id=step.step_id, reason=reason, kind="totals", order=step.order, document=document)


def _absent(step: OwedStep, options: ErpOptions, asked_at: datetime) -> StepOutcome | None:
    """What may still be committed waits until T_LATE has passed since its intent. What was there is not written again."""
    if step.intent_at is None:
        return None
    if step.linked:
        reason = (
            f"The ERP's document {step.linked}, which this order was tied to, is no longer there. Nothing is sent by itself: "
            "settle the order as it is (ordersync errors skip), or have it sent once more (ordersync errors resume --send-again)."
        )
        return Failed(id=step.step_id, reason=reason, kind=KIND_DELETED, order=step.order)
    if asked_at < step.intent_at + options.late:
        return _doubtful(step, step.intent_at, options, asked_at)
    # That attempt came to nothing. The order begins anew, with the question how it stands on the platform now.
    return Waiting(id=step.step_id, reason="", next_at=asked_at, state=StepState.OWED)


def _doubtful(step: OwedStep, intent_at: datetime, options: ErpOptions, now: datetime) -> Waiting:
    at = next_look(intent_at=intent_at, now=now, late=options.late)
    return Waiting(id=step.step_id, reason=_DOUBT, next_at=at, state=StepState.IN_DOUBT)


def answered(
    parts: Parts,
    step: OwedStep,
    answer: ErpDocument | OrderSyncError,
    options: ErpOptions,
    *,
    intent_at: datetime,
    now: datetime,
) -> StepOutcome:
    """The outcome of a step that was sent, by what came back."""
    match answer:
        case ErpDocument() if totals_agree(step, answer, options):
            return StepDone(step_id=step.step_id, document=answer)
        case ErpDocument():
            reason = (
                f"The ERP's document {answer.number} comes to {answer.total}, the order to {step.order.total} "
                f"{step.order.currency}; the document is kept and will not be sent again."
            )
            return Failed(id=step.step_id, reason=reason, kind="totals", order=step.order, document=answer)
        case Unknown():
            log.warning("outcome_unknown", order=step.external_number)
            return _doubtful(step, intent_at, options, now)
        case Reject():
            return failure(parts, step, answer, now=now)
        case _:
            # Certainly not tried: as if it had never been meant.
            return failure(parts, step, answer, now=now, state=StepState.OWED)


def kit_parents(step: OwedStep) -> list[str]:
    """The SKUs (upper case) of the order's kit lines."""
    parents = {line.parent for line in step.order.of_type(LineType.COMPONENT)}
    return [sku_key(line.sku) for line in step.order.lines if line.position in parents and line.sku]


def totals_agree(step: OwedStep, document: ErpDocument, options: ErpOptions) -> bool:
    """Whether the ERP's total is the order's, within the ERP's configured tolerance."""
    same_currency = document.currency in {"", step.order.currency}
    return same_currency and abs(document.total - step.order.total) <= options.total_tolerance
