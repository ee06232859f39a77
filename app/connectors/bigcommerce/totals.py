"""How an order's own header adds up: which of the readings that the documentation leaves open fits its figures. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from app.connectors.bigcommerce.settings import Settings
from app.domain.money import ZERO

_EXACT = Decimal("0.005")
_PARTS = ("shipping_cost", "handling_cost", "wrapping_cost")


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the header.

    `basis`: which figures of lines and costs are actual and which discounts are taken off, those with tax or those without;
    the others are estimates. `tender_inside`: store credit and gift certificates have lowered the platform's total already.
    `fees_inside`: the order's fees are part of it. `off` is the sum by this reading minus the platform's total.
    """

    basis: Literal["inc", "ex"]
    tender_inside: bool
    fees_inside: bool
    off: Decimal


def fee_costs(fees: Iterable[Mapping[str, Any]], *, basis: Literal["inc", "ex"]) -> Decimal:
    """What the fees come to, with or without their tax."""
    return sum((fee["cost_inc_tax"] if basis == "inc" else fee_ex_tax(fee) for fee in fees), ZERO)


def fee_ex_tax(fee: Mapping[str, Any]) -> Decimal:
    """A fee without its tax, however the field is spelt."""
    found = fee["cost_ex_tax"] if fee["cost_ex_tax"] is not None else fee["cost_exc_tax"]
    return Decimal(fee["cost_inc_tax"] - fee["cost_tax"] if found is None else found)


def tender(header: Mapping[str, Any]) -> Decimal:
    """What was paid with store credit and gift certificates."""
    return Decimal(header["store_credit_amount"] + header["gift_certificate_amount"])


def readings(
    header: Mapping[str, Any], fees: Iterable[Mapping[str, Any]], *, settings: Settings
) -> Iterator[Reading]:
    """Every reading that the settings allow, the most natural first."""
    fees = tuple(fees)
    for tender_inside in _choices(settings.tender, ("outside", "inside"), matters=bool(tender(header))):
        for fees_inside in _choices(settings.fees_in_total, ("yes", "no"), matters=bool(fees)):
            for basis in _bases(header):
                reading = (basis, tender_inside == "inside", fees_inside == "yes")
                yield Reading(*reading, off=_off(header, fees, *reading))


def reading_of(
    header: Mapping[str, Any], fees: Iterable[Mapping[str, Any]], *, settings: Settings, allowed: Decimal
) -> Reading | None:
    """The first reading that fits exactly, else the first that is off by rounding alone (`allowed`); None where none is."""
    found = list(readings(header, fees, settings=settings))
    exact = (each for each in found if abs(each.off) < _EXACT)
    near = (each for each in found if abs(each.off) <= allowed)
    return next(exact, None) or next(near, None)


def total(header: Mapping[str, Any], reading: Reading) -> Decimal:
    """The order's total in our words: with store credit taken off, wherever the platform stands on that."""
    taken = ZERO if reading.tender_inside else header["store_credit_amount"]
    return Decimal(header["total_inc_tax"] - taken)


def due(header: Mapping[str, Any], reading: Reading) -> Decimal:
    """What is left to be paid by the payment method, after store credit and gift certificates."""
    return Decimal(header["total_inc_tax"] - (ZERO if reading.tender_inside else tender(header)))


def is_ambiguous(header: Mapping[str, Any], fees: Iterable[Mapping[str, Any]], *, settings: Settings) -> bool:
    """Whether readings fit exactly that differ in the total, or in what is left to be paid."""
    fitting = [each for each in readings(header, tuple(fees), settings=settings) if abs(each.off) < _EXACT]
    return len({(total(header, each), due(header, each)) for each in fitting}) > 1


def _choices(setting: str, words: tuple[str, str], *, matters: bool) -> tuple[str, ...]:
    if setting != "auto":
        return (setting,)
    return words if matters else words[:1]


def _bases(header: Mapping[str, Any]) -> tuple[Literal["inc", "ex"], ...]:
    # Where prices include tax the figures with tax are the actual ones, else those without (contract, section 4). The
    # documented bodies do not all keep to that, so the other reading is tried as well.
    return ("inc", "ex") if header["is_tax_inclusive_pricing"] else ("ex", "inc")


def _off(
    header: Mapping[str, Any],
    fees: Iterable[Mapping[str, Any]],
    basis: Literal["inc", "ex"],
    tender_inside: bool,  # noqa: FBT001 - unpacked from one reading
    fees_inside: bool,  # noqa: FBT001 - the same
) -> Decimal:
    computed = header[f"subtotal_{basis}_tax"] + sum((header[f"{name}_{basis}_tax"] for name in _PARTS), ZERO)
    computed -= header["discount_amount"] + header["coupon_discount"]
    if basis == "ex":
        computed += header["total_tax"]
    if fees_inside:
        computed += fee_costs(fees, basis=basis)
    if tender_inside:
        computed -= tender(header)
    return Decimal(computed - header["total_inc_tax"])
