"""Store credit: money the customer had with the shop, spread over what it pays for."""

from dataclasses import replace
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


def apply_store_credit(order: Order, *, unit: Decimal) -> Order:
    """Spread the store-credit lines' nominal value over product, shipping and tax lines, in proportion to their amounts.

    By largest remainder in whole smallest units: the parts always sum to the credit and no line goes below zero. Applying
    it again changes nothing. Raises `CreditTooLarge`.
    """
    credit = sum((line.nominal for line in order.of_type(LineType.STORE_CREDIT)), ZERO)
    bearers = [line for line in order.of_type(*BEARERS) if line.amount > ZERO]
    bearable = sum((line.amount for line in bearers), ZERO)
    if credit > bearable:
        raise CreditTooLarge(credit, bearable)
    shares = allocate(credit, weights=[line.amount for line in bearers], unit=unit)
    share_of = {line.position: share for line, share in zip(bearers, shares, strict=True)}
    return replace(
        order,
        lines=tuple(
            replace(line, credit=share_of.get(line.position, ZERO * unit)) if line.type in BEARERS else line
            for line in order.lines
        ),
    )
