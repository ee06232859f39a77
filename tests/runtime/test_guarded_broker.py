"""A broker with a password, with a user of limited rights, or with TLS is used by every part of ours, and not without them."""

import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery

from app.celery_door import Workers, broker_queues
from app.doctor.broker import broker as doctors_look
from app.errors import Misconfigured
from app.heartbeats import Heartbeat, alive
from app.limits import RedisLimiters
from app.passes import RedisPasses, connect
from app.ports.erp import ErpItem, ItemKind
from app.ports.limiters import Ceilings
from app.runtime import broker_address, broker_url
from app.settings import Settings, load_settings
from app.sync.findings import Level
from tests.fixtures.guarded_broker import GuardedBroker, acl_broker, tls_broker
from workers.application import make_app


def settings_of(url: str, folder: Path) -> Settings:
    return load_settings(
        {"REDIS_URL": url, "ORDERSYNC_VAR": str(folder / "var"), "ORDERSYNC_ENV_FILE": "/dev/null"}
    )


def test_cache_limits_signs_of_life_and_messages_come_through(
    guarded_broker: GuardedBroker, tmp_path: Path
) -> None:
    settings = settings_of(guarded_broker.url, tmp_path)
    url = broker_url(settings)
    with connect(url) as client:
        passes = RedisPasses(client)
        item = ErpItem(number="WID-001", name="Widget", blocked=False, kind=ItemKind.INVENTORY)
        passes.remember(1, [item])
        assert passes.recent(1, ["WID-001"]) == {"WID-001": item}
        limiters = RedisLimiters(client, prefix=f"test:{uuid.uuid4()}")
        limiters.of(name="bc", counted_by=("x",), ceilings=Ceilings(at_once=1)).enter(lasts=5.0)
        assert [(usage.shared, usage.running) for usage in limiters.usage()] == [(True, 1)]
        Heartbeat(url, process="beat", pause=1.0).beat()
        assert len(alive(client, process="beat")) == 1
    workers = Workers(settings, url=url)
    workers.send("sweep")
    assert workers.answer() is False
    assert broker_queues(settings)["queues"]["beat"] == 1
    (finding,) = doctors_look(settings)
    assert finding.level is Level.OK, finding
    assert "keeps its messages on disk" in finding.found


def test_results_have_the_same_way_in(guarded_broker: GuardedBroker, tmp_path: Path) -> None:
    made = make_app(settings_of(guarded_broker.url, tmp_path), url=guarded_broker.url)
    with closing(made.backend.client) as client:
        assert client.ping()


@pytest.mark.parametrize(
    "command", [("FLUSHALL",), ("FLUSHDB",), ("CONFIG", "GET", "*"), ("KEYS", "*"), ("SHUTDOWN",), ("ACL", "LIST"), ("REPLICAOF", "NO", "ONE")], ids=" ".join
)  # fmt: skip
def test_the_documented_user_can_neither_empty_nor_stop_nor_change_the_broker(
    acl: GuardedBroker, command: tuple[str, ...]
) -> None:
    with connect(acl.url) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command)


@pytest.fixture(scope="module")
def acl(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with acl_broker(tmp_path_factory.mktemp("acl")) as broker:
        yield broker


def test_whoever_has_no_name_or_the_wrong_password_is_refused_and_told_so(
    acl: GuardedBroker, tmp_path: Path
) -> None:
    for url in (
        f"redis://127.0.0.1:{acl.port}/0",
        f"redis://ordersync:wrong@127.0.0.1:{acl.port}/0",
    ):
        (finding,) = doctors_look(settings_of(url, tmp_path))
        assert (finding.level, finding.do) == (Level.WRONG, "REDIS_URL=redis://NAME:PASSWORD@HOST:PORT/0")
        assert finding.found == f"The broker at 127.0.0.1:{acl.port} refuses our name or password."


def clients_of(url: str) -> dict[str, Any]:
    """What each part connects with, as a call that asks for an answer."""
    made: Celery = make_app(load_settings({"ORDERSYNC_ENV_FILE": "/dev/null"}), url=url)
    return {
        "ours": lambda: connect(url).ping(),
        "messages": lambda: made.connection().ensure_connection(max_retries=1, timeout=2),
        "results": made.backend.client.ping,
    }


@pytest.mark.parametrize("part", ["ours", "messages", "results"])
def test_a_certificate_of_an_unknown_authority_or_for_another_host_is_refused(
    tmp_path: Path, part: str
) -> None:
    with (
        tls_broker(tmp_path / "tls") as broker,
        tls_broker(tmp_path / "other", host="elsewhere.example") as other,
    ):
        good = broker.url
        urls = {
            "no authority is named": good.partition("?")[0],
            "another authority": good.replace("ca.pem", "other.pem"),
            "another host": other.url,
        }
        clients_of(good)[part]()
        for name, url in urls.items():
            with pytest.raises(Exception, match=r"(?i)certificate"):
                clients_of(url)[part]()
            (finding,) = doctors_look(settings_of(url, tmp_path))
            assert finding.level is Level.WRONG, name
            assert finding.found.startswith("The certificate of the broker at 127.0.0.1:"), name
            assert finding.do.endswith("?ssl_ca_certs=/PATH/ca.pem")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("rediss://h:1/0?ssl_cert_reqs=none", "REDIS_URL has ssl_cert_reqs=none, but the broker's certificate is always verified"),
        ("rediss://h:1/0?ssl_cert_reqs=optional", "REDIS_URL has ssl_cert_reqs=optional, but"),
        ("rediss://h:1/0?ssl_check_hostname=false", "REDIS_URL has ssl_check_hostname=false, but"),
        ("rediss://h:1/0?ssl_ca_certs=/nowhere/ca.pem", "REDIS_URL names /nowhere/ca.pem as ssl_ca_certs, which is no file."),
        ("redis://h:1/0?ssl_ca_certs=/x", r"REDIS_URL has ssl_ca_certs, which is for rediss:// \(TLS\) only."),
        ("redis://ada:hunter2/x@h", "REDIS_URL cannot be read: write %2F for /"),
    ],
)  # fmt: skip
def test_an_address_that_would_not_do_is_refused_with_a_sentence_that_tells_no_password(
    url: str, sentence: str, tmp_path: Path
) -> None:
    for use in (broker_address, connect, lambda each: broker_url(settings_of(each, tmp_path))):
        with pytest.raises(Misconfigured, match=sentence) as error:
            use(url)
        assert "hunter2" not in error.value.reason


def test_tls_without_parameters_verifies_and_what_is_not_about_tls_stays() -> None:
    found = broker_address("rediss://ada:pw@h:6380/2?ssl_cert_reqs=required&health_check_interval=3")
    assert found.url == "rediss://ada:pw@h:6380/2?health_check_interval=3"
    assert found.tls is not None
    assert (found.tls["ssl_cert_reqs"].name, found.tls["ssl_check_hostname"]) == ("CERT_REQUIRED", True)
    assert broker_address("redis://:pw@h/0").tls is None


def test_a_broker_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="REDIS_URL must begin with redis://, rediss:"):
        broker_url(settings_of("amqp://ada:hunter2@h", tmp_path))
