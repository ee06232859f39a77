"""The orders of the demo: each shows one thing that a reader of the store has to get right."""

from __future__ import annotations

import json

from .answers import JsonObject

_UPLOAD = json.dumps({"originalName": "crest.png", "temporaryPath": "7_tmp.png", "path": "7_kept.png"})
_SECOND_ADDRESS: JsonObject = {
    "first_name": "Noor",
    "last_name": "Second",
    "street_1": "5 Mill Lane",
    "city": "Peoria",
    "zip": "61602",
    "shipping_cost": "4.00",
}


def demo_orders() -> dict[str, JsonObject]:
    """Descriptions for :meth:`Store.add_order` by name. All are valid but the one of the unknown SKU."""
    return {
        "plain": {"products": [{"sku": "WID-001", "quantity": 2}], "shipping_cost": "7.95"},
        "coupon": {
            "products": [{"sku": "TS-1"}, {"sku": "HOSE-3", "quantity": 2}],
            "coupons": [{"code": "TEN", "discount": "5.49", "amount": 10, "type": 1}],
            "shipping_cost": "5.00",
        },
        "store_credit": {
            "products": [{"sku": "WID-001", "quantity": 3}],
            "store_credit_amount": "11.90",
            "customer_id": 7,
        },
        "gift_certificate": {
            "products": [{"sku": "TS-1", "quantity": 2}],
            "gift_certificate_amount": "25.00",
        },
        "order_discount": {
            "products": [{"sku": "THIRD-3", "quantity": 3}, {"sku": "COMP-A"}],
            "discount_amount": "10.00",
        },
        "handling_and_wrapping": {
            "products": [
                {"sku": "TS-1", "wrapping": {"cost": "3.00", "name": "Stars", "message": "For you"}}
            ],
            "handling_cost": "2.50",
            "shipping_cost": "5.00",
        },
        "tax_inclusive": {
            "is_tax_inclusive_pricing": True,
            "tax_rate": "0.2",
            "products": [{"sku": "HOSE-3", "quantity": 4, "price": "17.94"}],
            "shipping_cost": "6.00",
        },
        "kit_and_options": {
            "products": [
                {
                    "sku": "KIT-PARENT-123",
                    "product_options": [
                        {"display_name": "Engraving", "value": "To Mia ❤"},
                        {
                            "display_name": "Crest",
                            "display_value": "crest.png",
                            "value": _UPLOAD,
                            "type": "File Upload",
                        },
                    ],
                }
            ],
            "billing_address": {"form_fields": [{"name": "Delivery notes", "value": "Back door"}]},
            "staff_notes": "Called the customer on Monday.",
        },
        "two_addresses": {
            "products": [{"sku": "COMP-A", "quantity": 2}, {"sku": "COMP-B", "address": 1}],
            "shipping_addresses": [{"shipping_cost": "5.00"}, _SECOND_ADDRESS],
        },
        "card_by_transactions": {
            "payment_method": "Credit Card",
            "products": [{"sku": "WID-001"}],
            "billing_address": {"first_name": "Žofie", "last_name": "Nováková", "company": "Čaj & spol."},
        },
        "sixty_lines": {"products": [{"sku": "COMP-B", "quantity": 1 + place % 3} for place in range(60)]},
        "unknown_sku": {"products": [{"sku": "NOT-IN-ERP-9", "price": "12.00"}]},
    }
