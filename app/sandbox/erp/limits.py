"""The limits of contract section 5: a request rate, and how many run and wait at once."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from app.sandbox.erp.errors import Refusal
from app.sandbox.erp.switches import Switches


class Limits:
    """Counts requests by the wall's monotonic clock, whatever clock the books keep."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._turn = threading.Condition()
        self._seen: deque[float] = deque()
        self._running = 0
        self._waiting = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Run one request when its turn comes; 429 beyond the rate or the queue, 503 after too long a wait."""
        with self._turn:
            self._count()
            self._wait()
            self._running += 1
        try:
            yield
        finally:
            with self._turn:
                self._running -= 1
                self._turn.notify()

    def _count(self) -> None:
        limit, now = self._switches.rate_limit, time.monotonic()
        while self._seen and self._seen[0] <= now - float(self._switches.rate_seconds):
            self._seen.popleft()
        if limit and len(self._seen) >= limit:
            raise _too_many()
        if limit:
            self._seen.append(now)

    def _wait(self) -> None:
        switches = self._switches
        if not self._is_full():
            return
        if self._waiting >= switches.waiting_limit:
            raise _too_many()
        self._waiting += 1
        try:
            if not self._turn.wait_for(lambda: not self._is_full(), timeout=float(switches.waiting_seconds)):
                raise Refusal(
                    503,
                    "Internal_ServerError",
                    "The request waited too long for its turn.",
                    headers={"Retry-After": str(switches.retry_after)},
                )
        finally:
            self._waiting -= 1

    def _is_full(self) -> bool:
        return 0 < self._switches.running_limit <= self._running


def _too_many() -> Refusal:
    return Refusal(429, "Unknown", "Too many requests. Try again later.")
