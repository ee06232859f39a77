"""The recorded orders and answers of real shops that ship with the sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from .answers import JsonObject
from .dates import gmt_text, local_text, utc_now
from .money import RECORDED_ZONE

MARK_KEY = "sumatra_wc_integrator_exported"
"""The meta key of the export mark (contract section 6); the recorded bodies carry it."""

_LIST = "_list_processing_p1.json"


def _folder(name: str) -> Traversable:
    return resources.files(__package__).joinpath("recorded", name)


def _read_json(name: str) -> Any:
    return json.loads(_folder("orders").joinpath(name).read_text(encoding="utf-8"))


def _bodies() -> Iterator[JsonObject]:
    for entry in sorted(_folder("orders").iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".json") and not entry.name.startswith("_"):
            yield _read_json(entry.name)
    yield from _read_json(_LIST)


def recorded_orders(
    *,
    keep_marks: bool = False,
    spread: timedelta | None = None,
    until: datetime | None = None,
) -> list[JsonObject]:
    """The recorded order bodies, each id once, by id.

    The export mark of an earlier export is left out unless ``keep_marks``. All else stays as
    recorded, dates too, unless ``spread`` is given: then the modified dates, in their recorded
    order, are laid evenly over that long a time, the last at ``until`` (default: now).
    """
    by_id: dict[int, JsonObject] = {}
    for body in _bodies():
        by_id.setdefault(body["id"], body)
    orders = [by_id[order_id] for order_id in sorted(by_id)]
    if not keep_marks:
        for body in orders:
            body["meta_data"] = [row for row in body["meta_data"] if row["key"] != MARK_KEY]
    if spread is not None:
        _spread(orders, spread, until or utc_now())
    return orders


def _spread(orders: list[JsonObject], spread: timedelta, until: datetime) -> None:
    in_order = sorted(orders, key=lambda body: (body["date_modified_gmt"], body["id"]))
    step = spread / max(len(in_order) - 1, 1)
    for place, body in enumerate(reversed(in_order)):
        moment = gmt_text(until - step * place)
        names = ["modified"]
        names += [
            name for name in ("created", "paid", "completed") if (body[f"date_{name}_gmt"] or "") > moment
        ]
        for name in names:
            body[f"date_{name}_gmt"] = moment
            body[f"date_{name}"] = local_text(moment, RECORDED_ZONE)


def recorded_notes() -> dict[int, list[JsonObject]]:
    """The recorded notes, by order id."""
    return {186: _read_json("_notes_of_with_notes.json")}


def recorded_refunds() -> dict[int, list[JsonObject]]:
    """The recorded refunds, by order id."""
    return {173: _read_json("_refunds_of_refund_partial_line.json")}


@dataclass(frozen=True)
class RecordedAnswer:
    """A recorded HTTP answer (contract section 2, "Failures of the site"), without the headers of its connection."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@cache
def recorded_answers() -> dict[str, RecordedAnswer]:
    """The recorded answers by name, for example ``503_maintenance``."""
    known = json.loads(_folder("answers.json").read_text(encoding="utf-8"))
    return {
        name: RecordedAnswer(
            answer["status"],
            answer["reason"],
            tuple((header, value) for header, value in answer["headers"]),
            answer["body"].encode(),
        )
        for name, answer in known.items()
    }
