"""An order's lines as salesOrderLines: prices and discounts whose rounded sum is the order's total, to the cent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from app.connectors.business_central import fitting
from app.connectors.business_central.settings import Settings
from app.domain.money import ZERO, round_half_up, smallest_unit
from app.domain.order import Line, LineType, Order, sku_key
from app.errors import Reject
from app.ports.erp import ErpItem, ItemKind, PlannedLine

PRICE_UNIT = Decimal("0.00001")
QUANTITY_UNIT = Decimal("0.00001")
_SAFE_DIGITS = 15
"""Decimal digits that a JSON number (a double) always carries unchanged."""

ITEM = "item"
ACCOUNT = "account"
LINE_TYPES = {ITEM: "Item", ACCOUNT: "Account"}
_ACCOUNTS = {
    LineType.SHIPPING: "shipping",
    LineType.TAX: "tax",
    LineType.FEE: "fee",
    LineType.ROUNDING: "rounding",
    LineType.GIFT_CARD: "gift_card",
}


@dataclass(frozen=True, slots=True)
class Price:
    """`round(round(quantity * unit_price) - discount)` is the line's net amount, as the ERP computes it."""

    unit_price: Decimal
    discount: Decimal


def priced(*, quantity: Decimal, listed: Decimal, net: Decimal, unit: Decimal) -> Price:
    """The price and the discount that give `net` exactly, for any quantity above zero.

    The listed price where that leaves a discount, else the net price; and where five decimals of it fall short of the
    amount (large quantities), the next higher one, so that a discount can bring it down.
    """
    candidates = (
        round_half_up(listed / quantity, unit=PRICE_UNIT),
        round_half_up(net / quantity, unit=PRICE_UNIT),
        (net / quantity).quantize(PRICE_UNIT, rounding=ROUND_CEILING),
    )
    for price in candidates:
        discount = round_half_up(quantity * price, unit=unit) - net
        if discount >= ZERO:
            return Price(price, discount)
    raise AssertionError("a price rounded up never falls short of the amount")


def planned_lines(
    *, order: Order, items: Mapping[str, ErpItem], settings: Settings
) -> tuple[PlannedLine, ...]:
    """The lines to insert, in the order's order, the tax total last. Raises `Reject` where one cannot be written.

    Coupons and store credit have no line of their own: they already lowered the others (contract, rule 7).
    """
    if settings.tax_mode == "erp":
        _check_no_credit_on_tax(order)
    unit = smallest_unit(order.currency)
    kits = {line.parent for line in order.of_type(LineType.COMPONENT)}
    planned: list[PlannedLine] = []
    for line in order.lines:
        if line.type in {LineType.PRODUCT, LineType.COMPONENT}:
            if line.position in kits:
                _check_kit_parent(line, items)
            planned.append(_item_line(line, unit=unit))
        elif line.type in _ACCOUNTS and line.type is not LineType.TAX:
            planned.extend(_account_line(line.type, line.name, (line,), settings))
    if settings.tax_mode == "line":
        planned.extend(_account_line(LineType.TAX, "Tax", order.of_type(LineType.TAX), settings))
    return tuple(planned)


def line_body(line: PlannedLine, *, settings: Settings) -> dict[str, Any]:
    """A line in the page's order of properties, which holds whether that order or JSON's rules (contract section 2).

    What is empty is left out: the ERP then keeps the item's own description, its own tax group, and no discount.
    """
    if settings.tax_mode == "line":
        tax_code = settings.non_taxed_code
    else:
        # With the ERP's own tax an account line is taxed as its account is set up there.
        tax_code = settings.tax_code if line.kind == ITEM else ""
    return {
        "lineType": LINE_TYPES[line.kind],
        "lineObjectNumber": line.number,
        **({"description": line.description} if line.description else {}),
        "quantity": line.quantity,
        "unitPrice": line.unit_price,
        **({"discountAmount": line.discount} if line.discount else {}),
        **({"taxCode": tax_code} if tax_code else {}),
    }


def _check_no_credit_on_tax(order: Order) -> None:
    """With the ERP's own tax there is no tax line that a credit could lower, and the document would come out too high."""
    credit = sum((line.credit for line in order.of_type(LineType.TAX)), ZERO)
    if any(line.credit for line in order.of_type(LineType.TAX)):
        raise Reject(
            f"{credit} {order.currency} of the order's credit were paid towards tax, and with tax.mode=erp Business Central"
            " works the tax out itself, so that this credit cannot be written; set tax.mode=line for this ERP.",
            kind="totals",
        )


def _check_kit_parent(line: Line, items: Mapping[str, ErpItem]) -> None:
    """A parent that is stocked or assembled by the ERP would ship its components a second time."""
    item = items.get(sku_key(line.sku or ""))
    if item is None or item.kind is not ItemKind.NON_INVENTORY:
        found = "is not known there" if item is None else f"is an item of type {item.kind.value}"
        raise Reject(
            f"The kit {line.sku} must be a non-inventory item in Business Central, so that only its components are shipped; it {found}.",
            kind="kit",
        )


def _item_line(line: Line, *, unit: Decimal) -> PlannedLine:
    number = fitting.code(sku_key(line.sku or ""), fitting.NUMBER, what="The SKU", kind="bad_sku")
    if not number:
        raise Reject(f"The line {line.name!r} has no SKU, so there is no item to write.", kind="bad_sku")
    quantity = _number(line.quantity)
    if quantity <= ZERO or round_half_up(quantity, unit=QUANTITY_UNIT) != quantity:
        raise Reject(f"The quantity {quantity} of {number} must be above zero and have at most 5 decimals.")
    net = _number(line.amount - line.credit)
    listed = line.amount if line.listed is None else _number(line.listed)
    price = priced(quantity=quantity, listed=listed, net=net, unit=unit)
    return _planned((line,), ITEM, number, line.name, quantity=quantity, price=price, net=net)


def _account_line(
    line_type: LineType, name: str, lines: Sequence[Line], settings: Settings
) -> list[PlannedLine]:
    """One account line for all of `lines`, or none where there is nothing to book."""
    net = sum((line.amount - line.credit for line in lines), ZERO)
    if not net:
        return []
    key = _ACCOUNTS[line_type]
    account = settings.accounts.get(key)
    if not account:
        raise Reject(
            f"The order has a line for the account {key}, and account.{key} is not set for this ERP.",
            kind="settings",
        )
    return [_planned(lines, ACCOUNT, account, name, quantity=Decimal(1), price=Price(net, ZERO), net=net)]


def _planned(
    lines: Sequence[Line], kind: str, number: str, name: str, *, quantity: Decimal, price: Price, net: Decimal
) -> PlannedLine:
    return PlannedLine(
        positions=tuple(line.position for line in lines),
        kind=kind,
        number=number,
        description=fitting.text(name, fitting.DESCRIPTION),
        quantity=quantity,
        unit_price=_number(price.unit_price),
        discount=_number(price.discount),
        net=net,
    )


def _number(value: Decimal) -> Decimal:
    if len(value.normalize().as_tuple().digits) > _SAFE_DIGITS:
        raise Reject(
            f"The order needs the number {value}, which has more digits than Business Central takes."
        )
    return value
