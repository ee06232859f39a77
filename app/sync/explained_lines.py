"""The lines of an order, each with its figures, with what our own rules did to it, and with what it became in the ERP."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from app.domain.credit import CreditTooLarge, Share, shares
from app.domain.money import ZERO, round_half_up, smallest_unit
from app.domain.order import Line, LineType, Order
from app.ports.erp import PlannedLine
from app.ports.sales_channel import Figure, Makes
from app.sync.explanation import Amount, CreditShare, ExplainedLine, WrittenLine, digits

_FINER = Decimal("0.01")
"""An exact share is shown with two more decimals than the currency has."""


def explained_lines(
    order: Order, figures: Sequence[Figure], in_erp: Sequence[PlannedLine] | None
) -> tuple[ExplainedLine, ...]:
    """Every line of the order as it stands; `figures` are placed at the positions that its lines have."""
    unit = smallest_unit(order.currency)
    spread = _shares(order, unit)
    written = [written_line(each, order) for each in in_erp or ()]
    return tuple(
        ExplainedLine(
            position=line.position,
            type=line.type.name.lower(),
            sku=line.sku,
            name=line.name,
            quantity=line.quantity,
            parent=line.parent,
            amounts=tuple(_amounts(line, figures)),
            credit=_credit_share(line, spread.get(line.position), unit),
            net=line.amount - line.credit,
            rules=tuple(_rules(line, order, spread, unit)),
            written=tuple(each for each in written if line.position in each.positions),
        )
        for line in order.lines
    )


def amount_of(makes: Makes, value: Decimal, position: int | None, figures: Sequence[Figure]) -> Amount:
    """One amount with its figures."""
    own = tuple(each for each in figures if (each.position, each.makes) == (position, makes))
    adds_up = sum((each.value for each in own), ZERO) == value if own else None
    return Amount(makes=makes.value, value=value, figures=own, adds_up=adds_up)


def written_line(line: PlannedLine, order: Order) -> WrittenLine:
    """A planned line beside what the order's lines that it is made of come to."""
    of = [each for each in order.lines if each.position in line.positions]
    return WrittenLine(
        positions=line.positions,
        kind=line.kind,
        number=line.number,
        description=line.description,
        quantity=line.quantity,
        unit_price=line.unit_price,
        discount=line.discount,
        net=line.net,
        due=sum((each.amount - each.credit for each in of), ZERO),
    )


def _amounts(line: Line, figures: Sequence[Figure]) -> Iterator[Amount]:
    """The amount in any case, the others where they tell something or the platform tells something else."""
    yield amount_of(Makes.AMOUNT, line.amount, line.position, figures)
    listed = line.amount if line.listed is None else line.listed
    for makes, value, tells in (
        (Makes.LISTED, listed, listed != line.amount),
        (Makes.NOMINAL, line.nominal, bool(line.nominal)),
        (Makes.CREDIT, line.credit, bool(line.credit)),
        (Makes.TAX, line.tax, bool(line.tax)),
    ):
        found = amount_of(makes, value, line.position, figures)
        if tells or found.adds_up is False:
            yield found


def _shares(order: Order, unit: Decimal) -> Mapping[int, Share]:
    try:
        return shares(order, unit=unit)
    except CreditTooLarge:
        # Said where the order was rejected for it; nothing was spread then.
        return {}


def _credit_share(line: Line, found: Share | None, unit: Decimal) -> CreditShare | None:
    """None where there is no credit, or one that is not spread like this: a gift card's own."""
    if found is None or not line.credit or line.credit != found.share:
        return None
    exact = round_half_up(found.credit * found.amount / found.bearable, unit=unit * _FINER)
    return CreditShare(found.amount, found.credit, found.bearable, exact, found.share)


def _rules(line: Line, order: Order, spread: Mapping[int, Share], unit: Decimal) -> Iterator[str]:
    """What our own rules did to this line, in words."""
    match line.type:
        case LineType.PRODUCT:
            yield from _kit_rule(line, order, unit)
        case LineType.COMPONENT:
            parent = next(each for each in order.lines if each.position == line.parent)
            yield (
                f"It is part of the kit on line {parent.position}, which has the price:"
                f" {digits(line.quantity, Decimal(1))} for {digits(parent.quantity, Decimal(1))} of the kit"
                f"{line.detail and f' ({line.detail})'}."
            )
        case LineType.COUPON:
            yield "The lines are net of it already; it tells a value and changes no amount."
        case LineType.STORE_CREDIT:
            yield from _credit_rule(line, order, spread, unit)
        case LineType.GIFT_CARD:
            if line.credit:
                yield "It lowers the platform's total, and so it is taken off here."
            else:
                yield "It paid for the order and lowers no total; it tells a value only."
        case LineType.ROUNDING:
            yield "It is what rounding left between the platform's lines and its total."
        case LineType.FEE:
            if line.nominal:
                yield "It is no part of the platform's total; it tells a value only."
        case _:
            return


def _kit_rule(line: Line, order: Order, unit: Decimal) -> Iterator[str]:
    parts = [each for each in order.of_type(LineType.COMPONENT) if each.parent == line.position]
    if parts:
        named = ", ".join(f"{digits(each.quantity, Decimal(1))} x {each.sku}" for each in parts)
        where = ", ".join(str(each.position) for each in parts)
        nothing = digits(ZERO, unit)
        yield f"It is a kit of {named} (lines {where}, each with an amount of {nothing})."


def _credit_rule(line: Line, order: Order, spread: Mapping[int, Share], unit: Decimal) -> Iterator[str]:
    if not any(each.credit for each in order.lines if each.position in spread):
        yield "It is spread over product, shipping and tax once the kits are expanded."
        return
    parts = [
        f"{digits(share.share, unit)} on line {position}" for position, share in spread.items() if share.share
    ]
    whole = next(iter(spread.values())).credit
    together = "" if whole == line.nominal else f" Together with other credit it is {digits(whole, unit)}."
    yield f"It is spread in proportion over what it can pay for: {', '.join(parts)}.{together}"
