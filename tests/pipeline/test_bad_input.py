"""Answers that are no answers: met while orders are read and while they are marked. Nothing is lost and nothing is passed over."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.databases import Databases
from tests.pipeline.world import (
    HANGS,
    ORDERS_PATH,
    Json,
    MakeWorld,
    World,
    kit_order,
    limits_for,
    opened_world,
    plain_order,
)

ERRORS = Path(__file__).parents[1] / "payloads" / "woocommerce" / "errors"

READING = {
    # A 200 that is not what was asked for is named for what it is.
    "200_batch_partial": ("not the JSON that was asked for",),
    "200_empty_broken_table": ("no orders at all", "broken"),
    "200_warning_before_json": ("before its JSON", "display_errors"),
    "400_json": ("400", "rest_invalid_json"),
    "400_param": ("400", "rest_invalid_param"),
    "400_put_missing": ("400", "woocommerce_rest_shop_order_invalid_id"),
    "400_status": ("no order status", "'processing'"),
    "401_bad_secret": ("consumer secret is wrong",),
    "401_no_auth": ("does not know the API key",),
    "401_readonly_write": ("may only read",),
    "401_unknown_key": ("does not know the API key",),
    "404_order": ("404", "woocommerce_rest_shop_order_invalid_id"),
    "404_route": ("no WooCommerce REST API",),
    "413_batch": ("fewer orders in one request",),
    "429_nginx": ("429", "Too Many Requests"),
    "500_db_down": ("500", "text/html"),
    "500_php_fatal": ("500", "text/html"),
    "502_php_down": ("502", "Bad Gateway"),
    "503_maintenance": ("503", "Service Unavailable"),
}
"""What the run says when the list is answered so."""

PAUSING = {
    "400_status",
    "401_bad_secret",
    "401_no_auth",
    "401_readonly_write",
    "401_unknown_key",
    "404_route",
}
"""Settings that cannot work: the site pauses (error table, `Misconfigured`)."""

CUT = ("reset", "timeout", "truncated")
"""Connections that break."""

TELLING_APART = (
    "200_empty_broken_table",
    "200_warning_before_json",
    "401_unknown_key",
    "429_nginx",
    "503_maintenance",
    *CUT,
)
"""One of each family."""

DONE = ("done", "deliver", "")


def test_every_recorded_error_answer_is_tried() -> None:
    assert sorted(READING) == sorted(path.stem for path in ERRORS.glob("*.http"))


def _is_all_done(world: World, *order_ids: int) -> None:
    assert world.states() == dict.fromkeys(order_ids, DONE)
    assert world.document_numbers() == sorted(f"BGM-{order_id}" for order_id in order_ids)
    assert world.marked() == set(order_ids)


@pytest.mark.once
@pytest.mark.parametrize("answer", [*READING, *CUT])
def test_a_failed_read_is_named_moves_nothing_and_loses_nothing(make_world: MakeWorld, answer: str) -> None:
    world = make_world(orders=[plain_order(301), kit_order(302)], limits=limits_for(answer))
    world.run()
    before = world.cursor(), world.counts()
    assert before[0] is not None
    world.place(plain_order(303), plain_order(304))
    world.shop_fault(answer, times=-1, seconds=HANGS)

    run = world.run()

    assert (world.fetched.state, run.state) == ("failed", "failed")
    assert run.finished_at is not None
    assert run.reason == world.fetched.reason
    for words in READING.get(answer, ("no whole answer",)):
        assert words in run.reason
    assert run.reason.endswith((".", ")"))
    assert "<" not in run.reason
    assert (world.cursor(), world.counts()) == before
    assert (world.paused() is not None) == (answer in PAUSING | {"413_batch"})
    _was_never_seen(world, 303, 304)

    world.clear_faults()
    assert world.run().state == "finished"
    assert world.paused() is None
    _is_all_done(world, 301, 302, 303, 304)


def _was_never_seen(world: World, *order_ids: int) -> None:
    assert not set(order_ids) & set(world.states())
    assert not world.marked() & set(order_ids)


@pytest.mark.parametrize("answer", TELLING_APART)
def test_a_read_that_fails_midway_keeps_what_was_stored(make_world: MakeWorld, answer: str) -> None:
    """Page one of two is stored; the failure of the second takes nothing back and passes nothing over."""
    dated = [
        plain_order(400 + place, date_modified_gmt=f"2026-11-20T18:{place // 60:02d}:{place % 60:02d}")
        for place in range(103)
    ]
    world = make_world(
        orders=dated,
        limits={"http": "1", "soft": "8", "hard": "9", "lease": "10"},
        erp_settings={"t_late": "11"},
    )
    world.shop_fault(answer, path=f"{ORDERS_PATH}$", method="GET", skip=1, times=-1, seconds=HANGS)

    bells = world.fetch()

    # An answer that is an empty list is the end of the list as far as anybody can tell; all else is a failure.
    assert world.fetched.state == ("read" if answer == "200_empty_broken_table" else "failed")
    assert world.counts()["fetched"] == 100
    stored = world.rows("SELECT MAX(modified_at) AS last FROM rm_inbox")[0]["last"]
    cursor = world.cursor()
    assert cursor is not None
    assert cursor.modified_at.isoformat()[:19] <= stored.replace(" ", "T")[:19]
    assert len(bells) == 1

    world.clear_faults()
    world.fetch()
    assert world.fetched.state == "read"
    assert set(world.states()) == {400 + place for place in range(103)}


@pytest.mark.parametrize("answer", [*READING, *CUT, "reset_after", "timeout_after"])
def test_a_failed_mark_does_not_hold_up_the_export_and_is_made_up_for(
    make_world: MakeWorld, answer: str
) -> None:
    world = make_world(orders=[plain_order(311), kit_order(312)], limits=limits_for(answer))
    world.shop_fault(answer, method="POST", path=f"{ORDERS_PATH}/batch", times=-1, seconds=HANGS)

    world.walk(world.fetch())

    assert world.document_numbers() == ["BGM-311", "BGM-312"]
    assert world.counts()["acknowledged"] == 0
    assert all(state in {"active", "held"} and reason for state, _, reason in world.states().values())
    assert not world.errors()

    world.clear_faults()
    world.settle(through_holds=True)
    _is_all_done(world, 311, 312)


@pytest.mark.parametrize("answer", ["404_order", *TELLING_APART])
def test_a_platform_that_cannot_be_asked_before_the_mark_closes_nothing(
    make_world: MakeWorld, answer: str
) -> None:
    world = make_world(orders=[plain_order(321), kit_order(322)], limits=limits_for(answer))
    bells = world.fetch()
    world.shop_fault(answer, times=-1, seconds=HANGS)

    world.walk(bells)

    assert world.counts()["closed"] == 0
    assert world.counts()["acknowledged"] == 0
    assert not world.errors()
    world.clear_faults()
    world.settle(through_holds=True)
    _is_all_done(world, 321, 322)


def test_a_mark_refused_for_one_order_is_that_orders_alone(make_world: MakeWorld) -> None:
    """The batch answers 200 with an error in the place of one order, which is gone by then (contract 7)."""
    world = make_world(orders=[plain_order(331), plain_order(332)])
    bells = world.fetch()
    world.shop.delete(332, force=True)
    world.walk(bells)
    world.settle()
    assert world.states()[331] == DONE
    assert world.ends()[332] == "closed"
    assert world.document_numbers() == ["BGM-331"]


def test_an_empty_shop_that_never_had_an_order_is_no_failure(make_world: MakeWorld) -> None:
    world = make_world()
    run = world.run()
    assert (run.state, run.reason, run.counts["fetched"]) == ("finished", "", 0)
    assert world.cursor() is None


def test_a_wrong_key_pauses_the_site_with_a_sentence_until_it_is_right(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(341)])
    right = world.shop.keyring
    world.shop.keyring = type(right)([])
    run = world.run()
    assert run.state == "failed"
    paused = world.paused()
    assert paused is not None
    assert "does not know the API key" in paused
    assert "sandbox" not in paused, "the sentence shows no credential"
    assert world.cursor() is None
    world.shop.keyring = right
    world.run()
    assert world.paused() is None
    _is_all_done(world, 341)


# One bad order among good ones.

Change = Callable[[Json], None]


def _set(**changes: Any) -> Change:
    return lambda body: body.update(changes)


def _without(*names: str) -> Change:
    def change(body: Json) -> None:
        for name in names:
            del body[name]

    return change


def _line(**changes: Any) -> Change:
    return lambda body: body["line_items"][0].update(changes)


def _line_without(name: str) -> Change:
    return lambda body: body["line_items"][0].pop(name)


def _billing(**changes: Any) -> Change:
    return lambda body: body["billing"].update(changes)


BAD: dict[str, tuple[Change, str, str]] = {
    "body without lines": (_without("line_items"), "normalize", "/line_items is missing"),
    "empty list of lines": (_set(line_items=[]), "normalize", "no line items"),
    "text where the lines belong": (_set(line_items="none"), "normalize", "/line_items is no list"),
    "object where the lines belong": (_set(line_items={"0": {}}), "normalize", "/line_items is no list"),
    "lines that are null": (_set(line_items=None), "normalize", "/line_items is null"),
    "a line that is null": (_set(line_items=[None]), "normalize", "/line_items/0"),
    "a line that is a number": (_set(line_items=[5]), "normalize", "/line_items/0"),
    "unknown currency": (_set(currency="ZZZ"), "normalize", "'ZZZ'"),
    "currency as number": (_set(currency=840), "normalize", "/currency"),
    "null SKU": (_line(sku=None), "verify_skus", "no SKU"),
    "blank SKU": (_line(sku="  "), "verify_skus", "no SKU"),
    "line without the field SKU": (_line_without("sku"), "normalize", "/line_items/0/sku is missing"),
    "quantity as text": (_line(quantity="1"), "normalize", "/line_items/0/quantity"),
    "quantity as a word": (_line(quantity="two"), "normalize", "/line_items/0/quantity"),
    "quantity zero": (_line(quantity=0), "normalize", "not above zero"),
    "quantity negative": (_line(quantity=-1), "normalize", "not above zero"),
    "quantity fractional": (_line(quantity=1.5), "normalize", "1.5"),
    "quantity true": (_line(quantity=True), "normalize", "/line_items/0/quantity"),
    "no total": (_without("total"), "normalize", "/total is missing"),
    "total null": (_set(total=None), "normalize", "/total is null"),
    "total as a word": (_set(total="free"), "normalize", "/total"),
    "total not a number": (_set(total="NaN"), "normalize", "/total"),
    "total in exponents": (_set(total="1e9"), "normalize", "/total"),
    "total negative": (_set(total="-19.99"), "normalize", "-19.99"),
    "sum that does not add up": (_set(total="21.99"), "normalize", "19.99"),
    "no billing": (_without("billing"), "normalize", "/billing is missing"),
    "billing as list": (_set(billing=[]), "normalize", "/billing"),
    "no number": (_without("number"), "normalize", "/number is missing"),
    "empty number": (_set(number=""), "normalize", "/number"),
    "no date": (_without("date_created_gmt"), "normalize", "/date_created_gmt is missing"),
    "date that is none": (_set(date_created_gmt="2026-13-45T00:00:00"), "normalize", "/date_created_gmt"),
    "refunds as text": (_set(refunds="none"), "normalize", "/refunds is no list"),
    "meta as text": (_set(meta_data="text"), "normalize", "/meta_data is no list"),
    "unknown country": (_billing(country="XX"), "normalize", "'XX'"),
    "country as number": (_billing(country=1), "normalize", "/billing/country"),
    "no street": (_billing(address_1=""), "normalize", "billing address has no address_1"),
    "blank city": (_billing(city="  "), "normalize", "city"),
    "no payment method": (_set(payment_method=""), "normalize", "no payment method"),
    "prepaid but never paid": (_set(date_paid_gmt=None), "normalize", "no date of payment"),
    "refunded in part": (
        _set(refunds=[{"id": 9, "reason": "", "total": "-5.00", "total_tax": "0.00"}]),
        "normalize",
        "refunded",
    ),
    "SKU longer than the ERP takes": (_line(sku="X" * 300), "verify_skus", "does not exist"),
    "SKU that is a filter": (_line(sku="' or number ne '"), "verify_skus", "does not exist"),
    "address longer than any column": (_billing(city="C" * 5000), "write", "city is longer"),
}
"""What is done to a good body, where it is rejected, and what the reason must hold."""

_IDS = {label: 500 + place for place, label in enumerate(BAD)}
_GOOD = (490, 520_000, 520_001)


@pytest.fixture(scope="module")
def mixed_page(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    bodies = [plain_order(order_id) for order_id in _GOOD]
    for label, (change, _, _) in BAD.items():
        body = deepcopy(plain_order(_IDS[label]))
        change(body)
        bodies.append(body)
    with opened_world(databases, tmp_path_factory.mktemp("mixed")) as world:
        world.shop.add_orders(bodies)
        world.run()
        yield world


@pytest.mark.parametrize("_case", BAD)
def test_a_bad_order_is_rejected_by_name(mixed_page: World, _case: str) -> None:
    _, stage, telling = BAD[_case]
    order_id = _IDS[_case]
    state, stopped_at, reason = mixed_page.states()[order_id]
    assert (state, stopped_at) == ("rejected", stage), reason
    assert telling in reason
    assert "Error" not in reason, "no trace of the program's inside"
    error = mixed_page.errors()[order_id]
    assert (error["stage"], error["reason"]) == (stage, reason)
    assert error["kind"] != "internal"


def test_the_good_orders_of_a_page_with_bad_ones_go_all_the_way(mixed_page: World) -> None:
    assert {order_id: mixed_page.states()[order_id] for order_id in _GOOD} == dict.fromkeys(_GOOD, DONE)
    assert mixed_page.document_numbers() == sorted(f"BGM-{order_id}" for order_id in _GOOD)
    assert mixed_page.marked() == set(_GOOD)


def test_the_bodies_of_bad_orders_are_stored_as_they_came(mixed_page: World) -> None:
    stored = {
        int(row["platform_order_id"]) for row in mixed_page.rows("SELECT platform_order_id FROM rm_inbox")
    }
    assert stored == {*_GOOD, *_IDS.values()}


def test_a_bad_order_that_is_mended_on_the_platform_goes_all_the_way(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(351), plain_order(352, currency="ZZZ")])
    world.run()
    assert world.ends() == {351: "done", 352: "rejected"}
    world.place(plain_order(352))
    world.run()
    _is_all_done(world, 351, 352)
    assert not world.errors()


def test_an_element_without_an_id_stops_the_page_by_name_and_moves_nothing(make_world: MakeWorld) -> None:
    """It cannot be stored, since nothing says which order it is; so the page waits rather than passing over it."""
    world = make_world(orders=[plain_order(361)])
    world.run()
    before = world.cursor()
    world.place(plain_order(362), plain_order(363))
    # The shop's listing keeps its own id; what it shows has none.
    world.shop._orders[362].body["id"] = None
    world.shop._orders[362].raw.clear()
    run = world.run()
    assert run.state == "failed"
    assert "no order with an id" in run.reason
    assert world.cursor() == before
    assert set(world.states()) == {361}


def test_an_order_whose_modified_date_cannot_be_read_is_stored_and_rejected_by_name(
    make_world: MakeWorld,
) -> None:
    """As the port says of `Seen.modified_at`."""
    world = make_world()
    world.shop.add_orders([plain_order(365, date_modified_gmt="yesterday"), plain_order(366)])
    world.run()
    state, stage, reason = world.states()[365]
    assert (state, stage) == ("rejected", "normalize")
    assert "date_modified_gmt" in reason
    assert world.states()[366] == DONE


def test_amounts_too_large_for_the_erp_are_rejected_not_rounded(make_world: MakeWorld) -> None:
    body = plain_order(371, total="99999999999999.99")
    body["line_items"][0] |= {"total": "99999999999999.99", "subtotal": "99999999999999.99", "price": 1e14}
    world = make_world(orders=[body, plain_order(372)])
    world.run()
    assert world.states()[372] == DONE
    if world.ends()[371] == "done":
        (document,) = [each for each in world.documents() if each["externalDocumentNumber"] == "BGM-371"]
        assert document["totalAmountIncludingTax"] == Decimal("99999999999999.99")
    else:
        assert world.ends()[371] == "rejected"
        assert world.document_numbers() == ["BGM-372"]
