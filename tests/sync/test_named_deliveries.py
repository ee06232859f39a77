"""Whatever comes and whatever fails: every order that a delivery names is read at least once after its last delivery."""

import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.connectors.woocommerce.hooks import HOOKS
from app.db.store import SqlStore
from app.db.tables import metadata
from app.errors import Misconfigured, Retry
from app.ports.connector import Connector
from app.ports.deliveries import DueSite
from app.ports.sales_channel import Gone, SalesChannel, Seen
from app.ports.store import Site
from app.sync.hook_keys import stored_secrets
from app.sync.hooks import read_due, receive
from app.sync.sweep import sweep
from tests.domain.profile import REPEATABLE
from tests.fakes.sales_channel import FakeSalesChannel, fake_body
from tests.fixtures.databases import Databases
from tests.sync.test_promises import FAKE, FakePeers, Killed, World

ORDERS = ("1", "2", "3")
SECRET = "one of ours"


class WatchedShop(FakeSalesChannel):
    """Tells by a growing number when each order was last read; the next readings fail in these ways."""

    def __init__(self, moments: Iterator[int]) -> None:
        super().__init__()
        self._moments = moments
        self.read_at: dict[str, int] = {}
        self.troubles: list[str] = []
        self.during: list[str] = []
        self.deliver: Any = None

    def read(self, platform_order_ids: Sequence[str]) -> Mapping[str, Seen | Gone]:
        match self.troubles.pop(0) if self.troubles else "":
            case "retry":
                raise Retry("The shop is busy.", after=30)
            case "settings":
                raise Misconfigured("The key was revoked.")
            case "killed":
                raise Killed
        begun = next(self._moments)
        found = super().read(platform_order_ids)
        while self.during:
            # It comes while this answer is under way.
            self.deliver(self.during.pop())
        self.read_at |= dict.fromkeys(platform_order_ids, begun)
        return found


class ForgetfulStore(SqlStore):
    """May die before it settles what was read."""

    dies = False

    def settle_deliveries(self, **given: Any) -> int:
        if self.dies:
            self.dies = False
            raise Killed
        return super().settle_deliveries(**given)


class HookedPeers(FakePeers):
    """The fakes, with a shop that signs its webhooks as WooCommerce does."""

    def connector(self, platform: str) -> Connector:
        return replace(FAKE, hooks=HOOKS)

    def channel(self, site: Site) -> SalesChannel:
        return self._shop

    def encrypt(self, credentials: dict[str, str]) -> str:
        return json.dumps(credentials)

    def decrypt(self, stored: str, *, name: str) -> dict[str, str]:
        found: dict[str, str] = json.loads(stored or "{}")
        return found


class Story:
    """One middleware that webhooks come to."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.moments = itertools.count(1)
        self.shop = WatchedShop(self.moments)
        self.shop.now = world.now
        for order_id in ORDERS:
            self.shop.put(fake_body(order_id=order_id))
        self.shop.deliver = self.deliver
        self.store = ForgetfulStore(world.engine, clock=lambda: world.now, audit_key=bytes)
        self.parts = replace(world.parts, store=self.store, peers=HookedPeers(self.shop, world.erp))
        self.store.keep_hooks(
            world.site_id, url="https://x.test", secrets=stored_secrets(self.parts, (SECRET,))
        )
        self.named_at: dict[str, int] = {}
        self.sent: list[tuple[str, str]] = []

    def deliver(self, order_id: str) -> None:
        self.sent.append((order_id, f"d{len(self.sent)}"))
        self._send(*self.sent[-1], status=200, fresh=True)
        self.named_at[order_id] = next(self.moments)

    def repeat(self, which: int) -> None:
        if self.sent:
            self._send(*self.sent[which % len(self.sent)], status=200, fresh=False)

    def forge(self, order_id: str) -> None:
        self._send(order_id, "forged", status=401, fresh=False, secret="another")

    def _send(
        self, order_id: str, delivery_id: str, *, status: int, fresh: bool, secret: str = SECRET
    ) -> None:
        body = b'{"id":%s}' % order_id.encode()
        signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
        answer = receive(
            self.parts,
            site_name="shop",
            topic="order-updated",
            headers={
                "x-wc-webhook-topic": "order.updated",
                "x-wc-webhook-signature": signature,
                "x-wc-webhook-delivery-id": delivery_id,
            },
            body=body,
        )
        assert (answer.status, answer.due is not None) == (status, fresh)

    def read(self) -> None:
        try:
            read_due(self.parts, site_id=self.world.site_id, ring=lambda _: None)
        except Killed:
            return

    def sweep(self) -> None:
        due: list[DueSite] = []
        sweep(self.parts, ring=lambda _: None, interval=10, ring_site=due.append)
        for _ in due:
            self.read()

    def act(self, what: str, number: int) -> None:
        match what:
            case "deliver":
                self.deliver(ORDERS[number % len(ORDERS)])
            case "repeat":
                self.repeat(number)
            case "forge":
                self.forge(ORDERS[number % len(ORDERS)])
            case "read":
                self.read()
            case "sweep":
                self.sweep()
            case "wait":
                self.world.advance(seconds=(1, 40, 400, 4000)[number % 4])
            case "dies":
                self.store.dies = True
            case "during":
                self.shop.during.append(ORDERS[number % len(ORDERS)])
            case "delete":
                self.shop.orders.pop(ORDERS[number % len(ORDERS)], None)
            case trouble:
                self.shop.troubles.append(trouble)

    def end(self) -> None:
        """Nothing fails any more and nobody rings but the sweeper."""
        self.shop.troubles.clear()
        self.store.dies = False
        for _ in range(10):
            self.world.advance(minutes=30)
            self.sweep()

    def rows(self) -> list[tuple[Any, ...]]:
        with self.world.engine.connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT delivery_id, done_at IS NOT NULL, next_at FROM rm_delivery"
            )
            return [tuple(row) for row in found]


ACTS = (
    *("deliver", "deliver", "deliver", "repeat", "forge", "read", "read", "sweep", "wait"),
    *("retry", "settings", "killed", "dies", "during", "delete"),
)


@pytest.fixture(scope="module")
def base(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with databases.migrated(tmp_path_factory.mktemp("deliveries")) as database:
        made = World(database.url, default_customer="WEB")
        yield made
        made.engine.dispose()


@pytest.fixture(scope="module")
def stored(base: World) -> dict[str, list[Any]]:
    """What is connected, to begin each story with."""
    with base.engine.connect() as connection:
        found = {
            table.name: list(connection.execute(table.select()).mappings())
            for table in metadata.sorted_tables
        }
    return {name: [dict(row) for row in rows] for name, rows in found.items() if rows}


def begin(base: World, stored: Mapping[str, list[Any]]) -> Story:
    with base.engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
        for table in metadata.sorted_tables:
            if stored.get(table.name):
                connection.execute(table.insert(), stored[table.name])
    return Story(base)


@pytest.mark.once
@given(acts=st.lists(st.tuples(st.sampled_from(ACTS), st.integers(0, 5)), max_size=25))
@example(acts=[("deliver", 0), ("during", 0), ("read", 0)])
@example(acts=[("deliver", 0), ("dies", 0), ("read", 0), ("wait", 1), ("read", 0)])
@settings(
    REPEATABLE,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_every_named_order_is_read_after_its_last_delivery(
    base: World, stored: dict[str, list[Any]], acts: list[tuple[str, int]]
) -> None:
    story = begin(base, stored)
    for what, number in acts:
        story.act(what, number)
    story.end()
    late = {
        order_id: (named_at, story.shop.read_at.get(order_id, 0))
        for order_id, named_at in story.named_at.items()
        if story.shop.read_at.get(order_id, 0) < named_at
    }
    assert late == {}
    # One row for each delivery, however often it came, and each is done.
    assert sorted(story.rows()) == sorted((delivery_id, 1, None) for _, delivery_id in story.sent)
