"""Serve a sandbox shop until SIGTERM or Ctrl-C: ``python -m app.sandbox.shop --port 8090``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from typing import TextIO

from app.sandbox.server import clock_ahead, serve

from .recorded import recorded_orders
from .state import DEMO_KEY, Shop
from .web import create_app


def _say(stream: TextIO, line: str) -> None:
    stream.write(f"{line}\n")
    stream.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve, print one line with the URL when ready, and stop on a signal."""
    parser = argparse.ArgumentParser(prog="python -m app.sandbox.shop", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090, help="0 takes a free port")
    parser.add_argument("--or-free", action="store_true", help="take a free port when the port is in use")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to every request")
    parser.add_argument(
        "--clock-ahead", type=float, default=0.0, help="seconds by which its clock is ahead of the real time"
    )
    parser.add_argument("--legacy", action="store_true", help="posts storage instead of order tables")
    parser.add_argument("--timezone", default="America/Los_Angeles", help="the shop's local time")
    parser.add_argument("--empty", action="store_true", help="start without the recorded orders")
    parser.add_argument("--trust-proxy", action="store_true", help="X-Forwarded-Proto: https counts as TLS")
    options = parser.parse_args(arguments)

    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    shop = Shop(
        () if options.empty else recorded_orders(),
        timezone=options.timezone,
        legacy=options.legacy,
        clock=clock_ahead(options.clock_ahead),
    )
    app = create_app(shop, trust_proxy=options.trust_proxy)
    try:
        running = serve(
            app,
            options.host,
            options.port,
            latency_ms=options.latency_ms,
            or_free=options.or_free,
            clock_offset=options.clock_ahead,
        )
    except OSError as error:
        _say(sys.stderr, f"sandbox shop: cannot listen on {options.host}:{options.port}: {error.strerror}")
        return 1
    with running:
        _say(sys.stdout, f"sandbox shop: {running.url} ({len(shop)} orders, key {DEMO_KEY.key})")
        stop.wait()
        shop.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
