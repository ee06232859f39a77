"""Describes many valid orders."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import datetime

from .answers import JsonObject
from .records import Ids
from .rows import CATALOGUE

MAIL_DOMAIN = "example.test"
"""Where the buyers of generated orders have their mailboxes."""

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
_CITIES = (("Chicago", "60601"), ("Springfield", "62701"), ("Peoria", "61602"), ("Rockford", "61101"))
_STREETS = ("Main Street", "Lake Avenue", "Oak Lane", "2nd Street")


def descriptions(
    ids: Ids, moments: Sequence[datetime], *, lines: int, skus: list[str], mail_domain: str
) -> Iterator[JsonObject]:
    """One paid order of ``lines`` lines for each moment. The same store describes the same orders."""
    wanted = skus or list(CATALOGUE)
    for place, moment in enumerate(moments):
        order_id = ids.next("order")
        chance = random.Random(order_id)  # noqa: S311 (sample data)
        city, postcode = chance.choice(_CITIES)
        yield {
            "id": order_id,
            "customer_id": chance.choice((0, order_id)),
            "date_created": moment,
            "date_modified": moment,
            "shipping_cost": chance.choice(("0.00", "5.00", "7.95", "12.50")),
            "customer_message": chance.choice(("", "", "Please ring twice.")),
            "billing_address": {
                "first_name": chance.choice(_FIRST),
                "last_name": chance.choice(_LAST),
                "street_1": f"{chance.randint(1, 9999)} {chance.choice(_STREETS)}",
                "city": city,
                "zip": postcode,
                "phone": f"312-555-{chance.randint(100, 199):04d}",
                "email": f"guest{order_id}@{mail_domain}",
            },
            "products": [
                {"sku": wanted[(place + shift) % len(wanted)], "quantity": chance.randint(1, 4)}
                for shift in range(lines)
            ],
        }
