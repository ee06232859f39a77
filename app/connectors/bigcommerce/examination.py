"""A harmless look at one store: whether we may read and write, and whether it has the statuses that the site names."""

from http import HTTPStatus

from app.connectors.bigcommerce.answers import good, what_came, write_failure, wrong_address
from app.connectors.bigcommerce.bodies import listed, orders, single
from app.connectors.bigcommerce.calls import ORDERS, Calls
from app.connectors.bigcommerce.settings import Settings
from app.connectors.bigcommerce.statuses import choose
from app.errors import Misconfigured, Retry
from app.ports.examination import Examination, Trouble
from app.transport import Answer, NoAnswer

COUNT = "/v2/orders/count"
_NO_ORDER = 2**31 - 1
"""The id of an order that no store has. An update of it is answered with 404 by whoever may write, with 403 to all others."""
_REFUSED = (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
_OPEN_TO_ALL = Trouble(
    "The address begins with http://: whoever stands between here and the store reads the customers' data.",
    mend=("url",),
    stops=False,
)


def examine(calls: Calls, *, settings: Settings, is_near: bool) -> Examination:
    """Up to five calls; nothing is changed by any. Raises `Retry` or `Misconfigured`.

    `is_near`: the store is on this machine, so that nobody stands between.
    """
    first = calls.answer(COUNT)
    missing = wrong_address(first)
    if missing is not None:
        raise missing
    count = counted(good(first))
    rows = listed(calls.get("/v2/order_statuses", about="order statuses"))
    choose(statuses=settings.statuses, ack_status=settings.ack_status, listed=rows)
    _prove_writing(calls)
    troubles = [] if calls.is_encrypted or is_near else [_OPEN_TO_ALL]
    return Examination(
        found=f"Reading and writing work; the store has {count} orders.",
        answered_at=first.answered_at,
        troubles=(*troubles, *_transactions(calls, settings)),
    )


def counted(answer: Answer) -> int:
    """How many orders the store says it has. Raises `Retry`."""
    given = single(answer)
    count = given.get("count") if isinstance(given, dict) else None
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise Retry("The store's answer does not tell how many orders there are.")
    return count


def _prove_writing(calls: Calls) -> None:
    """An update that cannot change anything: of an order that there is not, of a field that is not writable.

    Either is refused (contract, sections 7 and 9), and a token without the scope to modify orders is refused before that.
    """
    try:
        answer = calls.request("PUT", f"{ORDERS}/{_NO_ORDER}", json={"id": _NO_ORDER})
    except NoAnswer as error:
        raise Retry(f"The store gave no whole answer ({error}).") from None
    if answer.status in _REFUSED:
        return
    failure = write_failure(answer, order_id=str(_NO_ORDER))
    if isinstance(failure, Misconfigured):
        raise failure
    raise Retry(f"The store answered an update that it should refuse with {what_came(answer)}.")


def _transactions(calls: Calls, settings: Settings) -> list[Trouble]:
    """Whether an order's transactions may be read, where the settings ask for any."""
    if settings.transactions == "never":
        return []
    found = orders(calls.orders({"limit": "1"}))
    if not found:
        return []
    answer = calls.answer(f"/v3/orders/{found[0][0]}/transactions")
    if answer.status != HTTPStatus.FORBIDDEN:
        return []
    return [
        Trouble(
            f"The API token may not read transactions ({what_came(answer)}), so that orders whose own fields do not tell how they"
            " were paid will wait; make one with the scope Order transactions (read-only), or set transactions=never.",
            mend=("credential token", "set transactions"),
        )
    ]
