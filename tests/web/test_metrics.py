"""What Prometheus is told, and what it costs to count it."""

import time
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open_metrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from app import __version__
from app.celery_door import BrokerDoors
from app.domain.road import State
from app.limits import RedisLimiters
from app.measures import RedisMeasures
from app.passes import connect
from app.ports.accounts import Role, Scope
from app.ports.certificates import NewCertificate
from app.ports.limiters import Ceilings, Report, Verdict
from app.ports.measures import BOUNDS, Counted, Took
from app.runtime import free_port
from app.sync.panel import accounts
from app.transport import LocalLimiters
from tests.pipeline.world import MakeWorld, plain_order, use_limiters
from tests.web.office import Office

Labels = tuple[tuple[str, str], ...]


def told(office: Office, *, accept: str = "") -> Mapping[tuple[str, Labels], float]:
    """Every figure by its name and labels."""
    key = office.token(Scope.METRICS_READ)
    answer = office.app.test_client().get(
        "/metrics", headers={"Authorization": f"Bearer {key}", "Accept": accept}
    )
    assert answer.status_code == 200, answer.text
    read = read_open_metrics if "openmetrics" in accept else read_text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in read(answer.text)
        for sample in family.samples
    }


def figures(office: Office, name: str) -> dict[Labels, float]:
    return {labels: value for (each, labels), value in told(office).items() if each == f"ordersync_{name}"}


@pytest.fixture
def world_with_errors(make_world: MakeWorld) -> Office:
    """A shop with one order that goes through and two that the ERP's items do not allow."""
    bad = [plain_order(each) for each in (2, 3)]
    for each in bad:
        each["line_items"][0]["sku"] = ""
    office = Office(make_world(orders=[plain_order(1), *bad]))
    office.world.run()
    return office


def test_orders_errors_and_money_are_told_by_site(world_with_errors: Office) -> None:
    office = world_with_errors
    states = {dict(labels)["state"]: value for labels, value in figures(office, "orders").items()}
    assert states == {each.value: 0 for each in State} | {"rejected": 2, "done": 1}
    errors = office.panel.store.open_errors()
    assert sum(each.errors for each in errors) == 2
    assert figures(office, "open_errors") == {
        (("kind", each.kind), ("site", "bgm")): each.errors for each in errors
    }
    assert figures(office, "money_at_risk") == {(("currency", "USD"), ("site", "bgm")): 39.98}
    (sums,) = {each.money for each in errors}
    assert sums == Decimal("39.98")
    assert figures(office, "pending_exports") == {(): 0}
    assert set(figures(office, "oldest_pending_seconds").values()) == {0.0}


def test_sites_and_their_comparisons_are_told(office: Office) -> None:
    assert figures(office, "certificate_complete") == {}
    assert figures(office, "site_paused") == {(("site", "bgm"),): 0}
    now = office.panel.store.now()
    office.panel.store.add_certificate(
        NewCertificate(
            site_id=office.world.site_id, from_at=None, until_at=now, complete=False, counts={}, findings=[]
        )
    )
    office.world.clock.advance(3600)
    (age,) = figures(office, "certificate_age_seconds").values()
    assert 3600 <= age < 3700
    assert figures(office, "certificate_complete") == {(("site", "bgm"),): 0}
    office.panel.store.pause_site(
        office.world.site_id, until=now.replace(year=now.year + 1), reason="The breaker is open."
    )
    assert figures(office, "site_paused") == {(("site", "bgm"),): 1}


def test_a_site_is_read_when_it_was_read_to_the_end_and_not_when_that_was_tried(
    make_world: MakeWorld,
) -> None:
    office = Office(make_world(frozen=True))
    office.world.shop_fault("reset", times=-1)
    office.world.run()
    assert figures(office, "site_last_read_timestamp_seconds") == {}
    office.world.clear_faults()
    office.world.clock.advance(3600)
    office.world.run()
    read_at = office.world.clock.now().timestamp()
    office.world.clock.advance(3600)
    office.world.shop_fault("reset", times=-1)
    office.world.run()
    assert figures(office, "site_last_read_timestamp_seconds") == {(("site", "bgm"),): read_at}


def test_what_is_due_is_told_by_its_age(make_world: MakeWorld) -> None:
    office = Office(make_world(orders=[plain_order(1)]))
    office.world.fetch()
    office.world.clock.advance(600)
    waits = {dict(labels)["link"]: age for labels, age in figures(office, "oldest_pending_seconds").items()}
    assert set(waits) >= {"fetch", "normalize", "write", "acknowledge", "export"}
    assert 600 <= waits["normalize"] < 660
    assert waits["export"] == 0


def test_queues_tasks_and_the_broker_are_told(office: Office) -> None:
    office.doors.waiting = {"queues": {"orders": 7, "beat": 0}, "unacknowledged": 3, "fault": ""}
    counts = tuple(range(1, len(BOUNDS) + 2))
    office.doors.measured = Counted(tasks={"write": Took(counts, 12.5)}, dropped=4)
    assert figures(office, "queue_messages") == {(("queue", "orders"),): 7, (("queue", "beat"),): 0}
    assert figures(office, "unacknowledged_messages") == {(): 3}
    assert figures(office, "broker_up") == {(): 1}
    assert figures(office, "measures_dropped_total") == {(): 4}
    assert figures(office, "step_seconds_sum") == {(("step", "write"),): 12.5}
    assert figures(office, "step_seconds_count") == {(("step", "write"),): sum(counts)}
    buckets = figures(office, "step_seconds_bucket")
    assert buckets[("le", "0.05"), ("step", "write")] == 1
    assert buckets[("le", "0.1"), ("step", "write")] == 3
    assert buckets[("le", "+Inf"), ("step", "write")] == sum(counts)


def test_while_the_broker_is_away_everything_else_is_told(office: Office) -> None:
    office.doors.waiting = {"queues": {}, "unacknowledged": 0, "fault": "it does not answer"}
    office.doors.measured = Counted(fault="it does not answer")
    found = {name for name, _labels in told(office)}
    assert {"ordersync_orders", "ordersync_broker_up"} <= found or "ordersync_pending_exports" in found
    assert not {"ordersync_queue_messages", "ordersync_unacknowledged_messages"} & found
    assert figures(office, "broker_up") == {(): 0}


def test_the_program_and_the_accounts_are_told(office: Office) -> None:
    assert figures(office, "build_info") == {(("version", __version__),): 1}
    limiters = LocalLimiters()
    use_limiters(office.world.parts, limiters)
    office = Office(office.world, limiters=limiters)
    names = ("bc", "bc sign-in", "bgm")
    assert figures(office, "account_breaker_open") == {(("account", name),): 0 for name in names}
    (site,) = office.panel.store.sites()
    account = ("woocommerce", f"{site.url}/wp-json/wc/v3".lower(), "ck_sandbox")
    shop = limiters.of(name="bgm", counted_by=account, ceilings=Ceilings(at_once=9, requests=100))
    for _ in range(5):
        place = shop.enter(lasts=5.0)
        assert isinstance(place, str)
        shop.leave(place, Report(Verdict.FAILED, fault="it answered 503"))
    assert figures(office, "account_breaker_open")[(("account", "bgm"),)] == 1
    assert figures(office, "account_requests_left")[(("account", "bgm"),)] == 95


def test_both_formats_tell_the_same(office: Office) -> None:
    plain = told(office)
    other = told(office, accept="application/openmetrics-text; version=1.0.0")
    assert {name for name, _ in plain} == {name for name, _ in other}


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text; version=foo",
        "application/openmetrics-text; version=1.0.x; escaping=bar",
        "text/plain; version=1.0.0.0.x; escaping=; q=zz",
        "text/plain; version=.",
        "application/openmetrics-text; version=" + "9" * 5000,
        ";;,=",
    ],
)
def test_whoever_accepts_what_is_no_version_is_told_in_plain_text(office: Office, accept: str) -> None:
    headers = {"Authorization": f"Bearer {office.token(Scope.METRICS_READ)}", "Accept": accept}
    answer = office.app.test_client().get("/metrics", headers=headers)
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert "ordersync_build_info" in {
        sample.name for each in read_text(answer.text) for sample in each.samples
    }


@pytest.mark.parametrize(
    "header", ["", "Bearer ", "Bearer nonsense", "Basic {}", "{}", "Bearer {}x", "Bearer \x01"]
)
def test_without_a_good_token_nothing_is_told(office: Office, header: str) -> None:
    key = office.token(Scope.METRICS_READ)
    answer = office.app.test_client().get("/metrics", headers={"Authorization": header.format(key)})
    assert (answer.status_code, answer.text) == (401, "")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_for_something_else_and_a_person_are_told_nothing(office: Office) -> None:
    others = office.token(*(each for each in Scope if each is not Scope.METRICS_READ))
    client = office.app.test_client()
    assert client.get("/metrics", headers={"Authorization": f"Bearer {others}"}).status_code == 401
    assert office.signed_in(Role.ADMIN).get("/metrics").status_code == 401
    good = office.token(Scope.METRICS_READ)
    accounts.revoke_token(office.panel, "t1")
    assert client.get("/metrics", headers={"Authorization": f"Bearer {good}"}).status_code == 401


def test_no_order_and_no_person_is_in_a_label(world_with_errors: Office) -> None:
    names = {
        "site", "state", "kind", "currency", "queue", "link", "account", "status", "step", "le", "version",
    }  # fmt: skip
    office = world_with_errors
    office.doors.measured = Counted(tasks={"write": Took((0,) * (len(BOUNDS) + 1), 0.0)})
    for _name, labels in told(office):
        assert {name for name, _ in labels} <= names
        assert "example.test" not in str(labels)
        assert "BGM-" not in str(labels)


# Counting.


def calls(limiters: RedisLimiters, *statuses: str, name: str = "bgm") -> None:
    limiter = limiters.of(name=name, counted_by=("https://shop.example", "key"), ceilings=Ceilings(at_once=9))
    for status in statuses:
        place = limiter.enter(lasts=5.0)
        assert isinstance(place, str)
        limiter.leave(place, Report(Verdict.GOOD, status=status))


def test_calls_are_counted_by_account_and_status_for_all_processes(empty_broker_url: str) -> None:
    one, other = (RedisLimiters(connect(empty_broker_url)) for _ in range(2))
    calls(one, "200", "200", "404", "timeout", "")
    calls(other, "200", "503")
    calls(other, "201", name="second shop")
    (usage,) = other.usage()
    assert usage.answers == {
        ("bgm", "200"): 3,
        ("bgm", "404"): 1,
        ("bgm", "timeout"): 1,
        ("bgm", "503"): 1,
        ("second shop", "201"): 1,
    }
    assert one.forget("bgm")
    assert one.usage()[0].answers == usage.answers


def test_real_calls_are_told(make_world: MakeWorld, empty_broker_url: str) -> None:
    limiters = RedisLimiters(connect(empty_broker_url))
    world = make_world(orders=[plain_order(1)])
    office = Office(world, limiters=limiters)
    use_limiters(world.parts, limiters)
    world.run()
    found = figures(office, "http_requests_total")
    assert found[("account", "bgm"), ("status", "200")] > 0
    assert found[("account", "bc"), ("status", "200")] > 0
    assert {dict(labels)["account"] for labels in found} == {"bc", "bc sign-in", "bgm"}


def test_tasks_are_counted_by_how_long_they_took(empty_broker_url: str) -> None:
    client = connect(empty_broker_url)
    one, other = RedisMeasures(client), RedisMeasures(connect(empty_broker_url))
    for seconds in (0.01, 0.05, 0.06, 240.0, 999.0):
        one.took("write", seconds)
    other.took("write", 0.02)
    other.took("fetch", 1.0)
    found = other.counted()
    assert found.tasks["write"].counts == (3, 1, *[0] * 9, 1, 1)
    assert found.tasks["write"].seconds == pytest.approx(1239.14)
    assert found.tasks["fetch"].counts[4] == 1
    assert (found.dropped, found.fault) == (0, "")


def test_what_cannot_be_counted_is_dropped_told_later_and_waited_for_once(empty_broker_url: str) -> None:
    client, now = connect(empty_broker_url), [0.0]
    there = client.connection_pool
    measures = RedisMeasures(client, clock=lambda: now[0])
    client.connection_pool = connect(f"redis://127.0.0.1:{free_port(0)}/0").connection_pool
    measures.took("write", 1.0)
    client.connection_pool = there
    measures.took("write", 1.0)
    assert measures.counted().tasks == {}
    now[0] += 11
    measures.took("write", 1.0)
    found = measures.counted()
    assert (sum(found.tasks["write"].counts), found.dropped) == (1, 2)


def test_what_another_version_counted_does_no_harm(empty_broker_url: str) -> None:
    client = connect(empty_broker_url)
    client.hset("ordersync:measures", mapping={"write 99": 1, "write x": 2, "odd": 3, "write 0": 4, " 1": 2})
    assert RedisMeasures(client).counted().tasks == {"write": Took((4, *[0] * len(BOUNDS)), 0.0)}


def test_the_doors_tell_what_was_counted_or_why_not(office: Office, empty_broker_url: str) -> None:
    RedisMeasures(connect(empty_broker_url)).took("write", 1.0)
    there = replace(office.world.settings, redis_url=empty_broker_url)
    assert set(BrokerDoors(there).counted().tasks) == {"write"}
    away = replace(there, redis_url=f"redis://127.0.0.1:{free_port(0)}/0")
    assert BrokerDoors(away).counted().fault == "The broker does not answer (ConnectionError)."


def test_counting_a_task_takes_one_short_trip(empty_broker_url: str) -> None:
    measures = RedisMeasures(connect(empty_broker_url))
    measures.took("write", 1.0)
    began = time.perf_counter()
    for _ in range(100):
        measures.took("write", 1.0)
    assert (time.perf_counter() - began) / 100 < 0.02
