"""What the store promises of orders that have long been done: the archive, and the erasing of personal data.

A database's tests inherit this beside `StoreContract`, which gives it its world.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from app.domain.road import Owed, Stage, State, StepState
from app.domain.trail import digest
from app.ports.desk import ErrorFilter, ErrorSort
from app.ports.retention import Archived
from app.ports.sales_channel import Seen
from app.ports.store import Failed, NewErp, Sighting
from app.ports.systems import Removal
from tests.contracts.store import LEASE, MODIFIED, World, order, seen
from tests.contracts.store_systems import wait

LATER = MODIFIED + timedelta(days=95)
LONG = 91 * 86_400.0
_TABLES = (
    *("rm_order", "rm_address", "rm_lineitems", "rm_inbox", "rm_step"),
    *("rm_error_orders", "rm_event", "rm_payload", "rm_repair"),
)


def done(world: World, *order_ids: str) -> None:
    """Orders that are exported."""
    batch_id = world.at(Stage.DELIVER, *order_ids)
    world.acknowledge(batch_id)
    world.export(batch_id)


def newest(world: World) -> None:
    """An order after all others, so that those can go; it is on its way."""
    world.at(Stage.DELIVER, "999")


def archive(world: World, *, days: int = 90, limit: int = 200) -> Archived:
    before = world.clock() - timedelta(days=days)
    return world.store.archive(before=before, after=0, limit=limit)


def reject(world: World, order_id: str) -> None:
    """A new order that needs a person."""
    batch_id, token = world.batch(order_id), world.token()
    (claimed,) = world.store.claim(Stage.NORMALIZE, batch_id=batch_id, token=token, lease_seconds=LEASE)
    failed = Failed(id=claimed.thread_id, reason="No.", kind="validation")
    world.store.settle(Stage.NORMALIZE, batch_id=batch_id, token=token, outcomes=[failed])


def archived(world: World, *order_ids: str) -> None:
    """Orders that were exported long ago and lie in the archive."""
    done(world, *order_ids)
    world.clock.advance(LONG)
    newest(world)
    assert archive(world).orders == len(order_ids)


def count(world: World, table: str) -> int:
    ((found,),) = world.harness.query(f"SELECT count(*) FROM {table}")
    return int(found)


def rows(world: World) -> dict[str, int]:
    return {each: count(world, each) + count(world, f"{each}_archive") for each in _TABLES}


def thread_id(world: World, order_id: str) -> int:
    return int(world.thread(order_id)["id"])


def changed(order_id: str = "1", *, at: datetime = LATER, shows: str = "changed", **more: Any) -> Seen:
    return replace(seen(order_id, shows=shows, at=at), **more)


def without_ids(details: Mapping[str, Any]) -> Mapping[str, Any]:
    """All that is known of an order, but for when it was moved and what the move raised."""
    thread = {k: v for k, v in details["thread"].items() if k not in {"archived_at", "fence"}}
    return {**details, "thread": thread}


class ArchiveContract:
    """The archive: what goes there, and that every question still gets the right answer."""

    def test_an_order_long_done_goes_to_the_archive_with_all_its_rows_and_its_own_row_stays(
        self, world: World
    ) -> None:
        done(world, "1", "2")
        world.clock.advance(LONG)
        newest(world)
        before, counts = world.details(), rows(world)
        moved = archive(world)
        assert (moved.orders, moved.last) == (2, thread_id(world, "2"))
        assert rows(world) == counts
        assert {table: count(world, f"{table}_archive") for table in _TABLES[:5]} == {
            "rm_order": 2,
            "rm_address": 4,
            "rm_lineitems": 4,
            "rm_inbox": 2,
            "rm_step": 4,
        }
        assert world.thread()["archived_at"] == world.clock()
        assert without_ids(world.details()) == without_ids(before)
        assert [each["event"] for each in world.details()["events"]][-1] == "exported"

    def test_rows_keep_their_ids(self, world: World) -> None:
        done(world, "1")
        before = {table: world.harness.query(f"SELECT min(id) FROM {table}") for table in _TABLES}
        world.clock.advance(LONG)
        newest(world)
        archive(world)
        for table in ("rm_order", "rm_event", "rm_step", "rm_inbox", "rm_address"):
            assert world.harness.query(f"SELECT min(id) FROM {table}_archive") == before[table]

    def test_what_changed_lately_stays(self, world: World) -> None:
        done(world, "1")
        newest(world)
        world.clock.advance(89 * 86_400)
        assert world.store.archivable(before=world.clock() - timedelta(days=90)) == 0
        assert archive(world) == Archived(orders=0, rows=0, last=None)
        world.clock.advance(2 * 86_400)
        assert world.store.archivable(before=world.clock() - timedelta(days=90)) == 1
        assert archive(world).orders == 1
        assert world.store.archivable(before=world.clock() - timedelta(days=90)) == 0
        assert archive(world).orders == 0

    def test_orders_in_motion_held_or_rejected_never_go(self, world: World) -> None:
        world.batch("1")
        wait(world, "2")
        reject(world, "3")
        world.clock.advance(LONG)
        newest(world)
        assert world.thread("3")["state"] == State.REJECTED
        assert archive(world).orders == 0

    def test_an_order_whose_status_went_on_in_the_shop_goes_with_the_version_that_waits(
        self, world: World
    ) -> None:
        done(world, "4")
        world.read(changed("4", at=MODIFIED + timedelta(minutes=5)))
        assert world.thread("4")["amended_version"] == 2
        world.clock.advance(LONG)
        newest(world)
        assert archive(world).orders == 1
        (stored,) = world.store.stored_orders(world.site_id, ["4"]).values()
        assert (stored.amended, stored.has_body) == (True, True)

    def test_an_order_with_an_open_error_or_of_which_something_may_still_come_never_goes(
        self, world: World
    ) -> None:
        batch_id, token, step = world.sent()
        failed = Failed(id=step.step_id, reason="Two documents.", kind="duplicate")
        world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[failed])
        world.clock.advance(LONG)
        newest(world)
        reject(world, "2")
        assert archive(world).orders == 0
        # As if a person had closed it: what was sent may still be committed.
        world.harness.execute(
            "UPDATE rm_error_orders SET open_key = NULL, resolved_at = opened_at, resolution = 'closed'"
            " WHERE platform_order_id = '1'"
        )
        world.harness.execute("UPDATE rm_thread SET state = 'closed' WHERE platform_order_id = '1'")
        assert archive(world).orders == 0
        world.harness.execute("UPDATE rm_step SET intent_at = NULL")
        assert archive(world).orders == 1

    def test_closed_and_skipped_orders_go_too(self, world: World) -> None:
        world.read(Sighting(seen=seen("1"), skip="Too old.", order_number="BGM-1"))
        world.at(Stage.DELIVER, "2")
        cancelled = replace(
            seen("2", shows="x", at=MODIFIED + timedelta(minutes=5), status="cancelled"), eligible=False
        )
        world.store.store_read(world.site_id, [Sighting(seen=cancelled)], read_at=world.clock())
        world.clock.advance(LONG)
        newest(world)
        assert archive(world).orders == 2
        assert [each["version"] for each in world.details("2")["versions"]] == [1, 2]

    def test_the_order_with_the_newest_rows_stays_so_that_no_id_is_given_twice(self, world: World) -> None:
        done(world, "1")
        world.clock.advance(LONG)
        assert archive(world).orders == 0
        done(world, "2")
        assert archive(world).orders == 1
        ids = world.harness.query("SELECT id FROM rm_event UNION ALL SELECT id FROM rm_event_archive")
        assert len(ids) == len(set(ids))

    def test_ids_that_are_free_again_do_not_get_into_each_others_way(self, world: World) -> None:
        done(world, "1")
        batch_id = world.at(Stage.WRITE, "2")
        world.clock.advance(LONG)
        world.write(batch_id, order("2"))
        archive(world)
        # Its lines are replaced: their ids were the highest, and SQLite gives them again.
        world.read(changed("2"))
        world.bring_to(Stage.DELIVER, int(world.thread("2")["batch_id"]))
        batch_id = int(world.thread("2")["batch_id"])
        world.acknowledge(batch_id)
        world.export(batch_id)
        newest(world)
        world.clock.advance(LONG)
        assert archive(world).orders == 1
        assert [len(world.details(each)["lines"]) for each in ("1", "2")] == [2, 2]
        assert [len(world.details(each)["addresses"]) for each in ("1", "2")] == [2, 2]

    def test_a_batch_takes_so_many_and_the_next_goes_on_after_them(self, world: World) -> None:
        done(world, "1", "2", "3")
        world.clock.advance(LONG)
        newest(world)
        first = archive(world, limit=2)
        assert first.orders == 2
        assert first.last is not None
        before = world.clock() - timedelta(days=90)
        second = world.store.archive(before=before, after=first.last, limit=2)
        assert (second.orders, second.last) == (1, thread_id(world, "3"))

    def test_an_order_someone_works_on_stays(self, world: World) -> None:
        done(world, "1")
        world.clock.advance(LONG)
        newest(world)
        until = (world.clock() + timedelta(seconds=LEASE)).strftime("%Y-%m-%d %H:%M:%S.%f")
        world.harness.execute(
            f"UPDATE rm_thread SET lease_until = '{until}', lease_token = 't' WHERE platform_order_id = '1'"
        )
        assert archive(world).orders == 0

    # What is decided by the rows that went.

    def test_an_archived_order_seen_unchanged_is_known(self, world: World) -> None:
        archived(world, "1")
        stored = world.read(seen("1"))
        assert (stored.new, stored.again, stored.amended, stored.known) == (0, 0, 0, 1)
        assert world.thread()["archived_at"] is not None

    def test_a_new_version_of_an_archived_order_is_an_amendment_and_brings_its_rows_back(
        self, world: World
    ) -> None:
        archived(world, "1", "2")
        stored = world.read(changed())
        assert (stored.new, stored.again, stored.amended, stored.batch_id) == (0, 0, 1, None)
        thread = world.thread()
        assert (thread["state"], thread["version"], thread["amended_version"]) == (State.DONE, 1, 2)
        assert thread["archived_at"] is None
        assert [each["version"] for each in world.details()["versions"]] == [1, 2]
        assert (count(world, "rm_order"), count(world, "rm_order_archive")) == (2, 1)
        assert world.step(Owed.EXPORT)["state"] == StepState.DONE
        assert [each["event"] for each in world.details()["events"]][-2:] == ["exported", "amended"]

    def test_an_archived_order_that_is_not_wanted_any_more_is_amended_and_not_closed(
        self, world: World
    ) -> None:
        archived(world, "1")
        stored = world.store.store_read(
            world.site_id, [Sighting(seen=changed(eligible=False))], read_at=world.clock()
        )
        assert (stored.closed, stored.amended) == (0, 1)

    def test_an_archived_order_that_is_gone_is_told_once_and_stays_where_it_is(self, world: World) -> None:
        archived(world, "1")
        for _ in range(2):
            world.store.store_read(world.site_id, [], read_at=world.clock(), gone=["1"])
        assert [each["event"] for each in world.details()["events"]].count("gone") == 1
        assert (world.thread()["state"], world.thread()["archived_at"] is None) == (State.DONE, False)

    def test_a_closed_order_comes_back_from_the_archive_when_the_platform_wants_it_again(
        self, world: World
    ) -> None:
        world.at(Stage.DELIVER, "1")
        away = replace(seen(shows="x", at=MODIFIED + timedelta(minutes=5)), eligible=False)
        world.store.store_read(world.site_id, [Sighting(seen=away)], read_at=world.clock())
        world.clock.advance(LONG)
        newest(world)
        assert archive(world).orders == 1
        stored = world.read(changed())
        assert stored.again == 1
        batch_id = int(world.thread()["batch_id"])
        world.bring_to(Stage.DELIVER, batch_id)
        world.acknowledge(batch_id)
        world.export(batch_id)
        assert (count(world, "rm_order"), count(world, "rm_order_archive")) == (2, 0)
        assert world.thread()["state"] == State.DONE
        assert [each["version"] for each in world.details()["versions"]] == [1, 2, 3]

    def test_a_number_in_the_archive_is_taken(self, world: World) -> None:
        archived(world, "1")
        batch_id = world.at(Stage.WRITE, "2")
        world.write(batch_id, order("2", number="bgm-1"))
        assert world.thread("2")["state"] == State.REJECTED
        (error,) = world.open_errors("2")
        assert "already belongs to the platform's order 1" in error["reason"]

    def test_archived_orders_are_listed_like_others(self, world: World) -> None:
        done(world, "1")
        (before,) = world.store.order_summaries(site=None, state=State.DONE, limit=10)
        world.clock.advance(LONG)
        newest(world)
        archive(world)
        assert world.store.order_summaries(site=None, state=State.DONE, limit=10) == (before,)

    def test_archived_orders_are_compared_like_others(self, world: World) -> None:
        done(world, "1", "2")
        before = world.store.stored_orders(world.site_id, ["1", "2"])
        written = world.store.written_between(
            world.site_id, since=None, until=world.clock(), after=0, limit=10
        )
        world.clock.advance(LONG)
        newest(world)
        archive(world, limit=1)
        assert world.store.stored_orders(world.site_id, ["1", "2"]) == before
        assert before["1"].has_body
        until = MODIFIED + timedelta(days=1)
        found = world.store.written_between(world.site_id, since=MODIFIED, until=until, after=0, limit=10)
        assert [each for each in found if each[1].platform_order_id != "999"] == list(written)
        first = world.store.written_between(world.site_id, since=None, until=until, after=0, limit=1)
        rest = world.store.written_between(world.site_id, since=None, until=until, after=first[0][0], limit=1)
        assert (*first, *rest) == written

    def test_a_body_that_is_lost_from_the_archive_is_stored_again(self, world: World) -> None:
        archived(world, "1")
        assert world.store.restore_bodies(world.site_id, [seen()], read_at=world.clock()) == 0
        world.harness.execute("DELETE FROM rm_inbox_archive")
        assert not world.store.stored_orders(world.site_id, ["1"])["1"].has_body
        assert world.store.restore_bodies(world.site_id, [seen()], read_at=world.clock()) == 1
        assert world.store.stored_orders(world.site_id, ["1"])["1"].has_body

    def test_an_erp_whose_orders_are_all_in_the_archive_is_in_use(self, world: World) -> None:
        archived(world, "1")
        for table in ("rm_lineitems", "rm_address", "rm_order"):
            world.harness.execute(f"DELETE FROM {table}")
        use = world.store.erp_use(world.erp_id)
        assert (use.written, use.unfinished, use.sent) == (1, 0, 1)
        world.harness.execute("DELETE FROM rm_id_map")
        other = world.store.add_erp(_erp())
        world.harness.execute(f"UPDATE rm_sites SET erp_id = {other}")
        assert world.store.remove_erp(world.erp_id) == Removal.KEPT

    def test_trails_are_read_from_the_archive_and_the_order_of_a_number_is_found(self, world: World) -> None:
        done(world, "1")
        before = world.store.trail_of(thread_id(world, "1"))
        world.clock.advance(LONG)
        newest(world)
        archive(world)
        assert world.store.trail_of(thread_id(world, "1")) == before
        assert world.store.trails(after=0, limit=10)[0].thread_id == before.thread_id
        assert world.store.trails(after=before.thread_id, limit=10)[0].platform_order_id == "999"
        assert before.bodies == {1: digest(seen().body)}
        assert [each.number for each in before.events] == list(range(1, before.count + 1))
        assert world.store.threads_of("BGM-1") == world.store.threads_of("1") == (before.thread_id,)
        assert world.store.threads_of("BGM-7") == ()
        history = world.store.history_of(before.thread_id)
        assert (history.trail, history.state, history.archived_at) == (before, State.DONE, world.clock())
        assert [(each.version, each.body) for each in history.received] == [(1, seen().body)]
        assert world.store.ownerless_events() == ()

    # Personal data.

    def test_an_order_at_its_end_forgets_who_it_was_from_and_keeps_what_it_came_to(
        self, world: World
    ) -> None:
        done(world, "1", "2")
        before = world.details()
        one = thread_id(world, "1")
        erased = world.store.erase([one])
        assert (erased.thread_ids, erased.customers) == (frozenset([one]), 0)
        after = world.details()
        assert after["thread"]["erased_at"] == world.clock()
        assert after["thread"]["document"] is None
        kept = ("total", "tax_total", "currency", "erp_document_number", "order_date", "ship_country")
        assert [after["order"][each] for each in kept] == [before["order"][each] for each in kept]
        assert after["order"]["bill_email"] == after["order"]["customer_note"] == ""
        assert {each["last_name"] + each["phone"] + each["company"] for each in after["addresses"]} == {""}
        assert [each["name"] for each in after["lines"]] == [each["name"] for each in before["lines"]]
        assert after["events"][-1]["event"] == "erased"
        assert world.details("2")["order"]["bill_email"] == "zoe@example.test"
        assert world.store.trail_of(one).bodies == {1: ""}

    def test_data_in_the_archive_is_erased_too(self, world: World) -> None:
        archived(world, "1")
        world.store.erase([thread_id(world, "1")])
        assert world.details()["order"]["bill_last_name"] == ""
        assert world.harness.query("SELECT body FROM rm_inbox_archive") == [("",)]
        assert world.harness.query("SELECT DISTINCT last_name FROM rm_address_archive") == [("",)]

    def test_an_order_that_is_not_at_its_end_keeps_its_data(self, world: World) -> None:
        world.at(Stage.DELIVER, "1")
        assert world.store.erase([thread_id(world, "1")]).thread_ids == frozenset()
        assert world.details()["order"]["bill_last_name"] == "O'Neil"
        assert world.thread()["erased_at"] is None

    def test_an_erased_order_read_again_stays_erased_and_its_body_is_not_restored(self, world: World) -> None:
        done(world, "1")
        world.store.erase([thread_id(world, "1")])
        assert world.read(seen("1")).known == 1
        assert world.store.stored_orders(world.site_id, ["1"])["1"].has_body
        world.harness.execute("DELETE FROM rm_inbox")
        assert world.store.restore_bodies(world.site_id, [seen()], read_at=world.clock()) == 0
        assert count(world, "rm_inbox") == 0

    def test_an_erased_order_that_is_edited_on_the_platform_is_read_anew(self, world: World) -> None:
        done(world, "1")
        world.store.erase([thread_id(world, "1")])
        world.clock.advance(LONG)
        assert world.read(changed()).amended == 1
        assert world.store.trail_of(thread_id(world, "1")).bodies == {1: "", 2: digest(changed().body)}

    def test_an_erased_order_that_is_wanted_again_begins_with_what_is_read_now(self, world: World) -> None:
        world.read(Sighting(seen=seen("1"), skip="Too old.", order_number="BGM-1"))
        world.store.erase([thread_id(world, "1")])
        world.clock.advance(1)
        stored = world.read(seen("1"))
        assert stored.again == 1
        (claimed,) = world.claim(Stage.NORMALIZE, int(world.thread()["batch_id"]))
        assert (claimed.body, claimed.version) == (seen("1").body, 2)
        assert world.thread()["erased_at"] is None
        assert world.store.trail_of(claimed.thread_id).bodies == {1: "", 2: digest(seen("1").body)}

    def test_a_customers_link_keeps_its_address_as_long_as_another_order_has_it(self, world: World) -> None:
        done(world, "1", "2")
        email = "zoe@example.test"
        world.store.confirm_customer(world.erp_id, email, number="C0001")
        assert world.store.erase([thread_id(world, "1")]).customers == 0
        assert world.store.customer_numbers(world.erp_id, [email]) == {email: "C0001"}
        assert world.store.erase([thread_id(world, "2")]).customers == 1
        assert world.store.customer_numbers(world.erp_id, [email]) == {}
        ((key, number),) = world.harness.query("SELECT our_key, their_key FROM rm_id_map")
        assert (len(key), number) == (64, "C0001")

    def test_a_link_that_came_back_can_be_erased_again(self, world: World) -> None:
        email = "zoe@example.test"
        for order_id, number in (("1", "C0001"), ("2", "C0002")):
            done(world, order_id)
            world.store.confirm_customer(world.erp_id, email, number=number)
            assert world.store.erase([thread_id(world, order_id)]).customers == 1
        assert world.harness.query("SELECT their_key FROM rm_id_map") == [("C0002",)]

    def test_orders_are_found_by_the_address_that_stands_in_them(self, world: World) -> None:
        archived(world, "1")
        done(world, "2")
        body = '{"billing": {"email": "Ann@Example.test"}}'
        world.read(Sighting(seen=replace(seen("3"), body=body), skip="Too old.", order_number="BGM-3"))
        assert world.store.orders_with_email(" ZOE@example.test ") == (
            thread_id(world, "1"),
            thread_id(world, "999"),
            thread_id(world, "2"),
        )
        assert world.store.orders_with_email("ann@example.test") == (thread_id(world, "3"),)
        # Another address that ends with it, or begins with it, is somebody else's.
        assert world.store.orders_with_email("nn@example.test") == ()
        assert world.store.orders_with_email("ann@example.tes") == ()
        assert world.store.orders_with_email("%") == ()

    def test_an_address_is_found_however_its_text_is_escaped_and_in_any_case(self, world: World) -> None:
        bodies = {
            "1": '{"note": "Write to:\\nann@example.test"}',
            "2": '{"billing": {"email": "\\u0061nn\\u0040Example.test"}}',
            "3": '{"billing": {"email": "REN\\u00c9@example.test"}}',
            "4": '{"billing": {"email": "RENÉ@example.test"}}',
            "5": '{"billing": {"email": "joann@example.test"}}',
            "6": '{"billing": {"email": "ann_x@example.test"}}',
        }
        for order_id, body in bodies.items():
            shown = replace(seen(order_id), body=body)
            world.read(Sighting(seen=shown, skip="Too old.", order_number=f"BGM-{order_id}"))
        found = {
            each: world.store.orders_with_email(each) for each in ("ann@example.test", "rené@example.test")
        }
        assert found == {
            "ann@example.test": (thread_id(world, "1"), thread_id(world, "2")),
            "rené@example.test": (thread_id(world, "3"), thread_id(world, "4")),
        }
        assert world.store.orders_with_email("ann-x@example.test") == ()

    def test_an_address_that_another_one_ends_with_is_hidden_and_one_in_use_is_not(
        self, world: World
    ) -> None:
        body = '{"email": "oe@example.test", "note": "earlier: \\ud800\\u0000@x, Early@example.test"}'
        done(world, "1", "2")
        assert world.read(changed("1", body=body)).amended == 1
        for email in ("oe@example.test", "early@example.test", "zoe@example.test"):
            world.store.confirm_customer(world.erp_id, email, number="C0001")
        assert world.store.erase([thread_id(world, "1")]).customers == 2
        left = world.harness.query("SELECT our_key FROM rm_id_map WHERE our_key LIKE '%@%'")
        assert left == [("zoe@example.test",)]
        assert world.store.erase([thread_id(world, "2")], email=" OTHER@example.test").customers == 1

    def test_completed_bodies_are_kept_of_versions_that_count_and_of_nobody_who_was_erased(
        self, world: World
    ) -> None:
        done(world, "1", "2")
        world.clock.advance(LONG)
        assert world.read(changed("2")).amended == 1
        world.store.erase([thread_id(world, "1")])
        bodies = {(order_id, version): "{}" for order_id in ("1", "2", "7") for version in (1, 2, 3)}
        world.store.keep_completed(world.site_id, bodies)
        kept = world.harness.query("SELECT platform_order_id, version FROM rm_inbox WHERE completed = '{}'")
        assert sorted(kept) == [("2", 1), ("2", 2)]
        noted = [
            each["detail"]["version"] for each in world.details("2")["events"] if each["event"] == "completed"
        ]
        assert noted == [1, 2]
        assert world.details("1")["events"][-1]["event"] == "erased"

    def test_errors_of_archived_orders_are_listed_summed_exported_and_shown(self, world: World) -> None:
        for order_id in ("1", "2"):
            reject(world, order_id)
        world.read(replace(changed("1"), eligible=False))
        world.clock.advance(LONG)
        reject(world, "3")
        newest(world)
        everything = ErrorFilter(resolved=True)
        before = world.store.error_orders(everything)
        sums = world.store.error_sums(everything)
        shown = world.store.errors_of("1")
        assert (len(before), sums.errors, len(shown)) == (3, 3, 1)
        assert archive(world).orders == 1
        assert count(world, "rm_error_orders_archive") == 1
        assert world.store.error_orders(everything) == before
        assert world.store.error_sums(everything) == sums
        assert world.store.errors_of("1") == world.store.errors_of(str(shown[0].id)) == shown
        first = world.store.error_orders_after(everything, after=0, limit=2)
        rest = world.store.error_orders_after(everything, after=first[-1].id, limit=2)
        assert [each.id for each in (*first, *rest)] == sorted(each.id for each in before)
        for sort in ErrorSort:
            assert len(world.store.error_orders(everything, sort=sort, limit=2, offset=1)) == 2
        assert [each.platform_order_id for each in world.store.error_orders(ErrorFilter())] == ["2", "3"]
        assert (
            world.store.error_orders(replace(everything, kind="validation", since=world.clock()))
            == before[2:]
        )

    def test_how_orders_stand_is_told_before_their_data_is_erased(self, world: World) -> None:
        done(world, "1")
        world.at(Stage.DELIVER, "2")
        ids = [thread_id(world, each) for each in ("2", "1")]
        found = world.store.subjects(ids)
        assert [(each.order_number, each.state, each.open_error) for each in found] == [
            ("BGM-1", State.DONE, False),
            ("BGM-2", State.ACTIVE, False),
        ]


def _erp() -> NewErp:
    return NewErp(
        name="other",
        platform="business_central",
        url="https://other.example.test",
        company="1",
        allow_private=False,
        settings={},
        credentials="",
    )
