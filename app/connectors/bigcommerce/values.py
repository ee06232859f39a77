"""Their single values: dates, amounts, numbers, ids and texts, each read or refused with `ValueError`. Pure."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]|\\\\u(?:0000|[dD][89abAB])")
"""What may stand for a character that no database column takes, in a body as text: itself, or escaped."""
_MONEY = re.compile(r"-?\d{1,15}(\.\d{1,10})?", re.ASCII)
_LARGEST = Decimal(10) ** 15
_FINEST = Decimal("0.0001")
_NOISE = Decimal("0.000001")


def moment(text: Any) -> datetime:
    """A date of an order, RFC 2822 as in `Tue, 05 Mar 2019 21:40:11 +0000`, as aware UTC. Raises `ValueError`."""
    if not isinstance(text, str):
        raise ValueError("not a date")  # noqa: TRY004 - one failure for whatever is no date
    try:
        found = parsedate_to_datetime(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (TypeError, IndexError, OverflowError):
        raise ValueError("not a date") from None


def iso_moment(text: Any) -> datetime:
    """A date of a V3 transaction, ISO 8601 with an offset, as aware UTC. Raises `ValueError`."""
    if not isinstance(text, str):
        raise ValueError("not a date")  # noqa: TRY004 - one failure for whatever is no date
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a date without an offset")
    return found.astimezone(UTC)


def money(value: Any) -> Decimal:
    """An amount, which they write as a string or as a number, with four decimals. Raises `ValueError`."""
    if isinstance(value, str) and _MONEY.fullmatch(value):
        return _whole(Decimal(value))
    return _whole(number(value))


def number(value: Any) -> Decimal:
    """A JSON number of a size that an order can hold. Raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or not -_LARGEST < value < _LARGEST:
        raise ValueError("not a number")
    return Decimal(value)


def identifier(value: Any) -> int:
    """One of their ids: a whole number, 0 for none. Raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("not an id")
    return value


def text_or_number(value: Any) -> str:
    """What they write as a text or as a number, as text. Raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise ValueError("not a text")  # noqa: TRY004 - one failure for whatever is none
    return str(value).strip()


def _whole(value: Decimal) -> Decimal:
    """In four decimals. What a float of theirs adds far behind them (5.1000000000000005) is no part of the amount."""
    rounded = value.quantize(_FINEST)
    if abs(value - rounded) > _NOISE:
        raise ValueError("more than four decimals")
    return rounded


def is_unstorable(body: str) -> bool:
    """Whether a body as text may hold a character that no database column takes."""
    return bool(_UNSTORABLE.search(body))


def storable(value: Any) -> Any:
    """The value without what no database column takes: the character NUL and halves of surrogate pairs."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [storable(each) for each in value]
    if isinstance(value, dict):
        return {storable(key): storable(each) for key, each in value.items()}
    return value
