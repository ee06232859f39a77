"""Orders whose calls are held back, by a limit or by an open breaker: nothing is sent, nobody is blamed, each is exported once."""

from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

import tasks.road
from app.domain.road import Owed
from app.ports.limiters import Breaker, Ceilings, Changed, Limiter, Report, Usage, Wait, Why
from app.sync.fetch import fetch
from app.sync.limiters import accounts
from app.sync.owed import check_reachable
from app.sync.sweep import close_runs, sweep
from app.transport import LocalLimiters
from tests.pipeline.world import MakeWorld, World, kit_order, plain_order, use_limiters

DONE = ("done", "deliver", "")
CREATING = {"default_customer": "", "create_customers": "true"}
_MOST_CALLS = 40


class Refusing:
    """Limiters of which the calls from the `first` on, so many as `times`, get no place. Both a limiter and all of them."""

    def __init__(self) -> None:
        self.count, self.first, self.times = 0, 0, 0
        self.why, self.seconds = Why.WINDOW, 100.0

    def of(self, *, name: str, counted_by: Sequence[str], ceilings: Ceilings) -> Limiter:
        return self

    def usage(self) -> tuple[Usage, ...]:
        return ()

    def forget(self, name: str) -> bool:
        return False

    def enter(self, *, lasts: float) -> str | Wait:
        self.count += 1
        if self.first <= self.count < self.first + self.times:
            return Wait(self.why, self.seconds)
        return "place"

    def leave(self, place: str, report: Report) -> Changed | None:
        return None


def test_a_call_of_the_road_that_is_held_back_leaves_nothing_in_doubt_and_each_order_ends_once(
    make_world: MakeWorld,
) -> None:
    """One pair of orders for each call of the road, from which call on some are held back."""
    world = make_world(erp_settings=CREATING)
    refusing = Refusing()
    use_limiters(world.parts, refusing)
    orders: list[int] = []
    for nth in range(1, _MOST_CALLS):
        pair = [1000 + 2 * nth, 1001 + 2 * nth]
        world.place(plain_order(pair[0]), kit_order(pair[1]))
        orders += pair
        refusing.count, refusing.first, refusing.times = 0, nth, 2
        with capture_logs() as lines:
            # A reading that was held back is made again.
            for _ in range(3):
                world.run(through_holds=True)
        assert {world.states()[order_id] for order_id in pair} == {DONE}, nth
        assert not [line for line in lines if line["event"] == "outcome_unknown"], nth
        if refusing.count < nth:
            assert nth > 8, "the road makes more calls than that"
            break
    else:
        raise AssertionError("the calls of a run never came to an end")
    assert world.document_numbers() == sorted(f"BGM-{order_id}" for order_id in orders)
    assert world.errors() == {}


def test_readings_that_our_own_limits_hold_are_no_failures_of_the_site_and_are_made_when_there_is_room(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[plain_order(1001)])
    world.run()
    world.place(plain_order(1002))
    refusing = Refusing()
    use_limiters(world.parts, refusing)
    refusing.first, refusing.times = 1, 1000
    asked = len(world.shop_requests())
    world.fetch()
    run_id = world.fetched.run_id
    assert run_id is not None
    assert (world.fetched.state, world.fetched.again_in) == ("unfinished", 100.0)
    for _ in range(3):
        fetch(world.parts, site_id=world.site_id, run_id=run_id, ring=world.road.ring)
    (site,) = world.parts.store.sites()
    assert site.failures == 0
    check_reachable(world.parts, site)
    assert (site.order_next_run - world.clock.now()).total_seconds() > 90.0
    assert len(world.shop_requests()) == asked
    assert (world.parts.store.run(run_id).state, world.parts.store.run(run_id).is_read) == ("running", False)

    refusing.times = 0
    assert rung_runs(world) == []
    world.clock.advance(101.0)
    assert rung_runs(world) == [run_id]
    fetch(world.parts, site_id=world.site_id, run_id=run_id, ring=world.road.ring)
    world.settle()
    assert (world.parts.store.run(run_id).state, world.states()[1002]) == ("finished", DONE)


def test_a_reading_that_is_held_for_an_hour_is_not_given_up(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(1001)])
    refusing = Refusing()
    refusing.seconds = 4000.0
    use_limiters(world.parts, refusing)
    refusing.first, refusing.times = 1, 1000
    world.fetch()
    assert world.fetched.again_in == 300.0  # No message waits for longer.
    world.clock.advance(3599.0)
    close_runs(world.parts)
    assert world.fetched.run_id is not None
    assert world.parts.store.run(world.fetched.run_id).finished_at is None


def test_a_reading_that_meets_an_open_breaker_is_a_failure(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(1001)])
    refusing = Refusing()
    refusing.why = Why.OPEN
    use_limiters(world.parts, refusing)
    refusing.first, refusing.times = 1, 1000
    world.fetch()
    (site,) = world.parts.store.sites()
    assert (world.fetched.state, site.failures) == ("failed", 1)


def test_the_task_of_a_reading_that_was_held_comes_back_when_there_is_room(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(orders=[plain_order(1001)])
    refusing = Refusing()
    use_limiters(world.parts, refusing)
    refusing.first, refusing.times = 1, 1000
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(tasks.road, "program_of_process", lambda: world)
    monkeypatch.setattr(tasks.road.fetch, "apply_async", lambda **sending: sent.append(sending))
    run_id = world.parts.store.open_run(kind="orders", site_id=world.site_id)
    tasks.road.fetch(site_id=world.site_id, run_id=run_id, site="bgm")
    again = {"site_id": world.site_id, "run_id": run_id, "site": "bgm"}
    assert sent == [{"kwargs": again, "countdown": 100.0}]


def rung_runs(world: World) -> list[int]:
    """The runs that the sweeper has read on now."""
    found: list[int] = []
    sweep(world.parts, ring=world.road.ring, interval=0.0, ring_run=lambda each: found.append(each.run_id))
    return found


def test_an_erp_that_fails_again_and_again_is_left_alone_and_takes_all_orders_once_when_it_is_back(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[plain_order(603), kit_order(604)])
    limiters = LocalLimiters(clock=world.clock.ticks, jitter=lambda: 0.0)
    use_limiters(world.parts, limiters)
    bells = world.fetch()
    world.walk(bells, last=Owed.ACKNOWLEDGE)
    world.erp.faults.order({"kind": "reset", "times": 1000})
    with capture_logs() as lines:
        for _ in range(60):
            be_due(world)
            world.walk(bells, first=Owed.EXPORT)
            world.clock.advance(3)
    sent = [line for line in lines if line["event"] == "http_call" and line["account"] == "bc"]
    held = [line for line in lines if line["event"] == "http_held"]
    opened = [line["seconds"] for line in lines if line["event"] == "breaker_opened"]
    # Five calls open it, and each probe opens it for twice as long.
    assert opened == [15.0, 30.0, 60.0, 120.0, 240.0, 480.0][: len(opened)]
    assert len(opened) > 2
    assert len(sent) == 5 + len(opened) - 1
    assert len(held) == 60 - len(sent)
    assert {line["why"] for line in held} == {"open"}
    reasons = {row["reason"] for row in world.rows("SELECT reason FROM rm_step WHERE kind = 'export'")}
    assert all("bc failed again and again (the connection was" in reason for reason in reasons), reasons
    assert {row["unsettled"] for row in world.rows("SELECT unsettled FROM rm_step")} == {0}
    assert world.errors() == {}
    (row,) = [each for each in accounts(world.parts, limiters)["accounts"] if each["account"] == "bc"]
    assert row["breaker"] == Breaker.OPEN
    assert row["breaker_since"] < world.clock.now()
    assert row["last_failure"].startswith("the connection was")

    world.clear_faults()
    with capture_logs() as lines:
        world.settle()
    assert [line["event"] for line in lines if line["event"].startswith("breaker")] == ["breaker_closed"]
    assert world.states() == {603: DONE, 604: DONE}
    assert world.document_numbers() == ["BGM-603", "BGM-604"]


def test_every_account_is_shown_by_its_name_and_those_that_cannot_be_opened_with_the_reason(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[plain_order(603)])
    limiters = LocalLimiters(clock=world.clock.ticks)
    use_limiters(world.parts, limiters)
    world.run()
    found = accounts(world.parts, limiters)
    shown = {each["account"]: each for each in found["accounts"]}
    assert sorted(shown) == ["bc", "bc sign-in", "bgm"]
    assert (shown["bc"]["at_once"], shown["bc"]["window_seconds"]) == (5, 300.0)
    assert shown["bc"]["left"] == 6000 - shown["bc"]["used"]
    assert shown["bc"]["used"] > 2
    assert (shown["bgm"]["at_once"], shown["bgm"]["left"], shown["bgm"]["running"]) == (4, None, 0)
    assert {each["breaker"] for each in shown.values()} == {"closed"}
    assert (found["shared"], found["faults"]) == (False, [])
    break_site(world)
    found = accounts(world.parts, limiters)
    assert [each["name"] for each in found["faults"]] == ["bgm"]


def be_due(world: World) -> None:
    """Nobody waits as long as the row says: as when many orders come one after another."""
    with world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rm_step SET next_at = '2026-01-01 00:00:00.000000'")


def break_site(world: World) -> None:
    with world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rm_sites SET credentials = 'x'")
