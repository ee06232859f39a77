"""What the store's answers tell of its quota of requests, which all of its apps share."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from app.connectors.bigcommerce.answers import LONGEST_WAIT, asked_wait
from app.ports.limiters import Quota, Report
from app.transport import Answer, named_wait, report_of

_MARGIN = 0.05
"""Seconds after the window's end, so that a clock that is a little fast does not ask just before it."""
_RESET = "X-Rate-Limit-Time-Reset-Ms"
_WINDOW = "X-Rate-Limit-Time-Window-Ms"
_LEFT = "X-Rate-Limit-Requests-Left"
_QUOTA = "X-Rate-Limit-Requests-Quota"


def report(answer: Answer) -> Report:
    """What an answer says of the store's limits.

    After a refusal (429) the longer counts of what it tells of its window and what it asks us to wait, an hour at most. Without
    either the platform itself is under load (contract, section 10), and it is for the limiter to say for how long.
    """
    found = replace(report_of(answer), quota=quota(answer.headers), wait=named_wait(asked_wait(answer)))
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return replace(found, wait=refusal_wait(answer))
    return found


def refusal_wait(answer: Answer) -> float | None:
    """Seconds to wait after a refusal, None where it does not say. The end of its window is said to the millisecond."""
    milliseconds, asked = _number(answer.headers, _RESET), named_wait(asked_wait(answer))
    if not milliseconds and asked is None:
        return None
    return min(max((milliseconds or 0) / 1000, asked or 0) + _MARGIN, LONGEST_WAIT)


def quota(headers: Mapping[str, str]) -> Quota | None:
    """The store's window, None where the headers do not tell all of it."""
    size, left, milliseconds = (_number(headers, name) for name in (_QUOTA, _LEFT, _RESET))
    if not size or left is None or milliseconds is None:
        return None
    return Quota(
        size=size,
        left=left,
        resets_in=min(milliseconds / 1000, LONGEST_WAIT) + _MARGIN,
        window=(_number(headers, _WINDOW) or milliseconds) / 1000,
    )


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004 - longer is nonsense
