"""What can be written into an order, and what that does to it (contract section 7)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .answers import ApiError, JsonObject, invalid, read_only, unsupported
from .dates import moment_of
from .money import ZERO, decimal, text
from .records import Ids, Order, copied
from .rows import fee_row
from .statuses import NAMES, SHIPPED
from .totals import TotalRules, set_line_amounts, set_totals

NOTES_LENGTH = 65535
_TEXTS = frozenset(
    "staff_notes customer_message external_order_id external_source payment_method payment_provider_id"
    " ip_address customer_locale tax_provider_id".split()
)
_WRITABLE = _TEXTS | {
    "status_id",
    "customer_id",
    "channel_id",
    "billing_address",
    "products",
    "fees",
    "discount_amount",
}
_READ_ONLY = frozenset({"id", "status", "date_created", "date_modified", "date_shipped"})
_OF_A_LINE = frozenset({"id", "quantity", "price_ex_tax", "price_inc_tax"})


def check_change(order: Order, data: Any) -> JsonObject:
    """The fields of a PUT; ApiError where one cannot be written, or not with this value. Nothing is done yet.

    ``custom_status`` is not even known to the resource; other fields of an answer are known and cannot be written.
    """
    if not isinstance(data, dict):
        raise ApiError(400, "The body is not a JSON object.")
    for name, value in sorted(data.items(), key=lambda item: item[0] != "id"):
        if name == "custom_status":
            raise unsupported(name)
        if name in _WRITABLE:
            _check_value(order, name, value)
        elif name in _READ_ONLY or name in order.body:
            raise read_only(name)
        else:
            raise unsupported(name)
    return data


def _check_value(order: Order, name: str, value: Any) -> None:
    if name == "status_id":
        sound = isinstance(value, int) and not isinstance(value, bool) and value in NAMES
    elif name in ("customer_id", "channel_id"):
        sound = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    elif name in _TEXTS:
        sound = isinstance(value, str) and len(value) <= NOTES_LENGTH
    elif name == "billing_address":
        sound = isinstance(value, dict)
    elif name == "discount_amount":
        sound = _is_amount(value)
    else:
        sound = isinstance(value, list) and all(isinstance(row, dict) for row in value)
        sound = sound and all(_is_line(order, row) if name == "products" else _is_fee(row) for row in value)
    if not sound:
        raise invalid(name)


def _is_amount(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and decimal(value) >= ZERO
    except ArithmeticError:
        return False


def _is_fee(row: JsonObject) -> bool:
    return _is_amount(row.get("cost", 0))


def _is_line(order: Order, row: JsonObject) -> bool:
    """Whether this changes a line that is there; adding and removing lines is not known here."""
    quantity = row.get("quantity", 1)
    return (
        _OF_A_LINE.issuperset(row)
        and any(line["id"] == row.get("id") for line in order.lines)
        and isinstance(quantity, int)
        and quantity > 0
        and all(_is_amount(row.get(name, 0)) for name in ("price_ex_tax", "price_inc_tax"))
    )


def change(order: Order, data: JsonObject, *, ids: Ids, now: datetime, rules: TotalRules) -> None:
    """Write checked fields.

    Changed lines **lose their discounts**, ``fees`` replaces all there were, and both work the totals out
    anew. The date of shipping is set by the status, without a shipment.
    """
    for name in data.keys() & (_TEXTS | {"customer_id", "channel_id"}):
        order.body[name] = data[name]
    if "billing_address" in data:
        order.body["billing_address"] = {**order.body["billing_address"], **copied(data["billing_address"])}
    if "status_id" in data:
        if data["status_id"] == SHIPPED and order.status_id != SHIPPED:
            order.shipped = now
        order.body["status_id"] = data["status_id"]
    for row in data.get("products", []):
        _change_line(order, row)
    if "fees" in data:
        order.fees = [fee_row(ids, row) for row in copied(data["fees"])]
    if "discount_amount" in data:
        order.body["discount_amount"] = text(decimal(data["discount_amount"]))
    if data.keys() & {"products", "fees", "discount_amount"}:
        set_totals(order, rules)


def _change_line(order: Order, row: JsonObject) -> None:
    line = next(one for one in order.lines if one["id"] == row["id"])
    for discount in line["applied_discounts"]:
        field = "coupon_discount" if discount["code"] else "discount_amount"
        order.body[field] = text(decimal(order.body[field]) - decimal(discount["amount"]))
    line["applied_discounts"] = []
    line["quantity"] = row.get("quantity", line["quantity"])
    inclusive = bool(order.body["is_tax_inclusive_pricing"])
    typed = row.get("price_inc_tax" if inclusive else "price_ex_tax", line["base_price"])
    set_line_amounts(line, decimal(typed), order.rates[line["id"]], inclusive=inclusive)


def force(order: Order, changes: JsonObject, now: datetime) -> None:
    """Write any field as given, checks and totals left aside, as a test or the control door may.

    ``lines``, ``transactions`` and the other rows are replaced; dates may be given too.
    """
    for name, value in copied(changes).items():
        if name in ("date_created", "date_modified", "date_shipped"):
            attribute = {"date_created": "created", "date_modified": "modified"}.get(name, "shipped")
            setattr(order, attribute, moment_of(value, now) if value else None)
        elif name == "products":
            order.lines = value
        elif name == "shipping_addresses":
            order.addresses = value
        elif name in ("coupons", "fees", "messages", "transactions", "refunds"):
            setattr(order, name, value)
        elif name == "billing_address":
            order.body[name] = {**order.body[name], **value}
        else:
            order.body[name] = value
