"""A sandbox store with a clock that is moved by hand, and the connector that reads it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from app.connectors.bigcommerce.client import BigCommerce
from app.connectors.bigcommerce.settings import read_settings
from app.ports.connector import Account
from app.ports.sales_channel import Seen
from app.sandbox.bigcommerce import DEMO_STORE_HASH, DEMO_TOKEN, Store, create_app
from app.sandbox.server import RunningServer, serve

START = datetime(2026, 11, 21, 14, 44, 1, tzinfo=UTC)


@dataclass
class Shop:
    """The other side. `open` gives a channel that reads it."""

    habits: dict[str, Any] = field(default_factory=dict)
    now: datetime = START

    def __post_init__(self) -> None:
        self.store = Store(
            clock=lambda: self.now, **{"quota": 100_000, "window_seconds": 30.0, **self.habits}
        )
        self.server: RunningServer = serve(create_app(self.store))

    @property
    def url(self) -> str:
        return f"{self.server.url}/stores/{DEMO_STORE_HASH}"

    def account(self, *, token: str = DEMO_TOKEN, http_timeout: float = 5, **chosen: str) -> Account:
        return Account(
            name="bgm",
            url=self.url,
            allow_private=True,
            credentials={"token": token, "client_secret": "secret"},
            settings=read_settings(chosen),
            http_timeout=http_timeout,
        )

    def open(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        **options: Any,
    ) -> BigCommerce:
        return BigCommerce(self.account(**options), now=lambda: self.now, clock=clock, sleep=sleep)

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def notes(self, order_id: str) -> str:
        return str(self.store.order(int(order_id))["staff_notes"])

    def status(self, order_id: str) -> int:
        return int(self.store.order(int(order_id))["status_id"])

    def calls(self) -> dict[str, int]:
        """How often each route was called since the last time this was asked."""
        counted: dict[str, int] = dict(self.store.counters()["by_route"])
        self.store.log.clear()
        return counted

    def close(self) -> None:
        self.store.close()
        self.server.stop()


def one(channel: BigCommerce, order_id: str) -> Seen:
    found = channel.read([order_id])[order_id]
    assert isinstance(found, Seen)
    return found
