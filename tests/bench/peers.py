"""The sandbox shop and ERP as processes of their own, and their control doors."""

import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from app.errors import Misconfigured
from app.runtime import ProcessGroup

COMPANY = "7dbba574-5f6f-4d2a-9a3c-2f6b0c1d9e01"
SKUS = ("WID-001", "COMP-A", "COMP-B", "THIRD-3", "HOSE-3", "TS-1", "KIT-PARENT-123")
KITS = "parent_sku,component_sku,quantity\nKIT-PARENT-123,COMP-A,3\nKIT-PARENT-123,COMP-B,1\n"
LINES = 3
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
_START_SECONDS = 30.0
_DOOR_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Peer:
    """One sandbox that runs."""

    name: str
    url: str
    pid: int

    def tell(self, method: str, door: str, body: object = None) -> Any:
        """One request to the control door; its JSON."""
        answer = requests.request(method, f"{self.url}/_sandbox/{door}", json=body, timeout=_DOOR_SECONDS)
        answer.raise_for_status()
        return answer.json()

    def slow_down(self, *, latency_ms: int) -> None:
        """Let every request take that much longer."""
        self.tell("PUT", "latency", {"ms": latency_ms})

    def requests(self) -> list[dict[str, Any]]:
        """The log of requests since it was last forgotten."""
        log = self.tell("GET", "requests")
        found: list[dict[str, Any]] = log["value"] if isinstance(log, dict) else log
        return found

    def forget_requests(self) -> None:
        self.tell("DELETE", "requests")


def start_erp(group: ProcessGroup, *, name: str) -> Peer:
    """An ERP with the demo's items, without a limit of requests for five minutes: a bench asks more than any user."""
    erp = _started(group, name, ["app.sandbox.erp"])
    erp.tell("PUT", "switches", {"rate_limit": 0})
    return erp


def start_shop(group: ProcessGroup, *, name: str, orders: int, mail_domain: str) -> Peer:
    """A shop that holds this many generated orders and nothing else.

    Their ids count from 1, and order N is of `buyerN` at the mail domain: shops of the same domain have the same customers.
    """
    shop = _started(group, name, ["app.sandbox.shop", "--empty"])
    wanted = {
        "count": orders,
        "lines": LINES,
        "skus": SKUS,
        "spread_seconds": orders,
        "mail_domain": mail_domain,
    }
    shop.tell("POST", "generate", wanted)
    return shop


def start_store(
    group: ProcessGroup,
    *,
    name: str,
    orders: int,
    quota: int,
    window_seconds: float,
    overrides: Mapping[str, Any],
) -> Peer:
    """A BigCommerce store that holds this many generated orders and nothing else, and allows so many requests in a window."""
    limits = ["--quota", str(quota), "--window-seconds", f"{window_seconds:g}"]
    store = _started(group, name, ["app.sandbox.bigcommerce", "--empty", *limits])
    wanted = {
        "count": orders,
        "lines": LINES,
        "skus": SKUS,
        "spread_seconds": orders,
        "mail_domain": f"{name}.example.test",
        "overrides": overrides,
    }
    store.tell("POST", "generate", wanted)
    return store


def _started(group: ProcessGroup, name: str, module: Sequence[str]) -> Peer:
    pid = group.start(name, [sys.executable, "-m", *module, "--port", "0"])
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        said = group.log_path(name).read_text(encoding="utf-8", errors="replace")
        found = _ADDRESS.search(said)
        if found is not None and said.endswith("\n"):
            return Peer(name, found.group(0), pid)
        if name in group.poll():
            break
        time.sleep(0.02)
    raise Misconfigured(f"The sandbox {name} did not start; see {group.log_path(name)}.")
