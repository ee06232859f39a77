"""The command line. Every command makes one call to a use-case and shows its answer; `--json` prints it for scripts.

Exit codes: 0 done, 1 failed, 2 wrong use.
"""

from app.cli import assortment, changing, completing, connecting, desk, health, looking, running, waiting
from app.cli.root import main

__all__ = [
    "assortment",
    "changing",
    "completing",
    "connecting",
    "desk",
    "health",
    "looking",
    "main",
    "running",
    "waiting",
]
