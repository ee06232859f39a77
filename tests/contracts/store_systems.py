"""What the store promises of sites and ERPs after they were added, and of what it shows of waiting and failing orders.

A database's tests inherit these beside `StoreContract`, which gives them their world.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from app.domain.reading import Cursor
from app.domain.road import Owed, Stage, State, StepState
from app.errors import UsageError
from app.ports.desk import ErrorFilter
from app.ports.erp import ErpItem, ItemKind
from app.ports.store import Failed, NewErp, NewSite, Sighting, Waiting
from app.ports.systems import ErpChanges, ErpUse, Removal, SiteChanges, SiteUse
from tests.contracts.store import LEASE, MODIFIED, START, World, at_once, order, seen

LATER = START + timedelta(hours=3)


def new_site(name: str = "bgm", *, prefix: str = "BGM", erp_id: int | None = None) -> NewSite:
    return NewSite(
        name=name,
        platform="woocommerce",
        url="https://new.example.test",
        prefix=prefix,
        erp_id=erp_id,
        allow_private=False,
        settings={"statuses": ["on-hold"]},
        credentials="another ciphertext",
        order_next_run=LATER,
    )


def new_erp(name: str = "bc") -> NewErp:
    return NewErp(
        name=name,
        platform="business_central",
        url="https://new.example.test",
        company="other",
        allow_private=True,
        settings={"t_late": 5.0},
        credentials="another ciphertext",
    )


def finish(world: World, order_id: str = "1") -> int:
    """An order all the way to its document."""
    batch_id = world.at(Stage.DELIVER, order_id)
    world.acknowledge(batch_id)
    world.export(batch_id)
    return batch_id


def wait(world: World, order_id: str, *, kind: str = "sku", reason: str = "Not yet.") -> int:
    """An order that is held at normalize for an hour."""
    batch_id = world.batch(order_id)
    token = world.token()
    (claimed,) = world.store.claim(Stage.NORMALIZE, batch_id=batch_id, token=token, lease_seconds=LEASE)
    until = world.clock() + timedelta(hours=1)
    waiting = Waiting(id=claimed.thread_id, reason=reason, next_at=until, hold_kind=kind)
    world.store.settle(Stage.NORMALIZE, batch_id=batch_id, token=token, outcomes=[waiting])
    return batch_id


def fail(world: World, order_id: str, *, stage: Stage = Stage.VERIFY_SKUS, kind: str = "bad_sku") -> None:
    """An order that is rejected at a stage, with the order so far."""
    batch_id = world.at(stage, order_id)
    token = world.token()
    (claimed,) = world.store.claim(stage, batch_id=batch_id, token=token, lease_seconds=LEASE)
    failed = Failed(
        id=claimed.thread_id,
        reason=f"Order {order_id} is wrong.",
        kind=kind,
        field="/lines/0/sku",
        order=order(order_id),
    )
    world.store.settle(stage, batch_id=batch_id, token=token, outcomes=[failed])


class SystemsContract:
    """Changing, switching, removing and restoring."""

    def test_what_is_named_changes_and_nothing_else(self, world: World) -> None:
        site, (erp,) = world.site(), world.store.erps()
        world.store.change_site(site.id, SiteChanges(settings={"a": [1, "ü"]}, order_next_run=LATER))
        assert world.site() == replace(site, settings={"a": [1, "ü"]}, order_next_run=LATER)
        world.store.change_site(
            site.id, SiteChanges(url="https://x.test", credentials="new", allow_private=False)
        )
        assert (world.site().url, world.site().credentials, world.site().allow_private) == (
            "https://x.test", "new", False,
        )  # fmt: skip
        world.store.change_site(site.id, SiteChanges())
        world.store.change_erp(erp.id, ErpChanges(company="other", allow_private=True, items_next_run=LATER))
        changed = replace(erp, company="other", allow_private=True, items_next_run=LATER)
        assert world.store.erps() == (changed,)

    def test_an_erps_items_are_read_anew_only_when_that_is_asked(self, world: World) -> None:
        world.store.save_items(world.erp_id, [], source="erp", cursor=START)
        world.store.change_erp(world.erp_id, ErpChanges(url="https://x.test"))
        assert world.store.erps()[0].items_cursor == START
        world.store.change_erp(world.erp_id, ErpChanges(read_items_anew=True))
        assert world.store.erps()[0].items_cursor is None

    def test_a_site_is_switched_off_and_on(self, world: World) -> None:
        world.store.switch_site(world.site_id, active=False)
        assert not world.site().is_active
        world.harness.execute("UPDATE rm_sites SET orders_sync = 0")
        world.store.switch_site(world.site_id, active=True)
        assert (world.site().is_active, world.site().orders_sync) == (True, True)

    def test_a_sites_use_counts_its_orders_by_how_they_stand(self, world: World) -> None:
        assert world.store.site_use(world.site_id) == SiteUse(0, 0, 0, 0, 0)
        finish(world, "1")
        world.batch("2")
        wait(world, "3")
        fail(world, "4")
        world.sent("5")
        assert world.store.site_use(world.site_id) == SiteUse(5, active=2, held=1, errors=1, in_doubt=1)
        assert world.store.site_use(world.site_id).unfinished == 3
        assert world.store.erp_use(world.erp_id) == ErpUse(written=2, unfinished=1, sent=2)

    def test_a_failed_export_of_which_something_may_come_is_in_doubt(self, world: World) -> None:
        batch_id, token, step = world.sent("1")
        failed = Failed(id=step.step_id, reason="Two documents.", kind="duplicate", order=step.order)
        world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[failed])
        assert world.thread("1")["state"] == State.REJECTED
        assert world.store.site_use(world.site_id).in_doubt == 1
        assert world.store.erp_use(world.erp_id) == ErpUse(written=1, unfinished=0, sent=1)

    def test_an_export_that_was_certainly_not_sent_is_not_in_doubt(self, world: World) -> None:
        batch_id, token, step = world.sent("1")
        failed = Failed(id=step.step_id, reason="No.", kind="erp_refusal", order=step.order, unsent=True)
        world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[failed])
        assert world.store.site_use(world.site_id).in_doubt == 0
        assert world.store.erp_use(world.erp_id) == ErpUse(written=1, unfinished=0, sent=0)

    def test_a_site_without_orders_is_deleted_with_its_runs(self, world: World) -> None:
        assert world.store.remove_site(world.site_id) is Removal.DELETED
        assert world.harness.query("SELECT id FROM rm_sites") == []
        assert world.harness.query("SELECT id FROM rm_run") == []
        assert world.store.add_site(new_site(erp_id=world.erp_id))

    def test_a_site_with_orders_is_kept_out_of_every_list_and_its_secrets_are_erased(
        self, world: World
    ) -> None:
        finish(world, "1")
        world.store.pause_site(world.site_id, until=LATER, reason="Refused.")
        before = world.site()
        assert world.store.remove_site(world.site_id) is Removal.KEPT
        assert world.store.sites() == ()
        (removed,) = world.store.removed_sites()
        gone = {"is_active": False, "credentials": "", "paused_until": None, "paused_reason": None}
        assert removed == replace(before, **gone)  # type: ignore[arg-type]
        assert "ciphertext" not in str(world.harness.query("SELECT * FROM rm_sites"))
        assert world.details("1")["thread"]["site"] == "bgm"
        run = world.store.run(world.run_id)
        assert (run.state, run.reason, run.finished_at) == ("failed", "Its site was removed.", world.clock())
        assert world.store.unread_runs(rung_before=0.0) == ()

    def test_a_run_whose_reading_goes_on_later_is_not_rung_and_not_given_up_before(
        self, world: World
    ) -> None:
        run_id = world.store.open_run(kind="orders", site_id=world.site_id)
        world.store.read_later(run_id, at=world.clock() + timedelta(seconds=3700))
        world.clock.advance(3690)
        world.store.close_runs(cut_off_after=3600.0)
        assert run_id not in {each.run_id for each in world.store.unread_runs(rung_before=0.0)}
        assert not world.store.run(run_id).is_read
        (fetch,) = (each for each in world.store.waits() if each.link == "fetch")
        assert (fetch.due, fetch.later, fetch.next_at) == (0, 1, world.clock() + timedelta(seconds=10))
        world.clock.advance(20)
        assert run_id in {each.run_id for each in world.store.unread_runs(rung_before=0.0)}
        token = world.store.claim_site(world.site_id, lease_seconds=LEASE)
        assert token is not None
        world.store.close_runs(cut_off_after=3600.0)
        assert not world.store.run(run_id).is_read
        world.store.release_site(world.site_id, token, next_run=None)
        world.store.close_runs(cut_off_after=3600.0)
        assert world.store.run(run_id).is_read

    @pytest.mark.parametrize(("name", "prefix"), [("bgm", "OTHER"), ("other", "BGM")])
    def test_name_and_prefix_of_a_removed_site_stay_taken(self, world: World, name: str, prefix: str) -> None:
        finish(world, "1")
        world.store.remove_site(world.site_id)
        with pytest.raises(UsageError):
            world.store.add_site(new_site(name, prefix=prefix, erp_id=world.erp_id))
        assert world.store.sites() == ()

    def test_a_site_is_not_removed_while_an_order_of_it_is_unfinished(self, world: World) -> None:
        batch_id = wait(world, "1")
        before = world.site()
        assert world.store.remove_site(world.site_id) is Removal.IN_USE
        world.clock.advance(4000)
        world.bring_to(Stage.WRITE, batch_id)
        assert world.store.remove_site(world.site_id) is Removal.IN_USE
        assert (world.site(), world.store.removed_sites()) == (before, ())

    def test_a_site_is_not_removed_while_it_is_read_and_a_late_page_of_a_removed_one_is_not_stored(
        self, world: World
    ) -> None:
        finish(world, "1")
        token = world.store.claim_site(world.site_id, lease_seconds=LEASE)
        assert token is not None
        assert world.store.remove_site(world.site_id) is Removal.BEING_READ
        world.clock.advance(LEASE + 1)
        assert world.store.remove_site(world.site_id) is Removal.KEPT
        page = world.store.store_page(
            site_id=world.site_id,
            token=token,
            run_id=world.run_id,
            sightings=[Sighting(seen=seen("2"))],
            read_at=world.clock(),
            limit=100,
            cursor_after={0: None, 1: None},
        )
        assert page.lost_lease
        assert world.harness.query("SELECT platform_order_id FROM rm_thread") == [("1",)]

    def test_a_page_stored_at_the_moment_of_removal_is_either_kept_in_motion_or_not_stored(
        self, world: World
    ) -> None:
        finish(world, "0")
        for number in range(1, 6):
            token = world.store.claim_site(world.site_id, lease_seconds=LEASE)
            assert token is not None
            world.clock.advance(LEASE + 1)
            store_page = partial(
                world.other.store_page,
                site_id=world.site_id,
                token=token,
                run_id=world.run_id,
                sightings=[Sighting(seen=seen(str(number)))],
                read_at=world.clock(),
                limit=100,
                cursor_after={0: None, 1: None},
            )
            results: list[Any] = at_once(store_page, partial(world.store.remove_site, world.site_id))
            stored, removal = results
            assert (stored.lost_lease, removal) in {(True, Removal.KEPT), (False, Removal.IN_USE)}
            if removal is Removal.KEPT:
                world.store.restore_site(world.site_id, new_site(erp_id=world.erp_id))
            else:
                batch_id = stored.batch_id
                world.bring_to(Stage.DELIVER, batch_id)
                world.acknowledge(batch_id)
                world.export(batch_id)

    def test_a_removed_site_comes_back_where_it_stood(self, world: World) -> None:
        finish(world, "1")
        cursor = Cursor(modified_at=MODIFIED, platform_order_id="2")
        world.read(seen("2"), cursors={0: None, 1: cursor})
        world.harness.execute("UPDATE rm_thread SET state = 'done', next_at = NULL")
        world.harness.execute("UPDATE rm_sites SET orders_sync = 0")
        assert world.store.remove_site(world.site_id) is Removal.KEPT
        world.store.restore_site(world.site_id, new_site(erp_id=None))
        site = world.site()
        assert world.store.removed_sites() == ()
        assert (site.cursor, site.is_active, site.orders_sync) == (cursor, True, True)
        assert (site.url, site.erp_id, site.allow_private) == ("https://new.example.test", None, False)
        assert (site.settings, site.credentials) == ({"statuses": ["on-hold"]}, "another ciphertext")
        assert site.order_next_run == LATER

    def test_an_erp_without_orders_is_deleted_with_its_items(self, world: World) -> None:
        item = ErpItem(number="A", name="a", blocked=False, kind=ItemKind.INVENTORY)
        world.store.save_items(world.erp_id, [item], source="erp", cursor=None)
        world.store.remove_site(world.site_id)
        assert world.store.remove_erp(world.erp_id) is Removal.DELETED
        assert world.harness.query("SELECT id FROM rm_erps") == []
        assert world.harness.query("SELECT id FROM rm_items") == []

    @pytest.mark.parametrize("named", [True, False])
    def test_an_erp_is_not_removed_while_a_site_uses_it_or_may_use_it(
        self, world: World, named: bool
    ) -> None:
        if not named:
            world.harness.execute("UPDATE rm_sites SET erp_id = NULL")
        before = world.store.erps()
        assert world.store.remove_erp(world.erp_id) is Removal.IN_USE
        assert (world.store.erps(), world.store.removed_erps()) == (before, ())

    def test_an_erp_is_not_removed_while_an_order_is_on_its_way_to_it(self, world: World) -> None:
        world.at(Stage.DELIVER, "1")
        other = world.store.add_erp(new_erp("other"))
        world.store.change_site(world.site_id, SiteChanges(erp_id=other))
        assert world.store.remove_erp(world.erp_id) is Removal.IN_USE
        assert len(world.store.erps()) == 2

    def test_an_erp_is_not_removed_while_its_items_are_read(self, world: World) -> None:
        world.store.remove_site(world.site_id)
        assert world.store.claim_items_sync(world.erp_id, lease_seconds=LEASE) is not None
        assert world.store.remove_erp(world.erp_id) is Removal.BEING_READ
        world.clock.advance(LEASE + 1)
        assert world.store.remove_erp(world.erp_id) is Removal.DELETED

    @pytest.mark.parametrize("trace", ["an order", "a customer", "a removed site"])
    def test_an_erp_that_left_a_trace_is_kept_without_its_secrets(self, world: World, trace: str) -> None:
        if trace == "a customer":
            world.store.confirm_customer(world.erp_id, "zoe@example.test", number="C0001")
        elif trace == "an order":
            finish(world, "1")
            other = world.store.add_erp(new_erp("other"))
            world.store.change_site(world.site_id, SiteChanges(erp_id=other))
        else:
            fail(world, "1")
        if trace != "an order":
            world.store.remove_site(world.site_id)
        assert world.store.remove_erp(world.erp_id) is Removal.KEPT
        assert world.erp_id not in {row.id for row in world.store.erps()}
        (removed,) = world.store.removed_erps()
        assert (removed.id, removed.credentials, removed.is_active) == (world.erp_id, "", False)
        with pytest.raises(UsageError):
            world.store.add_erp(new_erp("bc"))

    def test_a_removed_erp_comes_back_with_what_it_had_read(self, world: World) -> None:
        world.store.save_items(world.erp_id, [], source="erp", cursor=START)
        world.store.confirm_customer(world.erp_id, "zoe@example.test", number="C0001")
        world.store.remove_site(world.site_id)
        assert world.store.remove_erp(world.erp_id) is Removal.KEPT
        world.clock.advance(60)
        world.store.restore_erp(world.erp_id, new_erp())
        (row,) = world.store.erps()
        assert (row.id, row.is_active, row.items_cursor) == (world.erp_id, True, START)
        assert (row.company, row.settings, row.credentials) == (
            "other",
            {"t_late": 5.0},
            "another ciphertext",
        )
        assert row.items_next_run == world.clock()
        assert world.store.customer_numbers(world.erp_id, ["zoe@example.test"]) == {
            "zoe@example.test": "C0001"
        }

    def test_a_release_makes_what_is_owed_due_as_well(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1", "2")
        world.acknowledge(batch_id)
        token, owed = world.claim_steps(Owed.EXPORT, batch_id)
        until = world.clock() + timedelta(hours=1)
        outcomes = [
            Waiting(id=step.step_id, reason="No.", next_at=until, hold_kind=kind, state=StepState.OWED)
            for step, kind in zip(owed, ("settings", "maintenance"), strict=True)
        ]
        world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=outcomes)
        assert world.store.release_held(hold_kind="settings", site_id=world.site_id) == 1
        (bell,) = world.store.due(rung_before=600.0, limit=100)
        assert bell.link is Owed.EXPORT
        _, again = world.claim_steps(Owed.EXPORT, bell.batch_id)
        assert [each.platform_order_id for each in again] == ["1"]

    def test_a_released_order_that_nobody_came_for_joins_the_run_that_reads_its_site(
        self, world: World
    ) -> None:
        batch_id = wait(world, "1", kind="settings")
        world.batch("2")
        world.store.release_held(hold_kind="settings", site_id=world.site_id)
        run_id = world.store.open_run(kind="orders", site_id=world.site_id)
        (bell,) = world.store.adopt_waiting(world.site_id, run_id=run_id)
        assert bell.batch_id == batch_id
        assert (world.thread("1")["run_id"], world.thread("2")["run_id"]) == (run_id, world.run_id)
        assert len(world.claim(Stage.NORMALIZE, batch_id)) == 1
        assert world.store.adopt_waiting(world.site_id, run_id=world.run_id) == (), (
            "not while it is worked on"
        )


class DeskContract:
    """What the store shows of runs, of waiting and failing orders, and of what stands where."""

    def test_runs_are_shown_newest_first_with_what_is_true_now(self, world: World) -> None:
        world.batch("1")
        other_site = world.store.add_site(new_site("other", prefix="OTH", erp_id=world.erp_id))
        others = [world.store.open_run(kind="orders", site_id=other_site) for _ in range(2)]
        world.store.finish_reading(others[0], state="failed", reason="Refused.")
        assert [run.id for run in world.store.runs(limit=10)] == [*reversed(others), world.run_id]
        assert [run.id for run in world.store.runs(limit=2)] == [*reversed(others)]
        assert [run.id for run in world.store.runs(site_id=other_site, limit=10)] == [*reversed(others)]
        (mine,) = world.store.runs(run_id=world.run_id, limit=1)
        assert mine == world.store.run(world.run_id)
        assert (mine.counts["fetched"], mine.counts["moving"]) == (1, 1)
        assert world.store.runs(run_id=99_999, limit=1) == ()

    def test_summaries_may_be_of_one_run(self, world: World) -> None:
        world.batch("1")
        first, world.run_id = world.run_id, world.store.open_run(kind="orders", site_id=world.site_id)
        world.batch("2")
        for run_id, expected in ((first, ["1"]), (world.run_id, ["2"])):
            found = world.store.order_summaries(site="bgm", state=None, limit=10, run_id=run_id)
            assert [each.platform_order_id for each in found] == expected

    def test_held_orders_are_shown_with_what_they_wait_for_the_longest_wait_first(self, world: World) -> None:
        assert world.store.held_orders(site=None) == ()
        wait(world, "1", kind="maintenance", reason="Closed.")
        since = world.clock()
        world.clock.advance(60)
        wait(world, "2", reason="Not in the middleware yet: A.")
        world.batch("3")
        first, second = world.store.held_orders(site="bgm")
        assert (first.platform_order_id, first.hold_kind, first.reason) == ("1", "maintenance", "Closed.")
        assert (first.site, first.stage, first.since, first.next_at) == (
            "bgm", "normalize", since, since + timedelta(hours=1),
        )  # fmt: skip
        assert (second.platform_order_id, second.hold_kind) == ("2", "sku")
        assert world.store.held_orders(site="other") == ()

    def test_open_errors_are_listed_by_site_kind_and_stage(self, world: World) -> None:
        assert world.store.error_orders(ErrorFilter(resolved=True)) == ()
        fail(world, "1")
        world.clock.advance(60)
        fail(world, "2", stage=Stage.EXPAND_KITS, kind="kit")
        first, second = world.store.error_orders(ErrorFilter())
        assert (first.order_number, first.platform_order_id, first.site) == ("BGM-1", "1", "bgm")
        assert (first.stage, first.kind, first.field) == ("verify_skus", "bad_sku", "/lines/0/sku")
        assert (first.value, first.currency, first.attempts) == (Decimal("119.00"), "USD", 1)
        assert (first.opened_at, first.resolved_at, first.resolution) == (START, None, None)
        assert (first.reason, first.document) == ("Order 1 is wrong.", None)
        for wanted in (
            ErrorFilter(kind="kit"), ErrorFilter(stage="expand_kits"), ErrorFilter(kind="kit", site="bgm"),
        ):  # fmt: skip
            assert world.store.error_orders(wanted) == (second,)
        assert world.store.error_orders(ErrorFilter(site="other")) == ()

    def test_an_error_of_an_owed_step_counts_the_attempts_of_the_step(self, world: World) -> None:
        batch_id, token, step = world.sent("1")
        later = [Waiting(id=step.step_id, reason="No answer.", next_at=world.clock(), state=StepState.OWED)]
        world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=later)
        token, (step,) = world.claim_steps(Owed.EXPORT, batch_id)
        failed = Failed(id=step.step_id, reason="No.", kind="erp_refusal", order=step.order, unsent=True)
        world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[failed])
        (error,) = world.store.error_orders(ErrorFilter(stage="export"))
        assert error.attempts == 2

    def test_a_resolved_error_is_shown_only_when_it_is_asked_for(self, world: World) -> None:
        fail(world, "1")
        world.read(seen("1", shows="second", at=MODIFIED + timedelta(minutes=1)))
        assert world.store.error_orders(ErrorFilter()) == ()
        (error,) = world.store.error_orders(ErrorFilter(resolved=True))
        assert (error.resolved_at, error.resolution) == (world.clock(), "a new version arrived")

    def test_errors_are_found_by_number_id_and_platform_id_open_ones_first(self, world: World) -> None:
        fail(world, "41")
        world.read(seen("41", shows="second", at=MODIFIED + timedelta(minutes=1)))
        bell = world.store.due(rung_before=0.0, limit=10)[0]
        world.pass_stage(Stage.NORMALIZE, bell.batch_id)
        token = world.token()
        (claimed,) = world.store.claim(
            Stage.VERIFY_SKUS, batch_id=bell.batch_id, token=token, lease_seconds=LEASE
        )
        failed = Failed(id=claimed.thread_id, reason="Again.", kind="bad_sku", order=order("41"))
        world.store.settle(Stage.VERIFY_SKUS, batch_id=bell.batch_id, token=token, outcomes=[failed])
        found = world.store.errors_of("BGM-41")
        assert [each.reason for each in found] == ["Again.", "Order 41 is wrong."]
        assert [each.resolved_at is None for each in found] == [True, False]
        assert '"number":"BGM-41"' in (found[0].document or "")
        assert world.store.errors_of("41") == found
        assert world.store.errors_of(str(found[1].id)) == found[1:]
        assert found[1].id != 41
        for nothing in ("BGM-99", "9999", "9" * 30, "", "٤١"):
            assert world.store.errors_of(nothing) == ()

    def test_what_stands_where_is_counted_due_later_and_in_work(self, world: World) -> None:
        (fetch,) = world.store.waits()
        assert (fetch.link, fetch.due, fetch.due_since, fetch.leased) == ("fetch", 1, START, 0)
        world.store.finish_reading(world.run_id, state=None, reason="")
        assert world.store.waits() == ()
        world.batch("1", "2")
        wait(world, "3")
        world.clock.advance(60)
        world.claim(Stage.NORMALIZE, world.batch("4"))
        world.at(Stage.WRITE, "5")
        at_normalize, at_write = world.store.waits()
        assert (at_normalize.link, at_write.link) == ("normalize", "write")
        assert (at_normalize.due, at_normalize.due_since) == (2, START)
        assert (at_normalize.later, at_normalize.next_at) == (1, START + timedelta(hours=1))
        assert at_normalize.leased == 1
        assert (at_write.due, at_write.later, at_write.next_at, at_write.leased) == (1, 0, None, 0)

    def test_owed_steps_are_counted_and_an_export_is_due_after_its_acknowledgement_was_tried(
        self, world: World
    ) -> None:
        world.store.finish_reading(world.run_id, state=None, reason="")
        batch_id = world.at(Stage.DELIVER, "1", "2", "3")
        acknowledge, export = world.store.waits()
        assert (acknowledge.link, acknowledge.due, acknowledge.due_since) == ("acknowledge", 3, START)
        assert (export.link, export.due, export.later, export.next_at) == ("export", 0, 3, None)
        world.acknowledge(batch_id)
        token, (first, *_) = world.claim_steps(Owed.EXPORT, batch_id, limit=1)
        (export,) = world.store.waits()
        assert (export.due, export.later, export.leased) == (2, 0, 1)
        until = world.clock() + timedelta(hours=1)
        world.store.settle_steps(
            Owed.EXPORT,
            batch_id=batch_id,
            token=token,
            outcomes=[Waiting(id=first.step_id, reason="No answer.", next_at=until)],
        )
        (export,) = world.store.waits()
        assert (export.due, export.later, export.next_at, export.leased) == (2, 1, until, 0)

    def test_what_is_at_its_end_stands_nowhere(self, world: World) -> None:
        world.store.finish_reading(world.run_id, state=None, reason="")
        finish(world, "1")
        fail(world, "2")
        world.at(Stage.DELIVER, "3")
        world.harness.execute(
            "UPDATE rm_thread SET state = 'closed', reason = 'Gone.', next_at = NULL WHERE state = 'active'"
        )
        world.harness.execute("UPDATE rm_step SET state = 'closed', next_at = NULL WHERE state = 'owed'")
        assert world.store.waits() == ()
