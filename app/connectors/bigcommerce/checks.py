"""What makes an order impossible to take over, named one by one. Pure; works on an order as `schema` loaded it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from app.connectors.bigcommerce.payment import is_test
from app.connectors.bigcommerce.settings import Settings
from app.domain.codes import COUNTRIES, CURRENCY_EXPONENTS, WITHOUT_POSTCODE
from app.domain.money import ZERO
from app.ports.faults import Fault

_NAMES = {"street_1": "street", "zip": "postcode", "country_iso2": "country"}
_NOT_SHIPPED = ("digital", "giftcertificate")
_REFUNDED_STATUSES = (4, 14)
_PAID_STATUSES = (2, 3, 8, 9, 10, 11)
"""Statuses of paid orders (contract, section 6)."""
_UNPAID = frozenset(("declined", "held for review", "void", "void pending"))
_PAID = frozenset(("authorized", "captured", "capture pending", "paid"))


def faults_of(order: dict[str, Any], *, settings: Settings, due: Decimal) -> list[Fault]:
    """Every fault but the balance, the most telling first. `due` is what was left to be paid by the payment method."""
    return [
        *_lines(order),
        *_amounts(order),
        *_refunds(order),
        *_addresses(order),
        *_payment(order, settings, due),
    ]


def _given(address: dict[str, Any], part: str) -> str:
    return (address[part] or "").strip()


def _lines(order: dict[str, Any]) -> Iterator[Fault]:
    if not order["lines"]:
        yield Fault("validation", "The order has no line items.", "/consignments")
    for line in order["lines"]:
        quantity, field = line["quantity"], f"{line['pointer']}/quantity"
        if quantity <= ZERO or quantity != quantity.to_integral_value():
            found = f"The quantity of {line['name']!r} is {quantity}, which is no whole number above zero."
            yield Fault("validation", found, field)
        if line["total_ex_tax"] < ZERO or line["total_inc_tax"] < ZERO:
            found = f"The line {line['name']!r} is negative ({line['total_inc_tax']})."
            yield Fault("validation", found, f"{line['pointer']}/total_inc_tax")


def _amounts(order: dict[str, Any]) -> Iterator[Fault]:
    currency = order["default_currency_code"] or ""
    if currency not in CURRENCY_EXPONENTS:
        yield Fault("validation", f"The currency {currency!r} is unknown.", "/default_currency_code")
    if order["total_inc_tax"] < ZERO:
        yield Fault(
            "validation", f"The order's total of {order['total_inc_tax']} is negative.", "/total_inc_tax"
        )


def _refunds(order: dict[str, Any]) -> Iterator[Fault]:
    status = (order["payment_status"] or "").casefold()
    by_line = any(line["is_refunded"] is True or line["quantity_refunded"] for line in order["lines"])
    if (
        by_line
        or order["refunded_amount"] > ZERO
        or order["status_id"] in _REFUNDED_STATUSES
        or status in {"refunded", "partially refunded"}
    ):
        yield Fault(
            "refund",
            "The order was refunded, in part or as a whole, before it was exported.",
            "/payment_status",
        )


def _addresses(order: dict[str, Any]) -> Iterator[Fault]:
    yield from _address(order["billing_address"], "billing", "/billing_address")
    if len(order["addresses"]) > 1:
        yield Fault(
            "address",
            f"The order goes to {len(order['addresses'])} addresses; set several_addresses=split to take one order for each, or split it in the store.",
            order["addresses"][1]["pointer"],
        )
    if not order["addresses"] and _is_shipped(order):
        yield Fault(
            "address",
            "The order is to be shipped, but the store does not show where to; look at its shipping address in the store.",
            "/consignments/shipping",
        )
    for address in order["addresses"][:1]:
        yield from _address(_named(address, order["billing_address"]), "shipping", address["pointer"])


def _is_shipped(order: dict[str, Any]) -> bool:
    """Whether something goes to an address: downloads, gift certificates by e-mail and what is fetched do not."""
    told = order["shipping_address_count"]
    if isinstance(told, int) and told > 0:
        return True
    places = {place.get("id") for place in order["pickups"]}
    return any(
        line["order_address_id"]
        and line["order_address_id"] not in places
        and line["type"] not in _NOT_SHIPPED
        and not line["pointer"].startswith("/consignments/pickups")
        for line in order["lines"]
    )


def _named(address: dict[str, Any], billing: dict[str, Any]) -> dict[str, Any]:
    if _given(address, "first_name") or _given(address, "last_name"):
        return address
    return {**address, "first_name": billing["first_name"], "last_name": billing["last_name"]}


def _address(address: dict[str, Any], which: str, pointer: str) -> Iterator[Fault]:
    country = (address["country_iso2"] or "").strip()
    if country and country not in COUNTRIES:
        yield Fault(
            "address", f"The {which} address has the unknown country {country!r}.", f"{pointer}/country_iso2"
        )
    required = ["street_1", "city", "country_iso2"]
    if country not in WITHOUT_POSTCODE:
        required.append("zip")
    empty = [part for part in required if not _given(address, part)]
    if not any(_given(address, part) for part in ("first_name", "last_name", "company")):
        empty.insert(0, "name")
    if empty:
        field = "first_name" if empty[0] == "name" else empty[0]
        named = ", ".join(_NAMES.get(part, part) for part in empty)
        yield Fault("address", f"The {which} address has no {named}.", f"{pointer}/{field}")


def _payment(order: dict[str, Any], settings: Settings, due: Decimal) -> Iterator[Fault]:
    if is_test(order) and not settings.take_test_payments:
        yield Fault(
            "payment",
            "The order was paid with test money only; cancel it in the store, or set take_test_payments=true to take such orders.",
            "/_parts/transactions",
        )
    if due <= ZERO:
        return  # Free products, full coupons and full store credit leave nothing to pay.
    method = (order["payment_method"] or "").strip()
    status = (order["payment_status"] or "").casefold()
    if not method:
        yield Fault(
            "payment", f"There is no payment method although {due} are to be paid.", "/payment_method"
        )
    elif status in _UNPAID:
        yield Fault("payment", f"The payment by {method} is {status}.", "/payment_status")
    elif not settings.is_paid_later(method) and not _is_paid(order, status):
        yield Fault(
            "payment",
            f"The payment method {method} is paid in advance, but the payment is {status or 'not made'};"
            " add the method to pay_later_methods if it is paid later.",
            "/payment_status",
        )


def _is_paid(order: dict[str, Any], status: str) -> bool:
    # An offline payment that a merchant has confirmed leaves no payment status; the order's own status then says so.
    return status in _PAID or (not status and order["status_id"] in _PAID_STATUSES)
