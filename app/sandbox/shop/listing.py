"""The list of orders: its parameters, filters, order and paging headers (contract section 3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any
from urllib.parse import parse_qsl, quote_plus
from zoneinfo import ZoneInfo

from .answers import JsonObject, ParamErrors, enum_text
from .dates import local_to_gmt, read_filter_date

ORDERBY = ["date", "id", "include", "title", "slug", "modified"]
HIDDEN_FROM_ANY = ("trash", "checkout-draft", "auto-draft")
_DATE_PARAMS = ("after", "before", "modified_after", "modified_before")
_INT = re.compile(r"[+-]?\d+(\.0*)?", re.ASCII)

QueryValue = str | list[str]


def _text(body: JsonObject, name: str) -> str:
    value = body.get(name)
    return value if isinstance(value, str) else ""


class StoredOrder:
    """One order of the shop: its body, its sort keys, and its body as bytes by decimals, once it was asked for."""

    __slots__ = ("body", "created", "created_local", "id", "modified", "modified_local", "raw", "status")

    def __init__(self, body: JsonObject, now: str) -> None:
        if not isinstance(body.get("id"), int):
            raise TypeError("an order needs an integer id")
        self.id: int = body["id"]
        self.body = body
        self.raw: dict[int, bytes] = {}
        self.created = self.modified = self.created_local = self.modified_local = now
        self.status = ""
        self.refresh(now)

    def refresh(self, now: str = "") -> None:
        """Take the sort keys from the body anew, and forget its bytes."""
        body = self.body
        self.raw = {}
        self.status = str(body.get("status") or "")
        self.created = _text(body, "date_created_gmt") or self.created or now
        self.modified = _text(body, "date_modified_gmt") or self.modified or now
        self.created_local = _text(body, "date_created") or self.created
        self.modified_local = _text(body, "date_modified") or self.modified


def php_query(query_string: str) -> dict[str, QueryValue]:
    """A query string as PHP reads it: ``a[]=`` and ``a[0]=`` are lists, else the last of a name counts."""
    values: dict[str, QueryValue] = {}
    for name, value in parse_qsl(query_string, keep_blank_values=True):
        base, bracket, _ = name.partition("[")
        if bracket and name.endswith("]"):
            known = values.get(base)
            if isinstance(known, list):
                known.append(value)
            else:
                values[base] = [value]
        else:
            values[name] = value
    return values


@dataclass(frozen=True)
class Bound:
    """One date filter, ready to be compared with a text of the order; both ends are exclusive."""

    attribute: str
    after: bool
    edge: str


@dataclass(frozen=True)
class ListQuery:
    """The parameters of a list that passed validation."""

    per_page: int = 10
    page: int = 1
    offset: int | None = None
    orderby: str = "date"
    descending: bool = True
    statuses: tuple[str, ...] = ("any",)
    include: tuple[int, ...] = ()
    exclude: frozenset[int] = frozenset()
    search: str = ""
    customer: int | None = None
    product: int | None = None
    created_via: frozenset[str] = frozenset()
    bounds: tuple[Bound, ...] = ()
    dp: int = 2
    fields: str = ""
    raw: dict[str, QueryValue] = field(default_factory=dict, compare=False, hash=False)

    def selection(self) -> tuple[object, ...]:
        """What decides which orders come in which order, without the page."""
        return (
            self.orderby, self.descending, self.statuses, self.include, self.exclude,
            self.search, self.customer, self.product, self.created_via, self.bounds,
        )  # fmt: skip


def _as_list(value: QueryValue) -> list[str]:
    """A list parameter: ``a,b`` or ``name[]=a&name[]=b``."""
    if isinstance(value, list):
        return value
    return [part for part in re.split(r"[\s,]+", value) if part]


def _scalar(value: QueryValue) -> str:
    return value if isinstance(value, str) else (value[-1] if value else "")


class _Reader:
    def __init__(self, raw: dict[str, QueryValue]) -> None:
        self.raw = raw
        self.errors = ParamErrors()

    def integer(self, name: str, default: int, low: int | None = None, high: int | None = None) -> int:
        if name not in self.raw:
            return default
        text = _scalar(self.raw[name])
        if not _INT.fullmatch(text):
            self.errors.add(name, "rest_invalid_type", f"{name} is not of type integer.", {"param": name})
            return default
        value = int(float(text)) if "." in text else int(text)
        if low is not None and high is not None and not low <= value <= high:
            between = f"{name} must be between {low} (inclusive) and {high} (inclusive)"
            self.errors.add(name, "rest_out_of_bounds", between)
        elif low is not None and value < low:
            self.errors.add(name, "rest_out_of_bounds", f"{name} must be greater than or equal to {low}")
        return value

    def optional(self, name: str) -> int | None:
        return self.integer(name, 0) if name in self.raw else None

    def integers(self, name: str) -> tuple[int, ...]:
        values = []
        for place, text in enumerate(_as_list(self.raw.get(name, ""))):
            if not _INT.fullmatch(text):
                item = f"{name}[{place}]"
                self.errors.add(name, "rest_invalid_type", f"{item} is not of type integer.", {"param": item})
                break
            values.append(int(float(text)))
        return tuple(values)

    def choice(self, name: str, default: str, choices: list[str]) -> str:
        value = _scalar(self.raw.get(name, default))
        if value not in choices:
            self.errors.add(name, "rest_not_in_enum", f"{name} is not one of {enum_text(choices)}.")
        return value

    def choices(self, name: str, default: str, choices: list[str]) -> tuple[str, ...]:
        values = _as_list(self.raw.get(name, default)) or [default]
        for place, value in enumerate(values):
            if value not in choices:
                text = f"{name}[{place}] is not one of {enum_text(choices)}."
                self.errors.add(name, "rest_not_in_enum", text)
        return tuple(values)

    def boolean(self, name: str) -> bool:
        value = _scalar(self.raw.get(name, "false")).lower()
        if value not in ("true", "false", "1", "0"):
            self.errors.add(name, "rest_invalid_type", f"{name} is not of type boolean.", {"param": name})
        return value in ("true", "1")


def _bounds(reader: _Reader, zone: ZoneInfo, *, legacy: bool) -> tuple[Bound, ...]:
    """The date filters, by the table of section 4.

    With ``dates_are_gmt`` the text is compared with the gmt date as it stands: that is how a ``Z``,
    which has already been turned into local time, goes wrong. Without the flag it is local time:
    order tables turn it back into UTC, posts storage compares it with the local time as saved.
    """
    are_gmt = reader.boolean("dates_are_gmt")
    found = []
    for name in _DATE_PARAMS:
        if name not in reader.raw:
            continue
        edge = read_filter_date(_scalar(reader.raw[name]), zone)
        if edge is None:
            reader.errors.add(name, "rest_invalid_date", "Invalid date.")
            continue
        attribute = "modified" if name.startswith("modified") else "created"
        if not are_gmt:
            if legacy:
                attribute += "_local"
            else:
                edge = local_to_gmt(edge, zone)
        found.append(Bound(attribute, name.endswith("after"), edge))
    return tuple(found)


def read_list_query(
    raw: dict[str, QueryValue], statuses: list[str], zone: ZoneInfo, *, legacy: bool
) -> ListQuery:
    """Validate the parameters of a list; all bad ones are told in one 400. Unknown ones are ignored."""
    reader = _Reader(raw)
    query = ListQuery(
        page=reader.integer("page", 1, 1),
        per_page=reader.integer("per_page", 10, 1, 100),
        offset=reader.optional("offset"),
        search=_scalar(raw.get("search", "")).strip().lower(),
        bounds=_bounds(reader, zone, legacy=legacy),
        exclude=frozenset(reader.integers("exclude")),
        include=reader.integers("include"),
        descending=reader.choice("order", "desc", ["asc", "desc"]) == "desc",
        orderby=reader.choice("orderby", "date", ORDERBY),
        statuses=reader.choices("status", "any", ["any", "trash", *statuses]),
        customer=reader.optional("customer"),
        product=reader.optional("product"),
        created_via=frozenset(_as_list(raw.get("created_via", ""))),
        dp=min(abs(reader.integer("dp", 2)), 8),
        fields=",".join(_as_list(raw.get("_fields", ""))),
        raw=raw,
    )
    reader.errors.raise_if_any()
    return query


def _matches_search(body: JsonObject, text: str) -> bool:
    """Names and mail (and the number), anywhere in the text."""
    billing, shipping = body.get("billing") or {}, body.get("shipping") or {}
    words = [
        f"{billing.get('first_name', '')} {billing.get('last_name', '')}",
        f"{shipping.get('first_name', '')} {shipping.get('last_name', '')}",
        str(billing.get("email", "")),
        str(billing.get("company", "")),
        str(body.get("number", "")),
    ]
    return any(text in word.lower() for word in words)


def _tests(query: ListQuery) -> list[Callable[[StoredOrder], bool]]:
    tests: list[Callable[[StoredOrder], bool]] = []
    statuses = frozenset(query.statuses)
    if "any" in statuses:
        tests.append(lambda order: order.status not in HIDDEN_FROM_ANY)
    else:
        tests.append(lambda order: order.status in statuses)
    tests.extend(_bound_test(bound) for bound in query.bounds)
    if query.include:
        wanted = frozenset(query.include)
        tests.append(lambda order: order.id in wanted)
    if query.exclude:
        tests.append(lambda order: order.id not in query.exclude)
    if query.search:
        tests.append(lambda order: _matches_search(order.body, query.search))
    if query.customer is not None:
        tests.append(lambda order: order.body.get("customer_id") == query.customer)
    if query.product is not None:
        tests.append(lambda order: _has_product(order.body, query.product))
    if query.created_via:
        tests.append(lambda order: order.body.get("created_via") in query.created_via)
    return tests


def _bound_test(bound: Bound) -> Callable[[StoredOrder], bool]:
    read: Callable[[StoredOrder], str] = attrgetter(bound.attribute)
    edge = bound.edge
    if bound.after:
        return lambda order: read(order) > edge
    return lambda order: read(order) < edge


def _has_product(body: JsonObject, product: int | None) -> bool:
    lines: list[Any] = body.get("line_items") or []
    return any(
        isinstance(line, dict) and product in (line.get("product_id"), line.get("variation_id"))
        for line in lines
    )


class OrderIndex:
    """The orders in the sequences a list can ask for, sorted again only after a change.

    Sorting an almost sorted list is quick; the answer to the last selections is kept until any order
    changes, so that the pages of one list cost one selection.
    """

    def __init__(self) -> None:
        self._orders: dict[int, StoredOrder] = {}
        self._sorted: dict[str, list[StoredOrder]] = {}
        self._stale: set[str] = set()
        self._kept: dict[tuple[object, ...], list[StoredOrder]] = {}

    def put(self, order: StoredOrder) -> None:
        """Add an order, or replace the one of the same id."""
        self._orders[order.id] = order
        self._sorted.clear()
        self._kept.clear()

    def drop(self, order_id: int) -> None:
        """Forget an order."""
        self._orders.pop(order_id, None)
        self._sorted.clear()
        self._kept.clear()

    def changed(self) -> None:
        """Some order's keys changed."""
        self._stale.update(self._sorted)
        self._kept.clear()

    def select(self, query: ListQuery) -> Sequence[StoredOrder]:
        """All orders of the selection, in its order; the id breaks ties in the same direction."""
        key = query.selection()
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        chosen: Iterable[StoredOrder]
        if query.orderby == "include" and query.include:
            chosen = [self._orders[one] for one in dict.fromkeys(query.include) if one in self._orders]
        else:
            chosen = self._in_order(query.orderby)
            if query.descending:
                chosen = reversed(chosen)
        for test in _tests(query):
            chosen = filter(test, chosen)
        result = list(chosen)
        if len(self._kept) > 64:
            self._kept.clear()
        self._kept[key] = result
        return result

    def _in_order(self, orderby: str) -> list[StoredOrder]:
        name = {"date": "created", "modified": "modified"}.get(orderby, "id")
        if name not in self._sorted:
            self._sorted[name] = sorted(self._orders.values(), key=attrgetter(name, "id"))
        elif name in self._stale:
            self._sorted[name].sort(key=attrgetter(name, "id"))
        self._stale.discard(name)
        return self._sorted[name]


@dataclass(frozen=True)
class Page:
    """One page of a list, and what its headers say."""

    orders: list[StoredOrder]
    total: int
    pages: int
    previous: int | None
    next: int | None


def cut_page(selected: Sequence[StoredOrder], query: ListQuery, *, legacy: bool) -> Page:
    """The page asked for.

    Beyond the end order tables say total 0, pages 0 and a link back to page 0; posts storage says the
    true total (section 3).
    """
    start = query.offset if query.offset is not None else (query.page - 1) * query.per_page
    orders = list(selected[max(start, 0) : max(start, 0) + query.per_page])
    total = len(selected)
    if not orders and query.page > 1 and not legacy:
        total = 0
    pages = -(-total // query.per_page)
    return Page(
        orders,
        total,
        pages,
        min(query.page - 1, pages) if query.page > 1 else None,
        query.page + 1 if query.page < pages else None,
    )


def page_link(base: str, query: ListQuery, page: int) -> str:
    """A URL of the ``Link`` header: all that was asked, the defaults, and the page."""
    values: dict[str, QueryValue] = dict(query.raw)
    values["status"] = list(query.statuses)
    values.setdefault("dp", "2")
    values.setdefault("context", "view")
    values["page"] = str(page)
    pairs = []
    for name, value in values.items():
        if isinstance(value, list):
            pairs += [
                f"{quote_plus(f'{name}[{place}]')}={quote_plus(one)}" for place, one in enumerate(value)
            ]
        else:
            pairs.append(f"{quote_plus(name)}={quote_plus(value)}")
    return f"{base}?{'&'.join(pairs)}"
