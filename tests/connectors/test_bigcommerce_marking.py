"""Telling a BigCommerce store that orders were taken over: once each, whatever is lost on the way."""

import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from app.connectors.bigcommerce import bodies, marking
from app.connectors.bigcommerce import calls as calls_module
from app.errors import Misconfigured, OrderSyncError, Reject, Retry, Unknown
from app.ports.sales_channel import Seen
from app.sandbox.bigcommerce import READ_ONLY_TOKEN
from tests.connectors.bigcommerce_orders import body
from tests.connectors.bigcommerce_script import Answered, Script, answered
from tests.connectors.bigcommerce_store import Shop, one

LINE = "Exported to middleware [2026-11-21T14:44:01Z]"


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.close()


def added(shop: Shop, count: int = 1, **changes: object) -> list[str]:
    return [str(each) for each in shop.store.generate(count, overrides=changes)]


def test_the_mark_is_a_status_and_a_line_below_what_the_staff_wrote(shop: Shop) -> None:
    (order_id,) = added(shop, staff_notes="Fragile!\nCall first")
    outcome = shop.open().acknowledge([order_id])[order_id]
    assert isinstance(outcome, Seen)
    assert (outcome.marked, outcome.eligible, outcome.status) == (True, True, "Awaiting Shipment (9)")
    assert shop.notes(order_id) == f"Fragile!\nCall first\n{LINE}"
    assert shop.status(order_id) == 9


def test_nothing_but_the_status_and_the_notes_is_sent(shop: Shop) -> None:
    (order_id,) = added(shop)
    before = shop.store.order(int(order_id))
    shop.open().acknowledge([order_id])
    after = shop.store.order(int(order_id))
    changed = {key for key in after if before.get(key) != after[key]}
    assert changed <= {"status_id", "status", "custom_status", "staff_notes", "date_modified"}


def test_a_second_time_nothing_is_written_at_all(shop: Shop) -> None:
    channel = shop.open()
    ids = added(shop, 3)
    first = channel.acknowledge(ids)
    shop.calls()
    shop.advance(60)
    assert channel.acknowledge(ids) == first
    assert "PUT /v2/orders/{id}" not in shop.calls()


def test_a_marked_order_that_came_back_into_its_status_gets_the_status_and_no_second_line(shop: Shop) -> None:
    channel = shop.open()
    (order_id,) = added(shop)
    channel.acknowledge([order_id])
    shop.store.update(int(order_id), {"status_id": 11})
    shop.advance(600)
    channel.acknowledge([order_id])
    assert shop.status(order_id) == 9
    assert shop.notes(order_id) == LINE


@pytest.mark.parametrize("status", [5, 4, 2, 9])
def test_an_order_that_somebody_has_taken_elsewhere_is_left_as_it_is(shop: Shop, status: int) -> None:
    (order_id,) = added(shop)
    shop.store.update(int(order_id), {"status_id": status})
    outcome = shop.open().acknowledge([order_id])[order_id]
    assert isinstance(outcome, Seen)
    assert (outcome.marked, outcome.eligible) == (False, False)
    assert (shop.status(order_id), shop.notes(order_id)) == (status, "")
    assert "PUT /v2/orders/{id}" not in shop.calls()


def test_an_archived_order_is_left_as_it_is(shop: Shop) -> None:
    (order_id,) = added(shop)
    shop.store.archive(int(order_id))
    outcome = shop.open().acknowledge([order_id])[order_id]
    assert isinstance(outcome, Seen)
    assert not outcome.eligible
    assert shop.notes(order_id) == ""


def test_a_hundred_neighbours_cost_a_hundred_updates_and_five_reads(shop: Shop) -> None:
    ids = added(shop, 100)
    shop.calls()
    outcomes = shop.open().acknowledge(ids)
    assert all(isinstance(each, Seen) and each.marked for each in outcomes.values())
    assert shop.calls() == {"GET /v2/orders": 5, "PUT /v2/orders/{id}": 100}


def test_full_staff_notes_are_a_rejection_that_says_so_and_leave_the_order_alone(shop: Shop) -> None:
    full, other = added(shop, 2)
    shop.store.update(int(full), {"staff_notes": "é" * 32_760})
    outcomes = shop.open().acknowledge([full, other])
    refused = outcomes[full]
    assert isinstance(refused, Reject)
    assert (refused.kind, "staff notes" in refused.reason) == ("platform", True)
    assert shop.status(full) == 11
    assert shop.status(other) == 9


@pytest.mark.parametrize(
    "fault", ["reset", "reset_after", "timeout_after", "500", "500_after", "504", "garbage", "empty", "html"]
)
def test_an_update_without_a_good_answer_is_unknown_and_marks_once_when_made_again(
    shop: Shop, fault: str
) -> None:
    channel = shop.open(http_timeout=1)
    lost, other = added(shop, 2, staff_notes="Fragile!")
    shop.store.add_fault(fault, method="PUT", path=f"/{lost}$", seconds=2)
    outcomes = channel.acknowledge([lost, other])
    assert isinstance(outcomes[lost], Unknown)
    shop.store.faults.clear()
    again = channel.acknowledge([lost, other])
    assert all(isinstance(each, Seen) and each.marked for each in again.values())
    assert shop.notes(lost) == shop.notes(other) == f"Fragile!\n{LINE}"


@pytest.mark.parametrize("fault", ["409", "423"])
def test_an_update_that_was_certainly_not_made_is_a_retry(shop: Shop, fault: str) -> None:
    locked, other = added(shop, 2)
    shop.store.add_fault(fault, method="PUT", path=f"/{locked}$")
    outcomes = shop.open().acknowledge([locked, other])
    assert isinstance(outcomes[locked], Retry)
    assert shop.status(locked) == 11
    assert isinstance(outcomes[other], Seen)


def test_an_update_that_the_store_has_no_room_for_now_goes_out_again(shop: Shop) -> None:
    shop.close()
    shop.__init__({"window_seconds": 0.4})  # type: ignore[misc] # A store whose window ends soon.
    (order_id,) = added(shop)
    shop.store.add_fault("429", method="PUT")
    outcome = shop.open().acknowledge([order_id])[order_id]
    assert isinstance(outcome, Seen)
    assert shop.notes(order_id) == LINE
    assert shop.calls()["PUT /v2/orders/{id}"] == 2


def test_a_store_that_refuses_without_saying_how_long_is_left_alone_for_a_while(shop: Shop) -> None:
    ids = added(shop, 30)
    shop.store.add_fault("429_bare", method="PUT", times=1000)
    channel = shop.open(parallel="1")
    with pytest.raises(Retry) as error:
        channel.acknowledge(ids)
    assert error.value.after is not None
    assert error.value.after >= 10
    assert shop.calls()["PUT /v2/orders/{id}"] == 1


def test_a_token_that_may_only_read_stops_the_site(shop: Shop) -> None:
    ids = added(shop, 3)
    with pytest.raises(Misconfigured) as error:
        shop.open(token=READ_ONLY_TOKEN).acknowledge(ids)
    assert error.value.mend == ("credential token",)
    assert "modify" in error.value.reason


def test_an_order_that_goes_away_between_look_and_update_is_gone(shop: Shop) -> None:
    gone, other = added(shop, 2)
    shop.store.add_fault("404", method="PUT", path=f"/{gone}$")
    outcomes = shop.open().acknowledge([gone, other, "x7", "007"])
    for each in (gone, "x7", "007"):
        refused = outcomes[each]
        assert isinstance(refused, Reject)
        assert refused.kind == "gone"
    assert isinstance(outcomes[other], Seen)


def test_marks_that_cannot_be_looked_at_afterwards_are_unknown_and_the_rest_waits(shop: Shop) -> None:
    ids = added(shop, 60)
    # The first look succeeds, all later ones fail.
    shop.store.add_fault("500", method="GET", path="/orders$", skip=1, times=100)
    with pytest.raises(Unknown):
        shop.open().acknowledge(ids)
    shop.store.faults.clear()
    assert [shop.status(each) for each in ids] == [9] * 25 + [11] * 35
    outcomes = shop.open().acknowledge(ids)
    assert all(isinstance(each, Seen) and each.marked for each in outcomes.values())
    assert {shop.notes(each).count("Exported") for each in ids} == {1}


def test_what_there_is_no_time_for_is_left_for_later_and_the_call_ends_in_time(shop: Shop) -> None:
    ids = added(shop, 100)
    ticks = iter(range(10_000))
    # Each look at the clock takes a tenth of a second.
    channel = shop.open(clock=lambda: next(ticks) / 10, parallel="1", http_timeout=20)
    outcomes = channel.acknowledge(ids)
    assert next(ticks) / 10 < 23
    done = [each for each, outcome in outcomes.items() if isinstance(outcome, Seen)]
    waiting = [each for each, outcome in outcomes.items() if isinstance(outcome, Retry)]
    assert done
    assert waiting
    assert all(shop.status(each) == 9 for each in done)
    assert all(shop.status(each) == 11 for each in waiting)


@pytest.mark.parametrize("seed", range(6))
def test_however_often_answers_are_lost_each_order_carries_one_line(shop: Shop, seed: int) -> None:
    """Faults of every kind on a tenth of the calls, and tries until all are marked: what the staff wrote stays, our line is one."""
    chance = random.Random(seed)
    ids = added(shop, 40, staff_notes="Staff's own words")
    channel = shop.open(http_timeout=3)
    waiting = set(ids)
    for _ in range(30):
        for _ in range(4):
            kind = chance.choice(
                ["reset", "reset_after", "500", "500_after", "garbage", "409", "503_maintenance", "truncated"]
            )
            shop.store.add_fault(kind, method=chance.choice(["PUT", "GET"]), skip=chance.randrange(40))
        try:
            outcomes = channel.acknowledge(sorted(waiting, key=int))
        except (Retry, Unknown):
            continue
        for each, outcome in outcomes.items():
            if isinstance(outcome, Seen):
                assert outcome.marked
                waiting.discard(each)
            else:
                assert isinstance(outcome, OrderSyncError)
        shop.advance(7)
        if not waiting:
            break
    assert not waiting
    for each in ids:
        written = shop.notes(each).splitlines()
        assert written[0] == "Staff's own words"
        assert len(written) == 2
        assert shop.status(each) == 9


def test_the_mark_is_found_again_whoever_rewrote_the_notes_around_it(shop: Shop) -> None:
    (order_id,) = added(shop)
    channel = shop.open()
    channel.acknowledge([order_id])
    marked_hash = one(channel, order_id).content_hash
    shop.store.update(int(order_id), {"staff_notes": f"Added above\r\n  {shop.notes(order_id)}\r\nand below"})
    found = one(channel, order_id)
    assert found.marked
    assert found.content_hash != marked_hash  # A note of the staff's is news.
    assert json.loads(found.body)["staff_notes"].count("Exported") == 1


def test_an_order_that_is_cancelled_while_its_update_waits_for_the_quota_is_left_as_it_is(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "_FRESH", 0.2)
    shop.close()
    shop.__init__({"quota": 6, "window_seconds": 0.8})  # type: ignore[misc] # A store with room for three of our calls.
    cancelled, other = added(shop, 2)

    def cancel_and_wait(seconds: float) -> None:
        if shop.status(cancelled) == 11:
            shop.store.update(int(cancelled), {"status_id": 5, "staff_notes": "Customer called: cancel!"})
        time.sleep(seconds)

    channel = shop.open(sleep=cancel_and_wait, quota_reserve="3")
    channel.probe()
    channel.probe()
    outcomes = channel.acknowledge([cancelled, other])
    assert shop.notes(cancelled) == "Customer called: cancel!"
    assert shop.status(cancelled) == 5
    stands = outcomes[cancelled]
    assert isinstance(stands, Seen)
    assert not stands.eligible
    assert isinstance(outcomes[other], Seen)
    assert shop.notes(other) == LINE


def test_half_a_surrogate_pair_in_the_notes_is_kept_and_harms_no_neighbour() -> None:
    rows = {"118": json.loads(body(staff_notes="bad \ud83d")), "119": json.loads(body(id=119))}

    def store(method: str, path: str) -> Answered:
        if method == "GET":
            return answered(list(rows.values()))
        order = rows[path.rpartition("/")[2]]
        order |= json.loads(script.sent[-1])
        return answered(order)

    with Script(store) as script:
        outcomes = script.open(parallel="1").acknowledge(["118", "119"])
    assert all(isinstance(each, Seen) and each.marked for each in outcomes.values())
    assert rows["118"]["staff_notes"].startswith("bad \ud83d\nExported to middleware [")


@pytest.mark.parametrize("parallel", ["1", "4"])
def test_what_goes_wrong_with_one_order_unforeseen_is_its_own_outcome(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, parallel: str
) -> None:
    odd, other = added(shop, 2)
    whole = bodies.identifier

    def failing(given: Any) -> str | None:
        if str(given["id"]) == odd:
            raise ZeroDivisionError
        return whole(given)

    monkeypatch.setattr(marking, "identifier", failing)
    outcomes = shop.open(parallel=parallel).acknowledge([odd, other])
    assert isinstance(outcomes[odd], Unknown)
    assert isinstance(outcomes[other], Seen)


def test_a_mark_that_only_the_answer_to_the_update_shows_is_unknown() -> None:
    before = body()
    with (
        Script(
            lambda method, _path: answered(
                {**json.loads(before), "status_id": 9, "staff_notes": LINE}
                if method == "PUT"
                else [json.loads(before)]
            )
        ) as script,
        pytest.raises(Unknown) as error,
    ):
        script.open().acknowledge(["118"])
    assert "does not show that yet" in error.value.reason


def test_an_order_that_no_list_shows_waits_and_its_neighbour_is_marked() -> None:
    rows = {each: json.loads(body(id=int(each))) for each in ("118", "119")}

    def store(method: str, path: str) -> Answered:
        order = rows.get(path.rpartition("/")[2])
        if order is None:
            return answered([rows["119"]])
        if method == "PUT":
            order |= json.loads(script.sent[-1])
        return answered(order)

    with Script(store) as script:
        outcomes = script.open(parallel="1").acknowledge(["118", "119"])
    assert isinstance(outcomes["118"], Retry)
    assert rows["118"]["status_id"] == 11
    assert isinstance(outcomes["119"], Seen)


def test_a_marked_order_that_no_list_shows_any_more_is_unknown() -> None:
    order = json.loads(body())

    def store(method: str, path: str) -> Answered:
        if method == "PUT":
            order.update(json.loads(script.sent[-1]))
        if path.startswith("/v2/orders?"):
            return answered([order] if order["status_id"] == 11 else [])
        return answered(order)

    with Script(store) as script, pytest.raises(Unknown) as error:
        script.open().acknowledge(["118"])
    assert "could not be looked at afterwards" in error.value.reason


def test_a_mark_that_nothing_shows_is_a_rejection() -> None:
    before = json.loads(body())
    with Script(lambda method, _path: answered(before if method == "PUT" else [before])) as script:
        outcome = script.open().acknowledge(["118"])["118"]
    assert isinstance(outcome, Reject)
    assert outcome.kind == "settings"
