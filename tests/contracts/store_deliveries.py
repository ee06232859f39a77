"""What the store promises of webhook deliveries, of how webhooks are set up, and of alerts.

A database's tests inherit this beside `StoreContract`, which gives it its world.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from app.ports.deliveries import (
    Alert,
    AlertKind,
    DeliveryDone,
    DeliveryOutcome,
    DeliveryWaiting,
    DueSite,
    OwedDelivery,
)
from app.ports.hooks import Delivery
from app.ports.store import NewSite, Sighting, Store
from app.ports.systems import Removal
from tests.contracts.store import LEASE, START, World, at_once, seen
from tests.contracts.store_systems import finish, new_site

SILENT, DISABLED = AlertKind.WEBHOOK_SILENT, AlertKind.WEBHOOK_DISABLED


def delivery(number: int = 1, *, order: str = "1") -> Delivery:
    return Delivery(delivery_id=f"delivery-{number}", topic="order.updated", platform_order_id=order)


def second_site(world: World) -> int:
    made: NewSite = new_site("second", prefix="SEC", erp_id=world.erp_id)
    return world.store.add_site(made)


class TakenDeliveriesContract:
    """Taking, claiming, settling and forgetting deliveries; webhooks and alerts of a site."""

    def claim_deliveries(
        self, world: World, *, site_id: int | None = None, store: Store | None = None
    ) -> tuple[str, tuple[OwedDelivery, ...]]:
        token = world.token()
        by = world.store if store is None else store
        return token, by.claim_deliveries(
            world.site_id if site_id is None else site_id, token=token, lease_seconds=LEASE
        )

    def orders(self, claimed: Sequence[OwedDelivery]) -> list[str]:
        return [each.platform_order_id for each in claimed]

    def test_a_delivery_is_taken_once_and_a_repeat_changes_nothing(self, world: World) -> None:
        assert world.store.take_delivery(world.site_id, delivery())
        before = world.harness.query("SELECT * FROM rm_delivery")
        world.clock.advance(60)
        assert not world.other.take_delivery(world.site_id, delivery(order="2"))
        assert world.harness.query("SELECT * FROM rm_delivery") == before
        assert world.store.last_delivery(world.site_id) == START

    def test_the_same_delivery_at_once_is_one_row(self, world: World) -> None:
        taken = at_once(
            lambda: world.store.take_delivery(world.site_id, delivery()),
            lambda: world.other.take_delivery(world.site_id, delivery()),
        )
        assert sorted(taken) == [False, True]
        assert len(world.harness.query("SELECT id FROM rm_delivery")) == 1

    def test_two_sites_may_have_deliveries_of_the_same_id(self, world: World) -> None:
        other = second_site(world)
        assert world.store.take_delivery(world.site_id, delivery())
        assert world.store.take_delivery(other, delivery())
        assert self.orders(self.claim_deliveries(world, site_id=other)[1]) == ["1"]

    def test_a_delivery_that_names_no_order_is_done_at_once(self, world: World) -> None:
        assert world.store.take_delivery(world.site_id, delivery(order=""))
        assert self.claim_deliveries(world)[1] == ()
        assert world.store.due_deliveries(rung_before=0) == ()
        assert world.harness.query("SELECT outcome, next_at FROM rm_delivery") == [
            ("It names no order.", None)
        ]

    def test_due_deliveries_are_claimed_by_one_and_the_oldest_first(self, world: World) -> None:
        for number in (1, 2, 3):
            world.store.take_delivery(world.site_id, delivery(number, order=str(number)))
            world.clock.advance(1)
        _, claimed = self.claim_deliveries(world)
        assert [(each.platform_order_id, each.attempts) for each in claimed] == [("1", 1), ("2", 1), ("3", 1)]
        assert claimed[0].received_at == START
        assert self.claim_deliveries(world, store=world.other)[1] == ()

    def test_a_claim_takes_all_deliveries_of_a_hundred_orders(self, world: World) -> None:
        for number in range(101):
            world.store.take_delivery(world.site_id, delivery(number, order=str(number)))
        world.store.take_delivery(world.site_id, delivery(200, order="0"))
        world.store.take_delivery(world.site_id, delivery(201, order="100"))
        _, claimed = self.claim_deliveries(world)
        assert (len(claimed), len(set(self.orders(claimed)))) == (101, 100)
        assert self.orders(self.claim_deliveries(world)[1]) == ["100", "100"]

    def test_what_is_done_stays_done_and_what_waits_comes_back_in_its_time(self, world: World) -> None:
        for number in (1, 2):
            world.store.take_delivery(world.site_id, delivery(number, order=str(number)))
        token, (first, second) = self.claim_deliveries(world)
        later = world.clock() + timedelta(minutes=5)
        outcomes: list[DeliveryOutcome] = [
            DeliveryDone(id=first.id, outcome="Its order was read."),
            DeliveryWaiting(id=second.id, outcome="x" * 300 + "\x00", next_at=later),
        ]
        assert world.store.settle_deliveries(token=token, outcomes=outcomes) == 2
        assert self.claim_deliveries(world)[1] == ()
        world.clock.advance(301)
        assert world.store.due_deliveries(rung_before=1000) == (DueSite(world.site_id, "bgm"),)
        _, claimed = self.claim_deliveries(world)
        assert [(each.platform_order_id, each.attempts) for each in claimed] == [("2", 2)]
        assert world.harness.query("SELECT outcome FROM rm_delivery ORDER BY id") == [
            ("Its order was read.",),
            ("x" * 255,),
        ]

    def test_one_that_wakes_up_after_its_lease_changes_nothing(self, world: World) -> None:
        world.store.take_delivery(world.site_id, delivery())
        stale, (claimed,) = self.claim_deliveries(world)
        world.clock.advance(LEASE + 1)
        token, (again,) = self.claim_deliveries(world, store=world.other)
        assert (again.id, again.attempts) == (claimed.id, 2)
        done = [DeliveryDone(id=claimed.id, outcome="Late.")]
        assert world.store.settle_deliveries(token=stale, outcomes=done) == 0
        assert world.store.settle_deliveries(token=token, outcomes=done) == 1

    def test_a_site_with_due_deliveries_is_rung_again_only_when_it_was_quiet_for_long(
        self, world: World
    ) -> None:
        other = second_site(world)
        for site_id in (world.site_id, other):
            world.store.take_delivery(site_id, delivery())
        # Whoever takes a delivery rings for it.
        assert world.store.due_deliveries(rung_before=30) == ()
        world.clock.advance(31)
        assert set(world.store.due_deliveries(rung_before=30)) == {
            DueSite(world.site_id, "bgm"),
            DueSite(other, "second"),
        }
        assert world.store.due_deliveries(rung_before=30) == ()
        world.clock.advance(31)
        self.claim_deliveries(world)
        assert world.store.due_deliveries(rung_before=30) == (DueSite(other, "second"),)

    def test_many_claim_at_once_and_each_delivery_is_claimed_by_one(self, world: World) -> None:
        for number in range(40):
            world.store.take_delivery(world.site_id, delivery(number, order=str(number)))
        taken: list[int] = []
        lock = threading.Lock()

        def claim(store: Store) -> Callable[[], None]:
            def once() -> None:
                with lock:
                    token = world.token()
                found = store.claim_deliveries(world.site_id, token=token, lease_seconds=LEASE)
                with lock:
                    taken.extend(each.id for each in found)

            return once

        at_once(claim(world.store), claim(world.other), claim(world.store))
        taken.extend(each.id for each in self.claim_deliveries(world)[1])
        assert len(taken) == len(set(taken)) == 40

    def test_old_deliveries_that_are_done_are_forgotten_a_few_at_a_time(self, world: World) -> None:
        other = second_site(world)
        for number in range(3):
            world.store.take_delivery(world.site_id, delivery(number, order=""))
            world.store.take_delivery(other, delivery(number, order=""))
        world.store.take_delivery(world.site_id, delivery(9))
        world.clock.advance(60)
        world.store.take_delivery(world.site_id, delivery(10, order=""))
        before = world.clock()
        assert [world.store.drop_deliveries(before=before, most=4) for _ in range(3)] == [4, 2, 0]
        assert world.harness.query("SELECT delivery_id FROM rm_delivery ORDER BY id") == [
            ("delivery-9",),
            ("delivery-10",),
        ]

    def test_where_webhooks_go_and_when_they_are_looked_after_is_kept_with_the_site(
        self, world: World
    ) -> None:
        world.store.keep_hooks(world.site_id, url="https://x.test/hooks/bgm", secrets="ciphertext")
        world.store.check_hooks_at(world.site_id, START)
        site = world.site()
        assert (site.hook_url, site.hook_secrets, site.hooks_next_check) == (
            "https://x.test/hooks/bgm", "ciphertext", START,
        )  # fmt: skip
        world.store.open_alert(world.site_id, SILENT, reason="Nothing comes.")
        world.store.forget_hooks(world.site_id)
        site = world.site()
        assert (site.hook_url, site.hook_secrets, site.hooks_next_check) == ("", "", None)
        assert world.store.open_alerts() == ()

    def test_a_check_that_is_due_is_taken_by_one(self, world: World) -> None:
        next_check = START + timedelta(days=1)
        assert not world.store.take_hook_check(world.site_id, next_check=next_check)
        world.store.check_hooks_at(world.site_id, START + timedelta(seconds=1))
        assert not world.store.take_hook_check(world.site_id, next_check=next_check)
        world.clock.advance(1)
        taken = at_once(
            lambda: world.store.take_hook_check(world.site_id, next_check=next_check),
            lambda: world.other.take_hook_check(world.site_id, next_check=next_check),
        )
        assert sorted(taken) == [False, True]
        assert world.site().hooks_next_check == next_check

    def test_an_alert_is_open_once_for_each_site_and_kind(self, world: World) -> None:
        other = second_site(world)
        assert world.store.open_alert(world.site_id, SILENT, reason="Nothing comes.")
        assert not world.other.open_alert(world.site_id, SILENT, reason="Still nothing.")
        assert world.store.open_alert(world.site_id, DISABLED, reason="It was off.")
        assert world.store.open_alert(other, SILENT, reason="Nor there.")
        assert world.store.open_alerts(site_id=world.site_id) == (
            Alert(world.site_id, SILENT, "Still nothing.", START),
            Alert(world.site_id, DISABLED, "It was off.", START),
        )
        assert [each.site_id for each in world.store.open_alerts()] == [world.site_id, world.site_id, other]
        assert world.store.close_alert(world.site_id, SILENT)
        assert not world.store.close_alert(world.site_id, SILENT)
        assert world.store.open_alert(world.site_id, SILENT, reason="Again.")

    def test_an_alert_that_two_open_at_once_is_one_row(self, world: World) -> None:
        opened = at_once(
            lambda: world.store.open_alert(world.site_id, SILENT, reason="Nothing comes."),
            lambda: world.other.open_alert(world.site_id, SILENT, reason="Nothing comes."),
        )
        assert sorted(opened) == [False, True]

    def test_the_next_delivery_ends_the_alert_that_none_comes(self, world: World) -> None:
        for kind in (AlertKind.WEBHOOK_SILENT, DISABLED):
            world.store.open_alert(world.site_id, kind, reason="So it is.")
        world.store.take_delivery(world.site_id, delivery())
        assert [each.kind for each in world.store.open_alerts()] == [DISABLED]

    def test_new_orders_that_polling_has_brought_are_counted_by_when_they_were_changed_and_found(
        self, world: World
    ) -> None:
        minute = timedelta(minutes=1)
        before = world.clock()
        world.clock.advance(60)
        world.run_id = world.store.open_run(kind="orders", site_id=world.site_id)
        world.read(seen("1", at=before - minute), seen("2", at=before + minute))
        read_by_id = seen("3", at=before + minute)
        world.store.store_read(world.site_id, [Sighting(seen=read_by_id)], read_at=world.clock())
        assert world.store.unannounced(world.site_id, after=before, until=world.clock()) == 1
        assert world.store.unannounced(world.site_id, after=before, until=before) == 0
        assert world.store.unannounced(world.site_id, after=world.clock(), until=world.clock() + minute) == 0


class DeliveriesContract(TakenDeliveriesContract):
    """The same, and what happens to them where a site is not there, or goes."""

    def test_a_delivery_for_a_site_that_there_is_not_is_no_repeat(self, world: World) -> None:
        with pytest.raises(IntegrityError):
            world.store.take_delivery(world.site_id + 1000, delivery())

    def test_a_site_without_orders_goes_with_its_deliveries_and_alerts(self, world: World) -> None:
        other = second_site(world)
        for site_id in (world.site_id, other):
            world.store.take_delivery(site_id, delivery())
            world.store.open_alert(site_id, SILENT, reason="Nothing comes.")
        assert world.store.remove_site(other) is Removal.DELETED
        assert world.harness.query("SELECT site_id FROM rm_delivery") == [(world.site_id,)]
        assert [each.site_id for each in world.store.open_alerts()] == [world.site_id]

    def test_a_site_that_is_kept_has_no_webhooks_and_owes_nothing_to_them(self, world: World) -> None:
        finish(world)
        world.store.keep_hooks(world.site_id, url="https://x.test/hooks/bgm", secrets="ciphertext")
        world.store.take_delivery(world.site_id, delivery())
        world.store.open_alert(world.site_id, SILENT, reason="Nothing comes.")
        assert world.store.remove_site(world.site_id) is Removal.KEPT
        assert world.store.open_alerts() == ()
        assert world.store.due_deliveries(rung_before=0) == ()
        assert world.harness.query("SELECT hook_url, hook_secrets FROM rm_sites") == [(None, None)]
        assert world.harness.query("SELECT outcome FROM rm_delivery") == [("Its site was removed.",)]
