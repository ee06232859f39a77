"""Prices, discounts and texts as Business Central takes them, without any wire."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.business_central import fitting
from app.connectors.business_central.lines import Price, priced
from app.connectors.business_central.mapping import customer_body, order_body, order_plan
from app.connectors.business_central.sent import sent_lines
from app.connectors.business_central.settings import Settings, read_settings, typed
from app.domain.credit import apply_store_credit
from app.domain.order import Address, LineType
from app.errors import Reject, UsageError
from app.ports.erp import Draft
from app.transport import json_text
from tests.contracts.erp import address, draft, order, other, product

CENT = Decimal("0.01")
ACCOUNTS = {"shipping": "40400", "tax": "40500", "fee": "40600", "rounding": "40900", "gift_card": "40700"}
SETTINGS = Settings(accounts=ACCOUNTS, countries={})

cents = st.integers(0, 10_000_000).map(lambda units: Decimal(units) * CENT)
signed_cents = st.integers(-100_000, 100_000).map(lambda units: Decimal(units) * CENT)
quantities = st.one_of(
    st.integers(1, 100_000).map(Decimal),
    st.integers(1, 10_000_000).map(lambda units: Decimal(units) * Decimal("0.00001")),
)


def _rounded(value: Decimal, unit: Decimal = CENT) -> Decimal:
    return value.quantize(unit, rounding=ROUND_HALF_UP)


def _line_amount(body: Mapping[str, Any]) -> Decimal:
    """As the ERP computes it (contract section 7)."""
    gross = _rounded(Decimal(body["quantity"]) * Decimal(body["unitPrice"]))
    return _rounded(gross - Decimal(body.get("discountAmount", 0)))


@given(quantity=quantities, listed=cents, net=cents)
def test_price_and_discount_give_the_net_amount_to_the_cent(
    quantity: Decimal, listed: Decimal, net: Decimal
) -> None:
    price = priced(quantity=quantity, listed=listed, net=net, unit=CENT)
    gross = _rounded(quantity * price.unit_price)
    assert _rounded(gross - price.discount) == net
    assert 0 <= price.discount <= gross
    assert price.unit_price == _rounded(price.unit_price, Decimal("0.00001"))
    assert price.discount == _rounded(price.discount)


@pytest.mark.parametrize(
    ("_case", "quantity", "listed", "net", "price", "discount"),
    [
        ("three for 9.99", "3", "9.99", "9.99", "3.33000", "0.00"),
        ("three for 10.00", "3", "10.00", "10.00", "3.33333", "0.00"),
        ("a coupon shows as a discount", "3", "9.99", "8.99", "3.33000", "1.00"),
        ("a price raised by the shop is the net price", "2", "5.00", "6.00", "3.00000", "0.00"),
        ("five decimals fall short of a large quantity", "30000", "10.00", "10.00", "0.00034", "0.20"),
        ("a fraction of a unit", "0.33333", "3.33", "3.33", "9.99010", "0.00"),
        ("all of it is credit", "1", "9.99", "0.00", "9.99000", "9.99"),
    ],
)
def test_prices_worked_out_by_hand(
    _case: str, quantity: str, listed: str, net: str, price: str, discount: str
) -> None:
    made = priced(quantity=Decimal(quantity), listed=Decimal(listed), net=Decimal(net), unit=CENT)
    assert made == Price(Decimal(price), Decimal(discount))


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    """Balanced orders with coupons, store credit, gift cards, fees either way and tax in several lines."""
    products = [
        replace(
            product("WID-1", str(amount), quantity=str(draw(quantities))),
            listed=amount + draw(st.one_of(st.just(Decimal(0)), cents)),
        )
        for amount in draw(st.lists(cents, min_size=1, max_size=6))
    ]
    others = [
        *(other(LineType.SHIPPING, str(amount)) for amount in draw(st.lists(cents, max_size=2))),
        *(other(LineType.TAX, str(amount)) for amount in draw(st.lists(cents, max_size=3))),
        *(other(LineType.FEE, str(amount)) for amount in draw(st.lists(signed_cents, max_size=2))),
        *(other(LineType.ROUNDING, str(amount)) for amount in draw(st.lists(signed_cents, max_size=1))),
        *(
            other(LineType.GIFT_CARD, "0.00", credit=str(value))
            for value in draw(st.lists(cents, max_size=2))
        ),
        replace(other(LineType.COUPON, "0.00"), nominal=draw(cents)),
    ]
    lines = [*products, *others]
    bearable = sum(
        (line.amount for line in lines if line.type in {LineType.PRODUCT, LineType.SHIPPING, LineType.TAX}),
        Decimal(0),
    )
    credit = Decimal(draw(st.integers(0, int(bearable / CENT)))) * CENT
    lines.append(replace(other(LineType.STORE_CREDIT, "0.00"), nominal=credit))
    made = draft("BGM-1", *lines, customer="C1")
    applied = apply_store_credit(made.order, unit=CENT)
    return replace(made, order=replace(applied, total=made.order.total - credit))


@given(made=drafts())
def test_the_lines_add_up_to_the_orders_total(made: Draft) -> None:
    body = order_body(made, settings=SETTINGS)
    assert sum((_line_amount(line) for line in body["salesOrderLines"]), Decimal(0)) == made.order.total


@given(made=drafts())
def test_the_plan_says_of_each_line_what_it_is_made_of_and_what_the_erp_makes_of_it(made: Draft) -> None:
    plan = order_plan(made, settings=SETTINGS)
    assert sum((line.net for line in plan.lines), Decimal(0)) == made.order.total
    by_position = {line.position: line for line in made.order.lines}
    for line in plan.lines:
        assert _rounded(line.quantity * line.unit_price) - line.discount == line.net
        of = [by_position[position] for position in line.positions]
        assert sum((each.amount - each.credit for each in of), Decimal(0)) == line.net
    assert plan.request == json_text(order_body(made, settings=SETTINGS))


@given(made=drafts())
def test_every_line_is_untaxed_and_none_names_a_percent_or_a_sequence(made: Draft) -> None:
    for line in order_body(made, settings=SETTINGS)["salesOrderLines"]:
        assert line["taxCode"] == "NONTAXABLE"
        assert set(line) <= {
            "lineType",
            "lineObjectNumber",
            "description",
            "quantity",
            "unitPrice",
            "discountAmount",
            "taxCode",
        }
        assert list(line)[:2] == ["lineType", "lineObjectNumber"]
        assert line.get("discountAmount") != 0


def test_with_the_erps_own_tax_there_is_no_tax_line_and_items_carry_the_configured_code() -> None:
    lines = (product(), other(LineType.SHIPPING, "5.00"), other(LineType.TAX, "2.00"))
    settings = replace(SETTINGS, tax_mode="erp", tax_code="TAXABLE")
    bodies = order_body(draft("BGM-1", *lines, customer="C1"), settings=settings)["salesOrderLines"]
    assert [(line["lineType"], line.get("taxCode")) for line in bodies] == [
        ("Item", "TAXABLE"),
        ("Account", None),
    ]


def test_credit_on_tax_cannot_be_written_where_the_erp_works_the_tax_out() -> None:
    lines = (product(credit="2.00"), other(LineType.TAX, "2.00", credit="0.20"))
    made = draft("BGM-1", *lines, customer="C1")
    with pytest.raises(Reject, match=r"^0\.20 USD .* tax=?.* set tax\.mode=line") as caught:
        order_body(made, settings=replace(SETTINGS, tax_mode="erp"))
    assert caught.value.kind == "totals"
    assert order_body(made, settings=SETTINGS)["salesOrderLines"][-1]["unitPrice"] == Decimal("1.80")


def test_credit_on_goods_alone_is_written_where_the_erp_works_the_tax_out() -> None:
    lines = (product(credit="2.00"), other(LineType.TAX, "2.00"))
    bodies = order_body(draft("BGM-1", *lines, customer="C1"), settings=replace(SETTINGS, tax_mode="erp"))[
        "salesOrderLines"
    ]
    assert [line["discountAmount"] for line in bodies] == [Decimal("2.00")]


@pytest.mark.parametrize(
    ("line_type", "key"),
    [
        (LineType.SHIPPING, "account.shipping"),
        (LineType.TAX, "account.tax"),
        (LineType.FEE, "account.fee"),
        (LineType.ROUNDING, "account.rounding"),
    ],
)
def test_an_unset_account_is_named_for_orders_that_need_it_only(line_type: LineType, key: str) -> None:
    bare = Settings(accounts={}, countries={})
    with pytest.raises(Reject, match=key) as caught:
        order_body(draft("BGM-1", product(), other(line_type, "1.00"), customer="C1"), settings=bare)
    assert caught.value.kind == "settings"
    assert order_body(draft("BGM-1", product(), other(line_type, "0.00"), customer="C1"), settings=bare)[
        "salesOrderLines"
    ]


def test_a_gift_card_needs_its_account_where_it_takes_something_off() -> None:
    bare = Settings(accounts={}, countries={})
    card = other(LineType.GIFT_CARD, "0.00", credit="1.00")
    with pytest.raises(Reject, match=r"account\.gift_card"):
        order_body(draft("BGM-1", product(), card, customer="C1"), settings=bare)


@pytest.mark.parametrize(
    ("_case", "made", "kind"),
    [
        ("a number of 36 characters", draft("B" * 36, customer="C1"), "validation"),
        ("no number", draft(" ", customer="C1"), "validation"),
        ("a customer number of 21", draft("BGM-1", customer="C" * 21), "validation"),
        ("no customer", draft("BGM-1", customer=""), "validation"),
        ("a SKU of 21", draft("BGM-1", product("S" * 21), customer="C1"), "bad_sku"),
        ("no SKU", draft("BGM-1", replace(product(), sku=None), customer="C1"), "bad_sku"),
        ("a SKU of blanks", draft("BGM-1", product("  "), customer="C1"), "bad_sku"),
        ("a SKU with a line break", draft("BGM-1", product("A\nB"), customer="C1"), "bad_sku"),
        ("a quantity of zero", draft("BGM-1", product(quantity="0"), customer="C1"), "validation"),
        (
            "a quantity of six decimals",
            draft("BGM-1", product(quantity="0.000001"), customer="C1"),
            "validation",
        ),
        (
            "more digits than a double",
            draft("BGM-1", product(amount="99999999999999.99"), customer="C1"),
            "validation",
        ),
    ],
)
def test_codes_and_numbers_that_do_not_fit_are_rejected(_case: str, made: Draft, kind: str) -> None:
    with pytest.raises(Reject) as caught:
        order_body(made, settings=SETTINGS)
    assert caught.value.kind == kind


@pytest.mark.parametrize("field", ["postcode", "email", "country"])
def test_codes_of_an_address_are_never_cut(field: str) -> None:
    made = draft("BGM-1", product(), customer="C1")
    bill = address(**{field: "x" * 81})
    with pytest.raises(Reject, match="does not fit") as caught:
        order_body(replace(made, order=replace(made.order, bill=bill)), settings=SETTINGS)
    assert "xx" not in caught.value.reason


def test_free_text_is_cut_to_its_field() -> None:
    long = address(
        first_name="F" * 90,
        last_name="L" * 90,
        address1="a" * 101,
        address2="b" * 51,
        city="c" * 31,
        state="s" * 31,
    )
    made = draft("BGM-1", replace(product(), name="n" * 101), customer="C1")
    body = order_body(replace(made, order=replace(made.order, bill=long, ship=long)), settings=SETTINGS)
    names = (
        "shipToName",
        "shipToContact",
        "shipToAddressLine1",
        "shipToAddressLine2",
        "sellToCity",
        "sellToState",
    )
    assert [len(body[name]) for name in names] == [100, 100, 100, 50, 30, 30]
    assert len(body["salesOrderLines"][0]["description"]) == 100


def test_an_order_without_a_shipping_address_goes_to_the_billing_address_not_to_the_customers() -> None:
    made = draft("BGM-1", product(), customer="WEB-CASH")
    body = order_body(replace(made, order=replace(made.order, ship=Address())), settings=SETTINGS)
    assert (body["shipToName"], body["shipToAddressLine1"], body["shipToCountry"]) == (
        "Ada Byron",
        "1 Main St",
        "US",
    )


def test_a_company_receives_with_the_person_as_its_contact() -> None:
    made = draft("BGM-1", product(), customer="C1")
    body = order_body(
        replace(made, order=replace(made.order, ship=address(company="Byron Ltd"))), settings=SETTINGS
    )
    assert (body["shipToName"], body["shipToContact"]) == ("Byron Ltd", "Ada Byron")


def test_countries_are_mapped_where_the_erp_has_codes_of_its_own() -> None:
    settings = replace(SETTINGS, countries={"GB": "UK"})
    made = order("BGM-1", bill=address(country="GB"))
    assert customer_body(made, settings=settings)["country"] == "UK"
    assert customer_body(order("BGM-1"), settings=settings)["country"] == "US"


def test_the_companys_own_currency_is_not_sent() -> None:
    made = draft("BGM-1", product(), customer="C1")
    assert order_body(made, settings=SETTINGS)["currencyCode"] == "USD"
    assert "currencyCode" not in order_body(made, settings=replace(SETTINGS, company_currency="USD"))
    assert order_body(made, settings=replace(SETTINGS, company_currency="EUR"))["currencyCode"] == "USD"


@pytest.mark.parametrize(
    ("given_text", "length", "fitted"),
    [
        ("  a\r\n\tb\x00c ", 100, "a b c"),
        ("ab cd", 3, "ab"),
        ("😀😀", 3, "😀"),
        ("x\ud83dy", 10, "x y"),
        ("", 5, ""),
    ],
)
def test_text_is_one_line_counted_as_the_erp_counts(given_text: str, length: int, fitted: str) -> None:
    assert fitting.text(given_text, length) == fitted


def test_settings_have_defaults_and_come_back_typed() -> None:
    read = read_settings({"account.tax": " 40500 ", "country.GB": "uk", "tax.mode": "erp"})
    assert read["account.tax"] == "40500"
    assert read["tax.non_taxed_code"] == "NONTAXABLE"
    assert typed({**read, "default_customer": "WEB-CASH", "t_late": 1200}) == Settings(
        accounts={"tax": "40500"}, countries={"GB": "UK"}, tax_mode="erp"
    )


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("account.shiping", "1", r"account\.shiping is not a setting .*account\.shipping"),
        ("tax.mode", "both", r"tax\.mode: .*line, erp"),
        ("batch", "on", r"batch: .*auto, off"),
        ("account.tax", "4" * 21, r"account\.tax: "),
        ("company_currency", "EURO", "company_currency: "),
        ("country.gb", "UK", r"country\.GB=UK"),
        ("country.GB", "X" * 11, r"country\.GB must be"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(key: str, value: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_settings({key: value})


@given(cents, cents, quantities)
def test_a_request_is_read_back_as_the_lines_that_it_was_made_from(
    amount: Decimal, credit: Decimal, quantity: Decimal
) -> None:
    lines = (
        product(amount=str(amount), quantity=str(quantity), credit=str(min(amount, credit))),
        other(LineType.SHIPPING, "7.95"),
        other(LineType.TAX, "2.05"),
    )
    plan = order_plan(draft("BGM-1", *lines, customer="C1"), settings=SETTINGS)
    assert sent_lines(plan.request, currency="USD") == tuple(
        replace(line, positions=()) for line in plan.lines
    )


def test_a_request_in_a_currency_without_decimals_is_read_back_as_the_erp_rounds_it() -> None:
    row = {"lineType": "Item", "lineObjectNumber": "WID-1", "quantity": 3, "unitPrice": 33.33333}
    text = json_text({"salesOrderLines": [row | {"discountAmount": 10}]})
    (line,) = sent_lines(text, currency="JPY")
    assert (line.kind, line.number, line.description, line.net) == ("item", "WID-1", "", Decimal(90))
