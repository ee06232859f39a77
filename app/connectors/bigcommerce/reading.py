"""Orders as the store shows them: lists of what changed, and single orders looked up by id in as few calls as can be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from app.connectors.bigcommerce.answers import read_failure, says_missing
from app.connectors.bigcommerce.bodies import identifier, orders, single
from app.connectors.bigcommerce.calls import ORDERS, Calls, raised
from app.connectors.bigcommerce.groups import base_of, count_of, group_of, is_id
from app.connectors.bigcommerce.sighting import Sighter, time_of
from app.domain.reading import Position
from app.errors import Retry
from app.ports.sales_channel import Gone, Page, Seen

INCLUDES = {
    "include": "consignments,consignments.line_items,fees",
    "consignment_structure": "object",
}
"""Addresses and lines come with each order, in the form that is not called legacy (contract, section 2)."""
LIMIT = 250
_ONE_SECOND = timedelta(seconds=1)
_WIDEST_GAP = 20
"""Orders between two wanted ones that are read along, rather than to make another call."""
Raw = tuple[str, dict[str, Any]]
"""An order's raw text and its parsed value."""
_IGNORED = "The store's answer holds orders that were not asked for: it did not understand a filter or the sorting of the list"


def changed(
    calls: Calls, sighter: Sighter, position: Position, *, page_size: int, watch_acknowledged: bool
) -> Page:
    """Orders of the statuses that are read, modified at or after `position.since`; see the port.

    With `watch_acknowledged` also those that carry our mark in its status, so that a later edit is seen. Several statuses are
    read from one list of all orders, since a list takes one status only and two lists have no common order.
    """
    parameters = {
        "sort": "date_modified:asc",
        "limit": str(page_size),
        "page": str(position.page),
        **INCLUDES,
    }
    if len(sighter.read) == 1 and not watch_acknowledged:
        parameters["status_id"] = str(next(iter(sighter.read)))
    since = None if position.since is None else position.since.astimezone(UTC).replace(microsecond=0)
    if since is not None:
        parameters["min_date_modified"] = date_parameter(since - _ONE_SECOND)
    answer = calls.orders(parameters)
    found = orders(answer)
    _check([time_of(given.get("date_modified")) for _, _, given in found], since=since)
    rows = [
        row
        for order_id, body, given in found
        if watch_acknowledged or given.get("status_id") in sighter.read
        for each in sighter.ids_of(order_id, given)
        if (row := sighter.seen_as(each, body, given)).eligible
        and (since is None or row.modified_at is None or row.modified_at >= since)
    ]
    rows.sort(key=_in_order)
    return Page(rows=tuple(rows), more=len(found) >= page_size, answered_at=answer.answered_at)


def date_parameter(moment: datetime) -> str:
    """A moment in whole seconds with an explicit offset, as the list's filters take it; it is encoded once, when it is sent."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def read(calls: Calls, sighter: Sighter, wanted: Sequence[str]) -> dict[str, Seen | Gone]:
    """How these orders stand now. `Gone` is said only where the store, asked for this very order, says that it is not there."""
    bases = sorted({int(base_of(each)) for each in wanted if is_id(each)})
    found: dict[str, Raw | None] = {}
    for rows in raised(calls.each(_spans(bases), lambda span: _span(calls, span))):
        found |= rows
    # A list may leave out what is archived, so an order that is not shown may still be there.
    missing = [str(each) for each in bases if str(each) not in found]
    found |= dict(raised(calls.each(missing, lambda each: (each, _one(calls, each)))))
    return {each: _stands(sighter, each, found.get(base_of(each))) for each in wanted}


def _stands(sighter: Sighter, platform_order_id: str, raw: Raw | None) -> Seen | Gone:
    if raw is None or not is_id(platform_order_id) or group_of(platform_order_id) > count_of(raw[1]):
        return Gone()
    return sighter.seen_as(platform_order_id, *raw)


def _in_order(row: Seen) -> tuple[datetime, int, int]:
    modified_at = row.modified_at or datetime.max.replace(tzinfo=UTC)
    return modified_at, int(base_of(row.platform_order_id)), group_of(row.platform_order_id)


def _check(times: Iterable[datetime | None], *, since: datetime | None) -> None:
    """Raises `Retry` for rows that the filter or the sorting leaves no room for: reading on would never end, or step over some."""
    last: datetime | None = None
    for time in times:
        if time is None:
            continue
        if since is not None and time < since - _ONE_SECOND:
            raise Retry(f"{_IGNORED} (min_date_modified).")
        if last is not None and time < last:
            raise Retry(f"{_IGNORED} (sort).")
        last = time


@dataclass(frozen=True, slots=True)
class _Span:
    """Ids that one call reads: the list from the first to the last."""

    ids: tuple[int, ...]


def _spans(ids: Sequence[int]) -> list[_Span]:
    """Close ids together, at most as many as a page holds from the first to the last, those far from any other alone."""
    groups: list[list[int]] = []
    for each in ids:
        if groups and each - groups[-1][-1] <= _WIDEST_GAP and each - groups[-1][0] < LIMIT:
            groups[-1].append(each)
        else:
            groups.append([each])
    return [_Span(tuple(group)) for group in groups]


def _span(calls: Calls, span: _Span) -> dict[str, Raw | None]:
    if len(span.ids) == 1:
        only = str(span.ids[0])
        return {only: _one(calls, only)}
    first, last = span.ids[0], span.ids[-1]
    parameters = {
        "min_id": str(first),
        "max_id": str(last),
        "sort": "id:asc",
        "limit": str(LIMIT),
        **INCLUDES,
    }
    rows: dict[str, Raw | None] = {}
    for order_id, body, given in orders(calls.orders(parameters)):
        if not first <= int(order_id) <= last:
            raise Retry(f"{_IGNORED} (min_id, max_id).")
        if int(order_id) in span.ids:
            rows[order_id] = (body, given)
    return rows


def _one(calls: Calls, order_id: str) -> Raw | None:
    """The order, None where there is none."""
    answer = calls.answer(f"{ORDERS}/{order_id}", INCLUDES)
    if says_missing(answer):
        return None
    if answer.status != HTTPStatus.OK:
        raise read_failure(answer)
    given = single(answer)
    if identifier(given) != order_id:
        raise Retry(f"The store answered something else where order {order_id} was asked for.")
    return answer.text.strip(), given
