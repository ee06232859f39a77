"""Pages of lists: from the newest to the oldest, each beginning below the id at which the one before it ended."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from marshmallow import ValidationError

from app.web.api.places import HIGHEST

MOST = 200
USUAL = 50

_VERSION = "1:"
_LONGEST = 32

Row = TypeVar("Row")


def cursor(before: int) -> str:
    """The place of a page as a program keeps it; what is in it is our business."""
    return base64.urlsafe_b64encode(f"{_VERSION}{before}".encode()).decode().rstrip("=")


def place(text: str) -> int:
    """The id below which the page begins. Raises `ValidationError` for what is no cursor of ours."""
    try:
        padded = text[:_LONGEST] + "=" * (-len(text[:_LONGEST]) % 4)
        read = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
        found = int(read.removeprefix(_VERSION)) if read.startswith(_VERSION) else 0
    except (binascii.Error, ValueError):
        found = 0
    if not 0 < found <= HIGHEST or cursor(found) != text:
        raise ValidationError("Take the next_cursor of the page before.")
    return found


def page(
    wanted: Mapping[str, Any], rows: Callable[[int | None, int], Sequence[Row]], number: Callable[[Row], int]
) -> dict[str, Any]:
    """A page of what `rows` finds (below an id, so many), and the cursor of the next one; None on the last."""
    limit: int = wanted["limit"]
    # One more, to know whether there is another page.
    found = rows(wanted.get("cursor"), limit + 1)
    items = list(found[:limit])
    return {"items": items, "next_cursor": cursor(number(items[-1])) if len(found) > limit else None}
