"""The sums that must be right between the platform's figures, the order and the ERP, written out."""

from collections.abc import Sequence
from decimal import Decimal

from app.domain.balance import unspread_credit
from app.domain.money import ZERO, round_half_up, smallest_unit
from app.domain.order import Order
from app.ports.erp import Plan
from app.sync.explained_lines import written_line
from app.sync.explanation import Amount, Check, ExplainedLine, digits


def order_sums(order: Order, total: Amount, lines: Sequence[ExplainedLine]) -> tuple[Check, ...]:
    """That the platform's figures come to our amounts, and our amounts to the total."""
    return (*_figures(total, lines), _lines(order))


def _figures(total: Amount, lines: Sequence[ExplainedLine]) -> tuple[Check, ...]:
    amounts = [("the total", total)]
    amounts += [(f"line {line.position}", each) for line in lines for each in line.amounts]
    compared = [(where, each) for where, each in amounts if each.adds_up is not None]
    if not compared:
        return ()
    wrong = [f"the {each.makes} of {where}" for where, each in compared if not each.adds_up]
    if wrong:
        said = f"The platform's figures of today's reading do not come to what is stored: {', '.join(wrong)}."
        return (Check(said, holds=False),)
    return (Check(f"The platform's figures come to all {len(compared)} amounts that have some.", holds=True),)


def _lines(order: Order) -> Check:
    unit = smallest_unit(order.currency)
    amounts = sum((line.amount for line in order.lines), ZERO)
    credit = sum((line.credit for line in order.lines), ZERO)
    waiting = unspread_credit(order.lines)
    off = [("credit", credit), ("store credit that is not spread yet", waiting)]
    taken = "".join(f" - {name} {digits(value, unit)}" for name, value in off if value)
    text = f"The lines {digits(amounts, unit)}{taken}" if taken else "The lines"
    return _against_total(order, text, amounts - credit - waiting)


def _against_total(order: Order, text: str, value: Decimal) -> Check:
    unit = smallest_unit(order.currency)
    if value == order.total:
        return Check(f"{text} = {digits(value, unit)}, the order's total.", holds=True)
    return Check(
        f"{text} = {digits(value, unit)}, not the order's total of {digits(order.total, unit)}.", holds=False
    )


def erp_sums(
    order: Order, plan: Plan, *, erp_total: Decimal | None, tolerance: Decimal, sent: str | None
) -> tuple[Check, ...]:
    """That the ERP's lines come to the order's, its document to the order's total, and that it was sent like this."""
    unit = smallest_unit(order.currency)
    found = [_each_line(order, plan, unit), _together(order, plan, unit)]
    if erp_total is not None:
        found.append(_document(order, erp_total, tolerance, unit))
    if sent is not None:
        is_same = sent == plan.request
        same, other = (
            "What was sent to the ERP is exactly what these lines make.",
            "What was sent to the ERP is not what these lines make today: the order's settings or the ERP's were changed since.",
        )
        found.append(Check(same if is_same else other, holds=is_same))
    return tuple(found)


def _document(order: Order, erp_total: Decimal, tolerance: Decimal, unit: Decimal) -> Check:
    off = abs(erp_total - order.total)
    if off and off <= tolerance:
        text = f"The ERP's document = {digits(erp_total, unit)}, the order's total of {digits(order.total, unit)}"
        return Check(f"{text} within the tolerance of {digits(tolerance, unit)}.", holds=True)
    return _against_total(order, "The ERP's document", erp_total)


def _each_line(order: Order, plan: Plan, unit: Decimal) -> Check:
    wrong = []
    for line in plan.lines:
        computed = round_half_up(line.quantity * line.unit_price, unit=unit) - line.discount
        if not computed == line.net == written_line(line, order).due:
            wrong.append(f"{line.kind} {line.number}")
    if wrong:
        return Check(f"These ERP lines do not come to the order's lines: {', '.join(wrong)}.", holds=False)
    return Check("Each ERP line comes to the order's lines that it is made of.", holds=True)


def _together(order: Order, plan: Plan, unit: Decimal) -> Check:
    """What has no line in the ERP is added: tax that it works out itself."""
    written = {position for line in plan.lines for position in line.positions}
    left = [line for line in order.lines if line.position not in written and line.amount != line.credit]
    nets = sum((line.net for line in plan.lines), ZERO)
    rest = sum((line.amount - line.credit for line in left), ZERO)
    if not left:
        return _against_total(order, "The ERP's lines", nets)
    where = ", ".join(f"line {line.position} ({line.type.name.lower()})" for line in left)
    text = f"The ERP's lines {digits(nets, unit)} + {digits(rest, unit)} of {where}, left to the ERP,"
    return _against_total(order, text, nets + rest)
