"""Orders as the store shows them: lists of what changed, and single orders looked up by id in as few calls as can be."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from app.connectors.bigcommerce.answers import read_failure, says_missing
from app.connectors.bigcommerce.bodies import identifier, orders, single
from app.connectors.bigcommerce.calls import ORDERS, Calls, raised
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
_LARGEST_ID = 2**31 - 1
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
        if (watch_acknowledged or given.get("status_id") in sighter.read)
        and (row := sighter.seen(platform_order_id=order_id, body=body, given=given)).eligible
        and (since is None or row.modified_at is None or row.modified_at >= since)
    ]
    rows.sort(
        key=lambda row: (row.modified_at or datetime.max.replace(tzinfo=UTC), int(row.platform_order_id))
    )
    return Page(rows=tuple(rows), more=len(found) >= page_size, answered_at=answer.answered_at)


def date_parameter(moment: datetime) -> str:
    """A moment in whole seconds with an explicit offset, as the list's filters take it; it is encoded once, when it is sent."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def read(calls: Calls, sighter: Sighter, wanted: Sequence[str]) -> dict[str, Seen | Gone]:
    """How these orders stand now. `Gone` is said only where the store, asked for this very order, says that it is not there."""
    found: dict[str, Seen | Gone] = {each: Gone() for each in wanted}
    spans = _spans(sorted({int(each) for each in wanted if is_id(each)}))
    shown = raised(calls.each(spans, lambda span: _span(calls, sighter, span)))
    for rows in shown:
        found |= rows
    # A list may leave out what is archived, so an order that is not shown may still be there.
    ranged = [str(each) for span in spans if len(span.ids) > 1 for each in span.ids]
    missing = [each for each in ranged if isinstance(found[each], Gone)]
    for rows in raised(calls.each(missing, lambda each: {each: _one(calls, sighter, each)})):
        found |= rows
    return found


def is_id(text: str) -> bool:
    """Whether this can be an id of theirs: nothing else is put into a URL."""
    return text.isascii() and text.isdigit() and text == str(int(text)) and 0 < int(text) <= _LARGEST_ID


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


def _span(calls: Calls, sighter: Sighter, span: _Span) -> Mapping[str, Seen | Gone]:
    if len(span.ids) == 1:
        only = str(span.ids[0])
        return {only: _one(calls, sighter, only)}
    first, last = span.ids[0], span.ids[-1]
    parameters = {
        "min_id": str(first),
        "max_id": str(last),
        "sort": "id:asc",
        "limit": str(LIMIT),
        **INCLUDES,
    }
    rows = {}
    for order_id, body, given in orders(calls.orders(parameters)):
        if not first <= int(order_id) <= last:
            raise Retry(f"{_IGNORED} (min_id, max_id).")
        if int(order_id) in span.ids:
            rows[order_id] = sighter.seen(platform_order_id=order_id, body=body, given=given)
    return rows


def _one(calls: Calls, sighter: Sighter, order_id: str) -> Seen | Gone:
    answer = calls.answer(f"{ORDERS}/{order_id}", INCLUDES)
    if says_missing(answer):
        return Gone()
    if answer.status != HTTPStatus.OK:
        raise read_failure(answer)
    given = single(answer)
    if identifier(given) != order_id:
        raise Retry(f"The store answered something else where order {order_id} was asked for.")
    return sighter.seen(platform_order_id=order_id, body=answer.text.strip(), given=given)
