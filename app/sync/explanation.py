"""What an explanation consists of: amounts, the figures they came from, what they became, and whether it all adds up."""

from dataclasses import dataclass
from decimal import Decimal

from app.ports.sales_channel import Figure


@dataclass(frozen=True, slots=True)
class Amount:
    """One amount of the order and the platform's figures of it. `makes` is its name, as in `Makes`.

    `adds_up`: the figures come to it; None where there are none to compare.
    """

    makes: str
    value: Decimal
    figures: tuple[Figure, ...] = ()
    adds_up: bool | None = None


@dataclass(frozen=True, slots=True)
class CreditShare:
    """What a line bears of the store credit: `credit * amount / bearable` is `exact`, in whole smallest units `share`."""

    amount: Decimal
    credit: Decimal
    bearable: Decimal
    exact: Decimal
    share: Decimal


@dataclass(frozen=True, slots=True)
class WrittenLine:
    """One line of the ERP's document: `quantity * unit_price - discount`, rounded as the ERP rounds, is `net`.

    `positions` are those of the order's lines that it is made of, and `due` is what these come to.
    """

    positions: tuple[int, ...]
    kind: str
    number: str
    description: str
    quantity: Decimal
    unit_price: Decimal
    discount: Decimal
    net: Decimal
    due: Decimal


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    """One line of the order. `net` is its amount less its credit; `rules` say what our own rules did to it."""

    position: int
    type: str
    sku: str | None
    name: str
    quantity: Decimal
    parent: int | None
    amounts: tuple[Amount, ...]
    credit: CreditShare | None
    net: Decimal
    rules: tuple[str, ...]
    written: tuple[WrittenLine, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """A sum that must be right, written out, and whether it is."""

    sentence: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """An order from the platform's figures to the ERP's lines, as far as it has come. `notes` say why no further.

    `erp_document` is the number of the ERP's document, empty while there is none; `currency` is empty, and `total` None, where
    the order is not in our own form.
    """

    order_number: str
    platform_order_id: str
    site: str
    state: str
    stage: str
    erp_document: str
    currency: str
    total: Amount | None
    lines: tuple[ExplainedLine, ...]
    checks: tuple[Check, ...]
    notes: tuple[str, ...]


def digits(value: Decimal, unit: Decimal) -> str:
    """A number as people write it: no zeros at its end beyond the decimals of the currency's smallest unit."""
    short = value.normalize()
    padded = value.quantize(unit) if short == short.quantize(unit) else short
    return f"{padded:f}"
