"""How every amount of an order came about: from the platform's figures over our own rules to the lines of the ERP."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from app.domain.order import LineType, Order
from app.domain.overlay import Conflict, Layer
from app.errors import OrderSyncError, UsageError
from app.ports.desk import Repair
from app.ports.sales_channel import Figure, Makes
from app.sync.explained_erp import is_planned, written
from app.sync.explained_kits import kit_checks
from app.sync.explained_lines import amount_of, explained_lines
from app.sync.explained_material import Material, material_of
from app.sync.explained_sums import document_sum, erp_sums, order_sums, stored_checks
from app.sync.explanation import Check, Explanation
from app.sync.options import erp_options
from app.sync.parts import Parts
from app.sync.repaired import normalized, repaired_body, shown

_TELLING = 200
_KEPT = "its amounts are those that were stored."

_AMOUNT_OF_LINE = re.compile(r"/lines/(\d+)/(amount|listed|nominal|tax)")


def explain(parts: Parts, key: str, *, line: int | None = None) -> Explanation:
    """How the amounts of an order came about: the total and every line, or the one at this position.

    `key` is its number or the platform's id. Nothing is asked of any outside system. Raises `Misconfigured` where there is no
    such order, `UsageError` where it has no such line.
    """
    material = material_of(parts, key)
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
    in_erp = written(parts, material, order, notes)
    lines = explained_lines(order, placed or (), None if in_erp is None else in_erp.lines)
    total = amount_of(Makes.TOTAL, order.total, None, placed or figures)
    checks = order_sums(order, total, lines, is_told=placed is not None)
    if material.order is not None:
        checks += stored_checks(order, material.evidence.strays, is_spread=is_planned(material))
        checks += kit_checks(order, parts.store.kits(), notes)
    if in_erp is not None:
        checks += erp_sums(order, in_erp.lines)
    if material.erp_total is not None:
        checks += (document_sum(order, material.erp_total, tolerance=_tolerance(material)),)
    if in_erp is not None and in_erp.as_sent:
        checks += (Check("What was sent to the ERP is exactly what these lines make.", holds=True),)
    wanted = tuple(each for each in lines if line in {None, each.position})
    return replace(
        _explanation(material, notes=notes),
        order_number=order.number,
        currency=order.currency,
        total=total,
        lines=wanted,
        checks=checks,
    )


def _from_platform(
    parts: Parts, material: Material, notes: list[str]
) -> tuple[Order | None, tuple[Figure, ...]]:
    """The order as its body reads today, and the platform's figures of it."""
    if material.erased_at is not None:
        notes.append(_erased(material, material.erased_at))
    elif material.order is None:
        notes.append(_stands(material))
    if material.site is None or material.evidence.body is None:
        notes.append("What the platform showed of it is not stored any more, so its figures cannot be told.")
        return None, ()
    try:
        channel = parts.peers.channel(material.site)
        body = repaired_body(material.evidence.body, material.evidence.repairs)
        order = normalized(
            channel, material.evidence.body, prefix=material.site.prefix, repairs=material.evidence.repairs
        )
        notes += [_changed(each) for each in material.evidence.repairs]
        figures = channel.figures(body, prefix=material.site.prefix)
        return order, _with_repairs(order, figures, material.evidence.repairs)
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
    changed = [each for each in figures if (each.position, each.makes) not in theirs] + list(theirs.values())
    return (*changed, *(_following(order, changed) if theirs else ()))


def _following(order: Order, figures: Sequence[Figure]) -> Iterator[Figure]:
    """What the platform has no figure for, but follows from what was changed."""
    told = {(each.position, each.makes) for each in figures}
    for line in order.lines:
        for makes in (Makes.AMOUNT, Makes.LISTED, Makes.NOMINAL, Makes.CREDIT, Makes.TAX):
            value = getattr(line, makes.value)
            if value and (line.position, makes) not in told:
                yield Figure(line.position, makes, "it follows from what was changed", "", "", value)


def _waiting(version: int) -> str:
    return f"The platform has changed it since it was sent: version {version} is kept, and not the one explained here."


def _stands(material: Material) -> str:
    why = f": {material.reason}" if material.reason else "."
    return f"It is {material.state} and was not brought into our own form yet{why}"


def _erased(material: Material, at: datetime) -> str:
    kept = "no amounts of it had been stored." if material.order is None else _KEPT
    return f"Its personal data was erased on {at:%Y-%m-%d}; {kept}"


def _placed(
    order: Order, shown: Order | None, figures: Sequence[Figure], notes: list[str]
) -> tuple[Figure, ...] | None:
    """The figures by the positions that the lines have in the order as it stands: components stand between them there.

    None where there are none, or where they belong to other lines than those that are stored.
    """
    if shown is None:
        return None
    stands = [line for line in order.lines if line.type is not LineType.COMPONENT]
    if [line.platform_line_id for line in stands] != [line.platform_line_id for line in shown.lines]:
        notes.append(
            "The platform's figures cannot be laid beside the stored lines: with the settings of today its body has other lines."
        )
        return None
    position_of = {there.position: here.position for here, there in zip(stands, shown.lines, strict=True)}
    return tuple(
        each if each.position is None else replace(each, position=position_of[each.position])
        for each in figures
    )


def _tolerance(material: Material) -> Decimal:
    return Decimal(0) if material.erp is None else erp_options(material.erp.settings).total_tolerance


def _explanation(material: Material, *, notes: Sequence[str]) -> Explanation:
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
