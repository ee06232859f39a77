"""Every recorded order body ends as the documents and the observed contract say; the table was written from them."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.connectors.woocommerce.mapping import normalize
from app.connectors.woocommerce.settings import Settings
from app.connectors.woocommerce.sighting import gross
from app.domain.balance import computed_total
from app.domain.credit import apply_store_credit
from app.domain.money import smallest_unit
from app.domain.order import LineType, Order
from app.errors import Reject
from app.transport import parse_json

FOLDER = Path(__file__).parents[1] / "payloads" / "woocommerce" / "orders"

PASSES = "passes"
NO_ADDRESS = (
    "address",
    "/billing/address_1",
    "The billing address has no address_1, city, country, postcode.",
)
NO_METHOD = ("payment", "/payment_method", "no payment method")
REFUNDED = ("refund", "/refunds", "refunded")

EXPECTED: dict[str, str | tuple[str, str, str]] = {
    "bad_state_country": ("address", "/billing/country", "unknown country 'XX'"),
    "billing_ship_differ": PASSES,
    "bulk_12": PASSES,
    "bulk_15": PASSES,
    "bulk_3": PASSES,
    "custom_status": NO_ADDRESS,
    "deleted_product_line": PASSES,
    "exactly_one_dollar": PASSES,
    "fixed_product_coupon": PASSES,
    "fractional": ("validation", "/line_items/0/quantity", "the fraction 1.5"),
    "high_precision_line": PASSES,
    "kit_parent": PASSES,
    "line_by_sku": NO_ADDRESS,
    "line_meta_objects": PASSES,
    "long_note": PASSES,
    "many_line_items_60": PASSES,
    "negative_fee_bigger_than_total": PASSES,
    "no_address_at_all": (
        "address",
        "/billing/first_name",
        "has no name, address_1, city, country, postcode.",
    ),
    "no_line_items": ("validation", "/line_items", "no line items"),
    "no_sku_and_unicode_sku": PASSES,
    "note_html_crlf": PASSES,
    "prices_include_tax": NO_METHOD,
    "quebec_compound_tax": PASSES,
    "refund_full": REFUNDED,
    "refund_partial_amount_only": REFUNDED,
    "refund_partial_line": REFUNDED,
    "refund_shipping_tax": REFUNDED,
    "round_at_subtotal": NO_METHOD,
    "set_paid": PASSES,
    "store_credit_as_fee": PASSES,
    "storefront_cod": PASSES,
    "storefront_coupon": PASSES,
    "storefront_gift_card_full": (
        "balance",
        "/total",
        "products 24.00 + shipping 7.95 + tax 2.86 = 34.81, platform total 0.00 USD",
    ),
    "sub_dollar": PASSES,
    "trashed": PASSES,
    "with_notes": PASSES,
    "zero_total_free_product": PASSES,
    "list 105": PASSES,
    "list 106": PASSES,
    "list 154": PASSES,
    "list 155": PASSES,
    "list 156": PASSES,
    "list 157": PASSES,
    "list 158": PASSES,
    "list 159": PASSES,
    "list 160": PASSES,
    "list 161": PASSES,
    "list 162": PASSES,
    "list 163": PASSES,
    "list 164": (
        "validation",
        "/total",
        "The amount 32.49 (/total) is no whole number of the smallest unit of JPY.",
    ),
    "list 165": ("address", "/billing/first_name", "has no name, address_1, city, country, postcode."),
    "list 166": ("validation", "/line_items", "no line items"),
    "list 167": ("address", "/billing/country", "unknown country 'XX'"),
    "list 168": PASSES,
    "list 195": NO_ADDRESS,
    "list 196": NO_ADDRESS,
    "list 197": ("validation", "/line_items/0/quantity", "the fraction 1.5"),
}


def recorded() -> dict[str, str]:
    """The recorded bodies by case."""
    found = {
        path.stem: path.read_text("utf-8")
        for path in sorted(FOLDER.glob("*.json"))
        if not path.stem.startswith("_")
    }
    for body in parse_json((FOLDER / "_list_processing_p1.json").read_text("utf-8")):
        found[f"list {body['id']}"] = json.dumps(body, default=float)
    return found


BODIES = recorded()


DEFAULTS = Settings()


def order(case: str, settings: Settings = DEFAULTS) -> Order:
    """A recorded order in our own words."""
    return normalize(BODIES[case], prefix="BGM", settings=settings)


def given(case: str) -> dict[str, Any]:
    """A recorded order in theirs."""
    body: dict[str, Any] = parse_json(BODIES[case])
    return body


def test_every_recorded_case_has_an_expected_end() -> None:
    assert set(BODIES) == set(EXPECTED)


@pytest.mark.parametrize("case", [case for case, expected in EXPECTED.items() if expected == PASSES])
def test_a_recorded_order_that_is_right_passes_and_balances(case: str) -> None:
    theirs = given(case)
    ours = order(case)
    assert ours.number == f"BGM-{theirs['number']}"
    assert ours.total == Decimal(theirs["total"])
    assert not ours.of_type(LineType.ROUNDING, LineType.GIFT_CARD)
    spread = apply_store_credit(ours, unit=smallest_unit(ours.currency))
    assert computed_total(spread.lines) == ours.total


@pytest.mark.parametrize(
    ("case", "expected"), [(case, ends) for case, ends in EXPECTED.items() if isinstance(ends, tuple)]
)
def test_a_recorded_order_that_cannot_pass_is_rejected_for_its_reason(
    case: str, expected: tuple[str, str, str]
) -> None:
    with pytest.raises(Reject) as rejected:
        order(case)
    kind, field, words = expected
    assert (rejected.value.kind, rejected.value.field) == (kind, field)
    assert words in rejected.value.reason


def test_all_faults_of_an_order_are_named_at_once() -> None:
    with pytest.raises(Reject) as rejected:
        order("fractional")
    for words in ("the fraction 1.5", "the fraction 0.333", "The billing address", "no payment method"):
        assert words in rejected.value.reason


def test_an_order_with_hundreds_of_faults_names_the_first_ten() -> None:
    theirs = given("list 154") | {"currency": "JPY"}
    theirs["line_items"] = [line | {"total": "12.34", "subtotal": "12.34"} for line in theirs["line_items"]]
    with pytest.raises(Reject) as rejected:
        normalize(json.dumps(theirs, default=float), prefix="BGM", settings=Settings())
    assert "more faults." in rejected.value.reason
    assert len(rejected.value.reason) < 3000


def test_the_order_is_read_field_by_field() -> None:
    ours = order("store_credit_as_fee")
    assert (ours.platform_order_id, ours.status, ours.customer_id) == ("161", "processing", "2")
    assert ours.created_at.isoformat() == "2026-11-20T18:21:58+00:00"
    assert ours.created_raw == "2026-11-20T18:21:58"
    assert (ours.bill.name, ours.bill.address2, ours.bill.state) == ("John Doe", "Apt 4", "CA")
    assert (ours.bill.email, ours.ship.email, ours.ship.postcode) == ("buyer0@example.test", "", "90012")
    assert (ours.payment.method, ours.payment.stripe, ours.payment.klarna, ours.payment.paypal) == (
        "stripe",
        True,
        False,
        False,
    )
    assert ours.payment.transaction_id == "pi_3Q0000000000000000000000"
    assert ours.customer_note == "Leave at door — merci! 🙏\nLine 2"
    assert ours.meta == (("_hidden_meta", "x"), ("peer_n", "0"))


def test_store_credit_as_a_fee_is_spread_over_the_lines_it_pays_for() -> None:
    ours = order("store_credit_as_fee")
    (credit,) = ours.of_type(LineType.STORE_CREDIT)
    assert (str(credit.amount), str(credit.credit), str(credit.nominal), str(credit.tax)) == (
        "0.00",
        "0",
        "11.90",
        "-1.13",
    )
    spread = apply_store_credit(ours, unit=smallest_unit("USD"))
    shares = [str(line.credit) for line in spread.of_type(LineType.PRODUCT, LineType.SHIPPING, LineType.TAX)]
    assert shares == ["5.88", "0.78", "4.42", "0.82"]
    assert str(computed_total(spread.lines)) == "109.62"


def test_a_credit_of_another_name_is_a_negative_fee() -> None:
    ours = order("billing_ship_differ")
    assert [(line.name, str(line.amount)) for line in ours.of_type(LineType.FEE)] == [
        ("Handling", "2.50"),
        ("Loyalty credit", "-1.25"),
    ]
    renamed = order("billing_ship_differ", Settings(store_credit_fee_names=("LOYALTY CREDIT",)))
    assert [str(line.nominal) for line in renamed.of_type(LineType.STORE_CREDIT)] == ["1.25"]


def test_coupons_carry_their_value_and_take_nothing_off_twice() -> None:
    ours = order("storefront_coupon")
    (coupon,) = ours.of_type(LineType.COUPON)
    assert (coupon.name, str(coupon.amount), str(coupon.nominal), coupon.detail) == (
        "ten",
        "0.00",
        "10.00",
        "percent",
    )
    (product,) = ours.of_type(LineType.PRODUCT)
    assert (str(product.amount), str(product.listed)) == ("89.99", "99.99")


def test_tax_is_one_line_that_tells_its_rates() -> None:
    (tax,) = order("storefront_coupon").of_type(LineType.TAX)
    assert (str(tax.amount), tax.detail) == ("9.12", "CA State 7.25 %, LA County 2.25 %")


def test_each_shipping_line_stands_for_itself() -> None:
    assert [(line.name, str(line.amount)) for line in order("kit_parent").of_type(LineType.SHIPPING)] == [
        ("Ground", "8.00"),
        ("Freight", "45.10"),
    ]


def test_a_line_without_sku_and_one_whose_product_is_gone_stay_told_apart() -> None:
    assert [line.sku for line in order("deleted_product_line").of_type(LineType.PRODUCT)] == [None]
    assert order("with_notes").of_type(LineType.PRODUCT)[0].sku == ""


def test_a_sku_stays_the_text_it_is() -> None:
    assert order("quebec_compound_tax").of_type(LineType.PRODUCT)[0].sku == "000123"
    assert order("note_html_crlf").of_type(LineType.PRODUCT)[0].sku == "abc-lower-9"


def test_a_shop_that_sells_fractions_may_say_so() -> None:
    with pytest.raises(Reject) as rejected:
        order("fractional", Settings(fractional_quantities=True))
    assert "fraction" not in rejected.value.reason


def test_a_gift_card_that_leaves_no_trace_becomes_a_line_where_the_site_says_so() -> None:
    ours = order("storefront_gift_card_full", Settings(gift_card_by_difference=True))
    (card,) = ours.of_type(LineType.GIFT_CARD)
    assert (str(card.amount), str(card.credit)) == ("0.00", "34.81")
    assert computed_total(ours.lines) == ours.total == 0


def test_the_goods_are_sent_to_the_shipping_address() -> None:
    ours = order("billing_ship_differ")
    assert (ours.bill.city, ours.ship.city, ours.ship.country) == ("Los Angeles", "Montréal", "CA")


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("sub_dollar", "0.50"),
        ("zero_total_free_product", "0.00"),
        ("storefront_coupon", "118.02"),
        ("store_credit_as_fee", "122.65"),
        ("negative_fee_bigger_than_total", "12.00"),
    ],
)
def test_gross_is_what_was_ordered_before_anything_was_taken_off(case: str, expected: str) -> None:
    assert str(gross(given=given(case))) == expected
