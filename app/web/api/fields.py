"""The values that the API reads and writes, each in one form only."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any, ClassVar

from marshmallow import ValidationError
from marshmallow.fields import Boolean, Enum, Field, Integer, String

from app.web.api import paging
from app.web.api.places import HIGHEST

_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_WHOLE = re.compile(r"-?[0-9]{1,10}")
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 30, tzinfo=UTC)
_WIDEST = 40
"""Digits of the longest number that is looked at, its exponent written out."""

_MOST_DIGITS = 20
_MOST_SHOWN = 40


class Amount(Field[Decimal]):
    """An amount or a quantity, as a string of its digits: a number of JSON would be read as a float somewhere."""

    def _serialize(self, value: Decimal | None, attr: str | None, obj: Any, **_kwargs: Any) -> str | None:  # noqa: ARG002 - marshmallow's own
        return None if value is None else f"{value:f}"


class Moment(Field[datetime]):
    """A time, with its offset from UTC when it is read, in UTC when it is written."""

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **_kwargs: Any) -> str | None:  # noqa: ARG002 - marshmallow's own
        return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def _deserialize(
        self,
        value: Any,
        attr: str | None,  # noqa: ARG002 - marshmallow's own
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's own
        **_kwargs: Any,
    ) -> datetime:
        try:
            found = datetime.fromisoformat(_moment(value))
        except ValueError:
            raise ValidationError("Say a time such as 2026-11-01T12:00:00Z.") from None
        # What lies before the first and after the last of all orders is all the same; not every database has such years.
        return min(max(found, _EARLIEST), _LATEST).astimezone(UTC)


def _moment(value: Any) -> str:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError
    return value.upper()


class Whole(Integer):
    """A whole number: of a body as one, of a query in digits."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        # 1e1000000 is a whole number too, and would take half a minute to become one.
        is_whole = (
            isinstance(value, Decimal)
            and value.adjusted() <= _MOST_DIGITS
            and value == value.to_integral_value()
        ) or (isinstance(value, int) and not isinstance(value, bool))
        if not is_whole and not (self.in_query and isinstance(value, str) and _WHOLE.fullmatch(value)):
            raise self.make_error("invalid", input=value)
        found: int = super()._deserialize(value, attr, data, **kwargs)
        return found

    @property
    def in_query(self) -> bool:
        """Whether it stands in a query, where everything is text."""
        return bool(self.metadata.get("in_query"))


class Flag(Boolean):
    """Yes or no: of a body as such, of a query as a word."""

    def _deserialize(
        self,
        value: Any,
        attr: str | None,  # noqa: ARG002 - marshmallow's own
        data: Mapping[str, Any] | None,  # noqa: ARG002 - marshmallow's own
        **_kwargs: Any,
    ) -> bool:
        if isinstance(value, bool):
            return value
        if self.metadata.get("in_query") and value in {"true", "false"}:
            return bool(value == "true")
        raise self.make_error("invalid", input=value)


class Text(String):
    """Text that every database takes: without NUL, and such as can be written as UTF-8."""

    PATTERN: ClassVar[str] = r"^[^\u0000]*$"

    def __init__(self, **kwargs: Any) -> None:
        kwargs["metadata"] = {"pattern": self.PATTERN, **kwargs.get("metadata", {})}
        super().__init__(**kwargs)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        found = super()._deserialize(value, attr, data, **kwargs)
        try:
            found.encode()
        except UnicodeEncodeError:
            raise ValidationError("It holds half a character.") from None
        if "\x00" in found:
            raise ValidationError("It must not hold a NUL.")
        return found


class Word(Enum[Any]):
    """One of a few words. What is stored may be the word itself, or its number."""

    def __init__(self, words: type[StrEnum], **kwargs: Any) -> None:
        super().__init__(words, by_value=Text(), **kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **_kwargs: Any) -> str | None:  # noqa: ARG002 - marshmallow's own
        match value:
            case None:
                return None
            case IntEnum():
                return value.name.lower()
            case _:
                return str(value)


class Cursor(Text):
    """Where a page begins: the `next_cursor` of the page before."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Any:
        return paging.place(super()._deserialize(value, attr, data, **kwargs))


class Value(Text):
    """The new value of a field, as text; a number or a yes or no is taken as it is written."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> str:
        match value:
            case bool():
                return "true" if value else "false"
            case Decimal() if abs(value.adjusted()) > _WIDEST:
                raise ValidationError("The number is too long.")
            case int() | Decimal():
                return f"{value:f}" if isinstance(value, Decimal) else str(value)
            case _:
                return super()._deserialize(value, attr, data, **kwargs)


class Anything(Field[Any]):
    """A value of an order as JSON has it; decimals are strings."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **_kwargs: Any) -> Any:  # noqa: ARG002 - marshmallow's own
        return plain(value)


def plain(value: Any) -> Any:
    """A value of the program as JSON: amounts as strings, times in UTC."""
    match value:
        case Mapping():
            return {str(name): plain(each) for name, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case Decimal():
            # A shop may send 1e999999999.
            return f"{value:f}" if abs(value.adjusted()) <= _MOST_SHOWN else str(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case str() | bool() | int() | None:
            return value
        case _:
            return str(value)


IN_QUERY: dict[str, Any] = {"in_query": True}
ID: dict[str, Any] = {"minimum": 1, "maximum": HIGHEST}
FORMS: tuple[tuple[Any, ...], ...] = (
    (Amount, "string", "decimal"),
    (Moment, "string", "date-time"),
    (Cursor, "string", "cursor"),
    (Value, ["string", "number", "boolean"], None),
    (Anything, None, None),
)
"""How each is documented: the field, its type, and its format."""
