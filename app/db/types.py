"""Column types that mean the same on SQLite, PostgreSQL and MariaDB."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import DateTime, Dialect, Numeric, SmallInteger, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.db.amounts import shortened
from app.domain.reading import Bookmark, Position

LongText = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def storable(value: str) -> str:
    """Text that every database takes: no NUL (PostgreSQL refuses it), no lone surrogates (they have no UTF-8)."""
    if value.isascii() and "\x00" not in value:
        return value
    return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


class Flag(TypeDecorator[bool]):
    """Yes or no as 1 or 0 on every database: operators ask for `= 1`, which PostgreSQL refuses for its own booleans."""

    impl = SmallInteger
    cache_ok = True

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> int | None:  # noqa: FBT001 - SQLAlchemy's signature
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time, stored without zone to the microsecond so that operators' date functions work on it."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Bookmarked(TypeDecorator[Bookmark]):
    """Where a reading goes on, as a line of JSON."""

    impl = String(255)
    cache_ok = True

    def process_bind_param(self, value: Bookmark | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        at = value.position
        times = {"since": at.since, "resume": at.resume, "begun": value.begun}
        written = {name: None if time is None else time.isoformat() for name, time in times.items()}
        return json.dumps({**written, "page": at.page, "back": at.back})

    def process_result_value(self, value: str | None, dialect: Dialect) -> Bookmark | None:
        if value is None:
            return None
        kept = json.loads(value, parse_float=Decimal)
        since, resume = (
            None if kept[name] is None else datetime.fromisoformat(kept[name]) for name in ("since", "resume")
        )
        position = Position(since=since, page=kept["page"], back=kept["back"], resume=resume)
        return Bookmark(position, begun=datetime.fromisoformat(kept["begun"]))


class Exact(TypeDecorator[Decimal]):
    """A decimal that comes back as it went in. SQLite has no decimals, only floats, so there it is kept as text.

    A server fills every value up to the column's scale; the zeros beyond `places` are taken away again, so that people and files
    see the same digits whatever the database: 19.99 and not 19.9900.
    """

    impl = Numeric
    cache_ok = True

    def __init__(self, precision: int = 19, scale: int = 4, *, places: int = 2) -> None:
        super().__init__(precision, scale)
        self._places = places
        self._scale = Decimal(1).scaleb(-scale)
        self._limit = Decimal(1).scaleb(precision - scale)

    def holds(self, value: Decimal) -> bool:
        """Whether the column can keep this value as it is."""
        return abs(value) < self._limit and value.quantize(self._scale) == value

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(40))
        return dialect.type_descriptor(self.impl_instance)

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if not self.holds(value):
            raise ValueError(f"{value} has more digits than its column")
        return str(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None or dialect.name == "sqlite":
            return None if value is None else Decimal(value)
        return shortened(value, places=self._places)
