"""`python -m app.sandbox.erp`: serve the sandbox until SIGTERM or Ctrl-C."""

import argparse
import signal
import sys
import threading

from app.sandbox.erp import Erp, create_app, demo_fill
from app.sandbox.erp.state import ROOT_PATH
from app.sandbox.server import clock_ahead, serve


def main() -> int:
    """Serve, print one line with the URL when ready, and stop in order."""
    parser = argparse.ArgumentParser(prog="python -m app.sandbox.erp", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8046)
    parser.add_argument("--or-free", action="store_true", help="take a free port where this one is in use")
    parser.add_argument("--latency-ms", type=float, default=0, help="time each request takes at least")
    parser.add_argument(
        "--clock-ahead", type=float, default=0.0, help="seconds by which its clock is ahead of the real time"
    )
    parser.add_argument("--empty", action="store_true", help="start without the demo's records")
    parser.add_argument("--second-company", action="store_true", help="have two companies")
    options = parser.parse_args()
    erp = Erp(
        clock=clock_ahead(options.clock_ahead),
        latency_ms=options.latency_ms,
        second_company=options.second_company,
    )
    if not options.empty:
        demo_fill(erp)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with serve(
        create_app(erp),
        options.host,
        options.port,
        or_free=options.or_free,
        clock_offset=options.clock_ahead,
    ) as server:
        sys.stdout.write(f"Business Central sandbox at {server.url}{ROOT_PATH}\n")
        sys.stdout.flush()
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
