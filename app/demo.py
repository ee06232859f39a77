"""The demonstration: a shop, an ERP and everything between them on this machine, from the first order to the last.

Nothing of it touches a real system: its settings come from here and not from the environment, and every peer is on loopback.
"""

import io
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import Request, urlopen

from rich.console import Console

from app.bootstrap import Program, open_program, prepare_database, sync_items
from app.celery_door import Workers, beat_command, flower_command, wait_for_run, worker_command
from app.domain.windows import BUSINESS_CENTRAL, closed_until
from app.errors import Misconfigured
from app.logs import set_up_logging
from app.runtime import ProcessGroup, broker_for, exclusive_lock, free_port
from app.settings import Settings, load_settings
from app.show import RunProgress, run_table
from app.sync.configure import Asked, add_erp, add_site
from app.sync.items import import_kits
from app.sync.overview import COUNTED, run_report

_KITS = "parent_sku,component_sku,quantity\nKIT-PARENT-123,COMP-A,3\nKIT-PARENT-123,COMP-B,1\n"
_COMPANY = "7dbba574-5f6f-4d2a-9a3c-2f6b0c1d9e01"
_LATE_ITEM = {"number": "BIG-1", "displayName": "Item that arrives after the item sync"}
_FLOWER_LOGIN = "demo:demo"
_LIMITS = {
    "ORDERSYNC_HTTP_TIMEOUT": "1",
    "ORDERSYNC_SOFT_TIME_LIMIT": "3",
    "ORDERSYNC_TIME_LIMIT": "4",
    "ORDERSYNC_LEASE": "4.5",
    "ORDERSYNC_SWEEP_SECONDS": "2",
}
_T_LATE = "5"
_MARGIN = timedelta(hours=2)
_PATIENCE = 300.0
_RESTART_PAUSE = 0.5
_INTERRUPTED = 130
_PORTS_TRIED = 5


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person asked of the demo: to end by itself, more orders, slower peers, another folder than `var/demo`."""

    once: bool = False
    orders: int = 0
    latency_ms: int = 0
    var: Path = Path("var/demo")


def clock_shift(now: datetime) -> timedelta:
    """By how much the demo's clock goes ahead: whole days, where the maintenance window is on or begins within two hours."""
    shift = timedelta(0)
    while closed_until(now + shift, windows=(BUSINESS_CENTRAL,), early=_MARGIN) is not None:
        shift += timedelta(days=1)
    return shift


def run(wishes: Wishes, *, console: Console) -> int:
    """Run the demo until Ctrl-C, or to its end with `once`. Returns the exit code; leaves no process behind."""
    var = wishes.var.resolve()
    # Next to the folder and not in it: the folder is wiped, and a lock that is wiped locks nothing.
    with exclusive_lock(var.parent / f"{var.name}.lock"), _ended_by_term():
        shutil.rmtree(var, ignore_errors=True)
        (var / "log").mkdir(parents=True)
        try:
            return _Demo(wishes, var, console).run()
        except KeyboardInterrupt:
            console.print("Everything is stopped.")
            # Who asked for the end of the road did not get there: a script must not take it for one.
            return _INTERRUPTED if wishes.once else 0


@contextmanager
def _ended_by_term() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Demo:
    """One run of the demo."""

    def __init__(self, wishes: Wishes, var: Path, console: Console) -> None:
        self._wishes = wishes
        self._console = console
        self._var = var
        shift = clock_shift(datetime.now(UTC))
        if shift:
            console.print(
                f"The ERP's weekly maintenance window is on or near; the demo's clock is set {shift.days} days ahead.",
                style="yellow",
            )
        self._flower_port = 0
        self._environment = {
            "ORDERSYNC_VAR": str(var),
            "ORDERSYNC_ENV_FILE": os.devnull,
            # Empty is unset: a key of the person's own must not reach the children, who would open nothing with it.
            "ORDERSYNC_SECRET_KEY": "",
            "ORDERSYNC_SECRET_KEY_FILE": "",
            "ORDERSYNC_FLOWER_AUTH": _FLOWER_LOGIN,
            # Nor must its log get into theirs.
            **dict.fromkeys(
                (f"ORDERSYNC_LOG_{name}" for name in ("FILE", "FORMAT", "LEVEL", "BYTES", "FILES")), ""
            ),
            "ORDERSYNC_CLOCK_SHIFT": str(shift.total_seconds()),
            **_LIMITS,
        }

    def run(self) -> int:
        self._say("Preparing the database")
        settings = load_settings(self._environment)
        set_up_logging(process="cli", settings=settings)
        prepare_database(settings)
        with ExitStack() as stack:
            # What is entered first is left last: the broker.
            url = stack.enter_context(broker_for(self._var))
            group = stack.enter_context(ProcessGroup(self._var / "log"))
            shop, erp = self._start_peers(group)
            program = open_program(settings, url=url)
            site_id = self._configure(program, shop=shop, erp=erp)
            self._start_workers(group, settings, url)
            workers = Workers(settings, url=url)
            workers.wait_until_they_answer()
            self._say("Worker, beat and Flower are up")
            report = self._sync(program, workers, group, site_id)
            self._show(report, shop=shop, erp=erp)
            if not self._wishes.once:
                self._stay(group)
        if self._wishes.once:
            summary = {name: report[name] for name in (*COUNTED, "seconds", "state", "orders")}
            sys.stdout.write(json.dumps(summary, ensure_ascii=False) + "\n")
            return 0 if report["state"] == "finished" else 1
        return 0

    def _say(self, text: str) -> None:
        self._console.print(f"[green]✓[/green] {text}" if self._console.is_terminal else f"- {text}")

    def _start_peers(self, group: ProcessGroup) -> tuple[str, str]:
        """The sandbox shop and ERP; their addresses."""
        started = {
            name: self._start_peer(group, name, free_port(preferred))
            for name, preferred in (("shop", 8090), ("erp", 8046))
        }
        urls = [self._answering(group, name, url) for name, url in started.items()]
        if self._wishes.orders:
            skus = ["WID-001", "COMP-A", "COMP-B", "THIRD-3", "HOSE-3", "TS-1", "KIT-PARENT-123"]
            wanted = {
                "count": self._wishes.orders,
                "lines": 3,
                "skus": skus,
                "spread_seconds": self._wishes.orders,
            }
            _post(f"{urls[0]}/_sandbox/generate", wanted)
        self._say(f"Sandbox shop at {urls[0]}, sandbox ERP at {urls[1]}")
        return urls[0], urls[1]

    def _start_peer(self, group: ProcessGroup, name: str, port: int) -> str:
        command = [sys.executable, "-m", f"app.sandbox.{name}", "--port", str(port)]
        group.start(name, [*command, "--latency-ms", str(self._wishes.latency_ms)])
        return f"http://127.0.0.1:{port}"

    def _answering(self, group: ProcessGroup, name: str, url: str) -> str:
        """The address at which our own sandbox answers: another one than `url` where somebody was quicker to take its port."""
        for _ in range(_PORTS_TRIED):
            if self._is_ready(group, name, url):
                return url
            url = self._start_peer(group, name, free_port(0))
        raise Misconfigured(f"The sandbox {name} did not start; see {group.log_path(name)}.")

    def _is_ready(self, group: ProcessGroup, name: str, url: str) -> bool:
        """Whether the sandbox says itself that it listens there: an answer might be another demo's. False once it has ended."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if name in group.poll():
                return False
            if url in group.log_path(name).read_text(encoding="utf-8", errors="replace"):
                return True
            time.sleep(0.02)
        raise Misconfigured(f"The sandbox at {url} did not start; see {group.log_path(name)}.")

    def _configure(self, program: Program, *, shop: str, erp: str) -> int:
        """What a person does once for a real shop and ERP, with the sandbox's keys."""
        accounts = {
            "shipping": "40400",
            "tax": "40500",
            "fee": "40600",
            "gift_card": "40700",
            "rounding": "40900",
        }
        parts = program.parts
        erp_id = add_erp(
            parts,
            Asked(
                name="bc",
                platform="business_central",
                url=f"{erp}/api/v2.0",
                allow_private=True,
                credentials={
                    "token_url": f"{erp}/sandbox/oauth2/v2.0/token",
                    "client_id": "sandbox-client",
                    "client_secret": "sandbox-secret",
                },
                settings={
                    "default_customer": "WEB-CASH",
                    "create_customers": "true",
                    "t_late": _T_LATE,
                    **{f"account.{name}": number for name, number in accounts.items()},
                },
            ),
            company=_COMPANY,
        )
        site_id = add_site(
            parts,
            Asked(
                name="bgm",
                platform="woocommerce",
                url=shop,
                allow_private=True,
                credentials={"key": "ck_sandbox", "secret": "cs_sandbox"},
                settings={"max_orders_per_run": "10000"},
            ),
            prefix="BGM",
            erp=None,
        )
        import_kits(parts, lines=io.StringIO(_KITS))
        items = sync_items(parts, erp_id=erp_id)
        # An item the ERP learns of only now: the order that names it is held until the next item sync brings it.
        _post(f"{erp}/_sandbox/items", _LATE_ITEM)
        self._say(f"Shop and ERP are connected, {items.new} items and 1 kit are known")
        return site_id

    def _start_workers(self, group: ProcessGroup, settings: Settings, url: str) -> None:
        """Worker, beat and Flower."""
        self._environment |= {"REDIS_URL": url, "DATABASE_URL": settings.database_url}
        environment = self._environment
        group.start("worker", worker_command(), environment=environment)
        group.start("beat", beat_command(), environment=environment)
        self._start_flower(group, preferred=5555)

    def _start_flower(self, group: ProcessGroup, *, preferred: int) -> None:
        self._flower_port = free_port(preferred)
        group.start("flower", flower_command(port=self._flower_port), environment=self._environment)

    def _sync(
        self, program: Program, workers: Workers, group: ProcessGroup, site_id: int
    ) -> dict[str, object]:
        run_id = program.parts.store.open_run(kind="orders", site_id=site_id)
        workers.send("fetch", site_id=site_id, run_id=run_id, site="bgm")
        with RunProgress(self._console) as progress:
            found, settled = wait_for_run(
                program,
                workers,
                run_id,
                patience=_PATIENCE,
                progress=progress,
                each_look=lambda: self._restart(group),
            )
        return run_report(program.parts, found, site="bgm", settled=settled)

    def _show(self, report: dict[str, object], *, shop: str, erp: str) -> None:
        self._console.print()
        self._console.print(run_table(report))
        if self._wishes.once:
            return
        sign_in = _FLOWER_LOGIN.replace(":", " / ")
        for hint in (
            "",
            f"Flower (tasks and workers):  {self._flower}   sign in as {sign_in}",
            f"The shop's orders:           {shop}/_sandbox/orders",
            f"The ERP's documents:         {erp}/_sandbox/documents",
            f"The middleware, by command:  ORDERSYNC_VAR={_shown(self._var)} .venv/bin/ordersync order list",
            "The held order goes on when the next item sync brings its item (every 15 minutes). Ctrl-C stops everything.",
        ):
            # Whole lines, so that an address or a command can be copied.
            self._console.print(hint, markup=False, highlight=False, soft_wrap=True)

    def _stay(self, group: ProcessGroup) -> None:
        while True:
            time.sleep(_RESTART_PAUSE)
            self._restart(group)

    def _restart(self, group: ProcessGroup) -> None:
        """What exits is started again: Celery's worker may, when its broker goes away, and Flower does, when its port is taken."""
        for name, code in group.poll().items():
            self._console.print(f"{name} ended with {code} and is started again.", style="yellow")
            time.sleep(_RESTART_PAUSE)
            if name != "flower":
                group.restart(name)
                continue
            before = self._flower
            self._start_flower(group, preferred=self._flower_port)
            if self._flower != before:
                self._console.print(f"Flower is at {self._flower} now.", highlight=False, soft_wrap=True)

    @property
    def _flower(self) -> str:
        return f"http://127.0.0.1:{self._flower_port}"


def _shown(path: Path) -> str:
    """A path as one would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _post(url: str, body: object) -> None:
    """Tell a sandbox something by its control door."""
    request = Request(  # noqa: S310 - our own loopback address
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}, method="POST"
    )
    with urlopen(request, timeout=60):  # noqa: S310 - the same
        return
