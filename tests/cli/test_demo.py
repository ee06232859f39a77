"""The demonstration as a process of its own: it ends by itself or by Ctrl-C, and leaves no process behind."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from rich.console import Console

from app.demo import Wishes, clock_shift
from app.demo import peers as peers_module
from app.demo import running as demo_module
from app.runtime import ProcessGroup, exclusive_lock, free_port
from app.sandbox.server import serve
from app.sandbox.shop import Shop
from app.sandbox.shop import create_app as shop_app
from tests.cli.conftest import ORDERSYNC, plain_environment, sentence

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]


@pytest.fixture
def one_demo_at_a_time(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two demos that start in the same moment may take the same free port; nothing here is about that.

    What a test that failed leaves running would hold the ports of others.
    """
    with exclusive_lock(tmp_path_factory.getbasetemp().parent / "demo-test.lock", wait=90):
        yield
        for line in processes_of(tmp_path):
            with suppress(ProcessLookupError):
                os.kill(int(line.split()[0]), signal.SIGKILL)


class Demo:
    """`ordersync demo` in a working directory of its own."""

    def __init__(self, folder: Path, *options: str, program: Sequence[str] = (ORDERSYNC,)) -> None:
        self.folder = folder
        self.said = folder / "said.txt"
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # A suite that a shell runs in the background ignores Ctrl-C, and its children would inherit that.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with self.said.open("wb") as out, (folder / "complained.txt").open("wb") as err:
            self.process = subprocess.Popen(
                [*program, "demo", *options], stdout=out, stderr=err, cwd=folder, env=environment(folder)
            )

    def wait_until_it_says(self, words: str, *, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.said.read_text(encoding="utf-8"):
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.05)

    def output(self) -> str:
        return self.said.read_text(encoding="utf-8") + (self.folder / "complained.txt").read_text(
            encoding="utf-8"
        )


SOMEBODYS = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/production",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "DATABASE_URL_FILE": "/nowhere/database_url",
    "REDIS_URL_FILE": "/nowhere/redis_url",
    "ORDERSYNC_FLOWER_AUTH_FILE": "/nowhere/flower_auth",
    "ORDERSYNC_SECRET_KEY": "c29tZWJvZHkncyBvd24ga2V5LCAzMiBieXRlcyBsb24=",
    "ORDERSYNC_LEASE": "1",
}
"""What a person may have set for a real installation: the demo must neither touch it nor stumble over it."""


def environment(folder: Path) -> dict[str, str]:
    """Every process that the demo starts can be told by the name of its folder in its environment."""
    return {**plain_environment(), **SOMEBODYS, "HOME": str(folder), "DEMO_TEST_FOLDER": str(folder)}


def processes_of(folder: Path) -> list[str]:
    listed = subprocess.run(
        ["ps", "axeww"], capture_output=True, text=True, check=True, errors="replace"
    ).stdout
    return [
        line
        for line in listed.splitlines()
        if f"DEMO_TEST_FOLDER={folder}" in line and "<defunct>" not in line
    ]


def assert_nothing_is_left(folder: Path) -> None:
    # What a process group leaves to the kernel is gone within moments.
    deadline = time.monotonic() + 3
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(folder) == []


def test_the_demo_ends_by_itself_with_one_json_object_and_leaves_nothing_behind(
    tmp_path: Path, one_demo_at_a_time: None
) -> None:
    demo = Demo(tmp_path, "--once")
    demo.wait_until_it_says("Worker, beat, web and Flower are up")
    # The witness of the check below: while the demo runs, its processes are seen.
    assert len(processes_of(tmp_path)) >= 9
    assert demo.process.wait(timeout=90) == 0, demo.output()
    assert_nothing_is_left(tmp_path)
    summary = json.loads(demo.said.read_text(encoding="utf-8").rstrip("\n").split("\n")[-1])
    ends = ("exported", "held", "rejected", "skipped", "closed")
    assert summary["fetched"] == sum(summary[name] for name in ends) == 52
    bgm, bcm = summary["sites"]["bgm"], summary["sites"]["bcm"]
    assert (bgm["written"], bgm["acknowledged"], bgm["exported"]) == (18, 18, 18)
    assert (bgm["held"], bgm["rejected"], bgm["skipped"], bgm["closed"]) == (1, 20, 1, 0)
    assert (bcm["fetched"], bcm["acknowledged"], bcm["exported"], bcm["rejected"]) == (12, 10, 10, 2)
    assert {each["site"]: each["order"] for each in summary["webhooks"]} == {
        "bgm": "BGM-215",
        "bcm": "BCM-112",
    }
    assert all(0 < each["seconds"] < 15 for each in summary["webhooks"])
    assert summary["state"] == "finished"
    assert 0 < summary["seconds"] < 60
    assert len(summary["orders"]) == 24
    assert sorted(each.name for each in tmp_path.iterdir()) == ["complained.txt", "said.txt", "var"]
    log = (tmp_path / "var" / "demo" / "log" / "order-sync.log").read_text(encoding="ascii")
    lines = [json.loads(line) for line in log.splitlines()]
    assert {line["process"] for line in lines} == {"worker", "beat", "flower", "web", "cli"}
    assert sorted(line["exported"] for line in lines if line["event"] == "Summary") == [10, 18]
    assert {line["level"] for line in lines} <= {"info", "warning"}


NEAR_THE_WINDOW = """
from datetime import timedelta
from app.cli import run
from app.demo import running
running.clock_shift = lambda now: timedelta(days=1)
run()
"""


def typed(command: str, *, folder: Path) -> str:
    """What a command that the demo names prints in a person's shell."""
    ran = subprocess.run(
        command.replace(".venv/bin/ordersync", ORDERSYNC),
        shell=True,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=folder,
        env=plain_environment() | {"HOME": str(folder)},
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


def test_near_the_maintenance_window_webhooks_arrive_and_the_commands_it_names_work_all_the_same(
    tmp_path: Path, one_demo_at_a_time: None
) -> None:
    demo = Demo(tmp_path, program=[sys.executable, "-c", NEAR_THE_WINDOW])
    demo.wait_until_it_says("Ctrl-C stops everything.", seconds=120)
    said = demo.said.read_text(encoding="utf-8")
    assert "all clocks of the demo are set 1 day ahead" in sentence(said)
    assert re.findall(r"A webhook told of (\S+), placed just now", said) == ["BGM-215", "BCM-112"]
    commands = re.findall(r"ORDERSYNC_VAR=.*", said)
    assert len(commands) == 2
    listed, linked = (typed(command, folder=tmp_path) for command in commands)
    assert "BGM-215" in listed
    link = re.search(r"http://\S+/login/\S+", linked)
    assert link is not None, linked
    # Opened, it offers to sign in; one that has expired says so.
    answer = requests.get(link[0], timeout=10)
    assert (answer.status_code, "Sign in as" in answer.text) == (200, True), answer.text
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(timeout=30) == 0, demo.output()
    assert_nothing_is_left(tmp_path)


def test_a_second_demo_says_that_one_is_running_and_ctrl_c_stops_the_first_in_order(
    tmp_path: Path, one_demo_at_a_time: None
) -> None:
    demo = Demo(tmp_path)
    demo.wait_until_it_says("Ctrl-C stops everything.")
    database = (tmp_path / "var" / "demo" / "ordersync.db").stat().st_ino
    second = subprocess.run(
        [ORDERSYNC, "demo", "--once"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        cwd=tmp_path,
        env=environment(tmp_path),
    )
    lock = tmp_path.resolve() / "var" / "demo.lock"
    assert (second.returncode, second.stdout) == (2, "")
    assert "".join(second.stderr.split()) == "".join(
        f"ordersync: Another process is using {lock.parent} ({lock} is locked).".split()
    )
    assert demo.process.poll() is None
    assert (tmp_path / "var" / "demo" / "ordersync.db").stat().st_ino == database
    assert len(processes_of(tmp_path)) >= 9
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(timeout=30) == 0, demo.output()
    assert sentence(demo.output()).endswith("Everything is stopped.")
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_start_stops_what_has_been_started(
    tmp_path: Path, one_demo_at_a_time: None, number: signal.Signals
) -> None:
    demo = Demo(tmp_path)
    demo.wait_until_it_says("Sandboxes: ")
    demo.process.send_signal(number)
    assert demo.process.wait(timeout=30) == 0, demo.output()
    assert_nothing_is_left(tmp_path)
    # Nothing holds the lock: another demo may start.
    with exclusive_lock(tmp_path / "var" / "demo.lock"):
        pass


def test_a_demo_that_was_to_end_by_itself_and_is_stopped_says_so_to_scripts(
    tmp_path: Path, one_demo_at_a_time: None
) -> None:
    demo = Demo(tmp_path, "--once")
    demo.wait_until_it_says("Sandboxes: ")
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(timeout=30) == 130, demo.output()
    assert demo.output().rstrip("\n").endswith("Everything is stopped.")
    assert "{" not in demo.output()
    assert_nothing_is_left(tmp_path)


def test_a_port_that_somebody_was_quicker_to_take_is_left_to_him(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(shop_app(Shop(()))) as another, ProcessGroup(tmp_path / "log") as group:
        # As it was when both looked: free.
        monkeypatch.setattr(
            peers_module, "free_port", lambda wanted: another.port if wanted else free_port(0)
        )
        found = asdict(peers_module.start_peers(group, latency_ms=0, ahead=timedelta(0)))
        assert group.poll() == {}
        assert set(found) == {"shop", "bigcommerce", "erp"}
        for name, url in found.items():
            assert url != another.url
            assert url in group.log_path(name).read_text(encoding="utf-8")


def test_a_flower_whose_port_is_taken_gets_another_and_says_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = io.StringIO()

    def asleep(*, port: int) -> list[str]:
        return [sys.executable, "-c", "import time; time.sleep(60)"]

    monkeypatch.setattr(demo_module, "flower_command", asleep)
    with serve(shop_app(Shop(()))) as another, ProcessGroup(tmp_path / "log") as group:
        demo = demo_module._Demo(Wishes(), tmp_path, Console(file=said))
        demo._start_flower(group, preferred=0)
        os.kill(group.pid("flower"), signal.SIGKILL)
        while not group.poll():
            time.sleep(0.01)
        demo._flower_port = another.port
        demo._restart(group)
        assert group.poll() == {}
        assert demo._flower_port != another.port
    assert said.getvalue().splitlines()[-2:] == [
        "flower ended with -9 and is started again.",
        f"Flower is at http://127.0.0.1:{demo._flower_port} now.",
    ]


SUNDAY = datetime(2026, 3, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "days"),
    [
        (SUNDAY + timedelta(hours=16, minutes=59), 0),
        (SUNDAY + timedelta(hours=17), 1),
        (SUNDAY + timedelta(hours=23), 1),
        (SUNDAY + timedelta(days=1, hours=3, minutes=59), 1),
        (SUNDAY + timedelta(days=1, hours=4), 0),
        (SUNDAY + timedelta(days=3), 0),
    ],
)
def test_the_demos_clock_goes_ahead_by_whole_days_near_the_maintenance_window(
    now: datetime, days: int
) -> None:
    assert clock_shift(now) == timedelta(days=days)
