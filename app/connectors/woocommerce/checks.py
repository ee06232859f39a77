"""What makes an order impossible to take over, named one by one. Pure; works on an order as `schema` loaded it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from app.connectors.woocommerce.settings import Settings
from app.domain import money
from app.domain.codes import COUNTRIES, CURRENCY_EXPONENTS, WITHOUT_POSTCODE
from app.domain.money import ZERO
from app.ports.faults import Fault

_STREET = ("address_1", "address_2", "city", "postcode")


def faults_of(order: dict[str, Any], *, settings: Settings) -> list[Fault]:
    """Every fault but the balance, the most telling first: an order without an address often has no payment method either."""
    return [
        *_lines(order),
        *_quantities(order, settings),
        *_amounts(order, settings),
        *_refunds(order),
        *_addresses(order),
        *_payment(order, settings),
    ]


def has_no_street(address: dict[str, Any]) -> bool:
    """Whether nothing of this address says where it is; WooCommerce leaves the shipping address so where none was asked for."""
    return not any(_given(address, part) for part in _STREET)


def _given(address: dict[str, Any], part: str) -> str:
    return (address[part] or "").strip()


def _lines(order: dict[str, Any]) -> Iterator[Fault]:
    if not order["line_items"]:
        yield Fault("validation", "The order has no line items.", "/line_items")


def _quantities(order: dict[str, Any], settings: Settings) -> Iterator[Fault]:
    for index, line in enumerate(order["line_items"]):
        quantity, field = line["quantity"], f"/line_items/{index}/quantity"
        if quantity <= ZERO:
            yield Fault(
                "validation",
                f"The quantity of {line['name']!r} is {quantity}, which is not above zero.",
                field,
            )
        elif quantity != quantity.to_integral_value() and not settings.fractional_quantities:
            yield Fault(
                "validation",
                f"The quantity of {line['name']!r} is the fraction {quantity}; set fractional_quantities=true if the shop sells so.",
                field,
            )
        elif not _price_fits(line, settings):
            yield Fault(
                "validation",
                f"{line['name']!r}: quantity {quantity} at price {line['price']} is not its total {line['total']};"
                " a plugin that lets the shop sell fractions may be switched off.",
                field,
            )


def _price_fits(line: dict[str, Any], settings: Settings) -> bool:
    # Their price is total / quantity, rounded by older versions: off by half a cent for each piece, and a cent for the total.
    price = line["price"]
    if isinstance(price, bool) or not isinstance(price, (int, Decimal)):
        return True
    allowed = (Decimal(1) + line["quantity"] / 2).scaleb(-settings.decimals)
    try:
        return bool(abs(price * line["quantity"] - line["total"]) <= allowed)
    except ArithmeticError:
        # A price beyond what a product of two numbers can be is no price.
        return False


def _amounts(order: dict[str, Any], settings: Settings) -> Iterator[Fault]:
    currency = order["currency"]
    decimals = CURRENCY_EXPONENTS.get(currency)
    if decimals is None:
        yield Fault("validation", f"The currency {currency!r} is unknown.", "/currency")
        return
    if decimals > settings.decimals:
        yield Fault(
            "settings",
            f"{currency} has {decimals} decimals; set decimals={decimals} for this shop.",
            "/currency",
        )
    for field, amount in _money_of(order):
        try:
            money.amount(amount, currency=currency)
        except money.NotWholeUnits:
            yield Fault(
                "validation",
                f"The amount {amount} ({field}) is no whole number of the smallest unit of {currency}.",
                field,
            )
            # One such amount says that the shop counts in other units; the rest would only repeat it.
            break
    if order["total"] < ZERO:
        yield Fault("validation", f"The order's total of {order['total']} is negative.", "/total")
    for index, line in enumerate(order["line_items"]):
        if line["total"] < ZERO:
            yield Fault(
                "validation",
                f"The line {line['name']!r} is negative ({line['total']}).",
                f"/line_items/{index}/total",
            )


def _money_of(order: dict[str, Any]) -> Iterator[tuple[str, Decimal]]:
    yield "/total", order["total"]
    yield "/total_tax", order["total_tax"]
    for name, keys in (
        ("line_items", ("subtotal", "total", "total_tax")),
        ("shipping_lines", ("total", "total_tax")),
        ("fee_lines", ("total", "total_tax")),
    ):
        for index, line in enumerate(order[name]):
            yield from ((f"/{name}/{index}/{key}", line[key]) for key in keys)


def _refunds(order: dict[str, Any]) -> Iterator[Fault]:
    if order["refunds"] or order["status"] == "refunded":
        yield Fault(
            "refund", "The order was refunded, in part or as a whole, before it was exported.", "/refunds"
        )


def _addresses(order: dict[str, Any]) -> Iterator[Fault]:
    yield from _address(order["billing"], "billing")
    if not has_no_street(order["shipping"]):
        named = order["shipping"]
        if not (_given(named, "first_name") or _given(named, "last_name")):
            named = {
                **named,
                "first_name": order["billing"]["first_name"],
                "last_name": order["billing"]["last_name"],
            }
        yield from _address(named, "shipping")


def _address(address: dict[str, Any], which: str) -> Iterator[Fault]:
    country = address["country"] or ""
    if country.strip() and country not in COUNTRIES:
        yield Fault(
            "address", f"The {which} address has the unknown country {country!r}.", f"/{which}/country"
        )
    required = ["address_1", "city", "country"]
    if country not in WITHOUT_POSTCODE:
        required.append("postcode")
    empty = [part for part in required if not _given(address, part)]
    if not any(_given(address, part) for part in ("first_name", "last_name", "company")):
        empty.insert(0, "name")
    if empty:
        field = "first_name" if empty[0] == "name" else empty[0]
        yield Fault("address", f"The {which} address has no {', '.join(empty)}.", f"/{which}/{field}")


def _payment(order: dict[str, Any], settings: Settings) -> Iterator[Fault]:
    if order["total"] <= ZERO:
        return  # Free products, full coupons and full store credit leave nothing to pay.
    method = order["payment_method"].strip()
    if not method:
        yield Fault(
            "payment",
            f"There is no payment method although {order['total']} are to be paid.",
            "/payment_method",
        )
    elif order["date_paid_gmt"] is None and method not in settings.pay_later_methods:
        yield Fault(
            "payment",
            f"The payment method {method} is paid in advance, but the order has no date of payment;"
            " add the method to pay_later_methods if it is paid later.",
            "/date_paid_gmt",
        )
