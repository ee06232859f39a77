"""Cents, and the money of an order body (contract section 8)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from .answers import JsonObject

RECORDED_ZONE = ZoneInfo("America/Los_Angeles")
"""The zone of the shop whose orders were recorded, and the default of a sandbox shop."""

_CENT = Decimal("0.01")
_HEADER = (
    "discount_total",
    "discount_tax",
    "shipping_total",
    "shipping_tax",
    "cart_tax",
    "total",
    "total_tax",
)
_LINE_FIELDS = ("subtotal", "subtotal_tax", "total", "total_tax", "taxes", "price", "quantity")
_LINE = ("subtotal", "subtotal_tax", "total", "total_tax")
_ROUNDED = ("line_items", "shipping_lines", "fee_lines", "refunds", "tax_lines")


def cents(value: Any) -> int:
    """An amount as whole cents; what is no number is 0."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return 0
    if not amount.is_finite():
        return 0
    return int((amount * 100).to_integral_value(rounding=ROUND_HALF_UP))


def amount_text(whole_cents: int) -> str:
    """Whole cents as WooCommerce writes money: a string with two decimals."""
    sign = "-" if whole_cents < 0 else ""
    return f"{sign}{abs(whole_cents) // 100}.{abs(whole_cents) % 100:02d}"


def unpadded(whole_cents: int) -> str:
    """Whole cents as coupon lines show them: "16", "0.5", "1.52"."""
    text = amount_text(whole_cents)
    return text.rstrip("0").rstrip(".")


def plain_number(value: float) -> int | float:
    """A number as PHP writes it: 149.0 is 149."""
    return int(value) if value == int(value) else value


def unit_price(total_cents: int, quantity: float) -> int | float:
    """``price``: total / quantity, not rounded; 0 when there is no quantity."""
    return plain_number(total_cents / 100 / quantity) if quantity else 0


def recalculate(body: JsonObject) -> None:
    """Set the header's totals from the lines; the order does not go below zero."""
    lines, fees, shipping = body["line_items"], body["fee_lines"], body["shipping_lines"]
    cart_tax = sum(cents(line["total_tax"]) for line in [*lines, *fees])
    shipping_total = sum(cents(line["total"]) for line in shipping)
    shipping_tax = sum(cents(line["total_tax"]) for line in shipping)
    before_tax = sum(cents(line["total"]) for line in [*lines, *fees]) + shipping_total
    discount = sum(cents(line["subtotal"]) - cents(line["total"]) for line in lines)
    discount_tax = sum(cents(line["subtotal_tax"]) - cents(line["total_tax"]) for line in lines)
    body.update(
        discount_total=amount_text(discount),
        discount_tax=amount_text(discount_tax),
        shipping_total=amount_text(shipping_total),
        shipping_tax=amount_text(shipping_tax),
        cart_tax=amount_text(cart_tax),
        total=amount_text(max(before_tax + cart_tax + shipping_tax, 0)),
        total_tax=amount_text(cart_tax + shipping_tax),
    )


def json_copy(value: Any) -> Any:
    """A copy of a JSON value that shares no list and no object with it; `deepcopy` takes five times as long."""
    if isinstance(value, dict):
        return {name: json_copy(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [json_copy(inner) for inner in value]
    return value


def with_decimals(body: JsonObject, dp: int) -> JsonObject:
    """The body as ``dp=N`` shows it: more decimals for lines, the header stays rounded to 2.

    The stored precision of a line is taken from its unrounded ``price`` where that agrees with the
    recorded total; taxes follow from it and the rate.
    """
    shown = {**body, **{kind: json_copy(body[kind]) for kind in _ROUNDED if kind in body}}
    rates = {line["rate_id"]: line for line in shown.get("tax_lines", [])}
    _round_names(shown, _HEADER, dp)
    for line in shown.get("line_items", []):
        if set(_LINE_FIELDS).issubset(line):
            _line_decimals(line, rates, dp)
    for kind in ("shipping_lines", "fee_lines", "refunds"):
        for line in shown.get(kind, []):
            _round_names(line, _LINE, dp)
            for tax in line.get("taxes", []):
                _round_names(tax, ("total",), dp)
    for line in shown.get("tax_lines", []):
        _round_names(line, ("tax_total", "shipping_tax_total"), dp)
    return shown


def _round_names(item: JsonObject, names: tuple[str, ...], dp: int) -> None:
    for name in names:
        if name in item:
            item[name] = _decimals(item[name], dp)


def _decimals(value: Any, dp: int) -> Any:
    """An amount with ``dp`` decimals; what is no amount stays as it is."""
    return _text_decimals(value, dp) if isinstance(value, str) else value


@lru_cache(maxsize=50_000)
def _text_decimals(value: str, dp: int) -> str:
    try:
        return str(Decimal(value).quantize(Decimal(1).scaleb(-dp), rounding=ROUND_HALF_UP))
    except InvalidOperation:
        return value


def _line_decimals(line: JsonObject, rates: dict[int, JsonObject], dp: int) -> None:
    recorded = {name: line[name] for name in _LINE}
    for name in _LINE:
        line[name] = _decimals(line[name], dp)
    for tax in line["taxes"]:
        for name in ("total", "subtotal"):
            tax[name] = _decimals(tax[name], dp)
    precise = (Decimal(repr(line["price"])) * Decimal(repr(line["quantity"]))).quantize(Decimal("0.00000001"))
    if dp <= 2 or precise.quantize(_CENT, rounding=ROUND_HALF_UP) != Decimal(recorded["total"]):
        return
    names = ["total"] + (["subtotal"] if recorded["subtotal"] == recorded["total"] else [])
    for name in names:
        line[name] = _decimals(str(precise), dp)
    exact = [_exact_tax(tax, precise, rates) for tax in line["taxes"]]
    agrees = sum(exact, Decimal(0)).quantize(_CENT, rounding=ROUND_HALF_UP) == Decimal(recorded["total_tax"])
    for name in names:
        for tax, amount in zip(line["taxes"], exact, strict=True):
            tax[name] = _decimals(str(amount), dp)
        if agrees:
            line[f"{name}_tax"] = _decimals(str(sum(exact, Decimal(0))), dp)


def _exact_tax(tax: JsonObject, precise: Decimal, rates: dict[int, JsonObject]) -> Decimal:
    """A line's tax by its rate, where that agrees with the recorded amount."""
    shown, rate = Decimal(tax["total"]), rates.get(tax["id"])
    if rate is None or rate["compound"]:
        return shown
    by_rate = precise * Decimal(str(rate["rate_percent"])) / 100
    agrees = by_rate.quantize(_CENT, rounding=ROUND_HALF_UP) == shown.quantize(_CENT)
    return by_rate if agrees else shown
