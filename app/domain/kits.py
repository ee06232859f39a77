"""Kit expansion: what a sold kit consists of, to any depth."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from app.domain.money import ZERO
from app.domain.order import Line, LineType, Order, numbered, sku_key

MAX_COMPONENTS = 2_000
"""More component lines than this for one order line is a broken definition, not a kit."""


MAX_DEPTH = 50
"""Kits nested deeper than this are a broken definition as well."""

MAX_DECIMALS = 5
"""Decimals of a quantity that database and ERP take."""


@dataclass(frozen=True, slots=True)
class Component:
    """`quantity` of `sku` (upper case) go into one parent."""

    sku: str
    quantity: Decimal


Kits = Mapping[str, tuple[Component, ...]]
"""Parent SKU (upper case) to its components, in their stored order."""


class KitError(Exception):
    """The definition cannot be expanded. `path` names the way to the fault, outermost parent first."""

    def __init__(self, message: str, path: tuple[str, ...]) -> None:
        super().__init__(message)
        self.path = path


def leaves(sku: str, *, kits: Kits, quantity: Decimal = Decimal(1)) -> tuple[Component, ...]:
    """The components of `quantity` of the kit `sku`, nested kits resolved, in definition order; equal SKUs stay apart.

    A SKU that is no kit has no leaves. Raises `KitError` for a circular definition, an empty kit, or a kit that
    explodes beyond `MAX_COMPONENTS`.
    """
    found: list[Component] = []
    _walk(sku_key(sku), quantity, kits, (), found)
    return tuple(found)


def _walk(sku: str, quantity: Decimal, kits: Kits, path: tuple[str, ...], found: list[Component]) -> None:
    here = (*path, sku)
    if len(here) > MAX_DEPTH:
        raise KitError(f"The kit {path[0]} is nested more than {MAX_DEPTH} deep.", here)
    if sku in path:
        raise KitError(f"The kit definition is circular: {' > '.join(here)}.", here)
    if sku not in kits:
        if path:
            if quantity != round(quantity, MAX_DECIMALS):
                raise KitError(f"{' > '.join(here)} comes to {quantity}, which has too many decimals.", here)
            found.append(Component(sku=sku, quantity=quantity))
            if len(found) > MAX_COMPONENTS:
                raise KitError(f"The kit {path[0]} has more than {MAX_COMPONENTS} components.", here)
        return
    if not kits[sku]:
        raise KitError(f"The kit {' > '.join(here)} has no components.", here)
    for component in kits[sku]:
        if component.quantity <= ZERO:
            raise KitError(f"The kit {' > '.join(here)} has a quantity that is not above zero.", here)
        _walk(component.sku, quantity * component.quantity, kits, here, found)


def path_to(sku: str, *, kits: Kits, component: str) -> tuple[str, ...]:
    """The first path from the kit `sku` down to `component`, both ends included; empty where there is none."""
    return _path(sku_key(sku), sku_key(component), kits, ())


def _path(sku: str, wanted: str, kits: Kits, above: tuple[str, ...]) -> tuple[str, ...]:
    here = (*above, sku)
    if sku in above or len(here) > MAX_DEPTH:
        return ()
    for child in kits.get(sku, ()):
        if child.sku == wanted:
            return (*here, wanted)
        below = _path(child.sku, wanted, kits, here)
        if below:
            return below
    return ()


def expandable(order: Order) -> tuple[Line, ...]:
    """The product lines with a SKU that are kits where a kit of that SKU is defined.

    What the platform has picked apart itself is none: a product line that points at another, and the line it points at, since
    their pieces are lines of their own already.
    """
    products = order.of_type(LineType.PRODUCT)
    picked = {line.parent for line in products} | {line.position for line in products if line.parent}
    return tuple(line for line in products if line.sku and line.position not in picked)


def expand(order: Order, *, kits: Kits) -> Order:
    """The order with each kit line followed by its components: type 2, amount zero, pointing at the parent.

    Components that are there already (a second expansion) are replaced, so expanding twice gives the same order; lines that are
    not `expandable` are left as they are. Raises `KitError`.
    """
    lines: list[Line] = []
    fresh = max((line.position for line in order.lines), default=0)
    kit_positions = {line.position for line in expandable(order)}
    for line in order.lines:
        if line.type is LineType.COMPONENT:
            continue
        lines.append(line)
        if line.position not in kit_positions or not line.sku:
            continue
        for component in leaves(line.sku, kits=kits, quantity=line.quantity):
            fresh += 1
            lines.append(
                Line(
                    position=fresh,
                    type=LineType.COMPONENT,
                    sku=component.sku,
                    name=f"Component of {line.sku}",
                    quantity=component.quantity,
                    amount=ZERO,
                    parent=line.position,
                    detail=" > ".join(path_to(line.sku, kits=kits, component=component.sku)),
                )
            )
    return replace(order, lines=numbered(lines))
