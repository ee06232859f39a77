"""What the chaos runs do in the shops is what people do there: it leaves orders that add up."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from app.sandbox.server import clock_ahead
from tests.chaos.orders import SKUS
from tests.chaos.peers import Peer, Peers
from tests.chaos.proxy import Proxies
from tests.chaos.state import big_orders, stored_of
from tests.connectors.bigcommerce_store import Shop, one


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.close()


@pytest.mark.parametrize("shipping", ["0.00", "7.95"])
def test_an_amount_that_is_changed_in_the_store_leaves_an_order_that_adds_up(
    shop: Shop, shipping: str
) -> None:
    with Proxies() as proxies:
        proxy = proxies.before(host="127.0.0.1", port=shop.server.port, seed=1)
        peer = Peer("big", shop.server.port, proxy)
        products = [{"sku": sku, "quantity": 3} for sku in SKUS[:3]]
        body = {"products": products, "shipping_cost": shipping}
        (order_id,) = peer.tell("POST", "orders", body)["ids"]
        (before,) = big_orders(peer.tell, site="bcm")
        peers = Peers(woo=peer, big=peer, erp=peer, clock=clock_ahead(0))
        for amount in ("0.99", "0.02"):
            peers.take_off_big(order_id, Decimal(amount))
        (after,) = big_orders(peer.tell, site="bcm")
    assert after.total == before.total - Decimal("1.01")
    assert not after.wrong
    channel = shop.open()
    seen = one(channel, after.id)
    assert stored_of(seen.body) == after.present
    assert channel.normalize(seen.body, prefix="BCM").total == after.total
