"""What is to be done when, and a line that tells how far it is."""

import heapq
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Agenda:
    """What is to be done when, in one thread."""

    _entries: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do this so many seconds from now."""
        self._count += 1
        heapq.heappush(self._entries, (time.monotonic() + seconds, self._count, act))

    def every(self, seconds: float, act: Callable[[], None], *, while_: Callable[[], bool]) -> None:
        """Do this again and again, as long as that is true."""

        def again() -> None:
            if while_():
                act()
                self.later(seconds, again)

        self.later(seconds, again)

    def run_due(self) -> None:
        """Do all that is due."""
        while self._entries and self._entries[0][0] <= time.monotonic():
            heapq.heappop(self._entries)[2]()


class Progress:
    """One line that is redrawn on a terminal, else a line every ten seconds."""

    def __init__(self) -> None:
        self._shown = 0.0

    def tell(self, text: str) -> None:
        """Show how far it is."""
        terminal = sys.stderr.isatty()
        if time.monotonic() < self._shown + (0.5 if terminal else 10.0):
            return
        self._shown = time.monotonic()
        sys.stderr.write(f"\r\x1b[K{text}" if terminal else f"{text}\n")
        sys.stderr.flush()
