"""The demo's shops and its ERP: sandboxes, each a process of its own."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.request import Request, urlopen

from app.errors import Misconfigured
from app.runtime import ProcessGroup, free_port

_PORTS = {"shop": 8090, "bigcommerce": 8091, "erp": 8046}
_PORTS_TRIED = 5
_SKUS = ("WID-001", "COMP-A", "COMP-B", "THIRD-3", "HOSE-3", "TS-1", "KIT-PARENT-123")


@dataclass(frozen=True, slots=True)
class Peers:
    """Where the sandboxes answer."""

    shop: str
    bigcommerce: str
    erp: str


def start_peers(group: ProcessGroup, *, latency_ms: int, ahead: timedelta) -> Peers:
    """Start them with their clocks so far `ahead`; each listens where it says so itself."""
    options = ["--latency-ms", str(latency_ms), "--clock-ahead", str(ahead.total_seconds())]
    ports = {name: free_port(preferred) for name, preferred in _PORTS.items()}
    urls = {name: _start(group, name, port, options) for name, port in ports.items()}
    return Peers(**{name: _answering(group, name, url, options) for name, url in urls.items()})


def generate(shop: str, *, orders: int, announce: bool = False) -> list[int]:
    """So many further orders in a shop; with `announce` it sends webhooks of them. Their ids."""
    wanted = {
        "count": orders,
        "lines": 3,
        "skus": _SKUS,
        "spread_seconds": 0 if announce else orders,
        "announce": announce,
    }
    ids: list[int] = post(f"{shop}/_sandbox/generate", wanted)["ids"]
    return ids


def post(url: str, body: object) -> Any:  # noqa: ANN401 - any JSON value
    """Tell a sandbox something by its control door; its answer."""
    request = Request(url, data=json.dumps(body).encode(), method="POST")  # noqa: S310 - our own sandbox
    with urlopen(request, timeout=120) as answer:  # noqa: S310 - our own sandbox
        return json.load(answer, parse_float=Decimal)


def _start(group: ProcessGroup, name: str, port: int, options: Sequence[str]) -> str:
    group.start(name, [sys.executable, "-m", f"app.sandbox.{name}", "--port", str(port), *options])
    return f"http://127.0.0.1:{port}"


def _answering(group: ProcessGroup, name: str, url: str, options: Sequence[str]) -> str:
    """The address at which our own sandbox answers: another one than `url` where somebody was quicker to take its port."""
    for _ in range(_PORTS_TRIED):
        if _is_ready(group, name, url):
            return url
        url = _start(group, name, free_port(0), options)
    raise Misconfigured(f"The sandbox {name} did not start; see {group.log_path(name)}.")


def _is_ready(group: ProcessGroup, name: str, url: str) -> bool:
    """Whether the sandbox says itself that it listens there: an answer might be another demo's. False once it has ended."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if name in group.poll():
            return False
        if url in group.log_path(name).read_text(encoding="utf-8", errors="replace"):
            return True
        time.sleep(0.02)
    raise Misconfigured(f"The sandbox at {url} did not start; see {group.log_path(name)}.")
