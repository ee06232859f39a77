"""Serve a sandbox store until SIGTERM or Ctrl-C: ``python -m app.sandbox.bigcommerce --port 8091``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from typing import TextIO

from app.sandbox.server import clock_ahead, serve

from .access import DEMO_CLIENT_SECRET, DEMO_STORE_HASH, DEMO_TOKEN
from .state import Store
from .web import create_app


def _say(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve, print one line with the URL when ready, and stop on a signal."""
    parser = argparse.ArgumentParser(prog="python -m app.sandbox.bigcommerce", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8091, help="0 takes a free port")
    parser.add_argument("--or-free", action="store_true", help="take a free port when the port is in use")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to every request")
    parser.add_argument(
        "--clock-ahead", type=float, default=0.0, help="seconds by which its clock is ahead of the real time"
    )
    parser.add_argument("--quota", type=int, default=150, help="requests in one window")
    parser.add_argument("--window-seconds", type=float, default=30.0, help="how long a window is")
    parser.add_argument("--timezone", default="America/Chicago", help="the store's local time")
    parser.add_argument("--store-hash", default=DEMO_STORE_HASH)
    parser.add_argument("--client-secret", default=DEMO_CLIENT_SECRET, help="signs webhooks")
    parser.add_argument("--strict-hooks", action="store_true", help="webhooks go to https on port 443 only")
    parser.add_argument("--empty", action="store_true", help="start without the demo's orders")
    options = parser.parse_args(arguments)

    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    store = Store(
        clock=clock_ahead(options.clock_ahead),
        store_hash=options.store_hash,
        client_secret=options.client_secret,
        timezone=options.timezone,
        quota=options.quota,
        window_seconds=options.window_seconds,
        allow_http_hooks=not options.strict_hooks,
    )
    if not options.empty:
        store.add_demo_orders()
    app, host, port = create_app(store), options.host, options.port
    try:
        running = serve(
            app,
            host,
            port,
            latency_ms=options.latency_ms,
            or_free=options.or_free,
            clock_offset=options.clock_ahead,
        )
    except OSError as error:
        _say(sys.stderr, f"sandbox bigcommerce: cannot listen on {host}:{port}: {error.strerror}")
        return 1
    with running:
        told = f"{len(store)} orders, store {store.store_hash}, token {DEMO_TOKEN}"
        _say(sys.stdout, f"sandbox bigcommerce: {running.url} ({told})")
        stop.wait()
        store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
