"""`ordersync up` as a process of its own, beside a sandbox shop and ERP."""

import json
import os
import signal
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from app.bootstrap import Program, open_program
from app.runtime import find_running_broker, free_port
from app.sandbox.erp import Erp, demo_fill
from app.sandbox.erp import create_app as erp_app
from app.sandbox.server import RunningServer, serve
from app.sandbox.shop import Shop
from app.sandbox.shop import create_app as shop_app
from app.settings import load_settings
from tests.cli.conftest import ORDERSYNC, CommandLine, Systems, make_command_line, plain_environment
from tests.fixtures.databases import Databases

LOGIN = "watcher:not for everybody"
LIMITS = {
    "ORDERSYNC_HTTP_TIMEOUT": "20",
    "ORDERSYNC_SOFT_TIME_LIMIT": "40",
    "ORDERSYNC_TIME_LIMIT": "41",
    "ORDERSYNC_LEASE": "42",
    # So that beat is heard often.
    "ORDERSYNC_SWEEP_SECONDS": "0.3",
}
_WORDS = {
    "broker": "valkey-server",
    "flower": "-m workers.flower",
    "worker": "workers.app worker",
    "beat": "workers.app beat",
    "web": "-m app.cli web",
}


def until(seen: Callable[[], Any], what: str, *, seconds: float = 60) -> Any:
    """What `seen` gives, once it gives something."""
    deadline = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)
    return found


@dataclass(frozen=True)
class Row:
    """A process, as `ps` shows it."""

    pid: int
    parent: int
    group: int
    command: str


def processes() -> list[Row]:
    listed = subprocess.run(
        ["ps", "-axww", "-o", "pid=,ppid=,pgid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(maxsplit=4) for line in listed.splitlines()]
    return [
        Row(int(row[0]), int(row[1]), int(row[2]), row[4])
        for row in rows
        if len(row) == 5 and not row[3].startswith("Z")
    ]


class Up:
    """A running `ordersync up`."""

    def __init__(self, ordersync: CommandLine, *, login: str) -> None:
        self.ordersync = ordersync
        self.port = free_port(0)
        self.web_port = free_port(0)
        self.said = ordersync.var.parent / "said.txt"
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # A suite that a shell runs in the background ignores Ctrl-C, and its children would inherit that.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        with self.said.open("ab") as out:
            self.process = subprocess.Popen(
                [ORDERSYNC, "up", f"--flower-port={self.port}", f"--web-port={self.web_port}"],
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=ordersync.var.parent,
                env={
                    **plain_environment(),
                    **ordersync.environment,
                    "ORDERSYNC_FLOWER_AUTH": login,
                    # What Flower itself reads must open nothing.
                    "FLOWER_UNAUTHENTICATED_API": "true",
                    "FLOWER_READ_ONLY": "false",
                },
            )
        self._seen: set[int] = set()

    def output(self) -> str:
        return self.said.read_text(encoding="utf-8")

    def wait_until_it_says(self, words: str) -> None:
        def seen() -> bool:
            assert self.process.poll() is None, self.output()
            return words in self.output()

        until(seen, f"{words!r} in {self.output()}")

    def pids(self, name: str) -> list[int]:
        """The process of this name, or none; `child` is those that the worker works with, `guardian` ends us all."""
        rows = [row for row in processes() if row.parent == self.process.pid]
        self._seen |= {row.group for row in rows}
        if name == "child":
            (worker,) = self.pids("worker")
            return [row.pid for row in processes() if row.parent == worker]
        return [row.pid for row in rows if _WORDS[name] in row.command]

    def wait_until_it_runs(self, name: str, *, instead_of: int = 0) -> int:
        found = until(
            lambda: [pid for pid in self.pids(name) if pid != instead_of], f"{name} runs: {self.output()}"
        )
        assert isinstance(found[0], int)
        return found[0]

    def left(self) -> list[Row]:
        """What still runs of what it ever started, with all that those have started."""
        return [row for row in processes() if row.group in self._seen]

    def get(
        self, path: str, *, login: str | None = LOGIN, method: str = "GET", body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Flower's answer."""
        headers = {} if login is None else {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
        request = Request(f"http://127.0.0.1:{self.port}{path}", headers=headers, method=method, data=body)
        try:
            with urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""

    def tasks(
        self, name: str, *, state: str | None = None, since: float | None = None
    ) -> list[dict[str, Any]]:
        """The tasks of this name that Flower knows, the latest first; those in `state`, and received after `since`."""
        status, body = self.get(f"/api/tasks?taskname=ordersync.{name}&sort_by=-received")
        found = json.loads(body).values() if status == HTTPStatus.OK else ()
        return [
            task
            for task in found
            if (state is None or task["state"] == state)
            and (since is None or (task["received"] or 0) > since)
        ]

    def end(self) -> None:
        """Nothing is left after a test, however it went."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        until(lambda: not self.left(), f"nothing is left: {self.left()}", seconds=10)


@dataclass
class Installation:
    """A middleware that is connected to a sandbox shop and ERP, whether it is up or not."""

    ordersync: CommandLine
    shop: Shop
    servers: list[RunningServer]
    program: Program
    ups: list[Up] = field(default_factory=list)

    def up(self) -> Up:
        """Start it and wait until everything answers."""
        started = self.start()
        started.wait_until_it_says("Ctrl-C stops everything.")
        # Flower answers before it listens to what the worker tells, and what was told until then it never knows.
        until(lambda: started.tasks("sweep"), f"Flower hears of tasks: {started.output()}")
        return started

    def start(self, *, login: str = LOGIN) -> Up:
        self.ups.append(Up(self.ordersync, login=login))
        return self.ups[-1]

    def begin_run(self, *, orders: int) -> int:
        """Open a run and tell nobody: beat's sweep finds it, the worker reads the shop, and its chain goes on to the ERP."""
        self.shop.generate(orders, 2, ["WID-001", "COMP-A"], spread_seconds=orders)
        return self.program.parts.store.open_run(kind="orders", site_id=1)

    def sync(self, *, orders: int) -> None:
        """A whole run, that needs beat, broker and worker."""
        run_id = self.begin_run(orders=orders)
        self.wait_for_run(run_id, exported=orders)

    def wait_for_run(self, run_id: int, *, exported: int) -> None:
        store = self.program.parts.store
        until(lambda: store.run(run_id).finished_at, f"run {run_id} ends: {self.ups[-1].output()}")
        assert store.run(run_id).counts["exported"] == exported, store.run(run_id)

    def slow_down(self, *, seconds: float) -> None:
        """What each call to shop and ERP takes."""
        for server in self.servers:
            server.latency_ms = 1000 * seconds

    @property
    def broker(self) -> str | None:
        return find_running_broker(self.ordersync.var)


@contextmanager
def installed(folder: Path, databases: Databases) -> Iterator[Installation]:
    shop, erp = Shop(()), Erp()
    demo_fill(erp)
    with ExitStack() as stack:
        database = stack.enter_context(databases.migrated(folder / "var"))
        ordersync = make_command_line(folder, database, **LIMITS, ORDERSYNC_FLOWER_AUTH=LOGIN)
        servers = [stack.enter_context(serve(made)) for made in (shop_app(shop), erp_app(erp))]
        systems = Systems(servers[0].url, servers[1].url)
        ordersync.good(*systems.erp_add, "--set", "t_late=43", **systems.environment)
        ordersync.good(*systems.site_add, **systems.environment)
        program = open_program(load_settings(ordersync.environment))
        stack.callback(program.engine.dispose)
        found = Installation(ordersync, shop, servers, program)
        try:
            yield found
        finally:
            for each in found.ups:
                each.end()


@pytest.fixture
def installation(tmp_path: Path, databases: Databases) -> Iterator[Installation]:
    with installed(tmp_path, databases) as found:
        yield found


@dataclass
class Running:
    """An installation that stays up for all the tests of a module."""

    installation: Installation
    up: Up


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Running]:
    with installed(tmp_path_factory.mktemp("up"), databases) as found:
        # What an earlier version or a full disk may have left there.
        for suffix in ("", ".db", ".dat", ".dir", ".bak"):
            (found.ordersync.var / f"beat-schedule{suffix}").write_bytes(os.urandom(100))
        yield Running(found, found.up())
