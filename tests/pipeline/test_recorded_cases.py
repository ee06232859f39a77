"""Every recorded body, from the shop to the ERP. The table below was written from the documents before anything was run."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from app.ports.store import Run
from app.sandbox.erp.records import put
from app.sandbox.shop import recorded_orders
from tests.fixtures.databases import Databases
from tests.pipeline.world import Json, MakeWorld, World, opened_world


@dataclass(frozen=True)
class _Case:
    """Where an order ends, and why. `telling`: words that its reason must hold."""

    end: str
    why: str
    stage: str = "deliver"
    kind: str = ""
    telling: tuple[str, ...] = ()


def _exported(why: str) -> _Case:
    return _Case("done", why)


def _at_normalize(why: str, kind: str, *telling: str) -> _Case:
    return _Case("rejected", why, "normalize", kind, telling)


def _at_skus(why: str, *telling: str) -> _Case:
    return _Case("rejected", why, "verify_skus", "bad_sku", telling)


def _never_seen(why: str) -> _Case:
    return _Case("never seen", why)


_LONG_SKU = "L" * 60
_UNICODE_SKU = "ÜNI-商品"
_NOT_IN_ERP = "does not exist in Business Central"
_BLOCKED = "is blocked in Business Central"

CASES = {
    # 48 bulk_3: cash on delivery is paid later, so that no date_paid is no fault (issue text, step 2: "prepaid method").
    # A kit, a SKU with signs, ten thirds that add up to 333.33 (contract 8: SKUs, price is not to be used).
    48: _exported("cod without date_paid; every SKU is known; the kit expands"),
    # 57 bulk_12: hard where not in the ERP or blocked there (step 3); both are to be named.
    57: _at_skus("one SKU is unknown, one blocked", _LONG_SKU, _NOT_IN_ERP, _UNICODE_SKU, _BLOCKED),
    60: _at_skus("one SKU is not in the ERP (step 3)", _LONG_SKU, _NOT_IN_ERP),
    105: _exported("British VAT as one tax line; a state is not required of GB"),
    106: _at_skus("the item is blocked in the ERP (step 3)", _UNICODE_SKU, _BLOCKED),
    # 146: two taxes, shipping and a fee; bacs with date_paid; 7 x 1.00571 = 7.04 has five decimals (contract BC 7).
    146: _exported("compound tax is one tax total; the fee goes to its account"),
    148: _exported("free products pass the test-order rule, and a total of zero needs no payment method"),
    # 150: 0.50 before discounts, below 1.00 (step 1): stored and counted with its reason.
    150: _Case("skipped", "a test order", "normalize", "", ("test order", "0.50")),
    151: _exported("exactly 1.00 is not below 1.00"),
    152: _exported("the kit of the owner's example: parent, 6 and 2 components"),
    153: _exported("60 lines, one of them free, tax of each line rounded"),
    154: _exported("250 lines come in one body and are one document (contract 8)"),
    155: _exported("a note of 14,503 characters, a kit, free lines"),
    156: _exported("SKUs are compared case-folded and sent upper-case (contract BC 2)"),
    # 157: an empty SKU is no item of the ERP; the other two stand beside it.
    157: _at_skus("no SKU, a blocked one, an unknown one", "no SKU", _UNICODE_SKU, _BLOCKED, _LONG_SKU),
    158: _at_skus(
        "a variation without its own SKU shows its parent's, which is not in the ERP", "PNT", _NOT_IN_ERP
    ),
    159: _exported("meta of lines and order, objects among it, is no obstacle"),
    160: _exported("store credit pays all; before discounts it is 12.00, no test order"),
    161: _exported("store credit of 11.90 over product, shipping and tax (step 5)"),
    162: _exported("at two decimals the lines add up; the difference of 0.02 is a discount"),
    # 163: in the ERP, not in the middleware: soft (step 3), unmarked, tried again.
    163: _Case(
        "held", "the item is new in the ERP", "verify_skus", "", ("Not in the middleware yet", "BIG-1")
    ),
    # 164: the shop shows yen with two decimals (contract 8); money is whole smallest units (style 12), and the ERP's yen
    # are whole as well, so that 32.49 can neither be stored nor exported.
    164: _at_normalize("no whole yen", "validation", "32.49", "JPY"),
    165: _at_normalize(
        "an empty required address field (step 2)", "address", "billing address", "payment method"
    ),
    166: _at_normalize(
        "no lines (step 2); the rule for test orders does not hide it", "validation", "no line items"
    ),
    167: _at_normalize("unknown country (step 2); the city is empty too", "address", "'XX'", "city"),
    168: _at_skus("one line has no SKU", "No SKU item", "no SKU"),
    169: _exported("coupons: the lines are net of them, the coupon lines carry their nominal value only"),
    170: _exported("a paid order of cheap parts"),
    172: _at_skus("null: the product was deleted (contract 8)", "Deleted later", "no SKU"),
    173: _at_normalize("refunds before export (step 2)", "refund", "refunded"),
    175: _at_normalize("refunds before export (step 2)", "refund", "refunded"),
    180: _never_seen("status refunded"),
    182: _at_normalize("refunds before export (step 2)", "refund", "refunded"),
    184: _never_seen("in the trash"),
    186: _at_skus("the product has no SKU", "No SKU item", "no SKU"),
    187: _exported("cash on delivery from the store front"),
    188: _exported("a coupon of ten per cent, with its tax"),
    190: _never_seen("status completed: a gift card paid all of a cash-on-delivery order (contract 8)"),
    194: _never_seen("a custom status"),
    195: _at_normalize("no address", "address", "billing address", "payment method"),
    # 196: a hand-typed line too, but the address is missed first on the road.
    196: _at_normalize("no address", "address", "billing address", "payment method"),
    # 197: every fault is named (port sales_channel, normalize).
    197: _at_normalize("fractional quantities; no address", "validation", "1.5", "0.333", "billing address"),
    206: _at_normalize(
        "no payment method while the total is above zero (step 2)", "payment", "payment method"
    ),
    214: _at_normalize(
        "no payment method while the total is above zero (step 2)", "payment", "payment method"
    ),
}

CREDIT = {
    # 11.90 over 60.00, 8.00, 45.10 and 8.42 (together 121.52): 5.8756, 0.7834, 4.4165, 0.8245; cut to cents they are 11.88,
    # and the two cents that are left go to the largest remainders, 0.65 (freight) and 0.56 (product).
    161: {"COMP-A": "5.88", "Ground": "0.78", "Freight": "4.42", "Tax": "0.82"},
    160: {"COMP-A": "12.00"},
}
"""The store credit each line bears, worked out by hand."""

_SEEN = {order_id: case for order_id, case in CASES.items() if case.end != "never seen"}
_DONE = [order_id for order_id, case in CASES.items() if case.end == "done"]
_STOPPED = [order_id for order_id, case in CASES.items() if case.end in {"rejected", "held"}]

BODIES = {body["id"]: body for body in recorded_orders()}


@pytest.fixture(scope="module")
def after_run(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Run]]:
    folder = tmp_path_factory.mktemp("recorded")
    with opened_world(databases, folder, orders=recorded_orders()) as world:
        with world.erp.lock:
            put(world.erp.books, "items", {"number": "BIG-1", "displayName": "Expensive"})
        yield world, world.run()


@pytest.fixture(scope="module")
def world(after_run: tuple[World, Run]) -> World:
    return after_run[0]


@pytest.fixture(scope="module")
def documents(world: World) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for document in world.documents():
        found.setdefault(document["externalDocumentNumber"], []).append(document)
    return found


def test_the_table_names_every_recorded_body() -> None:
    assert sorted(CASES) == sorted(BODIES)
    waiting = {order_id for order_id, body in BODIES.items() if body["status"] == "processing"}
    assert set(_SEEN) == waiting


@pytest.mark.parametrize("order_id", _SEEN)
def test_each_order_ends_where_the_documents_say(world: World, order_id: int) -> None:
    case = CASES[order_id]
    state, stage, reason = world.states()[order_id]
    assert (state, stage) == (case.end, case.stage), f"{case.why}; {reason}"
    for words in case.telling:
        assert words in reason
    if case.end == "done":
        assert reason == ""


@pytest.mark.parametrize("order_id", [order_id for order_id in CASES if CASES[order_id].end == "rejected"])
def test_each_rejected_order_has_one_open_error_with_stage_kind_and_reason(
    world: World, order_id: int
) -> None:
    case = CASES[order_id]
    found = world.rows("SELECT * FROM rm_error_orders WHERE platform_order_id = :id", id=str(order_id))
    assert [(row["stage"], row["kind"], row["order_number"]) for row in found] == [
        (case.stage, case.kind, f"BGM-{order_id}")
    ]
    assert found[0]["resolved_at"] is None
    assert found[0]["reason"] == world.states()[order_id][2]


def test_only_rejected_orders_have_an_error(world: World) -> None:
    assert sorted(world.errors()) == [
        order_id for order_id in sorted(CASES) if CASES[order_id].end == "rejected"
    ]


def test_orders_in_other_statuses_are_never_seen(world: World) -> None:
    stored = {int(row["platform_order_id"]) for row in world.rows("SELECT platform_order_id FROM rm_inbox")}
    assert stored == set(_SEEN)
    assert set(world.states()) == set(_SEEN)


def test_the_summary_counts_every_end(after_run: tuple[World, Run]) -> None:
    world, run = after_run
    ends = Counter(case.end for case in _SEEN.values())
    expected = {
        "fetched": len(_SEEN),
        "written": ends["done"],
        "acknowledged": ends["done"],
        "exported": ends["done"],
        "held": 1,
        "rejected": ends["rejected"],
        "skipped": 1,
        "closed": 0,
    }
    assert {name: run.counts[name] for name in expected} == expected
    assert run.state == "finished"
    assert {name: world.counts()[name] for name in expected} == expected


def test_exactly_the_written_orders_are_marked_on_the_platform(world: World) -> None:
    written = {int(row["platform_order_id"]) for row in world.rows("SELECT platform_order_id FROM rm_order")}
    assert written == set(_DONE)
    assert world.marked() == set(_DONE)
    values = {
        row["value"]
        for order_id in _DONE
        for row in world.shop.order(order_id)["meta_data"]
        if row["key"] == "sumatra_wc_integrator_exported"
    }
    assert values == {"1"}


def test_marking_changes_nothing_else_on_the_platform(world: World) -> None:
    for order_id in _DONE:
        now, before = world.shop.order(order_id), BODIES[order_id]
        assert (now["status"], now["total"], now["billing"]) == (
            before["status"],
            before["total"],
            before["billing"],
        )


@pytest.mark.parametrize("order_id", _DONE)
def test_each_exported_order_is_one_document_with_its_number_and_its_total(
    world: World, documents: dict[str, list[Json]], order_id: int
) -> None:
    (document,) = documents[f"BGM-{order_id}"]
    body = BODIES[order_id]
    assert document["totalAmountIncludingTax"] == Decimal(body["total"])
    assert document["currencyCode"] == body["currency"]
    # None of the buyers is a customer of the ERP, and there is a default customer, so that none is made.
    assert document["customerNumber"] == "WEB-CASH"
    (row,) = world.rows("SELECT * FROM rm_order WHERE platform_order_id = :id", id=str(order_id))
    assert row["erp_document_number"] == document["number"]
    assert row["imported"] == 1


def test_the_erp_holds_no_other_document(documents: dict[str, list[Json]]) -> None:
    assert sorted(documents) == sorted(f"BGM-{order_id}" for order_id in _DONE)


def test_no_customer_was_made(world: World) -> None:
    assert len(world.customers()) == 4


@pytest.mark.parametrize("order_id", _DONE)
def test_each_document_has_the_lines_of_its_order(documents: dict[str, list[Json]], order_id: int) -> None:
    (document,) = documents[f"BGM-{order_id}"]
    found = [
        (line["lineType"], line["lineObjectNumber"], line["quantity"], line["netAmount"])
        for line in document["lines"]
    ]
    assert Counter(found) == Counter(_expected_lines(order_id))
    assert {line["netTaxAmount"] for line in document["lines"]} == {Decimal(0)}
    assert {line["taxCode"] for line in document["lines"]} == {"NONTAXABLE"}


def _expected_lines(order_id: int) -> Iterator[tuple[str, str, Decimal, Decimal]]:
    """From the platform's body: goods net of coupons and credit, kit components at 0, all else on its account."""
    body = BODIES[order_id]
    credit = {name: Decimal(value) for name, value in CREDIT.get(order_id, {}).items()}
    for line in body["line_items"]:
        quantity, sku = Decimal(str(line["quantity"])), line["sku"].upper()
        yield "Item", sku, quantity, Decimal(line["total"]) - credit.pop(sku, Decimal(0))
        if sku == "KIT-PARENT-123":
            yield "Item", "COMP-A", quantity * 3, Decimal(0)
            yield "Item", "COMP-B", quantity, Decimal(0)
    for line in body["shipping_lines"]:
        paid = Decimal(line["total"]) - credit.pop(line["method_title"], Decimal(0))
        yield "Account", "40400", Decimal(1), paid
    for line in body["fee_lines"]:
        if line["name"] != "Store credit":
            yield "Account", "40600", Decimal(1), Decimal(line["total"])
    tax = Decimal(body["total_tax"]) - credit.pop("Tax", Decimal(0))
    if tax:
        yield "Account", "40500", Decimal(1), tax
    assert not credit


def test_store_credit_is_the_discount_of_goods_and_the_lower_price_of_accounts(
    documents: dict[str, list[Json]],
) -> None:
    (document,) = documents["BGM-161"]
    found = {
        line["description"]: (line["quantity"], line["unitPrice"], line["discountAmount"])
        for line in document["lines"]
    }
    assert found["Component A"] == (Decimal(5), Decimal("12.00"), Decimal("5.88"))
    assert found["Ground"] == (Decimal(1), Decimal("7.22"), Decimal(0))
    assert found["Freight"] == (Decimal(1), Decimal("40.68"), Decimal(0))
    assert found["Tax"] == (Decimal(1), Decimal("7.60"), Decimal(0))


def test_coupons_are_discounts_of_the_lines_they_lowered(documents: dict[str, list[Json]]) -> None:
    (document,) = documents["BGM-169"]
    found = {
        line["lineObjectNumber"]: (line["unitPrice"], line["discountAmount"]) for line in document["lines"]
    }
    assert found == {
        "WID-001": (Decimal("19.99"), Decimal("12.00")),
        "COMP-A": (Decimal("12.00"), Decimal("8.00")),
    }


@pytest.mark.parametrize("order_id", _DONE)
def test_the_stored_lines_add_up_to_the_total(world: World, order_id: int) -> None:
    (order,) = world.rows("SELECT * FROM rm_order WHERE platform_order_id = :id", id=str(order_id))
    lines = world.rows("SELECT * FROM rm_lineitems WHERE order_id = :id ORDER BY position", id=order["id"])
    amount = sum(_money(line["amount"]) for line in lines)
    credit = sum(_money(line["credit"]) for line in lines)
    assert amount - credit == Decimal(BODIES[order_id]["total"]) == _money(order["total"])
    assert [line["position"] for line in lines] == list(range(1, len(lines) + 1))
    # What was taken off already stands in a column of its own, so that nothing is taken off twice.
    assert {_money(line["amount"]) for line in lines if line["line_type"] in {5, 8}} <= {Decimal(0)}
    assert {line["imported"] for line in lines} == {1}


@pytest.mark.parametrize("order_id", _DONE)
def test_every_line_of_goods_was_verified_and_says_when(world: World, order_id: int) -> None:
    lines = world.rows(
        "SELECT l.* FROM rm_lineitems l JOIN rm_order o ON o.id = l.order_id"
        " WHERE o.platform_order_id = :id AND l.line_type IN (1, 2)",
        id=str(order_id),
    )
    assert lines
    assert {line["verdict"] for line in lines} == {"passed"}
    assert all(line["verified_at"] for line in lines)


def _money(value: object) -> Decimal:
    return Decimal(str(value))


def test_store_credit_stands_in_the_lines_that_bear_it(world: World) -> None:
    lines = world.rows(
        "SELECT l.* FROM rm_lineitems l JOIN rm_order o ON o.id = l.order_id"
        " WHERE o.platform_order_id = '161' ORDER BY l.position"
    )
    bearing = {line["name"]: _money(line["credit"]) for line in lines if _money(line["credit"])}
    assert bearing == {
        "Component A": Decimal("5.88"),
        "Ground": Decimal("0.78"),
        "Freight": Decimal("4.42"),
        "Tax": Decimal("0.82"),
    }
    (credit,) = [line for line in lines if line["line_type"] == 8]
    assert (_money(credit["amount"]), _money(credit["credit"]), _money(credit["nominal"])) == (
        Decimal(0),
        Decimal(0),
        Decimal("11.90"),
    )


def test_the_kit_is_stored_as_in_the_owners_example(world: World) -> None:
    lines = world.rows(
        "SELECT l.* FROM rm_lineitems l JOIN rm_order o ON o.id = l.order_id"
        " WHERE o.platform_order_id = '152' AND l.line_type IN (1, 2) ORDER BY l.position"
    )
    found = [
        (line["position"], line["sku"], _money(line["quantity"]), line["line_type"], line["parent"])
        for line in lines
    ]
    assert found == [
        (1, "KIT-PARENT-123", Decimal(2), 1, None),
        (2, "COMP-A", Decimal(6), 2, 1),
        (3, "COMP-B", Decimal(2), 2, 1),
    ]


@pytest.mark.parametrize("order_id", _DONE)
def test_the_header_and_both_addresses_are_the_platforms(world: World, order_id: int) -> None:
    body = BODIES[order_id]
    (order,) = world.rows("SELECT * FROM rm_order WHERE platform_order_id = :id", id=str(order_id))
    assert order["order_number"] == f"BGM-{order_id}"
    assert order["order_date"].replace(" ", "T")[:19] == body["date_created_gmt"]
    assert bool(order["klarna"]) == (body["payment_method"] == "klarna_payments")
    assert bool(order["stripe"]) == (body["payment_method"] == "stripe")
    assert order["trans_id"] == body["transaction_id"]
    assert order["customer_note"] == body["customer_note"]
    stored = world.rows("SELECT * FROM rm_address WHERE order_id = :id", id=order["id"])
    assert sorted(row["kind"] for row in stored) == ["bill", "ship"]
    for row in stored:
        given = body["billing" if row["kind"] == "bill" else "shipping"]
        for ours, theirs in (
            ("first_name", "first_name"),
            ("last_name", "last_name"),
            ("company", "company"),
            ("address1", "address_1"),
            ("address2", "address_2"),
            ("city", "city"),
            ("state", "state"),
            ("postcode", "postcode"),
            ("country", "country"),
            ("phone", "phone"),
        ):
            assert row[ours] == given[theirs], (row["kind"], ours)


@pytest.mark.parametrize("order_id", _STOPPED)
def test_an_order_that_was_stopped_left_no_trace_outside(world: World, order_id: int) -> None:
    assert f"BGM-{order_id}" not in world.document_numbers()
    assert not world.rows("SELECT id FROM rm_order WHERE platform_order_id = :id", id=str(order_id))
    assert world.shop.order(order_id) == BODIES[order_id]


# The gift card that lowers the total and leaves no trace in the body (contract 8), where the status lets it be seen.


def _paid_by_card() -> Json:
    return {**BODIES[190], "status": "processing"}


def test_a_total_lowered_without_a_trace_is_rejected_with_the_sum_that_shows_why(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[_paid_by_card()])
    world.run()
    state, stage, reason = world.states()[190]
    assert (state, stage) == ("rejected", "normalize")
    for words in ("24.00", "7.95", "2.86", "34.81", "0.00", "gift_card_by_difference"):
        assert words in reason
    assert world.documents() == []


def test_a_site_that_says_so_takes_the_difference_for_a_gift_card(make_world: MakeWorld) -> None:
    world = make_world(orders=[_paid_by_card()], site_settings={"gift_card_by_difference": "true"})
    world.run()
    assert world.ends() == {190: "done"}
    (document,) = world.documents()
    assert document["totalAmountIncludingTax"] == Decimal(0)
    (card,) = [line for line in document["lines"] if line["lineObjectNumber"] == "40700"]
    assert (card["lineType"], card["quantity"], card["netAmount"]) == (
        "Account",
        Decimal(1),
        Decimal("-34.81"),
    )
    (line,) = world.rows("SELECT amount, credit, nominal FROM rm_lineitems WHERE line_type = 7")
    assert [_money(line[name]) for name in ("amount", "credit", "nominal")] == [
        Decimal(0),
        Decimal("34.81"),
        Decimal("34.81"),
    ]


@pytest.mark.parametrize("rounding", ["0.01", "-0.03", "0.04"])
def test_a_difference_that_rounding_explains_is_a_line_on_its_own_account(
    make_world: MakeWorld, rounding: str
) -> None:
    """Half a cent for each line and for its tax (contract 8): 146 has two products, shipping and a fee, so up to 0.04."""
    base = Decimal(BODIES[146]["total"]) + Decimal(rounding)
    world = make_world(orders=[{**BODIES[146], "total": str(base)}])
    world.run()
    (document,) = world.documents()
    assert document["totalAmountIncludingTax"] == base
    (line,) = [line for line in document["lines"] if line["lineObjectNumber"] == "40900"]
    assert line["netAmount"] == Decimal(rounding)


def test_a_difference_that_rounding_does_not_explain_is_rejected(make_world: MakeWorld) -> None:
    world = make_world(orders=[{**BODIES[146], "total": "61.44"}])
    world.run()
    state, stage, reason = world.states()[146]
    assert (state, stage) == ("rejected", "normalize")
    assert "61.39" in reason
    assert "61.44" in reason
