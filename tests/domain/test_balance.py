"""The balance: a stored order's lines say its total to the cent, or a person is shown the sum that does not."""

import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.balance import (
    Unbalanced,
    balanced,
    computed_total,
    expected_total,
    sum_text,
    tolerance,
    unspread_credit,
)
from app.domain.credit import BEARERS, apply_store_credit
from app.domain.order import LineType, Order
from tests.domain.orders import CENT, line, order, units
from tests.domain.profile import REPEATABLE

ROUNDED = (LineType.PRODUCT, LineType.SHIPPING, LineType.FEE)


@st.composite
def adding_up(draw: st.DrawFn, *, least: int = 0) -> tuple[Order, Decimal]:
    """An order whose total is the sum of its lines less its store credit, and its smallest unit."""
    unit = draw(units)
    kinds = st.sampled_from([*BEARERS, LineType.FEE])
    found = draw(st.lists(st.tuples(kinds, st.integers(0, 10**6)), min_size=least, max_size=8))
    bearable = sum(number for kind, number in found if kind in BEARERS)
    made = [line(kind, number * unit) for kind, number in found]
    made += [line(LineType.COUPON, 0 * unit, nominal=draw(st.integers(0, 500)) * unit)] * draw(
        st.integers(0, 1)
    )
    credit = draw(st.integers(0, bearable)) if draw(st.booleans()) else 0
    if credit:
        made.append(line(LineType.STORE_CREDIT, 0 * unit, nominal=credit * unit))
    total = sum(number for _, number in found) - credit
    return order(*made, total=total * unit), unit


@REPEATABLE
@given(adding_up(), st.booleans())
def test_an_order_that_adds_up_is_left_as_it_is(case: tuple[Order, Decimal], by_difference: bool) -> None:
    before, unit = case
    assert balanced(before, unit=unit, gift_card_by_difference=by_difference) is before


@REPEATABLE
@given(adding_up(), st.sampled_from(LineType))
def test_the_tolerance_grows_by_one_unit_with_each_line_that_is_rounded_and_with_no_other(
    case: tuple[Order, Decimal], kind: LineType
) -> None:
    before, unit = case
    rounded = len(before.of_type(*ROUNDED))
    assert tolerance(before.lines, unit=unit) == rounded * unit
    more = (*before.lines, line(kind, 5 * unit))
    assert tolerance(more, unit=unit) == (rounded + (kind in ROUNDED)) * unit


@REPEATABLE
@given(adding_up(least=1), st.integers(), st.booleans())
def test_a_difference_within_the_tolerance_becomes_one_rounding_line_of_exactly_that_difference(
    case: tuple[Order, Decimal], number: int, by_difference: bool
) -> None:
    drawn, unit = case
    allowed = len(drawn.of_type(*ROUNDED))
    off = number % (2 * allowed + 1) - allowed
    assume(off)
    before = replace(drawn, total=drawn.total + off * unit)
    after = balanced(before, unit=unit, gift_card_by_difference=by_difference)
    assert after.lines[:-1] == before.lines
    rounding = after.lines[-1]
    assert (rounding.type, rounding.amount, rounding.credit) == (LineType.ROUNDING, off * unit, Decimal(0))
    assert rounding.position == len(after.lines)
    assert replace(after, lines=before.lines) == before
    assert expected_total(after.lines) == before.total
    assert balanced(after, unit=unit) is after


@REPEATABLE
@given(adding_up(), st.integers(1, 10**6), st.sampled_from([-1, 1]))
def test_a_difference_one_unit_or_more_beyond_the_tolerance_is_refused_with_the_sum(
    case: tuple[Order, Decimal], beyond: int, sign: int
) -> None:
    drawn, unit = case
    off = sign * (len(drawn.of_type(*ROUNDED)) + beyond) * unit
    before = replace(drawn, total=drawn.total + off)
    with pytest.raises(Unbalanced) as refused:
        balanced(before, unit=unit)
    assert refused.value.difference == off
    assert refused.value.sum_text == sum_text(before)
    assert refused.value.sum_text.endswith(
        f"= {expected_total(before.lines)}, platform total {before.total} USD"
    )


@REPEATABLE
@given(adding_up(), st.integers(1, 10**6))
def test_where_gift_cards_lower_the_total_without_a_trace_a_shortfall_becomes_a_gift_card(
    case: tuple[Order, Decimal], beyond: int
) -> None:
    drawn, unit = case
    missing = (len(drawn.of_type(*ROUNDED)) + beyond) * unit
    before = replace(drawn, total=drawn.total - missing)
    after = balanced(before, unit=unit, gift_card_by_difference=True)
    assert after.lines[:-1] == before.lines
    card = after.lines[-1]
    assert (card.type, card.amount, card.credit, card.nominal) == (
        LineType.GIFT_CARD,
        Decimal(0),
        missing,
        missing,
    )
    assert expected_total(after.lines) == before.total


@REPEATABLE
@given(adding_up(), st.integers(1, 10**6))
def test_a_total_that_is_too_large_is_refused_even_where_gift_cards_explain_a_shortfall(
    case: tuple[Order, Decimal], beyond: int
) -> None:
    drawn, unit = case
    excess = (len(drawn.of_type(*ROUNDED)) + beyond) * unit
    with pytest.raises(Unbalanced):
        balanced(replace(drawn, total=drawn.total + excess), unit=unit, gift_card_by_difference=True)


@REPEATABLE
@given(adding_up(), st.integers(-3, 3), st.booleans())
def test_balancing_comes_to_the_same_before_and_after_store_credit_is_spread(
    case: tuple[Order, Decimal], off: int, by_difference: bool
) -> None:
    drawn, unit = case
    assume(abs(off) <= len(drawn.of_type(*ROUNDED)) or (by_difference and off < 0))
    before = replace(drawn, total=drawn.total + off * unit)
    first = apply_store_credit(balanced(before, unit=unit, gift_card_by_difference=by_difference), unit=unit)
    last = balanced(apply_store_credit(before, unit=unit), unit=unit, gift_card_by_difference=by_difference)
    assert first == last
    assert computed_total(first.lines) == before.total
    assert unspread_credit(first.lines) == 0


@REPEATABLE
@given(adding_up(), st.booleans(), st.integers(-(10**6), 10**6))
def test_the_parts_of_the_sum_that_is_shown_add_up_to_what_it_says(
    case: tuple[Order, Decimal], spread: bool, fee: int
) -> None:
    drawn, unit = case
    shown = replace(drawn, lines=(*drawn.lines, line(LineType.FEE, fee * unit)))
    text = sum_text(apply_store_credit(shown, unit=unit) if spread else shown)
    left, _, right = text.partition(" = ")
    parts = re.findall(r"(-?) ?[a-z ]+?([0-9.]+)", left)
    assert sum(Decimal(f"{sign}{value}") for sign, value in parts) == Decimal(right.split(",")[0])
    assert right == f"{expected_total(shown.lines)}, platform total {shown.total} USD"


def test_the_sum_is_shown_as_a_person_would_write_it() -> None:
    wrong = order(
        line(LineType.PRODUCT, "99.99"),
        line(LineType.SHIPPING, "7.95"),
        line(LineType.TAX, "9.12"),
        line(LineType.FEE, "-2.00"),
        line(LineType.STORE_CREDIT, nominal="10.00"),
        total="97.06",
    )
    with pytest.raises(Unbalanced) as refused:
        balanced(wrong, unit=CENT)
    assert refused.value.sum_text == (
        "products 99.99 + shipping 7.95 + tax 9.12 - fees 2.00 - store credit 10.00 = 105.06, platform total 97.06 USD"
    )


def test_an_order_without_lines_has_no_tolerance() -> None:
    with pytest.raises(Unbalanced) as refused:
        balanced(order(total="0.01"), unit=CENT)
    assert refused.value.sum_text == "nothing = 0, platform total 0.01 USD"
