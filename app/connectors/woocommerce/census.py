"""A short list of the orders that are eligible now: ids, totals and times, and nothing that belongs to a customer."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from app.connectors.woocommerce.bodies import identifier, listed
from app.connectors.woocommerce.calls import Calls, readable
from app.connectors.woocommerce.schema import gmt, money
from app.connectors.woocommerce.settings import Settings
from app.connectors.woocommerce.sighting import is_marked
from app.domain.reading import Position, following
from app.errors import Retry
from app.ports.sales_channel import Listed

_PAGE = 100
_ONE_SECOND = timedelta(seconds=1)
_FIELDS = "id,number,status,total,date_created_gmt,date_modified_gmt"


def census(
    calls: Calls, *, settings: Settings, since: datetime | None, until: datetime
) -> Iterator[tuple[Listed, ...]]:
    """See the port. Pages go by the time an order was made, which no edit moves, and by key: an offset would step over orders
    when others leave the list.
    """
    known: set[str] = set()
    position: Position | None = Position(since=since)
    while position is not None:
        answer = calls.get("/orders", _parameters(settings, position, until))
        rows = [_row(given, settings) for _, given in readable(listed, answer)]
        fresh = [row for row in rows if row.platform_order_id not in known and _is_within(row, since, until)]
        known.update(row.platform_order_id for row in fresh)
        if fresh:
            yield tuple(fresh)
        times = [row.created_at for row in rows if row.created_at is not None]
        more = 'rel="next"' in answer.headers.get("Link", "") or len(rows) >= _PAGE
        position = following(position, last_modified_at=max(times, default=None), more=more)


def _parameters(settings: Settings, position: Position, until: datetime) -> dict[str, str]:
    statuses = dict.fromkeys((*settings.statuses, settings.ack_status))
    parameters = {
        "orderby": "date",
        "order": "asc",
        "status": ",".join(filter(None, statuses)),
        "per_page": str(_PAGE),
        "page": str(position.page),
        "before": _utc(until + _ONE_SECOND),
        "dates_are_gmt": "true",
        # The mark decides only about orders that our own acknowledgement has moved.
        "_fields": f"{_FIELDS},meta_data" if settings.ack_status else _FIELDS,
    }
    if position.since is not None:
        parameters["after"] = _utc(position.since - _ONE_SECOND)
    return parameters


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()


def _is_within(row: Listed, since: datetime | None, until: datetime) -> bool:
    # An order whose time cannot be read is shown rather than lost.
    return row.created_at is None or (
        (since is None or row.created_at >= since.replace(microsecond=0)) and row.created_at <= until
    )


def _row(given: Any, settings: Settings) -> Listed:
    found = identifier(given)
    if found is None:
        raise Retry("The shop's list holds something that is no order with an id.")
    status = given.get("status")
    return Listed(
        platform_order_id=found,
        number=str(given.get("number") or ""),
        status=status if isinstance(status, str) else "",
        eligible=status in settings.statuses
        or (status == settings.ack_status and is_marked(given=given, settings=settings)),
        total=_or_none(money, given.get("total")),
        created_at=_or_none(gmt, given.get("date_created_gmt")),
        modified_at=_or_none(gmt, given.get("date_modified_gmt")),
    )


def _or_none(read: Any, value: Any) -> Any:
    try:
        return read(value)
    except ValueError:
        return None
