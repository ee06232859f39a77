"""The table of docs/security.md and what `make security` runs are one."""

import re
from pathlib import Path

from tests.security.__main__ import verdict
from tests.security.rows import ROWS, Row

DOCS = Path(__file__).parents[2] / "docs" / "security.md"


def test_the_docs_have_every_row_and_name_every_test_that_shows_it() -> None:
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    table = {found[1]: line for line in lines if (found := re.match(r"\| (\d+) \|", line))}
    assert list(table) == [row.number for row in ROWS]
    for row in ROWS:
        said = table[row.number]
        assert ("not yet" in said) is bool(row.not_yet), row.number
        for each in row.tests:
            assert each.partition("::")[0].removeprefix("tests/") in said, (row.number, each)


def test_every_row_is_shown_by_a_test_that_is_there_or_says_why_not() -> None:
    for row in ROWS:
        assert bool(row.tests) != bool(row.not_yet), row.number
        for each in row.tests:
            file, _, name = each.partition("::")
            text = (DOCS.parents[1] / file).read_text(encoding="utf-8")
            assert f"def {name}" in text, each


def test_a_row_fails_with_one_of_its_tests_or_without_it() -> None:
    row = Row("1", "x", ("a.py", "b.py::test_one"))
    good = {"a.py::test_x": "passed", "b.py::test_one": "passed"}
    assert verdict(row, good) == ("shown", "2 tests")
    assert verdict(row, {**good, "a.py::test_y": "failed"})[0] == "FAILED"
    assert verdict(row, {**good, "a.py::test_y": "skipped"})[0] == "FAILED"
    assert verdict(row, {"a.py::test_x": "passed"}) == ("FAILED", "no such test: b.py::test_one")
    assert verdict(Row("2", "y", not_yet="why"), good) == ("not yet", "why")
