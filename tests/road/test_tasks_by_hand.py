"""Tasks that a person starts and waits for, with a real worker and broker."""

import json
import re
from typing import Any

import pytest
from sqlalchemy import text

from tests.cli.conftest import CommandLine
from tests.road.conftest import Middleware

pytestmark = pytest.mark.slow

EXPORTED, REJECTED = 18, 21


def command_line(middleware: Middleware) -> CommandLine:
    return CommandLine(middleware.environment)


def task(middleware: Middleware, *words: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = command_line(middleware).json("task", "run", *words, "--wait", code=code)
    return found


def execute(middleware: Middleware, *statements: str) -> None:
    with middleware.program.engine.begin() as connection:
        for each in statements:
            connection.execute(text(each))


def test_a_reading_by_hand_is_waited_for_and_orders_that_need_a_person_end_it_with_three(
    middleware: Middleware,
) -> None:
    middleware.start_worker()
    report = task(middleware, "fetch", "bgm", code=3)
    assert (report["task"], report["kind"], report["state"]) == ("fetch", "orders", "finished")
    assert (report["exported"], report["rejected"]) == (EXPORTED, REJECTED)
    again = task(middleware, "fetch", "bgm")
    assert (again["state"], again["fetched"]) == ("finished", 0)
    shown = command_line(middleware).good("task", "run", "fetch", "bgm", "--wait").stdout
    assert "bgm: finished in" in shown


def test_held_orders_are_exported_by_hand_one_by_number_and_the_rest_by_site(middleware: Middleware) -> None:
    middleware.start_worker()
    task(middleware, "fetch", "bgm", code=3)
    execute(
        middleware,
        "UPDATE rm_step SET state = 'owed', done_at = NULL, next_at = '2199-01-01 00:00:00.000000' WHERE kind = 'export'",
        "UPDATE rm_thread SET state = 'held', hold_kind = 'maintenance', reason = 'Closed.',"
        " next_at = '2199-01-01 00:00:00.000000' WHERE stage = 'deliver'",
    )
    numbers = [each.order_number for each in middleware.program.parts.store.held_orders(site="bgm")]
    documents = len(middleware.documents())
    first = task(middleware, "export", numbers[0])
    assert (first["kind"], first["state"], first["fetched"], first["exported"]) == ("task", "finished", 1, 1)
    rest = task(middleware, "export", "--site", "bgm")
    assert (rest["fetched"], rest["exported"], rest["held"]) == (len(numbers) - 1, len(numbers) - 1, 0)
    # They were in the ERP already: each was found by its number, and none was written twice.
    assert len(middleware.documents()) == documents
    assert middleware.program.parts.store.held_orders(site="bgm") == ()
    refused = command_line(middleware).refused(1, "task", "run", "export", "--site", "bgm", "--wait")
    assert refused == "Nothing was done: no order of the site bgm stands at export."


def test_upkeep_by_hand_ends_its_run_and_a_failure_is_told_in_words(middleware: Middleware) -> None:
    middleware.start_worker()
    for words in (["sweep"], ["drop_deliveries"], ["archive"], ["sync_items"], ["report_errors"], ["tick"]):
        report = task(middleware, *words)
        assert (report["kind"], report["state"], report["reason"]) == ("task", "finished", ""), words
    told = command_line(middleware).good("task", "run", "sweep", "--wait").stderr
    assert re.search(r"sweep: finished in [\d.]+ s\.\n", told)
    unread = task(middleware, "reconcile", "bgm", code=1)
    assert (unread["state"], unread["reason"]) == ("failed", "The site bgm was not read yet.")
    broken = task(middleware, "report_errors", "--arg", "month=October", code=1)
    assert broken["reason"] == "It failed (UsageError); the worker's log says more."
    execute(middleware, "UPDATE rm_erps SET url = 'http://127.0.0.1:1/api/v2.0'")
    away = task(middleware, "sync_items", code=1)
    assert away["state"] == "failed"
    assert away["reason"]


def test_a_comparison_by_hand_is_made_now_and_not_at_night(middleware: Middleware) -> None:
    middleware.start_worker()
    task(middleware, "fetch", "bgm", code=3)
    assert middleware.program.parts.store.certificates(middleware.site_id, limit=5) == ()
    report = task(middleware, "reconcile", "bgm")
    assert report["state"] == "finished"
    assert len(middleware.program.parts.store.certificates(middleware.site_id, limit=5)) == 1


def test_waiting_has_an_end_while_the_task_goes_on(middleware: Middleware) -> None:
    middleware.start_worker()
    middleware.slow_down(milliseconds=300)
    result = command_line(middleware).run(
        "task", "run", "fetch", "bgm", "--wait", "--timeout", "0.5", "--json"
    )
    report = json.loads(result.stdout)
    assert (result.exit_code, report["state"]) == (1, "moving")
    assert result.stderr.endswith(
        f"It is not done after 0.5 seconds; it goes on by itself: `ordersync runs show {report['run']}`.\n"
    )
    middleware.slow_down(milliseconds=0)
    assert middleware.wait(report["run"]).counts["exported"] == EXPORTED


def test_a_worker_is_started_for_the_time_being_where_none_answers(middleware: Middleware) -> None:
    report = task(middleware, "fetch", "bgm", code=3)
    assert (report["state"], report["exported"]) == ("finished", EXPORTED)
    assert not middleware.workers.answer()
