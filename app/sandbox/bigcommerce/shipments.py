"""Shipments (contract section 7)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from .answers import ApiError, JsonObject, invalid, unsupported
from .dates import rfc_text
from .money import decimal, text
from .records import Ids, Order, copied
from .statuses import PARTIALLY_SHIPPED, SHIPPED
from .views import plain_address

_PROVIDER = re.compile(
    r"(|auspost|canadapost|endicia|usps|fedex|royalmail|ups|upsready|upsonline|shipperhq|carrier_\d+)",
    re.ASCII,
)
_LENGTHS = {
    "tracking_number": 50,
    "tracking_link": 500,
    "tracking_carrier": 100,
    "shipping_method": 250,
    "comments": 65535,
}
_KNOWN = frozenset({*_LENGTHS, "order_address_id", "items", "shipping_provider", "merchant_shipping_cost"})


def ship(order: Order, data: Any, *, ids: Ids, now: datetime, moves_status: bool) -> JsonObject:
    """Send what a shipment names; ApiError (400) where something in it cannot be, and then nothing is sent."""
    if not isinstance(data, dict):
        raise ApiError(400, "The body is not a JSON object.")
    for name in data:
        if name not in _KNOWN:
            raise unsupported(name)
    _check_texts(data)
    address = _address(order, data)
    items = _items(order, address, data)
    for line, quantity in items:
        line["quantity_shipped"] += quantity
        address["items_shipped"] += quantity
        order.body["items_shipped"] += quantity
    complete = all(line["quantity_shipped"] >= line["quantity"] for line in order.lines)
    order.shipped = now if complete else order.shipped
    if moves_status:
        order.body["status_id"] = SHIPPED if complete else PARTIALLY_SHIPPED
    row = _row(order, address, data, ids.next("shipment"), now)
    row["items"] = [
        {"order_product_id": line["id"], "product_id": line["product_id"], "quantity": quantity}
        for line, quantity in items
    ]
    order.shipments.append(row)
    return row


def _check_texts(data: JsonObject) -> None:
    for name, length in _LENGTHS.items():
        value = data.get(name, "")
        if not isinstance(value, str) or len(value) > length:
            raise invalid(name)
    if not _PROVIDER.fullmatch(str(data.get("shipping_provider") or "")):
        raise invalid("shipping_provider")


def _number(value: Any) -> int:
    """A whole number, which may come as text; -1 for anything else."""
    text_of = str(value)
    return int(text_of) if text_of.isascii() and text_of.isdigit() else -1


def _address(order: Order, data: JsonObject) -> JsonObject:
    wanted = _number(data.get("order_address_id"))
    found = next((address for address in order.addresses if address["id"] == wanted), None)
    if found is None:
        raise invalid("order_address_id")
    return found


def _items(order: Order, address: JsonObject, data: JsonObject) -> list[tuple[JsonObject, int]]:
    """The lines and how many of each, none more than there are left to send to this address."""
    rows = data.get("items")
    if not isinstance(rows, list) or not rows:
        raise invalid("items")
    left = {
        line["id"]: (line, line["quantity"] - line["quantity_shipped"])
        for line in order.lines
        if line["order_address_id"] == address["id"]
    }
    found = []
    for row in rows:
        line_id = _number(row.get("order_product_id")) if isinstance(row, dict) else -1
        quantity = _number(row.get("quantity")) if isinstance(row, dict) else -1
        if line_id not in left or not 0 < quantity <= left[line_id][1]:
            raise invalid("items")
        line, remaining = left[line_id]
        left[line_id] = (line, remaining - quantity)
        found.append((line, quantity))
    return found


def _row(order: Order, address: JsonObject, data: JsonObject, shipment_id: int, now: datetime) -> JsonObject:
    provider, carrier = str(data.get("shipping_provider") or ""), data.get("tracking_carrier", "")
    tracking, link = data.get("tracking_number", ""), data.get("tracking_link", "")
    made = (
        f"https://tracking.example.test/{provider or carrier}/{tracking}"
        if tracking and (provider or carrier)
        else ""
    )
    return {
        "id": shipment_id,
        "order_id": order.id,
        "customer_id": order.body["customer_id"],
        "order_address_id": address["id"],
        "date_created": rfc_text(now),
        "tracking_number": tracking,
        "merchant_shipping_cost": text(decimal(data.get("merchant_shipping_cost", 0))),
        "shipping_method": data.get("shipping_method", address["shipping_method"]),
        "comments": data.get("comments", ""),
        "shipping_provider": provider,
        "tracking_carrier": carrier,
        "tracking_link": link,
        "billing_address": copied(plain_address(order.body["billing_address"])),
        "shipping_address": copied(plain_address(address)),
        "items": [],
        "shipping_provider_display_name": provider.upper(),
        "generated_tracking_link": link or made,
    }
