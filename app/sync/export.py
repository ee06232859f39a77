"""Writing orders to the ERP: intent, look, write, confirm. What got no answer is looked up and never blindly sent again."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from app.domain.road import Owed
from app.errors import Misconfigured, OrderSyncError, Unknown
from app.ports.erp import Draft, Erp, ErpDocument, ErpItem, Exchange
from app.ports.store import Closed, ErpRow, OwedStep, Site, StepOutcome, Waiting
from app.sync import standing
from app.sync.customers import Customers
from app.sync.options import ErpOptions, erp_options
from app.sync.outcomes import answered, kit_parents, looked_up
from app.sync.owed import (
    check_open,
    check_reachable,
    failure,
    failures,
    gate,
    in_time,
    may_write,
    pause_channel,
)
from app.sync.parts import Parts, site_with_id
from app.sync.steps import StepResult, report, step_result
from app.sync.telling import pause_erp, tell_rejected
from app.sync.verify import items_of

log = structlog.get_logger("ordersync.road")

_AT_ONCE = 100
_STILL_FRESH = timedelta(seconds=2)
"""An answer to the mark that is no older than this shows how an order stands; asking again would see nothing newer."""


def export(parts: Parts, *, batch_id: int) -> StepResult:
    """Write the batch's orders to the ERP as one document each."""
    total = StepResult()
    started = parts.ticks()
    while in_time(parts, started):
        result = _some(parts, batch_id=batch_id, started=started)
        if result is None:
            break
        total = total.and_then(result)
    return total


def _some(parts: Parts, *, batch_id: int, started: float) -> StepResult | None:
    token = str(uuid.uuid4())
    claim = parts.store.claim_steps
    owed = claim(
        Owed.EXPORT, batch_id=batch_id, token=token, lease_seconds=parts.limits.lease, limit=_AT_ONCE
    )
    if not owed:
        return None
    begun = parts.ticks()
    site = site_with_id(parts, owed[0].site_id)
    workable, outcomes = gate(parts, site, owed)
    work = _Export(parts, site, token=token, started=started, outcomes=outcomes)
    try:
        if workable:
            work.run(workable)
    finally:
        # Whatever stopped the work, what has become of each order by then is stored. The others' lease ends by itself.
        settled = parts.store.settle_steps(
            Owed.EXPORT,
            batch_id=batch_id,
            token=token,
            outcomes=work.outcomes,
            closed=work.closed,
            exchanges=work.exchanges_of(owed),
        )
    failed = tell_rejected(
        Owed.EXPORT, work.outcomes, numbers={step.step_id: step.external_number for step in owed}
    )
    report(parts, Owed.EXPORT, batch_id, settled, claimed=len(owed), failed=failed, started=begun)
    return step_result(parts, settled, restarted=tuple(work.restarted))


@dataclass(frozen=True, slots=True)
class _OpenErp:
    """The ERP that a step's order was written for."""

    row: ErpRow
    erp: Erp
    options: ErpOptions


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
    exchanges: dict[str, list[Exchange]] = field(default_factory=dict)

    def told(self, external_number: str, exchange: Exchange) -> None:
        """Keep what was sent for an order, and what came back."""
        self.exchanges.setdefault(external_number, []).append(exchange)

    def exchanges_of(self, owed: Sequence[OwedStep]) -> Mapping[int, Sequence[Exchange]]:
        """What was sent for these steps, by their ids; those for which nothing was sent are left out."""
        return {
            step.step_id: self.exchanges[step.external_number]
            for step in owed
            if step.external_number in self.exchanges
        }

    def run(self, owed: Sequence[OwedStep]) -> None:
        """Every step ends in `outcomes`, in `closed`, or restarts."""
        wanted = self._still_wanted(owed)
        if not wanted:
            return
        left = {step.step_id: step for step in wanted}
        try:
            for row in self.parts.store.erps():
                # To the ERP the order was written for, whatever the site's settings say today.
                of_row = [step for step in wanted if step.erp_id == row.id]
                if of_row:
                    self._deliver(row, of_row, left)
        except OrderSyncError as error:
            # Raised only by what reads: nothing was sent for those that are left, and what was in doubt stays so.
            log.warning("step_failed", link="export", site=self.site.name, failure=type(error).__name__)
            if isinstance(error, Misconfigured):
                self._pause_erp(error)
            self.outcomes += failures(self.parts, list(left.values()), error)

    def _pause_erp(self, error: Misconfigured) -> None:
        for row in self.parts.store.erps():
            if self.site.erp_id in {None, row.id}:
                pause_erp(self.parts, row, error)

    def _still_wanted(self, owed: Sequence[OwedStep]) -> list[OwedStep]:
        """Ask the platform about those not just seen by acknowledging. What may have been sent is looked up in any case."""
        now = self.parts.store.now()
        sent = [step for step in owed if step.begun]
        fresh = [
            step
            for step in owed
            if not step.begun
            and step.acknowledged_at is not None
            and now - step.acknowledged_at < _STILL_FRESH
        ]
        known = {step.step_id for step in (*sent, *fresh)}
        to_ask = [step for step in owed if step.step_id not in known]
        if not to_ask:
            return [*sent, *fresh]
        try:
            check_reachable(self.parts, self.site)
            found = standing.ask(self.parts, self.site, self.parts.peers.channel(self.site), to_ask)
        except OrderSyncError as error:
            pause_channel(self.parts, self.site, error)
            self.outcomes += failures(self.parts, to_ask, error)
            return [*sent, *fresh]
        self.closed += found.closed
        self.restarted += found.restarted
        return [*sent, *fresh, *found.wanted]

    def _deliver(self, row: ErpRow, owed: Sequence[OwedStep], left: dict[int, OwedStep]) -> None:
        """Look, and then write what is not there. A step leaves `left` when its outcome stands."""
        check_open(self.parts, row)
        to = _OpenErp(row, self.parts.peers.erp(row), erp_options(row.settings))
        asked_at = self.parts.store.now()
        documents = to.erp.find_documents([step.external_number for step in owed])
        customers = Customers(
            self.parts,
            to.erp,
            row,
            to.options,
            told=self.told,
            in_time=lambda: may_write(self.parts, row, self.started),
        )
        customers.look_up([step.order for step in owed])
        absent = []
        for step in owed:
            found = documents[step.external_number]
            outcome = looked_up(step, found, customers, to.options, asked_at=asked_at)
            if outcome is None:
                absent.append(step)
            else:
                self._settle(outcome, step, left)
        kits = list(dict.fromkeys(sku for step in absent for sku in kit_parents(step)))
        items = items_of(self.parts, row, kits)
        self._send(to, customers, absent, left, items=items)

    def _settle(self, outcome: StepOutcome, step: OwedStep, left: dict[int, OwedStep]) -> None:
        self.outcomes.append(outcome)
        del left[step.step_id]

    def _send(
        self,
        to: _OpenErp,
        customers: Customers,
        absent: Sequence[OwedStep],
        left: dict[int, OwedStep],
        *,
        items: Mapping[str, ErpItem],
    ) -> None:
        """Write in slices of one request, each with its own intent, while a call that begins now ends before the lease does."""
        waiting = list(absent)
        ready: list[tuple[OwedStep, Draft]] = []
        while (waiting or ready) and in_time(self.parts, self.started):
            if waiting and len(ready) < to.erp.slice_size:
                step = waiting.pop(0)
                number = self._customer(step, customers)
                if isinstance(number, str):
                    ready.append((step, _draft(step, number, items)))
                else:
                    self._settle(number, step, left)
                continue
            self._write(to, ready, left)
            ready = []
        # No time for the rest under this lease: they are due again at once, and nothing was sent for them.
        now = self.parts.store.now()
        unsent = [*waiting, *(each for each, _ in ready)]
        if len(unsent) == len(absent) and absent:
            log.warning("no_time_to_send", site=self.site.name, orders=len(absent))
        for step in unsent:
            self._settle(Waiting(id=step.step_id, reason="", next_at=now), step, left)

    def _customer(self, step: OwedStep, customers: Customers) -> str | StepOutcome:
        """The customer's number, or the outcome of a step that cannot have one now."""
        try:
            return customers.number(step.order)
        except Unknown as error:
            at = customers.next_look(self.parts.store.now())
            return Waiting(id=step.step_id, reason=error.reason, next_at=at)
        except OrderSyncError as error:
            if isinstance(error, Misconfigured):
                self._pause_erp(error)
            return failure(self.parts, step, error, now=self.parts.store.now())

    def _write(
        self,
        to: _OpenErp,
        ready: Sequence[tuple[OwedStep, Draft]],
        left: dict[int, OwedStep],
    ) -> None:
        ours = set(self.parts.store.intend([step.step_id for step, _ in ready], token=self.token))
        sending = [(step, draft) for step, draft in ready if step.step_id in ours]
        intent_at = self.parts.store.now()
        answers = self._answers(to, [draft for _, draft in sending])
        now = self.parts.store.now()
        for step, _ in sending:
            answer = answers[step.external_number]
            self._settle(
                answered(self.parts, step, answer, to.options, intent_at=intent_at, now=now), step, left
            )
        for step, _ in ready:
            # Those that are no longer ours have been taken over, or run again with a new version.
            left.pop(step.step_id, None)

    def _answers(self, to: _OpenErp, drafts: Sequence[Draft]) -> Mapping[str, ErpDocument | OrderSyncError]:
        if not drafts:
            return {}
        try:
            return to.erp.create_documents(
                drafts, in_time=lambda: may_write(self.parts, to.row, self.started), told=self.told
            )
        except Misconfigured as error:
            # Raised only before anything was sent.
            self._pause_erp(error)
            return {draft.external_number: error for draft in drafts}


def _draft(step: OwedStep, customer_number: str, items: Mapping[str, ErpItem]) -> Draft:
    return Draft(
        external_number=step.external_number, customer_number=customer_number, order=step.order, items=items
    )
