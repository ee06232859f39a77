"""What the store promises of what people do with orders that stopped.

A database's tests inherit this beside `StoreContract`, which gives it its world.
"""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from app.domain import document
from app.domain.overlay import ABSENT, Change, Layer
from app.domain.road import Owed, Stage, State, StepState
from app.domain.trail import head_over, seal
from app.ports.desk import DeskOrder, Resumption, SavedRepair
from app.ports.store import Failed, StepDone, Waiting
from tests.contracts.store import LEASE, World, at_once, order
from tests.contracts.store import document as erp_document
from tests.contracts.store_systems import fail

EMAIL = Change(pointer="/bill/email", before="zoe@example.test", after="ada@example.test")


def desk(world: World, order_id: str = "1") -> DeskOrder:
    (found,) = world.store.desk_orders(world.store.desk_threads(f"BGM-{order_id}"))
    return found


def saved(world: World, order_id: str = "1", **changes: object) -> SavedRepair:
    of = desk(world, order_id)
    repair = SavedRepair(
        thread_id=of.thread_id,
        revision=of.revision,
        layer=Layer.ORDER,
        changes=(EMAIL,),
        withdrawn=(),
        order=None,
        stage=of.stage,
        reason="as she wrote",
        by="cli:anna",
    )
    return replace(repair, **changes)  # type: ignore[arg-type]


def resumption(world: World, order_id: str = "1", **changes: object) -> Resumption:
    of = desk(world, order_id)
    run_id = world.store.open_run(kind="resume", site_id=world.site_id)
    made = Resumption(thread_id=of.thread_id, revision=of.revision, run_id=run_id, by="cli:anna")
    return replace(made, **changes)  # type: ignore[arg-type]


def refused(world: World, order_id: str = "1", *, unsent: bool = True) -> None:
    """An order that the ERP refuses after its intent."""
    batch_id, token, step = world.sent(order_id)
    outcome = Failed(id=step.step_id, reason="Refused.", kind="erp_refusal", order=step.order, unsent=unsent)
    world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[outcome])


def of_other_total(world: World, order_id: str = "1") -> None:
    """An order whose document is in the ERP with another total."""
    batch_id, token, step = world.sent(order_id)
    outcome = Failed(
        id=step.step_id,
        reason="Other total.",
        kind="totals",
        order=step.order,
        document=erp_document(order_id),
    )
    world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[outcome])


class WorkbenchContract:
    """`DeskStore`: repairs, resuming, settling, and what is looked at again by itself."""

    def test_an_order_is_found_by_its_number_its_error_and_the_platforms_id(self, world: World) -> None:
        fail(world, "1")
        (error,) = desk(world).errors
        assert world.store.desk_threads("BGM-1") == (desk(world).thread_id,)
        assert world.store.desk_threads("1") == (desk(world).thread_id,)
        assert world.store.desk_threads(str(error.id)) == (desk(world).thread_id,)
        assert world.store.desk_threads("99999999999999") == ()

    def test_an_order_comes_to_the_desk_with_all_there_is_of_it(self, world: World) -> None:
        of_other_total(world)
        found = desk(world)
        assert (found.site, found.stage, found.state) == ("bgm", Stage.DELIVER, State.REJECTED)
        assert document.load_text(found.document or "") == order("1")
        assert found.body == '{"id": 1, "shows": "first"}'
        assert {step.kind: step.state for step in found.steps} == {
            Owed.ACKNOWLEDGE: StepState.DONE,
            Owed.EXPORT: StepState.DONE,
        }
        export = found.step(Owed.EXPORT)
        assert export is not None
        assert export.document == erp_document("1").number
        assert [each.kind for each in found.errors] == ["totals"]

    def test_open_errors_are_picked_by_site_and_kind(self, world: World) -> None:
        fail(world, "1", kind="bad_sku")
        fail(world, "2", kind="kit")
        ids = [desk(world, each).thread_id for each in ("1", "2")]
        assert world.store.open_error_threads(site=None, kind=None) == tuple(ids)
        assert world.store.open_error_threads(site="bgm", kind="kit") == (ids[1],)
        assert world.store.open_error_threads(site="other", kind=None) == ()

    def test_a_repair_is_kept_beside_what_was_received(self, world: World) -> None:
        fail(world, "1")
        before = desk(world)
        changed = replace(order("1"), customer_note="\x00 Klingeln \ud800")
        assert world.store.save_repair(saved(world, order=changed))
        after = desk(world)
        assert (after.revision, after.body) == (before.revision + 1, before.body)
        (repair,) = after.repairs
        assert (repair.change, repair.by, repair.reason) == (EMAIL, "cli:anna", "as she wrote")
        assert document.load_text(after.document or "").customer_note == "\x00 Klingeln ?"
        assert (after.state, len(after.errors)) == (State.REJECTED, 1)
        (told,) = [each for each in world.details("1")["events"] if each["event"] == "repaired"]
        assert (told["by"], told["detail"]["fields"]) == ("cli:anna", ["/bill/email"])

    def test_a_repair_of_an_order_that_was_written_is_in_its_rows(self, world: World) -> None:
        refused(world)
        changed = replace(order("1"), bill=replace(order("1").bill, email="ada@example.test"))
        assert world.store.save_repair(saved(world, order=changed))
        found = world.details("1")
        assert found["order"]["bill_email"] == "ada@example.test"
        assert {each["kind"]: each["email"] for each in found["addresses"]} == {
            "bill": "ada@example.test",
            "ship": "zoe@example.test",
        }
        assert len(found["lines"]) == len(order("1").lines)

    def test_of_two_repairs_at_once_one_is_stored(self, world: World) -> None:
        fail(world, "1")
        repair = saved(world)
        kept = at_once(*(partial(store.save_repair, repair) for store in (world.store, world.other)))
        assert sorted(kept) == [False, True]
        assert len(desk(world).repairs) == 1

    def test_a_second_repair_of_a_field_replaces_the_first_and_one_is_withdrawn(self, world: World) -> None:
        fail(world, "1")
        world.store.save_repair(saved(world))
        later = Change(pointer="/bill/email", before="zoe@example.test", after="eve@example.test")
        added = Change(pointer="/ship/phone", before=ABSENT, after=None)
        world.store.save_repair(saved(world, changes=(later, added)))
        assert [each.change for each in desk(world).repairs] == [later, added]
        gone = tuple(each.id for each in desk(world).repairs if each.change.pointer == "/ship/phone")
        world.store.save_repair(saved(world, changes=(), withdrawn=gone))
        assert [each.change for each in desk(world).repairs] == [later]

    def test_repairs_come_with_the_claim_at_normalize(self, world: World) -> None:
        fail(world, "1", stage=Stage.NORMALIZE)
        (of,) = world.store.desk_orders([int(world.thread("1")["id"])])
        repair = SavedRepair(
            thread_id=of.thread_id, revision=of.revision, layer=Layer.BODY, changes=(EMAIL,), withdrawn=(),
            order=None, stage=Stage.NORMALIZE, reason="", by="x",
        )  # fmt: skip
        assert world.store.save_repair(repair)
        (of,) = world.store.desk_orders([of.thread_id])
        run_id = world.store.open_run(kind="resume", site_id=world.site_id)
        resumed = world.store.resume([Resumption(of.thread_id, of.revision, run_id, by="x")])
        ((batch_id, link, site, run),) = resumed.batches
        assert (link, site, run) == (Stage.NORMALIZE, "bgm", run_id)
        (claimed,) = world.claim(Stage.NORMALIZE, batch_id)
        assert [(each.layer, each.change) for each in claimed.repairs] == [(Layer.BODY, EMAIL)]

    def test_an_order_goes_on_from_where_it_stopped(self, world: World) -> None:
        fail(world, "1", stage=Stage.EXPAND_KITS)
        wanted = resumption(world)
        resumed = world.store.resume([wanted])
        assert resumed.thread_ids == {wanted.thread_id}
        ((batch_id, link, _, _),) = resumed.batches
        assert link is Stage.EXPAND_KITS
        found = desk(world)
        assert (found.state, found.errors) == (State.ACTIVE, ())
        (claimed,) = world.claim(Stage.EXPAND_KITS, batch_id)
        assert (claimed.fresh, claimed.attempts) == (True, 1)
        (error,) = world.details("1")["errors"]
        assert (error["resolution"], error["resolved_by"]) == ("resumed", "cli:anna")
        assert world.store.resume([wanted]).thread_ids == frozenset()

    def test_of_two_who_resume_at_once_one_does(self, world: World) -> None:
        fail(world, "1")
        wanted = resumption(world)
        done = at_once(*(partial(store.resume, [wanted]) for store in (world.store, world.other)))
        assert sorted(len(each.thread_ids) for each in done) == [0, 1]
        events = [each["event"] for each in world.details("1")["events"]]
        assert events.count("resumed") == 1

    def test_an_error_that_comes_back_at_the_same_stage_is_the_same(self, world: World) -> None:
        fail(world, "1")
        (opened,) = world.details("1")["errors"]
        for times in (1, 2):
            world.clock.advance(60)
            ((batch_id, _, _, _),) = world.store.resume([resumption(world)]).batches
            token = world.token()
            (claimed,) = world.store.claim(
                Stage.VERIFY_SKUS, batch_id=batch_id, token=token, lease_seconds=LEASE
            )
            failed = Failed(id=claimed.thread_id, reason="Still.", kind="bad_sku")
            world.store.settle(Stage.VERIFY_SKUS, batch_id=batch_id, token=token, outcomes=[failed])
            (again,) = world.details("1")["errors"]
            assert (again["id"], again["opened_at"], again["resumed"]) == (
                opened["id"],
                opened["opened_at"],
                times,
            )
            assert again["resolved_at"] is None

    def test_what_the_erp_refused_is_owed_again_and_its_mark_is_not(self, world: World) -> None:
        refused(world)
        ((batch_id, link, _, _),) = world.store.resume([resumption(world)]).batches
        assert link is Owed.ACKNOWLEDGE
        assert world.claim_steps(Owed.ACKNOWLEDGE, batch_id)[1] == ()
        _, (step,) = world.claim_steps(Owed.EXPORT, batch_id)
        assert (step.state, step.intent_at, step.linked) == (StepState.OWED, None, "")

    def test_what_may_be_in_the_erp_is_looked_up_before_it_is_sent(self, world: World) -> None:
        refused(world, unsent=False)
        ((batch_id, _, _, _),) = world.store.resume([resumption(world)]).batches
        _, (step,) = world.claim_steps(Owed.EXPORT, batch_id)
        assert (step.state, step.begun, step.linked) == (StepState.IN_DOUBT, True, "")

    def test_a_document_is_looked_up_and_tied_no_longer_only_where_a_person_says_so(
        self, world: World
    ) -> None:
        of_other_total(world)
        ((batch_id, _, _, _),) = world.store.resume([resumption(world)]).batches
        token, (step,) = world.claim_steps(Owed.EXPORT, batch_id)
        assert (step.state, step.begun, step.linked) == (StepState.IN_DOUBT, True, erp_document("1").number)
        gone = Failed(id=step.step_id, reason="Gone.", kind="deleted", order=step.order)
        world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[gone])
        assert world.details("1")["order"]["imported"] == 1
        ((batch_id, _, _, _),) = world.store.resume([resumption(world, send_again=True)]).batches
        _, (step,) = world.claim_steps(Owed.EXPORT, batch_id)
        assert (step.state, step.begun, step.linked) == (StepState.OWED, False, "")
        found = world.details("1")["order"]
        assert (found["imported"], found["erp_document_number"], found["erp_total"]) == (0, "", None)

    def test_an_order_in_error_whose_mark_alone_failed_marks_and_is_not_exported_again(
        self, world: World
    ) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        token, (step,) = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        outcome = Failed(id=step.step_id, reason="Refused.", kind="platform", order=step.order)
        world.store.settle_steps(Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, outcomes=[outcome])
        world.export(batch_id)
        assert desk(world).state is State.REJECTED
        ((batch_id, _, _, _),) = world.store.resume([resumption(world)]).batches
        assert world.claim_steps(Owed.EXPORT, batch_id)[1] == ()
        world.acknowledge(batch_id)
        assert desk(world).state is State.DONE

    def test_an_order_is_replayed_from_its_body(self, world: World) -> None:
        refused(world)
        wanted = resumption(world, stage=Stage.NORMALIZE)
        ((batch_id, link, _, _),) = world.store.resume([wanted]).batches
        assert link is Stage.NORMALIZE
        assert world.claim_steps(Owed.EXPORT, batch_id)[1] == ()
        (claimed,) = world.claim(Stage.NORMALIZE, batch_id)
        assert (claimed.body, desk(world).document) == ('{"id": 1, "shows": "first"}', None)
        assert "replayed" in [each["event"] for each in world.details("1")["events"]]

    def test_a_failed_attempt_of_which_something_may_come_is_remembered_when_the_order_begins_anew(
        self, world: World
    ) -> None:
        refused(world, unsent=False)
        wanted = resumption(world, stage=Stage.NORMALIZE)
        assert world.store.resume([wanted]).thread_ids == {wanted.thread_id}
        export = desk(world).step(Owed.EXPORT)
        assert export is not None
        assert (export.is_sent, export.may_exist) == (False, True)

    def test_an_order_is_not_replayed_over_an_export_that_has_begun(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        token, (step,) = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        outcome = Failed(id=step.step_id, reason="Refused.", kind="platform", order=step.order)
        world.store.settle_steps(Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, outcomes=[outcome])
        wanted = resumption(world, stage=Stage.NORMALIZE)
        token, (step,) = world.claim_steps(Owed.EXPORT, batch_id)
        assert world.store.intend([step.step_id], token=token) == (step.step_id,)
        assert world.store.resume([wanted]).thread_ids == frozenset()
        done = StepDone(step_id=step.step_id, document=erp_document("1"))
        world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[done])
        assert world.details("1")["order"]["erp_document_number"] == erp_document("1").number

    def test_two_errors_that_are_resumed_together_keep_what_is_theirs(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        for kind in Owed:
            token, (step,) = world.claim_steps(kind, batch_id)
            outcome = Failed(id=step.step_id, reason="Refused.", kind="x", order=step.order, unsent=True)
            world.store.settle_steps(kind, batch_id=batch_id, token=token, outcomes=[outcome])
        world.store.assign([desk(world).thread_id], to="ben", by="x")
        ((batch_id, _, _, _),) = world.store.resume([resumption(world)]).batches
        world.clock.advance(60)
        for kind in Owed:
            token, (step,) = world.claim_steps(kind, batch_id)
            outcome = Failed(id=step.step_id, reason="Again.", kind="x", order=step.order, unsent=True)
            world.store.settle_steps(kind, batch_id=batch_id, token=token, outcomes=[outcome])
        assert [(each["assignee"], each["resumed"]) for each in world.details("1")["errors"]] == [
            ("ben", 1)
        ] * 2

    def test_facts_with_odd_texts_are_sealed_as_they_are_stored(self, world: World) -> None:
        fail(world, "1")
        odd = Change(pointer="/bill/\ud800\x00", before="", after="x")
        assert world.store.save_repair(saved(world, changes=(odd,), by="anna \x00 \ud800"))
        trail = world.store.trail_of(desk(world).thread_id)
        head = ""
        key = world.harness.store.audit_key()  # type: ignore[attr-defined]
        for event in trail.events:
            mac = seal(
                key, head=head, thread_id=trail.thread_id, number=event.number or 0, at=event.at, stage=event.stage,
                event=event.event, by=event.by, detail=event.detail, digest=event.digest,
            )  # fmt: skip
            assert mac == event.mac, event
            head = head_over(key, thread_id=trail.thread_id, number=event.number or 0, mac=mac)
        assert head == trail.head

    def test_an_order_that_is_settled_is_left_alone(self, world: World) -> None:
        refused(world)
        of = desk(world)
        assert not world.store.skip(of.thread_id, revision=of.revision - 1, reason="x", by="cli:anna")
        assert world.store.skip(of.thread_id, revision=of.revision, reason="by hand", by="cli:anna")
        found = desk(world)
        assert (found.state, found.skipped_by, found.errors) == (State.CLOSED, "cli:anna", ())
        assert {step.state for step in found.steps} == {StepState.DONE, StepState.CLOSED}
        assert world.details("1")["order"]["imported"] == 2
        world.clock.advance(3600)
        assert world.store.due(rung_before=0, limit=10) == ()

    def test_what_was_sent_and_got_no_answer_is_not_settled(self, world: World) -> None:
        world.sent()
        of = desk(world)
        assert not world.store.skip(of.thread_id, revision=of.revision, reason="x", by="cli:anna")
        assert desk(world).state is State.ACTIVE

    def test_errors_are_given_to_people_and_remarks_are_noted(self, world: World) -> None:
        fail(world, "1")
        fail(world, "2")
        ids = [desk(world, each).thread_id for each in ("1", "2")]
        assert world.store.assign(ids, to="ben", by="cli:anna") == 2
        world.store.comment(ids[0], text="Called.", by="cli:ben")
        assert [each["assignee"] for each in world.details("1")["errors"]] == ["ben"]
        assert [each["event"] for each in world.details("1")["events"]][-2:] == ["assigned", "commented"]
        assert world.store.assign(ids, to=None, by="cli:anna") == 2
        assert [each["assignee"] for each in world.details("2")["errors"]] == [None]

    def test_held_orders_are_due_once_all_their_items_are_known(self, world: World) -> None:
        batch_id = world.at(Stage.VERIFY_SKUS, "1")
        token = world.token()
        (claimed,) = world.store.claim(Stage.VERIFY_SKUS, batch_id=batch_id, token=token, lease_seconds=LEASE)
        later = world.clock() + timedelta(hours=1)
        waiting = Waiting(
            id=claimed.thread_id,
            reason="Not there yet.",
            next_at=later,
            hold_kind="sku",
            waits_for=((world.erp_id, "A"), (world.erp_id, "B")),
        )
        world.store.settle(Stage.VERIFY_SKUS, batch_id=batch_id, token=token, outcomes=[waiting])
        assert world.store.held_threads(site="bgm", hold_kind="sku") == (claimed.thread_id,)
        assert world.store.held_threads(site=None, hold_kind="settings") == ()
        assert world.store.release_known() == 0
        world.store.set_item_status(world.erp_id, {"A": ("", "allowed")}, source="person")
        assert world.store.release_known() == 0
        world.store.set_item_status(world.erp_id, {"B": ("", "not_allowed")}, source="person")
        assert world.store.release_known() == 1
        assert world.store.release_known() == 0
        assert [bell.link for bell in world.store.due(rung_before=30, limit=10)] == [Stage.VERIFY_SKUS]

    def test_errors_are_looked_at_again_less_often_the_more_often_they_came_back(self, world: World) -> None:
        fail(world, "1")
        places = [("verify_skus", "bad_sku")]
        thread_id = desk(world).thread_id

        def due(seconds: float) -> tuple[int, ...]:
            world.clock.advance(seconds)
            before = world.clock() - timedelta(minutes=5)
            return world.store.to_recheck(places, before=before, limit=10)

        assert due(299) == ()
        assert due(2) == (thread_id,)
        assert due(299) == ()
        assert due(2) == (thread_id,)
        world.harness.execute("UPDATE rm_error_orders SET resumed = 2")
        assert due(1199) == ()
        assert due(2) == (thread_id,)
        assert world.store.to_recheck([("export", "customer")], before=world.clock(), limit=10) == ()

    @pytest.mark.parametrize("number", ["BGM-2", "BGM-3"])
    def test_an_order_that_cannot_be_written_is_told_before_it_is(self, world: World, number: str) -> None:
        world.at(Stage.DELIVER, "1", "2")
        thread_id = int(world.thread("1")["id"])
        found = world.store.unfit(order("1", number=number), erp_id=world.erp_id, thread_id=thread_id)
        if number == "BGM-2":
            assert found == ("The order number BGM-2 already belongs to the platform's order 2.", "/number")
        else:
            assert found is None
        long = replace(order("1"), bill=replace(order("1").bill, city="x" * 300))
        unfit = world.store.unfit(long, erp_id=world.erp_id, thread_id=thread_id)
        assert unfit is not None
        assert "city" in unfit[0]
