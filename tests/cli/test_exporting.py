"""Tables for spreadsheets, and the monthly review of errors."""

import csv
import io
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.sync.exporting import ERROR_COLUMNS, ORDER_COLUMNS, cell
from tests.cli.conftest import CommandLine, Synced, execute, sentence


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_errors_are_exported_with_a_header_and_every_cell_of_theirs(synced: Synced) -> None:
    text = synced.ordersync.good("export", "csv", "errors").stdout_bytes.decode()
    assert text.startswith(",".join(f'"{name}"' for name in ERROR_COLUMNS) + "\r\n")
    rows = read(text)
    listed = synced.ordersync.json("errors", "list")
    assert [int(row["id"]) for row in rows] == sorted(each["id"] for each in listed)
    by_id = {each["id"]: each for each in listed}
    for row in rows:
        error: dict[str, Any] = by_id[int(row["id"])]
        assert row["reason"].removeprefix("'") == error["reason"]
        assert row["value"] == (error["value"] or "")
        assert row["opened_at"] == f"{error['opened_at'][:19]}Z"


def test_orders_are_exported_by_site_and_state(synced: Synced) -> None:
    done = read(synced.ordersync.good("export", "csv", "orders", "--state", "done", "--site", "bgm").stdout)
    assert tuple(done[0]) == ORDER_COLUMNS
    assert len(done) == 18
    assert {row["state"] for row in done} == {"done"}
    assert all(Decimal(row["total"]) >= 0 and row["erp_document"] and row["exported_at"] for row in done)
    assert len(read(synced.ordersync.good("export", "csv", "orders").stdout)) == 40
    assert read(synced.ordersync.good("export", "csv", "orders", "--since", "2199-01-01").stdout) == []


def test_a_file_is_written_whole_and_not_over_another(synced: Synced, tmp_path: Path) -> None:
    target = tmp_path / "errors.csv"
    told = synced.ordersync.good("export", "csv", "errors", "--kind", "bad_sku", "-o", str(target), "--excel")
    written = target.read_bytes()
    assert written.startswith(b'\xef\xbb\xbf"id","order_number",')
    rows = read(written.decode("utf-8-sig"))
    assert {row["kind"] for row in rows} == {"bad_sku"}
    assert sentence(told.stderr) == f"Wrote {len(rows)} errors to {target}."
    assert synced.ordersync.refused(2, "export", "csv", "orders", "-o", str(target)) == (
        f"The file {target} is there already; --force writes over it."
    )
    assert target.read_bytes() == written
    synced.ordersync.good("export", "csv", "orders", "-o", str(target), "--force")
    assert target.read_bytes().startswith(b'"order_number",')
    assert list(tmp_path.iterdir()) == [target]
    (tmp_path / "other").touch()
    assert target.stat().st_mode == (tmp_path / "other").stat().st_mode
    missing = tmp_path / "nowhere" / "errors.csv"
    assert synced.ordersync.refused(1, "export", "csv", "errors", "-o", str(missing)) == (
        f"The file {missing} cannot be written (No such file or directory)."
    )


def test_what_a_killed_export_has_left_is_in_nobodys_way(synced: Synced, tmp_path: Path) -> None:
    target = tmp_path / "orders.csv"
    left = [tmp_path / f".orders.csv.{number}" for number in range(1, 40)]
    for each in left:
        each.write_text("cut off")
    # In a container each export has the same process id.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("os.getpid", lambda: 7)
        synced.ordersync.good("export", "csv", "orders", "-o", str(target))
    assert len(read(target.read_text())) == 40
    assert sorted(tmp_path.iterdir()) == sorted([*left, target])


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["errors", "--state", "done"], "--state is for orders; for errors there is --all."),
        (["orders", "--kind", "kit"], "--kind is for errors."),
        (["orders", "--all"], "--all is for errors."),
        (["errors", "--site", "xyz"], "There is no site named 'xyz' (there are: bgm)."),
        (["orders", "--site", "xyz"], "There is no site named 'xyz' (there are: bgm)."),
    ],
)
def test_what_cannot_be_exported_is_refused(synced: Synced, words: list[str], why: str) -> None:
    assert synced.ordersync.refused(2, "export", "csv", *words) == why


def test_a_formula_in_an_order_is_harmless_in_the_table(copied: CommandLine) -> None:
    formula = '=HYPERLINK("http://evil.example","x")'
    execute(copied, f"UPDATE rm_error_orders SET reason = '{formula}', value = '-5.00' WHERE id = 1")
    row = read(copied.good("export", "csv", "errors").stdout)[0]
    assert (row["reason"], row["value"]) == (f"'{formula}", "-5.00")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        ("", ""),
        ("plain, with a comma", "plain, with a comma"),
        ("=1+1", "'=1+1"),
        ("+49 123", "'+49 123"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        (" =1+1", "' =1+1"),
        ("\u00a0=1+1", "'\u00a0=1+1"),
        ("\ufeff=1+1", "'\ufeff=1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\uff0b1+1", "'\uff0b1+1"),
        ("\uff0d1+1", "'\uff0d1+1"),
        ("\uff20SUM(1)", "'\uff20SUM(1)"),
        ("x;=1+1", "x;'=1+1"),
        ("x; =1+1; y", "x; '=1+1; y"),
        ('x;"=1+1"', 'x;"\'=1+1"'),
        ("x\t=1+1", "x\t'=1+1"),
        ("-5.00", "-5.00"),
        ("+5", "+5"),
        ("-5.00\n=1", "'-5.00\n'=1"),
        ("a=b", "a=b"),
        ("a - b, c@d; e\tf", "a - b, c@d; e\tf"),
        (Decimal("-5.0000"), "-5.0000"),
        (Decimal("1E+3"), "1000"),
        (7, "7"),
        (datetime(2026, 11, 1, 10, 0, 0, 250_000, tzinfo=UTC), "2026-11-01T10:00:00Z"),
    ],
)
def test_cells_are_shown_and_never_run(value: object, shown: str) -> None:
    assert cell(value) == shown


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    "text", ["=1+1", "x;=1+1", 'x;"=1+1"', "x;\n =1+1", "x\t=1+1", "\t=1+1", "x\r\n=1+1", "\v\uff1d1+1"]
)
def test_no_cell_is_run_wherever_a_spreadsheet_takes_the_table_apart(text: str, delimiter: str) -> None:
    for quoting in (csv.QUOTE_ALL, csv.QUOTE_MINIMAL):
        written = io.StringIO()
        csv.writer(written, quoting=quoting).writerow([cell("a"), cell(text)])
        rows = csv.reader(io.StringIO(written.getvalue(), newline=""), delimiter=delimiter)
        cells = [each.strip() for row in rows for each in row]
        assert not [each for each in cells if each.startswith(("=", "+", "-", "@", "\uff1d"))]


def test_a_long_text_is_soon_made_harmless() -> None:
    began = time.monotonic()
    assert cell("\n" * 100_000 + ";" + " " * 100_000 + "x").endswith(" x")
    assert time.monotonic() - began < 5


# The monthly review.


def test_a_month_is_reviewed(copied: CommandLine) -> None:
    execute(
        copied,
        "UPDATE rm_error_orders SET opened_at = '2026-09-30 23:00:00.000000', value = '10.00', currency = 'EUR'",
        "UPDATE rm_error_orders SET opened_at = '2026-10-05 00:00:00.000000' WHERE id <= 3",
        "UPDATE rm_error_orders SET open_key = NULL, resolved_at = '2026-10-05 06:00:00.000000', resolution = 'repaired'"
        " WHERE id <= 2",
        "UPDATE rm_error_orders SET open_key = NULL, resolved_at = '2026-11-01 00:00:00.000000', resolution = 'skipped'"
        " WHERE id = 3",
    )
    report = copied.json("errors", "report", "--month", "2026-10")
    assert {name: report[name] for name in ("month", "since", "until", "opened", "resolved", "still_open")} == {
        "month": "2026-10", "since": "2026-10-01T00:00:00+00:00", "until": "2026-11-01T00:00:00+00:00",
        "opened": 3, "resolved": 2, "still_open": 19,
    }  # fmt: skip
    assert (report["median_seconds"], report["longest_seconds"]) == (21_600, 21_600)
    assert (report["resolutions"], report["at_risk"]) == ({"repaired": 2}, {"EUR": "190.00"})
    assert len(report["oldest"]) == 10
    shown = sentence(copied.good("errors", "report", "--month", "2026-10").stdout)
    assert shown.startswith("Errors of 2026-10 (UTC): 3 opened, 2 resolved, 19 still open.")
    assert (
        "Resolved: 2 repaired. Time to resolve: 6 h 00 min in the middle, 6 h 00 min at the longest." in shown
    )
    assert "At risk: 190.00 EUR." in shown


def test_the_review_is_of_the_month_that_ended_and_of_none_that_has_not_begun(synced: Synced) -> None:
    report = synced.ordersync.json("errors", "report")
    assert report["until"][8:] == "01T00:00:00+00:00"
    assert (report["opened"], report["still_open"]) == (0, 0)
    shown = sentence(synced.ordersync.good("errors", "report").stdout)
    assert shown == f"Errors of {report['month']} (UTC): 0 opened, 0 resolved, 0 still open."
    now = datetime.fromisoformat(report["until"])
    assert synced.ordersync.json("errors", "report", "--month", f"{now:%Y-%m}")["still_open"] == 21
    assert synced.ordersync.refused(2, "errors", "report", "--month", "2199-01") == (
        "The month 2199-01 has not begun."
    )
    assert synced.ordersync.refused(2, "errors", "report", "--month", "October") == (
        "The month 'October' must look like 2026-10."
    )
