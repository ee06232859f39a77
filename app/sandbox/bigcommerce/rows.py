"""The rows that orders are made of: lines, addresses, coupons and fees (contract section 5)."""

from __future__ import annotations

from decimal import Decimal

from .answers import JsonObject
from .money import decimal, number, text
from .records import Ids

TAX_RATE = Decimal("0.095")
ADDRESS: JsonObject = {
    "first_name": "Robin",
    "last_name": "Sample",
    "company": "",
    "street_1": "12 Harbour Road",
    "street_2": "",
    "city": "Chicago",
    "state": "Illinois",
    "zip": "60601",
    "country": "United States",
    "country_iso2": "US",
    "phone": "312-555-0100",
    "email": "robin@example.test",
}
CATALOGUE = {
    "WID-001": (101, "Widget", "19.99"),
    "COMP-A": (102, "Component A", "5.00"),
    "COMP-B": (103, "Component B", "7.50"),
    "KIT-PARENT-123": (104, "Starter kit", "49.00"),
    "THIRD-3": (105, "Third of a set", "33.33"),
    "HOSE-3": (106, "Garden hose 3 m", "14.95"),
    "TS-1": (107, "T-shirt, one", "25.00"),
}
"""What the store sells: product id, name and price by SKU."""

_OTHER_PRODUCT = (190, "Other product", "10.00")
_LINE_FREE = {
    "upc": "",
    "weight": "1.0000",
    "width": "0.0000",
    "height": "0.0000",
    "depth": "0.0000",
    "base_cost_price": "0.0000",
    "cost_price_inc_tax": "0.0000",
    "cost_price_ex_tax": "0.0000",
    "cost_price_tax": "0.0000",
    "is_refunded": False,
    "quantity_refunded": 0,
    "refund_amount": "0.0000",
    "return_id": 0,
    "wrapping_id": 0,
    "wrapping_name": "",
    "base_wrapping_cost": "0.0000",
    "wrapping_cost_ex_tax": "0.0000",
    "wrapping_cost_inc_tax": "0.0000",
    "wrapping_cost_tax": "0.0000",
    "wrapping_message": "",
    "quantity_shipped": 0,
    "event_name": None,
    "event_date": None,
    "fixed_shipping_cost": "0.0000",
    "ebay_item_id": "",
    "ebay_transaction_id": "",
    "option_set_id": None,
    "parent_order_product_id": None,
    "is_bundled_product": False,
    "bin_picking_number": "",
    "external_id": None,
    "fulfillment_source": "",
    "brand": "",
    "gift_certificate_id": None,
}


def line_row(ids: Ids, order_id: int, given: JsonObject) -> JsonObject:
    """A line's row before its amounts; what is given and is no instruction stands as given."""
    sku = str(given.get("sku", "WID-001"))
    product_id, name, _ = CATALOGUE.get(sku, _OTHER_PRODUCT)
    name, line_id = str(given.get("name", name)), ids.next("line")
    options = [
        _option(ids, line_id, option)
        for option in given.get("product_options") or []
        if isinstance(option, dict)
    ]
    return {
        "id": line_id,
        "order_id": order_id,
        "product_id": given.get("product_id", product_id),
        "variant_id": given.get("product_id", product_id),
        "order_pickup_method_id": 0,
        "name": name,
        "name_customer": name,
        "name_merchant": name,
        "sku": sku,
        "type": given.get("type", "physical"),
        "quantity": given.get("quantity", 1),
        **_LINE_FREE,
        "applied_discounts": [],
        "product_options": options,
        "configurable_fields": [],
    }


def price_of(given: JsonObject) -> Decimal:
    """A line's price for one, without tax or with it as the store's prices are."""
    default = (
        "0"
        if given.get("parent") is not None
        else CATALOGUE.get(given.get("sku", "WID-001"), _OTHER_PRODUCT)[2]
    )
    return decimal(given.get("price", default))


def _option(ids: Ids, line_id: int, given: JsonObject) -> JsonObject:
    name, value = given.get("display_name", "Option"), given.get("display_value", given.get("value", ""))
    option_id = ids.next("option")
    return {
        "id": option_id,
        "option_id": option_id,
        "order_product_id": line_id,
        "product_option_id": option_id,
        "display_name": name,
        "display_name_customer": name,
        "display_name_merchant": name,
        "display_value": value,
        "display_value_customer": value,
        "display_value_merchant": value,
        "value": value,
        "type": "Text field",
        "name": name,
        "display_style": "",
        **given,
    }


def address_row(ids: Ids, order_id: int, billing: JsonObject, given: JsonObject) -> JsonObject:
    """A shipping address's row before its costs; it is the billing address where nothing else is given."""
    return {
        "id": ids.next("address"),
        "order_id": order_id,
        **{name: billing.get(name, "") for name in ADDRESS},
        "items_total": 0,
        "items_shipped": 0,
        "shipping_method": "Flat Rate",
        "shipping_zone_id": 1,
        "shipping_zone_name": "United States",
        "form_fields": [],
        **given,
    }


def coupon_row(ids: Ids, order_id: int, given: JsonObject) -> JsonObject:
    """A coupon's row: ``discount`` is the money off, ``amount`` what the coupon says of itself."""
    coupon_id = ids.next("coupon")
    discount = number(given.get("discount", 0))
    return {
        "id": coupon_id,
        "coupon_id": coupon_id,
        "order_id": order_id,
        "code": "TEN",
        "amount": discount,
        "type": 2,
        **given,
        "discount": discount,
    }


def fee_row(ids: Ids, given: JsonObject) -> JsonObject:
    """A fee's row."""
    cost = text(decimal(given.get("cost", 0)))
    return {
        "id": ids.next("fee"),
        "type": "custom_fee",
        "display_name_customer": "Fee",
        "display_name_merchant": "Fee",
        "source": "sandbox",
        "base_cost": cost,
        "cost_ex_tax": cost,
        "cost_inc_tax": cost,
        "cost_tax": "0.0000",
        "tax_class_id": None,
        **{name: value for name, value in given.items() if name != "cost"},
    }
