"""What an order says beyond our own words: notes, custom fields, product options, and the names others know it by. Pure."""

from collections.abc import Iterator
from typing import Any

from app.connectors.bigcommerce.bodies import plain

_NAMES = ("external_order_id", "external_id", "external_source", "order_source")
_NO_EBAY = ("", "0")


def meta_of(given: dict[str, Any], *, staff_notes: str) -> tuple[tuple[str, Any], ...]:
    """Names and values, in a fixed order. `given` is an order as `schema` loaded it; `staff_notes` are without our own line."""
    return tuple(_pairs(given, staff_notes))


def _pairs(given: dict[str, Any], staff_notes: str) -> Iterator[tuple[str, Any]]:
    if staff_notes:
        yield "staff_notes", staff_notes
    yield from _fields("billing", given["billing_address"]["form_fields"])
    for address in given["addresses"]:
        yield from _fields("shipping", address["form_fields"])
        if address["shipping_method"]:
            yield "shipping_method", address["shipping_method"]
    for place in given["pickups"]:
        shown = {key: plain(value) for key, value in place.items() if key in _PICKUP}
        if shown:
            yield "pickup", shown
    for line in given["lines"]:
        yield from _options(line)
    yield from ((name, given[name]) for name in _NAMES if given[name])
    if (given["ebay_order_id"] or "") not in _NO_EBAY:
        yield "ebay_order_id", given["ebay_order_id"]
    if given["channel_id"]:
        yield "channel_id", given["channel_id"]
    if given["currency_code"] and given["currency_code"] != given["default_currency_code"]:
        yield "displayed_currency", given["currency_code"]


_PICKUP = frozenset(("id", "pickup_method_id", "pickup_method_display_name", "location"))


def _fields(which: str, fields: Any) -> Iterator[tuple[str, Any]]:
    for each in fields if isinstance(fields, list) else ():
        if isinstance(each, dict) and each.get("name"):
            yield f"{which}: {each['name']}", plain(each.get("value"))


def _options(line: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Choices, texts, dates and files that the customer gave with a line; a file's value is JSON text and stays so."""
    for options in (line["product_options"], line["configurable_fields"]):
        for each in options if isinstance(options, list) else ():
            if isinstance(each, dict):
                name = each.get("display_name") or each.get("name")
                # What is shown of a file is its name only; its value tells where it lies.
                shown = None if each.get("type") == "File Upload" else each.get("display_value")
                value = shown or each.get("value") or each.get("display_value")
                if name:
                    yield f"line {line['id']}: {name}", plain(value)
    if line["wrapping_message"]:
        yield f"line {line['id']}: wrapping message", line["wrapping_message"]
