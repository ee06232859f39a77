"""Settling an order as it is, giving errors to somebody, and noting what people have to say."""

from collections.abc import Sequence

from app.domain.road import Owed, State, StepState
from app.errors import UsageError
from app.ports.desk import DeskOrder
from app.sync.parts import Parts
from app.sync.resume import End, Result

_LONGEST = 2000


def skip(parts: Parts, order: DeskOrder, *, reason: str, by: str, revision: int | None = None) -> Result:
    """Nothing more is done for this order, whatever its shop shows of it. Doing it twice does nothing the second time.

    With the `revision` at which a person saw it, an order that stands at another one is left alone.
    """
    check_reason(reason)
    done = _done(order)
    if done:
        return Result(order.name, order.site, order.thread_id, End.NOTHING, done)
    refusal = _refusal(order)
    is_as_seen = revision is None or revision == order.revision
    if not refusal and not (
        is_as_seen
        and parts.store.skip(order.thread_id, revision=order.revision, reason=reason.strip(), by=by)
    ):
        refusal = "Somebody else has changed it at this moment; look at it again."
    if refusal:
        return Result(order.name, order.site, order.thread_id, End.REFUSED, refusal)
    sentence = f"Nothing more is done for it ({reason.strip()})."
    return Result(order.name, order.site, order.thread_id, End.SETTLED, sentence)


def check_reason(reason: str) -> None:
    """Raises `UsageError` for a reason that is none."""
    if not reason.strip():
        raise UsageError("Say why with --reason.")
    _check_length(reason)


def _refusal(order: DeskOrder) -> str:
    """Why this order cannot be settled as it is, empty where it can."""
    export = order.step(Owed.EXPORT)
    if export is not None and export.state in {StepState.SENDING, StepState.IN_DOUBT}:
        return "What was sent of it to the ERP is still being verified; wait for that."
    if order.errors or order.state in {State.REJECTED, State.HELD}:
        return ""
    return f"It is on its way (at {order.stage}); only an order that stands in error, or is held, can be skipped."


def _done(order: DeskOrder) -> str:
    """Why there is nothing to be settled, empty where there is."""
    if order.errors or order.state in {State.REJECTED, State.HELD, State.ACTIVE}:
        return ""
    return f"It is {order.state} already."


def assign(parts: Parts, orders: Sequence[DeskOrder], *, to: str | None, by: str) -> int:
    """Give the open errors of these orders to somebody, or to nobody. Returns how many errors."""
    name = None if to is None else to.strip()
    if name is not None and not 0 < len(name) <= 64:  # noqa: PLR2004 - the column's length
        raise UsageError("A name must have 1 to 64 characters.")
    return parts.store.assign([each.thread_id for each in orders], to=name, by=by)


def comment(parts: Parts, order: DeskOrder, *, text: str, by: str) -> None:
    """Note in the order's audit trail what a person has to say."""
    if not text.strip():
        raise UsageError("Say something.")
    _check_length(text)
    parts.store.comment(order.thread_id, text=text.strip(), by=by)


def _check_length(text: str) -> None:
    if len(text) > _LONGEST:
        raise UsageError(f"A text may have {_LONGEST} characters at most.")
