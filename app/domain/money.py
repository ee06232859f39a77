"""Money: exact decimal amounts of one currency, and the only function that divides them."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, localcontext

from app.domain.codes import CURRENCY_EXPONENTS

ZERO = Decimal(0)


class UnknownCurrency(ValueError):
    """The code is not a current ISO 4217 currency."""


class NotWholeUnits(ValueError):
    """The amount has a fraction of the currency's smallest unit (a tenth of a cent, half a yen)."""


def smallest_unit(currency: str) -> Decimal:
    """The smallest amount of `currency`: 0.01 for USD, 1 for JPY. Raises `UnknownCurrency`."""
    try:
        exponent = CURRENCY_EXPONENTS[currency]
    except KeyError:
        raise UnknownCurrency(currency) from None
    return Decimal(1).scaleb(-exponent)


def amount(text: str | int | Decimal, *, currency: str) -> Decimal:
    """`text` as an amount in whole smallest units of `currency`, padded to its decimals ("5" is 5.00 USD).

    Raises `UnknownCurrency`, `NotWholeUnits`, or `decimal.InvalidOperation` for what is no number.
    """
    value = Decimal(text)
    unit = smallest_unit(currency)
    if not value.is_finite():
        raise NotWholeUnits(str(text))
    padded = value.quantize(unit)
    if padded != value:
        raise NotWholeUnits(str(text))
    return padded


def round_half_up(value: Decimal, *, unit: Decimal) -> Decimal:
    """`value` to a multiple of `unit` (a power of ten), halves away from zero, as the ERP rounds."""
    return value.quantize(unit, rounding=ROUND_HALF_UP)


def allocate(total: Decimal, *, weights: Sequence[Decimal], unit: Decimal) -> tuple[Decimal, ...]:
    """Share `total` in proportion to `weights` by largest remainder; the parts are multiples of `unit` and sum to `total`.

    Ties go to the earlier part. `total` and the weights are not negative. Where `total` does not exceed the sum of the
    weights and all are multiples of `unit`, no part exceeds its weight. Raises `ValueError` for weights that are all zero
    while `total` is not, and for anything negative.
    """
    if total < ZERO or any(weight < ZERO for weight in weights):
        raise ValueError("only amounts that are not negative can be allocated")
    with localcontext() as context:
        context.prec = _DIGITS
        units = total / unit
        whole = sum(weights, ZERO)
    if units != units.to_integral_value():
        raise ValueError(f"{total} is not a multiple of {unit}")
    if not whole:
        if total:
            raise ValueError("nothing to allocate the total to")
        return tuple(ZERO * unit for _ in weights)
    # Integers only: a Decimal division is rounded at 28 digits, and a rounded quotient could lose a cent.
    count = int(units)
    scaled = [int(weight.scaleb(_SCALE)) for weight in weights]
    if any(Decimal(number) != weight.scaleb(_SCALE) for number, weight in zip(scaled, weights, strict=True)):
        raise ValueError("a weight has more decimals than can be allocated exactly")
    denominator = sum(scaled)
    floors = [count * weight // denominator for weight in scaled]
    rests = [count * weight % denominator for weight in scaled]
    by_rest = sorted(range(len(weights)), key=lambda index: (-rests[index], index))
    for index in by_rest[: count - sum(floors)]:
        floors[index] += 1
    return tuple(unit * share for share in floors)


_DIGITS = 80
_SCALE = 9
"""Decimals of a weight that `allocate` keeps exactly; amounts have at most four."""
