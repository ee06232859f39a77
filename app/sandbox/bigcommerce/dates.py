"""The dates of both API versions (contract section 3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

_RFC_2822 = re.compile(
    r"([A-Za-z]{3}, )?\d{1,2} [A-Za-z]{3} \d{4} \d\d:\d\d:\d\d ([+-]\d{4}|GMT|UTC)", re.ASCII
)


def utc_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


def whole_second(moment: datetime) -> datetime:
    """A moment in UTC with the grain that the platform keeps: one second."""
    return moment.astimezone(UTC).replace(microsecond=0)


def rfc_text(moment: datetime | None) -> str:
    """A V2 date, always in UTC; an empty text for none, as ``date_shipped`` has it."""
    return "" if moment is None else format_datetime(whole_second(moment))


def iso_text(moment: datetime) -> str:
    """A V3 date."""
    return whole_second(moment).isoformat()


def read_date(text: str) -> datetime | None:
    """RFC 2822 or ISO 8601, without an offset taken for UTC; None where it is neither.

    A ``+`` that was not encoded arrives as a space and one that was encoded twice as ``%2B``: both are
    malformed.
    """
    try:
        moment = parsedate_to_datetime(text) if _RFC_2822.fullmatch(text) else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def moment_of(value: Any, default: datetime) -> datetime:
    """A moment that a test or the control door names as a datetime or as text; ValueError for another text."""
    if value is None:
        return whole_second(default)
    found = value if isinstance(value, datetime) else read_date(str(value))
    if found is None:
        raise ValueError(f"{value!r} is not a date")
    return whole_second(found)
