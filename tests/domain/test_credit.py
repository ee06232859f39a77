"""Store credit: every cent of it is borne by some line, and no line bears more than it is worth."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.balance import computed_total, expected_total, unspread_credit
from app.domain.credit import BEARERS, CreditTooLarge, apply_store_credit, shares
from app.domain.order import LineType, Order
from tests.domain.orders import CENT, line, order, units
from tests.domain.profile import REPEATABLE

OTHERS = (LineType.COMPONENT, LineType.COUPON, LineType.FEE, LineType.GIFT_CARD, LineType.ROUNDING)
amounts = st.just(0) | st.integers(1, 500) | st.integers(1, 10**9)


@st.composite
def credited(draw: st.DrawFn) -> tuple[Order, Decimal]:
    """An order whose store credit its lines can bear, and its smallest unit."""
    unit = draw(units)
    bearing = draw(st.lists(st.tuples(st.sampled_from(BEARERS), amounts), max_size=8))
    credits_given = [
        draw(st.integers(0, part))
        for part in draw(st.lists(st.just(sum(number for _, number in bearing) // 2), max_size=2))
    ]
    others = draw(st.lists(st.tuples(st.sampled_from(OTHERS), st.integers(-500, 500)), max_size=3))
    made = [
        *(line(kind, number * unit) for kind, number in [*bearing, *others]),
        *(line(LineType.STORE_CREDIT, 0 * unit, nominal=number * unit) for number in credits_given),
    ]
    return order(*draw(st.permutations(made))), unit


@pytest.mark.parametrize("credit", [["11.90"], ["10.00", "1.90"]], ids=["one credit", "two credits"])
def test_the_owners_example_of_119_00_with_11_90_takes_10_00_and_1_00_and_0_90(credit: list[str]) -> None:
    before = order(
        line(LineType.PRODUCT, "100.00"),
        line(LineType.SHIPPING, "10.00"),
        line(LineType.TAX, "9.00"),
        *(line(LineType.STORE_CREDIT, nominal=part) for part in credit),
        total="107.10",
    )
    after = apply_store_credit(before, unit=CENT)
    assert [str(each.credit) for each in after.lines[:3]] == ["10.00", "1.00", "0.90"]
    assert computed_total(after.lines) == Decimal("107.10")


@REPEATABLE
@given(credited())
def test_the_shares_sum_to_the_credit_and_no_line_goes_below_zero(case: tuple[Order, Decimal]) -> None:
    before, unit = case
    after = apply_store_credit(before, unit=unit)
    given_credit = sum((each.nominal for each in before.of_type(LineType.STORE_CREDIT)), Decimal(0))
    assert sum((each.credit for each in after.lines), Decimal(0)) == given_credit
    assert all(0 <= each.credit <= each.amount for each in after.of_type(*BEARERS))
    assert all(each.credit % unit == 0 for each in after.lines)
    assert computed_total(after.lines) == expected_total(before.lines) == expected_total(after.lines)
    assert unspread_credit(after.lines) == 0


@REPEATABLE
@given(credited())
def test_applying_the_credit_again_changes_nothing(case: tuple[Order, Decimal]) -> None:
    before, unit = case
    once = apply_store_credit(before, unit=unit)
    assert apply_store_credit(once, unit=unit) == once


@REPEATABLE
@given(credited())
def test_only_the_credit_of_product_shipping_and_tax_lines_changes(case: tuple[Order, Decimal]) -> None:
    before, unit = case
    after = apply_store_credit(before, unit=unit)
    assert replace(after, lines=()) == replace(before, lines=())
    for was, now in zip(before.lines, after.lines, strict=True):
        assert now == (replace(was, credit=now.credit) if was.type in BEARERS else was)


@REPEATABLE
@given(credited())
def test_a_credit_equal_to_everything_leaves_nothing_to_pay_on_any_line(case: tuple[Order, Decimal]) -> None:
    drawn, unit = case
    bearing = drawn.of_type(*BEARERS)
    everything = sum((each.amount for each in bearing), Decimal(0))
    before = order(*bearing, line(LineType.STORE_CREDIT, 0 * unit, nominal=everything))
    after = apply_store_credit(before, unit=unit)
    assert [each.credit for each in after.of_type(*BEARERS)] == [each.amount for each in bearing]
    assert computed_total(after.lines) == 0


@REPEATABLE
@given(credited(), st.integers(1, 1000))
def test_a_credit_larger_than_what_can_bear_it_is_refused_with_both_sums(
    case: tuple[Order, Decimal], excess: int
) -> None:
    drawn, unit = case
    bearing = drawn.of_type(*BEARERS)
    everything = sum((each.amount for each in bearing if each.amount), Decimal(0))
    fee = line(LineType.FEE, 10**6 * unit)
    before = order(*bearing, fee, line(LineType.STORE_CREDIT, 0 * unit, nominal=everything + excess * unit))
    with pytest.raises(CreditTooLarge) as refused:
        apply_store_credit(before, unit=unit)
    assert f"{everything + excess * unit} exceeds the {everything} " in str(refused.value)
    assert all(each.credit == 0 for each in before.lines)


def test_lines_of_amount_zero_bear_nothing_and_lines_below_zero_neither() -> None:
    before = order(
        line(LineType.PRODUCT, "0.00"),
        line(LineType.PRODUCT, "-5.00"),
        line(LineType.PRODUCT, "3.00"),
        line(LineType.TAX, "0.00"),
        line(LineType.STORE_CREDIT, nominal="2.99"),
    )
    after = apply_store_credit(before, unit=CENT)
    assert [str(each.credit) for each in after.lines] == ["0.00", "0.00", "2.99", "0.00", "0.00"]


@given(made=credited())
@REPEATABLE
def test_the_shares_say_how_each_line_came_to_its_credit(made: tuple[Order, Decimal]) -> None:
    before, unit = made
    found = shares(before, unit=unit)
    after = apply_store_credit(before, unit=unit)
    assert {each.position: each.credit for each in after.lines if each.credit} == {
        position: each.share for position, each in found.items() if each.share
    }
    for position, each in found.items():
        assert each.amount == before.lines[position - 1].amount
        assert abs(each.share - each.credit * each.amount / each.bearable) < unit
    assert shares(after, unit=unit) == found
