"""The broker check against a real server that is set wrongly in one way or another."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from app.doctor.broker import judged
from app.passes import connect
from app.runtime import EmbeddedBroker
from tests.doctor.conftest import Installation

ALSO = "  # and the same in its configuration file, or it is forgotten when it ends"


@pytest.fixture
def there(fresh: Installation, broker: EmbeddedBroker) -> Installation:
    return fresh.but(REDIS_URL=broker.url)


@pytest.fixture
def client(broker: EmbeddedBroker) -> Iterator["redis.Redis"]:
    with connect(broker.url) as opened:
        yield opened


def test_a_broker_that_is_as_it_must_be(there: Installation) -> None:
    level, found, do = there.one("broker")
    assert (level, do) == ("ok", "")
    assert found.startswith("Valkey ")
    assert " keeps its messages on disk and drops none; " in found


def test_a_broker_that_drops_messages_is_wrong(
    there: Installation, broker: EmbeddedBroker, client: "redis.Redis"
) -> None:
    client.config_set("maxmemory-policy", "allkeys-lru")
    assert there.one("broker") == (
        "wrong",
        "When memory runs out it drops messages (maxmemory-policy allkeys-lru).",
        f"valkey-cli -s {broker.socket_path} CONFIG SET maxmemory-policy noeviction{ALSO}",
    )


def test_a_broker_that_keeps_nothing_is_warned_of(
    there: Installation, broker: EmbeddedBroker, client: "redis.Redis"
) -> None:
    client.config_set("appendonly", "no")
    assert there.one("broker") == (
        "warning",
        "It keeps no append-only file: messages are lost when it ends, and orders wait until they are rung again.",
        f"valkey-cli -s {broker.socket_path} CONFIG SET appendonly yes{ALSO}",
    )


def test_everything_that_is_wrong_is_said_at_once(there: Installation, client: "redis.Redis") -> None:
    client.config_set("appendonly", "no")
    client.config_set("maxmemory-policy", "volatile-ttl")
    assert [each.level for each in there.look("broker")] == ["wrong", "warning"]


@pytest.mark.parametrize(("share", "level"), [(0.5, "ok"), (0.75, "warning"), (0.97, "wrong")])
def test_memory_that_fills_up_is_told(
    there: Installation, client: "redis.Redis", share: float, level: str
) -> None:
    used: Any = client.info("memory")
    client.config_set("maxmemory", round(used["used_memory"] / share))
    found = there.one("broker")
    assert found[0] == level
    if level != "ok":
        assert "% of its memory is used; when it is full no message is taken and workers end." in found[1]


def test_a_broker_with_another_password_refuses_us(
    there: Installation, broker: EmbeddedBroker, client: "redis.Redis"
) -> None:
    client.config_set("requirepass", "hunter2")
    assert there.one("broker") == (
        "wrong",
        f"The broker at {broker.socket_path} refuses our name or password.",
        "REDIS_URL=redis://NAME:PASSWORD@HOST:PORT/0",
    )
    # The server is stopped without a password.
    client.auth("hunter2")
    client.config_set("requirepass", "")


def test_a_user_who_may_not_ask_is_told_that_it_cannot_be_read(
    there: Installation, client: "redis.Redis"
) -> None:
    client.acl_setuser("default", enabled=True, commands=["-info", "-config"])
    assert there.one("broker") == (
        "warning",
        "It answers, but what it is and how it is set cannot be read: INFO is forbidden to this user.",
        "ACL SETUSER ... +info",
    )


def test_a_user_who_may_not_see_the_configuration_is_enough(
    there: Installation, client: "redis.Redis"
) -> None:
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.acl_setuser("default", enabled=True, commands=["-config"])
    assert there.one("broker")[0] == "wrong"


@pytest.mark.parametrize("forbidden", ["-@scripting", "-hincrby"])
def test_a_user_who_may_run_no_script_is_told_that_limits_are_not_shared(
    there: Installation, broker: EmbeddedBroker, client: "redis.Redis", forbidden: str
) -> None:
    client.acl_setuser(
        "plain", enabled=True, passwords=["+pw"], keys=["*"], channels=["*"], commands=["+@all", forbidden]
    )
    level, found, do = there.but(REDIS_URL=broker.url.replace("//", "//plain:pw@", 1)).one("broker")
    assert level == "warning"
    assert found.startswith("Scripts are forbidden to this user, so limits are not shared")
    assert "ACL SETUSER ... '~*' '&*' +@all -@dangerous -@admin +info" in do


def test_a_replica_takes_no_messages(there: Installation, client: "redis.Redis") -> None:
    client.replicaof("127.0.0.1", "1")
    assert there.one("broker")[:2] == ("wrong", "It is a replica, which takes no messages.")
    client.replicaof("NO", "ONE")


def test_a_broker_that_is_not_running_is_told_apart(fresh: Installation, broker: EmbeddedBroker) -> None:
    level, found, do = fresh.one("broker")
    assert (level, do) == ("wrong", "ordersync up")
    assert found.startswith("No broker: set REDIS_URL, or start everything that is needed")
    path, url = broker.socket_path, broker.url
    broker.stop()
    assert fresh.but(REDIS_URL=url).one("broker") == (
        "wrong",
        f"The broker at {path} gives no answer (ConnectionError).",
        "REDIS_URL=redis://HOST:PORT/0",
    )
    assert fresh.but(REDIS_URL=url).one("beat") == (
        "wrong",
        "Beat cannot be looked for: the broker gives no answer (ConnectionError).",
        "ordersync doctor broker",
    )
    assert fresh.but(REDIS_URL="redis://ada:hunter2/x@broker.example").one("broker")[:2] == (
        "wrong",
        "REDIS_URL cannot be read: write %2F for / and %40 for @ in a name or password, and a number for the port.",
    )
    assert fresh.but(REDIS_URL="amqp://ada:hunter2@broker.example").one("worker") == (
        "wrong",
        "Workers cannot be asked: the address of the broker cannot be used.",
        "ordersync doctor broker",
    )


GOOD = {
    "redis_version": "7.0.15", "role": "master", "aof_enabled": 1, "maxmemory_policy": "noeviction",
    "maxmemory": 0, "used_memory": 1, "used_memory_human": "1.00M",
}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "level", "sentence"),
    [
        ({}, "ok", "Redis 7.0.15 keeps its messages on disk and drops none; 1.00M are used."),
        ({"redis_version": "6.0.16"}, "wrong", "Redis 6.0.16 is too old; 6.2 or later is needed, or Valkey."),
        ({"redis_version": "7.2.4", "valkey_version": "9.0.1"}, "ok", "Valkey 9.0.1 keeps its messages on disk and drops none; 1.00M are used."),
        ({"maxmemory_policy": None}, "warning", "What it does when memory runs out cannot be read."),
        ({"aof_enabled": None}, "warning", "Whether it keeps messages on disk cannot be read."),
        ({"aof_last_write_status": "err"}, "wrong", "It cannot write its append-only file."),
    ],
)  # fmt: skip
def test_what_servers_tell_of_themselves(told: dict[str, Any], level: str, sentence: str) -> None:
    (finding,) = judged({**GOOD, **told}, tool="redis-cli -h broker")
    assert (finding.level, finding.found) == (level, sentence)
