"""Where the amounts of an order come from: the platform's figures, by the same rules as `mapping`. Pure."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from app.connectors.woocommerce.mapping import normalized, sourced_lines
from app.connectors.woocommerce.schema import load_order
from app.connectors.woocommerce.settings import Settings
from app.domain.order import Line, LineType
from app.ports.figures import Part, figures_of, told_worth
from app.ports.sales_channel import Figure, Makes
from app.transport import parse_json

_AMOUNTS: dict[str, dict[Makes, tuple[str, str]]] = {
    "line_items": {
        Makes.AMOUNT: ("line total, after discounts", "total"),
        Makes.LISTED: ("line subtotal, before discounts", "subtotal"),
        Makes.TAX: ("tax of the line", "total_tax"),
    },
    "shipping_lines": {Makes.AMOUNT: ("shipping", "total"), Makes.TAX: ("tax of the shipping", "total_tax")},
    "fee_lines": {Makes.AMOUNT: ("fee", "total"), Makes.TAX: ("tax of the fee", "total_tax")},
    "coupon_lines": {Makes.NOMINAL: ("coupon", "discount")},
    "": {Makes.AMOUNT: ("tax of the order", "total_tax")},
}
"""By the list a line stands in: what each amount of it is called and where it stands. The tax line is the order's own."""
_CREDIT_FEE = {
    Makes.NOMINAL: ("fee below zero, which is store credit", "total"),
    Makes.TAX: ("tax of the fee", "total_tax"),
}
_BY_DIFFERENCE = {
    LineType.ROUNDING: ((Makes.AMOUNT,), "the order's total less all other lines"),
    LineType.GIFT_CARD: ((Makes.CREDIT, Makes.NOMINAL), "all other lines less the order's total"),
}


def figures(body: str, *, prefix: str, settings: Settings) -> tuple[Figure, ...]:
    """The figures of the total and of every line of `normalize(body)`. Raises `Reject` as that does."""
    given = load_order(body)
    order = normalized(given, prefix=prefix, settings=settings)
    raw = parse_json(body)
    total = Part("total of the order", given["total"], "/total")
    found = list(figures_of(raw, position=None, makes=Makes.TOTAL, amount=order.total, parts=[total]))
    pointers = [pointer for _, pointer in sourced_lines(given, settings=settings)]
    for line, pointer in zip(order.lines, pointers, strict=False):
        for makes, part in _parts(line, pointer, given):
            amount = getattr(line, makes)
            found += figures_of(raw, position=line.position, makes=makes, amount=amount, parts=[part])
    # Behind them stands what the balance has added.
    for line in order.lines[len(pointers) :]:
        amounts, name = _BY_DIFFERENCE[line.type]
        found += (Figure(line.position, makes, name, "", "", getattr(line, makes)) for makes in amounts)
    return tuple(found)


def _parts(line: Line, pointer: str, given: dict[str, Any]) -> Iterator[tuple[Makes, Part]]:
    _, _, place = pointer.partition("/")
    name, _, at = place.partition("/")
    row = given[name][int(at)] if name else given
    is_credit_fee = name == "fee_lines" and line.type is LineType.STORE_CREDIT
    for makes, (what, field) in (_CREDIT_FEE if is_credit_fee else _AMOUNTS[name]).items():
        if makes is Makes.LISTED and line.listed == line.amount:
            continue
        value = -row[field] if is_credit_fee and makes is Makes.NOMINAL else row[field]
        if value or makes is Makes.AMOUNT:
            yield makes, Part(what, value, f"{pointer}/{field}")


def worth(body: str) -> tuple[Decimal, str] | None:
    """The total of a body and its currency, None where they cannot be read."""
    try:
        return told_worth(parse_json(body), total="total", currency="currency")
    except ValueError:
        return None
