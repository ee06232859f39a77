"""Bodies of BigCommerce orders of our own making, in the form that the store sends them, with figures worked out here."""

import json
from decimal import Decimal
from typing import Any

CENTS = Decimal("0.0001")


def text(amount: Decimal | str | int) -> str:
    return f"{Decimal(amount).quantize(CENTS)}"


def line(number: int = 1, **changes: Any) -> dict[str, Any]:
    """One mug for 10.00 and 1.00 of tax."""
    row: dict[str, Any] = {
        "id": 500 + number,
        "product_id": 77,
        "name": "Mug",
        "sku": "MUG-1",
        "type": "physical",
        "quantity": 1,
        "total_ex_tax": "10.0000",
        "total_inc_tax": "11.0000",
        "total_tax": "1.0000",
        "is_refunded": False,
        "quantity_refunded": 0,
        "parent_order_product_id": None,
        "is_bundled_product": False,
        "applied_discounts": [],
        "product_options": [],
        "configurable_fields": [],
        "fulfillment_source": "",
    }
    return row | changes


def discount(amount: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "x",
        "amount": amount,
        "name": "Spring sale",
        "code": None,
        "target": "order",
    } | changes


ADDRESS = {
    "first_name": "Jo",
    "last_name": "Doe",
    "company": "",
    "street_1": "1 Main Street",
    "street_2": "",
    "city": "Austin",
    "state": "Texas",
    "zip": "78701",
    "country": "United States",
    "country_iso2": "US",
    "phone": "5550100",
    "email": "jo@example.test",
    "form_fields": [],
}


def body(lines: list[dict[str, Any]] | None = None, *, ship: list[Any] | None = None, **changes: Any) -> str:
    """An order of one mug with 5.00 for shipping and its 0.50 of tax, paid with Stripe: 16.50. `changes` stand as given.

    The header follows from the lines and from `discount_amount`, `coupon_discount` and `total_tax`, unless it is given.
    """
    rows = [line()] if lines is None else lines
    sums = {
        key: sum((Decimal(str(row[f"total_{key}"])) for row in rows), Decimal(0))
        for key in ("ex_tax", "inc_tax", "tax")
    }
    off = Decimal(changes.get("discount_amount", 0)) + Decimal(changes.get("coupon_discount", 0))
    tax = Decimal(changes.get("total_tax", sums["tax"] + Decimal("0.50")))
    total = sums["inc_tax"] + Decimal("5.50") - off
    given: dict[str, Any] = {
        "id": 118,
        "status_id": 11,
        "status": "Awaiting Fulfillment",
        "custom_status": "Ready to pack",
        "customer_id": 12,
        "date_created": "Tue, 17 Mar 2026 12:00:00 +0000",
        "date_modified": "Tue, 17 Mar 2026 12:05:00 +0000",
        "is_tax_inclusive_pricing": False,
        "default_currency_code": "USD",
        "currency_code": "USD",
        "subtotal_ex_tax": text(sums["ex_tax"]),
        "subtotal_inc_tax": text(sums["inc_tax"]),
        "subtotal_tax": text(sums["tax"]),
        "shipping_cost_ex_tax": "5.0000",
        "shipping_cost_inc_tax": "5.5000",
        "shipping_cost_tax": "0.5000",
        "handling_cost_ex_tax": "0.0000",
        "handling_cost_inc_tax": "0.0000",
        "handling_cost_tax": "0.0000",
        "wrapping_cost_ex_tax": "0.0000",
        "wrapping_cost_inc_tax": "0.0000",
        "wrapping_cost_tax": "0.0000",
        "total_ex_tax": text(total - tax),
        "total_inc_tax": text(total),
        "total_tax": text(tax),
        "items_total": sum(int(row["quantity"]) for row in rows),
        "items_shipped": 0,
        "payment_method": "Stripe",
        "payment_provider_id": "pi_118",
        "payment_status": "captured",
        "refunded_amount": "0.0000",
        "order_is_digital": False,
        "store_credit_amount": "0.0000",
        "gift_certificate_amount": "0.0000",
        "discount_amount": "0.0000",
        "coupon_discount": "0.0000",
        "staff_notes": "",
        "customer_message": "",
        "is_deleted": False,
        "ebay_order_id": "0",
        "channel_id": 1,
        "external_order_id": "",
        "billing_address": ADDRESS,
        "fees": [],
        "consignments": {
            "pickups": [],
            "shipping": [{**ADDRESS, "id": 9, "shipping_method": "Ground", "line_items": rows}]
            if ship is None
            else ship,
            "downloads": [],
            "email": {"gift_certificates": []},
        },
        "coupons": {
            "url": "https://api.bigcommerce.com/stores/x/v2/orders/118/coupons",
            "resource": "/orders/118/coupons",
        },
    }
    return json.dumps(given | changes)
