"""What happens on the platform, and in the middleware's own lists, while an order is on its way."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from app.domain.road import LINKS, Owed, Stage
from app.sandbox.erp.records import put
from app.sync.items import import_items, import_kits
from tests.pipeline.world import MakeWorld, World, kit_order, plain_order

DONE = ("done", "deliver", "")
LONGER_THAN_AN_ACKNOWLEDGEMENT_COUNTS = 31.0
"""Seconds after which the answer to a mark no longer says how the order stands."""


def _cancel(world: World, order_id: int) -> None:
    world.shop.update(order_id, {"status": "cancelled"})


def _trash(world: World, order_id: int) -> None:
    world.shop.delete(order_id)


def _delete(world: World, order_id: int) -> None:
    world.shop.delete(order_id, force=True)


def _refund(world: World, order_id: int) -> None:
    world.shop.refund(order_id, {"amount": world.shop.order(order_id)["total"]})


ENDS: dict[str, tuple[Callable[[World, int], None], str]] = {
    "cancelled": (_cancel, "'cancelled'"),
    "trashed": (_trash, "'trash'"),
    "deleted": (_delete, "no longer on the platform"),
    "refunded": (_refund, "'refunded'"),
}
"""How an order ends on the platform, and what the reason must hold."""


def _versions(world: World, order_id: int) -> list[int]:
    found = world.rows(
        "SELECT version FROM rm_inbox WHERE platform_order_id = :id ORDER BY version", id=str(order_id)
    )
    return [row["version"] for row in found]


def _events(world: World, order_id: int) -> list[str]:
    found = world.rows(
        "SELECT e.event FROM rm_event e JOIN rm_thread t ON t.id = e.thread_id"
        " WHERE t.platform_order_id = :id ORDER BY e.id",
        id=str(order_id),
    )
    return [row["event"] for row in found]


def _is_closed(world: World, order_id: int, telling: str) -> None:
    state, _, reason = world.states()[order_id]
    assert state == "closed"
    assert telling in reason
    (order,) = world.rows("SELECT imported FROM rm_order WHERE platform_order_id = :id", id=str(order_id))
    assert order["imported"] == 2
    steps = world.rows(
        "SELECT s.state FROM rm_step s JOIN rm_thread t ON t.id = s.thread_id"
        " WHERE t.platform_order_id = :id AND s.kind = 'export'",
        id=str(order_id),
    )
    assert steps == [{"state": "closed"}]


@pytest.mark.parametrize("_case", ENDS)
def test_an_order_that_ended_before_the_mark_is_closed_unmarked_and_unexported(
    make_world: MakeWorld, _case: str
) -> None:
    change, telling = ENDS[_case]
    world = make_world(orders=[plain_order(801), plain_order(802)])
    bells = world.fetch()
    world.walk(bells, last=Stage.WRITE)
    change(world, 801)

    world.walk(bells, first=Owed.ACKNOWLEDGE)
    world.settle()

    _is_closed(world, 801, telling)
    assert world.states()[802] == DONE
    assert world.document_numbers() == ["BGM-802"]
    assert world.marked() == {802}
    assert not world.errors()
    world.run()
    assert world.ends() == {801: "closed", 802: "done"}
    assert world.document_numbers() == ["BGM-802"]


@pytest.mark.parametrize("_case", ENDS)
def test_an_order_that_ended_between_mark_and_export_is_closed_unexported(
    make_world: MakeWorld, _case: str
) -> None:
    change, telling = ENDS[_case]
    world = make_world(orders=[plain_order(803), plain_order(804)])
    bells = world.fetch()
    world.walk(bells, last=Owed.ACKNOWLEDGE)
    assert world.marked() == {803, 804}
    change(world, 803)
    world.clock.advance(LONGER_THAN_AN_ACKNOWLEDGEMENT_COUNTS)

    world.walk(bells, first=Owed.EXPORT)
    world.settle()

    _is_closed(world, 803, telling)
    assert world.states()[804] == DONE
    assert world.document_numbers() == ["BGM-804"]


@pytest.mark.parametrize("_case", ENDS)
def test_an_order_that_ended_after_the_export_keeps_its_document(make_world: MakeWorld, _case: str) -> None:
    """Its document is a person's to deal with; no machine takes it back or writes another."""
    change, _ = ENDS[_case]
    world = make_world(orders=[plain_order(805)])
    world.run()
    change(world, 805)
    world.run()
    assert world.document_numbers() == ["BGM-805"]
    (order,) = world.rows("SELECT imported, erp_document_number FROM rm_order")
    assert order["imported"] == 1
    assert order["erp_document_number"]


def _edit(world: World, order_id: int) -> None:
    """Two widgets instead of one."""
    body = world.shop.order(order_id)
    body["line_items"][0] |= {"quantity": 2, "subtotal": "39.98", "total": "39.98"}
    world.place(body | {"total": "39.98"})


def _is_of_two_widgets(world: World, order_id: int) -> None:
    (document,) = [each for each in world.documents() if each["externalDocumentNumber"] == f"BGM-{order_id}"]
    assert document["totalAmountIncludingTax"] == Decimal("39.98")
    (order,) = world.rows(
        "SELECT id, version, total FROM rm_order WHERE platform_order_id = :id", id=str(order_id)
    )
    assert (order["version"], Decimal(str(order["total"]))) == (2, Decimal("39.98"))
    lines = world.rows("SELECT quantity FROM rm_lineitems WHERE order_id = :id", id=order["id"])
    assert [Decimal(str(line["quantity"])) for line in lines] == [Decimal(2)]


@pytest.mark.parametrize("link", LINKS[1:-1])
def test_an_order_edited_before_its_mark_runs_again_as_its_new_version(
    make_world: MakeWorld, link: Stage | Owed
) -> None:
    """Wherever it stands when the edit comes, asking before the mark finds it."""
    world = make_world(orders=[plain_order(811), plain_order(812)])
    bells = world.fetch()
    world.walk(bells, last=LINKS[LINKS.index(link) - 1])
    _edit(world, 811)

    world.walk(bells, first=link)
    assert world.document_numbers() == ["BGM-812"]
    world.settle()

    assert world.states() == {811: DONE, 812: DONE}
    assert _versions(world, 811) == [1, 2]
    assert _versions(world, 812) == [1]
    assert world.document_numbers() == ["BGM-811", "BGM-812"]
    _is_of_two_widgets(world, 811)
    assert world.marked() == {811, 812}


def test_an_order_edited_between_mark_and_export_runs_again_as_its_new_version(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(813)])
    bells = world.fetch()
    world.walk(bells, last=Owed.ACKNOWLEDGE)
    _edit(world, 813)
    world.clock.advance(LONGER_THAN_AN_ACKNOWLEDGEMENT_COUNTS)
    world.walk(bells, first=Owed.EXPORT)
    assert world.documents() == []
    world.settle()
    assert world.states() == {813: DONE}
    _is_of_two_widgets(world, 813)


def test_an_order_edited_before_the_export_that_the_next_poll_finds_runs_again(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(814)])
    bells = world.fetch()
    world.walk(bells, last=Owed.ACKNOWLEDGE)
    _edit(world, 814)
    world.run()
    # The old chain comes late, and finds nothing to do.
    world.walk(bells)
    world.settle()
    assert world.states() == {814: DONE}
    assert world.document_numbers() == ["BGM-814"]
    _is_of_two_widgets(world, 814)


def test_an_order_edited_while_its_write_is_in_doubt_waits_as_an_amendment(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(815)])
    world.erp.faults.order({"kind": "reset_after", "match": {"operation": r"salesOrders$"}})
    world.walk(world.fetch())
    _edit(world, 815)
    world.run()
    assert world.document_numbers() == ["BGM-815"]
    (document,) = world.documents()
    assert document["totalAmountIncludingTax"] == Decimal("19.99")
    (thread,) = world.rows("SELECT version, amended_version FROM rm_thread")
    assert (thread["version"], thread["amended_version"]) == (1, 2)


def test_an_order_edited_after_the_export_is_an_amendment_and_is_not_written_again(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[plain_order(816)])
    world.run()
    _edit(world, 816)
    world.run()
    assert world.states() == {816: DONE}
    (thread,) = world.rows("SELECT version, amended_version FROM rm_thread")
    assert (thread["version"], thread["amended_version"]) == (1, 2)
    assert _versions(world, 816) == [1, 2]
    assert _events(world, 816)[-1] == "amended"
    (document,) = world.documents()
    assert document["totalAmountIncludingTax"] == Decimal("19.99")
    world.run()
    assert _versions(world, 816) == [1, 2]


def test_the_echo_of_our_own_mark_runs_nothing_again(make_world: MakeWorld) -> None:
    """Order tables move the modified date at every write of meta (contract 5), so that every exported order comes back."""
    world = make_world(orders=[plain_order(821), kit_order(822)])
    world.run()
    dates = {each["date_modified_gmt"] for each in world.shop.overview()}
    assert "2026-11-20T18:32:28" not in dates
    events = world.rows("SELECT COUNT(*) AS n FROM rm_event")
    run = world.run()
    assert (run.state, run.counts["fetched"]) == ("finished", 0)
    assert world.rows("SELECT COUNT(*) AS n FROM rm_event") == events
    assert _versions(world, 821) == _versions(world, 822) == [1]
    assert world.document_numbers() == ["BGM-821", "BGM-822"]


def test_a_second_run_finds_nothing_new(make_world: MakeWorld) -> None:
    world = make_world(
        orders=[plain_order(823), plain_order(824, currency="ZZZ"), plain_order(825, status="pending")]
    )
    world.run()
    before = world.counts(), world.states()
    for _ in range(3):
        assert world.run().counts["fetched"] == 0
    assert (world.counts(), world.states()) == before


def test_an_order_marked_elsewhere_is_skipped_with_its_reason(make_world: MakeWorld) -> None:
    mark = {"id": 1, "key": "sumatra_wc_integrator_exported", "value": "1"}
    world = make_world(orders=[plain_order(831, meta_data=[mark]), plain_order(832)])
    run = world.run()
    assert (run.counts["skipped"], run.counts["exported"]) == (1, 1)
    state, _, reason = world.states()[831]
    assert state == "skipped"
    assert "already marked" in reason
    assert world.document_numbers() == ["BGM-832"]
    assert _versions(world, 831) == [1]


@pytest.mark.parametrize("value", ["0", "", "no"])
def test_a_mark_that_does_not_say_1_does_not_count(make_world: MakeWorld, value: str) -> None:
    mark = {"id": 1, "key": "sumatra_wc_integrator_exported", "value": value}
    world = make_world(orders=[plain_order(833, meta_data=[mark])])
    world.run()
    assert world.states() == {833: DONE}
    metas = world.shop.order(833)["meta_data"]
    assert [each["value"] for each in metas if each["key"] == mark["key"]] == ["1"]


def test_an_order_that_becomes_eligible_later_is_read_then(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(834, status="on-hold"), plain_order(835)])
    world.run()
    assert set(world.states()) == {835}
    world.shop.update(834, {"status": "processing"})
    world.run()
    assert world.states() == {834: DONE, 835: DONE}


@pytest.mark.parametrize("_case", ENDS)
def test_a_held_order_that_ended_meanwhile_is_closed_when_it_is_released(
    make_world: MakeWorld, _case: str
) -> None:
    change, telling = ENDS[_case]
    # The second order is never read; a shop without any order at all would be doubted instead.
    world = make_world(orders=[_order_of("BIG-1", 836), plain_order(837, status="pending")])
    _new_item(world, "BIG-1")
    world.run()
    change(world, 836)
    world.sync_items()
    world.settle(through_holds=True)
    _is_closed(world, 836, telling)
    assert world.documents() == []
    assert not world.marked()


@pytest.mark.parametrize("link", [Owed.ACKNOWLEDGE, Owed.EXPORT])
@pytest.mark.parametrize("away", ["trash", "on-hold"])
def test_an_order_that_comes_back_just_as_it_was_runs(make_world: MakeWorld, away: str, link: Owed) -> None:
    """Its content is what is stored already, yet it was closed: nothing may be lost by that."""
    world = make_world(orders=[plain_order(837), plain_order(838)])
    bells = world.fetch()
    world.walk(bells, last=LINKS[LINKS.index(link) - 1])
    world.clock.advance(LONGER_THAN_AN_ACKNOWLEDGEMENT_COUNTS)
    if away == "trash":
        _trash(world, 837)
    else:
        world.shop.update(837, {"status": away})
    world.walk(bells, first=link)
    assert world.ends()[837] == "closed"
    if away == "trash":
        world.shop.restore(837)
    else:
        world.shop.update(837, {"status": "processing"})
    world.run()
    assert world.states() == {837: DONE, 838: DONE}
    assert world.document_numbers() == ["BGM-837", "BGM-838"]
    assert world.marked() == {837, 838}


def test_a_status_set_with_the_mark_is_no_change_of_the_order(make_world: MakeWorld) -> None:
    """The status our own acknowledgement gave counts as eligible (ARCHITECTURE, the road)."""
    orders = [plain_order(826), plain_order(827, payment_method="cod", date_paid_gmt=None)]
    world = make_world(orders=orders, site_settings={"ack_status": "completed"})
    bells = world.fetch()
    world.walk(bells, last=Owed.ACKNOWLEDGE)
    assert {world.shop.order(order_id)["status"] for order_id in (826, 827)} == {"completed"}
    world.clock.advance(LONGER_THAN_AN_ACKNOWLEDGEMENT_COUNTS)
    world.walk(bells, first=Owed.EXPORT)
    world.settle()
    assert world.states() == {826: DONE, 827: DONE}
    assert world.run().counts["fetched"] == 0
    assert _versions(world, 826) == _versions(world, 827) == [1]
    assert world.document_numbers() == ["BGM-826", "BGM-827"]


def test_a_mark_that_somebody_takes_off_does_not_export_again(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(828)])
    world.run()
    world.shop.update(828, {"meta_data": [{"key": "sumatra_wc_integrator_exported", "value": None}]})
    world.run()
    assert world.states() == {828: DONE}
    assert world.document_numbers() == ["BGM-828"]


def test_a_second_order_with_a_number_that_is_taken_is_rejected_by_name(make_world: MakeWorld) -> None:
    """A plugin may number them so; the ERP's number is upper case, so that `a1` and `A1` are one."""
    world = make_world(orders=[plain_order(829, number="a1"), plain_order(830, number="A1")])
    world.run()
    assert world.states()[829] == DONE
    state, stage, reason = world.states()[830]
    assert (state, stage) == ("rejected", "write")
    assert "BGM-A1" in reason
    assert world.marked() == {829}
    assert [number.upper() for number in world.document_numbers()] == ["BGM-A1"]


# Messages and processes that are lost.


def test_the_sweeper_alone_takes_every_order_to_its_end(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(838), kit_order(839), plain_order(840, currency="ZZZ")])
    world.fetch()
    world.settle()
    assert world.ends() == {838: "done", 839: "done", 840: "rejected"}
    assert world.document_numbers() == ["BGM-838", "BGM-839"]


@pytest.mark.parametrize("link", LINKS)
def test_every_step_rung_twice_does_its_work_once(make_world: MakeWorld, link: Stage | Owed) -> None:
    world = make_world(orders=[plain_order(838), kit_order(839)])
    bells = world.fetch()
    world.walk(bells, last=link)
    world.walk(bells)
    world.walk(bells)
    world.settle()
    assert world.states() == {838: DONE, 839: DONE}
    assert world.document_numbers() == ["BGM-838", "BGM-839"]


@pytest.mark.parametrize("stage", list(Stage)[:-1])
def test_a_process_that_died_with_a_lease_is_taken_over_when_the_lease_ends(
    make_world: MakeWorld, stage: Stage
) -> None:
    world = make_world(orders=[plain_order(838)])
    bells = world.fetch()
    if stage is not Stage.NORMALIZE:
        world.walk(bells, last=LINKS[LINKS.index(stage) - 1])
    taken = world.parts.store.claim(stage, batch_id=bells[0].batch_id, token="dead", lease_seconds=4.5)
    assert len(taken) == 1
    world.walk(bells, first=stage)
    assert world.states()[838][:2] == ("active", str(stage))
    world.settle()
    assert world.states() == {838: DONE}


# The middleware's own lists.


def _new_item(world: World, number: str) -> None:
    with world.erp.lock:
        put(world.erp.books, "items", {"number": number, "displayName": "New"})


def _order_of(sku: str, order_id: int) -> dict[str, object]:
    body = plain_order(order_id)
    body["line_items"][0]["sku"] = sku
    return body


def test_a_held_order_is_released_by_the_item_sync(make_world: MakeWorld) -> None:
    world = make_world(orders=[_order_of("BIG-1", 841), plain_order(842)])
    _new_item(world, "BIG-1")
    world.run()
    assert world.ends() == {841: "held", 842: "done"}
    assert world.marked() == {842}
    synced = world.sync_items()
    assert (synced.new, synced.released) == (1, 1)
    world.settle()
    assert world.states() == {841: DONE, 842: DONE}
    assert world.document_numbers() == ["BGM-841", "BGM-842"]
    assert world.marked() == {841, 842}


def test_a_held_order_is_tried_again_by_the_next_run(make_world: MakeWorld) -> None:
    world = make_world(orders=[_order_of("BIG-1", 843)])
    _new_item(world, "BIG-1")
    world.run()
    second = world.run()
    assert (second.counts["fetched"], second.counts["held"]) == (1, 1)
    import_items(world.parts, erp_id=world.erp_id, lines=["sku,name,status", "BIG-1,Expensive,allowed"])
    world.settle()
    assert world.states() == {843: DONE}


def test_a_held_order_that_waits_two_days_in_vain_is_a_persons(make_world: MakeWorld) -> None:
    world = make_world(orders=[_order_of("BIG-1", 844)])
    _new_item(world, "BIG-1")
    world.run()
    world.clock.advance(47 * 3600)
    world.settle()
    assert world.ends() == {844: "held"}
    world.clock.advance(2 * 3600)
    world.settle()
    state, stage, reason = world.states()[844]
    assert (state, stage) == ("rejected", "verify_skus")
    assert "Not in the middleware yet: BIG-1" in reason
    assert world.errors()[844]["stage"] == "verify_skus"
    assert not world.marked()


def test_an_item_that_a_person_does_not_allow_is_a_hard_failure(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(845), _order_of("COMP-A", 846)])
    import_items(world.parts, erp_id=world.erp_id, lines=["sku,name,status", "WID-001,Widget,not_allowed"])
    world.run()
    state, stage, reason = world.states()[845]
    assert (state, stage) == ("rejected", "verify_skus")
    assert "WID-001 is not allowed in the middleware" in reason
    assert world.errors()[845]["kind"] == "bad_sku"
    assert world.states()[846] == DONE
    world.sync_items()
    statuses = world.parts.store.item_statuses(world.erp_id, ["WID-001"])
    assert statuses == {"WID-001": "not_allowed"}


def test_a_kit_that_changes_after_the_expansion_does_not_change_a_stored_order(make_world: MakeWorld) -> None:
    world = make_world(orders=[kit_order(851)])
    bells = world.fetch()
    world.walk(bells, last=Stage.EXPAND_KITS)
    import_kits(world.parts, lines=["parent_sku,component_sku,quantity", "KIT-PARENT-123,CHEAP-1,7"])
    world.walk(bells, first=Stage.APPLY_STORE_CREDIT)
    world.settle()
    assert world.states() == {851: DONE}
    (document,) = world.documents()
    items = {
        line["lineObjectNumber"]: line["quantity"] for line in document["lines"] if line["lineType"] == "Item"
    }
    assert items == {"KIT-PARENT-123": Decimal(2), "COMP-A": Decimal(6), "COMP-B": Decimal(2)}
    world.place(kit_order(852))
    world.run()
    after = next(each for each in world.documents() if each["externalDocumentNumber"] == "BGM-852")
    items = {
        line["lineObjectNumber"]: line["quantity"] for line in after["lines"] if line["lineType"] == "Item"
    }
    assert items == {"KIT-PARENT-123": Decimal(2), "CHEAP-1": Decimal(14)}


@pytest.mark.parametrize(
    ("_case", "component", "telling"),
    [
        ("not in the ERP", "NOWHERE-1", "KIT-PARENT-123 > NOWHERE-1 does not exist in Business Central"),
        ("blocked there", "ÜNI-商品", "KIT-PARENT-123 > ÜNI-商品 is blocked in Business Central"),
    ],
)
def test_a_kit_with_a_component_that_cannot_pass_is_a_hard_failure_that_names_the_path(
    make_world: MakeWorld, _case: str, component: str, telling: str
) -> None:
    world = make_world(orders=[kit_order(853), plain_order(854)])
    import_kits(world.parts, lines=["parent_sku,component_sku,quantity", f"KIT-PARENT-123,{component},1"])
    world.run()
    state, _, reason = world.states()[853]
    assert state == "rejected"
    assert telling in reason
    assert world.states()[854] == DONE


def test_a_kit_whose_component_is_new_in_the_erp_is_held_and_released(make_world: MakeWorld) -> None:
    world = make_world(orders=[kit_order(855)])
    import_kits(world.parts, lines=["parent_sku,component_sku,quantity", "KIT-PARENT-123,BIG-1,1"])
    _new_item(world, "BIG-1")
    world.run()
    state, _, reason = world.states()[855]
    assert state == "held"
    assert "BIG-1" in reason
    world.sync_items()
    world.settle()
    assert world.states() == {855: DONE}


# Limits of a run.


def test_the_limit_counts_unseen_orders_only_and_starves_none(make_world: MakeWorld) -> None:
    held = [_order_of("BIG-1", order_id) for order_id in range(861, 864)]
    fine = [plain_order(order_id) for order_id in range(864, 871)]
    world = make_world(orders=[*held, *fine], site_settings={"max_orders_per_run": "3"})
    _new_item(world, "BIG-1")
    for seen in (3, 6, 9, 10, 10):
        world.run()
        assert world.counts()["fetched"] == seen
    assert world.counts()["exported"] == 7
    assert world.counts()["held"] == 3


def test_orders_older_than_the_minimum_date_are_not_run(make_world: MakeWorld) -> None:
    old = plain_order(871, date_created_gmt="2026-10-31T23:59:59")
    world = make_world(orders=[old, plain_order(872)], site_settings={"min_order_date": "2026-11-01"})
    world.run()
    assert world.ends() == {871: "skipped", 872: "done"}
    assert "2026-11-01" in world.states()[871][2]
    assert world.document_numbers() == ["BGM-872"]


@pytest.mark.parametrize(("on", "end"), [("true", "skipped"), ("false", "done")])
def test_the_toggle_for_test_orders_decides_over_orders_below_one(
    make_world: MakeWorld, on: str, end: str
) -> None:
    small = plain_order(873, total="0.99")
    small["line_items"][0] |= {"subtotal": "0.99", "total": "0.99", "price": 0.99}
    world = make_world(orders=[small], site_settings={"skip_test_orders": on})
    world.run()
    assert world.ends() == {873: end}


def test_a_coupon_that_leaves_less_than_one_is_no_test_order(make_world: MakeWorld) -> None:
    """It is the total before discounts that counts."""
    body = plain_order(874, total="0.00", discount_total="19.99")
    body["line_items"][0] |= {"total": "0.00", "price": 0}
    body["coupon_lines"] = [
        {
            "id": 1,
            "code": "all",
            "discount": "19.99",
            "discount_tax": "0",
            "discount_type": "percent",
            "nominal_amount": 100,
            "free_shipping": False,
            "meta_data": [],
        }
    ]
    world = make_world(orders=[body])
    world.run()
    assert world.states() == {874: DONE}
    (document,) = world.documents()
    assert document["totalAmountIncludingTax"] == Decimal(0)
