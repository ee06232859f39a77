"""Money: what is shared out sums to the cent, is fair, and is the same every time."""

from decimal import Decimal, InvalidOperation, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.codes import CURRENCY_EXPONENTS
from app.domain.money import NotWholeUnits, UnknownCurrency, allocate, amount, round_half_up, smallest_unit
from tests.domain.orders import CENT, units
from tests.domain.profile import REPEATABLE

HUGE = 10**24
counts = st.integers(0, 300) | st.integers(0, 10**7) | st.integers(0, HUGE)
currencies = st.sampled_from(sorted(CURRENCY_EXPONENTS))


def exact_sum(values: tuple[Decimal, ...] | list[Decimal]) -> Fraction:
    return sum((Fraction(value) for value in values), Fraction(0))


@REPEATABLE
@given(total=counts, weights=st.lists(counts, min_size=1, max_size=12), unit=units)
def test_the_parts_are_whole_units_that_sum_to_the_total(
    total: int, weights: list[int], unit: Decimal
) -> None:
    weights[0] += 1
    parts = allocate(total * unit, weights=[weight * unit for weight in weights], unit=unit)
    assert len(parts) == len(weights)
    assert exact_sum(parts) == total * Fraction(unit)
    assert all(part >= 0 and (Fraction(part) / Fraction(unit)).denominator == 1 for part in parts)
    assert all(part.as_tuple().exponent == unit.as_tuple().exponent for part in parts)


@REPEATABLE
@given(total=counts, weights=st.lists(counts, min_size=1, max_size=12), unit=units)
def test_no_part_exceeds_its_weight_when_the_total_does_not_exceed_their_sum(
    total: int, weights: list[int], unit: Decimal
) -> None:
    weights[0] += 1
    shared = total % (sum(weights) + 1)
    parts = allocate(shared * unit, weights=[weight * unit for weight in weights], unit=unit)
    assert all(part <= weight * unit for part, weight in zip(parts, weights, strict=True))


@REPEATABLE
@given(weights=st.lists(counts, min_size=1, max_size=12), unit=units)
def test_a_total_equal_to_the_sum_of_the_weights_gives_each_its_weight(
    weights: list[int], unit: Decimal
) -> None:
    given_weights = [weight * unit for weight in weights]
    assert allocate(sum(weights) * unit, weights=given_weights, unit=unit) == tuple(given_weights)


@REPEATABLE
@given(
    total=counts,
    weights=st.lists(st.decimals(0, 10**6, places=4), min_size=1, max_size=12),
    unit=units,
)
def test_each_part_is_within_one_unit_of_its_exact_share_and_a_heavier_weight_never_gets_less(
    total: int, weights: list[Decimal], unit: Decimal
) -> None:
    weights[0] += CENT
    parts = [Fraction(part) for part in allocate(total * unit, weights=weights, unit=unit)]
    whole = exact_sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - total * Fraction(unit) * Fraction(weight) / whole) < Fraction(unit)
    by_weight = sorted(range(len(weights)), key=lambda index: (-weights[index], index))
    assert [parts[index] for index in by_weight] == sorted(parts, reverse=True)


@REPEATABLE
@given(
    total=counts, weights=st.lists(counts, min_size=1, max_size=8), unit=units, precision=st.integers(28, 60)
)
def test_the_same_question_has_the_same_answer_whatever_the_callers_precision_above_the_default(
    total: int, weights: list[int], unit: Decimal, precision: int
) -> None:
    weights[0] += 1
    question = [weight * unit for weight in weights]
    parts = allocate(total * unit, weights=question, unit=unit)
    with localcontext(prec=precision):
        again = allocate(total * unit, weights=question, unit=unit)
    assert [str(part) for part in again] == [str(part) for part in parts]


@pytest.mark.parametrize(
    ("_case", "total", "weights", "unit", "parts"),
    [
        ("a cent between two equals goes to the earlier", "0.01", ["5", "5"], "0.01", ["0.01", "0.00"]),
        ("two cents between three equals", "0.02", ["5", "5", "5"], "0.01", ["0.01", "0.01", "0.00"]),
        ("equal remainders of unequal weights", "0.02", ["1", "3"], "0.01", ["0.01", "0.01"]),
        ("the largest remainder before the earlier", "1.00", ["1", "2"], "0.01", ["0.33", "0.67"]),
        (
            "a weight of zero bears nothing",
            "0.03",
            ["0", "1", "0", "1"],
            "0.01",
            ["0.00", "0.02", "0.00", "0.01"],
        ),
        ("yen", "100", ["1", "1", "1"], "1", ["34", "33", "33"]),
        ("dinars", "0.100", ["1", "1", "1"], "0.001", ["0.034", "0.033", "0.033"]),
        ("nothing to share", "0.00", ["1", "2"], "0.01", ["0.00", "0.00"]),
        ("nothing to share and nobody to bear it", "0.00", ["0", "0"], "0.01", ["0.00", "0.00"]),
        ("nothing and nobody at all", "0.00", [], "0.01", []),
    ],
)
def test_an_amount_is_shared_by_largest_remainder_and_ties_go_to_the_earlier(
    _case: str, total: str, weights: list[str], unit: str, parts: list[str]
) -> None:
    shared = allocate(Decimal(total), weights=[Decimal(each) for each in weights], unit=Decimal(unit))
    assert [str(part) for part in shared] == parts


@pytest.mark.parametrize(
    ("_case", "total", "weights"),
    [
        ("a negative total", "-0.01", ["1"]),
        ("a negative weight", "0.01", ["2", "-1"]),
        ("half a cent", "0.005", ["1"]),
        ("a total nobody can bear", "0.01", ["0.00"]),
        ("a total with no one to bear it", "0.01", []),
        ("a weight with more decimals than are kept", "0.01", ["0.0000000001"]),
    ],
)
def test_what_cannot_be_shared_is_refused(_case: str, total: str, weights: list[str]) -> None:
    with pytest.raises(ValueError, match=r"negative|multiple|nothing|decimals"):
        allocate(Decimal(total), weights=[Decimal(each) for each in weights], unit=CENT)


@REPEATABLE
@given(count=st.integers(-HUGE, HUGE), currency=currencies, spare=st.integers(0, 3))
def test_an_amount_in_whole_units_is_accepted_and_padded_to_its_currencys_decimals(
    count: int, currency: str, spare: int
) -> None:
    decimals = CURRENCY_EXPONENTS[currency]
    exact = Decimal(count).scaleb(-decimals)
    read = amount(f"{exact:f}{'' if decimals else '.'}{'0' * spare}", currency=currency)
    assert read == exact
    assert read.as_tuple().exponent == -decimals
    assert smallest_unit(currency) == Decimal(10) ** -decimals


@REPEATABLE
@given(count=st.integers(-(10**12), 10**12).filter(lambda number: number % 10), currency=currencies)
def test_an_amount_with_a_fraction_of_a_unit_is_refused(count: int, currency: str) -> None:
    finer = Decimal(count).scaleb(-CURRENCY_EXPONENTS[currency] - 1)
    with pytest.raises(NotWholeUnits):
        amount(str(finer), currency=currency)


@pytest.mark.parametrize("text", ["", "abc", "1,50", "1.2.3", "1e400"])
def test_what_is_no_number_is_no_amount(text: str) -> None:
    with pytest.raises(InvalidOperation):
        amount(text, currency="USD")


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_not_finite_is_no_amount(text: str) -> None:
    with pytest.raises(NotWholeUnits):
        amount(text, currency="USD")


@pytest.mark.parametrize("currency", ["", "usd", "ZZZ", "US"])
def test_an_unknown_currency_has_no_amounts(currency: str) -> None:
    with pytest.raises(UnknownCurrency):
        amount("1.00", currency=currency)


@REPEATABLE
@given(number=st.integers(-(10**9), 10**9), unit=units)
def test_rounding_goes_to_the_nearest_unit_and_halves_away_from_zero(number: int, unit: Decimal) -> None:
    value = number * unit / 10
    rounded = round_half_up(value, unit=unit)
    expected = (abs(number) + 5) // 10 * (1 if number >= 0 else -1)
    assert rounded == expected * unit
