"""The list of orders: its parameters, filters, order and pages (contract section 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Any, TypeVar

from .answers import ApiError, invalid, unsupported
from .dates import read_date, whole_second
from .money import decimal
from .records import Order
from .views import INCLUDES

DEFAULT_LIMIT, MOST_ROWS = 50, 250
Row = TypeVar("Row")
Test = Callable[[Order], bool]

_BOUNDS = tuple(
    f"{end}_{name}" for end in ("min", "max") for name in ("id", "total", "date_created", "date_modified")
)
_NUMBERS = ("customer_id", "status_id", "channel_id")
_TEXTS = ("email", "cart_id", "payment_method", "external_order_id")
_OTHERS = ("page", "limit", "include", "consignment_structure", "sort", "is_deleted")
_PARAMETERS = frozenset({*_BOUNDS, *_NUMBERS, *_TEXTS, *_OTHERS})
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


def _amount(values: Mapping[str, str], name: str) -> Decimal:
    try:
        return decimal(values[name])
    except ArithmeticError:
        raise invalid(name) from None


def _moment(values: Mapping[str, str], name: str) -> datetime | None:
    """None for a date that is malformed, **which is then ignored without a word**."""
    edge = read_date(values[name])
    return None if edge is None else whole_second(edge)


def _bound(values: Mapping[str, str], name: str, *, date_ends: bool) -> Test | None:
    """One ``min_`` or ``max_`` filter; both ends belong to the range, those of dates only with ``date_ends``."""
    read, parse = _BOUNDED[name[4:]]
    edge = parse(values, name)
    if edge is None:
        return None
    with_end = date_ends or "date" not in name
    compare = (ge if with_end else gt) if name.startswith("min_") else (le if with_end else lt)
    return lambda order: bool(compare(read(order), edge))


def _equal(values: Mapping[str, str], name: str) -> Test:
    wanted = _whole(values, name) if name in _NUMBERS else values[name]
    if name == "email":
        return lambda order: bool(order.body["billing_address"]["email"] == wanted)
    return lambda order: bool(order.body[name] == wanted)


_BOUNDED: dict[str, tuple[Callable[[Order], Any], Callable[[Mapping[str, str], str], Any]]] = {
    "id": (lambda order: order.id, _whole),
    "total": (lambda order: decimal(order.body["total_inc_tax"]), _amount),
    "date_created": (lambda order: order.created, _moment),
    "date_modified": (lambda order: order.modified, _moment),
}


def select(
    orders: Iterable[Order], values: Mapping[str, str], *, archived_too: bool, date_ends: bool
) -> list[Order]:
    """The orders that the filters leave, in the order asked for; the id breaks ties, in the same direction."""
    check_names(values, _PARAMETERS)
    bounds = [_bound(values, name, date_ends=date_ends) for name in _BOUNDS if name in values]
    tests = [test for test in bounds if test is not None]
    tests += [_equal(values, name) for name in (*_NUMBERS, *_TEXTS) if name in values]
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
