"""The WooCommerce connector keeps the promises of its port, over HTTP against the sandbox shop in both of its storages."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import Request, urlopen

import pytest

from app.connectors.woocommerce import CONNECTOR
from app.ports.connector import Account
from app.ports.sales_channel import SalesChannel, Seen
from app.sandbox.server import RunningServer, serve
from app.sandbox.shop import DEMO_KEY, MARK_KEY, Shop, create_app
from tests.contracts.sales_channel import SalesChannelContract
from tests.fakes.limiters import an_hour_between_calls

START = datetime(2026, 3, 17, 12, 0, 0, tzinfo=UTC)
_FAILURES = {
    "unavailable": "503_maintenance",
    "unauthorized": "401_bad_secret",
    "garbage": "200_warning_before_json",
    "lost": "reset_after",
}


class ShopPlatform:
    """The sandbox shop, with a clock that stands still until it is moved."""

    def __init__(self, *, legacy: bool, timezone: str) -> None:
        self.now = START
        self.shop = Shop(legacy=legacy, timezone=timezone, clock=lambda: self.now)
        self.server: RunningServer = serve(create_app(self.shop))

    def account(self, **settings: str) -> Account:
        """The account that reads this shop."""
        return Account(
            name="bgm",
            url=self.server.url,
            allow_private=True,
            credentials={"key": DEMO_KEY.key, "secret": DEMO_KEY.secret},
            settings=CONNECTOR.read_settings(settings),
            http_timeout=5,
            limiters=an_hour_between_calls(),
        )

    def close(self) -> None:
        self.shop.close()
        self.server.stop()

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def add_order(self) -> str:
        return str(self.shop.generate(1)[0])

    def edit(self, order_id: str) -> None:
        self.shop.touch(int(order_id), note=f"edited at {self.now}")

    def mark_elsewhere(self, order_id: str) -> None:
        self.shop.update(int(order_id), {"meta_data": [{"key": MARK_KEY, "value": "1"}]})

    def cancel(self, order_id: str) -> None:
        self.shop.update(int(order_id), {"status": "cancelled"})

    def trash(self, order_id: str) -> None:
        self.shop.delete(int(order_id))

    def delete(self, order_id: str) -> None:
        self.shop.delete(int(order_id), force=True)

    def fail_next(self, failure: str, *, writing: bool = False) -> None:
        fault = {"kind": _FAILURES[failure], "match": {"method": "POST" if writing else "*"}}
        body = json.dumps(fault).encode()
        with urlopen(Request(f"{self.server.url}/_sandbox/faults", data=body, method="POST"), timeout=5):
            pass

    def body_with(self, fault: str) -> str:
        body = self.shop.order(int(self.add_order()))
        nowhere = dict.fromkeys(body["billing"], "")
        changes: dict[str, dict[str, Any]] = {
            "no_lines": {"line_items": []},
            "unknown_currency": {"currency": "ZZZ"},
            "no_address": {"billing": nowhere, "shipping": nowhere},
            "unbalanced": {"total": "99999.00"},
        }
        return json.dumps({**body, **changes[fault]})


@pytest.fixture(params=["order tables, Los Angeles", "order tables, Kolkata", "posts, Berlin"])
def platform(request: pytest.FixtureRequest) -> Iterator[ShopPlatform]:
    storage, city = request.param.split(", ")
    zone = {"Los Angeles": "America/Los_Angeles", "Kolkata": "Asia/Kolkata", "Berlin": "Europe/Berlin"}[city]
    shop = ShopPlatform(legacy=storage == "posts", timezone=zone)
    yield shop
    shop.close()


@pytest.fixture
def channel(platform: ShopPlatform) -> SalesChannel:
    opened: SalesChannel = CONNECTOR.open(platform.account())
    return opened


class TestWooCommerce(SalesChannelContract):
    """Every promise, unedited."""


def test_an_order_that_was_on_hold_in_between_has_the_hash_it_had_at_first(
    channel: SalesChannel, platform: ShopPlatform
) -> None:
    order_id = platform.add_order()
    hashes = []
    for status in ("processing", "on-hold", "processing"):
        platform.advance(60)
        platform.shop.update(int(order_id), {"status": status})
        row = channel.read([order_id])[order_id]
        assert isinstance(row, Seen)
        assert row.status == status
        hashes.append(row.content_hash)
    assert hashes[0] == hashes[2] != hashes[1]


class TestWooCommerceWithAStatusForAcknowledged(SalesChannelContract):
    """The same promises where an acknowledged order also moves to another status."""

    @pytest.fixture
    def channel(self, platform: ShopPlatform) -> SalesChannel:
        opened: SalesChannel = CONNECTOR.open(platform.account(ack_status="completed"))
        return opened
