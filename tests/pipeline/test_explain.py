"""Orders explained from the platform's figures to the ERP's lines: every number is the shop's, ours or the ERP's, and all add up."""

import json
from decimal import Decimal
from typing import Any

import pytest

from app.domain.road import Stage
from app.errors import Misconfigured, UsageError
from app.sandbox.bigcommerce import DEMO_CLIENT_SECRET, DEMO_STORE_HASH, DEMO_TOKEN, Store
from app.sandbox.bigcommerce import create_app as store_app
from app.sandbox.server import serve
from app.sync.archive import archive
from app.sync.configure import Asked, add_site
from app.sync.explain import explain
from app.sync.explanation import Amount, ExplainedLine, Explanation
from app.sync.privacy import erase, find
from app.sync.repair import repair
from app.sync.resume import How, orders_named, resume
from tests.fixtures import databases
from tests.pipeline.world import MakeWorld, World, kit_order, plain_order, recorded


def explained(world: World, key: str, **more: Any) -> Explanation:
    """The explanation, all sums of which must be right."""
    found = explain(world.parts, key, **more)
    assert [check.sentence for check in found.checks if not check.holds] == []
    return found


def wrong(found: Explanation) -> list[str]:
    return [check.sentence for check in found.checks if not check.holds]


def stored(world: World, *statements: str) -> None:
    with world.engine.begin() as connection:
        for each in statements:
            connection.exec_driver_sql(each)


def change_settings(world: World, **settings: str) -> None:
    (row,) = world.rows("SELECT settings FROM rm_erps")
    text = json.dumps(json.loads(row["settings"]) | settings)
    databases.execute(world.engine, "UPDATE rm_erps SET settings = :settings", settings=text)


def change_document(world: World, *changes: tuple[int, str, str]) -> None:
    """Of the only order: the lines' numbers, by their index and name."""
    (row,) = world.rows("SELECT document FROM rm_thread")
    document = json.loads(row["document"])
    for at, name, value in changes:
        document["lines"][at][name] = value
    databases.execute(
        world.engine, "UPDATE rm_thread SET document = :document", document=json.dumps(document)
    )


def amount(line: ExplainedLine, makes: str) -> Amount:
    (found,) = (each for each in line.amounts if each.makes == makes)
    return found


def at(body: Any, pointer: str) -> str:
    found = body
    for name in pointer.removeprefix("/").split("/"):
        found = found[int(name)] if isinstance(found, list) else found[name]
    return str(found)


def check_whole(found: Explanation, body: dict[str, Any], document: dict[str, Any]) -> None:
    """From one end to the other: the body's own texts, our sums, and the lines that the ERP really has."""
    assert found.total is not None
    amounts = [found.total, *(each for line in found.lines for each in line.amounts)]
    for figure in (figure for each in amounts for figure in each.figures):
        assert figure.text == (at(body, figure.pointer) if figure.pointer else "")
    assert sum(line.net for line in found.lines) == found.total.value == Decimal(body["total"])
    written = {each.positions: each for line in found.lines for each in line.written}
    assert [(each.number, each.quantity, each.unit_price, each.net) for each in written.values()] == [
        (line["lineObjectNumber"], line["quantity"], line["unitPrice"], line["netAmount"])
        for line in document["lines"]
    ]
    assert document["totalAmountIncludingTax"] == found.total.value
    assert any(check.sentence.startswith("The ERP's document = ") for check in found.checks)


@pytest.mark.parametrize(
    ("_case", "order_id"),
    [("kit", 152), ("coupon", 188), ("coupons", 169), ("store credit", 161), ("fee and two taxes", 146)],
)
def test_an_order_is_explained_from_the_shops_own_texts_to_the_erps_own_lines(
    make_world: MakeWorld, _case: str, order_id: int
) -> None:
    world = make_world(orders=[recorded(order_id)])
    world.run()
    found = explained(world, f"BGM-{order_id}")
    assert (found.order_number, found.state, found.notes) == (f"BGM-{order_id}", "done", ())
    (document,) = world.documents()
    assert found.erp_document == document["number"]
    check_whole(found, recorded(order_id), document)
    assert explain(world.parts, str(order_id)) == found


def test_a_kit_names_its_components_and_they_their_kit(make_world: MakeWorld) -> None:
    world = make_world(orders=[kit_order(901)])
    world.run()
    kit, first, second, *_ = explained(world, "BGM-901").lines
    assert [(line.type, line.parent, line.quantity, line.net) for line in (kit, first, second)] == [
        ("product", None, Decimal(2), Decimal("298.00")),
        ("component", 1, Decimal(6), Decimal("0.00")),
        ("component", 1, Decimal(2), Decimal("0.00")),
    ]
    assert amount(kit, "amount").figures[0].pointer == "/line_items/0/total"
    assert amount(first, "amount").figures == ()
    assert kit.rules == ("It is a kit of 6 x COMP-A, 2 x COMP-B (lines 2, 3, each with an amount of 0.00).",)
    assert first.rules == (
        "It is part of the kit on line 1, which has the price: 6 for 2 of the kit (KIT-PARENT-123 > COMP-A).",
    )
    assert [each.number for line in (kit, first, second) for each in line.written] == [
        "KIT-PARENT-123",
        "COMP-A",
        "COMP-B",
    ]


def test_store_credit_says_how_each_line_came_to_its_share(make_world: MakeWorld) -> None:
    world = make_world(orders=[recorded(161)])
    world.run()
    found = explained(world, "BGM-161")
    shares = {line.position: line.credit for line in found.lines if line.credit is not None}
    assert {position: (each.amount, each.exact, each.share) for position, each in shares.items()} == {
        1: (Decimal("60.00"), Decimal("5.8756"), Decimal("5.88")),
        2: (Decimal("8.00"), Decimal("0.7834"), Decimal("0.78")),
        3: (Decimal("45.10"), Decimal("4.4165"), Decimal("4.42")),
        5: (Decimal("8.42"), Decimal("0.8245"), Decimal("0.82")),
    }
    assert {(each.credit, each.bearable) for each in shares.values()} == {
        (Decimal("11.90"), Decimal("121.52"))
    }
    credit = found.lines[3]
    (figure,) = amount(credit, "nominal").figures
    assert (figure.pointer, figure.text, figure.value) == ("/fee_lines/0/total", "-11.90", Decimal("11.90"))
    assert credit.rules == (
        (
            "It is spread in proportion over what it can pay for:"
            " 5.88 on line 1, 0.78 on line 2, 4.42 on line 3, 0.82 on line 5."
        ),
    )
    (goods,) = found.lines[0].written
    assert (goods.quantity, goods.unit_price, goods.discount, goods.net) == (
        Decimal(5),
        Decimal(12),
        Decimal("5.88"),
        Decimal("54.12"),
    )


def test_a_gift_card_by_difference_and_a_rounding_line_say_that_they_are_differences(
    make_world: MakeWorld,
) -> None:
    body = plain_order(902, total="20.00")
    card = {**plain_order(903), "total": "15.00"}
    world = make_world(orders=[body, card], site_settings={"gift_card_by_difference": "true"})
    world.run()
    by_number = {each["externalDocumentNumber"]: each for each in world.documents()}
    rounded = explained(world, "BGM-902")
    check_whole(rounded, body, by_number["BGM-902"])
    line = rounded.lines[-1]
    (figure,) = amount(line, "amount").figures
    assert (line.type, line.net, figure.pointer, figure.value) == (
        "rounding",
        Decimal("0.01"),
        "",
        Decimal("0.01"),
    )
    assert figure.name == "the order's total less all other lines"
    assert [each.number for each in line.written] == ["40900"]
    given = explained(world, "BGM-903")
    check_whole(given, card, by_number["BGM-903"])
    line = given.lines[-1]
    assert (line.type, line.net, line.credit) == ("gift_card", Decimal("-4.99"), None)
    assert amount(line, "credit").figures[0].name == "all other lines less the order's total"


def test_one_line_alone_can_be_explained_and_one_that_is_not_there_is_refused(make_world: MakeWorld) -> None:
    world = make_world(orders=[recorded(152)])
    world.run()
    whole = explained(world, "BGM-152")
    third = explained(world, "BGM-152", line=3)
    assert third.lines == whole.lines[2:3]
    assert (third.total, third.checks) == (whole.total, whole.checks)
    with pytest.raises(UsageError, match=r"BGM-152 has no line 7; its lines are 1 to 6"):
        explain(world.parts, "BGM-152", line=7)
    with pytest.raises(Misconfigured, match="There is no order 'BGM-9'"):
        explain(world.parts, "BGM-9")


def test_orders_that_stopped_early_are_explained_as_far_as_they_came(make_world: MakeWorld) -> None:
    world = make_world(orders=[recorded(106), recorded(164), recorded(150)])
    world.run()
    unsold = explained(world, "106")
    assert unsold.total is not None
    assert [line.written for line in unsold.lines] == [()] * len(unsold.lines)
    (note,) = unsold.notes
    assert "not come as far as the ERP's lines; it is rejected at verify_skus" in note
    assert "is blocked in Business Central" in note
    refused = explained(world, "164")
    assert (refused.total, refused.lines, refused.checks) == (None, (), ())
    (note,) = refused.notes
    assert "was not brought into our own form yet: The amount 32.49" in note
    with pytest.raises(UsageError, match="has no lines yet"):
        explain(world.parts, "164", line=1)
    skipped = explained(world, "150")
    assert skipped.total is not None
    assert skipped.total.value == Decimal("0.50")
    assert "test order" in skipped.notes[0]


def test_credit_that_is_not_spread_yet_is_named_in_the_sum(make_world: MakeWorld) -> None:
    world = make_world(orders=[recorded(161)])
    bells = world.fetch()
    world.walk(bells[:1], last=Stage.NORMALIZE)
    found = explained(world, "161")
    assert "The lines 121.52 - store credit that is not spread yet 11.90 = 109.62, the order's total." in {
        check.sentence for check in found.checks
    }
    assert found.lines[3].rules == (
        "It is spread over product, shipping and tax once the kits are expanded.",
    )


def test_an_order_whose_body_is_gone_is_explained_from_our_own_lines_on(make_world: MakeWorld) -> None:
    world = make_world(orders=[recorded(152)])
    world.run()
    with world.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM rm_inbox")
    found = explained(world, "BGM-152")
    assert "not stored any more" in found.notes[0]
    assert found.total is not None
    assert (found.total.figures, found.total.adds_up) == ((), None)
    assert [len(line.written) for line in found.lines] == [1] * 6


def test_a_stored_amount_that_is_not_what_the_platform_says_is_found(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(904)])
    world.run()
    (row,) = world.rows("SELECT id, document FROM rm_thread")
    document = json.loads(row["document"], parse_float=Decimal)
    document["lines"][0]["amount"] = "19.98"
    databases.execute(
        world.engine, f"UPDATE rm_thread SET document = :new WHERE id = {row['id']}", new=json.dumps(document)
    )
    found = explain(world.parts, "BGM-904")
    assert wrong(found) == [
        "The platform's figures of today's reading do not come to what is stored: the amount of line 1.",
        "Where these come from cannot be told, the platform has no figure of them: the listed of line 1.",
        "The lines = 19.98, not the order's total of 19.99.",
        (
            "The order's rows are not what they were made from:"
            " subtotal of the order 19.99 in place of 19.98, amount of line 1 19.99 in place of 19.98."
        ),
        "These ERP lines do not come to the order's lines: item WID-001.",
    ]
    assert found.lines[0].amounts[0].adds_up is False


def test_tax_that_is_left_to_the_erp_is_named_and_a_document_with_another_total_is_found(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[recorded(152)], erp_settings={"tax.mode": "erp"})
    world.run()
    found = explain(world.parts, "BGM-152")
    (document,) = world.documents()
    assert document["totalAmountIncludingTax"] != Decimal("383.27")
    assert [check.sentence for check in found.checks if not check.holds] == [
        f"The ERP's document = {document['totalAmountIncludingTax']:.2f}, not the order's total of 383.27."
    ]
    assert (
        "The ERP's lines 351.10 + 32.17 of line 6 (tax), left to the ERP, = 383.27, the order's total."
        in {check.sentence for check in found.checks}
    )


def test_what_was_sent_is_explained_and_held_against_the_order(make_world: MakeWorld) -> None:
    world = make_world(orders=[recorded(161)])
    world.run()
    found = explained(world, "BGM-161")
    assert found.checks[-1].sentence == "What was sent to the ERP is exactly what these lines make."
    stored(world, "UPDATE rm_payload SET body = replace(body, '12.0', '13.0')")
    assert wrong(explain(world.parts, "BGM-161")) == [
        "These ERP lines do not come to the order's lines: item COMP-A.",
        "The ERP's lines = 114.62, not the order's total of 109.62.",
    ]


def test_settings_that_were_changed_since_are_a_note_and_no_fault(make_world: MakeWorld) -> None:
    world = make_world(orders=[recorded(152)])
    world.run()
    before = explained(world, "BGM-152")
    change_settings(world, **{"account.shipping": "40700"})
    after = explained(world, "BGM-152")
    assert after.lines == before.lines
    (document,) = world.documents()
    assert [each.number for line in after.lines for each in line.written] == [
        line["lineObjectNumber"] for line in document["lines"]
    ]
    (note,) = after.notes
    assert note.startswith("With today's settings it would be written otherwise: account 40700 (")
    assert "in place of account 40400 (" in note


def test_another_number_of_lines_today_leaves_those_that_were_sent_at_their_places(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[recorded(152)])
    world.run()
    before = explained(world, "BGM-152")
    change_settings(world, **{"tax.mode": "erp"})
    after = explained(world, "BGM-152")
    assert after.lines == before.lines
    assert "nothing in place of account" in after.notes[0]
    change_settings(world, **{"tax.mode": "line", "account.shipping": ""})
    refused = explained(world, "BGM-152")
    assert refused.lines == before.lines
    assert refused.notes[0].startswith("With today's settings it could not be written: ")


def test_a_request_that_is_not_stored_or_cannot_be_read_is_said_so(make_world: MakeWorld) -> None:
    world = make_world(orders=[recorded(152)])
    world.run()
    stored(world, "UPDATE rm_payload SET body = replace(body, 'salesOrderLines', 'otherLines')")
    assert "What was sent to the ERP cannot be told: " in explained(world, "BGM-152").notes[0]
    stored(world, "UPDATE rm_payload SET body = NULL")
    found = explained(world, "BGM-152")
    assert found.notes == (
        "The request that wrote it is not stored; the ERP's lines are those that today's settings make of it.",
    )
    assert [len(line.written) for line in found.lines] == [1] * 6


def test_an_order_whose_personal_data_was_erased_has_its_amounts_still(make_world: MakeWorld) -> None:
    world = make_world(orders=[recorded(161), kit_order(901), plain_order(906, total="1.00")])
    world.run()
    before = {number: explained(world, number) for number in ("BGM-161", "BGM-901")}
    subjects = find(world.parts, orders=("BGM-161", "BGM-901"), email=None)
    erase(world.parts, subjects)
    for number, was in before.items():
        found = explained(world, number)
        day = world.clock.now().date().isoformat()
        assert found.notes[0] == (
            f"Its personal data was erased on {day}; its amounts are those that were stored."
        )
        assert "its figures cannot be told" in found.notes[1]
        assert "is not stored; the ERP's lines are those that today's settings make" in found.notes[2]
        assert found.total is not None
        assert was.total is not None
        assert (found.total.value, found.total.figures) == (was.total.value, ())
        assert [(line.net, line.credit, line.written) for line in found.lines] == [
            (line.net, line.credit, line.written) for line in was.lines
        ]
    here = explained(world, "BGM-161")
    world.clock.advance(91 * 86_400)
    world.place(plain_order(908))
    world.run()
    archive(world.parts, days=90)
    assert world.rows("SELECT total FROM rm_order WHERE order_number = 'BGM-161'") == []
    assert explained(world, "BGM-161") == here


def test_rows_that_are_not_what_they_were_made_from_are_found(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(907)])
    world.run()
    stored(
        world,
        "UPDATE rm_order SET total = '18.99', subtotal = '18.99'",
        "UPDATE rm_lineitems SET amount = '18.99'",
    )
    assert wrong(explain(world.parts, "BGM-907")) == [
        (
            "The order's rows are not what they were made from: subtotal of the order 18.99 in place of 19.99,"
            " total of the order 18.99 in place of 19.99, amount of line 1 18.99 in place of 19.99."
        )
    ]
    stored(world, "DELETE FROM rm_lineitems")
    assert "line of line 1 not there in place of there" in wrong(explain(world.parts, "BGM-907"))[0]


def test_store_credit_that_is_spread_against_its_rule_is_found(make_world: MakeWorld) -> None:
    world = make_world(orders=[recorded(161)])
    world.walk(world.fetch()[:1], last=Stage.APPLY_STORE_CREDIT)
    assert "The store credit is spread in proportion, by largest remainder." in {
        check.sentence for check in explained(world, "161").checks
    }
    change_document(world, (0, "credit", "8.88"), (2, "credit", "1.42"))
    assert wrong(explain(world.parts, "161")) == [
        "The store credit is not spread by its rule: line 1 bears 8.88 and not 5.88, line 3 bears 1.42 and not 4.42."
    ]
    change_document(world, *((at, "credit", "0.00") for at in (0, 1, 2, 4)))
    assert "line 1 bears 0.00 and not 5.88" in wrong(explain(world.parts, "161"))[0]


@pytest.mark.parametrize("name", ["nominal", "listed", "tax"])
def test_a_number_that_the_platform_has_no_figure_of_is_found(make_world: MakeWorld, name: str) -> None:
    world = make_world(orders=[kit_order(901)])
    world.walk(world.fetch(), last=Stage.APPLY_STORE_CREDIT)
    explained(world, "901")
    change_document(world, (0, name, "77.00"))
    found = explain(world.parts, "901")
    assert f"the {name} of line 1" in wrong(found)[0]
    assert amount(found.lines[0], name).adds_up is not True


def test_components_that_no_kit_has_are_found_and_a_kit_that_was_changed_is_a_note(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[kit_order(901)])
    world.run()
    stored(world, "UPDATE rm_kits SET quantity = 4 WHERE component_sku = 'COMP-A'")
    found = explained(world, "BGM-901")
    assert found.notes == (
        (
            "The kit KIT-PARENT-123 on line 1 has been stored with 6 x COMP-A, 2 x COMP-B;"
            " as it is defined today it would be 8 x COMP-A, 2 x COMP-B."
        ),
    )
    change_document(world, (1, "quantity", "5"))
    assert "These components are those of no kit: 5 x COMP-A (line 2) for 2 x KIT-PARENT-123." in wrong(
        explain(world.parts, "BGM-901")
    )


def test_the_documents_total_is_compared_though_its_lines_cannot_be_told(make_world: MakeWorld) -> None:
    world = make_world(orders=[recorded(152)])
    world.run()
    stored(world, "UPDATE rm_order SET erp_total = '1.00'", "UPDATE rm_erps SET credentials = 'x'")
    found = explain(world.parts, "BGM-152")
    assert "The ERP's lines cannot be told" in found.notes[0]
    assert wrong(found) == ["The ERP's document = 1.00, not the order's total of 383.27."]


def test_an_amount_that_a_person_has_changed_is_explained_by_that(make_world: MakeWorld) -> None:
    body = plain_order(905, email="twice@example.test")
    body["line_items"][0] |= {"total": "10.00", "subtotal": "10.00", "price": 10}
    shipping = {"id": 9, "method_title": "Post", "method_id": "flat", "instance_id": "1", "total": "9.99", "total_tax": "0.00", "taxes": [], "meta_data": []}  # fmt: skip
    world = make_world(orders=[body | {"shipping_lines": [shipping], "shipping_total": "9.99"}])
    world.run()
    (order,) = orders_named(world.parts, ["BGM-905"])
    changes = {"/lines/0/amount": "11.00", "/lines/1/amount": "8.99", "/bill/email": "once@example.test"}
    repair(world.parts, order, changes, reason="split otherwise", by="cli:anna")
    (order,) = orders_named(world.parts, ["BGM-905"])
    resume(world.parts, [order], How(by="cli:anna"), ring=world.road.ring)
    world.settle()
    found = explained(world, "BGM-905")
    (figure,) = found.lines[0].amounts[0].figures
    assert (figure.name, figure.value) == ("as cli:anna changed it", Decimal("11.00"))
    assert found.lines[0].amounts[0].adds_up is True
    assert "cli:anna changed /lines/0/amount from '10.00' to '11.00' (split otherwise)." in found.notes


def test_a_change_that_came_after_the_order_was_sent_is_told_and_not_explained(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(905)])
    world.run()
    before = explained(world, "BGM-905")
    world.clock.advance(10)
    world.place(plain_order(905, customer_note="please hurry", total="25.00"))
    world.run()
    after = explained(world, "BGM-905")
    assert after.total == before.total
    assert "version 2 is kept" in after.notes[0]


def test_an_order_of_a_bigcommerce_store_is_explained_to_the_cent(make_world: MakeWorld) -> None:
    world = make_world()
    with serve(store_app(store := Store(quota=100_000, tender_in_total=True))) as server:
        add_site(
            world.parts,
            Asked(
                name="store",
                platform="bigcommerce",
                url=f"{server.url}/stores/{DEMO_STORE_HASH}",
                allow_private=True,
                credentials={"token": DEMO_TOKEN, "client_secret": DEMO_CLIENT_SECRET},
                settings={"tender": "inside"},
            ),
            prefix="BIG",
            erp="bc",
        )
        numbers = store.generate(
            12,
            overrides={
                "is_tax_inclusive_pricing": True,
                "gift_certificate_amount": "1.00",
                "store_credit_amount": "2.00",
            },
        )
        world.site_id = max(site.id for site in world.parts.store.sites())
        world.run()
        store.close()
    done = [str(number) for number, state in world.ends().items() if state == "done"]
    assert len(done) > len(numbers) / 2
    documents = {each["externalDocumentNumber"]: each for each in world.documents()}
    for number in done:
        found = explained(world, number)
        assert found.total is not None
        assert documents[f"BIG-{number}"]["totalAmountIncludingTax"] == found.total.value
        assert sum(line.net for line in found.lines) == found.total.value
        assert all(each.adds_up for line in found.lines for each in line.amounts if each.figures)
        assert found.total.figures[0].pointer == "/total_inc_tax"
        assert {line.type for line in found.lines} >= {"product", "gift_card", "store_credit"}
