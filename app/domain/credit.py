"""Store credit: money the customer had with the shop, spread over what it pays for."""

from dataclasses import dataclass, replace
from decimal import Decimal

from app.domain.money import ZERO, allocate
from app.domain.order import LineType, Order

BEARERS = (LineType.PRODUCT, LineType.SHIPPING, LineType.TAX)


class CreditTooLarge(Exception):
    """There is more store credit than lines that can bear it."""

    def __init__(self, credit: Decimal, bearable: Decimal) -> None:
        super().__init__(
            f"Store credit of {credit} exceeds the {bearable} of product, shipping and tax it could pay for."
        )


@dataclass(frozen=True, slots=True)
class Share:
    """What one line bears of the store credit: `credit * amount / bearable`, in whole smallest units as `share`."""

    amount: Decimal
    credit: Decimal
    bearable: Decimal
    share: Decimal


def shares(order: Order, *, unit: Decimal) -> dict[int, Share]:
    """How the store-credit lines' nominal value is spread over the lines that bear it, by their positions.

    By largest remainder in whole smallest units: the parts always sum to the credit and none exceeds its line's amount.
    Raises `CreditTooLarge`.
    """
    credit = sum((line.nominal for line in order.of_type(LineType.STORE_CREDIT)), ZERO)
    bearers = [line for line in order.of_type(*BEARERS) if line.amount > ZERO]
    bearable = sum((line.amount for line in bearers), ZERO)
    if credit > bearable:
        raise CreditTooLarge(credit, bearable)
    parts = allocate(credit, weights=[line.amount for line in bearers], unit=unit)
    return {
        line.position: Share(line.amount, credit, bearable, share)
        for line, share in zip(bearers, parts, strict=True)
    }


def apply_store_credit(order: Order, *, unit: Decimal) -> Order:
    """Spread the store-credit lines' nominal value over product, shipping and tax lines, in proportion to their amounts.

    See `shares`; no line goes below zero. Applying it again changes nothing. Raises `CreditTooLarge`.
    """
    found = shares(order, unit=unit)
    share_of = {position: each.share for position, each in found.items()}
    return replace(
        order,
        lines=tuple(
            replace(line, credit=share_of.get(line.position, ZERO * unit)) if line.type in BEARERS else line
            for line in order.lines
        ),
    )
