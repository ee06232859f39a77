"""The maintenance window: Sunday 19:00 to Monday 04:00 UTC. Everything pauses, says so, and resumes; nothing takes it away."""

import inspect
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.bootstrap import pipeline
from app.domain.road import LINKS, Link, Owed
from app.ports.store import Bell
from app.sandbox.erp.records import put
from app.sync.schedule import tick
from tests.pipeline.world import ROOMY, MakeWorld, World, kit_order, plain_order

# About the clock.
pytestmark = pytest.mark.once

OPENS = datetime(2026, 11, 29, 19, 0, tzinfo=UTC)
ENDS = datetime(2026, 11, 30, 4, 0, tzinfo=UTC)
LONGEST_TASK = timedelta(seconds=float(ROOMY["soft"]))
"""A task looks at the clock once and may then call until its soft time limit, so that this is the longest call there can be."""
DONE = ("done", "deliver", "")


def _forget_requests(world: World) -> None:
    world.erp.forget_requests()
    world.shop_requests_before = len(world.shop_requests())


def _requests_since(world: World) -> int:
    return len(world.shop_requests()) - world.shop_requests_before + len(world.erp.requests())


@pytest.mark.parametrize(
    ("_case", "moment", "left"),
    [
        ("at its start", OPENS, "9 h 00 min left"),
        ("half an hour in", OPENS + timedelta(minutes=30), "8 h 30 min left"),
        ("after midnight", ENDS - timedelta(hours=1, minutes=5), "1 h 05 min left"),
        ("in its last minutes", ENDS - timedelta(minutes=12), "12 min left"),
        ("in its last second", ENDS - timedelta(seconds=1), "1 min left"),
    ],
)
def test_a_run_inside_the_window_says_so_with_the_time_left_and_does_nothing(
    make_world: MakeWorld, _case: str, moment: datetime, left: str
) -> None:
    world = make_world(orders=[plain_order(701)], at=OPENS - timedelta(hours=1), frozen=True)
    world.clock.move_to(moment)
    _forget_requests(world)

    run = world.run()

    assert (world.fetched.state, run.state) == ("paused", "paused")
    assert run.reason == world.fetched.reason
    assert "Maintenance window until Mon 04:00 UTC" in run.reason
    assert f"({left})" in run.reason
    assert run.finished_at == moment
    assert _requests_since(world) == 0
    assert world.states() == {}
    assert world.cursor() is None


@pytest.mark.parametrize(
    ("_case", "moment", "closed"),
    [
        ("longer before it than the longest task", OPENS - LONGEST_TASK - timedelta(seconds=1), False),
        (
            "just before the longest task could reach it",
            OPENS - LONGEST_TASK - timedelta(milliseconds=1),
            False,
        ),
        ("when the longest task would reach it", OPENS - LONGEST_TASK, True),
        ("at its start", OPENS, True),
        ("just before its end", ENDS - timedelta(milliseconds=1), True),
        ("at its end", ENDS, False),
        ("the Sunday afternoon before", OPENS - timedelta(hours=6), False),
        ("the same hour on Saturday", OPENS - timedelta(days=1), False),
        ("the next week's", OPENS + timedelta(days=7, hours=3), True),
    ],
)
def test_the_window_closes_early_by_the_longest_task_and_ends_on_time(
    make_world: MakeWorld, _case: str, moment: datetime, closed: bool
) -> None:
    world = make_world(orders=[plain_order(702)], at=OPENS - timedelta(days=2), frozen=True)
    world.clock.move_to(moment)
    world.run()
    assert (world.fetched.state == "paused") is closed
    assert (world.sync_items().state == "paused") is closed


def test_the_item_sync_pauses_and_resumes(make_world: MakeWorld) -> None:
    world = make_world(at=OPENS + timedelta(hours=2), frozen=True, items=False)
    _forget_requests(world)
    paused = world.sync_items()
    assert paused.state == "paused"
    assert "7 h 00 min left" in paused.reason
    assert _requests_since(world) == 0
    world.clock.move_to(ENDS)
    done = world.sync_items()
    assert (done.state, done.new) == ("done", 15)


@pytest.mark.parametrize("link", LINKS)
def test_a_step_that_meets_the_window_holds_its_orders_until_the_end(
    make_world: MakeWorld, link: Link
) -> None:
    world = make_world(
        orders=[plain_order(703), kit_order(704)], at=OPENS - timedelta(minutes=10), frozen=True
    )
    bells = world.fetch()
    before = LINKS[: LINKS.index(link)]
    if before:
        world.walk(bells, last=before[-1])
    world.clock.move_to(OPENS + timedelta(minutes=1))
    counts = world.counts()
    _forget_requests(world)

    world.walk(bells, first=link)
    world.settle()

    assert _requests_since(world) == 0
    assert world.ends() == {703: "held", 704: "held"}
    for _, _, reason in world.states().values():
        assert "Maintenance window until Mon 04:00 UTC (8 h 59 min left)" in reason
    assert {name: world.counts()[name] for name in ("written", "acknowledged", "exported")} == {
        name: counts[name] for name in ("written", "acknowledged", "exported")
    }
    assert not world.errors()

    world.clock.move_to(ENDS - timedelta(seconds=1))
    world.settle()
    assert _requests_since(world) == 0

    world.clock.move_to(ENDS + timedelta(seconds=61))
    world.settle(through_holds=True)
    assert world.states() == {703: DONE, 704: DONE}
    assert world.document_numbers() == ["BGM-703", "BGM-704"]
    assert world.marked() == {703, 704}


def test_a_write_in_doubt_when_the_window_begins_is_looked_up_afterwards(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(705)], at=OPENS - timedelta(minutes=1), frozen=True)
    bells = world.fetch()
    world.walk(bells, last=Owed.ACKNOWLEDGE)
    world.erp.faults.order({"kind": "reset_after", "match": {"operation": r"salesOrders$"}})
    world.walk(bells, first=Owed.EXPORT)
    world.clock.move_to(OPENS)
    world.settle()
    assert world.ends() == {705: "held"}
    world.clock.move_to(ENDS + timedelta(minutes=2))
    world.settle(through_holds=True)
    assert world.states() == {705: DONE}
    assert world.document_numbers() == ["BGM-705"]


def test_a_scheduled_run_inside_the_window_stays_due_and_runs_when_it_ends(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(706)], at=OPENS - timedelta(hours=2), frozen=True)
    world.clock.move_to(OPENS + timedelta(hours=2))
    assert world.site_id in [site.id for site in tick(world.parts).sites]
    rung: list[Bell] = []
    paused = pipeline.fetch(world.parts, site_id=world.site_id, ring=rung.append)
    assert (paused.state, rung) == ("paused", [])
    world.clock.move_to(ENDS)
    assert world.site_id in [site.id for site in tick(world.parts).sites]
    read = pipeline.fetch(world.parts, site_id=world.site_id, ring=rung.append)
    assert (read.state, len(rung)) == ("read", 1)
    assert world.site_id not in [site.id for site in tick(world.parts).sites]


def test_an_order_held_for_its_sku_does_not_lose_its_reason_to_the_window(make_world: MakeWorld) -> None:
    body = plain_order(707)
    body["line_items"][0]["sku"] = "BIG-1"
    world = make_world(orders=[body], at=OPENS - timedelta(minutes=30), frozen=True)
    world.erp.faults.clear()
    _put_item(world, "BIG-1")
    world.run()
    assert "Not in the middleware yet: BIG-1" in world.states()[707][2]
    world.clock.move_to(ENDS + timedelta(minutes=5))
    assert world.sync_items().new == 1
    world.settle(through_holds=True)
    assert world.states() == {707: DONE}


def _put_item(world: World, number: str) -> None:
    with world.erp.lock:
        put(world.erp.books, "items", {"number": number})


# Further windows.


@pytest.mark.parametrize("windows", ["", "wed 11:00 120", "sun 18:00 30", "mon 03:00 10 Europe/Berlin"])
def test_no_setting_takes_the_window_away(make_world: MakeWorld, windows: str) -> None:
    world = make_world(
        orders=[plain_order(708)],
        erp_settings={"windows": windows},
        at=OPENS + timedelta(hours=4),
        frozen=True,
        items=False,
    )
    world.run()
    assert world.fetched.state == "paused"
    assert "until Mon 04:00 UTC" in world.fetched.reason


@pytest.mark.parametrize(
    ("_case", "windows", "moment", "until"),
    [
        ("in UTC", "wed 11:00 120", datetime(2026, 11, 25, 12, 0, tzinfo=UTC), "Wed 13:00"),
        (
            "in winter's Berlin",
            "wed 12:00 120 Europe/Berlin",
            datetime(2026, 11, 25, 12, 30, tzinfo=UTC),
            "Wed 13:00",
        ),
        (
            "in summer's Berlin",
            "wed 12:00 120 Europe/Berlin",
            datetime(2026, 7, 1, 11, 30, tzinfo=UTC),
            "Wed 12:00",
        ),
        (
            "two of them that meet",
            "wed 11:00 120; wed 13:00 60",
            datetime(2026, 11, 25, 12, 0, tzinfo=UTC),
            "Wed 14:00",
        ),
        (
            "one that prolongs the rule's own",
            "mon 03:30 60",
            datetime(2026, 11, 30, 3, 0, tzinfo=UTC),
            "Mon 04:30",
        ),
    ],
)
def test_a_window_that_was_added_pauses_too(
    make_world: MakeWorld, _case: str, windows: str, moment: datetime, until: str
) -> None:
    world = make_world(
        orders=[plain_order(709)], erp_settings={"windows": windows}, at=moment, frozen=True, items=False
    )
    world.run()
    assert world.fetched.state == "paused"
    assert f"until {until} UTC" in world.fetched.reason


def test_outside_a_window_that_was_added_all_goes_on(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(710)], erp_settings={"windows": "wed 14:00 60"})
    world.run()
    assert world.states() == {710: DONE}


# A process that was stopped between the gate and the call.


@pytest.mark.parametrize("email", ["buyer711@example.test", "new.customer@example.test"])
def test_a_step_that_was_stopped_before_its_call_and_wakes_up_in_the_window_calls_nobody(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, email: str
) -> None:
    world = make_world(
        orders=[plain_order(711, email=email)],
        erp_settings={"create_customers": "true"},
        at=OPENS - timedelta(minutes=10),
        frozen=True,
    )
    bells = world.fetch()
    world.walk(bells, last=Owed.ACKNOWLEDGE)
    # Seen a moment ago, so that the platform is not asked again and nothing else comes before the ERP is.
    asleep = _put_to_sleep_after(world, monkeypatch, "erps", until=OPENS + timedelta(minutes=1))
    _forget_requests(world)

    world.walk(bells, first=Owed.EXPORT)

    assert asleep
    assert world.erp.requests() == []
    assert "Maintenance window until Mon 04:00 UTC" in world.states()[711][2]
    monkeypatch.undo()
    world.clock.move_to(ENDS + timedelta(minutes=2))
    world.settle(through_holds=True)
    assert world.states() == {711: DONE}
    assert world.document_numbers() == ["BGM-711"]


def test_a_step_that_was_stopped_after_its_intent_and_wakes_up_in_the_window_writes_nothing(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(orders=[plain_order(712)], at=OPENS - timedelta(minutes=10), frozen=True)
    bells = world.fetch()
    world.walk(bells, last=Owed.ACKNOWLEDGE)
    # The clock of the process stands still while the machine sleeps.
    ticks = world.parts.ticks()
    world.parts = replace(world.parts, ticks=lambda: ticks)
    asleep = _put_to_sleep_after(world, monkeypatch, "intend", until=OPENS + timedelta(minutes=1))

    world.walk(bells, first=Owed.EXPORT)

    assert asleep
    assert world.documents() == []
    monkeypatch.undo()
    world.clock.move_to(ENDS + timedelta(minutes=2))
    world.settle(through_holds=True)
    assert world.states() == {712: DONE}
    assert world.document_numbers() == ["BGM-712"]


def _put_to_sleep_after(
    world: World, monkeypatch: pytest.MonkeyPatch, method: str, *, until: datetime
) -> list[str]:
    """Let the process sleep until then, once, right after this question to the store. What it notes shows that it did."""
    asleep: list[str] = []
    asked = getattr(world.parts.store, method)

    def slow(*arguments: Any, **named: Any) -> Any:
        found = asked(*arguments, **named)
        if not asleep and _is_called_by_export():
            asleep.append(method)
            world.clock.move_to(until)
        return found

    monkeypatch.setattr(world.parts.store, method, slow)
    return asleep


def _is_called_by_export() -> bool:
    return any(frame.function in {"run", "_write"} for frame in inspect.stack())
