"""`make chaos`: orders by the thousand, processes killed by the dozen, and a judge who believes nobody.

Prints how far it is, what was found, and as the last line one JSON object. Exits with 0 where nothing was found.
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from app.errors import OrderSyncError, UsageError
from app.runtime import exclusive_lock
from tests.chaos.databases import NAMES
from tests.chaos.peers import FAULTS
from tests.chaos.quiet import PATIENCE
from tests.chaos.run import Run, Wishes

_WRONG_USE = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """0 nothing was found, 1 something was, 2 wrong use."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        wishes = _wishes(arguments)
        with exclusive_lock(wishes.var.parent / f"{wishes.var.name}.lock"):
            report = Run(wishes).run()
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return _WRONG_USE
    except OrderSyncError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return _INTERRUPTED
    for sentence in report["found"]:
        sys.stderr.write(f"{sentence}\n")
    if report["found"]:
        sys.stderr.write(f"History and logs are kept in {wishes.var}.\n")
    sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
    return 1 if report["found"] else 0


def _wishes(arguments: Sequence[str] | None) -> Wishes:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--orders", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--database", choices=NAMES, default="postgresql")
    parser.add_argument("--var", type=Path, help="folder of the run, wiped first (var/chaos/DATABASE)")
    parser.add_argument("--fault", default="", help="a deliberate fault in the middleware: blind")
    parser.add_argument("--faults", choices=FAULTS, default="all", help="what the shops and the ERP do")
    parser.add_argument(
        "--patience", type=float, default=PATIENCE, help="seconds to wait for something to move"
    )
    options = parser.parse_args(arguments)
    if options.orders < 1 or options.kills < 0:
        raise UsageError("--orders is 1 at least, --kills 0.")
    return Wishes(
        orders=options.orders,
        kills=options.kills,
        seed=options.seed,
        database=options.database,
        var=(options.var or Path("var") / "chaos" / options.database).resolve(),
        fault=options.fault,
        faults=options.faults,
        patience=options.patience,
    )


if __name__ == "__main__":
    sys.exit(main())
