"""The shops and the ERP: sandboxes in processes that nobody kills, a proxy before each, and their control doors."""

import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import requests

from app.errors import Misconfigured
from app.runtime import ProcessGroup
from app.sandbox.server import clock_ahead
from tests.chaos.proxy import CALM, Proxies, Proxy, Weather

_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")
_START_SECONDS = 60.0
_DOOR_SECONDS = 300.0
FAULTS = ("all", "lost", "none")
"""What the peers do: all faults they know, lose the ERP's answers to what was written, or nothing."""

_DOCUMENTS = {"method": "POST", "path": r"salesOrders|\$batch"}
_WRITES = {"method": "POST", "path": r"salesOrders|\$batch|customers"}
_TIMEOUT = 2.5
_LATE = (0.5, 4.0)
"""Seconds after which a request that was given up by the ERP's front is committed all the same."""


@dataclass(slots=True)
class Peer:
    """One sandbox that runs, and the proxy that the middleware is told to call in its place."""

    name: str
    port: int
    proxy: Proxy
    ordered: Counter[str] = field(default_factory=Counter)

    def tell(self, method: str, door: str, body: object = None) -> Any:
        """One request to the control door; its JSON, with exact numbers."""
        answer = requests.request(
            method, f"http://127.0.0.1:{self.port}/_sandbox/{door}", json=body, timeout=_DOOR_SECONDS
        )
        answer.raise_for_status()
        return answer.json(parse_float=Decimal)

    def order_fault(self, kind: str, **fault: Any) -> None:
        """Let the next request that it fits meet this fault."""
        self.tell("POST", "faults", {"kind": kind, "times": 1, **fault})
        self.ordered[kind] += 1


@dataclass(frozen=True, slots=True)
class Peers:
    """Two shops and an ERP, and the clock that they live by."""

    woo: Peer
    big: Peer
    erp: Peer
    clock: Callable[[], datetime]

    def all(self) -> tuple[Peer, Peer, Peer]:
        """Each of them."""
        return (self.woo, self.big, self.erp)

    def edit_woo(self, order_id: int, changes: Mapping[str, Any]) -> None:
        """Change an order as the shop's own people do, by a door at which no fault waits."""
        self.woo.tell("POST", f"orders/{order_id}/update", dict(changes))

    def edit_big(self, order_id: int, changes: Mapping[str, Any]) -> None:
        """The same in the other shop."""
        self.big.tell("POST", f"update/{order_id}", dict(changes))

    def take_off_big(self, order_id: int, amount: Decimal) -> None:
        """A discount more for the whole order, with the sums that the store works out anew; its door does not."""
        rows = self.big.tell("GET", "orders?full=1")
        body = next(row["body"] for row in rows if row["id"] == order_id)
        changed = {name: Decimal(str(body[name])) - amount for name in ("total_inc_tax", "total_ex_tax")}
        changed["discount_amount"] = Decimal(str(body["discount_amount"])) + amount
        self.edit_big(order_id, {name: f"{value:.4f}" for name, value in changed.items()})

    def spoil(self, chance: random.Random, *, only_lost: bool = False) -> str:
        """Order one fault somewhere; what it is.

        With `only_lost` one that loses the ERP's answer to documents, where none waits for them already ("").
        """
        if only_lost:
            if self.erp.tell("GET", "faults")["value"]:
                return ""
            self.erp.order_fault("reset_after", match=_DOCUMENTS)
            return "erp:reset_after"
        peer = chance.choices(self.all(), weights=(2, 2, 4))[0]
        kind, fault = _fault(peer.name, chance)
        peer.order_fault(kind, **fault)
        return f"{peer.name}:{kind}"

    def change_weather(self, chance: random.Random) -> Mapping[str, Weather]:
        """Another weather for each peer; every third of them is calm."""
        for peer in self.all():
            peer.proxy.weather = CALM if chance.random() < 1 / 3 else _weather(chance)
        return {peer.name: peer.proxy.weather for peer in self.all()}

    def calm(self) -> None:
        """Calm weather from now on."""
        for peer in self.all():
            peer.proxy.weather = CALM

    def clear(self) -> None:
        """No faults from now on. Those that no request has met do not count."""
        self.erp.ordered.subtract(each["kind"] for each in self.erp.tell("GET", "faults")["value"])
        self.erp.tell("DELETE", "faults")
        for peer in (self.woo, self.big):
            peer.ordered.subtract(peer.tell("DELETE", "faults")["left"])

    def met(self) -> dict[str, int]:
        """How many faults there were, by peer and kind."""
        found: Counter[str] = Counter()
        for peer in self.all():
            found.update({f"{peer.name}:{kind}": count for kind, count in peer.ordered.items()})
            found.update({f"proxy:{kind}": count for kind, count in peer.proxy.met.items()})
        return {kind: count for kind, count in sorted(found.items()) if count}


def _weather(chance: random.Random) -> Weather:
    return Weather(
        latency=chance.choice((0.0, 0.05, 0.2, 0.8)),
        reset=chance.choice((0.0, 0.02, 0.1)),
        lost=chance.choice((0.0, 0.05, 0.1)),
        half_open=chance.choice((0.0, 0.02, 0.05)),
        cut=chance.choice((0.0, 0.05, 0.1)),
        cut_after=chance.choice((0, 20, 120, 400, 3000)),
    )


def _fault(name: str, chance: random.Random) -> tuple[str, dict[str, Any]]:
    """A kind of fault that this peer knows, with what it takes."""
    if name == "erp":
        return _erp_fault(chance)
    anywhere = ("reset", "reset_after", "truncated", "timeout_after", "timeout")
    own = {
        "woo": ("429_nginx", "500_php_fatal", "500_db_down", "502_php_down", "503_maintenance"),
        "big": ("429_bare", "500", "502", "503_maintenance", "504", "html", "garbage", "empty", "500_after"),
    }[name]
    kind = chance.choice((*anywhere, *own))
    fault: dict[str, Any] = {"seconds": _TIMEOUT} if kind.startswith("timeout") else {}
    if chance.random() < 1 / 2:
        fault["match"] = {"method": chance.choice(("PUT", "POST", "GET"))}
    return kind, fault


def _erp_fault(chance: random.Random) -> tuple[str, dict[str, Any]]:
    kind = chance.choice(
        (
            *("late", "late", "late", "reset_after", "reset_after", "timeout_after", "truncated"),
            *("429", "500", "503", "504", "408", "reset", "timeout", "html"),
        )
    )
    fault: dict[str, Any] = {}
    if kind.startswith("timeout"):
        fault["seconds"] = _TIMEOUT
    if kind == "late":
        fault |= {"seconds": round(chance.uniform(*_LATE), 2), "close": chance.random() < 1 / 2}
    if kind in {"late", "reset_after", "timeout_after", "truncated"} or chance.random() < 1 / 2:
        fault["match"] = _WRITES
    return kind, fault


def start_peers(group: ProcessGroup, proxies: Proxies, *, seed: int, ahead: float) -> Peers:
    """Start all three, empty but for the ERP's items, with nothing that limits how often they are asked.

    Their clocks are `ahead` by so many seconds, as the middleware's is: it would refuse webhooks that look old.
    """
    commands: dict[str, Sequence[str]] = {
        "woo": ["app.sandbox.shop", "--empty"],
        "big": ["app.sandbox.bigcommerce", "--empty", "--quota", "1000000"],
        "erp": ["app.sandbox.erp"],
    }
    for name, command in commands.items():
        group.start(name, [sys.executable, "-m", *command, "--port", "0", "--clock-ahead", str(ahead)])
    made: dict[str, Peer] = {}
    for place, name in enumerate(commands):
        port = _port_of(group, name)
        proxy = proxies.before(host="127.0.0.1", port=port, seed=seed * 10 + place)
        made[name] = Peer(name, port, proxy)
    peers = Peers(**made, clock=clock_ahead(ahead))
    # A request that waits for its turn longer than its sender does would be committed later than any late one.
    peers.erp.tell("PUT", "switches", {"rate_limit": 0, "running_limit": 0})
    return peers


def _port_of(group: ProcessGroup, name: str) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        said = group.log_path(name).read_text(encoding="utf-8", errors="replace")
        found = _ADDRESS.search(said)
        if found is not None and said.endswith("\n"):
            return int(found[1])
        if name in group.poll():
            break
        time.sleep(0.05)
    raise Misconfigured(f"The sandbox {name} did not start; see {group.log_path(name)}.")
