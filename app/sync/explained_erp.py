"""The lines of the ERP's document: as they were sent where that is stored, else as they are, or would be, written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from app.domain.money import ZERO, smallest_unit
from app.domain.order import LineType, Order, sku_key
from app.domain.road import Stage
from app.errors import OrderSyncError
from app.ports.erp import Draft, Erp, ErpItem, ItemKind, Plan, PlannedLine
from app.sync.explained_material import Material
from app.sync.explanation import digits
from app.sync.parts import Parts

_PLANNED = frozenset((Stage.WRITE, Stage.DELIVER))
"""Where an order stands whose kits are expanded and whose credit is spread, so that it can be written."""
_GOODS = (LineType.PRODUCT, LineType.COMPONENT)


@dataclass(frozen=True, slots=True)
class Written:
    """The ERP's lines. `as_sent`: what was sent is to the letter what today's settings make of the order."""

    lines: tuple[PlannedLine, ...]
    as_sent: bool


def is_planned(material: Material) -> bool:
    """Whether the order has come as far as the ERP's lines."""
    return material.stage in _PLANNED


def written(parts: Parts, material: Material, order: Order, notes: list[str]) -> Written | None:
    """What is, or was, written to the ERP for the order as it stands; None, and a note why, where that cannot be said."""
    if material.order is None:
        return None
    if not is_planned(material):
        why = f": {material.reason}" if material.reason else "."
        notes.append(
            f"It has not come as far as the ERP's lines; it is {material.state} at {material.stage}{why}"
        )
        return None
    if material.erp is None:
        notes.append("The ERP that it goes to is not connected, so its lines there cannot be told.")
        return None
    try:
        erp = parts.peers.erp(material.erp)
    except OrderSyncError as error:
        notes.append(f"The ERP's lines cannot be told: {error.reason}")
        return None
    return _of(erp, material, order, notes)


def _of(erp: Erp, material: Material, order: Order, notes: list[str]) -> Written | None:
    refusal = ""
    plan = None
    try:
        plan = _plan(erp, material, order)
    except OrderSyncError as error:
        refusal = error.reason
    request = material.evidence.sent
    if material.erp_document and request is not None:
        found = _sent(erp, request, order, plan, notes)
        if found is not None:
            if plan is None:
                notes.append(f"With today's settings it could not be written: {refusal}")
            return found
    if plan is None:
        notes.append(f"The ERP's lines cannot be told: {refusal}")
        return None
    if material.erp_document and request is None:
        notes.append(
            "The request that wrote it is not stored; the ERP's lines are those that today's settings make of it."
        )
    elif request is not None and request != plan.request:
        notes.append("What was last sent to the ERP is not what these lines make.")
    return Written(plan.lines, as_sent=request == plan.request)


def _plan(erp: Erp, material: Material, order: Order) -> Plan:
    return erp.plan(
        Draft(
            external_number=material.external_number or order.number.upper(),
            customer_number=material.customer_number,
            order=order,
            items=_kit_items(order),
        )
    )


def _kit_items(order: Order) -> dict[str, ErpItem]:
    """The kit parents as they have to be in the ERP: whether they are is asked when the order is written, and changes no amount."""
    parents = {line.parent for line in order.of_type(LineType.COMPONENT)}
    skus = {sku_key(line.sku or "") for line in order.lines if line.position in parents}
    return {sku: ErpItem(sku, "", blocked=False, kind=ItemKind.NON_INVENTORY) for sku in skus}


def _sent(erp: Erp, request: str, order: Order, plan: Plan | None, notes: list[str]) -> Written | None:
    """The lines of the stored request, at the places of the order's lines that they were made of."""
    try:
        lines = erp.sent_lines(request, currency=order.currency)
    except OrderSyncError as error:
        notes.append(f"What was sent to the ERP cannot be told: {error.reason}")
        return None
    placed = _placed(lines, order, plan)
    if plan is not None and plan.request != request:
        notes.append(_otherwise(placed, plan, order))
    unit = smallest_unit(order.currency)
    for each in placed:
        if not each.positions:
            text = f"{each.kind} {each.number} of {digits(each.net, unit)}"
            notes.append(f"Of what lines of the order the ERP's line {text} was made cannot be told.")
    return Written(placed, as_sent=plan is not None and plan.request == request)


def _placed(lines: Sequence[PlannedLine], order: Order, plan: Plan | None) -> tuple[PlannedLine, ...]:
    """Each line at those positions where today's plan has one of its kind, or else at those that come to its amount."""
    kinds = [each.kind for each in lines]
    if plan is not None and [each.kind for each in plan.lines] == kinds:
        return tuple(
            replace(sent, positions=planned.positions)
            for sent, planned in zip(lines, plan.lines, strict=True)
        )
    left = list(_candidates(order))
    placed = []
    for each in lines:
        at = next((at for at, (_, net) in enumerate(left) if net == each.net), None)
        placed.append(each if at is None else replace(each, positions=left[at][0]))
        # Both are in the order of the order's lines.
        left = left if at is None else left[at + 1 :]
    return tuple(placed)


def _candidates(order: Order) -> Iterator[tuple[tuple[int, ...], Decimal]]:
    """What a line can have been made of, and what it comes to then: each line by itself, and all taxes together at the end."""
    for line in order.lines:
        net = line.amount - line.credit
        if line.type in _GOODS or (net and line.type is not LineType.TAX):
            yield (line.position,), net
    taxes = order.of_type(LineType.TAX)
    if taxes:
        yield tuple(each.position for each in taxes), sum((each.amount - each.credit for each in taxes), ZERO)


def _otherwise(lines: Sequence[PlannedLine], plan: Plan, order: Order) -> str:
    """How the plan of today differs from what was sent."""
    unit = smallest_unit(order.currency)
    sent, today = ([_told(each, unit) for each in some] for some in (lines, plan.lines))
    was = [each for each in sent if each not in today]
    now = [each for each in today if each not in sent]
    if not was and not now:
        return "With today's settings it would be written otherwise, but with the same lines."
    changes = [f"{', '.join(some) or 'nothing'}" for some in (now, was)]
    return f"With today's settings it would be written otherwise: {changes[0]} in place of {changes[1]}."


def _told(line: PlannedLine, unit: Decimal) -> str:
    quantity = "" if line.quantity == 1 else f"{digits(line.quantity, Decimal(1))} pieces, "
    return f"{line.kind} {line.number} ({quantity}{digits(line.net, unit)})"
