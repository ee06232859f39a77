"""What the store shows of an order in calls of its own only, read where it is needed and spliced into the order's raw text."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.connectors.bigcommerce import consignments
from app.connectors.bigcommerce.bodies import data, identifier, listed, plain, single
from app.connectors.bigcommerce.calls import ORDERS, Calls
from app.connectors.bigcommerce.payment import needs_transactions
from app.connectors.bigcommerce.settings import Settings
from app.connectors.bigcommerce.values import money
from app.domain.money import ZERO
from app.errors import Misconfigured, OrderSyncError, Retry
from app.transport import Answer, parse_json

_LIMIT = 250
_MOST_PAGES = 40


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An order that lacks something, and the names of what it lacks."""

    at: int
    body: str
    order_id: str
    names: tuple[str, ...]


def complete(calls: Calls, bodies: Sequence[str], *, settings: Settings) -> list[str | OrderSyncError]:
    """One answer for each body, in their order; those that lack nothing cost no call. Raises `Misconfigured`."""
    answers: list[str | OrderSyncError] = list(bodies)
    wanted = [found for at, body in enumerate(bodies) if (found := _wanted(at, body, settings))]
    if wanted:
        calls.begin()
    for each, answer in zip(wanted, calls.each(wanted, lambda one: _completed(calls, one)), strict=True):
        if isinstance(answer, Misconfigured):
            raise answer
        answers[each.at] = answer
    return answers


def lacking(given: dict[str, Any], *, settings: Settings) -> tuple[str, ...]:
    """The names of the parts that `given`, an order as the store shows it, does not have and needs."""
    found = []
    if consignments.PARTS in given:
        return ()
    if consignments.lacks_lines(given):
        found.append("products")
    if consignments.lacks_consignments(given):
        found.append("shipping_addresses")
    if consignments.is_link(given.get("fees")):
        found.append("fees")
    if _has_coupon(given):
        found.append("coupons")
    if needs_transactions(given, settings=settings):
        found.append("transactions")
    return tuple(found)


def _wanted(at: int, body: str, settings: Settings) -> _Wanted | None:
    try:
        given = parse_json(body)
    except ValueError:
        return None  # Normalizing names what is wrong with it.
    order_id = identifier(given)
    names = lacking(given, settings=settings) if order_id else ()
    return _Wanted(at, body, order_id, names) if order_id and names else None


def _has_coupon(given: dict[str, Any]) -> bool:
    try:
        return money(given.get("coupon_discount", 0)) != ZERO
    except ValueError:
        return False


def _completed(calls: Calls, wanted: _Wanted) -> str:
    return consignments.spliced(
        wanted.body, {name: _part(calls, wanted.order_id, name) for name in wanted.names}
    )


def _part(calls: Calls, order_id: str, name: str) -> list[Any]:
    if name == "transactions":
        found = data(_of(calls, order_id, f"/v3/orders/{order_id}/transactions", name))
        if not isinstance(found, list):
            raise Retry(f"The transactions of order {order_id} are no list.")
        return [plain(each) for each in found]
    if name == "fees":
        answer = _of(calls, order_id, f"{ORDERS}/{order_id}/fees", name)
        given = single(answer) if answer.body else {}
        fees = given.get("fees") if isinstance(given, dict) else given
        return [plain(each) for each in fees] if isinstance(fees, list) else []
    return _paged(calls, order_id, name)


def _of(
    calls: Calls, order_id: str, path: str, name: str, parameters: Mapping[str, str] | None = None
) -> Answer:
    return calls.get(path, parameters, about=f"the {name.replace('_', ' ')} of order {order_id}")


def _paged(calls: Calls, order_id: str, name: str) -> list[Any]:
    """Every row of a V2 list, page after page. Raises `Retry` where the pages bring nothing new."""
    path = f"{ORDERS}/{order_id}/{name}"
    rows: dict[str, Any] = {}
    for page in range(1, _MOST_PAGES + 1):
        found = listed(_of(calls, order_id, path, name, {"limit": str(_LIMIT), "page": str(page)}))
        fresh = {identifier(each) or json.dumps(each, default=str): plain(each) for each in found}
        if page > 1 and fresh and fresh.keys() <= rows.keys():
            raise Retry(f"The store repeats the pages of {path}.")
        rows |= fresh
        if len(found) < _LIMIT:
            return list(rows.values())
    raise Retry(f"The pages of {path} do not end.")
