"""The API as programs change things by it: what is done, under whose name, once for each key, and nothing where it is refused."""

import json
import threading
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from app.ports.accounts import Scope
from app.sync import settle
from app.sync.panel import accounts
from app.web.api import idempotency
from tests.pipeline.world import MakeWorld, World
from tests.web.office import Office
from tests.web.programs import PREFIX, Program, busy_world, read
from tests.web.test_api import stored

REPAIR = {"changes": {"/lines/0/sku": "WID-001"}, "reason": "as the customer wrote", "resume": True}


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return busy_world(make_world)


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


@pytest.fixture
def program(office: Office) -> Program:
    return Program(office)


def error_of(program: Program, number: str) -> dict[str, Any]:
    (found,) = [each for each in program.page("/errors")["items"] if each["order_number"] == number]
    return dict(found)


def path_of(program: Program, number: str) -> str:
    return f"/errors/{error_of(program, number)['id']}"


def settled(world: World, office: Office) -> dict[int, str]:
    """How the orders end once the workers have heard of what was rung."""
    world.road.run_due()
    for bell in office.doors.rung:
        world.road.ring(bell)
    world.settle()
    return world.ends()


def rung(office: Office) -> int:
    return len(office.doors.rung)


# What is done.


def test_a_repaired_order_goes_on_to_the_erp_under_the_programs_name(
    program: Program, office: Office, world: World
) -> None:
    path = path_of(program, "BGM-5")
    fields = program.page(f"{path}/fields")
    done = program.done(f"{path}/repair", {**REPAIR, "revision": fields["revision"]})
    assert done["changes"] == [{"pointer": "/lines/0/sku", "before": "NEW-1", "after": "WID-001"}]
    assert (done["stored"], done["resumed"]["end"]) == (True, "resumed")
    assert rung(office) == 1
    assert settled(world, office)[5] == "done"
    order = program.page(f"/orders/{done['order_id']}")
    assert (order["lines"][0]["sku"], order["total"]) == ("WID-001", "19.99")
    by = {each["by"] for each in order["events"] if "repair" in each["event"] or each["event"] == "resumed"}
    assert by == {"api:t0"}
    assert program.page("/errors", kind="bad_sku")["items"] == []


def test_a_repair_is_only_foreseen_where_that_was_asked_for(program: Program, office: Office) -> None:
    path = path_of(program, "BGM-5")
    before = stored(office)[:4]
    done = program.done(f"{path}/repair", {**REPAIR, "dry_run": True})
    assert (done["stored"], done["resumed"]) == (False, None)
    assert done["foreseen"]
    assert stored(office)[:4] == before
    assert rung(office) == 0


def test_a_repair_with_which_it_would_be_rejected_again_is_not_stored(
    program: Program, office: Office
) -> None:
    path = path_of(program, "BGM-3")
    before = stored(office)[:4]
    found = read(program.post(f"{path}/repair", {"changes": {"/total": "28.99"}}), 422)
    assert "28.99" in found["detail"]
    assert found["errors"] == [{"in": "body", "field": "/total", "detail": found["detail"]}]
    assert stored(office)[:4] == before


@pytest.mark.parametrize("amount", ["19.99", Decimal("19.99")])
def test_an_amount_is_taken_as_it_was_written(
    program: Program, world: World, office: Office, amount: Any
) -> None:
    path = path_of(program, "BGM-3")
    text = '{"changes": {"/total": %s}}' % (json.dumps(amount) if isinstance(amount, str) else "19.99")
    answer = program.post(f"{path}/repair", data=text, content_type="application/json")
    assert read(answer, 200)["changes"] == [{"pointer": "/total", "before": "29.99", "after": "19.99"}]
    assert program.done(f"{path}/resume")["end"] == "resumed"
    assert settled(world, office)[3] == "done"


REFUSED: tuple[Any, ...] = (
        {}, {"changes": {"": "x"}}, {"changes": {"nope": "x"}}, {"changes": {"/lines/9/sku": "x"}}, {"changes": {"/number": "x"}},
        {"changes": {"/ship/country": "XX"}}, {"changes": {"/lines/0/sku": None}}, {"changes": {"/lines/0/sku": []}},
        {"changes": []}, {"changes": {"/ship/city": "x" * 10_001}}, {"changes": {"/ship/city": "\x00"}}, {"withdraw": ["/ship/city"]},
        {"withdraw": "/ship/city"}, {"changes": {"/ship/city": "X"}, "revision": -1}, {"changes": {"/ship/city": "X"}, "revision": "1"},
        {"changes": {"/ship/city": "X"}, "revision": 2**31}, {"changes": {"/ship/city": "X"}, "dry_run": "true"},
        {"changes": {"/ship/city": "X"}, "force": True},
)  # fmt: skip


def test_what_cannot_be_repaired_so_is_refused_and_nothing_is_stored(
    program: Program, office: Office
) -> None:
    path = path_of(program, "BGM-5")
    before = stored(office)[:4]
    for body in REFUSED:
        answer = program.post(f"{path}/repair", body)
        assert answer.status_code == 422, (body, answer.text)
        assert read(answer, 422)["detail"]
        assert stored(office)[:4] == before, body


def test_a_number_that_is_too_long_is_refused(program: Program) -> None:
    path = path_of(program, "BGM-5")
    text = '{"changes": {"/lines/0/amount": 1e400}}'
    found = read(program.post(f"{path}/repair", data=text, content_type="application/json"), 422)
    assert found["errors"][0]["detail"] == "The number is too long."


def test_a_repair_of_an_older_revision_is_refused(program: Program, office: Office) -> None:
    path = path_of(program, "BGM-5")
    revision = program.page(f"{path}/fields")["revision"]
    program.done(f"{path}/repair", {"changes": {"/lines/0/sku": "WID-001"}, "revision": revision})
    before = stored(office)[:4]
    found = read(
        program.post(f"{path}/repair", {"changes": {"/ship/city": "Oslo"}, "revision": revision}), 409
    )
    assert "has been changed since" in found["detail"]
    assert stored(office)[:4] == before


def test_an_order_is_settled_as_it_is(program: Program, office: Office, world: World) -> None:
    path = path_of(program, "BGM-6")
    assert program.done(f"{path}/skip", {"reason": "written by hand"})["end"] == "settled"
    assert world.ends()[6] == "closed"
    for what, body in (
        ("skip", {"reason": "x"}),
        ("resume", {}),
        ("assign", {"to": "x"}),
        ("repair", REPAIR),
    ):
        before = stored(office)[:4]
        found = read(program.post(f"{path}/{what}", body), 409)
        assert "was resolved" in found["detail"]
        assert stored(office)[:4] == before
    read(program.get(f"{path}/fields"), 409)
    assert program.done(f"{path}/comment", {"text": "as agreed"})["order"] == "BGM-6"


def test_an_error_that_would_stop_again_says_so_beforehand(program: Program, office: Office) -> None:
    path = path_of(program, "BGM-3")
    before = stored(office)[:4]
    found = program.done(f"{path}/resume", {"dry_run": True, "replay": True})
    assert found["end"] == "would stop"
    assert stored(office)[:4] == before


def test_what_only_some_orders_can_is_refused_for_others(program: Program, office: Office) -> None:
    path = path_of(program, "BGM-5")
    found = read(program.post(f"{path}/resume", {"send_again": True}), 409)
    assert "deleted in the ERP" in found["detail"]
    assert rung(office) == 0


def test_an_order_is_tried_again_whether_it_is_held_or_done(program: Program, office: Office) -> None:
    found = {each["order_number"]: each["id"] for each in program.page("/orders")["items"]}
    assert program.done(f"/orders/{found['BGM-7']}/retry", {"dry_run": True})["end"] == "would stop"
    assert rung(office) == 0
    assert program.done(f"/orders/{found['BGM-7']}/retry")["end"] == "released"
    assert rung(office) == 1
    assert office.world.rows("SELECT \"by\" FROM rm_event WHERE event = 'released'") == [{"by": "api:t0"}]
    assert program.done(f"/orders/{found['BGM-1']}/retry")["end"] == "nothing done"
    assert rung(office) == 1


def test_errors_are_given_to_somebody_and_taken_back(program: Program) -> None:
    path = path_of(program, "BGM-3")
    assert program.done(f"{path}/assign", {"to": " anna "}) == {"errors": 1, "assignee": "anna"}
    assert program.page(path)["assignee"] == "anna"
    assert program.done(f"{path}/assign", {"to": None}) == {"errors": 1, "assignee": None}
    assert program.page(path)["assignee"] is None
    read(program.post(f"{path}/assign", {}), 422)


def test_a_site_is_switched_off_and_on(program: Program) -> None:
    assert program.done("/sites/bgm/pause") == {"name": "bgm", "active": False, "unfinished": 1}
    assert program.page("/sites")["items"][0]["active"] is False
    assert program.done("/sites/bgm/resume")["active"] is True
    assert program.page("/sites/bgm")["active"] is True
    read(program.post("/sites/nope/pause"), 404)


@pytest.mark.parametrize("broker_is_there", [True, False])
def test_a_run_is_owed_whether_or_not_the_broker_takes_it(
    program: Program, office: Office, broker_is_there: bool
) -> None:
    office.doors.is_there = broker_is_there
    run = read(program.post("/runs", {"site": "bgm"}), 202)
    assert (run["site"], run["kind"], run["state"], run["finished_at"]) == ("bgm", "orders", "running", None)
    site_id = office.world.site_id
    assert office.doors.sent == [("fetch", {"site_id": site_id, "run_id": run["id"], "site": "bgm"})]
    assert [each.run_id for each in office.panel.store.unread_runs(rung_before=0.0)] == [run["id"]]
    assert program.page(f"/runs/{run['id']}")["id"] == run["id"]
    assert "'nope'" in read(program.post("/runs", {"site": "nope"}), 422)["detail"]


# Under whose name.


def test_every_change_is_noted_under_the_tokens_name_without_what_people_said(
    program: Program, office: Office
) -> None:
    path = path_of(program, "BGM-5")
    program.done(
        f"{path}/repair",
        {"changes": {"/lines/0/sku": "WID-001", "/ship/city": "Secretville"}, "reason": "Ada Example phoned"},
    )
    program.post(f"{path}/repair", {"changes": {"/number": "1"}})
    program.done(f"{path}/comment", {"text": "Ada Example phoned"})
    noted = office.panel.store.actions(before=None, limit=10)
    assert [(each.by, each.via, each.action, each.target) for each in noted] == [
        ("api:t0", "api", "errors.comment", path.rpartition("/")[2]),
        ("api:t0", "api", "errors.repair", path.rpartition("/")[2]),
        ("api:t0", "api", "errors.repair", path.rpartition("/")[2]),
    ]
    assert [each.outcome.partition(":")[0] for each in noted] == ["done", "refused", "done"]
    assert noted[2].detail["fields"] == ["/lines/0/sku", "/ship/city"]
    assert not any(word in str(noted) for word in ("Secretville", "Ada"))


def test_looking_and_what_is_refused_at_the_door_are_not_noted(program: Program, office: Office) -> None:
    program.page("/orders")
    read(program.post("/runs", {}), 422)
    read(Program(office, Scope.RUNS_READ).post("/runs", {"site": "bgm"}), 403)
    assert office.panel.store.actions(before=None, limit=10) == ()


# Once.


def test_the_same_request_under_the_same_key_is_done_once_and_answered_alike(
    program: Program, office: Office
) -> None:
    first = program.post("/runs", {"site": "bgm"}, key="a")
    again = program.post("/runs", data=b' {"site" : "bgm"} ', content_type="application/json", key="a")
    assert (again.status_code, again.text, again.content_type) == (202, first.text, first.content_type)
    assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
    assert len(office.doors.sent) == 1
    assert program.post("/runs", {"site": "bgm"}, key="b").text != first.text
    assert Program(office).post("/runs", {"site": "bgm"}, key="a").text != first.text
    assert len(office.doors.sent) == 3


def test_another_request_under_the_same_key_is_refused(program: Program, office: Office) -> None:
    path = path_of(program, "BGM-5")
    program.done(f"{path}/comment", {"text": "one"}, key="a")
    before = stored(office)
    for other, body in (
        (f"{path}/comment", {"text": "two"}),
        (f"{path}/skip", {"reason": "one"}),
        ("/runs", {"site": "bgm"}),
    ):
        found = read(program.post(other, body, key="a"), 422)
        assert found["errors"][0]["field"] == "Idempotency-Key"
        assert stored(office) == before


def test_a_key_is_good_for_another_request_after_a_day(program: Program, office: Office) -> None:
    program.post("/runs", {"site": "bgm"}, key="a")
    office.world.clock.advance(idempotency.KEPT_SECONDS + 1)
    program.post("/runs", {"site": "bgm"}, key="a")
    assert len(office.doors.sent) == 2


def test_what_cannot_be_a_key_is_refused(program: Program, office: Office) -> None:
    for key in ("", " ", "a b", "x" * 256, "é"):
        found = read(program.post("/runs", {"site": "bgm"}, key=key), 422)
        assert found["errors"][0]["in"] == "header"
    assert office.doors.sent == []


def test_a_request_that_was_refused_may_be_corrected_under_its_key(program: Program) -> None:
    path = path_of(program, "BGM-5")
    read(program.post(f"{path}/repair", {"changes": {"/number": "1"}}, key="a"), 422)
    assert program.done(f"{path}/repair", {"changes": {"/lines/0/sku": "WID-001"}}, key="a")["stored"] is True
    read(program.post("/orders/99/retry", {}, key="b"), 404)
    read(program.post(f"{path}/resume", {"send_again": True}, key="b"), 409)
    assert program.done(f"{path}/comment", {"text": "x"}, key="b")["order"] == "BGM-5"


def test_of_many_at_once_one_is_done(program: Program, office: Office) -> None:
    path, answers = path_of(program, "BGM-6"), []
    barrier = threading.Barrier(8)

    def send() -> None:
        client = office.app.test_client()
        barrier.wait()
        headers = {**program.headers, "Idempotency-Key": "a"}
        answers.append(client.post(f"{PREFIX}{path}/comment", json={"text": "once"}, headers=headers))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    statuses = sorted(each.status_code for each in answers)
    assert set(statuses) <= {200, 409}
    assert sum("Idempotent-Replayed" not in each.headers for each in answers if each.status_code == 200) == 1
    noted = office.world.rows("SELECT * FROM rm_event WHERE event = 'commented'")
    assert len(noted) == 1


def test_a_request_that_was_cut_off_is_never_done_again_under_its_key(
    program: Program, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(program, "BGM-5")
    real = settle.comment

    def cut_off(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(settle, "comment", cut_off)
    with pytest.raises(KeyboardInterrupt):
        program.post(f"{path}/comment", {"text": "once"}, key="a")
    monkeypatch.undo()
    found = read(program.post(f"{path}/comment", {"text": "once"}, key="a"), 409)
    assert "may or may not have been done" in found["detail"]
    assert len(office.world.rows("SELECT * FROM rm_event WHERE event = 'commented'")) == 1


@pytest.mark.parametrize("failure", [ZeroDivisionError(), OperationalError("x", {}, Exception())])
def test_a_request_that_failed_midway_is_in_doubt(
    program: Program, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    path = path_of(program, "BGM-5")

    def failing(*_args: Any, **_kwargs: Any) -> None:
        raise failure

    monkeypatch.setattr(settle, "comment", failing)
    assert program.post(f"{path}/comment", {"text": "once"}, key="a").status_code in {500, 503}
    monkeypatch.undo()
    read(program.post(f"{path}/comment", {"text": "once"}, key="a"), 409)


def test_neither_keys_nor_tokens_are_stored(program: Program, office: Office) -> None:
    program.post("/runs", {"site": "bgm"}, key="a-key-of-a-program")
    kept = str(office.world.rows("SELECT * FROM rm_idempotency"))
    assert "a-key-of-a-program" not in kept
    assert accounts.digest("a-key-of-a-program") in kept
    assert program.key not in kept
