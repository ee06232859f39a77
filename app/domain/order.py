"""One order in our own words, the same for every platform. Frozen: a change is a new value."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

from app.domain.money import ZERO


class LineType(IntEnum):
    """What a line is; the numbers are what operators' queries select by."""

    PRODUCT = 1
    COMPONENT = 2
    SHIPPING = 3
    TAX = 4
    COUPON = 5
    FEE = 6
    GIFT_CARD = 7
    STORE_CREDIT = 8
    ROUNDING = 9


class Verdict(StrEnum):
    """What the three tiers said of a SKU."""

    PASSED = "passed"
    NOT_IN_MIDDLEWARE = "not_in_middleware"
    NOT_ALLOWED = "not_allowed"
    NOT_IN_ERP = "not_in_erp"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address as the platform gave it; absent parts are empty strings. `country` is ISO 3166-1 alpha-2."""

    first_name: str = ""
    last_name: str = ""
    company: str = ""
    address1: str = ""
    address2: str = ""
    city: str = ""
    state: str = ""
    postcode: str = ""
    country: str = ""
    email: str = ""
    phone: str = ""

    @property
    def name(self) -> str:
        """First and last name with one blank between, without blanks around."""
        return f"{self.first_name} {self.last_name}".strip()


@dataclass(frozen=True, slots=True)
class Payment:
    """How the order was paid. `method` is the platform's own word; flags name the providers people ask about."""

    method: str = ""
    title: str = ""
    transaction_id: str = ""
    paid_at: datetime | None = None
    klarna: bool = False
    stripe: bool = False
    paypal: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `amount` adds to the order's total, `credit` takes off it, `nominal` only tells a value.

    `listed` is the amount before the platform's own discounts (equal to `amount` where there were none). `parent` is the
    `position` of the kit line a component belongs to. Amounts are in whole smallest units of the order's currency.
    """

    position: int
    type: LineType
    name: str
    amount: Decimal
    sku: str | None = None
    quantity: Decimal = Decimal(1)
    listed: Decimal | None = None
    credit: Decimal = ZERO
    nominal: Decimal = ZERO
    tax: Decimal = ZERO
    parent: int | None = None
    platform_line_id: str = ""
    detail: str = ""
    verdict: Verdict | None = None
    verified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One order, normalized. Times are aware UTC; `created_raw` is the platform's own string."""

    number: str
    platform_order_id: str
    currency: str
    total: Decimal
    created_at: datetime
    created_raw: str
    bill: Address
    ship: Address
    payment: Payment
    lines: tuple[Line, ...]
    status: str = ""
    customer_id: str = ""
    customer_note: str = ""
    prices_include_tax: bool = False
    meta: tuple[tuple[str, Any], ...] = field(default=())

    def of_type(self, *types: LineType) -> tuple[Line, ...]:
        """The lines of these types, in order."""
        return tuple(line for line in self.lines if line.type in types)

    @property
    def skus(self) -> tuple[str, ...]:
        """Every SKU the order names, once each, in line order (products and components)."""
        found = (line.sku for line in self.of_type(LineType.PRODUCT, LineType.COMPONENT) if line.sku)
        return tuple(dict.fromkeys(found))


def sku_key(sku: str) -> str:
    """The form SKUs are compared and stored in: the ERP keeps item numbers in upper case without outer blanks."""
    return sku.strip().upper()


def numbered(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The lines with positions 1, 2, 3, ...; parent pointers follow their lines."""
    given = tuple(lines)
    new_position = {line.position: index for index, line in enumerate(given, start=1)}
    return tuple(
        replace(line, position=index, parent=None if line.parent is None else new_position[line.parent])
        for index, line in enumerate(given, start=1)
    )
