"""Makes many valid orders in the shape of a recorded one (contract section 8)."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator

from .answers import JsonObject
from .money import amount_text, recalculate, unit_price
from .orders import Catalogue, Desk, Product, links, payment_url

MAIL_DOMAIN = "example.test"
"""Where the buyers of generated orders have their mailboxes."""

_RATES = (("US-CA-CA STATE-1", 1, "CA State", 7.25), ("US-CA-LA COUNTY-2", 2, "LA County", 2.25))
_FIRST = ("Ann", "José", "Mei", "Olu", "Zoë", "Priya", "Lars", "Nguyễn", "Sam", "Renée", "Ivo", "Ada")
_LAST = (
    "Baker",
    "García",
    "Lin",
    "Adeyemi",
    "Müller",
    "Rao",
    "Berg",
    "Tran",
    "O'Neil",
    "Dubois",
    "Kos",
    "Hall",
)
_STREETS = ("Broadway", "Elm Street", "Sunset Blvd", "Ocean Ave", "2nd Street")
_CITIES = (("Los Angeles", "90012"), ("Pasadena", "91101"), ("Long Beach", "90802"), ("Glendale", "91203"))
_PAYMENTS = (
    ("stripe", "Credit card", "ch_"),
    ("klarna_payments", "Klarna", "kl-"),
    ("paypal", "PayPal", "PP"),
)


def _tax(total_cents: int, rate: float) -> int:
    return (total_cents * round(rate * 100) + 5000) // 10000


def _products(catalogue: Catalogue, skus: list[str]) -> list[Product]:
    wanted = skus or [sku for sku in catalogue.skus() if sku.isascii()]
    if not wanted:
        wanted = [f"SKU-{number:03d}" for number in range(1, 11)]
    return [
        catalogue.by_sku(sku) or catalogue.add(sku, f"Item {sku}", 499 + 137 * place)
        for place, sku in enumerate(wanted)
    ]


def generated_orders(
    shape: JsonObject,
    desk: Desk,
    *,
    moments: list[str],
    lines: int,
    skus: list[str],
    site: str,
    mail_domain: str = MAIL_DOMAIN,
) -> Iterator[JsonObject]:
    """Paid processing orders of ``lines`` lines each, one for each moment, whose totals balance to the cent.

    ``shape`` is a recorded body; ids, number, keys, names, lines and amounts are replaced. The same
    shop makes the same orders (only keys that count as secrets differ from the recorded ones).
    """
    products = _products(desk.catalogue, skus)
    for place, gmt in enumerate(moments):
        order_id = desk.order_ids.next()
        chance = random.Random(order_id)  # noqa: S311 (sample data)
        body = copy.copy(shape)
        key = f"wc_order_gen{order_id:010d}"
        first, last = chance.choice(_FIRST), chance.choice(_LAST)
        city, postcode = chance.choice(_CITIES)
        address = {
            "first_name": first,
            "last_name": last,
            "company": "",
            "address_1": f"{chance.randint(1, 9999)} {chance.choice(_STREETS)}",
            "address_2": "",
            "city": city,
            "state": "CA",
            "postcode": postcode,
            "country": "US",
        }
        phone = f"213-555-{chance.randint(100, 199):04d}"
        method, title, prefix = chance.choice(_PAYMENTS)
        body.update(
            id=order_id,
            status="processing",
            currency="USD",
            currency_symbol="$",
            prices_include_tax=False,
            customer_id=0,
            order_key=key,
            billing={**address, "email": f"buyer{order_id}@{mail_domain}", "phone": phone},
            shipping={**address, "phone": phone},
            payment_method=method,
            payment_method_title=title,
            transaction_id=f"{prefix}{order_id:08d}",
            customer_note="",
            number=str(order_id),
            meta_data=[],
            fee_lines=[],
            coupon_lines=[],
            refunds=[],
            payment_url=payment_url(order_id, key, site),
            is_editable=False,
            needs_payment=False,
            needs_processing=True,
            _links=links(order_id, 0, site),
        )
        for name in ("created", "modified", "paid"):
            desk.set_date(body, name, gmt)
        desk.set_date(body, "completed", None)
        _fill_lines(body, [products[(place + shift) % len(products)] for shift in range(lines)], chance, desk)
        yield body


def _fill_lines(body: JsonObject, products: list[Product], chance: random.Random, desk: Desk) -> None:
    collected = [0, 0]
    body["line_items"] = []
    for product in products:
        quantity = chance.randint(1, 4)
        total = max(product.price_cents, 1) * quantity
        parts = [_tax(total, rate[3]) for rate in _RATES]
        collected = [known + part for known, part in zip(collected, parts, strict=True)]
        taxes = [
            {"id": rate[1], "total": amount_text(part), "subtotal": amount_text(part)}
            for rate, part in zip(_RATES, parts, strict=True)
        ]
        body["line_items"].append(
            {
                "id": desk.item_ids.next(),
                "name": product.name,
                "product_id": product.product_id,
                "variation_id": product.variation_id,
                "quantity": quantity,
                "tax_class": "",
                "subtotal": amount_text(total),
                "subtotal_tax": amount_text(sum(parts)),
                "total": amount_text(total),
                "total_tax": amount_text(sum(parts)),
                "taxes": taxes,
                "meta_data": [],
                "sku": product.sku,
                "global_unique_id": "",
                "price": unit_price(total, quantity),
                "image": {"id": "", "src": ""},
                "parent_name": product.parent_name,
            }
        )
    shipping = chance.choice((0, 500, 795, 1250))
    shipping_tax = _tax(shipping, _RATES[0][3])
    body["tax_lines"] = [
        {
            "id": desk.item_ids.next(),
            "rate_code": code,
            "rate_id": rate_id,
            "label": label,
            "compound": False,
            "tax_total": amount_text(tax),
            "shipping_tax_total": amount_text(shipping_tax if rate_id == 1 else 0),
            "rate_percent": percent,
            "meta_data": [],
        }
        for (code, rate_id, label, percent), tax in zip(_RATES, collected, strict=True)
    ]
    taxes = [{"id": 1, "total": amount_text(shipping_tax), "subtotal": ""}]
    body["shipping_lines"] = [
        {
            "id": desk.item_ids.next(),
            "method_title": "Flat rate" if shipping else "Free shipping",
            "method_id": "flat_rate" if shipping else "free_shipping",
            "instance_id": "1",
            "total": amount_text(shipping),
            "total_tax": amount_text(shipping_tax),
            "taxes": taxes if shipping else [],
            "tax_status": "taxable",
            "meta_data": [],
        }
    ]
    recalculate(body)
