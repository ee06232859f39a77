"""The road of an order, in the order it is travelled.

    fetch > normalize > verify_skus > expand_kits > apply_store_credit > write > acknowledge > export

Each function takes a batch of up to a hundred orders one stage further and may be called at any time, any number of times:
it claims the batch's orders that stand at its stage and are due, and settles each of them by itself.
"""

from collections.abc import Callable, Sequence
from functools import partial

from app.domain.balance import computed_total, sum_text
from app.domain.credit import CreditTooLarge
from app.domain.credit import apply_store_credit as spread_credit
from app.domain.kits import KitError, Kits, expand
from app.domain.money import smallest_unit
from app.domain.order import Order
from app.domain.road import Stage
from app.errors import OrderSyncError, Reject
from app.ports.sales_channel import SalesChannel
from app.ports.store import Claimed, Site
from app.sync.acknowledge import acknowledge
from app.sync.export import export
from app.sync.fetch import fetch
from app.sync.parts import Parts, erp_of
from app.sync.repaired import normalized
from app.sync.steps import Outcome, StepResult, each_order, run_stage
from app.sync.verify import judged, verdicts, wanted_skus

__all__ = [
    "acknowledge",
    "apply_store_credit",
    "expand_kits",
    "export",
    "fetch",
    "normalize",
    "verify_skus",
    "write",
]


def normalize(parts: Parts, *, batch_id: int) -> StepResult:
    """From the platform's words to ours, balanced to the cent."""

    def work(site: Site, claimed: Sequence[Claimed]) -> dict[int, Outcome]:
        channel = parts.peers.channel(site)
        bodies, missing = _completed(parts, site, channel, claimed)
        there = [each for each in claimed if each.thread_id in bodies]
        found = each_order(
            there,
            lambda each: normalized(
                channel, bodies[each.thread_id], prefix=site.prefix, repairs=each.repairs
            ),
        )
        for thread_id, outcome in found.items():
            if isinstance(outcome, Reject):
                outcome.worth = channel.worth(bodies[thread_id])
        return missing | found

    return run_stage(parts, Stage.NORMALIZE, batch_id=batch_id, work=work)


def _completed(
    parts: Parts, site: Site, channel: SalesChannel, claimed: Sequence[Claimed]
) -> tuple[dict[int, str], dict[int, Outcome]]:
    """Each order's body with all its parts, and the failures of those that have none now. What took a call is kept."""
    bodies: dict[int, str] = {}
    missing: dict[int, Outcome] = {}
    asked: list[tuple[Claimed, str]] = []
    for each in claimed:
        if each.body is None:
            missing[each.thread_id] = Reject(
                f"What the platform sent is not stored any more; `ordersync reconcile {site.name} --heal` reads it again.",
                kind="internal",
            )
        elif each.completed:
            bodies[each.thread_id] = each.body
        else:
            asked.append((each, each.body))
    answers = channel.complete([body for _, body in asked])
    kept: dict[tuple[str, int], str] = {}
    for (each, body), answer in zip(asked, answers, strict=True):
        if isinstance(answer, OrderSyncError):
            missing[each.thread_id] = answer
            continue
        bodies[each.thread_id] = answer
        if answer is not body and answer != body:
            kept[each.platform_order_id, each.version] = answer
    parts.store.keep_completed(site.id, kept)
    return bodies, missing


def verify_skus(parts: Parts, *, batch_id: int) -> StepResult:
    """Three tiers: known to the middleware, allowed there, sold by the ERP; kit components as well."""
    return run_stage(parts, Stage.VERIFY_SKUS, batch_id=batch_id, work=partial(verified, parts))


def verified(parts: Parts, site: Site, claimed: Sequence[Claimed]) -> dict[int, Outcome]:
    """The work of `verify_skus`: it asks the ERP and changes nothing."""
    return _verified(
        parts, site, claimed, change=lambda order, _kits: order, afresh=any(each.fresh for each in claimed)
    )


def expand_kits(parts: Parts, *, batch_id: int) -> StepResult:
    """Kit lines get their components; the expansion is stored with the order, so a later change of the kit leaves it alone."""
    return run_stage(parts, Stage.EXPAND_KITS, batch_id=batch_id, work=partial(expanded, parts))


def expanded(parts: Parts, site: Site, claimed: Sequence[Claimed]) -> dict[int, Outcome]:
    """The work of `expand_kits`: it asks the ERP and changes nothing."""

    def change(order: Order, kits: Kits) -> Order:
        try:
            return expand(order, kits=kits)
        except KitError as error:
            raise Reject(str(error), kind="kit") from None

    return _verified(parts, site, claimed, change=change, afresh=False)


def _verified(
    parts: Parts,
    site: Site,
    claimed: Sequence[Claimed],
    *,
    change: Callable[[Order, Kits], Order],
    afresh: bool,
) -> dict[int, Outcome]:
    """Each order after `change`, with the verdicts of all its SKUs; one question to the ERP for all of them.

    The definitions are read once: what is expanded by them is verified by the same.
    """
    row = erp_of(parts, site)
    kits = parts.store.kits()
    changed = each_order(claimed, lambda each: change(each.order, kits))
    ready = {thread_id: order for thread_id, order in changed.items() if isinstance(order, Order)}
    skus = [sku for order in ready.values() for sku in wanted_skus(order, kits=kits)]
    found = verdicts(parts, row, skus, afresh=afresh)
    now = parts.store.now()
    by_thread = {each.thread_id: each for each in claimed if each.thread_id in ready}
    system = parts.peers.connector(row.platform).title
    judged_orders = each_order(
        list(by_thread.values()),
        lambda each: judged(
            ready[each.thread_id], found=found, kits=kits, erp_id=row.id, system=system, now=now
        ),
    )
    return {**changed, **judged_orders}


def apply_store_credit(parts: Parts, *, batch_id: int) -> StepResult:
    """Store credit is spread over the lines that bear it; afterwards the lines add up to the total."""
    return run_stage(parts, Stage.APPLY_STORE_CREDIT, batch_id=batch_id, work=credited)


def credited(_site: Site, claimed: Sequence[Claimed]) -> dict[int, Outcome]:
    """The work of `apply_store_credit`."""

    def applied(each: Claimed) -> Order:
        order = each.order
        try:
            spread = spread_credit(order, unit=smallest_unit(order.currency))
        except CreditTooLarge as error:
            raise Reject(str(error), kind="totals") from None
        if computed_total(spread.lines) != spread.total:
            raise Reject(
                f"The lines do not add up to the total: {sum_text(spread)}.", kind="totals", field="/total"
            )
        return spread

    return each_order(claimed, applied)


def write(parts: Parts, *, batch_id: int) -> StepResult:
    """The order's rows and what is owed to the outside, in one transaction."""

    def work(site: Site, claimed: Sequence[Claimed]) -> dict[int, Outcome]:
        erp_of(parts, site)
        return each_order(claimed, lambda each: each.order)

    return run_stage(parts, Stage.WRITE, batch_id=batch_id, work=work)
