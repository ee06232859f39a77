"""What each line of an order comes to: net of discounts by one level only, without tax, in whole smallest units. Pure.

Works on an order as `schema` loaded it, in four decimals until the last step.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.connectors.bigcommerce.totals import Reading, fee_ex_tax
from app.connectors.bigcommerce.values import money
from app.domain.money import ZERO, allocate, round_half_up

_FINEST = Decimal("0.0001")
_WEIGHT = Decimal("0.000000001")
_ROUNDING = Decimal("0.01")
_SHIPPING_COUPONS = (3, 4)
COSTS = ("shipping_cost", "handling_cost", "wrapping_cost")


@dataclass(frozen=True, slots=True)
class Exact:
    """Four decimals: `given` as the platform has it on the reading's basis, `off` what discounts take from it, `tax` its own."""

    given: Decimal
    off: Decimal
    tax: Decimal
    ex_tax: Decimal

    @property
    def net(self) -> Decimal:
        """What is left after discounts."""
        return self.given - self.off


@dataclass(frozen=True, slots=True)
class Priced:
    """An amount without tax and the tax on it, in whole smallest units; `listed` is the amount before discounts.

    `exact` is what it was made of, and `tax_share` the order's tax on it, in four decimals.
    """

    amount: Decimal
    tax: Decimal
    listed: Decimal
    exact: Exact
    tax_share: Decimal


@dataclass(frozen=True, slots=True)
class Amounts:
    """The lines in their order, the costs by the names in `COSTS`, the fees, and the order's tax."""

    lines: tuple[Priced, ...]
    costs: tuple[Priced, ...]
    fees: tuple[Priced, ...]
    tax: Decimal


def amounts(order: dict[str, Any], reading: Reading, *, unit: Decimal) -> Amounts:
    """The order's amounts by this reading. Whether they come to the platform's total is for the balance to say."""
    basis = reading.basis
    fees = order["fees"] if reading.fees_inside else []
    off_lines, off_shipping = _discounts(order, basis)
    exact = [
        *(
            Exact(line[f"total_{basis}_tax"], off, line["total_tax"], line["total_ex_tax"])
            for line, off in zip(order["lines"], off_lines, strict=True)
        ),
        *(
            Exact(
                order[f"{name}_{basis}_tax"],
                off_shipping if name == "shipping_cost" else ZERO,
                order[f"{name}_tax"],
                order[f"{name}_ex_tax"],
            )
            for name in COSTS
        ),
        *(
            Exact(
                fee["cost_inc_tax"] if basis == "inc" else fee_ex_tax(fee),
                ZERO,
                fee["cost_tax"],
                fee_ex_tax(fee),
            )
            for fee in fees
        ),
    ]
    taxes = _taxes(exact, order["total_tax"])
    nets = [each.net - (tax if basis == "inc" else ZERO) for each, tax in zip(exact, taxes, strict=True)]
    tax = round_half_up(order["total_tax"], unit=unit)
    whole = _rounded(
        nets, target=round_half_up(sum(nets, ZERO) + order["total_tax"], unit=unit) - tax, unit=unit
    )
    priced = tuple(
        Priced(
            amount=amount,
            tax=round_half_up(share, unit=unit),
            listed=max(amount, round_half_up(each.ex_tax, unit=unit)) if each.off else amount,
            exact=each,
            tax_share=share,
        )
        for each, share, amount in zip(exact, taxes, whole, strict=True)
    )
    count = len(order["lines"])
    return Amounts(
        lines=priced[:count],
        costs=priced[count : count + len(COSTS)],
        fees=priced[count + len(COSTS) :],
        tax=tax,
    )


def applied(line: dict[str, Any]) -> Decimal:
    """What the line itself says that all discounts together take off it, shares of the order's and of coupons among them."""
    return sum((amount for _, amount in told_discounts(line)), ZERO)


def told_discounts(line: dict[str, Any]) -> Iterator[tuple[int, Decimal]]:
    """The discounts that the line tells of, each with its place among them."""
    found = line["applied_discounts"]
    for at, each in enumerate(found if isinstance(found, list) else ()):
        try:
            yield at, money(each["amount"])
        except (KeyError, TypeError, ValueError):
            continue  # A discount without an amount takes nothing off; the balance tells if it did.


def _discounts(order: dict[str, Any], basis: str) -> tuple[list[Decimal], Decimal]:
    """What is taken off each line and off shipping: by the lines' own account where it agrees with the order's.

    The order's sum decides. What its lines do not account for is taken off shipping where that is likely, and is otherwise
    spread over what is left of the lines in proportion; no line and no shipping is taken below zero as long as there is another.
    """
    wanted = order["discount_amount"] + order["coupon_discount"]
    given = [max(ZERO, line[f"total_{basis}_tax"]) for line in order["lines"]]
    own = [applied(line) for line in order["lines"]]
    rest = wanted - sum(own, ZERO)
    if rest < ZERO:
        own, rest = _shared(wanted, own), ZERO
    shipping = max(ZERO, order[f"shipping_cost_{basis}_tax"])
    off_shipping = min(rest, shipping) if _is_on_shipping(order, rest, shipping) else ZERO
    off = [min(each, amount) for each, amount in zip(own, given, strict=True)]
    left = [amount - each for each, amount in zip(off, given, strict=True)]
    lacking = wanted - off_shipping - sum(off, ZERO)
    spread = min(lacking, sum(left, ZERO))
    off = [each + more for each, more in zip(off, _shared(spread, left), strict=True)]
    return off, off_shipping + lacking - spread


def _is_on_shipping(order: dict[str, Any], rest: Decimal, shipping: Decimal) -> bool:
    """Whether what the lines do not account for is a discount on shipping: a coupon says so, or every line is accounted for."""
    if not ZERO < rest <= shipping + _ROUNDING:
        return False
    return abs(rest - _off_shipping(order)) <= _ROUNDING or all(map(_is_accounted_for, order["lines"]))


def _is_accounted_for(line: dict[str, Any]) -> bool:
    """Whether the line tells all of its discounts, as far as it can be seen."""
    told = line["discounted_total_inc_tax"]
    if not isinstance(line["applied_discounts"], list):
        return False
    return told is None or abs(line["total_inc_tax"] - applied(line) - told) <= _ROUNDING


def _off_shipping(order: dict[str, Any]) -> Decimal:
    total = ZERO
    for coupon in order["coupons"] or ():
        if isinstance(coupon, dict) and coupon.get("type") in _SHIPPING_COUPONS:
            try:
                total += money(coupon.get("discount"))
            except ValueError:
                continue
    return total


def _taxes(exact: Sequence[Exact], total: Decimal) -> tuple[Decimal, ...]:
    """The order's tax on each amount: each one's own where those come to the order's tax, else shared like them.

    A line's own tax is often that before discounts (contract, section 4), so it counts only for what is left of the line.
    """
    own = [each.tax for each in exact]
    if total <= ZERO:
        return tuple(ZERO for _ in own)
    if sum(own, ZERO) == total and all(each.tax <= max(ZERO, each.net) for each in exact):
        return tuple(own)
    weights = [_after_discounts(each) for each in exact]
    if not sum(weights, ZERO):
        weights = [max(ZERO, each.net) for each in exact]
    return tuple(_shared(total, weights))


def _after_discounts(each: Exact) -> Decimal:
    if each.tax <= ZERO or each.given <= ZERO:
        return ZERO
    return max(ZERO, each.tax * each.net / each.given).quantize(_WEIGHT)


def _shared(total: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    positive = [max(ZERO, each) for each in weights]
    if total <= ZERO or not sum(positive, ZERO):
        return [ZERO for _ in weights]
    return list(allocate(total, weights=positive, unit=_FINEST))


def _rounded(nets: Sequence[Decimal], *, target: Decimal, unit: Decimal) -> list[Decimal]:
    """The amounts in whole units that come to `target`, none further than a unit from what it was."""
    if any(each < ZERO for each in nets) or target < ZERO or not sum(nets, ZERO):
        return [round_half_up(each, unit=unit) for each in nets]
    return list(allocate(target, weights=list(nets), unit=unit))
