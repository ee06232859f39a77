"""One run of the demo: start everything, read both shops, let a webhook arrive, and show what came of it."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

from rich.console import Console

from app.bootstrap import Program, open_program, panel_of, prepare_database
from app.celery_door import Workers, beat_command, flower_command, wait_for_run, web_command, worker_command
from app.demo.connecting import DemoSite, connect
from app.demo.peers import Peers, generate, start_peers
from app.domain.windows import BUSINESS_CENTRAL, closed_until
from app.errors import Misconfigured
from app.logs import set_up_logging
from app.ports.accounts import Role
from app.runtime import ProcessGroup, broker_for, dropped_interrupts_return, exclusive_lock, free_port
from app.settings import Settings, load_settings
from app.show import RunProgress, run_table
from app.sync.hook_setup import install
from app.sync.overview import COUNTED, run_report
from app.sync.panel import accounts
from app.web.serving import answers

_FLOWER_LOGIN = "demo:demo"
_PERSON = "demo"
_LIMITS = {
    "ORDERSYNC_HTTP_TIMEOUT": "1",
    "ORDERSYNC_SOFT_TIME_LIMIT": "3",
    "ORDERSYNC_TIME_LIMIT": "4",
    "ORDERSYNC_LEASE": "4.5",
    "ORDERSYNC_SWEEP_SECONDS": "2",
}
_MARGIN = timedelta(hours=2)
_PATIENCE = 300.0
_WEB_SECONDS = 30.0
_WEBHOOK_SECONDS = 30.0
_RESTART_PAUSE = 0.5
_ORDER_PAUSE = 15.0
_INTERRUPTED = 130


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
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with dropped_interrupts_return():
            yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Demo:
    """One run of the demo."""

    def __init__(self, wishes: Wishes, var: Path, console: Console) -> None:
        self._wishes = wishes
        self._console = console
        self._var = var
        self._ahead = clock_shift(datetime.now(UTC))
        if self._ahead:
            days = f"{self._ahead.days} day{'s' if self._ahead.days > 1 else ''}"
            console.print(
                f"The ERP's weekly maintenance window is on or near; all clocks of the demo are set {days} ahead.",
                style="yellow",
            )
        self._flower_port = self._web_port = 0
        self._environment = {
            "ORDERSYNC_VAR": str(var),
            "ORDERSYNC_ENV_FILE": os.devnull,
            # Empty is unset: a key of the person's own must not reach the children, who would open nothing with it.
            "ORDERSYNC_SECRET_KEY": "",
            "ORDERSYNC_SECRET_KEY_FILE": "",
            "ORDERSYNC_FLOWER_AUTH": _FLOWER_LOGIN,
            "ORDERSYNC_WEB_URL": "",
            "ORDERSYNC_FLOWER_URL": "",
            # Nor must its log get into theirs.
            **dict.fromkeys(
                (f"ORDERSYNC_LOG_{name}" for name in ("FILE", "FORMAT", "LEVEL", "BYTES", "FILES")), ""
            ),
            "ORDERSYNC_CLOCK_SHIFT": str(self._ahead.total_seconds()),
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
            peers = self._start_peers(group)
            program = open_program(settings, url=url)
            connected = connect(program, peers)
            self._say(f"Both shops and the ERP are connected, {connected.items} items and 1 kit are known")
            self._start_workers(group, settings, url)
            workers = Workers(settings, url=url)
            workers.wait_until_they_answer()
            self._wait_for_web()
            self._say("Worker, beat, web and Flower are up")
            self._offer_panel(program)
            reports = self._sync(program, workers, group, connected.sites)
            told = [self._announce(program, group, site) for site in connected.sites]
            self._hint(peers)
            if not self._wishes.once:
                self._stay(group, connected.sites)
        if self._wishes.once:
            sys.stdout.write(json.dumps(_summary(reports, told), ensure_ascii=False) + "\n")
            arrived = all(each["state"] == "finished" for each in reports) and all(told)
            return 0 if arrived else 1
        return 0

    def _start_peers(self, group: ProcessGroup) -> Peers:
        peers = start_peers(group, latency_ms=self._wishes.latency_ms, ahead=self._ahead)
        if self._wishes.orders:
            generate(peers.shop, orders=self._wishes.orders)
        self._say(
            f"Sandboxes: WooCommerce shop at {peers.shop}, BigCommerce store at {peers.bigcommerce}, ERP at {peers.erp}"
        )
        return peers

    def _say(self, text: str) -> None:
        line = f"[green]✓[/green] {text}" if self._console.is_terminal else f"- {text}"
        self._console.print(line, highlight=False, soft_wrap=True)

    def _start_workers(self, group: ProcessGroup, settings: Settings, url: str) -> None:
        """Worker, beat, web and Flower."""
        self._environment |= {"REDIS_URL": url, "DATABASE_URL": settings.database_url}
        environment = self._environment
        group.start("worker", worker_command(), environment=environment)
        group.start("beat", beat_command(), environment=environment)
        self._start_flower(group, preferred=5555)
        self._web_port = free_port(8080)
        web = {"ORDERSYNC_WEB_URL": self._panel, "ORDERSYNC_FLOWER_URL": self._flower}
        group.start("web", web_command(port=self._web_port), environment=environment | web)

    def _start_flower(self, group: ProcessGroup, *, preferred: int) -> None:
        self._flower_port = free_port(preferred)
        group.start("flower", flower_command(port=self._flower_port), environment=self._environment)

    def _wait_for_web(self) -> None:
        deadline = time.monotonic() + _WEB_SECONDS
        while not answers(address="127.0.0.1", port=self._web_port):
            if time.monotonic() > deadline:
                raise Misconfigured(f"The web server did not start; see {self._var / 'log'}.")
            time.sleep(0.05)

    def _offer_panel(self, program: Program) -> None:
        """Before anything is read, so that the run can be watched."""
        panel = panel_of(program)
        accounts.add_user(panel, name=_PERSON, role=Role.ADMIN, password=None, by="the demo")
        self._say(
            f"The control panel; this signs in once: {self._panel}/login/{accounts.make_link(panel, _PERSON)}?next=/"
        )

    def _sync(
        self, program: Program, workers: Workers, group: ProcessGroup, sites: Sequence[DemoSite]
    ) -> list[dict[str, Any]]:
        """Read all sites at once, and show what became of each one's orders."""
        runs = {site: program.parts.store.open_run(kind="orders", site_id=site.id) for site in sites}
        for site, run_id in runs.items():
            workers.send("fetch", site_id=site.id, run_id=run_id, site=site.name)
        reports = []
        for site, run_id in runs.items():
            with RunProgress(self._console) as progress:
                found, settled = wait_for_run(
                    program,
                    workers,
                    run_id,
                    patience=_PATIENCE,
                    progress=progress,
                    each_look=lambda: self._restart(group),
                )
            reports.append(run_report(program.parts, found, site=site.name, settled=settled))
            self._console.print()
            self._console.print(run_table(reports[-1]))
        return reports

    def _announce(self, program: Program, group: ProcessGroup, site: DemoSite) -> dict[str, Any]:
        """Register the site's webhooks, place an order in its shop, and see it arrive in the ERP. Empty where it did not."""
        install(program.parts, site.name, base_url=f"http://127.0.0.1:{self._web_port}")
        (order_id,) = generate(site.shop, orders=1, announce=True)
        placed = time.monotonic()
        while time.monotonic() < placed + _WEBHOOK_SECONDS:
            details = program.parts.store.stored_orders(site.id, [str(order_id)]).get(str(order_id))
            if details is not None and details.document_number:
                seconds = round(time.monotonic() - placed, 2)
                self._say(
                    f"A webhook told of {details.order_number}, placed just now in {site.name}: {seconds} s later it was in the ERP "
                    f"as {details.document_number}"
                )
                return {"site": site.name, "order": details.order_number, "seconds": seconds}
            self._restart(group)
            time.sleep(0.05)
        self._console.print(
            f"The webhook of order {order_id} in {site.name} did not arrive within {_WEBHOOK_SECONDS:g} s.",
            style="yellow",
        )
        return {}

    def _hint(self, peers: Peers) -> None:
        if self._wishes.once:
            return
        sign_in = _FLOWER_LOGIN.replace(":", " / ")
        # A command must live in the demo's time, else what it makes has expired already.
        shift = f"ORDERSYNC_CLOCK_SHIFT={self._ahead.total_seconds():g} " if self._ahead else ""
        command = f"ORDERSYNC_VAR={_shown(self._var)} {shift}"
        for hint in (
            "",
            f"The control panel:           {self._panel}   sign in with the link above; it is good once",
            f"Flower (tasks and workers):  {self._flower}   sign in as {sign_in}",
            f"The shops' orders:           {peers.shop}/_sandbox/orders   {peers.bigcommerce}/_sandbox/orders",
            f"The ERP's documents:         {peers.erp}/_sandbox/documents",
            f"The middleware, by command:  {command}.venv/bin/ordersync order list",
            (
                f"Another link for the panel:  {command}ORDERSYNC_WEB_URL={self._panel} "
                f".venv/bin/ordersync user link {_PERSON}"
            ),
            (
                "The held order goes on when the next item sync brings its item (every 15 minutes). An order is placed every "
                f"{_ORDER_PAUSE:g} seconds. Ctrl-C stops everything."
            ),
        ):
            # Whole lines, so that an address or a command can be copied.
            self._console.print(hint, markup=False, highlight=False, soft_wrap=True)

    def _stay(self, group: ProcessGroup, sites: Sequence[DemoSite]) -> None:
        """Until Ctrl-C an order is placed now and then, so that there is something to watch."""
        placed = time.monotonic()
        for site in cycle(sites):
            while time.monotonic() < placed + _ORDER_PAUSE:
                time.sleep(_RESTART_PAUSE)
                self._restart(group)
            placed = time.monotonic()
            # A shop that has just ended is started again; the next order is placed in the other one.
            with suppress(OSError):
                generate(site.shop, orders=1, announce=True)

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
    def _panel(self) -> str:
        return f"http://127.0.0.1:{self._web_port}"

    @property
    def _flower(self) -> str:
        return f"http://127.0.0.1:{self._flower_port}"


def _shown(path: Path) -> str:
    """A path as one would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _summary(reports: Sequence[Mapping[str, Any]], told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Both sites together and each by itself, for scripts."""
    states = {each["state"] for each in reports}
    return {
        **{name: sum(each[name] for each in reports) for name in COUNTED},
        "seconds": max(each["seconds"] for each in reports),
        "state": states.pop() if len(states) == 1 else "moving",
        "sites": {each["site"]: {name: each[name] for name in (*COUNTED, "seconds")} for each in reports},
        "webhooks": [dict(each) for each in told],
        "orders": [order for each in reports for order in each["orders"]],
    }
