"""One address's part of an order for several: its lines, and its share of what the order has as a whole. Pure.

Shares are of whole smallest units and by largest remainder, so that the parts of an order always come to the order.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from app.connectors.bigcommerce.settings import Settings
from app.domain.balance import expected_total
from app.domain.money import ZERO, allocate
from app.domain.order import Line, LineType, Order, numbered
from app.errors import Reject

_COSTS = {"shipping_cost": "cost_ex_tax", "handling_cost": "handling_cost_ex_tax"}
_SHARED = (LineType.SHIPPING, LineType.TAX, LineType.STORE_CREDIT, LineType.GIFT_CARD)
"""In the order in which they are shared: each by what the parts come to before it. All other lines go with the first part."""


def one_address(given: dict[str, Any], *, settings: Settings) -> dict[str, Any]:
    """The order with the one address that its body stands for, and all of them as `every`; no `every` where it is not split.

    Raises `Reject` for an address that the order does not have.
    """
    every, group = given["addresses"], given["group"]
    if settings.several_addresses != "split" or (len(every) <= 1 and group == 1):
        return {**given, "every": []}
    if group > len(every):
        raise Reject(f"The order has no address {group} any more.", field="/consignments/shipping")
    return {**given, "addresses": [every[group - 1]], "every": every}


def part_of(order: Order, given: dict[str, Any], *, unit: Decimal) -> Order:
    """The part of the balanced `order` that goes to the one address of `given`; the order itself where it is not split.

    Raises `Reject` for an address that nothing goes to.
    """
    if not given["every"]:
        return order
    group = given["group"]
    lines = _Parts(order, given, unit=unit).lines(group - 1)
    own = {line.platform_line_id for line in lines if line.type is LineType.PRODUCT}
    if not own:
        raise Reject(
            f"The order has no line items for address {group}.", field=given["addresses"][0]["pointer"]
        )
    others = tuple(f"line {line['id']}: " for line in given["lines"] if str(line["id"]) not in own)
    return replace(
        order,
        number=order.number if group == 1 else f"{order.number}-{group}",
        platform_order_id=order.platform_order_id if group == 1 else f"{order.platform_order_id}.{group}",
        total=expected_total(lines),
        lines=lines,
        meta=tuple(pair for pair in order.meta if not pair[0].startswith(others)),
    )


def origins(whole: Order, given: dict[str, Any], *, unit: Decimal) -> tuple[int, ...]:
    """Of each line of `part_of(whole)`, in turn, the position of the line of `whole` that it is, or is a share of."""
    if not given["every"]:
        return tuple(line.position for line in whole.lines)
    return _Parts(whole, given, unit=unit).positions(given["group"] - 1)


class _Parts:
    """The lines of an order, shared out over its addresses."""

    def __init__(self, order: Order, given: dict[str, Any], *, unit: Decimal) -> None:
        self._order = order
        self._every = given["every"]
        self._unused = given["unused_addresses"]
        self._unit = unit
        self._parts: list[dict[int, Line]] = [{} for _ in self._every]
        place = {str(line["id"]): _place(line, self._every) for line in given["lines"]}
        for line in order.lines:
            if line.type is LineType.PRODUCT:
                self._parts[place[line.platform_line_id]][line.position] = line
            elif line.type not in _SHARED:
                self._parts[0][line.position] = line
        for kind in _SHARED:
            for line in order.of_type(kind):
                self._share(line, self._weights(line))

    def lines(self, at: int) -> tuple[Line, ...]:
        """The lines of one part, in the order's order. A line whose parent goes elsewhere has none."""
        own = self._parts[at]
        return numbered(
            replace(line, parent=line.parent if line.parent in own else None)
            for line in (own[each.position] for each in self._order.lines if each.position in own)
        )

    def positions(self, at: int) -> tuple[int, ...]:
        """The positions that the lines of one part have in the order."""
        return tuple(line.position for line in self._order.lines if line.position in self._parts[at])

    def _weights(self, line: Line) -> list[Decimal]:
        totals = [max(ZERO, expected_total(tuple(part.values()))) for part in self._parts]
        if line.type is LineType.SHIPPING and line.detail in _COSTS:
            name = _COSTS[line.detail]
            costs = [address[name] for address in self._every]
            # What an address costs that nothing goes to is the first one's.
            costs[0] += sum((address[name] for address in self._unused), ZERO)
            return costs if sum(costs, ZERO) and min(costs) >= ZERO else totals
        if line.type is LineType.TAX:
            taxes = [sum((each.tax for each in part.values()), ZERO) for part in self._parts]
            return taxes if sum(taxes, ZERO) and min(taxes) >= ZERO else totals
        return totals

    def _share(self, line: Line, weights: Sequence[Decimal]) -> None:
        if not sum(weights, ZERO):
            weights = [Decimal(1) for _ in weights]
        shared = {
            name: allocate(value, weights=weights, unit=self._unit)
            for name in ("amount", "listed", "nominal", "credit", "tax")
            if (value := getattr(line, name)) is not None
        }
        for at, part in enumerate(self._parts):
            own: dict[str, Any] = {name: values[at] for name, values in shared.items()}
            share = replace(line, **own)
            if at == 0 or any(values[at] for values in shared.values()):
                part[line.position] = share


def _place(line: dict[str, Any], every: Sequence[dict[str, Any]]) -> int:
    """The address that a line goes to; what is not shipped goes with the first."""
    for at, address in enumerate(every):
        if line["pointer"].startswith(f"{address['pointer']}/") or (
            address["id"] and line["order_address_id"] == address["id"]
        ):
            return at
    return 0
