"""Nobody's data and no secret is written anywhere but in the database: not in a log, not on a console, not in Redis, not in Flower."""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
import requests

from app.celery_door import beat_command, flower_command
from app.passes import connect
from app.runtime import EmbeddedBroker, free_port
from app.sandbox.erp.records import put
from app.sandbox.server import serve
from app.sandbox.shop import Shop, recorded_orders
from app.sandbox.shop import create_app as shop_app
from app.sync.configure import Asked, add_site
from tests.fixtures.databases import Database
from tests.road.conftest import ROOT, Middleware, running_middleware
from tests.road.people import (
    QUOTED_ORDER,
    Quoting,
    credentials_of,
    found_in,
    numbers_of,
    personal,
    sought,
    unmistakable_orders,
)

pytestmark = pytest.mark.slow

LOGIN = ("watcher", "flowers-password")
WRONG_SECRET = "cs_wrong_but_secret"
SKUS = ["WID-001", "COMP-A", "COMP-B", "HOSE-3", "KIT-PARENT-123"]


@dataclass
class Traffic:
    """Every command that the broker is given."""

    commands: list[str] = field(default_factory=list)

    @contextmanager
    def watched(self, broker: EmbeddedBroker) -> Iterator[None]:
        # A broker that is given nothing for some seconds, on a busy machine, has not gone away.
        patient = redis.Redis(unix_socket_path=str(broker.socket_path), socket_timeout=None)
        with patient as client, client.monitor() as monitor:
            thread = threading.Thread(target=self._listen, args=(monitor,), daemon=True)
            thread.start()
            try:
                yield
            finally:
                client.echo("that is all")
                thread.join(timeout=10)
            assert not thread.is_alive()

    def _listen(self, monitor: Any) -> None:
        for each in monitor.listen():
            self.commands.append(each["command"])
            if each["command"] == "ECHO that is all":
                return


@dataclass
class Flower:
    """Flower's pages and its API, as its reader sees them."""

    url: str

    def page(self, path: str) -> str:
        answer = requests.get(f"{self.url}{path}", auth=LOGIN, timeout=10)
        assert answer.status_code == 200, (path, answer.text)
        return answer.text

    def tasks(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = json.loads(self.page("/api/tasks?limit=100000"))
        return found

    def is_up(self) -> bool:
        try:
            return requests.get(self.url, auth=LOGIN, timeout=1).status_code == 200
        except requests.ConnectionError:
            return False

    def pages(self) -> dict[str, str]:
        """What a reader may look at, the page of each task whose like was not looked at yet."""
        tasks = self.tasks()
        kinds = {(each["name"], each["state"], bool(each["retries"])): uuid for uuid, each in tasks.items()}
        workers = json.loads(self.page("/api/workers?refresh=1"))
        paths = [
            *("/", "/tasks", "/broker", "/api/tasks?limit=100000", "/api/workers?refresh=1", "/metrics"),
            *(f"/worker/{name}" for name in workers),
            *(f"/task/{uuid}" for uuid in kinds.values()),
            *(f"/api/task/info/{uuid}" for uuid in kinds.values()),
        ]
        return {path: self.page(path) for path in paths}


def wait_until(happened: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start_beat_and_flower(middleware: Middleware) -> Flower:
    middleware.group.start("beat", beat_command(), environment=middleware.environment, cwd=ROOT)
    port = free_port(0)
    environment = {**middleware.environment, "ORDERSYNC_FLOWER_AUTH": ":".join(LOGIN)}
    middleware.group.start("flower", flower_command(port=port), environment=environment, cwd=ROOT)
    found = Flower(f"http://127.0.0.1:{port}")
    wait_until(found.is_up)
    return found


def add_a_site_with_a_wrong_secret(middleware: Middleware, url: str) -> int:
    return add_site(
        middleware.program.parts,
        Asked(
            name="closed",
            platform="woocommerce",
            url=url,
            allow_private=True,
            credentials={"key": "ck_sandbox", "secret": WRONG_SECRET},
            settings={},
        ),
        prefix="CLO",
        erp=None,
    )


def everything_in(url: str) -> str:
    """All keys of the broker with their values."""
    with connect(url) as client:
        readers: dict[str, Callable[[str], Any]] = {
            "string": client.get,
            "list": lambda key: client.lrange(key, 0, -1),
            "set": client.smembers,
            "zset": lambda key: client.zrange(key, 0, -1),
            "hash": client.hgetall,
        }
        return "\n".join(f"{key} {readers[client.type(key)](key)}" for key in client.scan_iter())


def tokens_issued(monkeypatch: pytest.MonkeyPatch, erp: Any) -> list[str]:
    """Every OAuth token that the ERP gives out from now on."""
    found: list[str] = []
    issue = erp.issue_token

    def issue_and_tell(tenant: str, form: Any) -> Any:
        answer = issue(tenant, form)
        found.append(answer.body.get("access_token", ""))
        return answer

    monkeypatch.setattr(erp, "issue_token", issue_and_tell)
    return found


def let_much_go_wrong(middleware: Middleware, quoting: Quoting) -> None:
    """Faults of every kind, most of them with answers that quote a customer."""
    shop, erp = (server.url for server in middleware.servers)
    for kind, path in (("500_php_fatal", "/orders$"), ("503_maintenance", "/orders$"), ("reset", "/batch$")):
        requests.post(f"{shop}/_sandbox/faults", json={"kind": kind, "match": {"path": path}}, timeout=5)
    for kind in ("500", "timeout_after", "429", "html", "reset_after"):
        fault = {"kind": kind, "match": {"method": "POST", "path": "batch"}, "seconds": 1}
        requests.post(f"{erp}/_sandbox/faults", json=fault, timeout=5)
    doubtful = {"kind": "500", "match": {"method": "POST", "operation": "salesOrders$"}, "times": 3}
    requests.post(f"{erp}/_sandbox/faults", json=doubtful, timeout=5)
    quoting.plan("GET", "/orders$", status=500)
    quoting.plan("POST", "/orders/batch$", status=500)
    quoting.plan("POST", r"/api/v2.0/\$batch$", status=503, times=2)
    exportable = [
        body for body in unmistakable_orders() if body["billing"]["email"] and body["status"] == "processing"
    ]
    for body in exportable[:12]:
        person = body["billing"]
        message = f"{person['first_name']} {person['last_name']}, {person['address_1']}: no credit."
        quoting.refuse(f"BGM-{body['number']}", message=message)
    with middleware.erp.lock:
        for body in exportable[12:16]:
            blocked = {"displayName": body["billing"]["last_name"], "email": body["billing"]["email"]}
            put(middleware.erp.books, "customers", {**blocked, "blocked": "All"})


@dataclass
class Written:
    """All that a run left behind outside of the database, by where it stands, and what is to be looked for in it."""

    sources: dict[str, str]
    lines: list[dict[str, Any]]
    tasks: dict[str, dict[str, Any]]
    texts: set[str]
    ports: list[int]
    exported: int
    closed_id: int


def run_it_all(
    middleware: Middleware, flower: Flower, quoting: Quoting, closed_id: int, tmp_path: Path
) -> subprocess.CompletedProcess[str]:
    """Runs of a site with wrong credentials, runs with faults, and a command; gives what the command said."""
    store = middleware.program.parts.store
    middleware.shop.generate(60, 2, SKUS, spread_seconds=60)
    middleware.start_worker("tests.road.talkative")
    for _ in range(3):
        run_id = store.open_run(kind="orders", site_id=closed_id)
        middleware.workers.send("fetch", site_id=closed_id, run_id=run_id, site="closed")
        middleware.wait(run_id)
    let_much_go_wrong(middleware, quoting)
    for _ in range(4):
        # The first ones fail while they read; what they had stored goes its way.
        middleware.wait(middleware.start_run())
    command = [str(Path(sys.executable).with_name("ordersync")), "-v", "items", "sync"]
    environment = {**middleware.environment, "PATH": "/usr/bin:/bin"}
    typed = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environment
    )
    # Last, since it stops the ERP for five minutes: it quotes the question for the customers.
    middleware.shop.generate(5, 2, SKUS)
    quoting.plan("POST", r"/api/v2.0/\$batch$", status=400)
    middleware.wait(middleware.start_run())
    wait_until(lambda: not any(each["state"] == "STARTED" for each in flower.tasks().values()))
    return typed


@pytest.fixture
def written(
    tmp_path: Path,
    embedded_broker: EmbeddedBroker,
    empty_broker_url: str,
    road_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> Written:
    recorded = recorded_orders()
    for number, body in enumerate(recorded):
        # So that the recorded people have an address of their own on the net, too.
        body["customer_ip_address"] = f"203.0.113.{number}"
    shop, quoting, traffic = Shop([*recorded, *unmistakable_orders()]), Quoting(), Traffic()
    with (
        traffic.watched(embedded_broker),
        running_middleware(
            tmp_path, empty_broker_url, road_database, shop=shop, behind=quoting.before
        ) as middleware,
        serve(quoting.before(shop_app(Shop(())))) as another,
    ):
        tokens = tokens_issued(monkeypatch, middleware.erp)
        middleware.erp.revoke_tokens()
        closed_id = add_a_site_with_a_wrong_secret(middleware, another.url)
        flower = start_beat_and_flower(middleware)
        typed = run_it_all(middleware, flower, quoting, closed_id, tmp_path)
        tasks = flower.tasks()
        sources = {f"Flower's {path}": text for path, text in flower.pages().items()}
        sources["Redis"] = everything_in(empty_broker_url)
        exported = len(middleware.documents())
        store = middleware.program.parts.store
        stored = {row.credentials for row in store.sites()} | {row.credentials for row in store.erps()}
        urls = (*(each.url for each in (*middleware.servers, another)), flower.url)
        texts = personal(shop.order(each["id"]) for each in shop.overview())
    assert quoting.quoted >= 10
    assert len(list(filter(None, tokens))) >= 2
    sources["the broker's traffic"] = "\n".join(traffic.commands)
    sources["the command's console"] = typed.stderr
    for path in (tmp_path / "log").glob("*.log"):
        sources[f"the console of {path.stem}"] = path.read_text(encoding="utf-8")
    log = (tmp_path / "var" / "log" / "order-sync.log").read_text(encoding="utf-8")
    sources["order-sync.log"] = log
    texts |= credentials_of(
        "ck_sandbox", "cs_sandbox", WRONG_SECRET, "sandbox-client", "sandbox-secret", *LOGIN
    )
    texts |= (
        {(tmp_path / "var" / "secret.key").read_text(encoding="utf-8").strip()}
        | stored
        | set(filter(None, tokens))
    )
    return Written(
        sources=sources,
        lines=[json.loads(line) for line in log.splitlines()],
        tasks=tasks,
        texts=texts,
        ports=[urlsplit(url).port or 0 for url in urls],
        exported=exported,
        closed_id=closed_id,
    )


def test_nobodys_data_and_no_secret_is_written_anywhere(written: Written) -> None:
    """And what is written can be used: errors are for people, and tasks can be read. One run serves for all of it."""
    sources, lines = written.sources, written.lines
    wanted, left_out = sought(written.texts, known_numbers=numbers_of(lines, *written.ports))
    print(f"{len(wanted)} texts, {sum(map(len, sources.values()))} characters; left out: {sorted(left_out)}")  # noqa: T201
    # What is looked for is much, and where it is looked for something stands.
    assert len(wanted) > 600
    assert len(left_out) < 30
    assert written.exported > 60
    assert {each["process"] for each in lines} == {"worker", "beat", "flower", "cli"}
    events = {each["event"] for each in lines}
    assert {"Summary", "step", "fetch_ended", "order_rejected", "step_failed", "outcome_unknown"} <= events
    assert {"site_paused", "erp_paused", "unexpected_fault", "task_failed", "http_call"} <= events
    assert len(sources["the broker's traffic"]) > 100_000
    assert {"the console of worker", "the console of beat", "the console of flower"} <= sources.keys()
    assert "http_call" in sources["the console of worker"]
    assert "http_call" in sources["the command's console"]
    leaks = list(found_in(sources, wanted))
    assert not leaks, "\n".join(leaks)

    assert_errors_are_for_people(lines)
    assert_tasks_can_be_read(written.tasks, written.closed_id)


def assert_errors_are_for_people(lines: list[dict[str, Any]]) -> None:
    """An ERROR for each pause as it begins and for each fault of our own, and for nothing else."""
    errors = [each for each in lines if each["level"] == "error"]
    told = sorted((each["event"], each.get("site") or each.get("erp") or "") for each in errors)
    faults = [each for each in errors if each["event"] in {"task_failed", "unexpected_fault"}]
    assert ("site_paused", "closed") in told
    assert told.count(("site_paused", "closed")) == 1
    assert {event for event, _ in told} == {"erp_paused", "site_paused", "task_failed", "unexpected_fault"}
    assert {each["order"] for each in faults if each["event"] == "unexpected_fault"} == {
        f"BGM-{QUOTED_ORDER}"
    }
    for each in faults:
        assert re.search(r"talkative\.py", each["exception"])
        assert each["exception"].rstrip().endswith(each["failure"])


def assert_tasks_can_be_read(tasks: dict[str, dict[str, Any]], closed_id: int) -> None:
    """Names, the site and ids in every task of the road, chains by their ids, and why a task is tried again."""
    road = [each for each in tasks.values() if each["name"] == "ordersync.export"]
    assert road
    for each in road:
        assert re.fullmatch(r"\{'batch_id': \d+, 'site': 'bgm'(, 'run_id': \d+)?\}", each["kwargs"])
        # Each link knows the chain that it is part of.
        assert each["root_id"]
    assert any(each["parent_id"] in tasks for each in road)
    read = {each["kwargs"] for each in tasks.values() if each["name"] == "ordersync.fetch"}
    assert any(f"'site_id': {closed_id}" in each and "'site': 'closed'" in each for each in read)
    again = [each for each in tasks.values() if each["retries"] or each["state"] == "RETRY"]
    assert again
    assert {each["exception"] for each in again} == {"OrdersWait('No order of the batch can go on yet.')"}
    failed = {each["exception"] for each in tasks.values() if each["state"] == "FAILURE"}
    assert failed <= {
        "TaskEnded('ValueError')",
        "TaskEnded('OperationalError')",
        "TaskEnded('SoftTimeLimitExceeded')",
    }
    assert "TaskEnded('ValueError')" in failed
