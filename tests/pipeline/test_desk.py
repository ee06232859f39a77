"""The error desk: each kind of hard failure, from the shop to a person and, repaired or put right, to the ERP."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.domain.road import Owed, Stage
from app.errors import Reject, UsageError
from app.ports.desk import DeskOrder
from app.ports.store import Bell, Failed
from app.sandbox.erp.orders import change_line, delete_order
from app.sandbox.erp.records import put
from app.sync import settle
from app.sync.items import import_items, import_kits
from app.sync.recheck import recheck
from app.sync.reconfigure import Wanted, set_erp
from app.sync.repair import Repaired, fields, repair
from app.sync.resume import End, How, Result, foresee, orders_named, release, resume, retry
from tests.fixtures import databases
from tests.pipeline.world import Json, MakeWorld, World, kit_order, plain_order

DONE = ("done", "deliver", "")
SUNDAY_EVENING = datetime(2026, 11, 29, 20, 0, tzinfo=UTC)
"""Within Business Central's weekly window."""
ANNA = How(by="cli:anna")
NOBODY_RINGS: Callable[[Bell], None] = lambda _bell: None  # noqa: E731 - a name for a value


def desk_order(world: World, order_id: int) -> DeskOrder:
    (found,) = orders_named(world.parts, [str(order_id)])
    return found


def mend(world: World, order_id: int, **values: str) -> Repaired:
    """Repair fields; a name is the pointer with underscores doubled for slashes."""
    pointers = {"/" + name.replace("__", "/"): value for name, value in values.items()}
    return repair(
        world.parts, desk_order(world, order_id), pointers, reason="as the customer wrote", by="cli:anna"
    )


def go_on(world: World, order_id: int, how: How = ANNA) -> Result:
    (result,) = resume(world.parts, [desk_order(world, order_id)], how, ring=world.road.ring)
    world.settle()
    return result


def passes(world: World, order_id: int) -> dict[str, int]:
    """How often the order passed each stage."""
    found = world.rows(
        "SELECT e.stage, COUNT(*) AS n FROM rm_event e JOIN rm_thread t ON t.id = e.thread_id"
        " WHERE t.platform_order_id = :id AND e.event IN ('passed', 'acknowledged', 'exported') GROUP BY e.stage",
        id=str(order_id),
    )
    return {row["stage"]: row["n"] for row in found}


def put_record(world: World, entity: str, body: Json, **key: str) -> None:
    with world.erp.lock:
        put(world.erp.books, entity, body, **key)


def delete_document(world: World, number: str) -> None:
    with world.erp.lock:
        row = world.erp.books.table("salesOrders").first("number", number)
        assert row is not None
        delete_order(world.erp.books, row)


def with_sku(order_id: int, sku: str) -> Json:
    body = plain_order(order_id)
    body["line_items"][0]["sku"] = sku
    return body


def with_shipping_address(order_id: int, **parts: str) -> Json:
    body = plain_order(order_id)
    address = {
        "first_name": "Ada", "last_name": "Example", "company": "", "address_1": "1 Example Street", "address_2": "",
        "city": "Springfield", "state": "IL", "postcode": "62701", "country": "US", "phone": "",
    }  # fmt: skip
    return body | {"shipping": address | parts}


@dataclass(frozen=True)
class Case:
    """An order that cannot pass, where it stops with what kind of error, and what puts it right."""

    name: str
    body: Callable[[int], Json]
    stage: str
    kind: str
    repaired: dict[str, str] = field(default_factory=dict)
    put_right: Callable[[World], object] = lambda _world: None
    erp_settings: dict[str, str] = field(default_factory=dict)
    before: Callable[[World], object] = lambda _world: None
    customer: str = ""


def _without_postcode(order_id: int) -> Json:
    return with_shipping_address(order_id, postcode="")


def _of_quantity_none(order_id: int) -> Json:
    body = plain_order(order_id)
    body["line_items"][0]["quantity"] = 0
    return body


def _unpaid(order_id: int) -> Json:
    return plain_order(order_id, payment_method="")


def _unbalanced(order_id: int) -> Json:
    return plain_order(order_id, total="29.99")


def _with_fee(order_id: int) -> Json:
    body = plain_order(order_id, total="24.99")
    fee = {"id": 77, "name": "Gift wrap", "tax_class": "", "tax_status": "none", "amount": "5", "total": "5.00", "total_tax": "0.00", "taxes": [], "meta_data": []}  # fmt: skip
    return body | {"fee_lines": [fee]}


def _two_documents(world: World) -> None:
    for _ in range(2):
        world.put_document("BGM-900")


def _delete_one_document(world: World) -> None:
    delete_document(world, world.documents()[-1]["number"])


def _not_a_stocked_kit(world: World) -> None:
    put_record(world, "items", {"number": "KIT-PARENT-123", "type": "Inventory"})


def _unblock(world: World) -> None:
    put_record(world, "items", {"number": "BLK-1", "blocked": False})
    assert world.sync_items().state == "done"


UNFORESEEABLE = {"a currency that the ERP refuses", "a SKU that the ERP refuses to sell"}
"""The ERP says so only when it is written to."""

CASES = (
    Case(
        "a quantity of none",
        _of_quantity_none,
        "normalize",
        "validation",
        repaired={"line_items__0__quantity": "1"},
    ),
    Case(
        "an address without postcode",
        _without_postcode,
        "normalize",
        "address",
        repaired={"shipping__postcode": "62701"},
    ),
    Case("no payment method", _unpaid, "normalize", "payment", repaired={"payment_method": "bacs"}),
    Case("a total that is not the sum", _unbalanced, "normalize", "balance", repaired={"total": "19.99"}),
    Case(
        "a SKU that the ERP does not have",
        lambda order_id: with_sku(order_id, "WID-OO1"),
        "verify_skus",
        "bad_sku",
        repaired={"lines__0__sku": "WID-001"},
    ),
    Case(
        "a SKU that is blocked, and unblocked in the ERP",
        lambda order_id: with_sku(order_id, "BLK-1"),
        "verify_skus",
        "bad_sku",
        before=lambda world: put_record(world, "items", {"number": "BLK-1", "blocked": True}),
        put_right=_unblock,
    ),
    Case(
        "a SKU that the ERP refuses to sell",
        lambda order_id: with_sku(order_id, "SALESBLK-1"),
        "export",
        "bad_sku",
        put_right=lambda world: put_record(world, "items", {"number": "SALESBLK-1", "salesBlocked": False}),
    ),
    Case(
        "a kit with a part that is nowhere",
        kit_order,
        "verify_skus",
        "kit",
        before=lambda world: import_kits(
            world.parts, lines=("parent_sku,component_sku,quantity", "KIT-PARENT-123,NO-PART,1")
        ),
        put_right=lambda world: import_kits(
            world.parts, lines=("parent_sku,component_sku,quantity", "KIT-PARENT-123,COMP-A,3")
        ),
    ),
    Case(
        "a kit that the ERP would ship itself",
        kit_order,
        "export",
        "kit",
        before=_not_a_stocked_kit,
        put_right=lambda world: put_record(
            world, "items", {"number": "KIT-PARENT-123", "type": "Non-Inventory"}
        ),
    ),
    Case(
        "two customers of one address",
        lambda order_id: plain_order(order_id, email="twice@example.test"),
        "export",
        "customer",
        repaired={"bill__email": "once@example.test"},
    ),
    Case(
        "a blocked customer who is unblocked in the ERP",
        lambda order_id: plain_order(order_id, email="blocked2@example.test"),
        "export",
        "customer",
        before=lambda world: put_record(
            world, "customers", {"number": "C-B2", "email": "blocked2@example.test", "blocked": "All"}
        ),
        put_right=lambda world: put_record(world, "customers", {"number": "C-B2", "blocked": " "}),
    ),
    Case(
        "a currency that the ERP refuses",
        lambda order_id: plain_order(order_id, currency="CHF"),
        "export",
        "erp_refusal",
        put_right=lambda world: put_record(
            world,
            "currencies",
            {
                "code": "CHF",
                "displayName": "Franc",
                "symbol": "Fr",
                "amountDecimalPlaces": "2:2",
                "amountRoundingPrecision": Decimal("0.01"),
            },
            key="code",
        ),
    ),
    Case(
        "an account that is not set",
        _with_fee,
        "export",
        "settings",
        erp_settings={"account.fee": ""},
        put_right=lambda world: set_erp(
            world.parts, "bc", Wanted(settings={"account.fee": "40600"}), company=None
        ),
    ),
    Case(
        "two documents in the ERP, one of which is deleted there",
        plain_order,
        "export",
        "duplicate",
        before=_two_documents,
        put_right=_delete_one_document,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_kind_of_hard_failure_comes_to_one_document(case: Case, make_world: MakeWorld) -> None:
    world = make_world(orders=[case.body(900)], erp_settings=case.erp_settings)
    case.before(world)
    world.run()
    error = world.errors()[900]
    assert (error["stage"], error["kind"]) == (case.stage, case.kind), error["reason"]
    (foreseen,) = foresee(world.parts, [desk_order(world, 900)], ANNA)
    assert foreseen.end is (End.FORESEEN if case.name in UNFORESEEABLE else End.STOPS)
    assert case.name in UNFORESEEABLE or foreseen.sentence == error["reason"]
    before = passes(world, 900)
    original = world.rows("SELECT body FROM rm_inbox")

    case.put_right(world)
    if case.repaired:
        mend(world, 900, **case.repaired)
    (foreseen,) = foresee(world.parts, [desk_order(world, 900)], ANNA)
    assert foreseen.end is End.FORESEEN, foreseen.sentence
    assert world.states()[900][0] == "rejected"
    assert go_on(world, 900).end is End.RESUMED

    assert world.states() == {900: DONE}
    assert world.document_numbers() == ["BGM-900"]
    assert world.errors() == {}
    assert world.rows("SELECT body FROM rm_inbox") == original
    after = passes(world, 900)
    assert {stage: after[stage] for stage in before} == before, "an earlier stage ran again"
    assert set(after.values()) == {1}


# Kinds that the program makes itself.


def test_an_order_that_waited_two_days_for_its_item_goes_on_when_it_is_there(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(901, "NEW-1")])
    put_record(world, "items", {"number": "NEW-1"})
    world.run()
    world.clock.advance(49 * 3600)
    world.settle()
    assert world.errors()[901]["kind"] == "sku"
    import_items(world.parts, erp_id=world.erp_id, lines=["sku,name,status", "NEW-1,New,allowed"])
    assert go_on(world, 901).end is End.RESUMED
    assert (world.states()[901], passes(world, 901)["normalize"]) == (DONE, 1)
    assert world.document_numbers() == ["BGM-901"]


def test_an_order_given_up_while_the_erp_was_away_goes_on(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(902)])
    bells = world.fetch()
    world.walk(bells, last=Stage.NORMALIZE)
    world.erp.faults.order({"kind": "503", "times": 100_000})
    for _ in range(2):
        world.clock.advance(73 * 3600)
        world.walk(bells, first=Stage.VERIFY_SKUS, last=Stage.VERIFY_SKUS)
    assert world.errors()[902]["kind"] == "gave_up"
    world.clear_faults()
    assert go_on(world, 902).end is End.RESUMED
    assert (world.states()[902], passes(world, 902)["normalize"]) == (DONE, 1)
    assert world.document_numbers() == ["BGM-902"]


def test_an_order_that_seemed_to_crash_its_process_goes_on(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(903)])
    bells = world.fetch()
    world.walk(bells, last=Stage.VERIFY_SKUS)
    for _ in range(6):
        claimed = world.parts.store.claim(
            Stage.EXPAND_KITS, batch_id=bells[0].batch_id, token="dead", lease_seconds=1
        )
        assert len(claimed) == 1
        world.clock.advance(2)
    world.settle()
    assert (world.errors()[903]["kind"], world.errors()[903]["stage"]) == ("crash", "expand_kits")
    assert go_on(world, 903).end is End.RESUMED
    assert (world.states()[903], world.document_numbers()) == (DONE, ["BGM-903"])
    assert set(passes(world, 903).values()) == {1}


def test_an_order_that_met_a_fault_of_the_program_goes_on_once_that_is_mended(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(orders=[plain_order(904)])
    with monkeypatch.context() as patched:

        def broken(*_given: object, **_named: object) -> None:
            raise ZeroDivisionError

        patched.setattr("app.sync.pipeline.spread_credit", broken)
        world.run()
    assert world.errors()[904]["kind"] == "internal"
    assert go_on(world, 904).end is End.RESUMED
    assert (world.states()[904], world.document_numbers()) == (DONE, ["BGM-904"])
    assert set(passes(world, 904).values()) == {1}


def test_a_document_of_another_total_is_looked_at_again_once_it_is_mended_in_the_erp(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[plain_order(905)], erp_settings={"tax.mode": "erp", "tax.code": "TAXABLE"})
    world.run()
    error = world.errors()[905]
    assert (error["stage"], error["kind"]) == ("export", "totals")
    assert world.document_numbers() == ["BGM-905"]
    (foreseen,) = foresee(world.parts, [desk_order(world, 905)], ANNA)
    assert foreseen.end is End.STOPS
    assert go_on(world, 905).end is End.RESUMED
    assert world.errors()[905]["kind"] == "totals"

    (document,) = world.documents()
    without_tax(world, document)
    assert go_on(world, 905).end is End.RESUMED
    assert (world.states()[905], world.document_numbers()) == (DONE, ["BGM-905"])


def without_tax(world: World, document: Json) -> None:
    """Somebody corrects the document at the ERP's own screen: the tax that the ERP added is taken off."""
    with world.erp.lock:
        books = world.erp.books
        order = books.table("salesOrders").first("number", document["number"])
        assert order is not None
        for line in books.lines("salesOrderLines", order):
            change_line(books, line, {"taxCode": "NONTAXABLE"})


def test_a_document_that_was_deleted_is_written_again_only_when_a_person_says_so(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[plain_order(906)], erp_settings={"tax.mode": "erp", "tax.code": "TAXABLE"})
    world.run()
    assert world.errors()[906]["kind"] == "totals"
    delete_document(world, world.documents()[0]["number"])
    go_on(world, 906)
    error = world.errors()[906]
    assert (error["kind"], world.documents()) == ("deleted", [])
    world.clock.advance(3600)
    world.run()
    go_on(world, 906)
    assert (world.errors()[906]["kind"], world.documents()) == ("deleted", [])

    set_erp(world.parts, "bc", Wanted(settings={"tax.mode": "line"}), company=None)
    assert go_on(world, 906, How(by="cli:anna", send_again=True)).end is End.RESUMED
    assert (world.states()[906], world.document_numbers()) == (DONE, ["BGM-906"])


# Repairing.


def test_a_repair_that_would_not_pass_is_refused_with_the_roads_own_sentence(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(910, "NOPE-1")])
    world.run()
    before = (world.rows("SELECT * FROM rm_thread"), world.rows("SELECT * FROM rm_event"))
    with pytest.raises(Reject, match="The SKU NOPE-2 does not exist in Business Central"):
        mend(world, 910, lines__0__sku="NOPE-2")
    assert world.rows("SELECT * FROM rm_repair") == []
    assert (world.rows("SELECT * FROM rm_thread"), world.rows("SELECT * FROM rm_event")) == before


@pytest.mark.parametrize(
    ("pointer", "value", "sentence"),
    [
        ("/number", "X", "cannot be changed here"),
        ("/total", "1.00", "cannot be changed here"),
        ("/lines/7/sku", "WID-001", "no such field"),
        ("lines", "WID-001", "cannot be changed here"),
        ("/lines/0/amount", "abc", "must be a number"),
        ("/lines/0/amount", "1.999", "whole units of 0.01 USD"),
        ("/lines/0/quantity", "NaN", "must be a number"),
        ("/bill/first_name", "x" * 20_000, "longer than"),
    ],
)
def test_what_cannot_be_changed_is_said(
    make_world: MakeWorld, pointer: str, value: str, sentence: str
) -> None:
    world = make_world(orders=[with_sku(911, "NOPE-1")])
    world.run()
    with pytest.raises(UsageError, match=sentence):
        repair(world.parts, desk_order(world, 911), {pointer: value}, reason="", by="cli:anna")
    assert world.rows("SELECT * FROM rm_repair") == []


def test_an_amount_that_unbalances_the_order_is_refused(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(912, email="twice@example.test")])
    world.run()
    with pytest.raises(Reject, match="do not add up to the total"):
        mend(world, 912, lines__0__amount="18.99")


def test_the_second_of_two_people_is_told(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(913, email="twice@example.test")])
    world.run()
    seen_by_both = desk_order(world, 913)
    mend(world, 913, bill__email="once@example.test")

    def second(**more: Any) -> Repaired:
        values = {"/bill/email": "other@example.test"}
        return repair(
            world.parts, more.pop("order", desk_order(world, 913)), values, reason="", by="cli:ben", **more
        )

    with pytest.raises(UsageError, match="somebody else meanwhile"):
        second(order=seen_by_both)
    with pytest.raises(UsageError, match="changed since you looked at it"):
        second(revision=seen_by_both.revision)
    with pytest.raises(UsageError, match="cli:anna has changed /bill/email"):
        second()
    (stored,) = world.rows("SELECT after FROM rm_repair WHERE ended_at IS NULL")
    assert stored["after"] == '"once@example.test"'
    assert second(revision=desk_order(world, 913).revision).kept
    go_on(world, 913)
    assert world.states() == {913: DONE}
    assert world.rows("SELECT bill_email FROM rm_order") == [{"bill_email": "other@example.test"}]
    ended = world.rows("SELECT ended FROM rm_repair WHERE ended_at IS NOT NULL")
    assert ended == [{"ended": "replaced by cli:ben"}]


def test_a_repair_before_the_export_is_in_the_stored_rows_and_in_the_document(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(914, email="twice@example.test")])
    world.run()
    mend(world, 914, bill__email="once@example.test", ship__city="Berlin")
    assert world.rows("SELECT bill_email, ship_city FROM rm_order") == [
        {"bill_email": "once@example.test", "ship_city": "Berlin"}
    ]
    assert world.rows("SELECT city FROM rm_address WHERE kind = 'ship'") == [{"city": "Berlin"}]
    go_on(world, 914)
    (sent,) = world.rows("SELECT body FROM rm_payload WHERE body LIKE '%\"sent\"%' ORDER BY id DESC LIMIT 1")
    assert "Berlin" in sent["body"]


def test_a_sku_repaired_after_the_order_was_written_is_verified_again(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(915, "SALESBLK-1")])
    world.run()
    assert world.errors()[915]["stage"] == "export"
    with pytest.raises(Reject, match="NOPE-1 does not exist"):
        mend(world, 915, lines__0__sku="NOPE-1")
    mend(world, 915, lines__0__sku="WID-001")
    go_on(world, 915)
    assert world.states() == {915: DONE}
    assert passes(world, 915) | {"x": 0} == {
        "normalize": 1, "verify_skus": 2, "expand_kits": 2, "apply_store_credit": 2, "write": 2,
        "acknowledge": 1, "export": 1, "x": 0,
    }  # fmt: skip
    assert world.documents()[0]["lines"][0]["lineObjectNumber"] == "WID-001"
    assert world.rows("SELECT sku FROM rm_lineitems") == [{"sku": "WID-001"}]


def test_the_failing_field_is_marked_among_those_that_may_be_changed(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(916, "NOPE-1"), _without_postcode(917)])
    world.run()
    assert [
        (each.pointer, each.value) for each in fields(world.parts, desk_order(world, 916)) if each.failing
    ] == [("/lines/0/sku", "NOPE-1")]
    assert [each.pointer for each in fields(world.parts, desk_order(world, 917)) if each.failing] == [
        "/shipping/postcode"
    ]


# New versions meet repairs.


def edited(world: World, body: Json) -> None:
    world.clock.advance(60)
    world.place(body)
    world.run()


def test_a_repair_is_carried_over_to_a_new_version_that_leaves_its_field_alone(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(920, "NOPE-1")])
    world.run()
    mend(world, 920, lines__0__sku="WID-001")
    edited(world, with_sku(920, "NOPE-1") | {"customer_note": "Please ring twice."})
    assert world.states() == {920: DONE}
    assert world.errors() == {}
    assert world.rows("SELECT customer_note FROM rm_order") == [{"customer_note": "Please ring twice."}]


def test_a_repair_of_the_body_is_carried_over_too(make_world: MakeWorld) -> None:
    world = make_world(orders=[_without_postcode(921)])
    world.run()
    mend(world, 921, shipping__postcode="62701")
    edited(world, _without_postcode(921) | {"customer_note": "Please ring twice."})
    assert world.states() == {921: DONE}
    assert world.rows("SELECT ship_postcode FROM rm_order") == [{"ship_postcode": "62701"}]


def test_a_new_version_that_changes_the_repaired_field_is_shown_as_a_conflict(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(922, "NOPE-1")])
    world.run()
    mend(world, 922, lines__0__sku="WID-001")
    edited(world, with_sku(922, "NOPE-3"))
    error = world.errors()[922]
    assert (error["kind"], error["field"]) == ("conflict", "/lines/0/sku")
    for word in ("cli:anna", "'NOPE-1'", "'WID-001'", "'NOPE-3'"):
        assert word in error["reason"]
    assert repair(
        world.parts, desk_order(world, 922), {"/lines/0/sku": "COMP-A"}, reason="", by="cli:anna"
    ).kept
    go_on(world, 922)
    assert world.states() == {922: DONE}
    assert world.documents()[0]["lines"][0]["lineObjectNumber"] == "COMP-A"


def test_a_conflict_ends_by_withdrawing_the_repair(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(923, "NOPE-1")])
    world.run()
    mend(world, 923, lines__0__sku="COMP-A")
    edited(world, with_sku(923, "WID-001"))
    assert world.errors()[923]["kind"] == "conflict"
    order = desk_order(world, 923)
    repair(world.parts, order, {}, withdraw=["/lines/0/sku"], reason="the shop is right", by="cli:anna")
    go_on(world, 923)
    assert world.states() == {923: DONE}
    assert world.documents()[0]["lines"][0]["lineObjectNumber"] == "WID-001"


def test_a_shop_that_makes_the_same_change_is_no_conflict(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(924, "NOPE-1")])
    world.run()
    mend(world, 924, lines__0__sku="WID-001")
    edited(world, with_sku(924, "WID-001"))
    assert world.states() == {924: DONE}


def test_an_order_put_right_in_the_shop_needs_no_person(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(925, "NOPE-1")])
    world.run()
    edited(world, with_sku(925, "WID-001"))
    assert (world.states(), world.errors()) == ({925: DONE}, {})
    (error,) = world.rows("SELECT resolution FROM rm_error_orders")
    assert error["resolution"] == "a new version arrived"


# Resuming.


def test_resuming_twice_does_nothing_the_second_time(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(930, "NOPE-1")])
    world.run()
    mend(world, 930, lines__0__sku="WID-001")
    stopped = desk_order(world, 930)
    (first,) = resume(world.parts, [stopped], ANNA, ring=NOBODY_RINGS)
    (at_once,) = resume(world.parts, [stopped], ANNA, ring=NOBODY_RINGS)
    (later,) = resume(world.parts, [desk_order(world, 930)], ANNA, ring=NOBODY_RINGS)
    assert (first.end, at_once.end, later.end) == (End.RESUMED, End.REFUSED, End.NOTHING)
    assert "Somebody else has done something about it" in at_once.sentence
    world.settle()
    (last,) = resume(world.parts, [desk_order(world, 930)], ANNA, ring=NOBODY_RINGS)
    assert (last.end, "exported meanwhile" in last.sentence) == (End.NOTHING, True)
    assert (world.states(), world.document_numbers()) == ({930: DONE}, ["BGM-930"])


def test_an_order_cancelled_in_the_shop_is_closed_and_not_resumed(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(931, "NOPE-1")])
    world.run()
    mend(world, 931, lines__0__sku="WID-001")
    world.clock.advance(60)
    world.shop.update(931, {"status": "cancelled"})
    (foreseen,) = foresee(world.parts, [desk_order(world, 931)], ANNA)
    assert foreseen.end is End.STOPS
    assert world.ends() == {931: "rejected"}
    result = go_on(world, 931)
    assert (result.end, "cancelled" in result.sentence) == (End.NOTHING, True)
    assert (world.ends(), world.errors(), world.documents()) == ({931: "closed"}, {}, [])
    assert go_on(world, 931).end is End.NOTHING


def test_an_order_changed_in_the_shop_begins_anew(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(932, "NOPE-1")])
    world.run()
    world.clock.advance(60)
    world.place(with_sku(932, "WID-001"))
    assert go_on(world, 932).end is End.RESTARTED
    assert (world.states(), world.document_numbers()) == ({932: DONE}, ["BGM-932"])


def test_an_order_resumes_while_the_shop_is_away(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(933, "NOPE-1")])
    world.run()
    mend(world, 933, lines__0__sku="WID-001")
    world.shop_fault("reset", times=1)
    (result,) = resume(world.parts, [desk_order(world, 933)], ANNA, ring=world.road.ring)
    assert (result.end, "could not be asked" in result.sentence) == (End.RESUMED, True)
    world.settle()
    assert world.states() == {933: DONE}


def test_a_rehearsal_changes_nothing_anywhere(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(934, "NOPE-1"), plain_order(935, email="new@example.test")])
    bells = world.fetch()
    world.walk(bells, last=Stage.WRITE)
    mend(world, 934, lines__0__sku="WID-001")
    tables = ("rm_thread", "rm_step", "rm_event", "rm_error_orders", "rm_run", "rm_id_map", "rm_batch")
    before = {name: world.rows(f"SELECT * FROM {name}") for name in tables}
    (foreseen,) = foresee(world.parts, [desk_order(world, 934)], ANNA)
    assert foreseen.end is End.FORESEEN
    assert "would be written to the ERP as BGM-934" in foreseen.sentence
    assert {name: world.rows(f"SELECT * FROM {name}") for name in tables} == before
    assert world.documents() == []
    assert not world.marked()
    assert "new@example.test" not in {each["email"] for each in world.customers()}


def test_an_error_that_comes_back_is_the_same_error(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(936, "NOPE-1")])
    world.run()
    (opened,) = world.rows("SELECT id, opened_at FROM rm_error_orders")
    world.clock.advance(3600)
    go_on(world, 936)
    (again,) = world.rows("SELECT id, opened_at, resumed, resolved_at FROM rm_error_orders")
    assert again == opened | {"resumed": 1, "resolved_at": None}


def test_many_are_resumed_in_common_batches(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(940 + n, "LATER-1") for n in range(7)])
    world.run()
    put_record(world, "items", {"number": "LATER-1"})
    world.sync_items()
    rung: list[Bell] = []
    orders = world.parts.store.desk_orders(world.parts.store.open_error_threads(site="bgm", kind="bad_sku"))
    results = resume(world.parts, orders, ANNA, ring=rung.append)
    assert {each.end for each in results} == {End.RESUMED}
    assert len(rung) == 1
    world.walk(rung, first=Stage.VERIFY_SKUS)
    world.settle()
    assert set(world.ends().values()) == {"done"}
    (run_id,) = {each.run_id for each in results}
    assert run_id is not None
    assert world.parts.store.run(run_id).state == "finished"


def test_a_run_of_resumed_orders_counts_them(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(948, "NOPE-1")])
    world.run()
    mend(world, 948, lines__0__sku="WID-001")
    result = go_on(world, 948)
    assert result.run_id is not None
    run = world.parts.store.run(result.run_id)
    assert (run.kind, run.state, run.counts["exported"]) == ("resume", "finished", 1)


def test_an_order_of_a_removed_site_is_not_resumed(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(949, "NOPE-1")])
    world.run()
    world.parts.store.remove_site(world.site_id)
    (result,) = resume(world.parts, [desk_order(world, 949)], ANNA, ring=NOBODY_RINGS)
    assert (result.end, "was removed" in result.sentence) == (End.REFUSED, True)
    assert world.ends() == {949: "rejected"}


# Replaying and settling.


def test_replaying_runs_an_order_from_its_raw_body_with_its_repairs(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(950, email="twice@example.test")])
    world.run()
    mend(world, 950, bill__email="once@example.test")
    assert go_on(world, 950, How(by="cli:anna", replay=True)).end is End.RESUMED
    assert (world.states(), world.document_numbers()) == ({950: DONE}, ["BGM-950"])
    assert (passes(world, 950)["normalize"], passes(world, 950)["acknowledge"]) == (2, 1)
    refused = go_on(world, 950, How(by="cli:anna", replay=True))
    assert (refused.end, "is not made anew" in refused.sentence) == (End.REFUSED, True)


def test_a_body_that_was_lost_is_read_again_to_be_replayed(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(951, "NOPE-1")])
    world.run()
    with world.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM rm_inbox")
    with pytest.raises(UsageError, match="--read-again"):
        mend(world, 951, lines__0__sku="WID-001")
    go_on(world, 951, How(by="cli:anna", replay=True, read_again=True))
    mend(world, 951, lines__0__sku="WID-001")
    go_on(world, 951)
    assert world.states() == {951: DONE}


def test_an_order_that_a_person_has_settled_never_runs_again_by_itself(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(952, "NOPE-1")])
    world.run()
    done = settle.skip(world.parts, desk_order(world, 952), reason="written by hand", by="cli:anna")
    assert done.end is End.SETTLED
    assert (world.ends(), world.errors()) == ({952: "closed"}, {})
    again = settle.skip(world.parts, desk_order(world, 952), reason="written by hand", by="cli:anna")
    assert (again.end, again.sentence) == (End.NOTHING, "It is closed already.")
    world.clock.advance(60)
    world.shop.touch(952)
    world.run()
    edited(world, with_sku(952, "WID-001"))
    assert (world.ends(), world.documents()) == ({952: "closed"}, [])
    (order,) = world.parts.store.order_summaries(site=None, state=None, limit=9)
    assert order.amended

    assert go_on(world, 952, How(by="cli:anna", replay=True)).end is End.RESUMED
    assert (world.states(), world.document_numbers()) == ({952: DONE}, ["BGM-952"])


def test_an_order_whose_difference_is_accepted_is_done(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(953)], erp_settings={"tax.mode": "erp", "tax.code": "TAXABLE"})
    world.run()
    settle.skip(world.parts, desk_order(world, 953), reason="the tax is right", by="cli:anna")
    assert (world.ends(), world.errors()) == ({953: "done"}, {})
    (error,) = world.rows("SELECT resolution, resolved_by FROM rm_error_orders")
    assert (error["resolution"], error["resolved_by"]) == ("skipped", "cli:anna")


def test_what_people_say_and_whose_an_error_is_stands_in_the_trail(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(954, "NOPE-1")])
    world.run()
    assert settle.assign(world.parts, [desk_order(world, 954)], to="ben", by="cli:anna") == 1
    settle.comment(world.parts, desk_order(world, 954), text="Asked the supplier.", by="cli:ben")
    events = world.rows('SELECT event, "by" FROM rm_event ORDER BY id DESC LIMIT 2')
    assert events == [{"event": "commented", "by": "cli:ben"}, {"event": "assigned", "by": "cli:anna"}]
    assert world.rows("SELECT assignee FROM rm_error_orders") == [{"assignee": "ben"}]
    with pytest.raises(UsageError, match="1 to 64 characters"):
        settle.assign(world.parts, [desk_order(world, 954)], to=" ", by="cli:anna")


# What the ERP puts right.


def test_an_item_created_in_the_erp_lets_its_orders_go_on_by_themselves(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(960, "LATER-1"), with_sku(961, "NEVER-1")])
    world.run()
    assert recheck(world.parts, ring=world.road.ring) == 0
    put_record(world, "items", {"number": "LATER-1"})
    world.sync_items()
    world.clock.advance(301)
    assert recheck(world.parts, ring=world.road.ring) == 1
    world.settle()
    assert world.ends() == {960: "done", 961: "rejected"}
    (error,) = world.rows("SELECT resolution, resolved_by FROM rm_error_orders WHERE resolved_at IS NOT NULL")
    assert (error["resolution"], error["resolved_by"]) == ("resumed", "recheck")


def test_a_customer_unblocked_in_the_erp_lets_the_order_go_on_by_itself(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(962, email="b3@example.test")])
    put_record(world, "customers", {"number": "C-B3", "email": "b3@example.test", "blocked": "All"})
    world.run()
    world.clock.advance(301)
    assert recheck(world.parts, ring=world.road.ring) == 0
    put_record(world, "customers", {"number": "C-B3", "blocked": " "})
    assert recheck(world.parts, ring=world.road.ring) == 0
    world.clock.advance(301)
    assert recheck(world.parts, ring=world.road.ring) == 1
    world.settle()
    assert (world.states(), world.document_numbers()) == ({962: DONE}, ["BGM-962"])


# Holds.


def with_skus(order_id: int, *skus: str) -> Json:
    body = plain_order(order_id, total=str(Decimal("19.99") * len(skus)))
    line = body["line_items"][0]
    body["line_items"] = [line | {"id": 20_000 + n, "sku": sku} for n, sku in enumerate(skus)]
    return body


def known(world: World, sku: str) -> None:
    """The middleware gets to know an item in whatever way: nobody tells the orders that wait."""
    databases.execute(
        world.engine,
        "INSERT INTO rm_items (erp_id, sku, name, status, kind, source, updated_at)"
        " VALUES (:erp_id, :sku, '', 'allowed', 'inventory', 'hand', '2026-11-25 12:00:00.000000')",
        erp_id=world.erp_id,
        sku=sku,
    )


def test_held_orders_go_on_with_the_next_sweep_once_all_their_items_are_known(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_skus(970, "NEW-1", "NEW-2"), with_skus(971, "NEW-1")])
    for sku in ("NEW-1", "NEW-2"):
        put_record(world, "items", {"number": sku})
    world.run()
    assert world.ends() == {970: "held", 971: "held"}
    world.clock.advance(10 * 3600)
    world.settle()
    known(world, "NEW-1")
    world.clock.advance(1)
    world.settle()
    assert world.ends() == {970: "held", 971: "done"}
    known(world, "NEW-2")
    world.clock.advance(1)
    world.settle()
    assert world.ends() == {970: "done", 971: "done"}


def test_a_site_says_how_long_its_orders_are_held(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(972, "NEW-1")], site_settings={"hold_hours": "3"})
    put_record(world, "items", {"number": "NEW-1"})
    world.run()
    world.clock.advance(4 * 3600)
    world.settle()
    assert world.errors()[972]["kind"] == "sku"
    assert "Waited for 4 hours" in world.errors()[972]["reason"]


def test_held_orders_are_tried_at_once_when_they_are_released(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(973, "NEW-1")])
    put_record(world, "items", {"number": "NEW-1"})
    world.run()
    since = world.rows("SELECT waiting_since FROM rm_thread")
    (result,) = release(world.parts, [desk_order(world, 973)], by="cli:anna", ring=world.road.ring)
    assert result.end is End.RELEASED
    world.settle()
    assert (world.ends(), world.rows("SELECT waiting_since FROM rm_thread")) == ({973: "held"}, since)
    known(world, "NEW-1")
    (result,) = retry(world.parts, [desk_order(world, 973)], ANNA, ring=world.road.ring)
    assert result.end is End.RELEASED
    world.settle()
    assert world.ends() == {973: "done"}
    (result,) = release(world.parts, [desk_order(world, 973)], by="cli:anna", ring=NOBODY_RINGS)
    assert (result.end, result.sentence) == (End.NOTHING, "It is not held; it is done.")


def test_a_number_that_names_nothing_is_said(make_world: MakeWorld) -> None:
    world = make_world(orders=[])
    with pytest.raises(UsageError, match="There is no order 'BGM-1'"):
        orders_named(world.parts, ["BGM-1"])


# What must not be possible.


@pytest.mark.parametrize(
    ("pointer", "value", "sentence"),
    [
        ("/number", "777", "number and the id"),
        ("/id", "777", "number and the id"),
        ("/currency", "EUR", "currency of an order"),
    ],
)
def test_a_repair_of_the_body_never_makes_it_another_order(
    make_world: MakeWorld, pointer: str, value: str, sentence: str
) -> None:
    world = make_world(orders=[_without_postcode(980)])
    world.run()
    with pytest.raises(UsageError, match=sentence):
        repair(
            world.parts,
            desk_order(world, 980),
            {"/shipping/postcode": "62701", pointer: value},
            reason="",
            by="cli:anna",
        )
    assert world.rows("SELECT * FROM rm_repair") == []


def test_a_document_that_is_there_is_not_sent_again_whatever_a_person_says(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(981)], erp_settings={"tax.mode": "erp", "tax.code": "TAXABLE"})
    world.run()
    tied = world.rows("SELECT document_number, intent_at FROM rm_step WHERE kind = 'export'")
    again = How(by="cli:anna", send_again=True)
    for found in (go_on(world, 981, again), *foresee(world.parts, [desk_order(world, 981)], again)):
        assert (found.end, "found to be deleted" in found.sentence) == (End.REFUSED, True)
    assert world.rows("SELECT document_number, intent_at FROM rm_step WHERE kind = 'export'") == tied
    delete_document(world, world.documents()[0]["number"])
    for _ in range(3):
        world.clock.advance(1300)
        recheck(world.parts, ring=world.road.ring)
        world.settle()
    assert (world.errors()[981]["kind"], world.documents()) == ("totals", [])


def test_what_is_sent_again_is_the_order_as_the_shop_shows_it_now(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(982)], erp_settings={"tax.mode": "erp", "tax.code": "TAXABLE"})
    world.run()
    edited(world, with_sku(982, "COMP-A"))
    delete_document(world, world.documents()[0]["number"])
    go_on(world, 982)
    assert world.errors()[982]["kind"] == "deleted"
    set_erp(world.parts, "bc", Wanted(settings={"tax.mode": "line"}), company=None)
    again = How(by="cli:anna", send_again=True)
    (foreseen,) = foresee(world.parts, [desk_order(world, 982)], again)
    assert foreseen.end is End.FORESEEN
    assert go_on(world, 982, again).end is End.RESUMED
    assert (world.states(), world.document_numbers()) == ({982: DONE}, ["BGM-982"])
    assert world.documents()[0]["lines"][0]["lineObjectNumber"] == "COMP-A"


def test_a_repair_of_a_line_is_not_laid_over_another_line(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(983, "NOPE-1")])
    world.run()
    mend(world, 983, lines__0__sku="WID-001", lines__0__name="Widget, blue")
    other = with_sku(983, "NOPE-1")
    other["line_items"][0] |= {"id": 77_777, "quantity": 1}
    edited(world, other)
    error = world.errors()[983]
    assert (error["kind"], "its line is another now" in error["reason"]) == ("conflict", True)


def test_a_repair_during_maintenance_is_judged_by_what_needs_no_erp(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(984, "NOPE-1"), plain_order(985, email="twice@example.test")])
    world.run()
    errors = world.errors()
    world.clock.move_to(SUNDAY_EVENING)
    with pytest.raises(Reject, match="do not add up"):
        mend(world, 984, lines__0__amount="18.99")
    with pytest.raises(Reject, match="longer than the 255 characters"):
        mend(world, 985, bill__email="x" * 300 + "@example.test")
    done = mend(world, 984, lines__0__sku="WID-001")
    assert (done.kept, "Maintenance window" in done.foreseen.sentence) == (True, True)
    world.clock.advance(600)
    assert recheck(world.parts, ring=world.road.ring) == 0
    assert world.errors().keys() == errors.keys()


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/lines/0/sku", " "), ("/ship/country", "Nowhere"), ("/bill/country", ""), ("/payment/method", ""),
        ("/lines/0/quantity", "1_0"), ("/lines/0/quantity", "-3"), ("/lines/0/quantity", "999999999999"),
        ("/lines/0/tax", "1.00"), ("/lines/" + "9" * 5000 + "/sku", "WID-001"),
    ],
)  # fmt: skip
def test_values_that_make_no_sense_are_refused(make_world: MakeWorld, pointer: str, value: str) -> None:
    world = make_world(orders=[with_sku(986, "NOPE-1")])
    world.run()
    with pytest.raises(UsageError):
        repair(world.parts, desk_order(world, 986), {pointer: value}, reason="", by="cli:anna")


def test_an_order_cancelled_while_its_mark_is_in_error_has_no_open_error_left(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(987)])
    bells = world.fetch()
    world.walk(bells, last=Stage.WRITE)
    refuse_the_mark(world, bells)
    assert world.errors()[987]["stage"] == "acknowledge"
    world.clock.advance(60)
    world.shop.update(987, {"status": "cancelled"})
    world.settle()
    assert (world.ends(), world.errors(), world.documents()) == ({987: "closed"}, {}, [])


def refuse_the_mark(world: World, bells: list[Bell]) -> None:
    """The shop refuses the mark of the batch's orders; their export is still owed."""
    token = "refused"
    owed = world.parts.store.claim_steps(
        Owed.ACKNOWLEDGE, batch_id=bells[0].batch_id, token=token, lease_seconds=60, limit=100
    )
    outcomes = [
        Failed(id=each.step_id, reason="The shop refuses the mark.", kind="platform", order=each.order)
        for each in owed
    ]
    world.parts.store.settle_steps(
        Owed.ACKNOWLEDGE, batch_id=bells[0].batch_id, token=token, outcomes=outcomes
    )


def test_an_order_that_the_erp_refused_is_repaired_while_its_mark_waits(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(988, email="twice@example.test")])
    bells = world.fetch()
    world.walk(bells, last=Stage.WRITE)
    world.shop_fault("reset", times=1)
    world.walk(bells, first=Owed.ACKNOWLEDGE, last=Owed.ACKNOWLEDGE)
    world.walk(bells, first=Owed.EXPORT)
    assert (world.ends(), world.errors()[988]["kind"]) == ({988: "active"}, "customer")
    with pytest.raises(UsageError, match="still to be marked"):
        mend(world, 988, lines__0__sku="COMP-A")
    mend(world, 988, bill__email="once@example.test")
    assert go_on(world, 988).end is End.RESUMED
    assert (world.states(), world.document_numbers()) == ({988: DONE}, ["BGM-988"])
    assert world.marked() == {988}


def test_the_field_of_an_error_is_that_of_the_line_as_it_was_received(make_world: MakeWorld) -> None:
    body = kit_order(989)
    body["line_items"].append(body["line_items"][0] | {"id": 88, "sku": "BLK-1", "quantity": 1, "subtotal": "0.00", "total": "0.00", "subtotal_tax": "0.00", "total_tax": "0.00", "price": 0, "taxes": [], "meta_data": []})  # fmt: skip
    world = make_world(orders=[body])
    put_record(world, "items", {"number": "BLK-1"})
    world.sync_items()
    bells = world.fetch()
    world.walk(bells, last=Stage.VERIFY_SKUS)
    put_record(world, "items", {"number": "BLK-1", "blocked": True})
    world.parts.passes.remember(world.erp_id, [])
    world.walk(bells, first=Stage.EXPAND_KITS, last=Stage.EXPAND_KITS)
    error = world.errors()[989]
    (failing,) = [each for each in fields(world.parts, desk_order(world, 989)) if each.failing]
    assert (failing.pointer, failing.value) == (error["field"], "BLK-1")


def test_replaying_what_the_shop_has_cancelled_does_nothing(make_world: MakeWorld) -> None:
    world = make_world(orders=[with_sku(990, "NOPE-1")])
    world.run()
    settle.skip(world.parts, desk_order(world, 990), reason="by hand", by="cli:anna")
    world.clock.advance(60)
    world.shop.update(990, {"status": "cancelled"})
    result = go_on(world, 990, How(by="cli:anna", replay=True))
    assert (result.end, "'cancelled'" in result.sentence) == (End.NOTHING, True)
    assert world.ends() == {990: "closed"}
