"""Rows of a table for a spreadsheet: errors or orders, a page at a time, so that a million of them take no more memory than ten."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol

from app.ports.desk import ErrorFilter
from app.ports.reporting import OrderFilter
from app.sync.formulas import guarded
from app.sync.overview import known_site
from app.sync.parts import Parts

_PAGE = 1_000

ERROR_COLUMNS = (
    *(
        "id",
        "order_number",
        "platform_order_id",
        "site",
        "stage",
        "kind",
        "field",
        "reason",
        "value",
        "currency",
    ),
    *("attempts", "resumed", "assignee", "opened_at", "resolved_at", "resolved_by", "resolution"),
)
ORDER_COLUMNS = (
    *("order_number", "platform_order_id", "site", "state", "stage", "reason", "total", "currency"),
    *("order_date", "seen_at", "acknowledged_at", "exported_at", "erp_document", "updated_at"),
)

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")


def error_rows(parts: Parts, wanted: ErrorFilter) -> Iterator[list[str]]:
    """The errors as rows of cells, the header first, ascending by id. Raises `UsageError` for a site that never was."""
    if wanted.site is not None:
        known_site(parts, wanted.site)
    return _rows(
        ERROR_COLUMNS, lambda after: parts.store.error_orders_after(wanted, after=after, limit=_PAGE)
    )


def order_rows(parts: Parts, wanted: OrderFilter) -> Iterator[list[str]]:
    """The orders as rows of cells, the header first, as they were first seen. Raises `UsageError` for a site that never was."""
    if wanted.site is not None:
        known_site(parts, wanted.site)
    return _rows(ORDER_COLUMNS, lambda after: parts.store.orders_after(wanted, after=after, limit=_PAGE))


def cell(value: object) -> str:
    """A value as a spreadsheet shall show it and never run it: what could be a formula gets an apostrophe before it.

    Amounts keep their digits, times are ISO 8601 in UTC; numbers stay numbers, whatever their sign.
    """
    match value:
        case None:
            return ""
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case Decimal():
            return f"{value:f}"
        case _:
            text = str(value)
            return text if _NUMBER.fullmatch(text) else guarded(text)


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


def _rows(columns: tuple[str, ...], page_after: Callable[[int], Sequence[_Numbered]]) -> Iterator[list[str]]:
    yield list(columns)
    after = 0
    while page := page_after(after):
        for each in page:
            yield [cell(getattr(each, name)) for name in columns]
        after = page[-1].id
