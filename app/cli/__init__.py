"""The command line. Every command makes one call to a use-case and shows its answer; `--json` prints it for scripts.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 done with something that a person has to look at.
"""

import os

from app.cli import (
    assortment,
    changing,
    comparing,
    completing,
    connecting,
    desk,
    health,
    hooks,
    looking,
    retention,
    running,
    tracing,
    waiting,
)
from app.cli.root import main

__all__ = [
    "assortment",
    "changing",
    "comparing",
    "completing",
    "connecting",
    "desk",
    "health",
    "hooks",
    "looking",
    "main",
    "retention",
    "run",
    "running",
    "tracing",
    "waiting",
]


def run() -> None:
    """The command `ordersync`. What it makes (database, key, logs) is for its own user only: it holds people's addresses."""
    os.umask(0o077)
    main()
