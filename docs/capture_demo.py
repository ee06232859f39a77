"""Run the demo and put what it printed into README.md, between the capture marks. Usage: .venv/bin/python docs/capture_demo.py."""

import json
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
WIDTH = 104
SHOWN_PROBLEMS = 6


def main() -> None:
    """Replace the capture in README.md by a new one."""
    environment = {**os.environ, "COLUMNS": str(WIDTH)}
    done = subprocess.run(
        ["make", "demo", "ONCE=1"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, last = done.stdout.rstrip("\n").split("\n")
    summary = json.loads(last)
    summary.pop("orders")
    text = "\n".join(
        f"    {line}".rstrip()
        for line in [
            "$ make demo ONCE=1",
            *(re.sub("(/login/).*", r"\1...", line) for line in _shortened(lines)),
            json.dumps({**summary, "orders": ["..."]}),
        ]
    )
    readme = ROOT / "README.md"
    marked = re.compile(r"(<!-- capture:begin [^\n]*-->\n).*?(<!-- capture:end -->)", re.DOTALL)
    readme.write_text(
        marked.sub(lambda found: f"{found[1]}{text}\n{found[2]}", readme.read_text(encoding="utf-8")),
        encoding="utf-8",
    )


def _shortened(lines: list[str]) -> list[str]:
    """The first site's table of problems cut to its first rows, and said so."""
    rows = [number for number, line in enumerate(lines) if line.startswith("│ BGM")]
    cut = rows[SHOWN_PROBLEMS]
    end = min(number for number, line in enumerate(lines) if number > cut and line.startswith("└"))
    left = len(rows) - SHOWN_PROBLEMS
    return [*lines[:cut], f"│ ... {left} more".ljust(len(lines[end]) - 1) + "│", *lines[end:]]


if __name__ == "__main__":
    main()
