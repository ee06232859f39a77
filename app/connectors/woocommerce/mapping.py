"""Their words to ours: one WooCommerce order body as an `Order`. Pure."""

import html
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from app.connectors.woocommerce.checks import faults_of, has_no_street
from app.connectors.woocommerce.schema import load_order
from app.connectors.woocommerce.settings import Settings
from app.connectors.woocommerce.sighting import meta_pairs
from app.domain.balance import Unbalanced, balanced, expected_total, tolerance
from app.domain.money import ZERO, NotWholeUnits, UnknownCurrency, amount, round_half_up, smallest_unit
from app.domain.order import Address, Line, LineType, Order, Payment, numbered
from app.ports.faults import Fault, rejection

_SMART_COUPON = "smart_coupon"
_ADDRESS_PARTS = {
    "first_name": "first_name",
    "last_name": "last_name",
    "company": "company",
    "address1": "address_1",
    "address2": "address_2",
    "city": "city",
    "state": "state",
    "postcode": "postcode",
    "country": "country",
    "email": "email",
    "phone": "phone",
}


def normalize(body: str, *, prefix: str, settings: Settings) -> Order:
    """The order in `body`, balanced to the cent. Raises `Reject` with every fault named, the most telling first."""
    return normalized(load_order(body), prefix=prefix, settings=settings)


def normalized(given: dict[str, Any], *, prefix: str, settings: Settings) -> Order:
    """The order in a body as `load_order` read it. Raises `Reject`, see `normalize`."""
    faults = faults_of(given, settings=settings)
    try:
        order = _balanced(_order(given, prefix=prefix, settings=settings), settings=settings)
    except (UnknownCurrency, NotWholeUnits):
        raise rejection(faults) from None  # `faults` names them; no sum can be made of such amounts.
    except Unbalanced as unbalanced:
        faults.append(_unbalanced(unbalanced, settings=settings))
        raise rejection(faults) from None
    if faults:
        raise rejection(faults)
    return order


def _balanced(order: Order, *, settings: Settings) -> Order:
    return balanced(
        order, unit=smallest_unit(order.currency), gift_card_by_difference=settings.gift_card_by_difference
    )


def _unbalanced(unbalanced: Unbalanced, *, settings: Settings) -> Fault:
    reason = f"The order does not add up: {unbalanced.sum_text}."
    if unbalanced.difference < ZERO and not settings.gift_card_by_difference:
        reason += " If gift cards lower the shop's totals without a trace, set gift_card_by_difference=true."
    return Fault("balance", reason, "/total")


def _order(given: dict[str, Any], *, prefix: str, settings: Settings) -> Order:
    currency = given["currency"]
    bill = _address(given["billing"])
    return _smart_coupons(
        Order(
            number=f"{prefix}-{given['number']}",
            platform_order_id=str(given["id"]),
            currency=currency,
            total=amount(given["total"], currency=currency),
            created_at=given["date_created_gmt"],
            created_raw=given["created_raw"],
            bill=bill,
            ship=_ship_to(given["shipping"], bill=bill),
            payment=_payment(given),
            lines=numbered(line for line, _ in sourced_lines(given, settings=settings)),
            status=given["status"],
            customer_id=str(given["customer_id"] or ""),
            customer_note=given["customer_note"] or "",
            prices_include_tax=given["prices_include_tax"],
            meta=_meta(given["meta_data"], settings),
        )
    )


def sourced_lines(given: dict[str, Any], *, settings: Settings) -> Iterator[tuple[Line, str]]:
    """The order's lines, each with the JSON pointer to what it is made from."""
    currency = given["currency"]
    for at, line in enumerate(given["line_items"]):
        yield _product(line, currency), f"/line_items/{at}"
    for at, line in enumerate(given["shipping_lines"]):
        yield _shipping(line, currency), f"/shipping_lines/{at}"
    for at, line in enumerate(given["fee_lines"]):
        yield _fee(line, currency, settings), f"/fee_lines/{at}"
    for at, line in enumerate(given["coupon_lines"]):
        yield _coupon(line, currency), f"/coupon_lines/{at}"
    yield from ((line, "") for line in _tax(given, currency))


def _address(given: dict[str, Any]) -> Address:
    return Address(**{ours: given[theirs] or "" for ours, theirs in _ADDRESS_PARTS.items()})


def _ship_to(given: dict[str, Any], *, bill: Address) -> Address:
    if has_no_street(given):
        return bill
    ship = _address(given)
    if ship.name:
        return ship
    return replace(ship, first_name=bill.first_name, last_name=bill.last_name)


def _payment(given: dict[str, Any]) -> Payment:
    method = given["payment_method"]
    lowered = method.lower()
    return Payment(
        method=method,
        title=given["payment_method_title"] or "",
        transaction_id=given["transaction_id"] or "",
        paid_at=given["date_paid_gmt"],
        klarna="klarna" in lowered,
        stripe="stripe" in lowered,
        paypal="paypal" in lowered or "ppcp" in lowered,  # PayPal's own plugin calls itself ppcp-gateway.
    )


def _product(line: dict[str, Any], currency: str) -> Line:
    quantity = line["quantity"]
    return Line(
        position=0,
        type=LineType.PRODUCT,
        name=html.unescape(line["name"]),  # They store & as &amp;, and tags as they are.
        amount=amount(line["total"], currency=currency),
        sku=line["sku"],
        quantity=quantity if quantity % 1 else Decimal(int(quantity)),
        listed=amount(line["subtotal"], currency=currency),
        tax=amount(line["total_tax"], currency=currency),
        platform_line_id=str(line["id"]),
    )


def _shipping(line: dict[str, Any], currency: str) -> Line:
    return Line(
        position=0,
        type=LineType.SHIPPING,
        name=html.unescape(line["method_title"] or "Shipping"),
        amount=amount(line["total"], currency=currency),
        tax=amount(line["total_tax"], currency=currency),
        platform_line_id=str(line["id"]),
        detail=line["method_id"] or "",
    )


def _fee(line: dict[str, Any], currency: str, settings: Settings) -> Line:
    name = html.unescape(line["name"] or "Fee")
    value = amount(line["total"], currency=currency)
    fee = Line(
        position=0,
        type=LineType.FEE,
        name=name,
        amount=value,
        tax=amount(line["total_tax"], currency=currency),
        platform_line_id=str(line["id"]),
    )
    credits_ = {each.casefold() for each in settings.store_credit_fee_names}
    if value < ZERO and name.strip().casefold() in credits_:
        # WooCommerce taxes a negative fee in proportion; that part is inside the order's total tax already.
        return replace(fee, type=LineType.STORE_CREDIT, amount=abs(value * 0), nominal=-value)
    return fee


def _coupon(line: dict[str, Any], currency: str) -> Line:
    unit = smallest_unit(currency)
    return Line(
        position=0,
        type=LineType.COUPON,
        name=line["code"],
        amount=ZERO * unit,
        nominal=round_half_up(line["discount"], unit=unit),
        platform_line_id=str(line["id"]),
        detail=line["discount_type"] or "",
    )


def _tax(given: dict[str, Any], currency: str) -> list[Line]:
    value = amount(given["total_tax"], currency=currency)
    if not value:
        return []
    rates = ", ".join(_rate(line) for line in given["tax_lines"])
    return [Line(position=0, type=LineType.TAX, name="Tax", amount=value, detail=rates)]


def _rate(line: dict[str, Any]) -> str:
    label = line["label"] or line["rate_code"] or "tax"
    return label if line["rate_percent"] is None else f"{label} {line['rate_percent']} %"


def _smart_coupons(order: Order) -> Order:
    """Settle what smart coupons are: taken off the lines already, or store credit that lowers the total after tax."""
    coupons = [line for line in order.of_type(LineType.COUPON) if line.detail == _SMART_COUPON]
    worth = sum((line.nominal for line in coupons), ZERO)
    short = expected_total(order.lines) - order.total
    allowed = tolerance(order.lines, unit=smallest_unit(order.currency))
    # Exactly their worth, or their worth and rounding: what rounding alone explains leaves them coupons.
    if not worth or not (short == worth or (short > allowed and abs(short - worth) <= allowed)):
        return order
    return replace(
        order,
        lines=tuple(
            replace(line, type=LineType.STORE_CREDIT) if line in coupons else line for line in order.lines
        ),
    )


def _meta(given: list[Any], settings: Settings) -> tuple[tuple[str, Any], ...]:
    # `_coupons_hash` and its like are WooCommerce's own bookkeeping of the cart.
    return tuple(
        (key, _plain(value))
        for key, value in meta_pairs(given)
        if key != settings.mark_key and not (key.startswith("_") and key.endswith("_hash"))
    )


def _plain(value: Any) -> Any:
    """Another plugin's value with its fractions as text: they come back from storage as they went in."""
    match value:
        case Decimal():
            return str(value)
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case _:
            return value
