"""The list of orders: its parameters, filters, order and pages (contract section 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from .answers import ApiError, invalid, unsupported
from .dates import read_date, whole_second
from .money import decimal
from .records import Order
from .views import INCLUDES

DEFAULT_LIMIT, MOST_ROWS = 50, 250
Row = TypeVar("Row")
Test = Callable[[Order], bool]

_IDS = ("min_id", "max_id", "customer_id", "status_id", "channel_id")
_DATES = ("min_date_created", "max_date_created", "min_date_modified", "max_date_modified")
_TEXTS = ("email", "cart_id", "payment_method", "external_order_id")
_TOTALS = ("min_total", "max_total")
_PAGE = ("page", "limit")
_SHOWN = ("include", "consignment_structure")
_PARAMETERS = frozenset({*_IDS, *_DATES, *_TEXTS, *_TOTALS, *_PAGE, *_SHOWN, "sort", "is_deleted"})
_SORTS: dict[str, Callable[[Order], Any]] = {
    "id": lambda order: order.id,
    "customer_id": lambda order: order.body["customer_id"],
    "date_created": lambda order: order.created,
    "date_modified": lambda order: order.modified,
    "status_id": lambda order: order.status_id,
    "channel_id": lambda order: order.body["channel_id"],
    "external_id": lambda order: str(order.body["external_id"] or ""),
}


@dataclass(frozen=True)
class Shown:
    """What of an order is side-loaded."""

    include: frozenset[str]
    as_object: bool


def check_names(values: Mapping[str, str], allowed: Iterable[str]) -> None:
    """Refuse a parameter that the resource does not know."""
    for name in values:
        if name not in allowed:
            raise unsupported(name)


def _whole(values: Mapping[str, str], name: str) -> int:
    text = values[name].strip()
    if not (text.isascii() and text.isdigit()):
        raise invalid(name)
    return int(text)


def cut(rows: Sequence[Row], values: Mapping[str, str]) -> Sequence[Row]:
    """The page asked for: 50 rows where no limit is named. Above 250: 413."""
    limit = _whole(values, "limit") if "limit" in values else DEFAULT_LIMIT
    page = _whole(values, "page") if "page" in values else 1
    if limit > MOST_ROWS:
        raise ApiError(413, f"The limit is above {MOST_ROWS}.")
    if limit < 1:
        raise invalid("limit")
    if page < 1:
        raise invalid("page")
    return rows[(page - 1) * limit : page * limit]


def read_shown(values: Mapping[str, str]) -> Shown:
    """``include`` and ``consignment_structure``."""
    include = frozenset(part for part in values.get("include", "").split(",") if part)
    if not include <= INCLUDES:
        raise invalid("include")
    return Shown(include, values.get("consignment_structure") == "object")


def _compare(name: str, values: Mapping[str, str]) -> Test | None:
    """One filter; None for a date that is malformed, **which is ignored without a word**."""
    if name in _DATES:
        edge = read_date(values[name])
        if edge is None:
            return None
        edge, read = whole_second(edge), "created" if name.endswith("created") else "modified"
        if name.startswith("min"):
            return lambda order: bool(getattr(order, read) >= edge)
        return lambda order: bool(getattr(order, read) <= edge)
    if name in _TOTALS:
        try:
            amount = decimal(values[name])
        except ArithmeticError:
            raise invalid(name) from None
        if name == "min_total":
            return lambda order: decimal(order.body["total_inc_tax"]) >= amount
        return lambda order: decimal(order.body["total_inc_tax"]) <= amount
    if name in _TEXTS:
        wanted = values[name]
        if name == "email":
            return lambda order: bool(order.body["billing_address"]["email"] == wanted)
        return lambda order: bool(order.body[name] == wanted)
    return _compare_id(name, _whole(values, name))


def _compare_id(name: str, wanted: int) -> Test:
    if name == "min_id":
        return lambda order: order.id >= wanted
    if name == "max_id":
        return lambda order: order.id <= wanted
    return lambda order: bool(order.body[name] == wanted)


def select(orders: Iterable[Order], values: Mapping[str, str], *, archived_too: bool) -> list[Order]:
    """The orders that the filters leave, in the order asked for; the id breaks ties, in the same direction."""
    check_names(values, _PARAMETERS)
    names = [name for name in values if name in (*_IDS, *_DATES, *_TEXTS, *_TOTALS)]
    tests = [test for name in names if (test := _compare(name, values)) is not None]
    if "is_deleted" in values:
        wanted = values["is_deleted"].lower() in ("true", "1")
        tests.append(lambda order: bool(order.body["is_deleted"]) == wanted)
    elif not archived_too:
        tests.append(lambda order: not order.body["is_deleted"])
    by, _, direction = values.get("sort", "id").partition(":")
    if by not in _SORTS or direction not in ("", "asc", "desc"):
        raise invalid("sort")
    key = _SORTS[by]
    found = [order for order in orders if all(test(order) for test in tests)]
    return sorted(found, key=lambda order: (key(order), order.id), reverse=direction == "desc")
