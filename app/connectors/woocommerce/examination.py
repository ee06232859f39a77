"""A harmless look at one shop: whether we may read and write, and whether it has the statuses that the site names."""

from app.connectors.woocommerce.answers import without_rest_api
from app.connectors.woocommerce.bodies import listed
from app.connectors.woocommerce.calls import ANY_ORDER, Calls, counted, readable
from app.connectors.woocommerce.settings import Settings
from app.errors import Retry, Unknown
from app.ports.examination import Examination, Trouble

_OPEN_TO_ALL = Trouble(
    "The address begins with http://: whoever stands between here and the shop reads the customers' data.",
    mend=("url",),
    stops=False,
)


def examine(calls: Calls, *, settings: Settings, is_near: bool) -> Examination:
    """Three calls, four with an `ack_status`; nothing is changed by any. Raises `Retry` or `Misconfigured`.

    `is_near`: the shop is on this machine, so that nobody stands between.
    """
    first = calls.answer("/orders", ANY_ORDER)
    missing = without_rest_api(first)
    if missing is not None:
        raise missing
    orders = counted(calls.good(first, ANY_ORDER)).orders
    calls.check_status(",".join(settings.statuses), setting="statuses")
    if settings.ack_status:
        calls.check_status(settings.ack_status, setting="ack_status")
    prove_writing(calls)
    return Examination(
        found=f"Reading and writing work; the shop has {orders} orders.",
        answered_at=first.answered_at,
        troubles=() if calls.encrypted or is_near else (_OPEN_TO_ALL,),
    )


def prove_writing(calls: Calls) -> None:
    """A batch of nothing is answered with an empty list, and a key that may only read is refused (contract sections 1 and 7)."""
    try:
        readable(listed, calls.post("/orders/batch", {"update": []}))
    except Unknown as error:
        # There was nothing in it that could have been done.
        raise Retry(error.reason) from None
