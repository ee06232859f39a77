"""Orders as the two API versions show them: links, side-loads, consignments, shipments (contract sections 2, 4, 5)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .answers import JsonObject
from .dates import rfc_text
from .money import bare_text, number
from .records import Order
from .rows import ADDRESS
from .statuses import NAMES, Labels

LINES_SIDE_LOADED = 50
INCLUDES = frozenset({"consignments", "consignments.line_items", "fees"})
_LINKS = ("products", "shipping_addresses", "coupons", "consignments", "fees")
_MONEY_WORDS = ("cost", "total", "price", "amount", "discount")
_NO_MONEY = ("items_total", "quantity", "_id")


def _is_money(name: str, value: Any) -> bool:
    return (
        isinstance(value, str)
        and any(word in name for word in _MONEY_WORDS)
        and not any(word in name for word in _NO_MONEY)
    )


def with_bare_money(row: JsonObject) -> JsonObject:
    """A row whose amounts have no zeros at the end."""
    return {name: bare_text(value) if _is_money(name, value) else value for name, value in row.items()}


def with_numbers(row: JsonObject) -> JsonObject:
    """A row whose amounts are numbers, as the bodies of consignments have them."""
    return {name: number(value) if _is_money(name, value) else value for name, value in row.items()}


class Views:
    """How one store shows its orders. Links lead to the platform's own host, wherever the store is served."""

    def __init__(self, store_hash: str, labels: Labels) -> None:
        self._base = f"https://api.bigcommerce.com/stores/{store_hash}/v2"
        self._labels = labels
        self.consignment_lines_as_numbers = True

    def link(self, resource: str) -> JsonObject:
        """Where something is, in place of the thing itself."""
        return {"url": f"{self._base}{resource}", "resource": resource}

    def order(self, order: Order, include: Collection[str] = (), *, as_object: bool = True) -> JsonObject:
        """A V2 order; ``include`` is what comes in place of links."""
        body = with_bare_money(order.body) if order.bare_money else dict(order.body)
        shown: JsonObject = {
            **body,
            "date_created": rfc_text(order.created),
            "date_modified": rfc_text(order.modified),
            "date_shipped": rfc_text(order.shipped),
            "status": NAMES.get(order.status_id, "Unknown"),
            "custom_status": self._labels.of(order.status_id),
        }
        for name in _LINKS:
            shown[name] = self.link(f"/orders/{order.id}/{name}")
        if "fees" in include:
            shown["fees"] = order.fees
        if "consignments" in include or "consignments.line_items" in include:
            consignments = self.consignments(order, with_lines="consignments.line_items" in include)
            shown["consignments"] = consignments if as_object else [consignments]
        return shown

    def lines(self, order: Order) -> list[JsonObject]:
        """The order's lines."""
        return [with_bare_money(line) if order.bare_money else line for line in order.lines]

    def addresses(self, order: Order) -> list[JsonObject]:
        """The order's shipping addresses."""
        return [
            self._quoted(order, with_bare_money(row) if order.bare_money else row) for row in order.addresses
        ]

    def _quoted(self, order: Order, address: JsonObject) -> JsonObject:
        quotes = f"/orders/{order.id}/shipping_addresses/{address['id']}/shipping_quotes"
        return {**address, "shipping_quotes": self.link(quotes)}

    def consignments(self, order: Order, *, with_lines: bool) -> JsonObject:
        """The lines by where they go: **no more than 50 of each consignment are side-loaded**."""
        shipping = []
        for address in order.addresses:
            quotes = f"/orders/{order.id}/consignments/shipping/{address['id']}/shipping_quotes"
            here = [line for line in order.lines if line["order_address_id"] == address["id"]]
            row = with_numbers({name: value for name, value in address.items() if name != "order_id"})
            row["shipping_quotes"] = self.link(quotes)
            shipping.append({**row, **self._lines(order, here, with_lines=with_lines)})
        return {
            "pickups": [],
            "shipping": shipping,
            "downloads": self._mailed(order, "digital", with_lines=with_lines),
            "email": {"gift_certificates": self._mailed(order, "giftcertificate", with_lines=with_lines)},
        }

    def _mailed(self, order: Order, kind: str, *, with_lines: bool) -> list[JsonObject]:
        here = [line for line in order.lines if line["type"] == kind]
        if not here:
            return []
        recipient = {"recipient_email": order.body["billing_address"]["email"]}
        return [{**recipient, **self._lines(order, here, with_lines=with_lines)}]

    def _lines(self, order: Order, lines: list[JsonObject], *, with_lines: bool) -> JsonObject:
        if not with_lines:
            return {"line_items": [self.link(f"/orders/{order.id}/products/{line['id']}") for line in lines]}
        shown = lines[:LINES_SIDE_LOADED]
        if self.consignment_lines_as_numbers:
            shown = [with_numbers(line) for line in shown]
        found: JsonObject = {"line_items": shown}
        if len(lines) > LINES_SIDE_LOADED:
            message = f"Only {LINES_SIDE_LOADED} lines are here; read all of them at /v2/orders/{{order_id}}/products."
            found["__warning__"] = {"message": message}
        return found


def tax_row(row: JsonObject, *, details: bool) -> JsonObject:
    """A tax; what it is the tax of is told only when details are asked for."""
    hidden = () if details else ("order_product_id", "line_item_type")
    return {name: value for name, value in row.items() if name not in hidden}


def plain_address(row: JsonObject) -> JsonObject:
    """An address without its costs, as shipments have it."""
    return {name: row.get(name, "") for name in ADDRESS}
