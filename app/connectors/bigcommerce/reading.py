"""Orders as the store shows them: lists of what changed, and single orders looked up by id in as few calls as can be."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from app.connectors.bigcommerce.answers import good_list, read_failure, says_missing
from app.connectors.bigcommerce.bodies import identifier, orders, single
from app.connectors.bigcommerce.calls import ORDERS, Calls, raised
from app.connectors.bigcommerce.groups import base_of, count_of, group_of, is_id
from app.connectors.bigcommerce.sighting import Sighter, time_of
from app.domain.reading import Position
from app.errors import Retry
from app.ports.sales_channel import Gone, Page, Seen
from app.transport import Answer

INCLUDES = {
    "include": "consignments,consignments.line_items,fees",
    "consignment_structure": "object",
}
"""Addresses and lines come with each order, in the form that is not called legacy (contract, section 2)."""
LIMIT = 250
NOT_UNDERSTOOD = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
_ONE_SECOND = timedelta(seconds=1)
_WIDEST_GAP = 20
"""Orders between two wanted ones that are read along, rather than to make another call."""
_IGNORED = "The store's answer holds orders that were not asked for: it did not understand a filter or the sorting of the list"


@dataclass(frozen=True, slots=True)
class Look:
    """An order as the store showed it: its raw text, its parsed value, and when the answer came, in seconds of the calls' clock.

    `hidden`: no list shows the order although it is eligible, so that the body lacks what only lists show.
    """

    body: str
    given: dict[str, Any]
    at: float
    hidden: bool = False


class ByTime:
    """How a list in the order of its modifications is asked for; without the direction once a store has refused that.

    Ascending is the default, and the suffixed forms are missing in the platform's own enumeration (contract, section 2).
    """

    FIRST = "date_modified:asc"

    def __init__(self) -> None:
        self._sort = self.FIRST

    def list(self, calls: Calls, parameters: Mapping[str, str]) -> Answer:
        """The list that was answered."""
        answer = calls.order_list({**parameters, "sort": self._sort})
        if answer.status in NOT_UNDERSTOOD and ":" in self._sort:
            plain = calls.orders({**parameters, "sort": "date_modified"})
            self._sort = "date_modified"
            return plain
        return good_list(answer)


def changed(
    calls: Calls,
    sighter: Sighter,
    position: Position,
    *,
    by_time: ByTime,
    page_size: int,
    watch_acknowledged: bool,
) -> Page:
    """Orders of the statuses that are read, modified at or after `position.since`; see the port.

    With `watch_acknowledged` also those that carry our mark in its status, so that a later edit is seen. Several statuses are
    read from one list of all orders, since a list takes one status only and two lists have no common order.
    """
    parameters = {
        "limit": str(page_size),
        "page": str(position.page),
        **INCLUDES,
    }
    if len(sighter.read) == 1 and not watch_acknowledged:
        parameters["status_id"] = str(next(iter(sighter.read)))
    since = None if position.since is None else position.since.astimezone(UTC).replace(microsecond=0)
    if since is not None:
        parameters["min_date_modified"] = date_parameter(since - _ONE_SECOND)
    answer = by_time.list(calls, parameters)
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
    """How these orders stand now. `Gone` is said only where the store, asked for this very order, says that it is not there.

    Raises `Retry` for an eligible order that no list shows.
    """
    looks = look(calls, sighter, wanted)
    for base, each in looks.items():
        if each is not None and each.hidden:
            raise not_listed(base)
    return {each: stands(sighter, each, looks.get(base_of(each))) for each in wanted}


def not_listed(order_id: str) -> Retry:
    """What is said of an eligible order that the store has, but shows in no list."""
    return Retry(f"The store has the order {order_id}, but its list does not show it.")


def look(calls: Calls, sighter: Sighter, wanted: Sequence[str]) -> dict[str, Look | None]:
    """The platform's orders that these are, or are parts of, by their own ids; None for what is not there."""
    bases = sorted({int(base_of(each)) for each in wanted if is_id(each)})
    found: dict[str, Look | None] = {}
    for rows in raised(calls.each(_spans(bases), lambda span: _span(calls, span))):
        found |= rows
    # A list may leave out what is archived, so an order that is not shown may still be there.
    missing = [str(each) for each in bases if str(each) not in found]
    found |= dict(raised(calls.each(missing, lambda each: (each, _hidden(calls, sighter, each)))))
    return found


def stands(sighter: Sighter, platform_order_id: str, looked: Look | None) -> Seen | Gone:
    """What a look at the platform's order says of this one of ours."""
    if looked is None or not is_id(platform_order_id) or group_of(platform_order_id) > count_of(looked.given):
        return Gone()
    return sighter.seen_as(platform_order_id, looked.body, looked.given)


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


def _spans(ids: Sequence[int]) -> list[list[int]]:
    """Close ids together, at most as many as a page holds from the first to the last, those far from any other alone."""
    groups: list[list[int]] = []
    for each in ids:
        if groups and each - groups[-1][-1] <= _WIDEST_GAP and each - groups[-1][0] < LIMIT:
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def _span(calls: Calls, ids: Sequence[int]) -> dict[str, Look | None]:
    """The orders between the first and the last of `ids` that the list shows.

    Each is asked for by its id where the store shows others, since it then did not understand the filter.
    """
    first, last = ids[0], ids[-1]
    parameters = {"min_id": str(first), "max_id": str(last), "sort": "id", "limit": str(LIMIT), **INCLUDES}
    found = orders(calls.orders(parameters))
    if any(not first <= int(order_id) <= last for order_id, _, _ in found):
        several = [str(each) for each in ids]
        return {each: _one(calls, each, INCLUDES) for each in several}
    at = calls.clock()
    return {order_id: Look(body, given, at) for order_id, body, given in found if int(order_id) in ids}


def _hidden(calls: Calls, sighter: Sighter, order_id: str) -> Look | None:
    """An order that no list shows, None where there is none."""
    found = _one(calls, order_id, {})
    return None if found is None else replace(found, hidden=sighter.is_eligible(found.given))


def _one(calls: Calls, order_id: str, parameters: Mapping[str, str]) -> Look | None:
    """The order, None where there is none."""
    answer = calls.answer(f"{ORDERS}/{order_id}", parameters)
    if says_missing(answer):
        return None
    if answer.status != HTTPStatus.OK:
        raise read_failure(answer)
    given = single(answer)
    if identifier(given) != order_id:
        raise Retry(f"The store answered something else where order {order_id} was asked for.")
    return Look(answer.text.strip(), given, calls.clock())
