"""Writing orders to the ERP: intent, look, write, confirm. What got no answer is looked up and never blindly sent again."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from app.domain.order import LineType, sku_key
from app.domain.road import Owed, StepState
from app.errors import Misconfigured, OrderSyncError, Reject, Unknown
from app.ports.erp import Draft, Erp, ErpDocument
from app.ports.store import Closed, ErpRow, Failed, OwedStep, Site, StepDone, StepOutcome, Waiting
from app.sync import standing
from app.sync.customers import Customers
from app.sync.options import ErpOptions, erp_options
from app.sync.owed import failure, failures, gate, in_time, pause_channel
from app.sync.parts import Parts, erp_of, site_with_id
from app.sync.policy import next_look, pause_until
from app.sync.steps import StepResult, report, step_result

log = structlog.get_logger("ordersync.road")

_AT_ONCE = 50
_STILL_FRESH = timedelta(seconds=30)
_DOUBT = "Its outcome in the ERP is being verified: the last attempt got no answer."


def export(parts: Parts, *, batch_id: int) -> StepResult:
    """Write the batch's orders to the ERP as one document each."""
    total = StepResult()
    started = parts.ticks()
    while in_time(parts, started, kind=Owed.EXPORT):
        result = _some(parts, batch_id=batch_id)
        if result is None:
            break
        total = StepResult(
            passed=total.passed + result.passed,
            waiting_batch=result.waiting_batch or total.waiting_batch,
            retry_in=min(
                (each for each in (total.retry_in, result.retry_in) if each is not None), default=None
            ),
            restarted=(*total.restarted, *result.restarted),
        )
    return total


def _some(parts: Parts, *, batch_id: int) -> StepResult | None:
    token = str(uuid.uuid4())
    owed = parts.store.claim_steps(
        Owed.EXPORT, batch_id=batch_id, token=token, lease_seconds=parts.limits.lease, limit=_AT_ONCE
    )
    if not owed:
        return None
    started = parts.ticks()
    site = site_with_id(parts, owed[0].site_id)
    workable, outcomes = gate(parts, site, owed)
    work = _Export(parts, site, token=token, started=started)
    work.outcomes += outcomes
    if workable:
        work.run(workable)
    settled = parts.store.settle_steps(
        Owed.EXPORT, batch_id=batch_id, token=token, outcomes=work.outcomes, closed=work.closed
    )
    report(parts, Owed.EXPORT, batch_id, settled, claimed=len(owed), started=started)
    return step_result(parts, settled, restarted=tuple(work.restarted))


@dataclass(slots=True)
class _Export:
    """One claim of steps on its way to the ERP; collects what becomes of each."""

    parts: Parts
    site: Site
    token: str
    started: float
    outcomes: list[StepOutcome] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)
    restarted: list[int] = field(default_factory=list)

    def run(self, owed: Sequence[OwedStep]) -> None:
        """Every step ends in `outcomes`, in `closed`, or restarts."""
        wanted = self._still_wanted(owed)
        if not wanted:
            return
        left = {step.step_id: step for step in wanted}
        try:
            row = erp_of(self.parts, self.site)
            self._deliver(row, wanted, left)
        except OrderSyncError as error:
            # Raised only by what reads: nothing was sent for those that are left, and what was in doubt stays so.
            log.warning(
                "step_failed",
                link="export",
                site=self.site.name,
                failure=type(error).__name__,
                reason=error.reason,
            )
            if isinstance(error, Misconfigured):
                self._pause_erp(error)
            self.outcomes += failures(self.parts, list(left.values()), error)

    def _pause_erp(self, error: Misconfigured) -> None:
        for row in self.parts.store.erps():
            if self.site.erp_id in {None, row.id}:
                self.parts.store.pause_erp(
                    row.id, until=pause_until(self.parts.store.now()), reason=error.reason
                )

    def _still_wanted(self, owed: Sequence[OwedStep]) -> list[OwedStep]:
        """Ask the platform about those not just seen by acknowledging. What may have been sent is looked up in any case."""
        now = self.parts.store.now()
        sent = [step for step in owed if step.state is not StepState.OWED]
        fresh = [
            step
            for step in owed
            if step.state is StepState.OWED
            and step.acknowledged_at is not None
            and now - step.acknowledged_at < _STILL_FRESH
        ]
        to_ask = [step for step in owed if step not in sent and step not in fresh]
        if not to_ask:
            return [*sent, *fresh]
        try:
            found = standing.ask(self.parts, self.site, self.parts.peers.channel(self.site), to_ask)
        except OrderSyncError as error:
            pause_channel(self.parts, self.site, error)
            self.outcomes += failures(self.parts, to_ask, error)
            return [*sent, *fresh]
        self.closed += found.closed
        self.restarted += found.restarted
        return [*sent, *fresh, *found.wanted]

    def _deliver(self, row: ErpRow, owed: Sequence[OwedStep], left: dict[int, OwedStep]) -> None:
        erp = self.parts.peers.erp(row)
        options = erp_options(row.settings)
        documents = erp.find_documents([step.external_number for step in owed])
        customers = Customers(self.parts, erp, row, options)
        customers.look_up([step.order for step in owed])
        to_send: list[tuple[OwedStep, str]] = []
        for step in owed:
            found = documents[step.external_number]
            outcome = (
                self._looked_up(step, found, customers, options) if found else self._in_doubt(step, options)
            )
            if outcome is None:
                number = self._customer(step, customers)
                if isinstance(number, str):
                    to_send.append((step, number))
                    continue
                outcome = number
            self.outcomes.append(outcome)
            del left[step.step_id]
        if to_send:
            self._send(erp, options, to_send, left)

    def _customer(self, step: OwedStep, customers: Customers) -> str | StepOutcome:
        """The customer's number, or the outcome of a step that cannot have one now."""
        now = self.parts.store.now()
        try:
            return customers.number(step.order)
        except Unknown as error:
            return Waiting(id=step.step_id, reason=error.reason, next_at=customers.next_look(now))
        except Misconfigured as error:
            self._pause_erp(error)
            return failure(self.parts, step, error, now=now)
        except OrderSyncError as error:
            return failure(self.parts, step, error, now=now)

    def _looked_up(
        self, step: OwedStep, found: Sequence[ErpDocument], customers: Customers, options: ErpOptions
    ) -> StepOutcome:
        """The outcome where the ERP already has documents with the order's number."""
        if len(found) > 1:
            numbers = ", ".join(each.number for each in found)
            reason = f"The ERP has {len(found)} documents with the number {step.external_number} ({numbers}); none may be taken without a person."
            return Failed(id=step.step_id, reason=reason, kind="duplicate", order=step.order)
        document = found[0]
        if not customers.may_be(step.order, document.customer_number) or not _totals_agree(
            step, document, options
        ):
            reason = (
                f"The ERP already has the document {document.number} with the number {step.external_number}, but its customer "
                f"({document.customer_number}) or total ({document.total}) is not this order's ({step.order.total} {step.order.currency})."
            )
            if step.state is StepState.OWED:
                return Failed(id=step.step_id, reason=reason, kind="duplicate", order=step.order)
            return Failed(id=step.step_id, reason=reason, kind="totals", order=step.order, document=document)
        return StepDone(step_id=step.step_id, document=document, detail={"found": True})

    def _in_doubt(self, step: OwedStep, options: ErpOptions) -> StepOutcome | None:
        """Keep what may still be committed waiting; None where it may be sent (again)."""
        now = self.parts.store.now()
        if step.state is StepState.OWED or step.intent_at is None or now >= step.intent_at + options.late:
            return None
        return self._doubtful(step, step.intent_at, options, now)

    def _doubtful(self, step: OwedStep, intent_at: datetime, options: ErpOptions, now: datetime) -> Waiting:
        at = next_look(intent_at=intent_at, now=now, late=options.late)
        return Waiting(id=step.step_id, reason=_DOUBT, next_at=at, state=StepState.IN_DOUBT)

    def _send(
        self, erp: Erp, options: ErpOptions, to_send: list[tuple[OwedStep, str]], left: dict[int, OwedStep]
    ) -> None:
        kits = [sku for step, _ in to_send for sku in _kit_parents(step)]
        items = erp.find_items(list(dict.fromkeys(kits))) if kits else {}
        if not in_time(self.parts, self.started, kind=Owed.EXPORT):
            return  # Too late to begin a write under this lease; it ends by itself and the rows are rung again.
        ours = set(self.parts.store.intend([step.step_id for step, _ in to_send], token=self.token))
        sending = [(step, number) for step, number in to_send if step.step_id in ours]
        intent_at = self.parts.store.now()
        drafts = [
            Draft(external_number=step.external_number, customer_number=number, order=step.order, items=items)
            for step, number in sending
        ]
        answers = self._answers(erp, drafts)
        now = self.parts.store.now()
        for step, _ in sending:
            self.outcomes.append(
                self._answered(step, answers[step.external_number], options, intent_at=intent_at, now=now)
            )
        for step, _ in to_send:
            del left[step.step_id]

    def _answers(self, erp: Erp, drafts: Sequence[Draft]) -> Mapping[str, ErpDocument | OrderSyncError]:
        if not drafts:
            return {}
        try:
            return erp.create_documents(drafts)
        except Misconfigured as error:
            self._pause_erp(error)
            return {draft.external_number: error for draft in drafts}

    def _answered(
        self,
        step: OwedStep,
        answer: ErpDocument | OrderSyncError,
        options: ErpOptions,
        *,
        intent_at: datetime,
        now: datetime,
    ) -> StepOutcome:
        match answer:
            case ErpDocument():
                if _totals_agree(step, answer, options):
                    return StepDone(step_id=step.step_id, document=answer)
                reason = (
                    f"The ERP's document {answer.number} comes to {answer.total}, the order to {step.order.total} {step.order.currency}; "
                    "the document is kept and will not be sent again."
                )
                return Failed(
                    id=step.step_id, reason=reason, kind="totals", order=step.order, document=answer
                )
            case Unknown():
                log.warning("outcome_unknown", order=step.external_number, reason=answer.reason)
                return self._doubtful(step, intent_at, options, now)
            case Reject():
                return failure(self.parts, step, answer, now=now)
            case _:
                # Certainly not tried: as if it had never been meant.
                return failure(self.parts, step, answer, now=now, state=StepState.OWED)


def _kit_parents(step: OwedStep) -> list[str]:
    parents = {line.parent for line in step.order.of_type(LineType.COMPONENT)}
    return [sku_key(line.sku) for line in step.order.lines if line.position in parents and line.sku]


def _totals_agree(step: OwedStep, document: ErpDocument, options: ErpOptions) -> bool:
    same_currency = document.currency in {"", step.order.currency}
    return same_currency and abs(document.total - step.order.total) <= options.total_tolerance
