"""Repairing an order: fields changed on top of what was received, checked by the rules of the road before they are kept."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from app.domain import document
from app.domain.codes import COUNTRIES
from app.domain.money import NotWholeUnits, amount, smallest_unit
from app.domain.order import Order
from app.domain.overlay import (
    ABSENT,
    Change,
    Conflict,
    Json,
    Layer,
    NoSuchField,
    context_of,
    leaves,
    loaded,
    overlaid,
    value_at,
)
from app.domain.road import Owed, Stage, State, StepState
from app.errors import Overtaken, Reject, UsageError
from app.ports.desk import DeskOrder, Repair, SavedRepair
from app.ports.store import Site
from app.sync.parts import Parts, site_with_id
from app.sync.rehearse import Foreseen, rehearse
from app.sync.repaired import normalized, shown

_IN_ORDER = re.compile(
    r"/(bill|ship)/(first_name|last_name|company|address1|address2|city|state|postcode|country|email|phone)"
    r"|/customer_note|/payment/(method|title|transaction_id)"
    r"|/lines/\d+/(sku|name|quantity|amount|listed|nominal)"
)
"""What may be changed of an order that has been made of its body: nothing that says which order it is, or what was paid."""

_NUMBERS = re.compile(r"/lines/\d+/(quantity|amount|listed|nominal)")
_DIGITS = re.compile(r"-?\d{1,15}(\.\d{1,5})?")
_NEEDED = re.compile(r"/(bill|ship)/(address1|city|country)|/lines/\d+/sku|/payment/method")
_TOO_MANY = 10**9
_OF_LINES = "/lines/"
_LONGEST = 10_000


@dataclass(frozen=True, slots=True)
class Field:
    """A field that may be changed: its pointer, its value now, and whether the open error is about it."""

    pointer: str
    value: Json
    failing: bool


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair comes to. `kept`: it was stored. `foreseen` is what would become of the order with it."""

    order: str
    kept: bool
    changes: tuple[Change, ...]
    foreseen: Foreseen
    revision: int


def fields(parts: Parts, order: DeskOrder) -> tuple[Field, ...]:
    """The fields of this order that may be changed, with the repairs in force. Raises `UsageError`.

    A field that an open error is about and that was not received at all comes last, without a value.
    """
    layer, received = _received(parts, site_with_id(parts, order.site_id), order)
    present = _fitting(received, [each for each in order.repairs if each.layer is layer])
    about = dict.fromkeys(each.field for each in order.errors if each.field)
    found = [
        Field(pointer=pointer, value=value, failing=pointer in about)
        for pointer, value in leaves(present)
        if layer is Layer.BODY or _IN_ORDER.fullmatch(pointer)
    ]
    missing = [each for each in about if layer is Layer.BODY and _is_missing(present, each)]
    return (*found, *(Field(pointer=each, value=None, failing=True) for each in missing))


def _is_missing(present: Json, pointer: str) -> bool:
    """Whether the field could be there, and is not."""
    try:
        return value_at(present, pointer) is ABSENT
    except NoSuchField:
        return False


def repair(
    parts: Parts,
    order: DeskOrder,
    values: Mapping[str, str],
    *,
    reason: str,
    by: str,
    withdraw: Sequence[str] = (),
    revision: int | None = None,
    dry_run: bool = False,
) -> Repaired:
    """Change these fields (JSON pointers) of a stopped order; `withdraw` names fields that are to be as received again.

    Nothing is stored where the order would still be rejected: `Reject` with the sentence that the road would give. Raises
    `UsageError` for what cannot be repaired, for fields that cannot be changed so, and where somebody else has changed the
    order since `revision` (or, without one, has repaired one of the same fields).
    """
    check_open(order)
    _check_revision(order, values, by=by, revision=revision)
    site = site_with_id(parts, order.site_id)
    layer, received = _received(parts, site, order)
    changes = tuple(_change(layer, received, pointer, text) for pointer, text in values.items())
    ended = tuple(each for each in order.repairs if each.change.pointer in withdraw)
    _check_any(order, changes, ended, withdraw)
    made, stage = _made(parts, site, order, layer, changes=changes, ended=ended, reason=reason, by=by)
    _check_identity(parts, site, made)
    foreseen = rehearse(parts, site, [made])[order.thread_id]
    if isinstance(foreseen.failure, Reject):
        raise foreseen.failure
    result = Repaired(
        order=order.name, kept=not dry_run, changes=changes, foreseen=foreseen, revision=order.revision
    )
    if dry_run:
        return result
    saved = SavedRepair(
        thread_id=order.thread_id,
        revision=order.revision,
        layer=layer,
        changes=changes,
        withdrawn=tuple(each.id for each in ended),
        order=None
        if made.document is None or stage is Stage.NORMALIZE
        else document.load_text(made.document),
        stage=stage,
        reason=reason,
        by=by,
    )
    if not parts.store.save_repair(saved):
        raise Overtaken(
            f"The order {order.name} has been changed by somebody else meanwhile; nothing was stored. Look at it again."
        )
    return replace(result, revision=order.revision + 1)


def _check_identity(parts: Parts, site: Site, made: DeskOrder) -> None:
    """Raises `UsageError` where it would become another order: everything that happens once happens once for its number."""
    try:
        order = normalized(
            parts.peers.channel(site), made.body or "", prefix=site.prefix, repairs=made.repairs
        )
    except Reject:
        # The rehearsal says so.
        return
    if order.platform_order_id != made.platform_order_id or made.order_number not in {"", order.number}:
        raise UsageError(f"The number and the id of the order {made.name} cannot be changed here.")


def check_open(order: DeskOrder) -> None:
    """Raises `UsageError` for an order that cannot be repaired, whatever would be changed of it."""
    export = order.step(Owed.EXPORT)
    if order.archived_at is not None or order.erased_at is not None:
        raise UsageError(f"The order {order.name} is in the archive, or was erased; it cannot be repaired.")
    # The ERP may have refused it while its mark still waits.
    refused = export is not None and export.state is StepState.FAILED and bool(order.errors)
    if order.state is not State.REJECTED and not refused:
        raise UsageError(
            f"The order {order.name} is {order.state}; only an order that stands in error can be repaired."
        )
    if export is not None and export.may_exist:
        raise UsageError(
            f"The ERP has the order {order.name} as document {export.document}; correct it there."
            if export.document
            else f"The order {order.name} may have come to the ERP by an earlier attempt; it can be resumed, but not be made another."
        )


def _check_revision(order: DeskOrder, values: Mapping[str, str], *, by: str, revision: int | None) -> None:
    if revision is not None and revision != order.revision:
        raise Overtaken(
            f"The order {order.name} has been changed since you looked at it (it is at revision {order.revision}, not {revision}); look at it again."
        )
    for each in order.repairs:
        if revision is None and each.by != by and each.change.pointer in values:
            raise Overtaken(
                f"{each.by} has changed {each.change.pointer} to {shown(each.change.after)} at {each.at:%Y-%m-%d %H:%M} UTC; "
                f"to change it again, say that you know: --revision {order.revision}."
            )


def _check_any(
    order: DeskOrder, changes: Sequence[Change], ended: Sequence[Repair], withdraw: Sequence[str]
) -> None:
    in_force = {each.change.pointer for each in ended}
    unknown = [pointer for pointer in withdraw if pointer not in in_force]
    if unknown:
        raise UsageError(f"No repair of {unknown[0]} is in force for the order {order.name}.")
    if not changes and not ended:
        raise UsageError("Say what is to be changed: --set POINTER=VALUE.")


def _received(parts: Parts, site: Site, order: DeskOrder) -> tuple[Layer, Json]:
    """What a person changes, without the repairs that are laid over it: the order made of the body, as JSON values.

    Where none can be made of it, the body.
    """
    if order.body is None:
        raise UsageError(
            f"What the platform sent of the order {order.name} is not stored any more; have it read again "
            "(ordersync errors replay --read-again)."
        )
    of_body = [each for each in order.repairs if each.layer is Layer.BODY]
    try:
        made = normalized(parts.peers.channel(site), order.body, prefix=site.prefix, repairs=of_body)
    except Reject:
        return Layer.BODY, _body(order)
    return Layer.ORDER, document.dump(made)


def _body(order: DeskOrder) -> Json:
    try:
        return loaded(order.body or "")
    except ValueError as error:
        raise UsageError(f"The body of the order {order.name} cannot be changed: {error}.") from None


def _fitting(present: Json, repairs: Sequence[Repair]) -> Json:
    """The document with those of the repairs that still fit; one that does not is shown as its conflict."""
    fitting = []
    for each in repairs:
        try:
            overlaid(present, [each.change])
        except Conflict:
            continue
        fitting.append(each.change)
    return overlaid(present, fitting)


def _change(layer: Layer, received: Json, pointer: str, text: str) -> Change:
    if layer is Layer.ORDER and not _IN_ORDER.fullmatch(pointer):
        raise UsageError(
            f"The field {pointer} cannot be changed here; `ordersync errors repair` without --set shows those that can."
        )
    if len(text) > _LONGEST:
        raise UsageError(f"The value for {pointer} is longer than {_LONGEST} characters.")
    try:
        before = value_at(received, pointer)
    except NoSuchField as error:
        raise UsageError(f"The order has no such field: {error}.") from None
    if layer is Layer.ORDER and _NUMBERS.fullmatch(pointer):
        after: Json = _number(pointer, text, currency=received["currency"])
    else:
        after = _typed(pointer, before, text)
    _check_sense(layer, pointer, after)
    return Change(pointer=pointer, before=before, after=after, context=context_of(received, pointer))


def _check_sense(layer: Layer, pointer: str, after: Json) -> None:
    """What the road would not notice any more: it judges addresses and payments when it reads the platform's body."""
    if layer is Layer.BODY:
        if "currency" in pointer.rpartition("/")[2].lower():
            raise UsageError("The currency of an order cannot be changed here.")
        return
    if _NEEDED.fullmatch(pointer) and not str(after).strip():
        raise UsageError(f"{pointer} must not be empty.")
    if pointer.endswith("/country") and after not in COUNTRIES:
        raise UsageError(f"{pointer} must be a country of ISO 3166-1 in two letters, such as US.")


def _number(pointer: str, text: str, *, currency: str) -> str:
    """An amount or a quantity of an order, as its document has it."""
    try:
        if not pointer.endswith("/quantity") and _DIGITS.fullmatch(text.strip()):
            return str(amount(text.strip(), currency=currency))
        quantity = Decimal(text.strip()) if _DIGITS.fullmatch(text.strip()) else Decimal("NaN")
    except NotWholeUnits:
        raise UsageError(
            f"{pointer} must be in whole units of {smallest_unit(currency)} {currency}."
        ) from None
    except ArithmeticError:
        quantity = Decimal("NaN")
    if not quantity.is_finite():
        raise UsageError(f"{pointer} must be a number such as 12.50.")
    if pointer.endswith("/quantity") and not 0 < quantity < _TOO_MANY:
        raise UsageError(f"{pointer} must be above zero and below {_TOO_MANY}.")
    return str(quantity)


def _typed(pointer: str, before: Json, text: str) -> Json:
    """The text as a value of the kind that the field has now."""
    match before:
        case dict() | list():
            raise UsageError(f"{pointer} is no single field; name one of its fields.")
        case bool():
            words = {"true": True, "false": False}
            if text.strip().lower() not in words:
                raise UsageError(f"{pointer} must be true or false.")
            return words[text.strip().lower()]
        case int() | Decimal():
            try:
                number = loaded(text)
            except ValueError:
                number = None
            if isinstance(number, bool) or not isinstance(number, int | Decimal):
                raise UsageError(f"{pointer} must be a number.")
            return number
        case _:
            return text


def _made(
    parts: Parts,
    site: Site,
    order: DeskOrder,
    layer: Layer,
    *,
    changes: Sequence[Change],
    ended: Sequence[Repair],
    reason: str,
    by: str,
) -> tuple[DeskOrder, Stage]:
    """The order as it would stand with the repair, and where it would go on."""
    pointers = {each.pointer for each in changes}
    kept = [
        each
        for each in order.repairs
        if each not in ended and not (each.layer is layer and each.change.pointer in pointers)
    ]
    now = parts.store.now()
    new = [Repair(id=0, layer=layer, change=each, by=by, reason=reason, at=now) for each in changes]
    made = replace(order, repairs=(*kept, *new))
    if layer is Layer.BODY:
        return made, Stage.NORMALIZE
    order_now = _normalized_with(parts, site, made)
    touched = [each.pointer for each in changes] + [each.change.pointer for each in ended]
    stage = _stage(order.stage, touched)
    if stage is not order.stage and order.state is not State.REJECTED:
        raise UsageError(
            f"The order {order.name} is still to be marked in the shop; its lines can be changed once that is over."
        )
    if stage not in {Stage.NORMALIZE, Stage.VERIFY_SKUS} and order.document is not None:
        order_now = _laid_over(order.document, order_now)
    return replace(made, stage=stage, document=document.dump_text(order_now)), stage


def _stage(stopped: Stage, touched: Sequence[str]) -> Stage:
    """Where it goes on: where it stopped, but an order whose lines are others has its SKUs verified again."""
    if any(pointer.startswith(_OF_LINES) for pointer in touched):
        return Stage.VERIFY_SKUS
    return stopped


def _normalized_with(parts: Parts, site: Site, order: DeskOrder) -> Order:
    """The order made of its body with its repairs. Raises `UsageError` where a value is none that an order can have."""
    channel = parts.peers.channel(site)
    try:
        return normalized(channel, order.body or "", prefix=site.prefix, repairs=order.repairs)
    except ValueError as error:
        raise UsageError(f"With this the order could not be read any more: {error}.") from None


def _laid_over(stored: str, repaired: Order) -> Order:
    """The order as it stands (expanded, with its credit spread), and of the repaired one all but its lines."""
    standing = document.load_text(stored)
    return replace(
        standing,
        bill=repaired.bill,
        ship=repaired.ship,
        payment=repaired.payment,
        customer_note=repaired.customer_note,
    )
