"""The command line. Every command makes one call to a use-case and shows its answer; `--json` prints it for scripts.

Exit codes: 0 done, 1 failed, 2 wrong use.
"""

from app.cli import assortment, connecting, health, looking, running
from app.cli.root import main

__all__ = ["assortment", "connecting", "health", "looking", "main", "running"]
