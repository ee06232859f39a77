"""What the store promises of orders that are started again by hand, and of the runs that are opened for them.

A database's tests inherit this beside `StoreContract`, which gives it its world.
"""

from datetime import timedelta

import pytest

from app.domain.road import LINKS, Owed, Stage, State, StepState
from app.ports.places import OrderPlace
from app.ports.store import Bell, StepDone, Waiting
from tests.contracts.store import LEASE, START, World, at_once
from tests.contracts.store_systems import fail, finish, new_site, wait

HOUR = timedelta(hours=1)


def ids(world: World, *order_ids: str) -> list[int]:
    return [int(world.thread(each)["id"]) for each in order_ids]


def a_run(world: World, kind: str = "task") -> int:
    return world.store.open_run(kind=kind)


def place(world: World, key: str) -> OrderPlace:
    (found,) = world.store.places(key=key)
    return found


def refuse_mark(world: World, batch_id: int) -> None:
    """The mark was tried once and waits for an hour."""
    token, owed = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
    outcomes = [
        Waiting(id=each.step_id, reason="No answer.", next_at=world.clock() + HOUR, state=StepState.OWED)
        for each in owed
    ]
    world.store.settle_steps(Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, outcomes=outcomes)


class AdoptContract:
    """`places`, `adopt`, and how runs of the kinds `resume` and `task` end."""

    def test_held_orders_go_on_in_the_run_that_takes_them_up(self, world: World) -> None:
        batch_id = wait(world, "1")
        since = world.clock()
        world.clock.advance(60)
        run_id = a_run(world)
        bells = world.store.adopt(run_id, thread_ids=ids(world, "1"), link=Stage.NORMALIZE)
        assert bells == (Bell(batch_id=batch_id, link=Stage.NORMALIZE),)
        assert (bells[0].site, bells[0].run_id) == ("bgm", run_id)
        thread = world.thread("1")
        assert (thread["state"], thread["hold_kind"], thread["run_id"]) == (State.ACTIVE, "", run_id)
        assert (thread["next_at"], thread["waiting_since"]) == (world.clock(), since)
        (told,) = [each for each in world.details("1")["events"] if each["event"] == "released"]
        assert told["detail"] == {"run": run_id, "hold": "sku"}
        assert told["by"] == "worker"
        (claimed,) = world.claim(Stage.NORMALIZE, batch_id)
        assert claimed.waiting_since == since

    def test_a_hold_is_released_by_the_person_who_is_named(self, world: World) -> None:
        wait(world, "1")
        world.store.adopt(a_run(world), thread_ids=ids(world, "1"), by="anna")
        (told,) = [each for each in world.details("1")["events"] if each["event"] == "released"]
        assert told["by"] == "anna"

    def test_orders_of_several_batches_are_gathered_by_site_and_link(self, world: World) -> None:
        first, second = wait(world, "1"), wait(world, "2")
        third = world.at(Stage.WRITE, "3")
        site_id, run_id = world.site_id, world.run_id
        world.site_id = world.store.add_site(new_site("other", prefix="OTH", erp_id=world.erp_id))
        world.run_id = world.store.open_run(kind="orders", site_id=world.site_id)
        fourth = world.batch("4")
        world.site_id, world.run_id = site_id, run_id
        bells = world.store.adopt(a_run(world), thread_ids=ids(world, "1", "2", "3", "4"))
        by_place = {(bell.site, bell.link): bell.batch_id for bell in bells}
        assert set(by_place) == {
            ("bgm", Stage.NORMALIZE), ("bgm", Stage.WRITE), ("other", Stage.NORMALIZE),
        }  # fmt: skip
        gathered = by_place["bgm", Stage.NORMALIZE]
        assert gathered not in {first, second, third, fourth}
        assert {world.thread(each)["batch_id"] for each in ("1", "2")} == {gathered}
        assert (by_place["bgm", Stage.WRITE], by_place["other", Stage.NORMALIZE]) == (third, fourth)

    def test_batches_hold_at_most_a_hundred(self, world: World) -> None:
        numbers = [str(each) for each in range(1, 106)]
        world.batch(*numbers[:60])
        world.batch(*numbers[60:])
        bells = world.store.adopt(a_run(world), thread_ids=ids(world, *numbers))
        assert [len(world.claim(Stage.NORMALIZE, bell.batch_id)) for bell in bells] == [100, 5]

    def test_with_a_link_only_those_that_stand_there_are_taken_up(self, world: World) -> None:
        batch_id = world.batch("1", "2")
        world.bring_to(Stage.WRITE, batch_id)
        wait(world, "3")
        everybody = ids(world, "1", "2", "3")
        assert world.store.adopt(a_run(world), thread_ids=everybody, link=Stage.VERIFY_SKUS) == ()
        run_id = a_run(world)
        (bell,) = world.store.adopt(run_id, thread_ids=everybody, link=Stage.WRITE)
        assert (bell.batch_id, bell.link) == (batch_id, Stage.WRITE)
        assert world.thread("3")["run_id"] == world.run_id
        assert world.thread("3")["state"] == State.HELD
        assert {world.thread(each)["run_id"] for each in ("1", "2")} == {run_id}

    def test_a_whole_batch_may_be_taken_up(self, world: World) -> None:
        batch_id = world.batch("1", "2")
        world.batch("3")
        run_id = a_run(world)
        assert world.store.adopt(run_id, batch_id=batch_id) == (
            Bell(batch_id=batch_id, link=Stage.NORMALIZE),
        )
        assert world.store.run(run_id).counts["fetched"] == 2
        assert world.store.adopt(run_id, batch_id=99_999) == ()

    @pytest.mark.parametrize("end", ["done", "rejected"])
    def test_what_has_come_to_its_end_is_left_alone(self, world: World, end: str) -> None:
        if end == "done":
            finish(world, "1")
        else:
            fail(world, "1")
        before = world.thread("1")
        assert world.store.adopt(a_run(world), thread_ids=ids(world, "1")) == ()
        assert world.thread("1") == before

    def test_what_somebody_works_on_is_left_alone(self, world: World) -> None:
        claimed = world.batch("1")
        world.claim(Stage.NORMALIZE, claimed)
        owed = world.at(Stage.DELIVER, "2")
        world.claim_steps(Owed.ACKNOWLEDGE, owed)
        before = [world.thread(each) for each in ("1", "2")]
        assert world.store.adopt(a_run(world), thread_ids=ids(world, "1", "2")) == ()
        assert [world.thread(each) for each in ("1", "2")] == before
        world.clock.advance(LEASE + 1)
        assert len(world.store.adopt(a_run(world), thread_ids=ids(world, "1", "2"))) == 2

    def test_owed_steps_are_due_now_and_their_orders_of_several_batches_come_together(
        self, world: World
    ) -> None:
        batches = [world.at(Stage.DELIVER, each) for each in ("1", "2")]
        for batch_id in batches:
            world.acknowledge(batch_id)
            token, (step,) = world.claim_steps(Owed.EXPORT, batch_id)
            until = world.clock() + HOUR
            held = Waiting(id=step.step_id, reason="Closed.", next_at=until, hold_kind="maintenance")
            world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[held])
        (bell,) = world.store.adopt(a_run(world), thread_ids=ids(world, "1", "2"), link=Owed.EXPORT)
        assert bell.link is Owed.EXPORT
        assert bell.batch_id not in batches
        assert [world.thread(each)["state"] for each in ("1", "2")] == [State.ACTIVE] * 2
        _, again = world.claim_steps(Owed.EXPORT, bell.batch_id)
        assert [each.platform_order_id for each in again] == ["1", "2"]

    def test_an_order_stands_at_its_export_once_its_mark_was_tried(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        assert place(world, "1").links == (Owed.ACKNOWLEDGE,)
        assert world.store.adopt(a_run(world), thread_ids=ids(world, "1"), link=Owed.EXPORT) == ()
        refuse_mark(world, batch_id)
        assert place(world, "1").links == (Owed.ACKNOWLEDGE, Owed.EXPORT)
        mark_at = world.step(Owed.ACKNOWLEDGE)["next_at"]
        (bell,) = world.store.adopt(a_run(world), thread_ids=ids(world, "1"), link=Owed.EXPORT)
        assert bell == Bell(batch_id=batch_id, link=Owed.EXPORT)
        assert world.step(Owed.ACKNOWLEDGE)["next_at"] == mark_at
        (bell,) = world.store.adopt(a_run(world), thread_ids=ids(world, "1"))
        assert bell == Bell(batch_id=batch_id, link=Owed.ACKNOWLEDGE)
        assert world.step(Owed.ACKNOWLEDGE)["next_at"] == world.clock()

    def test_an_export_in_doubt_keeps_its_intent(self, world: World) -> None:
        batch_id, token, step = world.sent("1")
        doubt = Waiting(
            id=step.step_id, reason="No answer.", next_at=world.clock() + HOUR, state=StepState.IN_DOUBT
        )
        world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[doubt])
        assert len(world.store.adopt(a_run(world), thread_ids=ids(world, "1"))) == 1
        _, (again,) = world.claim_steps(Owed.EXPORT, batch_id)
        assert (again.state, again.begun, again.intent_at) == (StepState.IN_DOUBT, True, START)

    def test_what_was_rung_by_hand_is_not_rung_again_at_once_by_the_sweeper(self, world: World) -> None:
        wait(world, "1")
        world.store.adopt(a_run(world), thread_ids=ids(world, "1"))
        assert world.store.due(rung_before=60.0, limit=10) == ()
        world.clock.advance(60)
        assert len(world.store.due(rung_before=60.0, limit=10)) == 1

    def test_of_two_who_take_up_the_same_order_both_runs_end(self, world: World) -> None:
        batch_id = wait(world, "1")
        (thread_id,) = ids(world, "1")
        first, second = a_run(world), a_run(world)
        at_once(
            lambda: world.store.adopt(first, thread_ids=[thread_id]),
            lambda: world.other.adopt(second, thread_ids=[thread_id]),
        )
        assert world.thread("1")["run_id"] in {first, second}
        assert len(world.claim(Stage.NORMALIZE, batch_id)) == 1

    # Runs.

    @pytest.mark.parametrize("kind", ["resume", "task"])
    def test_a_run_of_taken_up_orders_ends_once_none_of_them_is_in_motion(
        self, world: World, kind: str
    ) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        run_id = a_run(world, kind)
        assert world.store.close_runs(cut_off_after=600.0) == ()
        world.store.adopt(run_id, thread_ids=ids(world, "1"))
        assert world.store.close_runs(cut_off_after=600.0) == ()
        world.acknowledge(batch_id)
        world.export(batch_id)
        (ended,) = world.store.close_runs(cut_off_after=600.0)
        assert (ended.id, ended.kind, ended.state, ended.reason) == (run_id, kind, "finished", "")
        assert (ended.counts["fetched"], ended.counts["exported"]) == (1, 1)
        assert world.store.runs(run_id=run_id, limit=1) == (ended,)

    def test_a_run_that_took_up_nothing_ends(self, world: World) -> None:
        run_id = a_run(world)
        world.store.adopt(run_id, thread_ids=[])
        (ended,) = world.store.close_runs(cut_off_after=600.0)
        assert (ended.id, ended.state, ended.counts["fetched"]) == (run_id, "finished", 0)

    def test_a_task_that_nobody_worked_on_is_given_up_and_says_so(self, world: World) -> None:
        run_id = a_run(world)
        world.clock.advance(601)
        ended = {each.id: each for each in world.store.close_runs(cut_off_after=600.0)}
        assert ended[run_id].state == "failed"
        assert ended[run_id].reason.startswith("Nothing was heard of it any more")

    # Where orders stand.

    def test_orders_are_found_by_site_batch_number_and_the_platforms_id(self, world: World) -> None:
        batch_id = world.at(Stage.VERIFY_SKUS, "1", "2")
        wait(world, "3")
        finish(world, "4")
        fail(world, "5")
        (found,) = world.store.places(key="BGM-1")
        assert found == place(world, "1")
        assert (found.order_number, found.platform_order_id, found.site) == ("BGM-1", "1", "bgm")
        assert (found.links, found.state, found.busy) == ((Stage.VERIFY_SKUS,), State.ACTIVE, False)
        assert [place(world, each).links for each in ("3", "4", "5")] == [(Stage.NORMALIZE,), (), ()]
        here = world.store.places(site_id=world.site_id, link=Stage.VERIFY_SKUS)
        assert [each.platform_order_id for each in here] == ["1", "2"]
        assert world.store.places(batch_id=batch_id) == here
        assert len(world.store.places(site_id=world.site_id)) == 5
        assert world.store.places(key="9") == ()
        for link in LINKS[2:]:
            assert world.store.places(site_id=world.site_id, link=link) == ()

    def test_an_order_that_is_worked_on_is_busy(self, world: World) -> None:
        world.claim(Stage.NORMALIZE, world.batch("1"))
        owed = world.at(Stage.DELIVER, "2")
        token, (step,) = world.claim_steps(Owed.ACKNOWLEDGE, owed)
        assert [place(world, each).busy for each in ("1", "2")] == [True, True]
        done = [StepDone(step_id=step.step_id)]
        world.store.settle_steps(Owed.ACKNOWLEDGE, batch_id=owed, token=token, outcomes=done)
        assert not place(world, "2").busy
