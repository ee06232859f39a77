"""Passes of SKU verification in Redis: five minutes, passes only, and no harm where Redis is away."""

import time
from pathlib import Path

import fakeredis
import pytest
import redis
from structlog.testing import capture_logs

from app.passes import NoPasses, RedisPasses, connect
from app.ports.erp import ErpItem, ItemKind


def item(sku: str, *, kind: ItemKind = ItemKind.INVENTORY) -> ErpItem:
    return ErpItem(number=sku, name=f"Name of {sku}", blocked=False, kind=kind)


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def client(server: fakeredis.FakeServer) -> redis.Redis:
    return fakeredis.FakeRedis(server=server, decode_responses=True)


def test_what_passed_is_remembered_for_five_minutes(client: redis.Redis) -> None:
    passes = RedisPasses(client)
    passes.remember(1, [item("WID-001"), item("A B:C")])
    assert passes.recent(1, ["WID-001", "OTHER", "A B:C"]) == {
        "WID-001": item("WID-001"),
        "A B:C": item("A B:C"),
    }
    assert {key: client.ttl(key) for key in client.scan_iter()} == {
        "ordersync:sku:1:WID-001": 300,
        "ordersync:sku:1:A B:C": 300,
    }


def test_a_pass_that_has_run_out_is_forgotten(client: redis.Redis) -> None:
    passes = RedisPasses(client)
    passes.remember(1, [item("WID-001")])
    client.expire("ordersync:sku:1:WID-001", 0)
    assert passes.recent(1, ["WID-001"]) == {}


def test_only_what_was_remembered_is_stored_so_that_a_refusal_never_is(client: redis.Redis) -> None:
    passes = RedisPasses(client)
    assert passes.recent(1, ["REFUSED-1"]) == {}
    passes.remember(1, [])
    assert client.keys() == []


def test_an_item_comes_back_with_its_kind(client: redis.Redis) -> None:
    service = item("SERVICE-1", kind=ItemKind.SERVICE)
    RedisPasses(client).remember(1, [service])
    assert RedisPasses(client).recent(1, ["SERVICE-1"]) == {"SERVICE-1": service}


@pytest.mark.parametrize("text", ["1", "not JSON", "{}", '{"name": "A", "kind": "unheard of"}', "[]"])
def test_what_another_version_has_remembered_is_asked_for_again(client: redis.Redis, text: str) -> None:
    client.set("ordersync:sku:1:WID-001", text)
    assert RedisPasses(client).recent(1, ["WID-001"]) == {}


def test_erps_do_not_share_their_passes(client: redis.Redis) -> None:
    passes = RedisPasses(client)
    passes.remember(1, [item("WID-001")])
    assert passes.recent(2, ["WID-001"]) == {}
    assert passes.recent(11, ["WID-001"]) == {}


def test_where_redis_is_away_nothing_is_remembered_and_nothing_fails(
    server: fakeredis.FakeServer, client: redis.Redis
) -> None:
    passes = RedisPasses(client)
    passes.remember(1, [item("WID-001")])
    server.connected = False
    with capture_logs() as lines:
        passes.remember(1, [item("COMP-A")])
        assert passes.recent(1, ["WID-001"]) == {}
    assert [(line["event"], line["failure"]) for line in lines] == [("cache_away", "ConnectionError")] * 2
    server.connected = True
    assert passes.recent(1, ["WID-001", "COMP-A"]) == {"WID-001": item("WID-001")}


def test_a_socket_that_is_not_there_counts_as_away(tmp_path: Path) -> None:
    with connect(f"redis+socket://{tmp_path}/vk.sock?virtual_host=0") as client:
        passes = RedisPasses(client)
        started = time.monotonic()
        passes.remember(1, [item("WID-001")])
        assert passes.recent(1, ["WID-001"]) == {}
        assert time.monotonic() - started < 5.0


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "redis+socket:///tmp/a/vk.sock?virtual_host=3",
            {"path": "/tmp/a/vk.sock", "db": 3, "password": None},
        ),
        ("redis+socket:///tmp/a/vk.sock", {"path": "/tmp/a/vk.sock", "db": 0, "password": None}),
        ("redis://:pw@127.0.0.1:6380/2", {"host": "127.0.0.1", "port": 6380, "db": 2, "password": "pw"}),
    ],
)
def test_an_address_is_understood_in_kombus_words_and_in_redis_own(
    url: str, expected: dict[str, object]
) -> None:
    options = connect(url).connection_pool.connection_kwargs
    assert {name: options.get(name) for name in expected} == expected
    assert options["socket_timeout"] == 2.0


def test_a_real_server_on_its_socket_remembers(empty_broker_url: str) -> None:
    with connect(empty_broker_url) as client:
        passes = RedisPasses(client)
        passes.remember(7, [item("ÜNI-商品")])
        assert passes.recent(7, ["ÜNI-商品", "X"]) == {"ÜNI-商品": item("ÜNI-商品")}
        assert 295 <= client.ttl("ordersync:sku:7:ÜNI-商品") <= 300


def test_without_a_broker_nothing_is_remembered() -> None:
    passes = NoPasses()
    passes.remember(1, [item("WID-001")])
    assert passes.recent(1, ["WID-001"]) == {}
