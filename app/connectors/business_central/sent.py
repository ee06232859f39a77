"""What an order's stored request says, line by line. Pure."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.connectors.business_central.lines import LINE_TYPES
from app.domain.money import ZERO, round_half_up, smallest_unit
from app.errors import Reject
from app.ports.erp import PlannedLine

_KINDS = {theirs: ours for ours, theirs in LINE_TYPES.items()}


def sent_lines(request: str, *, currency: str) -> tuple[PlannedLine, ...]:
    """The lines of the request of a deep insert, without positions. Raises `Reject` for a text that is none."""
    unit = smallest_unit(currency)
    try:
        body = json.loads(request, parse_float=Decimal, parse_int=Decimal)
        return tuple(_line(each, unit) for each in body["salesOrderLines"])
    except (ArithmeticError, LookupError, TypeError, ValueError):
        raise Reject("The stored request cannot be read as a sales order of Business Central.") from None


def _line(row: Mapping[str, Any], unit: Decimal) -> PlannedLine:
    quantity, price = Decimal(row["quantity"]), Decimal(row["unitPrice"])
    discount = Decimal(row.get("discountAmount", ZERO))
    return PlannedLine(
        positions=(),
        kind=_KINDS[row["lineType"]],
        number=row["lineObjectNumber"],
        description=row.get("description", ""),
        quantity=quantity,
        unit_price=price,
        discount=discount,
        net=round_half_up(round_half_up(quantity * price, unit=unit) - discount, unit=unit),
    )
