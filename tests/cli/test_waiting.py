"""Runs, held orders, errors and the queue: looking at what was done, what waits, and where."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from app.passes import connect
from tests.cli.conftest import CommandLine, Synced, execute, sentence, stored
from tests.cli.test_running import COUNTED

HELD = (
    "UPDATE rm_thread SET state = 'held', hold_kind = '{kind}', reason = '{reason}', waiting_since = '2026-11-01 10:00:00.000000',"
    " next_at = '2026-11-01 10:15:00.000000', stage = 'verify_skus' WHERE id IN ({ids})"
)


def test_runs_are_listed_with_their_counts(synced: Synced) -> None:
    (run,) = synced.ordersync.json("runs", "list")
    assert {name: run[name] for name in ("run", "site", "kind", "state", "reason")} == {
        "run": 1, "site": "bgm", "kind": "orders", "state": "finished", "reason": "",
    }  # fmt: skip
    assert {name: run[name] for name in COUNTED} == {name: synced.report[name] for name in COUNTED}
    assert run["seconds"] == synced.report["seconds"]
    shown = sentence(synced.ordersync.good("runs", "list").stdout)
    assert "40 fetched" in shown
    assert synced.ordersync.refused(2, "runs", "list", "--site", "xyz") == (
        "There is no site named 'xyz' (there are: bgm)."
    )


def test_runs_are_listed_newest_first_and_as_many_as_asked(copied: CommandLine) -> None:
    for _ in range(2):
        copied.json("sync", "bgm", "--inline")
    assert [each["run"] for each in copied.json("runs", "list")] == [3, 2, 1]
    assert [each["run"] for each in copied.json("runs", "list", "--limit", "2")] == [3, 2]
    assert copied.run("runs", "list", "--limit", "0").exit_code == 2


def test_a_run_is_shown_with_the_orders_that_did_not_go_through(synced: Synced) -> None:
    page = synced.ordersync.json("runs", "show", "1")
    assert {name: value for name, value in page.items() if name in synced.report} == synced.report
    assert (page["kind"], page["started_at"] < page["finished_at"]) == ("orders", True)
    assert len(page["orders"]) == 22
    shown = sentence(synced.ordersync.good("runs", "show", "1").stdout)
    assert "bgm: finished in" in shown
    assert "BGM-158" in shown
    assert synced.ordersync.refused(1, "runs", "show", "99") == "There is no run 99."


def test_an_empty_program_has_no_runs_and_nothing_held_or_wrong(ordersync: CommandLine) -> None:
    assert ordersync.json("runs", "list") == []
    assert ordersync.good("runs", "list").stdout == "There was no run yet.\n"
    assert ordersync.json("held", "list") == {"held": 0, "waits_for": [], "orders": []}
    assert ordersync.good("held", "list").stdout == "No order is held.\n"
    assert ordersync.json("errors", "list") == []
    assert ordersync.good("errors", "list").stdout == "There is no such error.\n"


def test_held_orders_are_listed_with_how_many_wait_for_the_same(copied: CommandLine) -> None:
    execute(
        copied,
        HELD.format(kind="sku", reason="Not in the middleware yet: BIG-1, NEW-2.", ids="1, 2"),
        HELD.format(kind="sku", reason="Not in the middleware yet: BIG-1.", ids="3"),
        HELD.format(kind="settings", reason="Refused.", ids="4"),
        HELD.format(kind="maintenance", reason="Maintenance window until Mon 04:00 UTC (9 h left).", ids="5"),
        HELD.format(kind="maintenance", reason="Maintenance window until Mon 04:00 UTC (8 h left).", ids="6"),
    )
    found = copied.json("held", "list")
    assert found["held"] == 6
    assert found["waits_for"] == [
        {"kind": "sku", "what": "the SKU BIG-1", "orders": 3},
        {"kind": "sku", "what": "the SKU NEW-2", "orders": 2},
        {"kind": "maintenance", "what": "the end of a maintenance window", "orders": 2},
        {"kind": "settings", "what": "settings to be mended: Refused.", "orders": 1},
    ]
    (first, *_) = found["orders"]
    assert first["order_number"].startswith("BGM-")
    assert {name: first[name] for name in ("site", "stage", "hold_kind", "since", "next_at")} == {
        "site": "bgm", "stage": "verify_skus", "hold_kind": "sku",
        "since": "2026-11-01T10:00:00+00:00", "next_at": "2026-11-01T10:15:00+00:00",
    }  # fmt: skip
    lines = copied.good("held", "list", "--site", "bgm").stdout.splitlines()
    assert lines[0] == "3 wait for the SKU BIG-1"
    assert lines[3] == "1 waits for settings to be mended: Refused."
    assert copied.refused(2, "held", "list", "--site", "xyz").startswith("There is no site named 'xyz'")


# Errors.


def test_errors_are_listed_without_people_and_by_site_kind_and_step(synced: Synced) -> None:
    def listed(*words: str) -> list[dict[str, Any]]:
        """Without the age, which grows from one list to the next."""
        rows = synced.ordersync.json("errors", "list", *words)
        assert all(each.pop("age_seconds") >= 0 for each in rows)
        return list(rows)

    errors = listed()
    assert [each["id"] for each in errors] == [*range(1, 22)]
    assert {each["site"] for each in errors} == {"bgm"}
    assert set(errors[0]) == {
        "id", "order_number", "platform_order_id", "site", "stage", "kind", "reason", "field", "value", "currency",
        "attempts", "opened_at", "resolved_at", "resolution", "assignee", "resumed", "resolved_by", "checked_at",
    }  # fmt: skip
    assert "@example.test" not in json.dumps(errors)
    by_kind = listed("--kind", "address", "--site", "bgm")
    assert by_kind == [each for each in errors if each["kind"] == "address"] != []
    by_stage = listed("--stage", "verify_skus")
    assert by_stage == [each for each in errors if each["stage"] == "verify_skus"] != []
    assert listed("--all") == errors
    assert "BGM-158" in synced.ordersync.good("errors", "list").stdout
    assert synced.ordersync.run("errors", "list", "--stage", "lost").exit_code == 2


def test_errors_are_filtered_sorted_and_paged_with_the_money_at_risk(copied: CommandLine) -> None:
    execute(
        copied,
        "UPDATE rm_error_orders SET value = '9.00', currency = 'EUR', opened_at = '2026-11-02 10:00:00.000000'",
        "UPDATE rm_error_orders SET value = '10.50', assignee = 'anna', resumed = 2 WHERE id = 5",
        "UPDATE rm_error_orders SET value = NULL, currency = NULL WHERE id = 6",
        "UPDATE rm_error_orders SET currency = 'USD', opened_at = '2026-11-01 10:00:00.000000' WHERE id = 7",
    )

    def ids(*words: str) -> list[int]:
        return [each["id"] for each in copied.json("errors", "list", *words)]

    assert ids()[0] == 7
    assert ids("--sort", "money")[0] == 5
    assert ids("--sort", "money", "--reverse")[-1] == 6
    assert ids("--assignee", "anna") == [5]
    assert len(ids("--unassigned")) == 20
    assert 7 not in ids("--since", "2026-11-02")
    assert ids("--text", "bgm-158") == [each["id"] for each in copied.json("errors", "show", "BGM-158")]
    assert len(ids("--limit", "3", "--offset", "2")) == 3
    shown = sentence(copied.good("errors", "list", "--sort", "money", "--limit", "1").stdout)
    assert "resumed 2 times, with anna" in shown
    assert "10.50 EUR" in shown
    assert shown.endswith("1 to 1 of 21 errors; at risk: 172.50 EUR, 9.00 USD.")
    assert sentence(copied.good("errors", "list", "--offset", "30").stdout) == "There are only 21."
    assert copied.good("errors", "list", "--text", "nothing like it").stdout == "There is no such error.\n"
    assert copied.refused(2, "errors", "list", "--since", "soon") == (
        "--since 'soon' must be a date or a time such as 2026-11-01 or 2026-11-01T12:00 (UTC)."
    )
    assert copied.refused(2, "errors", "list", "--unassigned", "--assignee", "anna") == (
        "Either the errors of one person or those of nobody: --assignee or --unassigned."
    )
    assert copied.run("errors", "list", "--sort", "id; DROP TABLE rm_thread").exit_code == 2


def test_a_resolved_error_is_listed_only_when_all_are_asked_for(copied: CommandLine) -> None:
    execute(
        copied,
        "UPDATE rm_error_orders SET open_key = NULL, resolved_at = '2026-11-01 10:00:00.000000', resolution = 'mended'"
        " WHERE id = 1",
    )
    assert len(copied.json("errors", "list")) == 20
    everything = copied.json("errors", "list", "--all")
    assert (everything[0]["resolved_at"], everything[0]["resolution"]) == (
        "2026-11-01T10:00:00+00:00",
        "mended",
    )
    assert "resolved" in copied.good("errors", "list", "--all").stdout
    shown = sentence(copied.good("errors", "show", "1").stdout)
    assert "2026-11-01 10:00 UTC: mended" in shown


def test_an_error_is_shown_with_the_order_so_far_and_what_it_would_take(synced: Synced) -> None:
    (by_number,) = synced.ordersync.json("errors", "show", "BGM-158")
    assert (by_number["reason"], by_number["kind"]) == (
        "The SKU PNT does not exist in Business Central.",
        "bad_sku",
    )
    assert by_number["takes"] == (
        "Correct the SKU in the shop, or here (ordersync errors repair), or create, unblock or allow the item. "
        "What is changed in the shop is read and tried again by itself. What is put right in the ERP is found within minutes, "
        "and the order goes on by itself."
    )
    assert by_number["document"]["number"] == "BGM-158"
    assert {line["sku"] for line in by_number["document"]["lines"]} >= {"PNT"}
    assert synced.ordersync.json("errors", "show", str(by_number["id"])) == [by_number]
    assert synced.ordersync.json("errors", "show", "158") == [by_number]
    shown = sentence(synced.ordersync.good("errors", "show", "BGM-158").stdout)
    document: Mapping[str, Any] = by_number["document"]
    for telling in ("PNT", document["bill"]["last_name"], document["total"], "Correct the SKU in the shop"):
        assert telling in shown


def test_an_order_that_could_not_be_read_is_shown_without_a_document(synced: Synced) -> None:
    (error,) = synced.ordersync.json("errors", "show", "BGM-167")
    assert (error["stage"], error["document"]) == ("normalize", None)
    shown = sentence(synced.ordersync.good("errors", "show", "BGM-167").stdout)
    assert "what the shop showed is stored in rm_inbox" in shown


@pytest.mark.parametrize("key", ["BGM-0", "99999", "9" * 40])
def test_an_error_that_is_not_there_ends_with_one(synced: Synced, key: str) -> None:
    assert synced.ordersync.refused(1, "errors", "show", key) == (
        f"There is no error of an order {key!r}, and none with that id."
    )


def test_looking_changes_nothing(copied: CommandLine) -> None:
    before = stored(copied)
    for words in (
        ["runs", "list"], ["runs", "show", "1"], ["held", "list"], ["errors", "list"], ["errors", "show", "1"],
        ["queue"], ["site", "show", "bgm"], ["erp", "show", "bc"],
    ):  # fmt: skip
        copied.good(*words)
        copied.json(*words)
    assert stored(copied) == before


# The queue.


def test_a_quiet_road_is_said_to_be_empty_and_a_broker_that_is_away_fails_nothing(synced: Synced) -> None:
    found = synced.ordersync.json("queue")
    assert (found["road"], found["stuck"]) == ([], [])
    assert found["broker"] == {
        "queues": {},
        "unacknowledged": 0,
        "fault": "No broker: set REDIS_URL, or start everything that is needed with `ordersync up`.",
    }
    shown = sentence(synced.ordersync.good("queue").stdout)
    assert shown.startswith("Nothing is on the road. The broker is away: No broker: set REDIS_URL")


def test_a_broker_that_does_not_answer_is_said_to_be_away(synced: Synced) -> None:
    found = synced.ordersync.json("queue", REDIS_URL="redis://127.0.0.1:1/0")
    assert found["broker"]["fault"] == "it does not answer (ConnectionError)."
    shown = synced.ordersync.good("queue", REDIS_URL="redis://127.0.0.1:1/0").stdout
    assert "The broker is away: it does not answer (ConnectionError)." in sentence(shown)


def test_what_waits_in_the_broker_is_counted(synced: Synced, empty_broker_url: str) -> None:
    with connect(empty_broker_url) as client:
        client.rpush("orders", "a", "b")
        client.rpush("upkeep", "c")
        client.hset("unacked", "tag", "d")
    found = synced.ordersync.json("queue", REDIS_URL=empty_broker_url)
    assert found["broker"] == {
        "queues": {"beat": 0, "orders": 2, "owed": 0, "upkeep": 1},
        "unacknowledged": 1,
        "fault": "",
    }
    shown = sentence(synced.ordersync.good("queue", REDIS_URL=empty_broker_url).stdout)
    assert (
        "Messages in the broker: 0 for beat, 2 for orders, 0 for owed, 1 for upkeep, 1 taken and not acknowledged."
        in shown
    )


def test_what_is_due_and_nobody_takes_is_said_to_be_stuck_where_it_stands(copied: CommandLine) -> None:
    execute(
        copied,
        "UPDATE rm_thread SET state = 'active', stage = 'verify_skus', next_at = '2026-11-01 10:00:00.000000' WHERE id <= 3",
        "UPDATE rm_thread SET state = 'held', stage = 'write', next_at = '2199-01-01 00:00:00.000000' WHERE id = 4",
    )
    found = copied.json("queue")
    assert found["road"] == [
        {
            "link": "verify_skus", "due": 3, "due_since": "2026-11-01T10:00:00+00:00",
            "later": 0, "next_at": None, "leased": 0,
        },
        {
            "link": "write", "due": 0, "due_since": None,
            "later": 1, "next_at": "2199-01-01T00:00:00+00:00", "leased": 0,
        },
    ]  # fmt: skip
    assert found["stuck"] == ["verify_skus"]
    shown = sentence(copied.good("queue").stdout)
    assert (
        "At verify_skus something has been due for more than five minutes and nobody takes it: does a worker run?"
        in shown
    )
