"""The seals of an order's audit trail: each event is sealed together with all before it, and a last seal lies over the whole.

A seal is an HMAC-SHA256 under a key that is not in the database in the clear. An event's payload goes in as its digest alone,
so that it can be erased and the seals still hold. The last seal is not the last event's own: whoever cuts events off at the end
cannot make the one that belongs to what is left.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_ENCODE = json.JSONEncoder(sort_keys=True).encode
"""Made once: it is asked for nine times for each order."""


def digest(payload: str) -> str:
    """The digest of a payload's text; empty for none."""
    return hashlib.sha256(payload.encode()).hexdigest() if payload else ""


def as_text(payload: Mapping[str, Any]) -> str:
    """A payload as it is stored: JSON text, empty where there is nothing in it. Amounts and times become texts."""
    return json.dumps(payload, default=_plain, ensure_ascii=False, sort_keys=True) if payload else ""


def _plain(value: object) -> str:
    match value:
        case datetime():
            return value.isoformat()
        case Decimal():
            return str(value)
        case _:
            raise TypeError(type(value).__name__)


def seal(
    key: bytes,
    *,
    head: str,
    thread_id: int,
    number: int,
    at: datetime,
    stage: str,
    event: str,
    by: str,
    detail: Mapping[str, Any],
    digest: str,
) -> str:
    """The seal of the `number`th event of an order, `head` being the last seal over those before it (empty for none)."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    said = [head, thread_id, number, moment, stage, event, by, dict(detail), digest]
    return _hmac(key, _ENCODE(said))


def head_over(key: bytes, *, thread_id: int, number: int, mac: str) -> str:
    """The last seal over the events of an order up to the `number`th, whose own seal is `mac`."""
    return _hmac(key, f"head {thread_id} {number} {mac}")


def _hmac(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()
