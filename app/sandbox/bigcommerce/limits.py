"""The store's quota of requests (contract section 10), in real time whatever the orders' clock says."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Allowance:
    """What is left of the window, as every answer's headers tell it."""

    window_ms: int
    reset_ms: int
    quota: int
    left: int
    refused: bool = False

    def headers(self) -> list[tuple[str, str]]:
        """The four headers; a refusal also says how many seconds to wait."""
        found = [
            ("X-Rate-Limit-Time-Window-Ms", str(self.window_ms)),
            ("X-Rate-Limit-Time-Reset-Ms", str(self.reset_ms)),
            ("X-Rate-Limit-Requests-Quota", str(self.quota)),
            ("X-Rate-Limit-Requests-Left", str(self.left)),
        ]
        if self.refused:
            found.append(("X-Retry-After", str(math.ceil(self.reset_ms / 1000))))
        return found


class RateLimit:
    """A window that opens with the first request after the last one closed. Refused requests do not prolong it."""

    def __init__(self, quota: int, window_seconds: float, now: Callable[[], float]) -> None:
        self.quota = quota
        self.window_seconds = window_seconds
        self.requests = 0
        self.refused = 0
        self.most_in_window = 0
        """The most requests of one window, those that were refused included."""
        self._now = now
        self._opened: float | None = None
        self._in_window = 0
        self._lock = threading.Lock()

    def take(self) -> Allowance:
        """Count one request; whether it is refused."""
        with self._lock:
            now = self._now()
            if self._opened is None or now - self._opened >= self.window_seconds:
                self._opened, self._in_window = now, 0
            self._in_window += 1
            self.requests += 1
            self.most_in_window = max(self.most_in_window, self._in_window)
            refused = self._in_window > self.quota
            self.refused += refused
            return self._allowance(now, refused=refused)

    def peek(self) -> Allowance:
        """What is left, without taking of it."""
        with self._lock:
            return self._allowance(self._now(), refused=False)

    def reset(self) -> None:
        """Forget the counters and open a new window with the next request."""
        with self._lock:
            self.requests = self.refused = self.most_in_window = self._in_window = 0
            self._opened = None

    def _allowance(self, now: float, *, refused: bool) -> Allowance:
        spent = self.window_seconds if self._opened is None else now - self._opened
        over = spent >= self.window_seconds
        return Allowance(
            window_ms=round(self.window_seconds * 1000),
            reset_ms=max(math.ceil((self.window_seconds - (0 if over else spent)) * 1000), 1),
            quota=self.quota,
            left=self.quota if over else max(self.quota - self._in_window, 0),
            refused=refused,
        )
