"""Faults on demand: which requests one meets, and how often."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass
class Fault:
    """One fault: which requests it meets (after ``skip`` of them), how often, and what happens then."""

    kind: str
    method: str
    path: re.Pattern[str]
    query: re.Pattern[str]
    times: int
    skip: int
    seconds: float

    def meets(self, method: str, path: str, query: str) -> bool:
        """Whether a request is one of those the fault is for."""
        return (
            self.method in ("*", method)
            and self.path.search(path) is not None
            and self.query.search(query) is not None
        )


def read_fault(data: dict[str, Any], kinds: Iterable[str]) -> Fault:
    """A fault as the control door gets it; ValueError or TypeError says what is wrong with it."""
    kind, known = str(data.get("kind") or ""), list(kinds)
    if kind not in known:
        raise ValueError(f"kind must be one of {', '.join(known)}")
    match = data.get("match") or {}
    if not isinstance(match, dict):
        raise TypeError("match must be an object")
    try:
        path, query = re.compile(str(match.get("path", ""))), re.compile(str(match.get("query", "")))
    except re.error as error:
        raise ValueError(f"match: {error}") from error
    return Fault(
        kind,
        str(match.get("method", "*")).upper(),
        path,
        query,
        int(data.get("times", 1)),
        int(data.get("skip", 0)),
        float(data.get("seconds", 30)),
    )


class Faults:
    """The faults that are set, first come first served. ``times`` below 0 is for ever."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Set a fault."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> list[str]:
        """Remove all faults. Returns the kinds of those that nothing has met."""
        with self._lock:
            left = [fault.kind for fault in self._faults for _ in range(max(fault.times, 0))]
            self._faults.clear()
            return left

    def take(self, method: str, path: str, query: str) -> Fault | None:
        """The fault that meets this request, used up by one."""
        with self._lock:
            for fault in self._faults:
                if fault.times == 0 or not fault.meets(method, path, query):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None
