"""Their words to ours: one BigCommerce order body as an `Order`. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from app.connectors.bigcommerce import notes
from app.connectors.bigcommerce.amounts import COSTS, Amounts, Priced, amounts
from app.connectors.bigcommerce.checks import faults_of
from app.connectors.bigcommerce.meta import meta_of
from app.connectors.bigcommerce.payment import certificates, payment_of
from app.connectors.bigcommerce.schema import load_order
from app.connectors.bigcommerce.settings import Settings
from app.connectors.bigcommerce.splitting import one_address, part_of
from app.connectors.bigcommerce.statuses import status_text
from app.connectors.bigcommerce.totals import Reading, due, is_ambiguous, reading_of, readings, tender, total
from app.connectors.bigcommerce.values import money
from app.domain.balance import Unbalanced, balanced
from app.domain.money import ZERO, NotWholeUnits, UnknownCurrency, amount, round_half_up, smallest_unit
from app.domain.order import Address, Line, LineType, Order, numbered
from app.ports.faults import Fault, rejection

_COST_NAMES = {"shipping_cost": "Shipping", "handling_cost": "Handling", "wrapping_cost": "Gift wrapping"}
_COUPON_KINDS = ("per item", "percentage", "per total", "shipping", "free shipping", "promotion")
_AMBIGUOUS = (
    "The order's total can be read in two ways that differ in what was paid, with store credit, gift certificates and fees inside"
    " of it or not; set tender (outside or inside) and fees_in_total (yes or no) to what this store does."
)
_ADDRESS_PARTS = {
    "first_name": "first_name",
    "last_name": "last_name",
    "company": "company",
    "address1": "street_1",
    "address2": "street_2",
    "city": "city",
    "state": "state",
    "postcode": "zip",
    "country": "country_iso2",
    "email": "email",
    "phone": "phone",
}


def normalize(body: str, *, prefix: str, settings: Settings) -> Order:
    """The order in `body`, balanced to the cent. Raises `Reject` with every fault named, the most telling first."""
    given = one_address(load_order(body), settings=settings)
    currency = given["default_currency_code"] or ""
    try:
        unit = smallest_unit(currency)
    except UnknownCurrency:  # One of the faults; no sum can be made of such amounts.
        raise rejection(faults_of(given, settings=settings, due=given["total_inc_tax"])) from None
    reading = _reading(given, settings=settings, unit=unit)
    faults = faults_of(given, settings=settings, due=due(given, reading))
    if is_ambiguous(given, given["fees"], settings=settings):
        faults.append(Fault("balance", _AMBIGUOUS, "/total_inc_tax"))
    try:
        order = balanced(
            _order(given, prefix=prefix, settings=settings, reading=reading, unit=unit), unit=unit
        )
        order = part_of(order, given, unit=unit)
    except NotWholeUnits as error:
        reason = f"The order's total of {error} is no whole number of the smallest unit of {currency}."
        raise rejection([*faults, Fault("validation", reason, "/total_inc_tax")]) from None
    except Unbalanced as unbalanced:
        reason = f"The order does not add up: {unbalanced.sum_text}.{_other_sums(given, settings)}"
        raise rejection([*faults, Fault("balance", reason, "/total_inc_tax")]) from None
    if faults:
        raise rejection(faults)
    return order


def _reading(given: dict[str, Any], *, settings: Settings, unit: Decimal) -> Reading:
    """The reading that fits, else the most natural one, whose sum is then shown."""
    fees = given["fees"]
    found = reading_of(given, fees, settings=settings, allowed=unit * (len(given["lines"]) + 1))
    return found or next(readings(given, fees, settings=settings))


def _other_sums(given: dict[str, Any], settings: Settings) -> str:
    """The sums of the header by each reading, where there is more than one that could have been meant."""
    if not tender(given) and not given["fees"]:
        return ""
    said = [
        f"{given['total_inc_tax'] + each.off} with {' and '.join(_assumed(given, each))}"
        for each in readings(given, given["fees"], settings=settings)
        if each.basis == "inc"
    ]
    return f" Its header comes to {', or to '.join(said)}, and says {given['total_inc_tax']}."


def _assumed(given: dict[str, Any], reading: Reading) -> Iterator[str]:
    if tender(given):
        yield f"store credit and gift certificates {'taken off' if reading.tender_inside else 'not taken off'}"
    if given["fees"]:
        yield f"fees {'added' if reading.fees_inside else 'left out'}"


def _order(
    given: dict[str, Any], *, prefix: str, settings: Settings, reading: Reading, unit: Decimal
) -> Order:
    currency = given["default_currency_code"]
    bill = _address(given["billing_address"])
    return Order(
        number=f"{prefix}-{given['id']}",
        platform_order_id=str(given["id"]),
        currency=currency,
        total=amount(total(given, reading), currency=currency),
        created_at=given["date_created"],
        created_raw=given["created_raw"],
        bill=bill,
        ship=_ship_to(given, bill=bill),
        payment=payment_of(given),
        lines=numbered(_lines(given, amounts(given, reading, unit=unit), reading, unit)),
        status=status_text(given["status_id"]),
        customer_id=str(given["customer_id"] or ""),
        customer_note=given["customer_message"] or "",
        prices_include_tax=given["is_tax_inclusive_pricing"],
        meta=meta_of(
            given, staff_notes=notes.without_mark(given["staff_notes"], note_text=settings.note_text)
        ),
    )


def _address(given: dict[str, Any]) -> Address:
    return Address(**{ours: given[theirs] or "" for ours, theirs in _ADDRESS_PARTS.items()})


def _ship_to(given: dict[str, Any], *, bill: Address) -> Address:
    """Where the order goes; the billing address where nothing is shipped (downloads, pickups)."""
    if not given["addresses"]:
        return bill
    ship = _address(given["addresses"][0])
    return ship if ship.name else replace(ship, first_name=bill.first_name, last_name=bill.last_name)


def _lines(given: dict[str, Any], priced: Amounts, reading: Reading, unit: Decimal) -> Iterator[Line]:
    yield from _products(given["lines"], priced.lines)
    for name, cost in zip(COSTS, priced.costs, strict=True):
        if cost.amount or cost.listed:
            yield _cost(name, cost, given)
    for at, fee in enumerate(given["fees"]):
        yield _fee(fee, priced.fees[at] if reading.fees_inside else None, unit)
    yield from _discounts(given, unit)
    yield from _tender(given, reading, unit)
    if priced.tax:
        yield Line(position=0, type=LineType.TAX, name="Tax", amount=priced.tax)


def _products(lines: list[dict[str, Any]], priced: tuple[Priced, ...]) -> Iterator[Line]:
    """The products; a row that was picked as part of another points at it, so that neither is expanded as a kit again."""
    at = {line["id"]: position for position, line in enumerate(lines, start=1)}
    for position, (line, price) in enumerate(zip(lines, priced, strict=True), start=1):
        yield Line(
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


def _fee(fee: dict[str, Any], price: Priced | None, unit: Decimal) -> Line:
    named = fee["display_name_merchant"] or fee["display_name_customer"] or "Fee"
    if price is None:
        worth = round_half_up(fee["cost_inc_tax"], unit=unit)
        told = "not part of the platform's total"
        return Line(position=0, type=LineType.FEE, name=named, amount=ZERO * unit, nominal=worth, detail=told)
    return Line(
        position=0,
        type=LineType.FEE,
        name=named,
        amount=price.amount,
        tax=price.tax,
        platform_line_id=str(fee["id"] or ""),
        detail=fee["type"] or "",
    )


def _discounts(given: dict[str, Any], unit: Decimal) -> Iterator[Line]:
    """What was taken off, for its name and worth alone: the product lines are net of it already."""
    told = ZERO
    for coupon in given["coupons"] or ():
        worth = _worth(coupon)
        if worth is not None:
            told += worth
            kind = coupon.get("type")
            known = isinstance(kind, int) and 0 <= kind < len(_COUPON_KINDS)
            detail = _COUPON_KINDS[kind] if known else ""
            yield _nominal(LineType.COUPON, str(coupon.get("code") or "Coupon"), worth, unit, detail)
    if not told and given["coupon_discount"]:
        yield _nominal(LineType.COUPON, "Coupon", given["coupon_discount"], unit)
    if given["discount_amount"]:
        names = dict.fromkeys(
            str(each["name"])
            for line in given["lines"]
            for each in line["applied_discounts"] or ()
            if isinstance(each, dict) and each.get("name") and not each.get("code")
        )
        yield _nominal(LineType.COUPON, "Discount", given["discount_amount"], unit, ", ".join(names))


def _worth(coupon: Any) -> Decimal | None:
    try:
        return money(coupon["discount"])
    except (KeyError, TypeError, ValueError):
        return None


def _tender(given: dict[str, Any], reading: Reading, unit: Decimal) -> Iterator[Line]:
    credit, gift = given["store_credit_amount"], given["gift_certificate_amount"]
    if credit:
        yield _nominal(LineType.STORE_CREDIT, "Store credit", credit, unit)
    if gift:
        codes = ", ".join(certificates(given))
        line = _nominal(LineType.GIFT_CARD, "Gift certificate", gift, unit, codes)
        yield replace(line, credit=line.nominal) if reading.tender_inside else line


def _nominal(kind: LineType, name: str, worth: Decimal, unit: Decimal, detail: str = "") -> Line:
    return Line(
        position=0,
        type=kind,
        name=name,
        amount=ZERO * unit,
        nominal=round_half_up(worth, unit=unit),
        detail=detail,
    )
