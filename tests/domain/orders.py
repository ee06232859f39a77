"""Orders for the properties: short to make by hand, and of every kind to draw."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from app.domain.order import Address, Line, LineType, Order, Payment, Verdict

CENT = Decimal("0.01")
START = datetime(2026, 3, 17, 12, 0, 0, tzinfo=UTC)

units = st.sampled_from([Decimal(1), Decimal("0.01"), Decimal("0.001")])
"""The smallest units of currencies without decimals, with two and with three."""


def line(
    kind: LineType,
    amount: str | Decimal = "0.00",
    *,
    nominal: str | Decimal = "0.00",
    credit: str | Decimal = "0.00",
    sku: str | None = None,
    quantity: str | Decimal = "1",
    parent: int | None = None,
    position: int = 0,
) -> Line:
    return Line(
        position=position,
        type=kind,
        name=kind.name.title(),
        amount=Decimal(amount),
        nominal=Decimal(nominal),
        credit=Decimal(credit),
        sku=sku,
        quantity=Decimal(quantity),
        parent=parent,
    )


def placed(lines: Iterable[Line]) -> tuple[Line, ...]:
    """The lines at positions 1, 2, 3, ..., parents as they are."""
    return tuple(replace(each, position=position) for position, each in enumerate(lines, start=1))


def order(*lines: Line, total: str | Decimal = "0.00", currency: str = "USD") -> Order:
    return Order(
        number="BGM-12345",
        platform_order_id="12345",
        currency=currency,
        total=Decimal(total),
        created_at=START,
        created_raw="2026-03-17T12:00:00",
        bill=Address(),
        ship=Address(),
        payment=Payment(),
        lines=placed(lines),
    )


words = st.text(st.characters(codec="utf-8"), max_size=8)
moments = st.integers(0, 10**9).map(
    lambda seconds: START + timedelta(seconds=seconds, microseconds=seconds % 7)
)
decimals = st.builds(
    lambda number, exponent: Decimal(number).scaleb(-exponent),
    st.integers(-(10**15), 10**15),
    st.integers(0, 9),
)
addresses = st.builds(Address, **dict.fromkeys(Address.__slots__, words))
payments = st.builds(
    Payment,
    method=words,
    title=words,
    transaction_id=words,
    paid_at=st.none() | moments,
    klarna=st.booleans(),
    stripe=st.booleans(),
    paypal=st.booleans(),
)
lines = st.builds(
    Line,
    position=st.integers(0, 99),
    type=st.sampled_from(LineType),
    name=words,
    amount=decimals,
    sku=st.none() | words,
    quantity=decimals,
    listed=st.none() | decimals,
    credit=decimals,
    nominal=decimals,
    tax=decimals,
    parent=st.none() | st.integers(1, 99),
    platform_line_id=words,
    detail=words,
    verdict=st.none() | st.sampled_from(Verdict),
    verified_at=st.none() | moments,
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
orders = st.builds(
    Order,
    number=words,
    platform_order_id=words,
    currency=words,
    total=decimals,
    created_at=moments,
    created_raw=words,
    bill=addresses,
    ship=addresses,
    payment=payments,
    lines=st.lists(lines, max_size=4).map(tuple),
    status=words,
    customer_id=words,
    customer_note=words,
    prices_include_tax=st.booleans(),
    meta=st.lists(st.tuples(words, json_values), max_size=3).map(tuple),
)
"""Orders with anything in every field, whether it makes sense or not."""
