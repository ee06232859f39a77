"""The store's request quota, which all of its apps share: counted by what every answer says of it, and kept to."""

import math
import threading
import time
from collections.abc import Callable, Mapping

from app.connectors.bigcommerce.answers import LONGEST_WAIT, asked_wait
from app.errors import Retry
from app.transport import Answer

_MARGIN = 0.05
"""Seconds after the window's end, so that a clock that is a little fast does not ask just before it."""
_FIRST_BACK_OFF = 15.0
_LONGEST_BACK_OFF = 600.0
_RESET = "X-Rate-Limit-Time-Reset-Ms"
_WINDOW = "X-Rate-Limit-Time-Window-Ms"
_LEFT = "X-Rate-Limit-Requests-Left"
_QUOTA = "X-Rate-Limit-Requests-Quota"


class Quota:
    """Shared by the threads of one connector. `reserve` requests of each window are left to other processes and apps.

    Never more than half of the store's quota is held back, so that a small one still lets us work. Times are in seconds of `clock`.
    """

    def __init__(
        self,
        *,
        reserve: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._reserve = reserve
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._quota: int | None = None
        self._left: int | None = None
        self._resets_at = 0.0
        self._blocked_until = 0.0
        self._in_flight = 0
        self._unexplained = 0

    @property
    def size(self) -> int | None:
        """Requests that the store takes in one window, None as long as no answer said so."""
        return self._quota

    def acquire(self, *, until: float) -> None:
        """Wait for a place in the window. Raises `Retry` where that would take longer than `until`.

        Each place is given back by `release`, whatever became of the request.
        """
        while True:
            with self._lock:
                now = self._clock()
                wait = self._wait(now)
                if wait <= 0:
                    self._in_flight += 1
                    return
                if now + wait > until:
                    raise Retry(
                        f"The store's quota of requests is used up; the next window begins in {wait:.0f} s.",
                        after=wait,
                    )
            self._sleep(wait)

    def release(self, headers: Mapping[str, str] | None) -> None:
        """A request is over; `headers` are its answer's, None where there was none."""
        with self._lock:
            self._in_flight -= 1
            if headers is not None:
                self._observe(headers)
            elif self._left is not None:
                self._left -= 1  # It may have been counted.

    def give_back(self) -> None:
        """A place is not needed after all: nothing was sent."""
        with self._lock:
            self._in_flight -= 1

    def refused(self, answer: Answer) -> float:
        """A request was answered with 429, by `answer`: nothing more goes out for so many seconds, which are returned.

        The longer counts of what it tells of its window and what it asks us to wait. Without either the platform
        itself is under load, and each such answer doubles the wait (contract, section 10). An hour at most.
        """
        with self._lock:
            milliseconds, asked = _number(answer.headers, _RESET), asked_wait(answer)
            if milliseconds is None and asked is None:
                wait = min(_FIRST_BACK_OFF * 2.0**self._unexplained, _LONGEST_BACK_OFF)
                self._unexplained = min(self._unexplained + 1, 16)
            else:
                wait = min(max((milliseconds or 0) / 1000, asked or 0) + _MARGIN, LONGEST_WAIT)
            self._blocked_until = max(self._blocked_until, self._clock() + wait)
            return wait

    def answered(self) -> None:
        """A request was answered with anything but 429."""
        with self._lock:
            self._unexplained = 0

    def _wait(self, now: float) -> float:
        if now < self._blocked_until:
            return self._blocked_until - now
        if self._left is None or self._quota is None:
            return 0.0
        if now >= self._resets_at:
            self._left = self._quota
            self._resets_at = math.inf  # Until an answer of the new window says when it ends.
        if self._left - self._in_flight > min(self._reserve, self._quota // 2):
            return 0.0
        if self._resets_at == math.inf:
            return _MARGIN if self._in_flight else 0.0
        return self._resets_at - now

    def _observe(self, headers: Mapping[str, str]) -> None:
        quota, left, milliseconds = (_number(headers, name) for name in (_QUOTA, _LEFT, _RESET))
        if quota is None or left is None or milliseconds is None or quota <= 0:
            return
        resets_at = self._clock() + min(milliseconds / 1000, LONGEST_WAIT) + _MARGIN
        half = (_number(headers, _WINDOW) or milliseconds) / 2000
        if self._left is not None and resets_at <= self._resets_at + half:
            # Answers come in another order than they were given in: within one window the lowest figure is the newest.
            left = min(left, self._left)
        self._quota, self._left, self._resets_at = quota, left, resets_at


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004 - longer is nonsense
