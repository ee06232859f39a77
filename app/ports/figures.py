"""How a sales channel's mapping shows where its amounts come from: parts of an amount, each with its place in the body."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.domain.codes import CURRENCY_EXPONENTS
from app.domain.money import ZERO
from app.ports.sales_channel import Figure, Makes


@dataclass(frozen=True, slots=True)
class Part:
    """What went into an amount, with its sign. `pointer` is empty for what we worked out ourselves; the name then says how."""

    name: str
    value: Decimal
    pointer: str = ""


def figures_of(
    body: Any,  # noqa: ANN401 - the platform's own JSON
    *,
    position: int | None,
    makes: Makes,
    amount: Decimal,
    parts: Iterable[Part],
    rest: str = "rounded to whole smallest units",
) -> Iterator[Figure]:
    """The figures of one amount: its parts that are not zero (of nothing but zeros the first) and what they do not come to.

    That is named `rest`. `body` is the parsed body that the parts' pointers lead into.
    """
    given = tuple(parts)
    for part in [part for part in given if part.value] or given[:1]:
        yield Figure(position, makes, part.name, part.pointer, _text_at(body, part.pointer), part.value)
    left = amount - sum((part.value for part in given), ZERO)
    if left:
        yield Figure(position, makes, rest, "", "", left)


def _text_at(body: Any, pointer: str) -> str:  # noqa: ANN401 - the same
    """The platform's own digits at this pointer; none of the names in our pointers needs an escape."""
    if not pointer:
        return ""
    found = body
    for name in pointer.split("/")[1:]:
        found = found[int(name)] if isinstance(found, list) else found[name]
    return str(found)


def told_worth(body: Any, *, total: str, currency: str) -> tuple[Decimal, str] | None:  # noqa: ANN401 - the platform's own JSON
    """The total and the currency of a body, by the names that the platform has for them; None where they cannot be read."""
    if not isinstance(body, dict):
        return None
    code = body.get(currency)
    try:
        value = Decimal(str(body.get(total)))
    except ArithmeticError:
        return None
    if not value.is_finite() or not isinstance(code, str) or code not in CURRENCY_EXPONENTS:
        return None
    return value, code
