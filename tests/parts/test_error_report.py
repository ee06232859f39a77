"""The monthly line in the log, and when it is sent."""

from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import update

from app.bootstrap import Program
from app.db.tables import error_orders
from app.ports.desk import ErrorFilter
from app.sync.error_report import error_report, tell_of_errors
from app.sync.exporting import error_rows
from tests.db.many_errors import KINDS, fill
from tests.parts.conftest import with_erp, with_site
from workers.application import make_app

ERRORS = 2_500


def crowd(program: Program) -> None:
    with_erp(program)
    fill(program.engine, site_id=with_site(program), errors=ERRORS)


def test_the_log_gets_one_line_of_counts_and_kinds_and_no_reason(program: Program) -> None:
    crowd(program)
    month = f"{program.parts.store.now():%Y-%m}"
    with structlog.testing.capture_logs() as lines:
        tell_of_errors(program.parts, month=month)
    (line,) = lines
    assert (line["event"], line["month"], line["resolved"], line["still_open"]) == (
        "error_report", month, 0, ERRORS,
    )  # fmt: skip
    assert set(line["kinds"]) == set(KINDS)
    assert sum(line["kinds"].values()) == ERRORS
    assert "SKU" not in str(line)


def test_by_default_it_is_the_month_that_ended(program: Program) -> None:
    crowd(program)
    now = program.parts.store.now()
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last = first - timedelta(seconds=1)
    with program.engine.begin() as connection:
        connection.execute(update(error_orders).values(opened_at=now))
        connection.execute(update(error_orders).where(error_orders.c.id == 1).values(opened_at=last))
        connection.execute(update(error_orders).where(error_orders.c.id == 2).values(opened_at=first))
    report = error_report(program.parts)
    assert (report["month"], report["until"]) == (f"{last:%Y-%m}", first)
    assert (report["opened"], report["still_open"]) == (1, 1)


def test_december_is_followed_by_january(program: Program) -> None:
    report = error_report(program.parts, month="2025-12")
    assert (report["since"], report["until"]) == (
        datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def test_more_rows_than_a_page_holds_are_exported_once_each(program: Program) -> None:
    crowd(program)
    header, *rows = error_rows(program.parts, ErrorFilter())
    assert header[0] == "id"
    assert [int(row[0]) for row in rows] == list(range(1, ERRORS + 1))


def test_beat_sends_it_on_the_first_of_each_month(program: Program) -> None:
    configured = make_app(program.settings, url="memory://").conf
    entry = configured.beat_schedule["report_errors"]
    assert entry["task"] == "ordersync.report_errors"
    schedule = entry["schedule"]
    assert (schedule.day_of_month, schedule.month_of_year) == ({1}, set(range(1, 13)))
    assert configured.timezone == "UTC"
    assert configured.task_routes["ordersync.report_errors"] == {"queue": "upkeep"}
