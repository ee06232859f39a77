"""What the store keeps of one order (contract sections 4 and 5)."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from .answers import JsonObject


class Ids:
    """The numbers that the store gives out, a sequence for each kind of thing."""

    def __init__(self, first_order: int = 100) -> None:
        self._next: dict[str, int] = {"order": first_order}
        self._lock = threading.Lock()

    def next(self, kind: str) -> int:
        """The next number of a kind."""
        with self._lock:
            number = self._next.setdefault(kind, len(self._next) * 1000 + 1)
            self._next[kind] += 1
            return number

    def seen(self, kind: str, number: int) -> None:
        """A number that somebody chose: the sequence goes on after it."""
        with self._lock:
            self._next[kind] = max(self._next.get(kind, 1), number + 1)


@dataclass
class Order:
    """One order: its own fields as answered, without dates, links and labels, and the rows of its sub-resources."""

    id: int
    body: JsonObject
    created: datetime
    modified: datetime
    shipped: datetime | None = None
    bare_money: bool = False
    lines: list[JsonObject] = field(default_factory=list)
    rates: dict[int, Decimal] = field(default_factory=dict)
    """The tax rate of each line, by its id."""
    addresses: list[JsonObject] = field(default_factory=list)
    coupons: list[JsonObject] = field(default_factory=list)
    taxes: list[JsonObject] = field(default_factory=list)
    fees: list[JsonObject] = field(default_factory=list)
    messages: list[JsonObject] = field(default_factory=list)
    shipments: list[JsonObject] = field(default_factory=list)
    transactions: list[JsonObject] = field(default_factory=list)
    refunds: list[JsonObject] = field(default_factory=list)
    metafields: list[JsonObject] = field(default_factory=list)

    @property
    def status_id(self) -> int:
        """The number of its status."""
        return int(self.body["status_id"])


def copied(value: Any) -> Any:
    """A copy that shares nothing: rows hold JSON values and nothing else."""
    if isinstance(value, dict):
        return {name: copied(one) for name, one in value.items()}
    return [copied(one) for one in value] if isinstance(value, list) else value
