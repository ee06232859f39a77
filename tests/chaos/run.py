"""One chaos run: everything is started, spoiled and killed for a while, left alone until it is quiet, and then judged.

`ordersync audit verify`, which is asked at the end, is the program's own word about its own rows, unlike all that the checker says.
"""

import json
import logging
import random
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests

from app.runtime import EmbeddedBroker, ProcessGroup
from tests.chaos.agenda import Agenda, Progress
from tests.chaos.checker import Findings, check, check_sums
from tests.chaos.databases import Database, new_database
from tests.chaos.history import History
from tests.chaos.middleware import SITES, Middleware, connect, environment, install_hooks, ordersync
from tests.chaos.monkey import Monkey
from tests.chaos.orders import Traffic
from tests.chaos.peers import Peers, start_peers
from tests.chaos.proxy import Proxies
from tests.chaos.quiet import PATIENCE, Quiet
from tests.chaos.state import State, big_orders, read_state, woo_orders

_LOOK_SECONDS = 0.05
_START_SECONDS = 60.0
_FAULT_SECONDS = 0.6
_WEATHER_SECONDS = 6.0
_HOOKS_SECONDS = 4.0
_KILL_SECONDS = 5.0
_ORDERS_A_SECOND = 6.0
_SHOWN = 30


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked of a run. `faults` are those of the peers, as in `peers.FAULTS`; `fault` is a deliberate one in the middleware.

    `patience` is for how many seconds nothing may move before waiting for quiet is given up.
    """

    orders: int
    kills: int
    seed: int
    database: str
    var: Path
    fault: str = ""
    faults: str = "all"
    patience: float = PATIENCE

    @property
    def seconds(self) -> float:
        """How long orders come in and processes are killed."""
        return max(15.0, self.orders / _ORDERS_A_SECOND, self.kills * _KILL_SECONDS)


def audited(told: Mapping[str, str]) -> list[str]:
    """What `ordersync audit verify` has to find fault with, in one sentence; empty where it finds nothing."""
    audit = ordersync(told, "audit", "verify", check=False)
    if not audit.returncode:
        return []
    return [f"`ordersync audit verify`: {(audit.stderr or audit.stdout).strip()[-300:]}"]


class Run:
    """One run in the folder of its wishes, which is wiped first and kept where anything was found."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._var = wishes.var.resolve()
        shutil.rmtree(self._var, ignore_errors=True)
        (self._var / "log").mkdir(parents=True)
        self._history = History(self._var / "history.jsonl")
        self._agenda = Agenda()
        self._progress = Progress()
        self._killed = 0

    def run(self) -> dict[str, Any]:
        """The report: one JSON object. Its `found` is empty where all is well."""
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        began = time.monotonic()
        with ExitStack() as stack:
            report = self._run(stack)
        report["seconds"] = round(time.monotonic() - began, 1)
        self._history.note("report", **report)
        self._history.close()
        if not report["found"]:
            shutil.rmtree(self._var, ignore_errors=True)
        return report

    def _run(self, stack: ExitStack) -> dict[str, Any]:
        wishes = self._wishes
        database = new_database(wishes.database, var=self._var)
        stack.callback(database.stop)
        database.start()
        broker = stack.enter_context(EmbeddedBroker(self._var / "broker"))
        proxies = stack.enter_context(Proxies())
        sandboxes = stack.enter_context(ProcessGroup(self._var / "log"))
        group = stack.enter_context(ProcessGroup(self._var / "log"))
        told = environment(self._var, database=database.url, broker=broker.url, fault=wishes.fault)
        ahead = float(told["ORDERSYNC_CLOCK_SHIFT"])
        peers = start_peers(sandboxes, proxies, seed=wishes.seed, ahead=ahead)
        connect(told, peers)
        middleware = Middleware(group, told, self._history)
        self._wait_for_web(middleware)
        install_hooks(told, port=middleware.port)
        traffic = self._spoil(peers, middleware, broker, database)
        self._calm(peers, traffic)
        quiet = self._settle(database, middleware, broker)
        peers.clear()
        middleware.stop()
        at = peers.clock()
        state = self._state(peers, database)
        findings = check(state, at=at, lease=timedelta(seconds=float(told["ORDERSYNC_LEASE"])))
        check_sums(findings, placed=traffic.placed, shown=len(state.orders))
        findings.wrong += audited(told)
        if quiet:
            findings.stuck.append(f"It never became quiet: {quiet}.")
        return self._report(peers, traffic, findings)

    def _wait_for_web(self, middleware: Middleware) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            middleware.look()
            try:
                requests.get(f"http://127.0.0.1:{middleware.port}/", timeout=2)
            except requests.RequestException:
                time.sleep(0.2)
            else:
                return
        raise RuntimeError(f"The middleware did not start; see {self._var / 'log'}.")

    def _spoil(
        self, peers: Peers, middleware: Middleware, broker: EmbeddedBroker, database: Database
    ) -> Traffic:
        """Orders, faults and kills, each from a chance of its own, so that more of one does not change the others."""
        wishes = self._wishes
        chances = {
            name: random.Random(f"{wishes.seed}:{name}") for name in ("orders", "faults", "kills", "changes")
        }
        traffic = Traffic(peers, chance=chances["orders"], orders=wishes.orders)
        monkey = Monkey(
            middleware,
            broker,
            database,
            chance=chances["kills"],
            history=self._history,
            later=self._agenda.later,
            with_database=wishes.database != "sqlite",
        )
        began = time.monotonic()
        until = began + wishes.seconds

        def is_on() -> bool:
            return time.monotonic() < until

        for moment in sorted(
            chances["orders"].uniform(0, wishes.seconds * 0.97) for _ in range(wishes.orders)
        ):
            self._agenda.later(moment, traffic.place)
        for moment in sorted(chances["kills"].uniform(0.5, wishes.seconds) for _ in range(wishes.kills)):
            self._agenda.later(moment, lambda: self._kill(monkey))
        changes = wishes.seconds / max(1, wishes.orders * 0.06)
        self._agenda.every(changes, lambda: self._change(traffic), while_=is_on)
        if wishes.faults != "none":
            self._agenda.every(_FAULT_SECONDS, lambda: self._fault(peers, chances["faults"]), while_=is_on)
            self._agenda.every(
                _WEATHER_SECONDS, lambda: self._weather(peers, chances["faults"]), while_=is_on
            )
            self._agenda.every(_HOOKS_SECONDS, traffic.shuffle_hooks, while_=is_on)
        while is_on() or traffic.placed < wishes.orders or self._killed < wishes.kills:
            self._look(middleware, broker)
            self._progress.tell(
                f"{self._history.seconds():6.0f} s  {traffic.placed}/{wishes.orders} orders, {self._killed}/{wishes.kills} kills"
            )
        return traffic

    def _look(self, middleware: Middleware, broker: EmbeddedBroker) -> None:
        self._agenda.run_due()
        middleware.look()
        if broker.poll() is not None:
            self._history.note("restarted", process="broker")
            broker.start()
        time.sleep(_LOOK_SECONDS)

    def _kill(self, monkey: Monkey) -> None:
        if monkey.act():
            self._killed += 1
        else:
            # Everything is being started just now.
            self._agenda.later(0.5, lambda: self._kill(monkey))

    def _change(self, traffic: Traffic) -> None:
        changed = traffic.change()
        if changed:
            self._history.note("changed", what=changed)

    def _fault(self, peers: Peers, chance: random.Random) -> None:
        what = peers.spoil(chance, only_lost=self._wishes.faults == "lost")
        if what:
            self._history.note("fault", what=what)

    def _weather(self, peers: Peers, chance: random.Random) -> None:
        self._history.note(
            "weather", **{name: str(each) for name, each in peers.change_weather(chance).items()}
        )

    def _calm(self, peers: Peers, traffic: Traffic) -> None:
        peers.calm()
        if self._wishes.faults != "lost":
            # The one that waits for documents meets them, however late they are sent.
            peers.clear()
        traffic.let_hooks_go()
        self._history.note("calm")

    def _settle(self, database: Database, middleware: Middleware, broker: EmbeddedBroker) -> dict[str, int]:
        """Wait for quiet. What is left in motion where that is in vain, else nothing."""
        quiet = Quiet(database.url, patience=self._wishes.patience)
        looked, left = 0.0, {"": 1}
        while True:
            self._look(middleware, broker)
            if time.monotonic() > looked + 1.0:
                looked = time.monotonic()
                left = quiet.look() if database.is_up() else {"database": 1}
                waits = ", ".join(f"{count} {name}" for name, count in left.items())
                self._progress.tell(f"{self._history.seconds():6.0f} s  waiting for {waits or 'nothing'}")
                self._history.note("waiting", **left)
                if not left:
                    return {}
                if quiet.in_vain():
                    return left

    def _state(self, peers: Peers, database: Database) -> State:
        return read_state(
            url=database.url,
            erp=peers.erp.tell,
            shops=(
                (SITES["woo"][0], woo_orders, peers.woo.tell),
                (SITES["big"][0], big_orders, peers.big.tell),
            ),
        )

    def _report(self, peers: Peers, traffic: Traffic, findings: Findings) -> dict[str, Any]:
        wishes = self._wishes
        sentences = list(findings.sentences())
        for sentence in sentences:
            self._history.note("finding", what=sentence)
        kinds = [
            json.loads(line)["kind"]
            for line in self._history.path.read_text(encoding="utf-8").splitlines()
            if '"event": "kill"' in line
        ]
        return {
            "orders": traffic.placed,
            "kills": self._killed,
            "lost": len(findings.lost),
            "duplicated": len(findings.duplicated),
            "stuck": len(findings.stuck),
            "wrong": len(findings.wrong),
            "cents": findings.cents_documents,
            **dict(sorted(findings.counts.items())),
            "changed": {name: traffic.counts[name] for name in ("edited", "amounts", "cancelled")},
            "faults": sum(peers.met().values()),
            "faults_by_kind": peers.met(),
            "kills_by_kind": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
            "database": wishes.database,
            "seed": wishes.seed,
            "found": sentences[:_SHOWN],
        }
