"""Where the amounts of an order come from: the store's figures, by the same rules as `mapping`. Pure."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from app.connectors.bigcommerce.amounts import Priced, applied, told_discounts
from app.connectors.bigcommerce.lines import Sourced
from app.connectors.bigcommerce.mapping import Mapped, mapped
from app.connectors.bigcommerce.settings import Settings
from app.connectors.bigcommerce.splitting import origins
from app.domain.money import ZERO, smallest_unit
from app.domain.order import Line, LineType
from app.ports.figures import Part, figures_of, told_worth
from app.ports.sales_channel import Figure, Makes
from app.transport import parse_json

_ROUNDED = "rounded to whole smallest units"
_ELSEWHERE = "what goes to the order's other addresses"
_BY_DIFFERENCE = "the order's total less all other lines"
_NAMES = {
    LineType.TAX: "tax of the order",
    LineType.FEE: "fee, outside the total",
    LineType.COUPON: "what was taken off",
    LineType.STORE_CREDIT: "store credit",
    LineType.GIFT_CARD: "gift certificate",
}
_KINDS = {LineType.PRODUCT: "line", LineType.SHIPPING: "shipping", LineType.FEE: "fee"}


def figures(body: str, *, prefix: str, settings: Settings) -> tuple[Figure, ...]:
    """The figures of the total and of every line of `normalize(body)`. Raises `Reject` as that does."""
    made = mapped(body, prefix=prefix, settings=settings)
    raw = parse_json(body)
    total = _shared(_total(made), whole=made.whole.total, own=made.order.total)
    found = list(figures_of(raw, position=None, makes=Makes.TOTAL, amount=made.order.total, parts=total))
    unit = smallest_unit(made.order.currency)
    for line, origin in zip(made.order.lines, origins(made.whole, made.given, unit=unit), strict=True):
        whole = made.whole.lines[origin - 1]
        for makes, parts in _amounts(made, origin, whole):
            own = getattr(line, makes)
            shared = _shared(parts, whole=getattr(whole, makes), own=own)
            found += figures_of(raw, position=line.position, makes=makes, amount=own, parts=shared)
    return tuple(found)


def _shared(parts: Sequence[Part], *, whole: Decimal, own: Decimal) -> list[Part]:
    """The parts of an amount of the whole order, what rounding added to them, and what of it is another address's."""
    rounding = whole - sum((part.value for part in parts), ZERO)
    return [*parts, Part(_ROUNDED, rounding), Part(_ELSEWHERE, own - whole)]


def _total(made: Mapped) -> list[Part]:
    given = made.given
    parts = [Part("total of the order", given["total_inc_tax"], "/total_inc_tax")]
    if not made.reading.tender_inside:
        parts.append(
            Part("store credit, which pays for it", -given["store_credit_amount"], "/store_credit_amount")
        )
    return parts


def _amounts(made: Mapped, origin: int, line: Line) -> Iterator[tuple[Makes, list[Part]]]:
    """The amounts of a line of the whole order that are not zero, and its parts."""
    if origin > len(made.sources):
        yield Makes.AMOUNT, [Part(_BY_DIFFERENCE, line.amount)]
        return
    source = made.sources[origin - 1]
    if source.priced is not None:
        yield from _priced_amounts(made, source, source.priced)
        return
    figure = [Part(_NAMES[line.type], source.worth, source.pointer)]
    for makes in (Makes.AMOUNT, Makes.NOMINAL, Makes.CREDIT):
        if getattr(line, makes):
            yield makes, figure


def _priced_amounts(made: Mapped, source: Sourced, priced: Priced) -> Iterator[tuple[Makes, list[Part]]]:
    kind, exact = _KINDS[source.line.type], priced.exact
    tax = _tax(source, priced)
    yield (
        Makes.AMOUNT,
        [
            *_given(made, source, exact.given),
            *_taken_off(made.given, source, exact.off),
            *(
                [Part(f"{tax.name}, taken out", -tax.value, tax.pointer)]
                if made.reading.basis == "inc"
                else []
            ),
        ],
    )
    if priced.listed != priced.amount:
        listed = Part(f"{kind} before discounts, without tax", exact.ex_tax, f"{source.pointer}_ex_tax")
        yield Makes.LISTED, [listed]
    if priced.tax:
        yield Makes.TAX, [tax]


def _given(made: Mapped, source: Sourced, value: Decimal) -> list[Part]:
    """The figure that the amount begins with."""
    basis, kind = made.reading.basis, _KINDS[source.line.type]
    if basis == "inc":
        return [Part(f"{kind} with tax", value, f"{source.pointer}_inc_tax")]
    name = f"{kind} without tax"
    fee = source.row if source.line.type is LineType.FEE else None
    if fee is None or fee["cost_ex_tax"] is not None:
        return [Part(name, value, f"{source.pointer}_ex_tax")]
    if fee["cost_exc_tax"] is not None:
        return [Part(name, value, f"{source.pointer}_exc_tax")]
    return [
        Part(f"{kind} with tax", fee["cost_inc_tax"], f"{source.pointer}_inc_tax"),
        Part("tax of it, taken out", -fee["cost_tax"], f"{source.pointer}_tax"),
    ]


def _taken_off(given: dict[str, Any], source: Sourced, off: Decimal) -> list[Part]:
    """What discounts take off: as the line itself tells, as the order tells where it is all of it, else a share."""
    row = source.row
    if row is not None and source.line.type is LineType.PRODUCT and applied(row) == off:
        where = f"{row['pointer']}/applied_discounts"
        return [Part("discount", -amount, f"{where}/{at}/amount") for at, amount in told_discounts(row)]
    if off == given["discount_amount"] + given["coupon_discount"]:
        return [
            Part("discount of the order", -given["discount_amount"], "/discount_amount"),
            Part("coupons of the order", -given["coupon_discount"], "/coupon_discount"),
        ]
    return [Part("its share of the order's discounts", -off)]


def _tax(source: Sourced, priced: Priced) -> Part:
    """The tax on it: its own where that counts, else a share of the order's."""
    if priced.tax_share == priced.exact.tax:
        return Part(f"tax of the {_KINDS[source.line.type]}", priced.tax_share, f"{source.pointer}_tax")
    return Part("its share of the order's tax", priced.tax_share)


def worth(body: str) -> tuple[Decimal, str] | None:
    """The total of a body and its currency, None where they cannot be read."""
    try:
        return told_worth(parse_json(body), total="total_inc_tax", currency="currency_code")
    except ValueError:
        return None
