"""`make security`: the tests of every row of docs/security.md in one run, and a table of what was seen. Ends with 0 or 1."""

import sys
from collections import Counter
from collections.abc import Sequence

import pytest
from rich.console import Console
from rich.table import Table

from tests.security.rows import ROWS, Row


class Seen:
    """How each test ended; a pytest plugin. What fails while it is set up or torn down has failed."""

    def __init__(self) -> None:
        self.ends: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Pytest's hook."""
        if report.when == "call" or report.outcome != "passed":
            worse = self.ends.get(report.nodeid) == "failed"
            self.ends[report.nodeid] = "failed" if worse else report.outcome


def verdict(row: Row, ends: dict[str, str]) -> tuple[str, str]:
    """What was seen of a row, in a word and in a sentence. A test that is named and is not there is a failure too."""
    if row.not_yet:
        return "not yet", row.not_yet
    absent = [each for each in row.tests if not any(nodeid.startswith(each) for nodeid in ends)]
    mine = [end for nodeid, end in ends.items() if nodeid.startswith(row.tests)]
    counts = Counter(mine)
    if absent:
        return "FAILED", f"no such test: {', '.join(absent)}"
    if set(counts) != {"passed"}:
        return "FAILED", ", ".join(f"{number} {end}" for end, number in counts.items())
    return "shown", f"{counts['passed']} tests"


def run(options: Sequence[str]) -> int:
    """Run the tests and print the table. Gives the exit code."""
    seen = Seen()
    files = {each.partition("::")[0] for row in ROWS for each in row.tests}
    whole = {each for row in ROWS for each in row.tests if "::" not in each}
    wanted = [
        each for row in ROWS for each in row.tests if "::" in each and each.partition("::")[0] not in whole
    ]
    chosen = _Chosen(tuple(whole) + tuple(wanted))
    code = pytest.main(["-q", "--dist=loadgroup", *options, *sorted(files)], plugins=[seen, chosen])
    table = Table("Row", "What", "Seen", "")
    verdicts = [(row, *verdict(row, seen.ends)) for row in ROWS]
    for row, word, sentence in verdicts:
        style = {"shown": "green", "FAILED": "bold red"}.get(word, "dim")
        table.add_row(row.number, row.name, f"[{style}]{word}[/]", sentence)
    Console().print(table)
    failed = [row.number for row, word, _ in verdicts if word == "FAILED"]
    return 1 if failed or code != pytest.ExitCode.OK else 0


class _Chosen:
    """Leaves out the tests of the named files that belong to no row."""

    def __init__(self, beginnings: tuple[str, ...]) -> None:
        self._beginnings = beginnings

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Pytest's hook."""
        left = [each for each in items if not each.nodeid.startswith(self._beginnings)]
        config.hook.pytest_deselected(items=left)
        items[:] = [each for each in items if each.nodeid.startswith(self._beginnings)]


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
