"""The lines of an order as the store shows it, each with where its amounts stand in the body. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from app.connectors.bigcommerce.amounts import COSTS, Amounts, Priced
from app.connectors.bigcommerce.consignments import PARTS
from app.connectors.bigcommerce.payment import certificates
from app.connectors.bigcommerce.totals import Reading
from app.connectors.bigcommerce.values import money
from app.domain.money import ZERO, round_half_up
from app.domain.order import Line, LineType

_COST_NAMES = {"shipping_cost": "Shipping", "handling_cost": "Handling", "wrapping_cost": "Gift wrapping"}
_OUTSIDE = "not part of the platform's total"
_COUPON_KINDS = ("per item", "percentage", "per total", "shipping", "free shipping", "promotion")


@dataclass(frozen=True, slots=True)
class Sourced:
    """A line and what it is made of.

    Either it is made of one figure, which stands at `pointer` and is `worth` so much. Or it was `priced`, from several whose
    pointers begin with `pointer`, as in `/shipping_cost` for `/shipping_cost_ex_tax` and `/shipping_cost_tax`; `row` is the
    product or fee that it is.
    """

    line: Line
    pointer: str
    worth: Decimal = ZERO
    priced: Priced | None = None
    row: dict[str, Any] | None = None


def sourced_lines(
    given: dict[str, Any], priced: Amounts, reading: Reading, *, unit: Decimal
) -> Iterator[Sourced]:
    """The lines, products first; parents are named by the position that a product has among them."""
    yield from _products(given["lines"], priced.lines)
    for name, cost in zip(COSTS, priced.costs, strict=True):
        if cost.amount or cost.listed:
            yield Sourced(_cost(name, cost, given), f"/{name}", priced=cost)
    for at, fee in enumerate(given["fees"]):
        price = priced.fees[at] if reading.fees_inside else None
        if price is None:
            told = _nominal(LineType.FEE, _fee_name(fee), fee["cost_inc_tax"], unit, _OUTSIDE)
            yield Sourced(told, f"{fee['pointer']}/cost_inc_tax", fee["cost_inc_tax"])
        else:
            yield Sourced(_fee(fee, price), f"{fee['pointer']}/cost", priced=price, row=fee)
    yield from _discounts(given, unit)
    yield from _tender(given, reading, unit)
    if priced.tax:
        tax = Line(position=0, type=LineType.TAX, name="Tax", amount=priced.tax)
        yield Sourced(tax, "/total_tax", given["total_tax"])


def _products(lines: list[dict[str, Any]], priced: tuple[Priced, ...]) -> Iterator[Sourced]:
    """The products; a row that was picked as part of another points at it, so that neither is expanded as a kit again."""
    at = {line["id"]: position for position, line in enumerate(lines, start=1)}
    for position, (line, price) in enumerate(zip(lines, priced, strict=True), start=1):
        product = Line(
            position=position,
            type=LineType.PRODUCT,
            name=line["name"] or "",
            amount=price.amount,
            sku=(line["sku"] or "").strip() or None,
            quantity=Decimal(int(line["quantity"])),
            listed=price.listed,
            tax=price.tax,
            parent=at.get(line["parent_order_product_id"] or 0),
            platform_line_id=str(line["id"]),
        )
        yield Sourced(product, f"{line['pointer']}/total", priced=price, row=line)


def _cost(name: str, cost: Priced, given: dict[str, Any]) -> Line:
    shown = next((each["shipping_method"] for each in given["addresses"] if each["shipping_method"]), "")
    is_shipping = name == "shipping_cost"
    return Line(
        position=0,
        # Handling is part of what the carrier's way costs; wrapping is a service of its own.
        type=LineType.FEE if name == "wrapping_cost" else LineType.SHIPPING,
        name=(shown if is_shipping else "") or _COST_NAMES[name],
        amount=cost.amount,
        listed=cost.listed,
        tax=cost.tax,
        detail=name,
    )


def _fee(fee: dict[str, Any], price: Priced) -> Line:
    return Line(
        position=0,
        type=LineType.FEE,
        name=_fee_name(fee),
        amount=price.amount,
        tax=price.tax,
        platform_line_id=str(fee["id"] or ""),
        detail=fee["type"] or "",
    )


def _fee_name(fee: dict[str, Any]) -> str:
    return str(fee["display_name_merchant"] or fee["display_name_customer"] or "Fee")


def _discounts(given: dict[str, Any], unit: Decimal) -> Iterator[Sourced]:
    """What was taken off, for its name and worth alone: the product lines are net of it already."""
    told = ZERO
    for at, coupon in enumerate(given["coupons"] or ()):
        worth = _worth(coupon)
        if worth is not None:
            told += worth
            kind = coupon.get("type")
            known = isinstance(kind, int) and 0 <= kind < len(_COUPON_KINDS)
            detail = _COUPON_KINDS[kind] if known else ""
            named = str(coupon.get("code") or "Coupon")
            line = _nominal(LineType.COUPON, named, worth, unit, detail)
            yield Sourced(line, f"/{PARTS}/coupons/{at}/discount", worth)
    if not told and given["coupon_discount"]:
        line = _nominal(LineType.COUPON, "Coupon", given["coupon_discount"], unit)
        yield Sourced(line, "/coupon_discount", given["coupon_discount"])
    if given["discount_amount"]:
        names = dict.fromkeys(
            str(each["name"])
            for line in given["lines"]
            for each in line["applied_discounts"] or ()
            if isinstance(each, dict) and each.get("name") and not each.get("code")
        )
        line = _nominal(LineType.COUPON, "Discount", given["discount_amount"], unit, ", ".join(names))
        yield Sourced(line, "/discount_amount", given["discount_amount"])


def _worth(coupon: Any) -> Decimal | None:
    try:
        return money(coupon["discount"])
    except (KeyError, TypeError, ValueError):
        return None


def _tender(given: dict[str, Any], reading: Reading, unit: Decimal) -> Iterator[Sourced]:
    credit, gift = given["store_credit_amount"], given["gift_certificate_amount"]
    if credit:
        line = _nominal(LineType.STORE_CREDIT, "Store credit", credit, unit)
        yield Sourced(line, "/store_credit_amount", credit)
    if gift:
        codes = ", ".join(certificates(given))
        line = _nominal(LineType.GIFT_CARD, "Gift certificate", gift, unit, codes)
        line = replace(line, credit=line.nominal) if reading.tender_inside else line
        yield Sourced(line, "/gift_certificate_amount", gift)


def _nominal(kind: LineType, name: str, worth: Decimal, unit: Decimal, detail: str = "") -> Line:
    return Line(
        position=0,
        type=kind,
        name=name,
        amount=ZERO * unit,
        nominal=round_half_up(worth, unit=unit),
        detail=detail,
    )
