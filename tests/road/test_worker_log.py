"""What real workers log: whose work a line belongs to, one summary for each run, and ERROR only where a person is needed."""

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
import requests

from app.celery_door import beat_command, flower_command, worker_command
from app.passes import connect
from app.runtime import ProcessGroup, free_port
from app.runtime.embedded import find_server
from app.sandbox.shop import Shop, recorded_orders
from app.sync import pipeline
from tests.fixtures.databases import Database
from tests.road.conftest import ROOT, Middleware, running_middleware

pytestmark = pytest.mark.slow

SKUS = ["WID-001", "COMP-A", "COMP-B", "HOSE-3"]


def lines_of(middleware: Middleware) -> list[dict[str, Any]]:
    log = Path(middleware.environment["ORDERSYNC_VAR"]) / "log" / "order-sync.log"
    return [json.loads(line) for line in log.read_text(encoding="ascii").splitlines()]


def assert_no_errors(lines: list[dict[str, Any]]) -> None:
    assert [line for line in lines if line["level"] not in {"info", "warning"}] == []


def test_each_line_of_a_task_knows_its_site_run_batch_and_task_and_no_other_line_does(
    middleware: Middleware,
) -> None:
    middleware.shop.generate(250, 2, SKUS, spread_seconds=250)
    middleware.start_worker()
    run_id = middleware.start_run()
    middleware.wait(run_id)
    lines = [line for line in lines_of(middleware) if line["process"] == "worker"]
    steps = [line for line in lines if line["event"] == "step"]
    assert len({line["batch"] for line in steps}) >= 3
    for line in steps:
        assert (line["site"], line["run"], line["task"]) == ("bgm", run_id, f"ordersync.{line['link']}")
    # One task is one batch at one link, whatever process it ran in, and no task's name is left behind for the next one.
    of_task: dict[str, set[tuple[Any, ...]]] = {}
    for line in lines:
        if "task_id" in line:
            whose = (line["task"], line.get("batch"), line.get("site"), line.get("run"))
            of_task.setdefault(line["task_id"], set()).add(whose)
    assert {len(whose) for whose in of_task.values()} == {1}
    road = [
        line for line in lines if line["logger"] in {"ordersync.http", "ordersync.road", "ordersync.fetch"}
    ]
    assert all("task_id" in line for line in road)
    assert [line for line in lines if line["logger"] == "celery.apps.worker" and "task_id" in line] == []
    assert_no_errors(lines)


def test_messages_of_an_older_sender_without_names_still_work(middleware: Middleware) -> None:
    bells: list[Any] = []
    run_id = middleware.program.parts.store.open_run(kind="orders", site_id=middleware.site_id)
    pipeline.fetch(middleware.program.parts, site_id=middleware.site_id, run_id=run_id, ring=bells.append)
    middleware.start_worker()
    for bell in bells:
        middleware.workers.send("normalize", batch_id=bell.batch_id)
        middleware.workers.send("fetch", site_id=middleware.site_id)
    run = middleware.wait(run_id)
    assert run.counts["exported"] == 18
    lines = [line for line in lines_of(middleware) if line.get("task") == "ordersync.normalize"]
    assert lines
    assert {(line.get("site"), line["batch"]) for line in lines} == {(None, bell.batch_id) for bell in bells}


def test_each_run_has_one_summary_with_two_workers_and_however_it_ends(middleware: Middleware) -> None:
    middleware.shop.generate(60, 2, SKUS, spread_seconds=60)
    middleware.start_worker()
    second = [*worker_command(), "--hostname=second@%h"]
    middleware.group.start("second", second, environment=middleware.environment, cwd=ROOT)
    shop = middleware.servers[0].url
    runs = [middleware.start_run()]
    middleware.wait(runs[0])
    # One that cannot read, told to the workers twice.
    fault = {"kind": "500_php_fatal", "match": {"path": "/orders$"}, "times": 5}
    requests.post(f"{shop}/_sandbox/faults", json=fault, timeout=5)
    runs.append(middleware.start_run())
    middleware.workers.send("fetch", site_id=middleware.site_id, run_id=runs[1], site="bgm")
    middleware.wait(runs[1])
    requests.delete(f"{shop}/_sandbox/faults", timeout=5)
    middleware.shop.generate(20, 2, SKUS)
    runs.append(middleware.start_run())
    middleware.wait(runs[2])
    for _ in range(20):
        middleware.workers.send("sweep")
    time.sleep(1)
    summaries = [line for line in lines_of(middleware) if line["event"] == "Summary"]
    assert Counter(line["run"] for line in summaries) == dict.fromkeys(runs, 1)
    first, failed, last = sorted(summaries, key=lambda line: runs.index(line["run"]))
    assert (first["site"], first["state"], first["fetched"], first["exported"]) == (
        "bgm",
        "finished",
        100,
        78,
    )
    assert (failed["site"], failed["state"], failed["fetched"]) == ("bgm", "failed", 0)
    assert (last["state"], last["exported"]) == ("finished", 20)
    assert all(line["seconds"] >= 0 for line in summaries)


def test_killed_children_time_limits_and_a_database_that_is_away_are_warnings(middleware: Middleware) -> None:
    # One trouble after the other.
    middleware.start_worker("tests.road.stumbling", concurrency=1)
    run = middleware.wait(middleware.start_run())
    assert run.counts["exported"] == 18
    # The orders may be at their end before the last of their troubles is. What becomes of a killed child's task depends on what
    # the pool notices first: that the child is gone, or that the task's time is over.
    deadline = time.monotonic() + 30
    texts = ("SIGKILL", "Hard time limit", "task_out_of_time", "task_interrupted")
    while True:
        lines = lines_of(middleware)
        warned = "\n".join(line["event"] for line in lines if line["level"] == "warning")
        if all(text in warned for text in texts):
            break
        assert time.monotonic() < deadline, warned
        time.sleep(0.1)
    assert_no_errors(lines)
    interrupted = [line for line in lines if line["event"] == "task_interrupted"]
    assert [(line["failure"], line["site"], "batch" in line) for line in interrupted] == [
        ("OperationalError", "bgm", True)
    ]


@dataclass
class Broker:
    """A broker that has the same address after a restart."""

    folder: Path
    group: ProcessGroup

    @property
    def url(self) -> str:
        return f"redis+socket://{self.folder / 's'}?virtual_host=0"

    def start(self) -> None:
        command = [str(find_server()), "--port", "0", "--unixsocket", str(self.folder / "s"), "--save", ""]
        self.group.start("broker", [*command, "--dir", str(self.folder)])
        deadline = time.monotonic() + 10
        while True:
            with connect(self.url) as client, suppress(redis.ConnectionError):
                client.ping()
                return
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    folder = Path(tempfile.mkdtemp(prefix="ordersync-"))
    with ProcessGroup(tmp_path / "broker") as group:
        yield Broker(folder, group)
    shutil.rmtree(folder)


def test_a_broker_that_goes_away_and_comes_back_leaves_warnings(
    tmp_path: Path, broker: Broker, road_database: Database
) -> None:
    broker.start()
    with running_middleware(tmp_path, broker.url, road_database, shop=Shop(recorded_orders())) as middleware:
        group, environment = middleware.group, middleware.environment
        group.start("beat", beat_command(), environment=environment, cwd=ROOT)
        flower = flower_command(port=free_port(0))
        group.start("flower", flower, environment={**environment, "ORDERSYNC_FLOWER_AUTH": "a:b"}, cwd=ROOT)
        middleware.start_worker()
        middleware.wait(middleware.start_run())
        broker.group.kill("broker")
        time.sleep(4)
        broker.start()

        def supervise() -> None:
            # Celery's worker may end when its broker has gone away, also a while after; what supervises it starts it again.
            if "worker" in group.poll():
                group.restart("worker")

        middleware.shop.generate(5, 2, SKUS)
        run = middleware.wait(middleware.start_run(), each_look=supervise)
        assert run.counts["exported"] == 5
        lines = lines_of(middleware)
    assert_no_errors(lines)
    assert {line["process"] for line in lines if line["level"] == "warning"} == {"worker", "beat", "flower"}
