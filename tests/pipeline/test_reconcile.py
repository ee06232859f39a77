"""The certificate of completeness: what it finds, what reading again puts right, and what is never sent a second time."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import requests

from app.errors import UsageError
from app.ports.store import Bell
from app.sync.nightly import reconcile_nightly
from app.sync.parts import site_with_id
from app.sync.reconcile import Comparison, Heal, Kind, reconcile, sentence
from app.sync.schedule import tick
from tests.pipeline.world import MakeWorld, World, kit_order, plain_order

LONG_AGO = "2026-11-20T09:00:00"
ORDERS = (1001, 1002, 1003)


def compare(
    world: World, *, heal: Heal = Heal.NOTHING, since: datetime | None = None, until: datetime | None = None
) -> Comparison:
    site = site_with_id(world.parts, world.site_id)
    return reconcile(world.parts, site, since=since, until=until, heal=heal, ring=world.road.ring)


def kinds(found: Comparison) -> list[tuple[str, str]]:
    return [(each.kind.value, each.order) for each in found.findings]


def execute(world: World, *statements: str) -> None:
    with world.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def delete(world: World, order_id: int) -> None:
    """All that the database has of an order, gone by hand."""
    of_order = f"platform_order_id = '{order_id}'"
    (thread,) = world.rows(f"SELECT id FROM rm_thread WHERE {of_order}")
    (order,) = world.rows(f"SELECT id FROM rm_order WHERE {of_order}")
    execute(
        world,
        *(f"DELETE FROM {name} WHERE order_id = {order['id']}" for name in ("rm_lineitems", "rm_address")),
        *(
            f"DELETE FROM {name} WHERE thread_id = {thread['id']}"
            for name in ("rm_order", "rm_step", "rm_event", "rm_payload")
        ),
        f"DELETE FROM rm_thread WHERE id = {thread['id']}",
        f"DELETE FROM rm_inbox WHERE {of_order}",
    )


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    made = make_world(orders=[plain_order(each, **_dated(LONG_AGO)) for each in ORDERS])
    made.run()
    assert set(made.ends().values()) == {"done"}
    # The cursor goes beyond them with the next order.
    made.place(plain_order(1900))
    made.clock.advance(7200)
    made.run()
    # As if the marks had been set long ago.
    made.shop.add_orders([made.shop.order(each) | _dated(LONG_AGO) for each in ORDERS])
    return made


def _dated(moment: str) -> dict[str, str]:
    return {"date_created_gmt": moment, "date_modified_gmt": moment}


def test_where_all_is_well_it_certifies_so_and_counts(world: World) -> None:
    found = compare(world)
    assert (found.complete, kinds(found), found.not_exported) == (True, [], [])
    assert found.counts["eligible"] == found.counts["stored"] == found.counts["done"] == 4
    assert found.counts["documents"] == 4
    assert sentence(found).startswith(
        f"Complete up to {found.until_at:%Y-%m-%d %H:%M:%S} UTC: 4 eligible orders"
    )
    (stored,) = world.parts.store.certificates(world.site_id, limit=5)
    assert (stored.id, stored.complete, stored.until_at) == (found.certificate_id, True, found.until_at)
    assert stored.counts == found.counts
    assert list(stored.findings) == []


def test_an_order_that_was_never_read_is_found_and_read(world: World) -> None:
    world.shop.add_orders([plain_order(1500, **_dated(LONG_AGO))])
    found = compare(world)
    assert kinds(found) == [("missing", "BGM-1500")]
    assert not found.complete
    healed = compare(world, heal=Heal.ALL)
    assert healed.complete
    assert [(each.kind, each.order) for each in healed.healed] == [(Kind.MISSING, "BGM-1500")]
    world.settle()
    assert world.ends()[1500] == "done"
    assert world.document_numbers().count("BGM-1500") == 1
    assert [each.complete for each in world.parts.store.certificates(world.site_id, limit=5)] == [True, False]


def test_an_order_whose_body_was_deleted_by_hand_is_found_and_its_body_read_again(world: World) -> None:
    execute(world, "DELETE FROM rm_inbox WHERE platform_order_id = '1002'")
    assert kinds(compare(world)) == [("no_body", "BGM-1002")]
    assert compare(world, heal=Heal.ALL).complete
    world.settle()
    (row,) = world.rows("SELECT version, body FROM rm_inbox WHERE platform_order_id = '1002'")
    assert (row["version"], '"id":1002' in row["body"].replace(" ", "")) == (1, True)
    assert world.document_numbers() == ["BGM-1001", "BGM-1002", "BGM-1003", "BGM-1900"]


def test_an_order_that_was_deleted_with_all_it_has_is_read_again_and_finds_its_document(world: World) -> None:
    delete(world, 1002)
    assert kinds(compare(world)) == [("missing", "BGM-1002")]
    compare(world, heal=Heal.ALL)
    world.settle()
    assert world.ends()[1002] == "done"
    assert world.document_numbers().count("BGM-1002") == 1
    assert compare(world).complete


def test_an_order_that_was_deleted_right_after_its_mark_is_found_by_it(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(1001), plain_order(1002)])
    world.run()
    delete(world, 1002)
    found = compare(world)
    assert (kinds(found), found.counts["coming"]) == ([("missing", "BGM-1002")], 0)
    assert "carries our mark" in found.findings[0].reason


def test_a_document_that_was_made_twice_by_hand_is_found(world: World) -> None:
    by_hand = world.put_document("BGM-1003")
    found = compare(world, heal=Heal.ALL)
    assert kinds(found) == [("erp_doubled", "BGM-1003")]
    assert by_hand in found.findings[0].reason
    assert found.counts["documents"] == 5


def test_a_document_that_was_deleted_by_hand_is_found_and_not_posted_again(world: World) -> None:
    (number,) = (each["number"] for each in world.documents() if each["externalDocumentNumber"] == "BGM-1001")
    requests.post(f"{world.erp_url}/_sandbox/documents/{number}/delete", timeout=5).raise_for_status()
    for _ in range(2):
        found = compare(world, heal=Heal.ALL)
        assert kinds(found) == [("erp_missing", "BGM-1001")]
        assert number in found.findings[0].reason
        world.settle()
    assert world.document_numbers() == ["BGM-1002", "BGM-1003", "BGM-1900"]


def test_another_amount_is_found_on_either_side(world: World) -> None:
    execute(world, "UPDATE rm_order SET total = '20.99' WHERE platform_order_id = '1001'")
    found = compare(world, heal=Heal.ALL)
    assert kinds(found) == [("amount", "BGM-1001"), ("erp_amount", "BGM-1001")]
    assert "19.99" in found.findings[0].reason
    assert "20.99" in found.findings[0].reason


def test_a_document_of_an_order_that_was_not_exported_is_found(make_world: MakeWorld) -> None:
    unknown = plain_order(1001)
    unknown["line_items"][0]["sku"] = "NO-SUCH-ITEM"
    world = make_world(orders=[unknown])
    world.run()
    world.put_document("BGM-1001")
    found = compare(world)
    assert kinds(found) == [("erp_unexpected", "BGM-1001")]


def test_what_is_not_exported_is_told_with_its_reason(make_world: MakeWorld) -> None:
    rejected = plain_order(1002, total="99.00")
    skipped = plain_order(1003)
    skipped["meta_data"] = [{"id": 1, "key": "sumatra_wc_integrator_exported", "value": "1"}]
    world = make_world(orders=[kit_order(1001), rejected, skipped])
    world.run()
    found = compare(world)
    assert found.complete
    told = {each.order: (each.state, each.reason) for each in found.not_exported}
    assert set(told) == {"BGM-1002", "BGM-1003"}
    assert told["BGM-1002"][0] == "rejected"
    assert "does not add up" in told["BGM-1002"][1]
    assert told["BGM-1003"] == (
        "skipped",
        "It was already marked as exported on the platform when it was first seen.",
    )
    assert (found.counts["done"], found.counts["rejected"], found.counts["skipped"]) == (1, 1, 1)


def test_what_has_not_been_read_yet_is_no_finding_but_ends_the_certificate(world: World) -> None:
    world.place(plain_order(1600))
    found = compare(world)
    assert (found.complete, found.counts["coming"]) == (True, 1)
    order = world.shop.order(1600)
    first = min(order["date_created_gmt"], order["date_modified_gmt"])
    assert found.until_at == datetime.fromisoformat(first).replace(tzinfo=UTC) - timedelta(seconds=1)
    assert "1 order not read yet" in sentence(found)


def test_an_order_that_is_closed_here_and_wanted_there_runs_again(world: World) -> None:
    execute(
        world,
        "UPDATE rm_thread SET state = 'closed' WHERE platform_order_id = '1002'",
        "UPDATE rm_step SET state = 'closed', document_id = '', document_number = ''"
        " WHERE thread_id = (SELECT id FROM rm_thread WHERE platform_order_id = '1002')",
    )
    found = compare(world)
    assert ("closed", "BGM-1002") in kinds(found)
    compare(world, heal=Heal.ALL)
    world.settle()
    assert world.ends()[1002] == "done"
    assert world.document_numbers().count("BGM-1002") == 1


def test_only_the_orders_of_the_time_that_is_asked_for_are_compared(world: World) -> None:
    world.shop.add_orders([plain_order(1500, **_dated(LONG_AGO))])
    assert compare(world, since=datetime(2026, 11, 20, 10, tzinfo=UTC)).complete
    assert not compare(world, until=datetime(2026, 11, 20, 10, tzinfo=UTC)).complete
    with pytest.raises(UsageError, match="earlier"):
        compare(world, since=datetime(2026, 11, 21, tzinfo=UTC), until=datetime(2026, 11, 20, tzinfo=UTC))


def test_healing_exports_nothing_that_was_skipped_on_purpose(make_world: MakeWorld) -> None:
    marked, tiny = plain_order(1001), plain_order(1002)
    marked["meta_data"] = [{"id": 1, "key": "sumatra_wc_integrator_exported", "value": "1"}]
    for line in tiny["line_items"]:
        line |= {"subtotal": "0.50", "total": "0.50", "price": 0.5}
    tiny["total"] = "0.50"
    world = make_world(orders=[marked])
    world.run()
    execute(world, "DELETE FROM rm_inbox WHERE platform_order_id = '1001'")
    world.place(plain_order(1900))
    world.clock.advance(7200)
    world.run()
    # Never read, and a test: it stays what the site's rules make of it.
    world.shop.add_orders([tiny | _dated(LONG_AGO)])
    assert compare(world, heal=Heal.ALL).complete
    world.settle()
    assert world.ends() == {1001: "skipped", 1002: "skipped", 1900: "done"}
    assert world.document_numbers() == ["BGM-1900"]


def test_orders_from_before_the_minimum_order_date_are_none_of_ours(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(1001)], site_settings={"min_order_date": "2026-11-01"})
    world.run()
    world.shop.add_orders([plain_order(900, **_dated("2025-01-05T09:00:00"))])
    assert compare(world, heal=Heal.ALL).complete
    assert set(world.ends()) == {1001}


def test_an_order_that_carries_our_mark_and_is_not_stored_is_left_to_a_person_at_night(world: World) -> None:
    marked = plain_order(1500, **_dated(LONG_AGO))
    marked["meta_data"] = [{"id": 1, "key": "sumatra_wc_integrator_exported", "value": "1"}]
    world.shop.add_orders([marked])
    found = compare(world, heal=Heal.UNMARKED)
    assert (kinds(found), found.healed) == ([("missing", "BGM-1500")], ())
    assert 1500 not in world.ends()
    assert compare(world, heal=Heal.ALL).complete
    world.settle()
    assert world.document_numbers().count("BGM-1500") == 1


def test_a_lost_body_is_found_also_when_the_platform_shows_the_order_no_more(world: World) -> None:
    world.shop.update(1002, {"status": "completed"})
    execute(world, "DELETE FROM rm_inbox WHERE platform_order_id = '1002'")
    assert kinds(compare(world)) == [("no_body", "BGM-1002")]


def test_a_lost_body_of_an_amendment_is_found_and_only_that_is_restored(world: World) -> None:
    world.shop.update(1002, {"customer_note": "Leave it at the gate."})
    world.run()
    versions = "SELECT version FROM rm_inbox WHERE platform_order_id = '1002' ORDER BY version"
    assert [row["version"] for row in world.rows(versions)] == [1, 2]
    execute(world, "DELETE FROM rm_inbox WHERE platform_order_id = '1002' AND version = 2")
    assert kinds(compare(world)) == [("no_body", "BGM-1002")]
    assert compare(world, heal=Heal.ALL).complete
    execute(world, "DELETE FROM rm_inbox WHERE platform_order_id = '1002' AND version = 1")
    # What was exported is gone for good: the platform shows only what came of it.
    assert kinds(compare(world, heal=Heal.ALL)) == [("no_body", "BGM-1002")]


def test_a_certificate_reaches_no_further_than_the_last_reading(world: World) -> None:
    read_at = max(run.started_at for run in world.parts.store.runs(site_id=world.site_id, limit=5))
    world.clock.advance(2 * 86_400)
    found = compare(world)
    assert (found.complete, found.until_at) == (True, read_at)


def test_an_order_that_is_done_without_a_document_is_found(world: World) -> None:
    execute(
        world,
        "DELETE FROM rm_step WHERE kind = 'export' AND thread_id ="
        " (SELECT id FROM rm_thread WHERE platform_order_id = '1001')",
    )
    (number,) = (each["number"] for each in world.documents() if each["externalDocumentNumber"] == "BGM-1001")
    requests.post(f"{world.erp_url}/_sandbox/documents/{number}/delete", timeout=5).raise_for_status()
    assert kinds(compare(world)) == [("erp_missing", "BGM-1001")]


def test_orders_whose_erp_is_not_connected_any_more_are_told_as_not_compared(world: World) -> None:
    execute(world, "UPDATE rm_erps SET removed_at = '2026-11-25 12:00:00.000000'")
    found = compare(world)
    assert (found.complete, found.counts["not_compared"]) == (False, 4)
    assert "4 orders not compared" in sentence(found)


def test_each_night_a_site_is_compared_once_and_what_is_missing_is_read(world: World) -> None:
    world.shop.add_orders([plain_order(1500, **_dated(LONG_AGO))])
    assert tick(world.parts).reconcile == ()
    world.clock.advance(86_400)
    due: Sequence[int] = [site.id for site in tick(world.parts).reconcile]
    assert due == [world.site_id]
    bells: list[Bell] = []
    for _ in range(2):
        reconcile_nightly(world.parts, site_id=world.site_id, ring=bells.append)
    assert len(bells) == len(world.parts.store.certificates(world.site_id, limit=5)) == 1
    assert tick(world.parts).reconcile == ()
    world.walk(bells)
    assert world.ends()[1500] == "done"


def test_what_the_night_finds_and_cannot_mend_is_told_until_it_is_over(world: World) -> None:
    def night() -> list[str]:
        world.clock.advance(86_400)
        tick(world.parts)
        reconcile_nightly(world.parts, site_id=world.site_id, ring=world.road.ring)
        return [each.reason for each in world.parts.store.open_alerts(site_id=world.site_id)]

    tick(world.parts)
    execute(world, "UPDATE rm_order SET total = '20.99' WHERE platform_order_id = '1001'")
    (reason,) = night()
    assert reason.startswith("Not complete: 2 findings;")
    assert reason.endswith("See ordersync reconcile bgm.")
    execute(world, "UPDATE rm_order SET total = '19.99' WHERE platform_order_id = '1001'")
    assert night() == []


def test_a_platform_that_is_away_at_night_is_compared_an_hour_later(world: World) -> None:
    tick(world.parts)
    world.clock.advance(86_400)
    world.shop_fault("503_maintenance", times=-1)
    reconcile_nightly(world.parts, site_id=world.site_id, ring=world.road.ring)
    assert world.parts.store.certificates(world.site_id, limit=5) == ()
    world.clear_faults()
    world.clock.advance(3600)
    assert [site.id for site in tick(world.parts).reconcile] == [world.site_id]
    reconcile_nightly(world.parts, site_id=world.site_id, ring=world.road.ring)
    assert [each.complete for each in world.parts.store.certificates(world.site_id, limit=5)] == [True]
