"""The BigCommerce connector keeps the promises of its port, over HTTP against the sandbox store, whichever of its habits it has."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.connectors.bigcommerce import CONNECTOR
from app.ports.connector import Account
from app.ports.sales_channel import SalesChannel, Seen
from app.sandbox.bigcommerce import (
    DEMO_CLIENT_SECRET,
    DEMO_STORE_HASH,
    DEMO_TOKEN,
    Store,
    create_app,
)
from app.sandbox.server import RunningServer, serve
from tests.contracts.sales_channel import SalesChannelContract

START = datetime(2026, 3, 17, 12, 0, 0, tzinfo=UTC)
_FAILURES = {
    "unavailable": "503_maintenance",
    "unauthorized": "401",
    "garbage": "garbage",
    "lost": "reset_after",
}


@dataclass(frozen=True)
class Variant:
    """Habits of a store, the settings of its site, and what its orders have in common."""

    store: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    orders: dict[str, Any] = field(default_factory=dict)


class StorePlatform:
    """The sandbox store, with a clock that stands still until it is moved."""

    def __init__(self, variant: Variant) -> None:
        self.now = START
        self.variant = variant
        given = {"quota": 100_000, "window_seconds": 30.0, **variant.store}
        self.store = Store(clock=lambda: self.now, **given)
        self.server: RunningServer = serve(create_app(self.store))

    def account(self, **settings: str) -> Account:
        """The account that reads this store."""
        return Account(
            name="bgm",
            url=f"{self.server.url}/stores/{DEMO_STORE_HASH}",
            allow_private=True,
            credentials={"token": DEMO_TOKEN, "client_secret": DEMO_CLIENT_SECRET},
            settings=CONNECTOR.read_settings({**self.variant.settings, **settings}),
            http_timeout=5,
        )

    def close(self) -> None:
        self.store.close()
        self.server.stop()

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def add_order(self) -> str:
        return str(self.store.generate(1, overrides=self.variant.orders)[0])

    def edit(self, order_id: str) -> None:
        self.store.update(int(order_id), {"customer_message": f"edited at {self.now}"})

    def mark_elsewhere(self, order_id: str) -> None:
        note = self.variant.settings.get("note_text", "Exported to middleware")
        self.store.update(int(order_id), {"staff_notes": f"call first\n{note} [by hand]"})

    def cancel(self, order_id: str) -> None:
        self.store.update(int(order_id), {"status_id": 5})

    def trash(self, order_id: str) -> None:
        self.store.archive(int(order_id))

    def delete(self, order_id: str) -> None:
        self.store.remove(int(order_id))

    def fail_next(self, failure: str, *, writing: bool = False) -> None:
        self.store.add_fault(_FAILURES[failure], method="PUT" if writing else "*")

    def body_with(self, fault: str) -> str:
        order_id = self.add_order()
        channel: SalesChannel = CONNECTOR.open(self.account())
        row = channel.read([order_id])[order_id]
        assert isinstance(row, Seen)
        body = json.loads(row.body)
        nowhere = {**dict.fromkeys(body["billing_address"], ""), "form_fields": []}
        bare = {**body["consignments"]["shipping"][0], "line_items": []}
        changes: dict[str, dict[str, Any]] = {
            "no_lines": {"consignments": {**body["consignments"], "shipping": [bare]}, "items_total": 0},
            "unknown_currency": {"default_currency_code": "ZZZ"},
            "no_address": {"billing_address": nowhere},
            "unbalanced": {"total_inc_tax": "99999.0000"},
        }
        return json.dumps({**body, **changes[fault]})


VARIANTS = {
    "the defaults": Variant(),
    "200 and [], archived orders hidden, prices with tax": Variant(
        store={"empty_is_204": False, "archived_in_lists": False, "timezone": "Asia/Kolkata"},
        orders={"is_tax_inclusive_pricing": True},
    ),
    "two statuses and other words": Variant(
        settings={"statuses": "11,7", "ack_status": "8", "note_text": "Taken over"},
        orders={"status_id": 7},
    ),
    "a small quota, fees and tender inside": Variant(
        store={"quota": 40, "window_seconds": 0.2, "fees_in_total": True, "tender_in_total": True},
        orders={"fees": [{"cost": "1.50"}], "gift_certificate_amount": "1.00"},
    ),
    "labels, one at a time": Variant(
        settings={"statuses": "awaiting fulfillment", "ack_status": "Awaiting Shipment", "parallel": "1"},
    ),
    "orders for several addresses are split": Variant(settings={"several_addresses": "split"}),
    "acknowledged orders are watched": Variant(
        settings={"watch_acknowledged": "true"},
    ),
}


@pytest.fixture(params=VARIANTS)
def platform(request: pytest.FixtureRequest) -> Iterator[StorePlatform]:
    store = StorePlatform(VARIANTS[request.param])
    yield store
    store.close()


@pytest.fixture
def channel(platform: StorePlatform) -> SalesChannel:
    opened: SalesChannel = CONNECTOR.open(platform.account())
    return opened


class TestBigCommerce(SalesChannelContract):
    """Every promise, unedited."""
