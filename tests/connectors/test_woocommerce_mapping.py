"""What normalizing does with what the recorded orders do not show: built from a recorded body, one thing changed at a time."""

import contextlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.connectors.woocommerce.mapping import normalize
from app.connectors.woocommerce.settings import Settings
from app.connectors.woocommerce.sighting import content_hash, gross, is_marked, seen
from app.domain.balance import computed_total
from app.domain.credit import apply_store_credit
from app.domain.money import smallest_unit
from app.domain.order import LineType, Order
from app.errors import Reject

FOLDER = Path(__file__).parents[1] / "payloads" / "woocommerce" / "orders"
RECORDED = json.loads((FOLDER / "storefront_cod.json").read_text("utf-8"))
WITH_META = json.loads((FOLDER / "line_meta_objects.json").read_text("utf-8"))
DEFAULTS = Settings()
MARK = {"id": 1, "key": DEFAULTS.mark_key, "value": "1"}


def order(changes: dict[str, Any], configured: Settings = DEFAULTS) -> Order:
    """The recorded order (39.98 + 19.95 + shipping 7.95 + tax 6.28 = 74.16, cash on delivery), changed."""
    return normalize(json.dumps({**RECORDED, **changes}), prefix="BGM", settings=configured)


def rejection(changes: dict[str, Any], configured: Settings = DEFAULTS) -> Reject:
    """Why the changed order is rejected."""
    with pytest.raises(Reject) as rejected:
        order(changes, configured)
    return rejected.value


def coupon(discount: str, kind: str = "smart_coupon") -> dict[str, Any]:
    """A coupon line as they show it."""
    return {"id": 9, "code": "gift", "discount": discount, "discount_tax": "0", "discount_type": kind}


def first_line(**changes: object) -> dict[str, Any]:
    """The changes that change the first product line."""
    return {"line_items": [{**RECORDED["line_items"][0], **changes}, *RECORDED["line_items"][1:]]}


# Smart coupons and the balance


def test_a_smart_coupon_that_is_inside_the_line_totals_is_a_coupon() -> None:
    (line,) = order({"coupon_lines": [coupon("5")]}).of_type(LineType.COUPON)
    assert (str(line.nominal), str(line.amount)) == ("5.00", "0.00")


def test_a_smart_coupon_that_lowers_the_total_after_tax_is_store_credit() -> None:
    ours = order({"coupon_lines": [coupon("10.5"), coupon("3.66")], "total": "60.00"})
    assert [str(line.nominal) for line in ours.of_type(LineType.STORE_CREDIT)] == ["10.50", "3.66"]
    assert not ours.of_type(LineType.COUPON, LineType.ROUNDING)
    assert computed_total(apply_store_credit(ours, unit=smallest_unit("USD")).lines) == Decimal("60.00")


def test_a_smart_coupon_as_store_credit_may_come_with_rounding() -> None:
    ours = order({"coupon_lines": [coupon("14.16")], "total": "60.01"})
    assert [str(line.nominal) for line in ours.of_type(LineType.STORE_CREDIT)] == ["14.16"]
    assert [str(line.amount) for line in ours.of_type(LineType.ROUNDING)] == ["0.01"]


def test_a_smart_coupon_that_does_not_explain_the_difference_is_none_of_its_cause() -> None:
    refused = rejection({"coupon_lines": [coupon("5")], "total": "60.00"})
    assert (refused.kind, "74.16, platform total 60.00" in refused.reason) == ("balance", True)


def test_an_ordinary_coupon_never_becomes_store_credit() -> None:
    assert rejection({"coupon_lines": [coupon("14.16", "percent")], "total": "60.00"}).kind == "balance"


@pytest.mark.parametrize("total", ["74.13", "74.17", "74.19"])
def test_rounding_within_the_tolerance_is_a_line_of_its_own(total: str) -> None:
    (line,) = order({"total": total}).of_type(LineType.ROUNDING)
    assert line.amount == Decimal(total) - Decimal("74.16")


@pytest.mark.parametrize("total", ["74.12", "74.20"])
def test_a_larger_difference_is_a_rejection_that_shows_the_sum(total: str) -> None:
    refused = rejection({"total": total})
    assert f"products 59.93 + shipping 7.95 + tax 6.28 = 74.16, platform total {total} USD" in refused.reason


def test_only_a_shortfall_can_be_a_gift_card() -> None:
    by_difference = Settings(gift_card_by_difference=True)
    assert [
        str(line.credit) for line in order({"total": "54.16"}, by_difference).of_type(LineType.GIFT_CARD)
    ] == ["20.00"]
    assert rejection({"total": "94.16"}, by_difference).kind == "balance"


# Addresses


def test_a_shipping_address_without_a_street_is_the_billing_address() -> None:
    ours = order(
        {"shipping": dict.fromkeys(RECORDED["shipping"], "") | {"country": "US", "first_name": "Somebody"}}
    )
    assert ours.ship == ours.bill


def test_a_shipping_address_without_a_name_takes_the_name_of_the_billing_address() -> None:
    ours = order({"shipping": {**RECORDED["shipping"], "first_name": "", "last_name": " ", "city": "Reno"}})
    assert (ours.ship.name, ours.ship.city) == (ours.bill.name, "Reno")


def test_a_company_is_a_name() -> None:
    ours = order({"billing": {**RECORDED["billing"], "first_name": "", "last_name": "", "company": "ACME"}})
    assert ours.bill.company == "ACME"


@pytest.mark.parametrize("part", ["address_1", "city", "country", "postcode"])
@pytest.mark.parametrize("which", ["billing", "shipping"])
@pytest.mark.parametrize("empty", ["", "  ", None])
def test_an_empty_required_part_of_an_address_is_named(which: str, part: str, empty: str | None) -> None:
    refused = rejection({which: {**RECORDED[which], part: empty}})
    assert (refused.kind, refused.field) == ("address", f"/{which}/{part}")
    assert refused.reason == f"The {which} address has no {part}."


def test_a_country_without_postcodes_needs_none() -> None:
    address = {**RECORDED["billing"], "country": "HK", "postcode": "", "state": ""}
    assert order({"billing": address, "shipping": address}).bill.country == "HK"


# Payment


@pytest.mark.parametrize(
    ("method", "flags"),
    [
        ("klarna_payments", (True, False, False)),
        ("stripe_cc", (False, True, False)),
        ("Stripe_Klarna", (True, True, False)),
        ("ppcp-gateway", (False, False, True)),
        ("paypal", (False, False, True)),
        ("bacs", (False, False, False)),
    ],
)
def test_payment_flags_follow_the_method(method: str, flags: tuple[bool, bool, bool]) -> None:
    payment = order({"payment_method": method, "date_paid_gmt": "2026-11-20T18:22:44"}).payment
    assert (payment.klarna, payment.stripe, payment.paypal) == flags
    assert payment.paid_at is not None
    assert payment.paid_at.isoformat() == "2026-11-20T18:22:44+00:00"


def test_a_prepaid_order_without_a_date_of_payment_is_rejected() -> None:
    refused = rejection({"payment_method": "bacs"})
    assert (refused.kind, refused.field) == ("payment", "/date_paid_gmt")


def test_a_method_that_is_paid_later_needs_no_date_of_payment() -> None:
    assert (
        order({"payment_method": "bacs"}, Settings(pay_later_methods=("cod", "bacs"))).payment.paid_at is None
    )


# Lines


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quantity": 0, "price": 0}, "not above zero"),
        ({"quantity": -1}, "not above zero"),
        ({"quantity": 1.5}, "the fraction 1.5"),
        ({"quantity": 1}, "is not its total 39.98"),
        ({"total": "-39.98", "price": -19.99}, "is negative"),
        ({"quantity": True}, "is no number"),
        ({"quantity": "2"}, "is no number"),
        ({"quantity": None}, "is null"),
        ({"total": 1e300}, "is no amount"),
        ({"total": ""}, "is no amount"),
        ({"total": None}, "/line_items/0/total is null"),
        ({"sku": 7}, "/line_items/0/sku is no text"),
        ({"id": "829"}, "is no id"),
    ],
)
def test_a_line_that_cannot_be_meant_is_rejected(changes: dict[str, Any], words: str) -> None:
    assert words in rejection(first_line(**changes)).reason


@pytest.mark.parametrize(
    "changes", [{"quantity": 2.0}, {"price": None}, {"price": 19.99000000004}, {"new_field": {}}]
)
def test_a_line_that_is_only_shown_otherwise_passes(changes: dict[str, Any]) -> None:
    assert order(first_line(**changes)).lines[0].quantity == 2


def test_names_are_shown_as_people_wrote_them() -> None:
    assert (
        order(first_line(name="Nuts &amp; <b>bolts</b> &quot;M5&quot;")).lines[0].name
        == 'Nuts & <b>bolts</b> "M5"'
    )


def test_a_missing_field_is_named_by_its_place() -> None:
    body = {key: value for key, value in RECORDED.items() if key != "total_tax"}
    body["line_items"] = [
        {key: value for key, value in line.items() if key != "sku"} for line in body["line_items"]
    ]
    with pytest.raises(Reject) as rejected:
        normalize(json.dumps(body), prefix="BGM", settings=DEFAULTS)
    for words in ("/total_tax is missing.", "/line_items/0/sku is missing.", "/line_items/1/sku is missing."):
        assert words in rejected.value.reason


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"date_created_gmt": None}, "/date_created_gmt"),
        ({"date_created_gmt": "2026-11-20T18:22:44Z"}, "/date_created_gmt"),
        ({"date_created_gmt": "0000-00-00T00:00:00"}, "/date_created_gmt"),
        ({"date_paid_gmt": "yesterday"}, "/date_paid_gmt"),
        ({"billing": []}, "/billing"),
        ({"billing": None}, "/billing"),
        ({"line_items": {}}, "/line_items"),
        ({"line_items": [None]}, "/line_items/0"),
        ({"line_items": [7]}, "/line_items/0"),
        ({"number": " "}, "/number"),
        ({"currency": "usd"}, "/currency"),
        ({"total": "-1.00"}, "/total"),
        ({"prices_include_tax": "yes"}, "/prices_include_tax"),
    ],
)
def test_a_field_that_is_not_what_it_must_be_is_named(changes: dict[str, Any], field: str) -> None:
    assert rejection(changes).field == field


def test_the_number_is_the_shops_own_and_not_the_id() -> None:
    ours = order({"number": "W-2026/17"})
    assert (ours.number, ours.platform_order_id) == ("BGM-W-2026/17", "187")


def test_a_currency_with_more_decimals_than_the_shop_was_asked_for_is_named() -> None:
    refused = rejection({"currency": "KWD"})
    assert (refused.kind, "decimals=3" in refused.reason) == ("settings", True)
    assert order({"currency": "KWD"}, Settings(decimals=3)).total == Decimal("74.160")


def test_what_no_database_takes_is_left_out() -> None:
    assert order({"customer_note": "a\0b\ud800"}).customer_note == "ab?"


def test_our_mark_and_the_shops_own_hashes_are_no_part_of_the_meta() -> None:
    meta = [
        MARK,
        {"id": 2, "key": "_fees_hash", "value": "x"},
        {"id": 3, "key": "_pw_gift_card", "value": {"a": [1]}},
        None,
        {"id": 4},
    ]
    assert order({"meta_data": meta}).meta == (("_pw_gift_card", {"a": [1]}),)


# The hash


def hashed(body: dict[str, Any], configured: Settings = DEFAULTS) -> str:
    """The content hash of a body."""
    return content_hash(given=body, settings=configured)


@given(data=st.data())
@settings(max_examples=60)
def test_the_hash_does_not_see_what_passes(data: st.DataObject) -> None:
    body = json.loads(json.dumps(WITH_META))
    meta = [row for row in data.draw(st.permutations(body["meta_data"])) if row["key"] != DEFAULTS.mark_key]
    number = st.integers(min_value=0)
    body["meta_data"] = [{**row, "id": data.draw(number)} for row in meta]
    if data.draw(st.booleans()):
        body["meta_data"].insert(
            data.draw(st.integers(0, len(meta))),
            {**MARK, "value": data.draw(st.sampled_from(["1", 1, "", "0"]))},
        )
    for line in body["line_items"]:
        rows = data.draw(st.permutations(line["meta_data"]))
        line["meta_data"] = [
            {**row, "id": data.draw(number), "display_value": data.draw(st.text())} for row in rows
        ]
        line |= {
            "price": data.draw(st.floats(0, 9)),
            "image": data.draw(st.none()),
            "parent_name": data.draw(st.text()),
        }
    text = st.text(max_size=5)
    for name in (
        "date_modified",
        "date_modified_gmt",
        "date_created",
        "date_paid",
        "version",
        "payment_url",
        "currency_symbol",
    ):
        body[name] = data.draw(text)
    for name in ("needs_payment", "needs_processing", "is_editable"):
        body[name] = data.draw(st.booleans())
    body.pop(data.draw(st.sampled_from(["_links", "version", "payment_url", "is_editable"])), None)
    assert hashed(body) == hashed(WITH_META)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "on-hold"},
        {"total": "20.00"},
        {"customer_note": "now with a note"},
        {"date_paid_gmt": None},
        {"transaction_id": "other"},
        {"refunds": [{"id": 1, "total": "-1.00"}]},
        {"billing": {**WITH_META["billing"], "city": "Reno"}},
        {"meta_data": [*WITH_META["meta_data"], {"id": 5, "key": "gift", "value": "another"}]},
        {"line_items": [{**WITH_META["line_items"][0], "sku": None}]},
        {"line_items": [*WITH_META["line_items"], *WITH_META["line_items"]]},
        {"shipping_lines": []} if WITH_META["shipping_lines"] else {"fee_lines": [{"id": 1}]},
    ],
)
def test_the_hash_sees_every_edit(change: dict[str, Any]) -> None:
    assert hashed({**WITH_META, **change}) != hashed(WITH_META)


def test_moving_to_the_status_for_acknowledged_orders_is_an_echo_and_any_other_move_an_edit() -> None:
    configured = Settings(ack_status="completed")
    moved = {
        "status": "completed",
        "date_completed_gmt": "2026-11-21T00:00:00",
        "date_paid_gmt": "2026-11-21T00:00:00",
    }
    assert hashed({**RECORDED, **moved}, configured) == hashed(RECORDED, configured)
    assert hashed({**RECORDED, "status": "cancelled"}, configured) != hashed(RECORDED, configured)
    assert hashed({**RECORDED, **moved}) != hashed(RECORDED)


@pytest.mark.parametrize("method", ["stripe", "cod"])
def test_an_order_that_was_on_hold_in_between_has_the_hash_it_had_at_first(method: str) -> None:
    paid = None if method == "cod" else "2026-11-20T18:22:44"
    first = {**RECORDED, "status": "processing", "payment_method": method, "date_paid_gmt": paid}
    held = {**first, "status": "on-hold", "date_modified_gmt": "2026-11-21T00:00:00", "needs_payment": True}
    back = {
        **held,
        "status": "processing",
        "date_modified": "2026-11-21T16:00:00",
        "date_modified_gmt": "2026-11-22T00:00:00",
        "date_completed_gmt": None,
        "needs_payment": False,
        # Cash on delivery that was completed by mistake has a date of payment from then on.
        "date_paid_gmt": paid or "2026-11-21T12:00:00",
    }
    assert hashed(held) != hashed(first)
    assert hashed(back) == hashed(first)


@settings(
    deadline=None
)  # Each example normalizes every recorded body with it; a busy machine takes its time.
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_value_in_any_place_is_seen_and_passes_or_is_rejected(value: object) -> None:
    for name in RECORDED:
        body = {**RECORDED, name: value}
        row = seen(platform_order_id="187", body=json.dumps(body), given=body, settings=DEFAULTS)
        assert len(row.content_hash) == 64
        with contextlib.suppress(Reject):
            normalize(row.body, prefix="BGM", settings=DEFAULTS)


@pytest.mark.parametrize(
    ("value", "marked"), [("1", True), (1, True), ("0", False), ("", False), (None, False), (["1"], False)]
)
def test_only_our_own_value_is_our_mark(value: object, marked: bool) -> None:
    assert is_marked(given={"meta_data": [{**MARK, "value": value}]}, settings=DEFAULTS) is marked


def test_a_body_that_cannot_be_read_is_seen_all_the_same() -> None:
    row = seen(platform_order_id="7", body='{"id":7}', given={"id": 7}, settings=DEFAULTS)
    assert (row.status, row.modified_raw, row.modified_at, row.created_at, row.gross) == (
        "",
        "",
        None,
        None,
        None,
    )
    assert (row.eligible, row.marked) == (False, False)


def test_gross_leaves_out_what_takes_off() -> None:
    fees = [{"total": "2.50", "total_tax": "0.39"}, {"total": "-1.25", "total_tax": "-0.19"}]
    body = {
        "line_items": [{"subtotal": "10.00", "subtotal_tax": "1.00"}],
        "shipping_lines": [],
        "fee_lines": fees,
    }
    assert gross(given=body) == Decimal("13.89")


# The balance, for any amounts

CENTS = st.integers(0, 100_000).map(lambda cents: Decimal(cents) / 100)


@st.composite
def amounts(draw: st.DrawFn) -> tuple[list[Decimal], list[Decimal], Decimal]:
    """Products, shipping lines and tax."""
    return draw(st.lists(CENTS, min_size=1, max_size=6)), draw(st.lists(CENTS, max_size=2)), draw(CENTS)


@given(
    parts=amounts(),
    fee=st.integers(-500, 500).map(lambda cents: Decimal(cents) / 100),
    share=st.integers(0, 100),
    off=st.integers(-3, 3),
)
@settings(max_examples=100)
def test_what_adds_up_passes_and_still_adds_up_after_store_credit_is_spread(
    parts: tuple[list[Decimal], list[Decimal], Decimal], fee: Decimal, share: int, off: int
) -> None:
    products, shipping, tax = parts
    bearable = sum(products) + sum(shipping) + tax
    credit = min((bearable * share / 100).quantize(Decimal("0.01")), bearable)
    total = bearable + fee - credit
    lines = len(products) + len(shipping) + (fee != 0)
    rounding = Decimal(max(-lines, min(lines, off))) / 100
    assume(total + rounding >= 0)
    fees = [{"id": 2, "name": "Fee", "total": str(fee), "total_tax": "0.00"}] if fee else []
    if credit:
        fees.append({"id": 3, "name": "store credit", "total": str(-credit), "total_tax": "0.00"})
    line = {**RECORDED["line_items"][0], "price": None}
    ours = order(
        {
            "line_items": [{**line, "total": str(each), "subtotal": str(each)} for each in products],
            "shipping_lines": [{**RECORDED["shipping_lines"][0], "total": str(each)} for each in shipping],
            "fee_lines": fees,
            "total_tax": str(tax),
            "total": str(total + rounding),
        }
    )
    spread = apply_store_credit(ours, unit=smallest_unit("USD"))
    assert computed_total(spread.lines) == ours.total == total + rounding
    assert sum(line.amount for line in ours.of_type(LineType.ROUNDING)) == rounding
