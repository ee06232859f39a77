"""The sandbox store on the wire: tokens, the quota, faults, the control door, the command (sections 1, 9 and 10)."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from app.sandbox.bigcommerce import DEMO_STORE_HASH, DEMO_TOKEN, Store, Token, create_app, demo_orders
from app.sandbox.server import RunningServer, serve

HEADERS = {"X-Auth-Token": DEMO_TOKEN}
LIMITS = ("Time-Window-Ms", "Time-Reset-Ms", "Requests-Quota", "Requests-Left")


class Seconds:
    """A running time that tests turn."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def store(seconds: Seconds) -> Iterator[Store]:
    store = Store(quota=5, window_seconds=30.0, monotonic=seconds)
    yield store
    store.close()


@pytest.fixture
def running(store: Store) -> Iterator[RunningServer]:
    with serve(create_app(store)) as server:
        yield server


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(HEADERS)
        yield session


@pytest.fixture
def base(running: RunningServer) -> str:
    return f"{running.url}/stores/{DEMO_STORE_HASH}"


def limits(answer: requests.Response) -> list[int]:
    return [int(answer.headers[f"X-Rate-Limit-{name}"]) for name in LIMITS]


def control(
    running: RunningServer, session: requests.Session, method: str, door: str, data: Any = None
) -> Any:
    answer = session.request(method, f"{running.url}/_sandbox/{door}", json=data)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


# Tokens


def test_a_missing_or_wrong_token_is_a_401_in_the_shape_of_the_version(base: str) -> None:
    for token in ({}, {"X-Auth-Token": "wrong"}):
        old, new = (
            requests.get(f"{base}/{path}", headers=token, timeout=5) for path in ("v2/orders", "v3/hooks")
        )
        assert (old.status_code, old.json()[0]["status"]) == (401, 401)
        assert (new.status_code, new.json()["status"]) == (401, 401)
        assert limits(old) == [30000, 30000, 5, 5]


def test_another_store_is_a_404(running: RunningServer, session: requests.Session) -> None:
    answer = session.get(f"{running.url}/stores/other/v2/orders")
    assert (answer.status_code, answer.json()[0]["status"]) == (404, 404)


def test_each_resource_wants_its_own_scope(session: requests.Session) -> None:
    store = Store(tokens=[Token("narrow", frozenset({"store_v2_orders"}))])
    order_id = store.add_order()
    session.headers["X-Auth-Token"] = "narrow"
    with serve(create_app(store)) as running:
        base = f"{running.url}/stores/{DEMO_STORE_HASH}"
        assert session.get(f"{base}/v2/orders").status_code == 200
        assert session.get(f"{base}/v3/hooks").status_code == 200
        assert session.get(f"{base}/v2/store").status_code == 403
        answer = session.get(f"{base}/v3/orders/{order_id}/transactions")
        assert (answer.status_code, answer.json()["status"]) == (403, 403)


# The quota


def test_every_answer_tells_the_quota_and_the_request_above_it_is_a_429(
    store: Store, base: str, session: requests.Session, seconds: Seconds
) -> None:
    order_id = store.add_order()
    assert limits(session.get(f"{base}/v2/orders")) == [30000, 30000, 5, 4]
    seconds.now += 10
    assert limits(session.get(f"{base}/v2/orders/{order_id}/coupons")) == [30000, 20000, 5, 3]
    assert limits(session.get(f"{base}/v2/nothing")) == [30000, 20000, 5, 2]
    assert [session.get(f"{base}/v2/time").status_code for _ in range(2)] == [200, 200]
    refused = session.put(f"{base}/v2/orders/{order_id}", json={"status_id": 9})
    assert (refused.status_code, limits(refused)) == (429, [30000, 20000, 5, 0])
    assert (refused.headers["X-Retry-After"], refused.json()[0]["status"]) == ("20", 429)
    assert store.order(order_id)["status_id"] == 11
    assert session.get(f"{base}/v3/hooks").json()["status"] == 429
    seconds.now += 20
    assert limits(session.get(f"{base}/v2/orders")) == [30000, 30000, 5, 4]
    found = store.counters()
    assert (found["requests"], found["refused"], found["most_in_window"], found["quota"]) == (8, 2, 7, 5)
    assert found["by_route"]["PUT /v2/orders/{id}"] == 1
    assert found["by_route"]["GET /v2/orders/{id}/coupons"] == 1


def test_parallel_requests_never_get_more_than_the_quota(base: str, session: requests.Session) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: requests.get(f"{base}/v2/time", headers=HEADERS, timeout=5), range(20))
        )
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 15


# Faults


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        ("500", 500, b'[{"status":500,'),
        ("503_maintenance", 503, b"<!DOCTYPE html>"),
        ("502", 502, b"<html>"),
        ("error_without_body", 500, b""),
        ("garbage", 200, b'[{"id": 1'),
        ("empty", 200, b""),
        ("400_says_404", 400, b'[{"status": 404,'),
        ("429", 429, b'[{"status":429,'),
    ],
)
def test_a_fault_stands_in_for_the_answer_once_and_nothing_is_done(
    *, store: Store, base: str, session: requests.Session, kind: str, status: int, body: bytes
) -> None:
    order_id = store.add_order()
    store.add_fault(kind, method="PUT", path=f"/orders/{order_id}$", skip=1)
    url = f"{base}/v2/orders/{order_id}"
    assert session.put(url, json={"status_id": 12}).status_code == 200
    assert session.get(url).status_code == 200
    answer = session.put(url, json={"status_id": 9})
    assert (answer.status_code, answer.content[: len(body)]) == (status, body)
    assert limits(answer)[2] == 5
    assert store.order(order_id)["status_id"] == 12
    assert session.put(url, json={"status_id": 9}).status_code == 200


def test_a_429_of_the_platforms_own_overload_tells_no_limits(
    store: Store, base: str, session: requests.Session
) -> None:
    store.add_fault("429_bare")
    answer = session.get(f"{base}/v2/orders")
    assert answer.status_code == 429
    assert not [name for name in answer.headers if name.lower().startswith("x-r")]
    assert (store.counters()["refused"], store.counters()["by_status"]) == (0, {"429": 1})


def test_an_answer_can_be_lost_or_belied_after_the_work_was_done(
    store: Store, base: str, session: requests.Session
) -> None:
    lost, belied, cut = store.generate(3)
    store.add_fault("reset_after", path=f"/{lost}$")
    store.add_fault("500_after", path=f"/{belied}$")
    store.add_fault("truncated", path=f"/{cut}$")
    for order_id in (lost, cut):
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            session.put(f"{base}/v2/orders/{order_id}", json={"status_id": 9})
    assert session.put(f"{base}/v2/orders/{belied}", json={"status_id": 9}).status_code == 500
    assert [store.order(order_id)["status_id"] for order_id in (lost, belied, cut)] == [9, 9, 9]
    assert [one.status for one in store.requests] == [0, 200, 500]


def test_a_connection_can_be_reset_or_time_out_before_anything_is_done(
    store: Store, base: str, session: requests.Session
) -> None:
    order_id = store.add_order()
    store.add_fault("reset")
    store.add_fault("timeout", seconds=0.05)
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            session.put(f"{base}/v2/orders/{order_id}", json={"status_id": 9})
    assert store.order(order_id)["status_id"] == 11
    store.add_fault("slow", seconds=0.2)
    began = time.monotonic()
    assert session.get(f"{base}/v2/time").status_code == 200
    assert time.monotonic() - began >= 0.2


def test_v2_can_answer_xml_to_those_who_do_not_ask_for_json(
    store: Store, base: str, session: requests.Session
) -> None:
    store.switches.xml_unless_json_is_asked_for = True
    assert session.get(f"{base}/v2/time").headers["Content-Type"] == "application/xml"
    asked = session.get(f"{base}/v2/time", headers={"Accept": "application/json"})
    assert asked.json()["time"] > 0
    assert session.get(f"{base}/v3/hooks").json()["data"] == []


# The control door


def test_the_control_door_makes_changes_and_lists_orders(
    store: Store, running: RunningServer, session: requests.Session
) -> None:
    door = {"count": 2, "lines": 1, "skus": ["WID-001"], "overrides": {"customer_message": "Hi"}}
    one, two = control(running, session, "POST", "generate", door)["ids"]
    assert store.order(one)["customer_message"] == "Hi"
    three, four = control(running, session, "POST", "orders", [{}, {"status_id": 7}])["ids"]
    row = control(
        running, session, "POST", f"update/{one}", {"status_id": 5, "date_modified": "2026-01-01T00:00:00Z"}
    )
    assert (row["status_id"], row["date_modified"]) == (5, "Thu, 01 Jan 2026 00:00:00 +0000")
    control(running, session, "POST", f"archive/{two}")
    control(running, session, "POST", f"remove/{three}")
    control(running, session, "POST", f"refund/{four}", {"amount": "1"})
    found = {row["id"]: row for row in control(running, session, "GET", "orders")}
    assert {key: row["status_id"] for key, row in found.items()} == {one: 5, two: 11, four: 14}
    assert found[two]["is_deleted"] is True
    assert len(control(running, session, "POST", "demo")["ids"]) == len(demo_orders())
    bad = session.post(f"{running.url}/_sandbox/update/999", json={})
    assert (bad.status_code, bad.json()) == (404, {"error": "The requested resource was not found."})


def test_the_control_door_sets_faults_settings_and_clears_counters(
    store: Store, running: RunningServer, base: str, session: requests.Session
) -> None:
    fault = {"kind": "503", "match": {"method": "GET", "path": "time"}, "times": -1}
    control(running, session, "POST", "faults", [fault])
    assert [session.get(f"{base}/v2/time").status_code for _ in range(2)] == [503, 503]
    control(running, session, "DELETE", "faults")
    assert session.get(f"{base}/v2/time").status_code == 200
    assert session.post(f"{running.url}/_sandbox/faults", json={"kind": "no such"}).status_code == 400
    assert control(running, session, "GET", "counters")["requests"] == 3
    assert [one["status"] for one in control(running, session, "GET", "requests")] == [503, 503, 200]
    control(running, session, "DELETE", "counters")
    changed = {"empty_is_204": False, "quota": 7, "window_seconds": 0.5, "labels": {"11": "Ready"}}
    assert control(running, session, "PUT", "settings", changed)["empty_is_204"] is False
    assert session.get(f"{base}/v2/orders").content == b"[]"
    assert (store.labels.of(11), store.counters()["quota"]) == ("Ready", 7)
    assert store.counters()["requests"] == 1
    assert session.put(f"{running.url}/_sandbox/settings", json={"colour": 1}).status_code == 400
    control(running, session, "PUT", "latency", {"ms": 60})
    began = time.monotonic()
    session.get(f"{base}/v2/time")
    assert time.monotonic() - began >= 0.06


def test_the_command_serves_the_demos_orders_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "app.sandbox.bigcommerce", "--port", "0", "--quota", "9"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            found = re.fullmatch(
                r"sandbox bigcommerce: (http://127\.0\.0\.1:\d+) \((\d+) orders, store (\S+), token (\S+)\)\n",
                line,
            )
            assert found is not None, line
            url, count, store_hash, token = found.groups()
            assert int(count) == len(demo_orders())
            answer = requests.get(
                f"{url}/stores/{store_hash}/v2/orders", headers={"X-Auth-Token": token}, timeout=5
            )
            assert len(json.loads(answer.content)) == len(demo_orders())
            assert answer.headers["X-Rate-Limit-Requests-Quota"] == "9"
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
