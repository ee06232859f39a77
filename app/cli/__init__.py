"""The command line. Every command makes one call to a use-case and shows its answer; `--json` prints it for scripts.

Exit codes: 0 done; 1 failed, or not done within the time that was given; 2 wrong use, nothing was changed; 3 done, with orders or
findings that need a person. A command that only looks ends with 0, whatever it shows.
"""

import os

from app.cli.root import main

__all__ = ["main", "run"]


def run() -> None:
    """The command `ordersync`. What it makes (database, key, logs) is for its own user only: it holds people's addresses."""
    os.umask(0o077)
    main()
