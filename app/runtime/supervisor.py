"""Starts again what ends, after a pause that grows with every end until something has stayed up for a while."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from app.errors import OrderSyncError

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
STEADY = 60.0
"""Who has been up for so many seconds is well again: the next pause is the first one."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process runs."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A process has ended by itself (`code` is minus the signal's number for a kill) and is started again in `pause` seconds."""

    name: str
    code: int
    pause: float


@dataclass(frozen=True, slots=True)
class NotStarted:
    """A process could not be started again; that is tried once more in `pause` seconds."""

    name: str
    reason: str
    pause: float


@dataclass(slots=True)
class _Supervised:
    start: Callable[[], int]
    poll: Callable[[], int | None]
    pause: float
    since: float
    due: float | None


class Supervisor:
    """Processes by name, each started again when it has ended. No pause of one holds up another."""

    def __init__(
        self,
        *,
        report: Callable[[Started | Ended | NotStarted], None],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report = report
        self._ticks = ticks
        self._supervised: dict[str, _Supervised] = {}

    @property
    def names(self) -> list[str]:
        """Whom it looks after, in the order of their first starts."""
        return list(self._supervised)

    def start(self, name: str, *, start: Callable[[], int], poll: Callable[[], int | None]) -> None:
        """Start it now, and again whenever `poll` gives an exit code. What the first start raises is raised."""
        pid = start()
        self._supervised[name] = _Supervised(start, poll, pause=0.0, since=self._ticks(), due=None)
        self._report(Started(name, pid))

    def look(self) -> None:
        """See who has ended, and start whose pause is over. To be called several times a second."""
        for name, each in self._supervised.items():
            if each.due is None:
                self._see(name, each)
            elif self._ticks() >= each.due:
                self._start_again(name, each)

    def _see(self, name: str, each: _Supervised) -> None:
        code = each.poll()
        if code is None:
            return
        if self._ticks() - each.since >= STEADY:
            each.pause = 0.0
        self._wait(each)
        self._report(Ended(name, code, each.pause))

    def _start_again(self, name: str, each: _Supervised) -> None:
        try:
            pid = each.start()
        except (OrderSyncError, OSError) as error:
            self._wait(each)
            self._report(NotStarted(name, str(error), each.pause))
            return
        each.since, each.due = self._ticks(), None
        self._report(Started(name, pid))

    def _wait(self, each: _Supervised) -> None:
        each.pause = min(LONGEST_PAUSE, 2 * each.pause or FIRST_PAUSE)
        each.due = self._ticks() + each.pause
