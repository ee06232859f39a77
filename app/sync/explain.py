"""How every amount of an order came about: from the platform's figures over our own rules to the lines of the ERP."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from app.domain import document
from app.domain.order import LineType, Order, sku_key
from app.domain.overlay import Conflict, Layer
from app.domain.road import Stage
from app.errors import Misconfigured, OrderSyncError, UsageError
from app.ports.desk import Repair
from app.ports.erp import Draft, ErpItem, ItemKind, Plan
from app.ports.sales_channel import Figure, Makes
from app.ports.store import ErpRow, Site
from app.sync.explained_lines import amount_of, explained_lines
from app.sync.explained_sums import erp_sums, order_sums
from app.sync.explanation import Explanation
from app.sync.options import erp_options
from app.sync.parts import Parts, erp_of
from app.sync.repaired import normalized, repaired_body, shown

_SOMEBODY = "?"
"""Stands for a customer that is not known yet: no amount depends on who it is."""
_TELLING = 200
_PLANNED = frozenset((Stage.WRITE, Stage.DELIVER))
"""Where an order stands whose kits are expanded and whose credit is spread, so that it can be written."""


_AMOUNT_OF_LINE = re.compile(r"/lines/(\d+)/(amount|listed|nominal|tax)")


@dataclass(frozen=True, slots=True)
class _Material:
    """What is stored of an order. `order` is as it stands, None while it is not normalized; `sent` as in `Evidence`."""

    order_number: str
    platform_order_id: str
    site_name: str
    state: str
    stage: Stage
    reason: str
    body: str | None
    order: Order | None
    site: Site | None
    erp: ErpRow | None
    external_number: str
    customer_number: str
    erp_document: str
    erp_total: Decimal | None
    waiting_version: int | None
    sent: str | None
    repairs: tuple[Repair, ...]


def explain(parts: Parts, key: str, *, line: int | None = None) -> Explanation:
    """How the amounts of an order came about: the total and every line, or the one at this position.

    `key` is its number or the platform's id. Nothing is asked of any outside system. Raises `Misconfigured` where there is no
    such order, `UsageError` where it has no such line.
    """
    material = _material(parts, key)
    notes = [] if material.waiting_version is None else [_waiting(material.waiting_version)]
    shown, figures = _from_platform(parts, material, notes)
    order = material.order or shown
    if order is None:
        if line is not None:
            raise UsageError(f"The order {key} has no lines yet. {' '.join(notes)}")
        return _explanation(material, notes=notes)
    if line is not None and line not in {each.position for each in order.lines}:
        raise UsageError(f"The order {key} has no line {line}; its lines are 1 to {len(order.lines)}.")
    placed = _placed(order, shown, figures, notes)
    plan = _plan(parts, material, order, notes)
    lines = explained_lines(order, placed, plan)
    total = amount_of(Makes.TOTAL, order.total, None, placed)
    checks = order_sums(order, total, lines)
    if plan is not None:
        tolerance = erp_options(material.erp.settings).total_tolerance if material.erp else Decimal(0)
        checks += erp_sums(order, plan, erp_total=material.erp_total, tolerance=tolerance, sent=material.sent)
    wanted = tuple(each for each in lines if line in {None, each.position})
    return replace(
        _explanation(material, notes=notes),
        order_number=order.number,
        currency=order.currency,
        total=total,
        lines=wanted,
        checks=checks,
    )


def _material(parts: Parts, key: str) -> _Material:
    """What is stored of the order `key`: all that an explanation is made from. Raises `Misconfigured`."""
    details = parts.store.order_details(key)
    if details is None:
        raise Misconfigured(f"There is no order {key!r}.")
    thread, row = details["thread"], details["order"]
    evidence = parts.store.evidence(thread["id"])
    sites = {each.id: each for each in (*parts.store.sites(), *parts.store.removed_sites())}
    site = sites.get(thread["site_id"])
    order = None if not thread["document"] else document.load_text(thread["document"])
    erp = _erp_row(parts, site, None if row is None else row["erp_id"])
    return _Material(
        order_number=thread["order_number"],
        platform_order_id=thread["platform_order_id"],
        site_name=thread["site"],
        state=thread["state"],
        stage=Stage(thread["stage"]),
        reason=thread["reason"],
        body=evidence.body,
        order=order,
        site=site,
        erp=erp,
        external_number="" if row is None else row["external_number"],
        customer_number=_customer(parts, erp, order, "" if row is None else row["erp_customer_number"]),
        erp_document="" if row is None else row["erp_document_number"],
        erp_total=None if row is None else row["erp_total"],
        waiting_version=thread["amended_version"],
        sent=evidence.sent,
        repairs=evidence.repairs,
    )


def _erp_row(parts: Parts, site: Site | None, erp_id: int | None) -> ErpRow | None:
    """The ERP that the order was written for, else the one it would go to; None where that cannot be said."""
    for each in parts.store.erps():
        if each.id == erp_id:
            return each
    try:
        return None if site is None or erp_id is not None else erp_of(parts, site)
    except Misconfigured:
        return None


def _customer(parts: Parts, erp: ErpRow | None, order: Order | None, written: str) -> str:
    """The customer of the order as far as it is known already."""
    if written or erp is None or order is None:
        return written or _SOMEBODY
    email = order.bill.email.strip().lower()
    known = parts.store.customer_numbers(erp.id, [email])
    return known.get(email) or erp_options(erp.settings).default_customer or _SOMEBODY


def _from_platform(
    parts: Parts, material: _Material, notes: list[str]
) -> tuple[Order | None, tuple[Figure, ...]]:
    """The order as its body reads today, and the platform's figures of it."""
    if material.order is None:
        notes.append(_stands(material))
    if material.site is None or material.body is None:
        notes.append("What the platform showed of it is not stored any more, so its figures cannot be told.")
        return None, ()
    try:
        channel = parts.peers.channel(material.site)
        body = repaired_body(material.body, material.repairs)
        order = normalized(channel, material.body, prefix=material.site.prefix, repairs=material.repairs)
        notes += [_changed(each) for each in material.repairs]
        figures = channel.figures(body, prefix=material.site.prefix)
        return order, _with_repairs(order, figures, material.repairs)
    except Conflict as conflict:
        notes.append(f"The repair of {conflict.change.pointer} no longer fits what the platform shows.")
        return None, ()
    except OrderSyncError as error:
        # A reason that is stored is cut to its column.
        if error.reason[:_TELLING] not in material.reason:
            notes.append(f"The platform's figures cannot be told: {error.reason}")
        return None, ()


def _changed(repair: Repair) -> str:
    change = repair.change
    why = f" ({repair.reason})" if repair.reason else ""
    return f"{repair.by} changed {change.pointer} from {shown(change.before)} to {shown(change.after)}{why}."


def _with_repairs(order: Order, figures: Sequence[Figure], repairs: Sequence[Repair]) -> tuple[Figure, ...]:
    """The figures; where a person has changed an amount of a line, theirs instead of the platform's."""
    theirs: dict[tuple[int | None, Makes], Figure] = {}
    for each in repairs:
        found = _AMOUNT_OF_LINE.fullmatch(each.change.pointer)
        if each.layer is Layer.ORDER and found is not None:
            position, makes = order.lines[int(found[1])].position, Makes(found[2])
            theirs[position, makes] = Figure(
                position=position,
                makes=makes,
                name=f"as {each.by} changed it",
                pointer=each.change.pointer,
                text=str(each.change.after),
                value=Decimal(str(each.change.after)),
            )
    kept = [each for each in figures if (each.position, each.makes) not in theirs]
    return (*kept, *theirs.values())


def _waiting(version: int) -> str:
    return f"The platform has changed it since it was sent: version {version} is kept, and not the one explained here."


def _stands(material: _Material) -> str:
    why = f": {material.reason}" if material.reason else "."
    return f"It is {material.state} and was not brought into our own form yet{why}"


def _placed(
    order: Order, shown: Order | None, figures: Sequence[Figure], notes: list[str]
) -> tuple[Figure, ...]:
    """The figures by the positions that the lines have in the order as it stands: components stand between them there."""
    if shown is None:
        return ()
    stands = [line for line in order.lines if line.type is not LineType.COMPONENT]
    if [line.platform_line_id for line in stands] != [line.platform_line_id for line in shown.lines]:
        notes.append(
            "The platform's figures cannot be laid beside the stored lines: with the settings of today its body has other lines."
        )
        return tuple(each for each in figures if each.position is None)
    position_of = {there.position: here.position for here, there in zip(stands, shown.lines, strict=True)}
    return tuple(
        each if each.position is None else replace(each, position=position_of[each.position])
        for each in figures
    )


def _plan(parts: Parts, material: _Material, order: Order, notes: list[str]) -> Plan | None:
    """What is, or was, written to the ERP for the order as it stands; None, and a note why, where that cannot be said."""
    if material.order is None or material.stage not in _PLANNED:
        if material.order is not None:
            why = f": {material.reason}" if material.reason else "."
            notes.append(
                f"It has not come as far as the ERP's lines; it is {material.state} at {material.stage}{why}"
            )
        return None
    if material.erp is None:
        notes.append("The ERP that it goes to is not connected, so its lines there cannot be told.")
        return None
    try:
        return parts.peers.erp(material.erp).plan(
            Draft(
                external_number=material.external_number or order.number.upper(),
                customer_number=material.customer_number,
                order=order,
                items=_kit_items(order),
            )
        )
    except OrderSyncError as error:
        notes.append(f"The ERP's lines cannot be told: {error.reason}")
        return None


def _kit_items(order: Order) -> dict[str, ErpItem]:
    """The kit parents as they have to be in the ERP: whether they are is asked when the order is written, and changes no amount."""
    parents = {line.parent for line in order.of_type(LineType.COMPONENT)}
    skus = {sku_key(line.sku or "") for line in order.lines if line.position in parents}
    return {sku: ErpItem(sku, "", blocked=False, kind=ItemKind.NON_INVENTORY) for sku in skus}


def _explanation(material: _Material, *, notes: Sequence[str]) -> Explanation:
    """As far as is known before there is an order."""
    return Explanation(
        order_number=material.order_number,
        platform_order_id=material.platform_order_id,
        site=material.site_name,
        state=material.state,
        stage=material.stage,
        erp_document=material.erp_document,
        currency="",
        total=None,
        lines=(),
        checks=(),
        notes=tuple(notes),
    )
