"""The sums that must be right between the platform's figures, the order and the ERP, written out."""

from collections.abc import Sequence
from decimal import Decimal

from app.domain.balance import unspread_credit
from app.domain.credit import BEARERS, CreditTooLarge, shares
from app.domain.money import ZERO, round_half_up, smallest_unit
from app.domain.order import LineType, Order
from app.ports.erp import PlannedLine
from app.ports.explaining import Stray
from app.sync.explained_lines import written_line
from app.sync.explanation import Amount, Check, ExplainedLine, digits


def order_sums(
    order: Order, total: Amount, lines: Sequence[ExplainedLine], *, is_told: bool
) -> tuple[Check, ...]:
    """That the platform's figures come to our amounts, and our amounts to the total.

    `is_told`: the platform's figures are there, so that an amount without any has come from nowhere.
    """
    return (*_figures(total, lines, is_told=is_told), _lines(order))


def _figures(total: Amount, lines: Sequence[ExplainedLine], *, is_told: bool) -> tuple[Check, ...]:
    amounts = [("the total", total)]
    amounts += [(f"line {line.position}", each) for line in lines for each in line.amounts]
    # A share of store credit is our own, and has a check of its own.
    borne = {(f"line {line.position}", "credit") for line in lines if LineType[line.type.upper()] in BEARERS}
    compared = [(where, each) for where, each in amounts if each.adds_up is not None]
    found = []
    wrong = [f"the {each.makes} of {where}" for where, each in compared if not each.adds_up]
    if wrong:
        said = f"The platform's figures of today's reading do not come to what is stored: {', '.join(wrong)}."
        found.append(Check(said, holds=False))
    elif compared:
        text = f"The platform's figures come to all {len(compared)} amounts that have some."
        found.append(Check(text, holds=True))
    unfounded = [
        f"the {each.makes} of {where}"
        for where, each in amounts
        if is_told and each.value and each.adds_up is None and (where, each.makes) not in borne
    ]
    if unfounded:
        text = f"Where these come from cannot be told, the platform has no figure of them: {', '.join(unfounded)}."
        found.append(Check(text, holds=False))
    return tuple(found)


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


def stored_checks(order: Order, strays: Sequence[Stray] | None, *, is_spread: bool) -> tuple[Check, ...]:
    """That the order's rows are what they were made from, and that its store credit is spread by the rule.

    `is_spread`: the order is past where that is done.
    """
    found = []
    if strays:
        told = ", ".join(
            f"{each.column.replace('_', ' ')} of {_place(each)} {each.stored} in place of {each.due}"
            for each in strays
        )
        found.append(Check(f"The order's rows are not what they were made from: {told}.", holds=False))
    elif strays is not None:
        found.append(Check("The order's rows have the numbers that they were made from.", holds=True))
    return (*found, *_spread(order, is_spread=is_spread))


def _place(stray: Stray) -> str:
    return "the order" if stray.line is None else f"line {stray.line}"


def _spread(order: Order, *, is_spread: bool) -> tuple[Check, ...]:
    bearers = order.of_type(*BEARERS)
    is_borne = any(line.credit for line in bearers)
    if not is_borne and not (is_spread and unspread_credit(order.lines)):
        return ()
    unit = smallest_unit(order.currency)
    try:
        due = shares(order, unit=unit)
    except CreditTooLarge as error:
        return (Check(str(error), holds=False),)
    wrong = [
        f"line {line.position} bears {digits(line.credit, unit)} and not {digits(share, unit)}"
        for line in bearers
        if line.credit != (share := due[line.position].share if line.position in due else ZERO)
    ]
    if wrong:
        return (Check(f"The store credit is not spread by its rule: {', '.join(wrong)}.", holds=False),)
    return (Check("The store credit is spread in proportion, by largest remainder.", holds=True),)


def erp_sums(order: Order, lines: Sequence[PlannedLine]) -> tuple[Check, ...]:
    """That the ERP's lines come to the order's, and together to its total."""
    unit = smallest_unit(order.currency)
    return (_each_line(order, lines, unit), _together(order, lines, unit))


def document_sum(order: Order, erp_total: Decimal, *, tolerance: Decimal) -> Check:
    """That the ERP's document has the order's total."""
    unit = smallest_unit(order.currency)
    off = abs(erp_total - order.total)
    if off and off <= tolerance:
        text = f"The ERP's document = {digits(erp_total, unit)}, the order's total of {digits(order.total, unit)}"
        return Check(f"{text} within the tolerance of {digits(tolerance, unit)}.", holds=True)
    return _against_total(order, "The ERP's document", erp_total)


def _each_line(order: Order, lines: Sequence[PlannedLine], unit: Decimal) -> Check:
    """A line of which it cannot be told what it was made of has only its own arithmetic."""
    wrong = []
    for line in lines:
        computed = round_half_up(line.quantity * line.unit_price, unit=unit) - line.discount
        due = written_line(line, order).due if line.positions else line.net
        if not computed == line.net == due or not _has_the_quantity(line, order):
            wrong.append(f"{line.kind} {line.number}")
    if wrong:
        return Check(f"These ERP lines do not come to the order's lines: {', '.join(wrong)}.", holds=False)
    return Check("Each ERP line comes to the order's lines that it is made of.", holds=True)


def _has_the_quantity(line: PlannedLine, order: Order) -> bool:
    """Goods are written piece by piece, whatever the settings are."""
    of = [
        each
        for each in order.of_type(LineType.PRODUCT, LineType.COMPONENT)
        if each.position in line.positions
    ]
    return not of or sum((each.quantity for each in of), ZERO) == line.quantity


def _together(order: Order, lines: Sequence[PlannedLine], unit: Decimal) -> Check:
    """What has no line in the ERP is added: tax that it works out itself."""
    placed = {position for line in lines for position in line.positions}
    # Where a line of the ERP is made of we do not know what, that may be what seems to be left.
    is_known = all(line.positions for line in lines)
    left = [
        line
        for line in order.lines
        if is_known and line.position not in placed and line.amount != line.credit
    ]
    nets = sum((line.net for line in lines), ZERO)
    rest = sum((line.amount - line.credit for line in left), ZERO)
    if not left:
        return _against_total(order, "The ERP's lines", nets)
    where = ", ".join(f"line {line.position} ({line.type.name.lower()})" for line in left)
    text = f"The ERP's lines {digits(nets, unit)} + {digits(rest, unit)} of {where}, left to the ERP,"
    return _against_total(order, text, nets + rest)
