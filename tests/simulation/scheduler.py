"""One thread, one virtual clock, one seeded source of chance: processes that run only when they are switched to.

A process is a greenlet. It gives up its turn by sleeping, and nothing else; so between two sleeps it is alone, and the same seed
gives the same run to the last step.
"""

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

from greenlet import getcurrent, greenlet

EPOCH = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
"""A Wednesday, far from every maintenance window."""


class Crash(BaseException):
    """SIGKILL: raised at the point where a process dies and at every later one, so that no `finally` of it changes anything."""


class Scheduler:
    """The clock and what is to happen, by time. `seconds` have passed since `begin`."""

    def __init__(
        self, seed: int, *, begin: datetime = EPOCH, trace: Callable[[str], None] | None = None
    ) -> None:
        self.random = Random(seed)
        self.begin = begin
        self.seconds = 0.0
        self.steps = 0
        self.current: Process | None = None
        self._trace = trace
        self._order = 0
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []

    @property
    def tracing(self) -> bool:
        """Whether anybody wants to know what happens."""
        return self._trace is not None

    def tell(self, who: str, what: str) -> None:
        """One line of the trace."""
        if self._trace is not None:
            self._trace(f"{self.seconds:10.3f}  {who:<12} {what}")

    def now(self) -> datetime:
        """The virtual time, aware UTC."""
        return self.begin + timedelta(seconds=self.seconds)

    def after(self, delay: float, action: Callable[[], object]) -> None:
        """Have `action` done in so many seconds."""
        self._order += 1
        heapq.heappush(self._agenda, (self.seconds + delay, self._order, action))

    def run(self, *, until: float) -> None:
        """Do what is due, one thing after the other, up to this second; the clock leaps over the time between."""
        while self._agenda and self._agenda[0][0] <= until:
            moment, _, action = heapq.heappop(self._agenda)
            self.seconds = moment
            self.steps += 1
            action()
        self.seconds = until


class Process:
    """One process. `body` runs in it from `start` on; `ended` is called when it is over, with whether it was killed.

    `owner` is whose process it is; the scheduler's `current` tells which one has its turn.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        name: str,
        body: Callable[["Process"], None],
        ended: Callable[[bool], None],
        *,
        owner: object = None,
    ) -> None:
        self.owner = owner
        self.scheduler = scheduler
        self.name = name
        self.dead = False
        self._body = body
        self._ended = ended
        self._hub = getcurrent()
        self._greenlet = greenlet(self._run)

    def start(self) -> None:
        """Run until the first sleep."""
        self._greenlet.switch()

    def sleep(self, seconds: float) -> None:
        """Let others run, and the clock go on."""
        self.check()
        self.scheduler.after(seconds, self._greenlet.switch)
        self._hub.switch()
        self.scheduler.current = self
        self.check()

    def check(self) -> None:
        """Raises `Crash` in a process that is dead."""
        if self.dead:
            raise Crash

    def kill(self) -> None:
        """Die here."""
        self.dead = True
        raise Crash

    def _run(self) -> None:
        self.scheduler.current = self
        try:
            self._body(self)
        except Crash:
            self.scheduler.tell(self.name, "killed")
        # With a greenlet's end its parent goes on: the one that made it.
        self._ended(self.dead)
