"""`errors repair|resume|replay|skip|assign|comment`, `held release` and `retry`, as an operator types them."""

import json
import socket
from typing import Any

import pytest
from click.testing import Result

from app.bootstrap import Program
from tests.cli.conftest import CommandLine, execute, sentence

AWAY = {"REDIS_URL": "redis://127.0.0.1:1/0"}
"""No broker answers there."""


def error_of(ordersync: CommandLine, kind: str) -> dict[str, Any]:
    found = ordersync.json("errors", "list", "--kind", kind)
    rows: list[dict[str, Any]] = found["errors"] if isinstance(found, dict) else found
    assert rows, f"no error of the kind {kind}"
    return rows[0]


def ended(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def bad_sku(copied: CommandLine) -> dict[str, Any]:
    return error_of(copied, "bad_sku")


def test_an_error_is_repaired_and_goes_on_to_the_erp(copied: CommandLine, bad_sku: dict[str, Any]) -> None:
    number, field = bad_sku["order_number"], bad_sku["field"]
    shown = copied.json("errors", "repair", number)
    assert [each["pointer"] for each in shown["fields"] if each["failing"]] == [field]
    change = ("errors", "repair", number, "--set", f"{field}=WID-001", "--reason", "typing error in the shop")

    foreseen = copied.json(*change, "--dry-run")
    assert (foreseen["stored"], foreseen["foreseen"]["link"]) == (False, "export")
    assert copied.json("errors", "repair", number)["repairs"] == []

    done = copied.json(*change, ORDERSYNC_USER="anna")
    assert (done["stored"], done["revision"]) == (True, shown["revision"] + 1)
    (repair,) = copied.json("errors", "repair", number)["repairs"]
    assert (repair["by"], repair["reason"]) == ("anna", "typing error in the shop")

    going = copied.json("errors", "resume", number, "--dry-run")
    assert going["orders"][0]["result"] == "would go on"
    result = copied.run("errors", "resume", number, "--inline", "--json")
    assert result.exit_code == 0, result.output
    assert ended(result)["orders"][0]["result"] == "resumed"
    assert ended(result)["runs"][0]["exported"] == 1
    state = copied.json("order", "show", number)["thread"]["state"]
    assert state == "done"


def test_repair_and_resume_are_one_command(copied: CommandLine, bad_sku: dict[str, Any]) -> None:
    result = copied.good(
        *("errors", "repair", bad_sku["order_number"], "--set", f"{bad_sku['field']}=WID-001"),
        *("--resume", "--inline"),
    )
    said = sentence(result.output)
    assert "is repaired" in said
    assert "resumed" in said


def test_a_rehearsed_repair_prints_json_and_lets_nothing_go(
    copied: CommandLine, bad_sku: dict[str, Any]
) -> None:
    change = ("errors", "repair", bad_sku["order_number"], "--set", f"{bad_sku['field']}=WID-001")
    assert copied.json(*change, "--resume", "--dry-run")["stored"] is False
    assert copied.json("order", "show", bad_sku["order_number"])["thread"]["state"] == "rejected"


def test_a_long_or_odd_name_of_a_person_is_their_own(copied: CommandLine, bad_sku: dict[str, Any]) -> None:
    change = ("errors", "repair", bad_sku["order_number"], "--set", f"{bad_sku['field']}=WID-001")
    for _ in range(2):
        copied.good(*change, ORDERSYNC_USER="anna " * 40 + "\udcff")


def test_a_repair_that_would_not_pass_fails_with_the_roads_sentence(
    copied: CommandLine, bad_sku: dict[str, Any]
) -> None:
    told = copied.refused(
        1, "errors", "repair", bad_sku["order_number"], "--set", f"{bad_sku['field']}=NOPE-9"
    )
    assert told == "The SKU NOPE-9 does not exist in Business Central."
    assert copied.json("errors", "repair", bad_sku["order_number"])["repairs"] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("errors", "repair", "{n}", "--set", "lines/0/sku"), "must look like name=value"),
        (("errors", "repair", "{n}", "--set", "/number=X"), "cannot be changed here"),
        (("errors", "repair", "{n}", "--set", "{f}=WID-001", "--revision", "99"), "since you looked at it"),
        (("errors", "repair", "{n}", "--withdraw", "{f}"), "No repair of"),
        (("errors", "repair", "BGM-NONE"), "There is no order 'BGM-NONE'"),
        (("errors", "resume"), "Name either orders"),
        (("errors", "resume", "{n}", "--kind", "kit"), "Name either orders"),
        (("errors", "resume", "--site", "nowhere"), "There is no site named 'nowhere'"),
        (("errors", "skip", "{n}", "--reason", "x"), "asks for a confirmation"),
        (("errors", "assign", "{n}"), "either --to NAME or --nobody"),
        (("errors", "comment", "{n}", " "), "Say something"),
        (("held", "release"), "Name either orders"),
        (("retry", "{n}", "--all-soft"), "leave out ORDER"),
    ],
)
def test_wrong_use_is_said_with_exit_code_2(
    copied: CommandLine, bad_sku: dict[str, Any], arguments: tuple[str, ...], told: str
) -> None:
    filled = [each.format(n=bad_sku["order_number"], f=bad_sku["field"]) for each in arguments]
    assert told in copied.refused(2, *filled)


def test_an_order_that_would_stop_again_ends_with_exit_code_3(
    copied: CommandLine, bad_sku: dict[str, Any]
) -> None:
    foreseen = copied.run("errors", "resume", bad_sku["order_number"], "--dry-run", "--json")
    assert (foreseen.exit_code, ended(foreseen)["orders"][0]["result"]) == (3, "would stop")
    done = copied.run("retry", bad_sku["order_number"], "--inline", "--json")
    assert (done.exit_code, ended(done)["runs"][0]["rejected"]) == (3, 1)
    (again,) = copied.json("errors", "show", bad_sku["order_number"])
    assert again["resolved_at"] is None


def test_without_a_broker_the_orders_are_due_and_that_is_said(
    copied: CommandLine, bad_sku: dict[str, Any]
) -> None:
    result = copied.good("errors", "resume", bad_sku["order_number"], **AWAY)
    assert "No worker could be told; the orders are due" in sentence(result.output)
    assert copied.json("order", "show", bad_sku["order_number"])["thread"]["state"] == "active"
    again = copied.good("errors", "resume", bad_sku["order_number"], **AWAY)
    assert "It is on its way" in sentence(again.output)


def test_an_order_is_settled_and_replayed(copied: CommandLine, bad_sku: dict[str, Any]) -> None:
    number = bad_sku["order_number"]
    done = copied.json("errors", "skip", number, "--reason", "written by hand", "--yes")
    assert done["orders"][0]["result"] == "settled"
    assert copied.json("order", "show", number)["thread"]["state"] == "closed"
    again = copied.json("errors", "skip", number, "--reason", "written by hand", "--yes")
    assert again["orders"][0]["reason"] == "It is closed already."
    replayed = copied.run("errors", "replay", number, "--inline", "--json")
    assert (replayed.exit_code, ended(replayed)["runs"][0]["rejected"]) == (3, 1)


def test_errors_are_given_to_somebody_and_talked_about(copied: CommandLine, bad_sku: dict[str, Any]) -> None:
    number = bad_sku["order_number"]
    assert copied.json("errors", "assign", number, "--to", "ben") == {"errors": 1, "assignee": "ben"}
    copied.good("errors", "comment", number, "Asked the supplier.", ORDERSYNC_USER="ben")
    events = copied.json("order", "show", number)["events"]
    assert [(each["event"], each["by"]) for each in events[-1:]] == [("commented", "ben")]
    assert copied.json("errors", "assign", number, "--nobody") == {"errors": 1, "assignee": None}


def hold(copied: CommandLine, bad_sku: dict[str, Any]) -> None:
    """The order that stood in error waits for its SKU instead."""
    execute(
        copied,
        "UPDATE rm_thread SET state = 'held', hold_kind = 'sku', reason = 'Not in the middleware yet: X.',"
        " next_at = '2099-01-01 00:00:00.000000', waiting_since = created_at"
        f" WHERE order_number = '{bad_sku['order_number']}'",
        f"UPDATE rm_error_orders SET open_key = NULL, resolved_at = opened_at WHERE id = {bad_sku['id']}",
    )


def test_held_orders_are_released(copied: CommandLine, bad_sku: dict[str, Any]) -> None:
    hold(copied, bad_sku)
    assert copied.json("held", "list")["held"] == 1
    soft = copied.run("retry", "--all-soft", "--dry-run", "--json")
    assert (soft.exit_code, ended(soft)["orders"][0]["result"]) == (3, "would stop")
    told = copied.run("errors", "resume", bad_sku["order_number"], "--json")
    assert "To try it at once: ordersync held release" in ended(told)["orders"][0]["reason"]

    result = copied.run("held", "release", "--all", "--inline", "--json", ORDERSYNC_USER="ben")
    assert (result.exit_code, ended(result)["orders"][0]["result"]) == (3, "released")
    events = copied.json("order", "show", bad_sku["order_number"])["events"]
    assert [each["by"] for each in events if each["event"] == "released"] == ["ben"]
    assert ended(result)["runs"][0]["rejected"] == 1
    assert copied.json("held", "list")["held"] == 0


def test_a_held_order_is_tried_again_by_who_asks_for_it(copied: CommandLine, bad_sku: dict[str, Any]) -> None:
    hold(copied, bad_sku)
    number = bad_sku["order_number"]
    done = copied.run("retry", number, "--inline", "--json", ORDERSYNC_USER="ben")
    assert ended(done)["orders"][0]["result"] == "released"
    events = copied.json("order", "show", number)["events"]
    assert [each["by"] for each in events if each["event"] == "released"] == ["ben"]


def test_the_web_server_is_no_person_in_the_trail(
    copied: CommandLine, bad_sku: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(copied, bad_sku)
    number = bad_sku["order_number"]

    def forgets_to_name_anybody(program: Program, **_more: Any) -> None:
        store = program.parts.store
        (place,) = store.places(key=number)
        store.adopt(store.open_run(kind="resume"), thread_ids=[place.thread_id])

    monkeypatch.setattr("app.cli.running.create_app", forgets_to_name_anybody)
    monkeypatch.setattr("app.cli.running.serve", lambda *_, **__: None)
    copied.good("web", ORDERSYNC_USER="ben")
    events = copied.json("order", "show", number)["events"]
    assert [each["by"] for each in events if each["event"] == "released"] == [f"web@{socket.gethostname()}"]
