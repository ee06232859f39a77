"""An order as a JSON document and back: what is stored between the steps. Decimals travel as strings, times as ISO 8601 UTC."""

import json
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

from app.domain.order import Address, Line, LineType, Order, Payment, Verdict

_DECIMALS = ("amount", "quantity", "credit", "nominal", "tax")
_NAMES = {kind: tuple(each.name for each in fields(kind)) for kind in (Order, Address, Payment, Line)}
_VALUES = {names: attrgetter(*names) for names in _NAMES.values()}


def _plain(value: Any) -> Any:
    """What JSON has no form for. The line types and verdicts are numbers and texts already."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    names = _NAMES[type(value)]
    plain = dict(zip(names, _VALUES[names](value), strict=True))
    if isinstance(value, Line):
        # Most of what an order consists of; said here, it is not asked for one by one.
        for name in _DECIMALS:
            plain[name] = str(plain[name])
    return plain


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain)


def dump_text(order: Order) -> str:
    """The order as JSON text. `load_text(dump_text(order)) == order`, where its meta holds no decimals."""
    return _ENCODER.encode(order)


def dump(order: Order) -> dict[str, Any]:
    """The order as plain JSON values."""
    plain: dict[str, Any] = json.loads(dump_text(order))
    return plain


def load(document: dict[str, Any]) -> Order:
    """The order a document describes. Raises `KeyError`, `TypeError` or `ValueError` for anything but our own documents."""
    scalars = {name: document[name] for name in _NAMES[Order] if name in document}
    payment = dict(document["payment"])
    return Order(
        **{
            **scalars,
            "total": Decimal(document["total"]),
            "created_at": datetime.fromisoformat(document["created_at"]),
            "bill": Address(**document["bill"]),
            "ship": Address(**document["ship"]),
            "payment": Payment(**{**payment, "paid_at": _time(payment["paid_at"])}),
            "lines": tuple(_line(each) for each in document["lines"]),
            "meta": tuple((key, value) for key, value in document["meta"]),
        }
    )


def load_text(text: str) -> Order:
    """The order in JSON text made by `dump_text`."""
    return load(json.loads(text))


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _line(document: dict[str, Any]) -> Line:
    read = dict(document)
    for name in _DECIMALS:
        read[name] = Decimal(read[name])
    read["type"] = LineType(read["type"])
    read["listed"] = None if read["listed"] is None else Decimal(read["listed"])
    read["verdict"] = None if read["verdict"] is None else Verdict(read["verdict"])
    read["verified_at"] = _time(read["verified_at"])
    return Line(**read)
