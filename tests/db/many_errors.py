"""Ten thousand open errors, as a bad night at a large shop might leave them."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import Engine, insert

from app.db.tables import error_orders, threads
from app.domain import document
from tests.contracts.store import order

KINDS = ("bad_sku", "validation", "address", "totals", "customer", "erp_refusal", "balance", "kit")


def fill(engine: Engine, *, site_id: int, errors: int, now: datetime | None = None) -> None:
    """So many rejected orders of this site, each with its document and an open error; the same ones at each call."""
    chance = random.Random(17)
    moment = datetime.now(UTC) if now is None else now
    text = document.dump_text(order("1"))
    with engine.begin() as connection:
        for start in range(1, errors + 1, 1_000):
            ids = range(start, min(start + 1_000, errors + 1))
            connection.execute(
                insert(threads),
                [
                    {
                        "id": each, "site_id": site_id, "platform_order_id": str(each), "order_number": f"BGM-{each}",
                        "version": 1, "content_hash": "x", "read_at": moment, "stage": "verify_skus", "state": "rejected",
                        "reason": "Wrong.", "document": text, "created_at": moment, "updated_at": moment,
                    }
                    for each in ids
                ],
            )  # fmt: skip
            connection.execute(
                insert(error_orders),
                [
                    {
                        "thread_id": each, "site_id": site_id, "order_number": f"BGM-{each}", "platform_order_id": str(each),
                        "stage": "verify_skus", "kind": chance.choice(KINDS), "document": text, "attempts": chance.randint(1, 5),
                        "reason": f"The SKU NEW-{chance.randint(1, 500)} does not exist in Business Central.",
                        "value": Decimal(chance.randint(100, 500_000)).scaleb(-2), "currency": chance.choice(("EUR", "USD")),
                        "opened_at": moment - timedelta(minutes=chance.randint(0, 40_000)), "open_key": f"{each}:verify_skus",
                    }
                    for each in ids
                ],
            )  # fmt: skip
