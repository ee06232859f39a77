"""How fast Order Sync is: `make bench`. Prints tables and, as the last line, one JSON object; also in var/bench/latest.json.

Everything is measured in one run, one thing after the other, so that the ratios hold where the machine is a noisy one. An aim that
is not met fails nothing; orders that do not all arrive do.
"""

import argparse
import json
import logging
import os
import platform
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import structlog
from rich.console import Console
from sqlalchemy import make_url

from app import __version__
from app.errors import OrderSyncError, UsageError
from app.runtime import exclusive_lock
from tests.bench.measures import PARTS, Wishes, measure
from tests.bench.report import aims, show
from tests.bench.world import MOST_ORDERS, open_world

_CORES = 2
_WIDTH = 120
_WRONG_USE = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 1 failed, 2 wrong use."""
    options = _options(arguments)
    # The log of this process; the workers write theirs to their files.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(stderr=options.json_only)
    if not console.is_terminal:
        console.width = _WIDTH
    try:
        report = _measured(options, console)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return _WRONG_USE
    except OrderSyncError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped; nothing was kept.\n")
        return _INTERRUPTED
    if not options.json_only:
        show(report, console=console)
    sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
    return 0


def _measured(options: argparse.Namespace, console: Console) -> dict[str, Any]:
    wishes = Wishes.read(
        orders=options.orders,
        repeat=options.repeat,
        latencies=options.latencies,
        only=options.only,
        calm=options.calm,
    )
    if wishes.orders > MOST_ORDERS:
        raise UsageError(f"--orders is {MOST_ORDERS} at most.")
    cores = _only_some_cores(options.cores)
    var: Path = options.var.resolve()
    started = datetime.now(UTC)
    load = os.getloadavg()[0]
    with exclusive_lock(var.parent / f"{var.name}.lock"):
        with open_world(var / "world", database=options.database) as world:
            database = make_url(world.settings.database_url).get_backend_name()
            found = measure(world, wishes, console=console)
        report = {
            "version": __version__,
            "at": started.isoformat(timespec="seconds"),
            "took_seconds": round((datetime.now(UTC) - started).total_seconds(), 1),
            "machine": {
                "cores": cores,
                "of": psutil.cpu_count(),
                "load_before": round(load, 2),
                "system": platform.platform(),
                "python": platform.python_version(),
                "database": database,
            },
            "orders": wishes.orders,
            **found,
            "aims": aims(found),
        }
        (var / "latest.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def _only_some_cores(count: int) -> int:
    """Keep to so many cores, we and all that we start, where the system lets us say so. How many are used."""
    if not hasattr(os, "sched_setaffinity"):
        return psutil.cpu_count() or 1
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    return len(os.sched_getaffinity(0))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--orders", type=int, default=1000, help="in each run (1000)")
    parser.add_argument("--repeat", type=int, default=3, help="how often each run is made (3)")
    parser.add_argument("--latencies", default="50,200", help="ms that each request takes longer (50,200)")
    parser.add_argument("--only", default="", help=f"some of: {','.join(PARTS)}")
    parser.add_argument("--database", default="sqlite", help="sqlite, postgres, or the URL of an empty one")
    parser.add_argument("--cores", type=int, default=_CORES, help="that all of it may use (2)")
    parser.add_argument(
        "--calm",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="wait so long before each run, at most, for a machine that does nothing else (0)",
    )
    parser.add_argument("--json-only", action="store_true", help="no tables; progress goes to standard error")
    parser.add_argument("--var", type=Path, default=Path("var/bench"), help="its folder (var/bench)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
