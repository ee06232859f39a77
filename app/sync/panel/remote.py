"""What programs ask for and have done about orders and errors: one at a time, named by the id of its row."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from app.domain import document
from app.domain.money import ZERO
from app.domain.order import Address, Line, LineType, Order
from app.domain.overlay import ABSENT, Json
from app.errors import OrderSyncError, UsageError
from app.ports.desk import DeskOrder, ErrorFilter
from app.ports.error_counts import FoundError
from app.ports.listing import ListedOrder
from app.sync import desk, settle, trace
from app.sync.fetch import Ring
from app.sync.panel.parts import Panel
from app.sync.repair import fields, repair
from app.sync.resume import End, How, Result, foresee, resume, retry

_SUMS = ("subtotal", "shipping_total", "tax_total", "discount_total", "store_credit")


class NotThere(UsageError):
    """What was named is not there. The sentence is for the record of actions: who asks is not told which it was."""


class Refused(UsageError):
    """It cannot be done as things stand; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """A repair as a program asks for it."""

    changes: Mapping[str, str]
    withdraw: Sequence[str]
    reason: str
    revision: int | None
    dry_run: bool
    resume: bool


# Orders.


def order_page(panel: Panel, order_id: int) -> dict[str, Any]:
    """An order with its lines, addresses, errors, and all that has happened to it. Raises `NotThere`."""
    row = panel.store.listed_order(order_id)
    details = panel.store.order_with_id(order_id)
    if row is None or details is None:
        raise NotThere(f"There is no order {order_id}.")
    thread, stored = details["thread"], details["order"]
    life = trace.life_of(panel.parts, order_id)
    if stored is not None:
        header, addresses, lines = stored, details["addresses"], details["lines"]
        lines = [{**each, "type": LineType(each["line_type"])} for each in lines]
    else:
        so_far = None if thread["document"] is None else document.load_text(thread["document"])
        header = None if so_far is None else _header(so_far)
        addresses = [] if so_far is None else [_address("bill", so_far.bill), _address("ship", so_far.ship)]
        lines = [] if so_far is None else [_line(each) for each in so_far.lines]
    return {
        **_row(row),
        **{name: thread[name] for name in ("version", "archived_at", "erased_at")},
        "header": header,
        "addresses": addresses,
        "lines": lines,
        "steps": details["steps"],
        "errors": [
            {**each, "order_id": order_id, "site": row.site, "resumed": each["resumed"] or 0}
            for each in details["errors"]
        ],
        "events": [asdict(each) for each in life.moments],
        "versions": details["versions"],
    }


def _row(row: ListedOrder) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ListedOrder.__dataclass_fields__}


def _header(order: Order) -> dict[str, Any]:
    """The same as is stored once the order is written."""

    def total(kind: LineType, name: str) -> Decimal:
        return sum((getattr(each, name) for each in order.of_type(kind)), ZERO)

    kinds = (LineType.PRODUCT, LineType.SHIPPING, LineType.TAX, LineType.COUPON, LineType.STORE_CREDIT)
    names = ("amount", "amount", "amount", "nominal", "nominal")
    return {
        "status": order.status,
        "currency": order.currency,
        **{sum_: total(kind, name) for sum_, kind, name in zip(_SUMS, kinds, names, strict=True)},
        "total": order.total,
        "order_date": order.created_at,
        "order_date_raw": order.created_raw,
        "payment_method": order.payment.method,
        "payment_title": order.payment.title,
        "trans_id": order.payment.transaction_id,
        "paid_at": order.payment.paid_at,
        "customer_note": order.customer_note,
    }


def _address(kind: str, address: Address) -> dict[str, Any]:
    return {"kind": kind, **asdict(address)}


def _line(line: Line) -> dict[str, Any]:
    return {name: getattr(line, name) for name in Line.__dataclass_fields__}


def retry_order(panel: Panel, order_id: int, how: How, *, dry_run: bool, ring: Ring) -> Result:
    """Try an order again, whether it stands in error or is held. Raises `NotThere`, and `Refused` where that cannot be done."""
    order = _order(panel, order_id)
    if dry_run:
        return _only(foresee(panel.parts, [order], how))
    return _done(retry(panel.parts, [order], how, ring=ring))


def _order(panel: Panel, order_id: int) -> DeskOrder:
    for order in panel.store.desk_orders([order_id]):
        return order
    raise NotThere(f"There is no order {order_id}.")


def _only(results: Sequence[Result]) -> Result:
    (result,) = results
    return result


def _done(results: Sequence[Result]) -> Result:
    result = _only(results)
    if result.end is End.REFUSED:
        raise Refused(result.sentence)
    return result


# Errors.


def error_summary(panel: Panel) -> dict[str, Any]:
    """All open errors in figures: how many there are of each kind, and the money at risk by currency."""
    kinds = panel.store.error_kinds(ErrorFilter())
    money: dict[str, Decimal] = {}
    for each in kinds:
        for currency, amount in each.money.items():
            money[currency] = money.get(currency, Decimal(0)) + amount
    return {
        "errors": sum(each.errors for each in kinds),
        "money": money_rows(money),
        "kinds": [
            {"kind": each.kind, "errors": each.errors, "money": money_rows(each.money)} for each in kinds
        ],
    }


def money_rows(sums: Mapping[str, Decimal]) -> list[dict[str, Any]]:
    """Sums of money by currency, as rows."""
    return [{"currency": currency, "amount": sums[currency]} for currency in sorted(sums)]


def error_page(panel: Panel, error_id: int) -> dict[str, Any]:
    """An error with what it would take and the order so far. Raises `NotThere`."""
    found = _error(panel, error_id)
    error = found.error
    so_far = None if error.document is None else json.loads(error.document, parse_float=Decimal)
    takes = "" if error.resolved_at is not None else desk.takes(error.kind)
    return {**error_row(found), "takes": takes, "document": so_far}


def error_row(found: FoundError) -> dict[str, Any]:
    """An error in a list."""
    return {"order_id": found.thread_id, **asdict(found.error)}


def _error(panel: Panel, error_id: int) -> FoundError:
    found = panel.store.found_error(error_id)
    if found is None:
        raise NotThere(f"There is no error {error_id}.")
    return found


def _open_order(panel: Panel, error_id: int) -> DeskOrder:
    """The order of an error that is open. Raises `Refused` for one that was resolved: it may have another by now."""
    found = _error(panel, error_id)
    if found.error.resolved_at is not None:
        raise Refused(
            f"The error was resolved at {found.error.resolved_at:%Y-%m-%d %H:%M} UTC ({found.error.resolution}); nothing was done."
        )
    return _order(panel, found.thread_id)


def fields_of_error(panel: Panel, error_id: int) -> dict[str, Any]:
    """What may be changed of the order of an open error. Raises `NotThere`, `Refused` and `UsageError`."""
    order = _open_order(panel, error_id)
    return {
        "order_id": order.thread_id,
        "order": order.name,
        "revision": order.revision,
        "fields": [asdict(each) for each in fields(panel.parts, order)],
        "repairs": [
            {
                "pointer": each.change.pointer,
                "before": _value(each.change.before),
                "after": each.change.after,
                "by": each.by,
                "at": each.at,
                "reason": each.reason,
            }
            for each in order.repairs
        ],
    }


def _value(value: Json) -> Json:
    return None if value is ABSENT else value


def repair_error(panel: Panel, error_id: int, wishes: Wishes, *, by: str, ring: Ring) -> dict[str, Any]:
    """Change fields of the order of an open error, and let it go on where that is wanted. Raises as `repair` does, and `NotThere`."""
    order = _open_order(panel, error_id)
    done = repair(
        panel.parts,
        order,
        wishes.changes,
        withdraw=wishes.withdraw,
        reason=wishes.reason,
        by=by,
        revision=wishes.revision,
        dry_run=wishes.dry_run,
    )
    resumed = _resumed(panel, order.thread_id, by=by, ring=ring) if done.kept and wishes.resume else None
    return {
        "order_id": order.thread_id,
        "order": done.order,
        "stored": done.kept,
        "revision": done.revision,
        "changes": [
            {"pointer": each.pointer, "before": _value(each.before), "after": each.after}
            for each in done.changes
        ],
        "foreseen": done.foreseen.sentence,
        "resumed": None if resumed is None else outcome(resumed),
    }


def _resumed(panel: Panel, order_id: int, *, by: str, ring: Ring) -> Result:
    """What came of letting a repaired order go on: the repair is stored by now, so nothing of this is raised."""
    order = _order(panel, order_id)
    try:
        return _only(resume(panel.parts, [order], How(by=by), ring=ring))
    except OrderSyncError as error:
        return Result(order.name, order.site, order_id, End.REFUSED, error.reason)


def resume_error(panel: Panel, error_id: int, how: How, *, dry_run: bool, ring: Ring) -> Result:
    """Let the order of an open error go on. Raises `NotThere`, and `Refused` where that cannot be done."""
    order = _open_order(panel, error_id)
    if dry_run:
        return _only(foresee(panel.parts, [order], how))
    return _done(resume(panel.parts, [order], how, ring=ring))


def skip_error(panel: Panel, error_id: int, *, reason: str, by: str) -> Result:
    """Nothing more is done for the order of an open error. Raises `NotThere`, `Refused` and `UsageError`."""
    return _done([settle.skip(panel.parts, _open_order(panel, error_id), reason=reason, by=by)])


def assign_error(panel: Panel, error_id: int, *, to: str | None, by: str) -> int:
    """Give the open errors of an order to somebody, or to nobody. Returns how many. Raises `NotThere`, `Refused` and `UsageError`."""
    return settle.assign(panel.parts, [_open_order(panel, error_id)], to=to, by=by)


def comment_error(panel: Panel, error_id: int, *, text: str, by: str) -> DeskOrder:
    """Note something in the trail of an error's order, which is returned. Raises `NotThere` and `UsageError`."""
    order = _order(panel, _error(panel, error_id).thread_id)
    settle.comment(panel.parts, order, text=text, by=by)
    return order


def outcome(result: Result) -> dict[str, Any]:
    """What came of asking an order to go on."""
    return {**asdict(result), "order_id": result.thread_id}
