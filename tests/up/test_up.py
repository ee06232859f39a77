"""`ordersync up`: what ends comes back, what is asked to stop stops in order, and nothing is left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from app.celery_door import CONCURRENCY
from app.domain.road import State
from app.runtime import exclusive_lock
from app.sandbox.server import serve
from app.sandbox.shop import Shop
from app.sandbox.shop import create_app as shop_app
from app.web import answers
from tests.cli.conftest import plain_environment, sentence
from tests.up.conftest import LOGIN, Installation, Running, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("up")]


def assert_orders_go_through(running: Running) -> None:
    """Through beat, broker and worker, with Flower looking on."""
    running.installation.sync(orders=3)
    now = time.time()
    until(
        lambda: running.up.tasks("sweep", since=now),
        f"Flower sees the tasks: {running.up.output()}",
    )


def test_everything_is_up_and_a_broken_schedule_of_beats_from_earlier_does_not_matter(
    running: Running,
) -> None:
    assert_orders_go_through(running)
    for name in ("broker", "flower", "worker", "beat", "web"):
        assert len(running.up.pids(name)) == 1, name
    assert len(running.up.pids("child")) == CONCURRENCY
    said = running.up.output()
    assert f"http://127.0.0.1:{running.up.port} " in said
    assert f"http://127.0.0.1:{running.up.web_port}/hooks/" in said
    for hint in ("ordersync status", "ordersync doctor"):
        assert hint in said


def test_a_webhook_takes_an_order_from_the_shop_to_the_erp_within_seconds(running: Running) -> None:
    installation = running.installation
    # The first reading of all brings the items with it.
    assert_orders_go_through(running)
    base = f"http://127.0.0.1:{running.up.web_port}"
    until(lambda: answers(address="127.0.0.1", port=running.up.web_port), "the web server answers")
    installation.ordersync.good("site", "hooks", "install", "bgm", "--url", base)
    try:
        store = installation.program.parts.store
        runs = store.runs(limit=1)
        before = {each.platform_order_id for each in store.order_summaries(site="bgm", state=None, limit=100)}
        began = time.monotonic()
        (placed,) = installation.shop.generate(1, 2, ["WID-001"], announce=True)

        def done() -> bool:
            found = store.order_summaries(site="bgm", state=State.DONE, limit=100)
            return str(placed) in {each.platform_order_id for each in found}

        until(done, f"the order is exported: {running.up.output()}", seconds=20)
        assert time.monotonic() - began < 10
        assert str(placed) not in before
        # Nobody polled for it.
        assert store.runs(limit=1) == runs
        (task, *_) = until(lambda: running.up.tasks("read_named"), "Flower knows who read it")
        assert task["kwargs"] == "{'site_id': 1, 'site': 'bgm'}"
    finally:
        installation.ordersync.good("site", "hooks", "remove", "bgm", "--yes")


@pytest.mark.parametrize("name", ["worker", "beat", "flower", "web", "broker"])
def test_what_is_killed_comes_back_and_orders_go_through(running: Running, name: str) -> None:
    others = {each: running.up.pids(each) for each in ("flower", "beat", "broker") if each != name}
    broker = running.installation.broker
    pid = running.up.wait_until_it_runs(name)
    os.kill(pid, signal.SIGKILL)
    running.up.wait_until_it_runs(name, instead_of=pid)
    assert_orders_go_through(running)
    assert running.installation.broker == broker
    assert {each: running.up.pids(each) for each in others} == others
    said = [line for line in running.up.output().splitlines() if "process_ended" in line]
    (line,) = (each for each in said if f"child={name} " in each and "signal=SIGKILL" in each)
    assert "pause=1.0" in line


def test_a_killed_process_of_the_workers_pool_is_replaced_and_orders_go_through(running: Running) -> None:
    (worker,) = running.up.pids("worker")
    killed, *others = running.up.pids("child")
    os.kill(killed, signal.SIGKILL)
    until(
        lambda: len(running.up.pids("child")) == CONCURRENCY and killed not in running.up.pids("child"),
        "the pool is whole",
    )
    assert set(others) <= set(running.up.pids("child"))
    assert_orders_go_through(running)
    assert running.up.pids("worker") == [worker]


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/healthcheck", "/api/tasks", "/api/workers", "/static/css/flower.css", "/none"]
)
def test_flower_answers_nobody_without_the_login(running: Running, path: str) -> None:
    name = LOGIN.partition(":")[0]
    for login in (None, f"{name}:wrong", name, f"{name}:", ":", "größe:größe", f"{LOGIN} "):
        status, body = running.up.get(path, login=login)
        assert (status, body) == (401, b"Access denied"), login
    assert running.up.get(path)[0] == (404 if path == "/none" else 200)


@pytest.mark.parametrize(
    "path",
    [
        "/api/task/send-task/ordersync.tick",
        "/api/task/async-apply/ordersync.tick",
        "/api/task/apply/ordersync.tick",
        "/api/task/revoke/1",
        "/api/worker/shutdown/",
        "/api/worker/pool/shrink/",
        "/api/worker/queue/cancel-consumer/",
    ],
)
def test_flower_changes_nothing_for_those_who_may_look(running: Running, path: str) -> None:
    workers = until(
        lambda: [task["worker"] for task in running.up.tasks("sweep") if task.get("worker")],
        "Flower sees a worker",
    )
    path += workers[0] if path.startswith("/api/worker/") else ""
    assert running.up.get(path, method="POST", body=b"{}", login=None)[0] == 401
    status, body = running.up.get(path, method="POST", body=b"{}")
    assert (status, body) == (403, b"Read only mode is enabled")


def test_chains_and_batches_can_be_read_in_flower(running: Running) -> None:
    began = time.time()
    running.installation.sync(orders=2)
    names = (
        "fetch",
        "normalize",
        "verify_skus",
        "expand_kits",
        "apply_store_credit",
        "write",
        "acknowledge",
        "export",
    )
    until(lambda: running.up.tasks("export", state="SUCCESS", since=began), "Flower sees the chain's end")
    chain = [running.up.tasks(name)[0] for name in names]
    assert "'site_id': 1" in chain[0]["kwargs"]
    assert all(re.search(r"'batch_id': \d+", task["kwargs"]) for task in chain[1:])
    assert {task["state"] for task in chain} == {"SUCCESS"}
    # Each is the child of the one before it, and all are of one root.
    assert [task["parent_id"] for task in chain[1:]] == [task["uuid"] for task in chain[:-1]]
    assert len({task["root_id"] for task in chain}) == 1
    status, page = running.up.get("/tasks")
    assert status == 200
    columns = re.findall(r'data-column="(\w+)"', page.decode())
    assert columns == [
        "name",
        "uuid",
        "state",
        "kwargs",
        "received",
        "started",
        "runtime",
        "worker",
        "retries",
    ]


def test_the_login_is_in_no_command_line_and_in_no_log(running: Running) -> None:
    assert LOGIN not in running.up.output()
    listed = subprocess.run(["ps", "-axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert "workers.flower" in listed
    assert LOGIN not in listed


def test_flowers_health_check_tells_whether_it_lets_us_in(running: Running) -> None:
    def check(login: str, port: int) -> int:
        command = [sys.executable, "-m", "workers.flower", "--check", f"--port={port}"]
        environment = {
            **plain_environment(),
            "ORDERSYNC_ENV_FILE": os.devnull,
            "ORDERSYNC_FLOWER_AUTH": login,
        }
        return subprocess.run(command, env=environment, check=False, timeout=60).returncode

    assert check(LOGIN, running.up.port) == 0
    assert check("watcher:wrong", running.up.port) == 1


def test_a_second_up_on_the_same_folder_is_refused_with_a_sentence(running: Running) -> None:
    var = running.installation.ordersync.var
    second = running.installation.ordersync.process("up")
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr == (
        f"ordersync: `ordersync up` runs already on {var}; stop it first, or set ORDERSYNC_VAR to another folder.\n"
    )
    assert_orders_go_through(running)


def test_a_port_of_flowers_that_is_taken_is_named_before_anything_starts(installation: Installation) -> None:
    with serve(shop_app(Shop(()))) as another:
        refused = installation.ordersync.process("up", f"--flower-port={another.port}")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"ordersync: Flower's port {another.port} is taken by another program: "
        "choose one with --flower-port, or use --no-flower.\n"
    )
    assert not (installation.ordersync.var / "broker").exists()


def test_a_port_of_the_web_servers_that_is_taken_is_named_before_anything_starts(
    installation: Installation,
) -> None:
    with serve(shop_app(Shop(()))) as another:
        refused = installation.ordersync.process("up", "--no-flower", f"--web-port={another.port}")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"ordersync: The web server's port {another.port} is taken by another program: "
        "choose one with --web-port, or use --no-web.\n"
    )
    assert not (installation.ordersync.var / "broker").exists()


def test_a_sync_by_hand_goes_through_the_worker_that_is_up(running: Running) -> None:
    running.installation.shop.generate(2, 2, ["WID-001"], spread_seconds=2)
    done = running.installation.ordersync.process("sync", "bgm", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["exported"] == 2
    assert not (running.installation.ordersync.var / "log" / "worker.log").exists()


def test_ctrl_c_lets_the_task_finish_stops_in_order_and_orders_go_on_next_time(
    installation: Installation,
) -> None:
    up = installation.up()
    installation.sync(orders=1)
    # One call is the whole reading: long enough that it still goes on when Flower tells of it and the worker is asked to end.
    installation.slow_down(seconds=5)
    run_id = installation.begin_run(orders=3)
    until(lambda: up.tasks("fetch", state="STARTED"), "the shop is being read")
    assert not installation.program.parts.store.run(run_id).is_read
    assert up.pids("child")
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=60) == 0, up.output()
    assert up.left() == []
    assert installation.broker is None
    assert re.findall(r"process_stopped.*child=(\w+)", up.output()) == ["web", "beat", "worker", "flower"]
    assert sentence(up.output()).endswith("Everything is stopped.")
    run = installation.program.parts.store.run(run_id)
    assert (run.is_read, run.counts["fetched"], run.counts["exported"]) == (True, 3, 0)
    installation.slow_down(seconds=0)
    installation.start()
    installation.wait_for_run(run_id, exported=3)


def test_asked_twice_it_ends_at_once(installation: Installation) -> None:
    up = installation.up()
    installation.slow_down(seconds=15)
    run_id = installation.begin_run(orders=1)
    until(lambda: up.tasks("fetch", state="STARTED"), "the shop is being read")
    assert up.pids("child")
    up.process.send_signal(signal.SIGINT)
    up.wait_until_it_says("Ctrl-C once more ends at once.")
    with pytest.raises(subprocess.TimeoutExpired):
        up.process.wait(timeout=0.5)
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=10) == 0, up.output()
    assert up.left() == []
    # The reading was under way and would have taken much longer.
    assert installation.program.parts.store.run(run_id).counts["fetched"] == 0


def test_killed_itself_it_leaves_nothing_behind(installation: Installation) -> None:
    up = installation.up()
    for name in ("broker", "flower", "worker", "beat", "web"):
        assert up.pids(name), name
    up.process.kill()
    up.process.wait()
    until(lambda: not up.left(), "nothing is left", seconds=10)
    assert installation.broker is None
    with exclusive_lock(installation.ordersync.var / "up.lock"):
        pass


def test_flower_needs_a_login_a_broker_of_ones_own_is_used_and_sigterm_stops_in_order(
    installation: Installation, empty_broker_url: str
) -> None:
    installation.ordersync.environment["REDIS_URL"] = empty_broker_url
    up = installation.start(login="")
    up.wait_until_it_says("Ctrl-C stops everything.")
    assert "Flower is not started: it needs ORDERSYNC_FLOWER_AUTH, set to name:password" in sentence(
        up.output()
    )
    installation.sync(orders=2)
    assert up.pids("flower") == up.pids("broker") == []
    assert up.get("/healthcheck") == (0, b"")
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(timeout=60) == 0, up.output()
    assert re.findall(r"process_stopped.*child=(\w+)", up.output()) == ["web", "beat", "worker"]
    assert up.left() == []


def test_a_signal_during_the_start_stops_what_has_been_started(installation: Installation) -> None:
    up = installation.start()
    up.wait_until_it_says("The database is up to date")
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=60) == 0, up.output()
    assert sentence(up.output()).endswith("Everything is stopped.")
    assert up.left() == []
    # Nothing holds the lock: another one may start.
    with exclusive_lock(installation.ordersync.var / "up.lock"):
        pass
