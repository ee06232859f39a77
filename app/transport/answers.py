"""What came back: status, headers, a bounded body, and JSON read without a float."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

_WHITESPACE = " \t\r\n"
_LONGEST_WAIT = 3600.0
"""Nobody is waited for longer than that, whatever Retry-After says; a longer wait is asked for again."""


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. `headers` are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type without its parameters, in lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        """Whether the answer says that it is JSON."""
        return self.content_type == "application/json" or self.content_type.endswith("+json")

    @property
    def text(self) -> str:
        """The body as UTF-8, a byte order mark removed, bad bytes replaced."""
        return self.body.decode("utf-8-sig", errors="replace")

    @property
    def answered_at(self) -> datetime | None:
        """The Date header in UTC, None where there is none that can be read."""
        try:
            return _http_date(self.headers.get("Date", ""))
        except ValueError:
            return None

    @property
    def retry_after(self) -> float | None:
        """Seconds the peer asks us to wait, from either form of Retry-After, an hour at most; None where it does not say."""
        value = self.headers.get("Retry-After", "").strip()
        if value.isascii() and value.isdigit():
            return min(float(value), _LONGEST_WAIT)
        try:
            wanted = _http_date(value)
        except ValueError:
            return None
        seconds = (wanted - (self.answered_at or datetime.now(UTC))).total_seconds()
        return min(max(0.0, seconds), _LONGEST_WAIT)


def _http_date(text: str) -> datetime:
    """An HTTP date, which is UTC also where it does not say so (`-0000`, or no zone). Raises `ValueError`."""
    moment = parsedate_to_datetime(text)
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:  # Year 9999 in a zone west of here.
        raise ValueError("a moment beyond the calendar") from None


def parse_json(text: str) -> Any:
    """`text` as JSON with every fraction a Decimal. Raises `ValueError`."""
    try:
        return _DECODER.decode(text)
    except (
        ArithmeticError,
        RecursionError,
    ) as error:  # An exponent beyond Decimal's, or a nesting beyond the stack.
        raise ValueError(type(error).__name__) from None


_MARK = uuid.uuid4().hex
"""Stands before numbers while they are texts; nothing that is received can have it."""
_MARKED = re.compile(f'"{_MARK}([^"]*)"')


def json_as_read(value: Any) -> str:
    """The JSON text of what `parse_json` read, every number with the digits it came with. Raises `RecursionError`."""
    return _MARKED.sub(r"\1", json.dumps(value, default=_marked))


def _marked(number: object) -> str:
    if isinstance(number, Decimal):
        return f"{_MARK}{number}"
    raise TypeError(type(number).__name__)


def elements(text: str) -> list[tuple[str, Any]]:
    """The elements of a JSON array, each as its own raw text and its parsed value. Raises `ValueError` for anything else."""
    try:
        return _elements(text)
    except (ArithmeticError, RecursionError) as error:
        raise ValueError(type(error).__name__) from None


def _elements(text: str) -> list[tuple[str, Any]]:
    end = len(text)
    at = _skip(text, 0)
    if at >= end or text[at] != "[":
        raise ValueError("not a JSON array")
    found: list[tuple[str, Any]] = []
    at = _skip(text, at + 1)
    if at < end and text[at] == "]":
        return _ended(found, text, at)
    while at < end:
        value, stop = _DECODER.raw_decode(text, at)
        found.append((text[at:stop], value))
        at = _skip(text, stop)
        if at < end and text[at] == "]":
            return _ended(found, text, at)
        if at >= end or text[at] != ",":
            raise ValueError("a JSON array that is cut off")
        at = _skip(text, at + 1)
    raise ValueError("a JSON array that is cut off")


def _ended(found: list[tuple[str, Any]], text: str, at: int) -> list[tuple[str, Any]]:
    if _skip(text, at + 1) < len(text):
        raise ValueError("more text after a JSON array")
    return found


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _WHITESPACE:
        at += 1
    return at
