"""The middleware as people deploy it: `ordersync up` and a second beat, each started again when it ends."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import psutil

from app.celery_door import beat_command
from app.demo import clock_shift
from app.errors import Misconfigured
from app.runtime import ProcessGroup, free_port
from app.sandbox.erp import COMPANY_ID
from tests.chaos.history import History
from tests.chaos.peers import Peers

ROOT = Path(__file__).parents[2]
INSIDE = Path(__file__).parent / "inside"
T_LATE = 15.0
"""Above the longest pause of a process (5 s), its call (2 s) and the latest commit after it (4 s) together."""
LIMITS = {
    "ORDERSYNC_HTTP_TIMEOUT": "2",
    "ORDERSYNC_SOFT_TIME_LIMIT": "8",
    "ORDERSYNC_TIME_LIMIT": "10",
    "ORDERSYNC_LEASE": "12",
    "ORDERSYNC_SWEEP_SECONDS": "1",
}
SITES = {"woo": ("bgm", "BGM"), "big": ("bcm", "BCM")}
_ACCOUNTS = {"shipping": "40400", "tax": "40500", "fee": "40600", "gift_card": "40700", "rounding": "40900"}
_KITS = "parent_sku,component_sku,quantity\nKIT-PARENT-123,COMP-A,3\nKIT-PARENT-123,COMP-B,1\n"
_RESTART_SECONDS = 1.0
_UNSET = ("ORDERSYNC_SECRET_KEY", "ORDERSYNC_SECRET_KEY_FILE", "ORDERSYNC_FLOWER_AUTH", "ORDERSYNC_LOG_FILE")


def environment(var: Path, *, database: str, broker: str, fault: str) -> dict[str, str]:
    """What the middleware's processes are told; `fault` names a deliberate one (`inside/sitecustomize.py`)."""
    return {
        **dict.fromkeys(_UNSET, ""),
        "ORDERSYNC_VAR": str(var),
        "ORDERSYNC_ENV_FILE": os.devnull,
        # Outside of the ERP's maintenance window, whatever the hour of the week.
        "ORDERSYNC_CLOCK_SHIFT": str(clock_shift(datetime.now(UTC)).total_seconds()),
        "ORDERSYNC_LOG_FORMAT": "json",
        "ORDERSYNC_LOG_BYTES": "100000000",
        "DATABASE_URL": database,
        "REDIS_URL": broker,
        "PYTHONPATH": os.pathsep.join((str(INSIDE), str(ROOT))),
        "CHAOS_FAULT": fault,
        **LIMITS,
    }


def ordersync(told: Mapping[str, str], *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    """Run one command of the program as an operator does."""
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **told},
        timeout=300,
    )
    if check and done.returncode:
        raise Misconfigured(f"`ordersync {' '.join(words[:3])}` failed: {done.stderr.strip()[-500:]}")
    return done


def connect(told: Mapping[str, str], peers: Peers) -> None:
    """What a person does once for real shops and a real ERP, with the sandboxes' keys."""
    ordersync(told, "migrate")
    erp = peers.erp.proxy.url
    ordersync(
        told,
        *("erp", "add", "bc", "--platform", "business_central", "--company", COMPANY_ID),
        *("--url", f"{erp}/api/v2.0", "--allow-private"),
        *("--credential", f"token_url={erp}/sandbox/oauth2/v2.0/token"),
        *("--credential", "client_id=sandbox-client", "--credential", "client_secret=sandbox-secret"),
        *("--set", f"t_late={T_LATE:g}", "--set", "create_customers=true"),
        *(word for name, number in _ACCOUNTS.items() for word in ("--set", f"account.{name}={number}")),
    )
    ordersync(told, "items", "sync")
    kits = Path(told["ORDERSYNC_VAR"]) / "kits.csv"
    kits.write_text(_KITS, encoding="utf-8")
    ordersync(told, "kits", "import", str(kits))
    common = ("--allow-private", "--set", "max_orders_per_run=10000", "--set", "overlap=60")
    for peer, platform, path, own in (
        (
            peers.woo,
            "woocommerce",
            "",
            ("--credential", "key=ck_sandbox", "--credential", "secret=cs_sandbox"),
        ),
        (
            *(peers.big, "bigcommerce", "/stores/sandbox1"),
            # A change after the mark would else be known by its webhook alone, and webhooks are lost here.
            (
                *("--credential", "token=bc_sandbox_token", "--set", "watch_acknowledged=true"),
                *("--credential", "client_secret=bc_sandbox_client_secret"),
            ),
        ),
    ):
        name, prefix = SITES[peer.name]
        url = f"{peer.proxy.url}{path}"
        ordersync(
            told,
            *("site", "add", name, "--platform", platform, "--prefix", prefix, "--url", url),
            *common,
            *own,
        )


def install_hooks(told: Mapping[str, str], *, port: int) -> None:
    """Let both shops send their webhooks to our web server."""
    for name, _ in SITES.values():
        ordersync(told, "site", "hooks", "install", name, "--url", f"http://127.0.0.1:{port}")


class Middleware:
    """The running processes. To be looked after several times a second."""

    def __init__(self, group: ProcessGroup, told: Mapping[str, str], history: History) -> None:
        self.port = free_port(0)
        self._group = group
        self._history = history
        self._due: dict[str, float] = {}
        up = [*(sys.executable, "-m", "app.cli", "up", "--no-flower"), "--web-port", str(self.port)]
        for name, command in (("up", up), ("beat2", beat_command())):
            group.start(name, command, environment={**told, "ORDERSYNC_PROCESS": name}, cwd=ROOT, grace=20.0)
        self.names = ("up", "beat2")

    def look(self) -> None:
        """Start again what has ended, a second later."""
        ended = self._group.poll()
        for name in self.names:
            if name not in ended:
                continue
            due = self._due.setdefault(name, time.monotonic() + _RESTART_SECONDS)
            if time.monotonic() >= due:
                del self._due[name]
                pid = self._group.restart(name)
                self._history.note("restarted", process=name, pid=pid, code=ended[name])

    def stop(self) -> None:
        """Both in order."""
        for name in reversed(self.names):
            self._group.stop_one(name)

    def pid(self, name: str) -> int | None:
        """The process of `up`, `beat2`, or one that `up` has started: `worker`, `beat`, `web`."""
        if name in self.names:
            return None if name in self._group.poll() else self._group.pid(name)
        words = {"worker": ("celery", "worker"), "beat": ("celery", "beat"), "web": ("app.cli", "web")}[name]
        for each in self._children(self.pid("up")):
            try:
                if all(word in each.cmdline() for word in words):
                    return each.pid
            except psutil.Error:
                continue
        return None

    def pool(self) -> list[int]:
        """The worker's children."""
        return [each.pid for each in self._children(self.pid("worker"))]

    @staticmethod
    def _children(pid: int | None) -> list[psutil.Process]:
        if pid is None:
            return []
        try:
            return psutil.Process(pid).children()
        except psutil.Error:
            return []
