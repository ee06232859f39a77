"""The components of kits as they are stored, beside what the kits are today."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from app.domain.kits import Component, KitError, Kits, leaves
from app.domain.order import Line, LineType, Order, sku_key
from app.sync.explanation import Check, digits

_ONE = Decimal(1)


def kit_checks(order: Order, kits: Kits, notes: list[str]) -> tuple[Check, ...]:
    """That the components can be those of a kit: each a whole number for each parent, or what the kit has today.

    A kit that has been changed since is no fault, and a note.
    """
    wrong: list[str] = []
    for parent in order.of_type(LineType.PRODUCT):
        parts = [each for each in order.of_type(LineType.COMPONENT) if each.parent == parent.position]
        if parts:
            today = _today(parent, kits)
            wrong += _impossible(parent, parts, today)
            stored = [Component(sku_key(each.sku or ""), each.quantity) for each in parts]
            if today and list(today) != stored:
                notes.append(
                    f"The kit {parent.sku} on line {parent.position} has been stored with {_named(stored)};"
                    f" as it is defined today it would be {_named(today)}."
                )
    if wrong:
        return (Check(f"These components are those of no kit: {', '.join(wrong)}.", holds=False),)
    return ()


def _today(parent: Line, kits: Kits) -> tuple[Component, ...]:
    try:
        return leaves(parent.sku or "", kits=kits, quantity=parent.quantity)
    except KitError:
        return ()


def _impossible(parent: Line, parts: Sequence[Line], today: Sequence[Component]) -> Iterator[str]:
    for line in parts:
        is_whole = not line.quantity % parent.quantity
        if not is_whole and Component(sku_key(line.sku or ""), line.quantity) not in today:
            pieces = digits(line.quantity, _ONE)
            yield f"{pieces} x {line.sku} (line {line.position}) for {digits(parent.quantity, _ONE)} x {parent.sku}"


def _named(components: Sequence[Component]) -> str:
    return ", ".join(f"{digits(each.quantity, _ONE)} x {each.sku}" for each in components)
