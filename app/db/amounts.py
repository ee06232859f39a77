"""Amounts in SQL: compared and added up by the database, exactly, also where they are kept as text."""

from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Float, cast, func

_PLACES = 4
"""Digits after the point of an amount's column."""


def as_number(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The amount as something that sorts as a number. SQLite keeps it as text, by which 9 is more than 10."""
    return cast(column, Float) if connection.dialect.name == "sqlite" else column


def total(connection: Connection, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The sum of the amounts, as `decimal_of` reads it. SQLite adds them up in units of the last digit, which are whole."""
    if connection.dialect.name != "sqlite":
        return func.sum(column)
    return func.sum(cast(func.round(cast(column, Float) * 10**_PLACES), BigInteger))


def decimal_of(value: Any) -> Decimal:
    """A sum as `total` gives it; nothing is zero."""
    if isinstance(value, int):
        return shortened(Decimal(value).scaleb(-_PLACES), places=2)
    return Decimal(0) if value is None else shortened(Decimal(value), places=2)


def shortened(value: Decimal, *, places: int) -> Decimal:
    """The same number without the zeros that stand behind so many digits after the point."""
    short = value.normalize()
    exponent = short.as_tuple().exponent
    is_too_short = isinstance(exponent, int) and exponent > -places
    return short.quantize(Decimal(1).scaleb(-places)) if is_too_short else short
