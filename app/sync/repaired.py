"""An order as it stands with what people have changed of it, on top of what was received."""

from collections.abc import Sequence
from typing import Any

from app.domain import document
from app.domain.order import Order
from app.domain.overlay import ABSENT, Conflict, Layer, overlaid, overlaid_text
from app.errors import Reject
from app.ports.desk import Repair
from app.ports.sales_channel import SalesChannel

KIND_CONFLICT = "conflict"


def normalized(channel: SalesChannel, body: str, *, prefix: str, repairs: Sequence[Repair]) -> Order:
    """The order in `body` with these repairs. Raises `Reject`, also where the platform has changed a repaired field."""
    try:
        order = channel.normalize(repaired_body(body, repairs), prefix=prefix)
        return with_changes(order, repairs)
    except Conflict as conflict:
        raise _rejection(conflict, repairs) from None


def repaired_body(body: str, repairs: Sequence[Repair]) -> str:
    """The body with those of these repairs that are over the body. Raises `Conflict`."""
    return overlaid_text(body, _changes(repairs, Layer.BODY))


def with_changes(order: Order, repairs: Sequence[Repair]) -> Order:
    """The order with those of these repairs that are over the order. Raises `Conflict`, and `ValueError` for what no order is."""
    changes = _changes(repairs, Layer.ORDER)
    if not changes:
        return order
    try:
        return document.load(overlaid(document.dump(order), changes))
    except (ArithmeticError, KeyError, TypeError) as error:
        raise ValueError(str(error)) from None


def _changes(repairs: Sequence[Repair], layer: Layer) -> list[Any]:
    return [each.change for each in repairs if each.layer is layer]


def _rejection(conflict: Conflict, repairs: Sequence[Repair]) -> Reject:
    change = conflict.change
    repair = next(each for each in repairs if each.change is change)
    now = "it is no longer there" if conflict.now is ABSENT else f"it is {conflict.now!r} now"
    if conflict.now in {change.before, change.after}:
        now = "its line is another now"
    return Reject(
        f"{repair.by} had changed {change.pointer} from {shown(change.before)} to {shown(change.after)}, and in the shop {now}; "
        f"repair it again, or withdraw that repair (ordersync errors repair --withdraw {change.pointer}).",
        kind=KIND_CONFLICT,
        field=change.pointer,
    )


def shown(value: object) -> str:
    """A value as a sentence shows it."""
    return "nothing" if value is ABSENT else repr(value)
