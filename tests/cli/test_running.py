"""Runs, and looking at what came of them."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.bootstrap import open_program
from app.settings import load_settings
from tests.cli.conftest import (
    NEEDS_A_PERSON,
    SECRETS,
    CommandLine,
    Synced,
    Systems,
    make_command_line,
    sentence,
)

COUNTED = ("fetched", "written", "acknowledged", "exported", "held", "rejected", "skipped", "closed")


def counts_of(report: dict[str, Any]) -> dict[str, int]:
    return {name: report[name] for name in COUNTED}


def until(weekday: int, hour: int) -> str:
    """The clock shift, in seconds, that makes it this hour (UTC) of the next such day (0 is Monday)."""
    now = datetime.now(UTC)
    wanted = (now + timedelta(days=(weekday - now.weekday()) % 7)).replace(hour=hour, minute=0, second=0)
    return str((wanted - now).total_seconds())


def test_a_run_in_this_process_reports_every_order(synced: Synced) -> None:
    report = synced.report
    assert (report["site"], report["run"], report["state"], report["reason"]) == ("bgm", 1, "finished", "")
    assert counts_of(report) == {
        "fetched": 40,
        "written": 18,
        "acknowledged": 18,
        "exported": 18,
        "held": 0,
        "rejected": 21,
        "skipped": 1,
        "closed": 0,
    }
    assert Counter(each["state"] for each in report["orders"]) == {"rejected": 21, "skipped": 1}
    assert all(each["reason"] and each["order"].startswith("BGM-") for each in report["orders"])
    assert 0 < report["seconds"] < 60


@pytest.mark.slow
def test_sync_starts_broker_and_worker_of_its_own_and_ends_with_the_same_counts(
    ordersync: CommandLine, systems: Systems, synced: Synced
) -> None:
    systems.connect(ordersync)
    done = ordersync.process("sync", "bgm", "--json")
    assert done.returncode == NEEDS_A_PERSON, done.stderr
    (line, rest) = done.stdout.split("\n")
    assert rest == ""
    report = json.loads(line)
    assert report["state"] == "finished"
    assert counts_of(report) == counts_of(synced.report)
    ends = [
        {each["order"]: (each["state"], each["reason"]) for each in of["orders"]}
        for of in (report, synced.report)
    ]
    assert ends[0] == ends[1]
    assert not [secret for secret in SECRETS if secret in done.stdout + done.stderr]
    again = ordersync.json("sync", "bgm", "--inline")
    assert (again["run"], again["state"], again["exported"]) == (2, "finished", 0)


def test_an_unknown_site_is_refused_with_those_there_are(synced: Synced) -> None:
    expected = "There is no site named 'xyz' (there are: bgm)."
    assert synced.ordersync.refused(2, "sync", "xyz", "--inline") == expected


def test_a_first_site_is_hinted_at_where_there_is_none(ordersync: CommandLine) -> None:
    done = ordersync.process("sync", "bgm", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "ordersync: There is no site named 'bgm' (there are: none yet; add one with `ordersync site add`).\n"
    )
    # No broker was started for it.
    assert not (ordersync.var / "broker").exists()


def test_a_run_within_the_maintenance_window_says_so_and_fetches_nothing(
    ordersync: CommandLine, systems: Systems
) -> None:
    systems.connect(ordersync)
    shift = until(6, 20)
    report = ordersync.json("sync", "bgm", "--inline", ORDERSYNC_CLOCK_SHIFT=shift)
    items = ordersync.json("items", "sync", ORDERSYNC_CLOCK_SHIFT=shift)
    for found in (report, items):
        assert found["state"] == "paused"
        assert found["reason"] in {
            f"Maintenance window until Mon 04:00 UTC ({left} left); nothing is done until then."
            for left in ("8 h 00 min", "7 h 59 min")
        }
    assert counts_of(report) == dict.fromkeys(COUNTED, 0)
    assert systems.asked() == []
    assert ordersync.json("order", "list") == []
    shown = ordersync.good("sync", "bgm", "--inline", ORDERSYNC_CLOCK_SHIFT=shift).stdout
    assert "Maintenance window until Mon 04:00 UTC" in sentence(shown)
    assert ordersync.json("sync", "bgm", "--inline", code=NEEDS_A_PERSON)["exported"] == 18


def test_a_shifted_clock_is_refused_for_a_peer_that_is_not_on_this_machine(
    ordersync: CommandLine, systems: Systems
) -> None:
    ordersync.good(*systems.erp_add, **systems.environment)
    arguments = [word.replace("127.0.0.1", "10.0.0.1") for word in systems.site_add]
    ordersync.good(*arguments, **systems.environment)
    result = ordersync.run("sync", "bgm", "--inline", "--json", ORDERSYNC_CLOCK_SHIFT=until(2, 12))
    report = json.loads(result.stdout)
    assert (result.exit_code, report["state"], report["fetched"]) == (1, "failed", 0)
    assert report["reason"] == (
        "ORDERSYNC_CLOCK_SHIFT is for demonstrations on this machine; it is refused for any peer that is not."
    )
    assert ordersync.json("order", "list") == []


def test_a_wrong_key_ends_with_one_pauses_the_site_and_shows_in_the_status(
    ordersync: CommandLine, systems: Systems
) -> None:
    ordersync.good(*systems.erp_add, **systems.environment)
    ordersync.good(*systems.site_add, BGM_SECRET="cs_wrong")
    result = ordersync.run("sync", "bgm", "--inline", "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["state"], report["fetched"]) == (1, "failed", 0)
    assert "cs_wrong" not in result.output
    (site,) = ordersync.json("status")["sites"]
    assert site["paused"] == report["reason"] != ""
    assert report["reason"].split()[0] in ordersync.good("status").stdout


def test_a_reason_with_brackets_is_shown_as_it_is(ordersync: CommandLine, systems: Systems) -> None:
    systems.connect(ordersync)
    program = open_program(load_settings(ordersync.environment))
    soon = program.parts.store.now() + timedelta(hours=1)
    program.parts.store.pause_site(1, until=soon, reason="[/red] :x:")
    program.engine.dispose()
    assert "[/red] :x:" in sentence(ordersync.good("status").stdout)


def test_the_status_counts_the_orders(synced: Synced) -> None:
    status = synced.ordersync.json("status")
    assert status["pending"] == 0
    assert sum(status["open_errors"].values()) == 21
    (site,) = status["sites"]
    assert site["orders"] == {"done": 18, "rejected": 21, "skipped": 1}
    assert (site["name"], site["active"], site["paused"]) == ("bgm", True, None)
    assert datetime.fromisoformat(site["last_run"]) <= datetime.fromisoformat(status["now"])
    assert datetime.fromisoformat(site["next_run"]) > datetime.fromisoformat(site["last_run"])
    (erp,) = status["erps"]
    assert (erp["name"], erp["paused"]) == ("bc", None)
    shown = sentence(synced.ordersync.good("status").stdout)
    assert "0 orders pending export" in shown


def test_the_status_of_an_empty_program_is_empty(ordersync: CommandLine) -> None:
    status = ordersync.json("status")
    del status["now"]
    assert status == {"pending": 0, "open_errors": {}, "sites": [], "erps": []}
    ordersync.good("status")


def test_orders_are_listed_newest_first_and_by_state_and_number(synced: Synced) -> None:
    everything = synced.ordersync.json("order", "list")
    assert len(everything) == 40
    assert Counter(each["state"] for each in everything) == {"done": 18, "rejected": 21, "skipped": 1}
    done = synced.ordersync.json("order", "list", "--state", "done", "--site", "bgm")
    assert done == [each for each in everything if each["state"] == "done"]
    assert all(each["acknowledged"] and each["erp_document"] for each in done)
    assert len({each["erp_document"] for each in done}) == 18
    assert synced.ordersync.json("order", "list", "--limit", "3") == everything[:3]
    assert synced.ordersync.json("order", "list", "--site", "other") == []
    assert "BGM-" in synced.ordersync.good("order", "list").stdout


def test_an_order_is_shown_by_either_number_and_its_lines_sum_to_its_total(synced: Synced) -> None:
    done = synced.ordersync.json("order", "list", "--state", "done")
    for summary in done:
        shown = synced.ordersync.json("order", "show", summary["order"])
        assert shown["thread"]["order_number"] == summary["order"]
        total = sum(Decimal(line["amount"]) - Decimal(line["credit"]) for line in shown["lines"])
        assert total == Decimal(shown["order"]["total"]) == Decimal(summary["total"])
        assert shown["order"]["erp_document_number"] == summary["erp_document"]
        assert {(step["kind"], step["state"]) for step in shown["steps"]} == {
            ("acknowledge", "done"),
            ("export", "done"),
        }
    summary = done[0]
    by_platform = synced.ordersync.json("order", "show", summary["platform_order_id"])
    assert by_platform == synced.ordersync.json("order", "show", summary["order"])
    page = synced.ordersync.good("order", "show", summary["order"]).stdout
    assert summary["order"] in page
    assert summary["erp_document"] in page


def test_every_order_that_did_not_go_through_can_be_shown_with_its_reason(synced: Synced) -> None:
    for each in synced.report["orders"]:
        shown = synced.ordersync.json("order", "show", each["order"])
        assert shown["thread"]["state"] == each["state"]
        assert [error["reason"] for error in shown["errors"]] == (
            [each["reason"]] if each["state"] == "rejected" else []
        )
        assert synced.ordersync.good("order", "show", each["order"]).stdout


def test_an_order_that_is_not_there_ends_with_one(synced: Synced) -> None:
    assert synced.ordersync.refused(1, "order", "show", "BGM-0") == "There is no order 'BGM-0'."


def test_a_long_sentence_is_one_line_where_nobody_looks_at_a_terminal(ordersync: CommandLine) -> None:
    result = ordersync.run("sync", "bgm", "--inline")
    assert len(result.stderr.splitlines()) == 1


def test_migrations_that_are_missing_are_named_where_the_database_is_not_ours(
    tmp_path: Path, postgres_url: str
) -> None:
    ordersync = make_command_line(tmp_path, None, DATABASE_URL=postgres_url)
    done = ordersync.process("status")
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence(done.stderr) == (
        "ordersync: The database's schema is not this program's; run `ordersync migrate`."
    )
    ordersync.good("migrate")
    assert ordersync.json("status")["sites"] == []
