"""Amounts: texts of four decimals in V2 orders, sometimes bare; numbers in consignments (contract section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

ZERO = Decimal(0)
_CENT = Decimal("0.01")
_FOUR = Decimal("0.0001")


def decimal(value: Any) -> Decimal:
    """An amount as somebody wrote it."""
    return Decimal(str(value or 0))


def in_cents(value: Decimal) -> Decimal:
    """Rounded half up to the cent."""
    return value.quantize(_CENT, ROUND_HALF_UP)


def text(value: Decimal) -> str:
    """With four decimals, as most answers have it."""
    return str(value.quantize(_FOUR, ROUND_HALF_UP))


def bare_text(value: Any) -> str:
    """Without the zeros at the end, as some answers have it: ``8``, ``924.47``."""
    return f"{decimal(value).normalize():f}"


def number(value: Any) -> int | float:
    """As a JSON number."""
    exact = decimal(value)
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def with_tax(amount: Decimal, rate: Decimal, *, inclusive: bool) -> tuple[Decimal, Decimal, Decimal]:
    """Without tax, with tax, and the tax. The figure that was typed in is exact, the other one is made from it."""
    if inclusive:
        before = (amount / (1 + rate)).quantize(_FOUR, ROUND_HALF_UP)
        return before, amount, in_cents(amount - before)
    tax = in_cents(amount * rate)
    return amount, amount + tax, tax


def split(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Cents shared out by weight; what rounding leaves falls to the last that has a weight."""
    whole = sum(weights, ZERO)
    if not whole:
        return [ZERO for _ in weights]
    last = max(place for place, weight in enumerate(weights) if weight)
    parts = [in_cents(amount * weight / whole) for weight in weights]
    parts[last] += amount - sum(parts, ZERO)
    return parts
