"""The amounts of lines and orders, and the identity that the total keeps (contract section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from .answers import JsonObject
from .money import ZERO, decimal, in_cents, text, with_tax
from .records import Order

_KINDS = (("shipping_cost", "cost"), ("handling_cost", "handling_cost"))


@dataclass(frozen=True)
class TotalRules:
    """What no text of the platform settles: whether the total is already lowered by store credit and gift
    certificates, and whether it holds the fees.
    """

    tender_in_total: bool = False
    fees_in_total: bool = False


def set_costs(
    row: JsonObject, name: str, costs: tuple[Decimal, Decimal, Decimal], *, inclusive: bool
) -> None:
    """Write one kind of cost into a row: without tax, with tax, the tax, and the figure that was typed in."""
    before, after, tax = costs
    row[f"base_{name}"] = text(after if inclusive else before)
    row[f"{name}_ex_tax"], row[f"{name}_inc_tax"], row[f"{name}_tax"] = text(before), text(after), text(tax)
    row[f"{name}_tax_class_id"] = 2


def set_line_amounts(line: JsonObject, price: Decimal, rate: Decimal, *, inclusive: bool) -> None:
    """A line's price and total, before any discount."""
    before, after, tax = with_tax(price, rate, inclusive=inclusive)
    line["base_price"] = text(price)
    line["price_ex_tax"], line["price_inc_tax"], line["price_tax"] = text(before), text(after), text(tax)
    whole = price * decimal(line["quantity"])
    before, after, tax = with_tax(whole, rate, inclusive=inclusive)
    line["base_total"] = text(whole)
    line["total_ex_tax"], line["total_inc_tax"], line["total_tax"] = text(before), text(after), text(tax)
    line["discounted_total_inc_tax"] = text(after)


def set_line_discounts(line: JsonObject, rate: Decimal) -> None:
    """What is left of a line after its discounts. **The tax is of what is left**, the other totals are not."""
    off = sum((decimal(row["amount"]) for row in line["applied_discounts"]), ZERO)
    left = decimal(line["total_inc_tax"]) - off
    line["discounted_total_inc_tax"] = text(left)
    if off:
        line["total_tax"] = text(in_cents(left * rate / (1 + rate)))


def _sum(rows: list[JsonObject], name: str) -> Decimal:
    return sum((decimal(row.get(name)) for row in rows), ZERO)


def set_totals(order: Order, rules: TotalRules) -> None:
    """The order's own amounts, from its lines, addresses and discounts."""
    body, lines, addresses = order.body, order.lines, order.addresses
    for end in ("ex_tax", "inc_tax", "tax"):
        body[f"subtotal_{end}"] = text(_sum(lines, f"total_{end}"))
    for name, source in _KINDS:
        for prefix, end in (("base_", ""), ("", "_ex_tax"), ("", "_inc_tax"), ("", "_tax")):
            body[f"{prefix}{name}{end}"] = text(_sum(addresses, f"{prefix}{source}{end}"))
        body[f"{name}_tax_class_id"] = 2
    for prefix, end in (("base_", ""), ("", "_ex_tax"), ("", "_inc_tax"), ("", "_tax")):
        body[f"{prefix}wrapping_cost{end}"] = text(_sum(lines, f"{prefix}wrapping_cost{end}"))
    body["wrapping_cost_tax_class_id"] = 3
    costs = ("subtotal", "shipping_cost", "handling_cost", "wrapping_cost")
    total = sum((decimal(body[f"{name}_inc_tax"]) for name in costs), ZERO)
    tax = sum((decimal(body[f"{name}_tax"]) for name in costs), ZERO)
    total -= decimal(body["discount_amount"]) + decimal(body["coupon_discount"])
    if rules.fees_in_total:
        total, tax = total + _sum(order.fees, "cost_inc_tax"), tax + _sum(order.fees, "cost_tax")
    if rules.tender_in_total:
        total -= decimal(body["store_credit_amount"]) + decimal(body["gift_certificate_amount"])
    body["total_inc_tax"], body["total_tax"], body["total_ex_tax"] = text(total), text(tax), text(total - tax)
    body["items_total"] = sum(int(line["quantity"]) for line in lines)
    body["items_shipped"] = sum(int(line["quantity_shipped"]) for line in lines)
    for address in addresses:
        here = [line for line in lines if line["order_address_id"] == address["id"]]
        address["items_total"] = sum(int(line["quantity"]) for line in here)
        address["items_shipped"] = sum(int(line["quantity_shipped"]) for line in here)
    order.taxes = _tax_rows(order)


def _rate_of(address: JsonObject) -> Decimal:
    return decimal(address["cost_tax"]) / decimal(address["cost_ex_tax"])


def _tax_rows(order: Order) -> list[JsonObject]:
    rows = []
    parts = [
        (line["order_address_id"], line["id"], "item", line["total_tax"], order.rates[line["id"]])
        for line in order.lines
    ]
    parts += [
        (address["id"], None, "shipping", address["cost_tax"], _rate_of(address))
        for address in order.addresses
        if decimal(address["cost_tax"])
    ]
    for place, (address_id, line_id, kind, amount, rate) in enumerate(parts, 1):
        rows.append(
            {
                "id": order.id * 1000 + place,
                "order_id": order.id,
                "order_address_id": address_id,
                "tax_rate_id": 1,
                "sales_tax_id": "",
                "tax_class_id": 0,
                "name": "Sales Tax",
                "class": "Default Tax Class",
                "rate": text(rate * 100),
                "priority": 0,
                "priority_amount": amount,
                "line_amount": amount,
                "order_pickup_method_id": 0,
                "order_product_id": line_id,
                "line_item_type": kind,
            }
        )
    return rows
