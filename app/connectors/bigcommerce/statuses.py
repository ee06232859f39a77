"""The order statuses of the platform: fifteen numbers that never change, and labels that a merchant may change at will."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import Misconfigured, Retry

SYSTEM_NAMES: Mapping[int, str] = {
    0: "Incomplete",
    1: "Pending",
    2: "Shipped",
    3: "Partially Shipped",
    4: "Refunded",
    5: "Cancelled",
    6: "Declined",
    7: "Awaiting Payment",
    8: "Awaiting Pickup",
    9: "Awaiting Shipment",
    10: "Completed",
    11: "Awaiting Fulfillment",
    12: "Manual Verification Required",
    13: "Disputed",
    14: "Partially Refunded",
}
"""Predefined and static; merchants change the names only (contract, section 6)."""

_NUMBER = re.compile(r"\d{1,4}", re.ASCII)
_LABELS = ("name", "system_label", "custom_label")


def status_text(status_id: Any) -> str:
    """A status as we write it, by the system's name and its number, as in `Awaiting Fulfillment (11)`; never the merchant's label."""
    if isinstance(status_id, bool) or not isinstance(status_id, int):
        return ""
    name = SYSTEM_NAMES.get(status_id)
    return f"{name} ({status_id})" if name else f"Status ({status_id})"


def number_of(word: str) -> int | None:
    """The id that is written in the setting, None where it is a label."""
    return int(word) if _NUMBER.fullmatch(word) else None


def resolve(word: str, *, listed: Iterable[Any], setting: str) -> int:
    """The id of the status that `word` names in the store's own list. Raises `Misconfigured` unless there is exactly one."""
    number = number_of(word)
    rows = _rows(listed)
    if number is not None:
        if number not in rows:
            raise Misconfigured(
                f"The store has no order status {number}; it has {_offered(rows)}.", mend=(f"set {setting}",)
            )
        return number
    wanted = word.strip().casefold()
    found = sorted(each for each, labels in rows.items() if wanted in labels)
    if len(found) == 1:
        return found[0]
    if found:
        raise Misconfigured(
            f"The store has more than one order status called {word!r} ({', '.join(map(status_text, found))});"
            " write its number instead.",
            mend=(f"set {setting}",),
        )
    raise Misconfigured(
        f"The store has no order status called {word!r}; it has {_offered(rows)}.", mend=(f"set {setting}",)
    )


@dataclass(frozen=True, slots=True)
class Chosen:
    """The ids of the statuses that are read, and of the one that our acknowledgement sets."""

    read: frozenset[int]
    acknowledged: int


def choose(*, statuses: Iterable[str], ack_status: str, listed: Iterable[Any] | None) -> Chosen:
    """The statuses that the settings name. `listed` is the store's own list, None where none of them is a label.

    Raises `Misconfigured` for one that the store does not have exactly once, and where an order would not leave what is read.
    """
    rows = None if listed is None else list(listed)

    def number(word: str, setting: str) -> int:
        found = number_of(word)
        if rows is not None or found is None:
            return resolve(word, listed=rows or (), setting=setting)
        return found

    chosen = Chosen(
        read=frozenset(number(word, "statuses") for word in statuses),
        acknowledged=number(ack_status, "ack_status"),
    )
    if chosen.acknowledged in chosen.read:
        raise Misconfigured(
            f"ack_status is {status_text(chosen.acknowledged)}, which is one of the statuses that are read; an order that was"
            " taken over must leave them.",
            mend=("set ack_status", "set statuses"),
        )
    return chosen


def _rows(listed: Iterable[Any]) -> dict[int, set[str]]:
    rows: dict[int, set[str]] = {}
    for each in listed:
        if isinstance(each, dict) and isinstance(each.get("id"), int):
            labels = (each.get(key) for key in _LABELS)
            rows[each["id"]] = {label.strip().casefold() for label in labels if isinstance(label, str)}
    if not rows:
        raise Retry("The store's list of order statuses is empty or cannot be read.")
    return rows


def _offered(rows: Mapping[int, set[str]]) -> str:
    return ", ".join(status_text(each) for each in sorted(rows))
