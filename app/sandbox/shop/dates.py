"""The shop's clock and dates (contract section 4).

All moments are kept as WordPress writes them, ``YYYY-MM-DDTHH:MM:SS`` without a zone letter: such
texts of one kind sort as the moments do.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

FORMAT = "%Y-%m-%dT%H:%M:%S"

_ACCEPTED = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.\d+)?(Z|[+-]\d{2}(?::\d{2})?)?", re.ASCII
)


def utc_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


def gmt_text(moment: datetime) -> str:
    """A moment in UTC, cut to the second (1 s granularity)."""
    return moment.astimezone(UTC).strftime(FORMAT)


def local_text(gmt: str, zone: ZoneInfo) -> str:
    """A gmt text as the shop's local time: in the DST hour two of them give the same text."""
    return datetime.strptime(gmt, FORMAT).replace(tzinfo=UTC).astimezone(zone).strftime(FORMAT)


def local_to_gmt(local: str, zone: ZoneInfo) -> str:
    """The shop's local time as gmt; of two possible moments the first is taken, as PHP does. At the ends of
    the calendar, where there is no answer, the text stays.
    """
    try:
        return datetime.strptime(local, FORMAT).replace(tzinfo=zone).astimezone(UTC).strftime(FORMAT)
    except OverflowError:
        return local


def read_filter_date(value: str, zone: ZoneInfo) -> str | None:
    """The value of ``modified_after`` and its like as a zone-less text, or None if it is refused.

    Fractions are cut off. An offset or ``Z`` **is turned into the shop's local time**; without one
    the text stays as it is. Date only, epoch, empty, garbage, a space for an unencoded ``+``: refused.
    """
    match = _ACCEPTED.fullmatch(value)
    if match is None:
        return None
    day, time, offset = match.groups()
    try:
        moment = datetime.strptime(f"{day}T{time}", FORMAT).replace(tzinfo=UTC)
        if offset is None:
            return moment.strftime(FORMAT)
        if offset == "Z":
            shift = timedelta(0)
        else:
            shift = timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6] or 0))
            if offset[0] == "-":
                shift = -shift
        return (moment - shift).astimezone(zone).strftime(FORMAT)
    except (ValueError, OverflowError):
        return None
