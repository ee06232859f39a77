"""What would become of orders, by reads alone: the work of every link that is left, up to the request that would be sent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain import document
from app.domain.order import Order
from app.domain.road import Link, Owed, Stage, StepState
from app.domain.words import counted
from app.errors import Hold, OrderSyncError, Reject
from app.ports.desk import DeskOrder
from app.ports.erp import Draft, Erp, ErpDocument, ErpItem, Exchange
from app.ports.store import (
    Claimed,
    ErpRow,
    Failed,
    OwedStep,
    Site,
    StepDone,
    StepOutcome,
    Waiting,
)
from app.sync import pipeline
from app.sync.customers import Customers
from app.sync.options import erp_options
from app.sync.outcomes import kit_parents, looked_up
from app.sync.parts import Parts, erp_of, maintenance_until, paused_sentence
from app.sync.policy import HOLD_MAINTENANCE
from app.sync.repaired import normalized
from app.sync.steps import Outcome, each_order
from app.sync.verify import items_of

_NEW_CUSTOMER = "(new)"


@dataclass(frozen=True, slots=True)
class Foreseen:
    """How far an order would come: all the way where `failure` is None, else to `link`, where that would stop it.

    `sentence` says what would be done at the end, `request` is what would be sent to the ERP, empty where nothing would.
    """

    link: Link
    failure: OrderSyncError | None
    sentence: str
    order: Order | None = None
    request: str = ""


Work = Callable[[Parts, Site, Sequence[Claimed]], dict[int, Outcome]]


def _normalized(parts: Parts, site: Site, claimed: Sequence[Claimed]) -> dict[int, Outcome]:
    channel = parts.peers.channel(site)
    return each_order(
        claimed,
        lambda each: normalized(channel, each.body or "", prefix=site.prefix, repairs=each.repairs),
    )


_WORK: Mapping[Stage, Work] = {
    Stage.NORMALIZE: _normalized,
    Stage.VERIFY_SKUS: pipeline.verified,
    Stage.EXPAND_KITS: pipeline.expanded,
    Stage.APPLY_STORE_CREDIT: lambda _parts, site, claimed: pipeline.credited(site, claimed),
}
"""The stages before an order is written, each by the same rules as on the road."""


def rehearse(parts: Parts, site: Site, orders: Sequence[DeskOrder]) -> Mapping[int, Foreseen]:
    """What would become of these orders of one site if they went on now from where they stand, by thread.

    Nothing is changed anywhere: neither here nor on the platform nor in the ERP. Never raises for a failure of the ERP: that
    is what is foreseen then.
    """
    return _Rehearsal(parts, site, orders).run()


def _nobody(_number: str, _exchange: Exchange) -> None:
    """Nothing is written, so there is nothing to tell."""


class _Rehearsal:
    """One pass over the stages that are left; orders drop out with what would stop them."""

    def __init__(self, parts: Parts, site: Site, orders: Sequence[DeskOrder]) -> None:
        self._parts = parts
        self._site = site
        self._orders = {each.thread_id: each for each in orders}
        self._foreseen: dict[int, Foreseen] = {}
        self._so_far: dict[int, Order] = {}

    def run(self) -> Mapping[int, Foreseen]:
        self._begin()
        until = maintenance_until(self._parts, self._site)
        if until is None:
            for stage, work in _WORK.items():
                self._pass(stage, work)
        else:
            self._pass(Stage.NORMALIZE, _normalized)
            self._hold_all(until)
        self._judge_without_the_erp()
        left = [each for each in self._orders if each not in self._foreseen]
        try:
            self._write(left)
        except OrderSyncError as error:
            for thread_id in left:
                if thread_id not in self._foreseen:
                    self._stop(thread_id, Owed.EXPORT, error)
        return self._foreseen

    def _begin(self) -> None:
        for each in self._orders.values():
            if each.stage is not Stage.NORMALIZE and each.document is not None:
                self._so_far[each.thread_id] = document.load_text(each.document)
            elif each.body is None:
                reason = "What the platform sent is not stored any more; have it read again (ordersync errors replay --read-again)."
                self._stop(each.thread_id, Stage.NORMALIZE, Reject(reason, kind="internal"))

    def _hold_all(self, until: datetime) -> None:
        """While the ERP is under maintenance nothing goes on."""
        hold = Hold(paused_sentence(self._parts.store.now(), until), kind=HOLD_MAINTENANCE, until=until)
        for thread_id, each in self._orders.items():
            if thread_id not in self._foreseen:
                self._stop(thread_id, Owed.EXPORT if each.stage is Stage.DELIVER else each.stage, hold)

    def _judge_without_the_erp(self) -> None:
        """What can be said of orders that wait for the ERP: whether they would fail on their own sums, or on their columns."""
        waiting = [
            thread_id
            for thread_id, foreseen in self._foreseen.items()
            if not isinstance(foreseen.failure, Reject) and thread_id in self._so_far
        ]
        stages = tuple(Stage)
        for thread_id in waiting:
            each = self._orders[thread_id]
            if stages.index(each.stage) <= stages.index(Stage.APPLY_STORE_CREDIT):
                outcome = pipeline.credited(self._site, [self._claimed(each)])[thread_id]
                if isinstance(outcome, Reject):
                    self._stop(thread_id, Stage.APPLY_STORE_CREDIT, outcome)
                    continue
            unfit = self._parts.store.unfit(self._so_far[thread_id], erp_id=0, thread_id=thread_id)
            if unfit is not None:
                self._stop(thread_id, Stage.WRITE, Reject(unfit[0], field=unfit[1]))

    def _stop(self, thread_id: int, link: Link, failure: OrderSyncError) -> None:
        order = self._so_far.get(thread_id)
        self._foreseen[thread_id] = Foreseen(link, failure, failure.reason, order)

    def _pass(self, stage: Stage, work: Work) -> None:
        stages = tuple(Stage)
        here = [
            each
            for each in self._orders.values()
            if each.thread_id not in self._foreseen and stages.index(each.stage) <= stages.index(stage)
        ]
        if not here:
            return
        try:
            outcomes = work(self._parts, self._site, [self._claimed(each) for each in here])
        except OrderSyncError as error:
            outcomes = {each.thread_id: error for each in here}
        for each in here:
            outcome = outcomes[each.thread_id]
            if isinstance(outcome, Order):
                self._so_far[each.thread_id] = outcome
            else:
                self._stop(each.thread_id, stage, outcome)

    def _claimed(self, each: DeskOrder) -> Claimed:
        order = self._so_far.get(each.thread_id)
        return Claimed(
            thread_id=each.thread_id,
            site_id=each.site_id,
            order_number=each.order_number,
            platform_order_id=each.platform_order_id,
            attempts=1,
            unsettled=0,
            waiting_since=None,
            # What is believed of an item from a moment ago may be what has been put right since.
            fresh=True,
            body=each.body,
            document=None if order is None else document.dump_text(order),
            version=each.version,
            completed=True,
            repairs=each.repairs,
        )

    def _write(self, thread_ids: Sequence[int]) -> None:
        """Whether each fits its rows, and what its export would do, by one question each for all of them."""
        rows = {row.id: row for row in self._parts.store.erps()}
        default = erp_of(self._parts, self._site)
        by_erp: dict[int, list[int]] = {}
        for each in thread_ids:
            # To the ERP the order was written for, whatever the site's settings say today.
            erp_id = self._orders[each].erp_id or default.id
            unfit = self._parts.store.unfit(self._so_far[each], erp_id=erp_id, thread_id=each)
            if unfit is not None:
                self._stop(each, Stage.WRITE, Reject(unfit[0], field=unfit[1]))
            elif erp_id not in rows:
                self._stop(each, Owed.EXPORT, Reject("Its ERP is not connected any more.", kind="settings"))
            else:
                by_erp.setdefault(erp_id, []).append(each)
        for erp_id, ids in by_erp.items():
            self._export(rows[erp_id], ids)

    def _export(self, row: ErpRow, thread_ids: Sequence[int]) -> None:
        parts = self._parts
        erp = parts.peers.erp(row)
        options = erp_options(row.settings)
        asked_at = parts.store.now()
        steps = [_step(self._orders[each], self._so_far[each], row.id) for each in thread_ids]
        documents = erp.find_documents([step.external_number for step in steps])
        customers = Customers(parts, erp, row, options, told=_nobody, in_time=lambda: False)
        customers.look_up([step.order for step in steps])
        items = items_of(parts, row, list(dict.fromkeys(sku for step in steps for sku in kit_parents(step))))
        for step in steps:
            export = self._orders[step.thread_id].step(Owed.EXPORT)
            if (
                export is not None
                and export.state is StepState.DONE
                and not self._has_error_at_export(step.thread_id)
            ):
                sentence = f"It is in the ERP as {export.document}; only the mark on the platform is still to be set."
                self._foreseen[step.thread_id] = Foreseen(Owed.ACKNOWLEDGE, None, sentence, step.order)
                continue
            found = looked_up(step, documents[step.external_number], customers, options, asked_at=asked_at)
            self._foreseen[step.thread_id] = _foreseen(step, found, customers, erp, items)

    def _has_error_at_export(self, thread_id: int) -> bool:
        return any(each.stage == Owed.EXPORT for each in self._orders[thread_id].errors)


def _step(each: DeskOrder, order: Order, erp_id: int) -> OwedStep:
    export = each.step(Owed.EXPORT)
    return OwedStep(
        step_id=each.thread_id,
        thread_id=each.thread_id,
        site_id=each.site_id,
        erp_id=erp_id,
        state=StepState.OWED if export is None else export.state,
        attempts=1,
        unsettled=0,
        waiting_since=None,
        intent_at=None if export is None else export.intent_at,
        acknowledged_at=each.acknowledged_at,
        platform_order_id=each.platform_order_id,
        external_number=order.number.upper(),
        document=document.dump_text(order),
        linked="" if export is None else export.document,
    )


def _foreseen(
    step: OwedStep,
    found: StepOutcome | None,
    customers: Customers,
    erp: Erp,
    items: Mapping[str, ErpItem],
) -> Foreseen:
    """What the export would do, by what the ERP has under the order's number."""
    order = step.order
    match found:
        case Failed(reason=reason, kind=kind, field=field):
            return Foreseen(Owed.EXPORT, Reject(reason, kind=kind, field=field), reason, order)
        case StepDone(document=ErpDocument() as there):
            sentence = f"The ERP has it as document {there.number}; it would be tied to that one."
            return Foreseen(Owed.EXPORT, None, sentence, order)
        case Waiting(state=StepState.IN_DOUBT, reason=reason):
            return Foreseen(Owed.EXPORT, None, reason, order)
        case _:
            return _planned(step, customers, erp, items)


def _planned(step: OwedStep, customers: Customers, erp: Erp, items: Mapping[str, ErpItem]) -> Foreseen:
    order = step.order
    try:
        number = customers.foreseen(order)
        draft = Draft(
            external_number=step.external_number,
            customer_number=number or _NEW_CUSTOMER,
            order=order,
            items=items,
        )
        plan = erp.plan(draft)
    except Reject as error:
        return Foreseen(Owed.EXPORT, error, error.reason, order)
    customer = f"for customer {number}" if number else "for a customer that would be created"
    sentence = (
        f"It would be written to the ERP as {step.external_number} {customer}: "
        f"{counted(len(plan.lines), 'line')}, {order.total} {order.currency}."
    )
    return Foreseen(Owed.EXPORT, None, sentence, order, plan.request)
