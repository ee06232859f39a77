"""Every eligible order, counted in short lists, status by status."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from app.connectors.bigcommerce import groups, totals
from app.connectors.bigcommerce.bodies import orders
from app.connectors.bigcommerce.calls import Calls
from app.connectors.bigcommerce.reading import LIMIT, date_parameter
from app.connectors.bigcommerce.settings import Settings
from app.connectors.bigcommerce.sighting import Sighter
from app.connectors.bigcommerce.values import money
from app.errors import Retry
from app.ports.sales_channel import Listed

_ONE_SECOND = timedelta(seconds=1)
_HEADER = (
    "subtotal_ex_tax",
    "subtotal_inc_tax",
    "shipping_cost_ex_tax",
    "shipping_cost_inc_tax",
    "handling_cost_ex_tax",
    "handling_cost_inc_tax",
    "wrapping_cost_ex_tax",
    "wrapping_cost_inc_tax",
    "total_tax",
    "discount_amount",
    "coupon_discount",
    "store_credit_amount",
    "gift_certificate_amount",
)


def census(
    calls: Calls, sighter: Sighter, *, settings: Settings, since: datetime | None, until: datetime
) -> Iterator[tuple[Listed, ...]]:
    """See the port. The statuses that are read come first: an order that is acknowledged meanwhile is then met at least once."""
    told: set[str] = set()
    for status in (*sorted(sighter.read), sighter.acknowledged):
        first = 1
        while True:
            calls.begin()
            found = orders(calls.orders(_parameters(status, first, since, until)))
            if any(int(order_id) < first for order_id, _, _ in found):
                raise Retry(
                    "The store's list begins before the order that was asked for; it did not understand min_id."
                )
            rows = [
                row
                for order_id, _, given in found
                if order_id not in told and given.get("is_deleted") is not True
                for row in _listed(order_id, given, sighter, settings)
            ]
            told |= {order_id for order_id, _, _ in found}
            inside = tuple(row for row in rows if _is_between(row.created_at, since, until))
            if inside:
                yield inside
            if not found:  # A store may show fewer than it was asked for, and have more.
                break
            first = max(int(order_id) for order_id, _, _ in found) + 1


def _listed(order_id: str, given: dict[str, Any], sighter: Sighter, settings: Settings) -> Iterator[Listed]:
    """The order, or those of ours that it is; what each of several comes to stands in no header."""
    ids = sighter.ids_of(order_id, given)
    total = _total(given, settings) if len(ids) == 1 else None
    for each in ids:
        its_own = {**given, groups.GROUP: groups.group_of(each)}
        yield sighter.listed(platform_order_id=each, given=its_own, total=total)


def _parameters(status: int, first: int, since: datetime | None, until: datetime) -> dict[str, str]:
    # Whether the ends of a date filter are included is not documented: a second more is asked for, and taken off again.
    parameters = {
        "status_id": str(status),
        "sort": "id",
        "min_id": str(first),
        "limit": str(LIMIT),
        "max_date_created": date_parameter(until + 2 * _ONE_SECOND),
    }
    if since is not None:
        parameters["min_date_created"] = date_parameter(since - _ONE_SECOND)
    return parameters


def _is_between(created_at: datetime | None, since: datetime | None, until: datetime) -> bool:
    if created_at is None:
        return True
    return created_at <= until and (since is None or created_at >= since.replace(microsecond=0))


def _total(given: dict[str, Any], settings: Settings) -> Decimal | None:
    """The order's total in our words, as far as the header alone tells; None where it cannot be read."""
    try:
        header = {name: money(given.get(name) or 0) for name in _HEADER}
        header["total_inc_tax"] = money(given["total_inc_tax"])
    except (KeyError, ValueError):
        return None
    whole = {**header, "is_tax_inclusive_pricing": given.get("is_tax_inclusive_pricing") is True}
    reading = totals.reading_of(whole, (), settings=settings, allowed=Decimal("0.05"))
    if reading is None:
        reading = next(totals.readings(whole, (), settings=settings))
    return totals.total(whole, reading)
