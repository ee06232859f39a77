"""Kills and stops processes at seeded random times."""

import os
import random
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil
import redis

from app.runtime import EmbeddedBroker
from tests.chaos.databases import Database
from tests.chaos.history import History
from tests.chaos.middleware import Middleware

_WEIGHTS = {
    "worker": 18,
    "child": 20,
    "tree": 8,
    "beat": 5,
    "beat2": 2,
    "web": 7,
    "up": 5,
    "child_stopped": 9,
    "broker": 7,
    "broker_stopped": 5,
    "flush": 8,
    "database": 6,
    "connection": 5,
}
_STOPPED = {"child_stopped": (1.0, 5.0), "broker_stopped": (2.0, 8.0)}
_AWAY = (0.5, 2.5)

Later = Callable[[float, Callable[[], None]], None]
"""Does something so many seconds from now."""


class Monkey:
    """One act at a time. `later` is how it puts off what follows."""

    def __init__(
        self,
        middleware: Middleware,
        broker: EmbeddedBroker,
        database: Database,
        *,
        chance: random.Random,
        history: History,
        later: Later,
        with_database: bool,
    ) -> None:
        self._middleware = middleware
        self._broker = broker
        self._database = database
        self._chance = chance
        self._history = history
        self._later = later
        self._weights = {
            name: weight
            for name, weight in _WEIGHTS.items()
            if with_database or name not in {"database", "connection"}
        }

    def act(self) -> bool:
        """One kill or stop of something that is there. False where nothing was found to do it to."""
        for _ in range(5):
            kind = self._chance.choices(list(self._weights), weights=list(self._weights.values()))[0]
            done = self._do(kind)
            if done is not None:
                self._history.note("kill", kind=kind, detail=done)
                return True
        return False

    def _do(self, kind: str) -> str | None:
        """What was done, or None where there was nothing to do it to."""
        match kind:
            case "tree":
                pids = [self._middleware.pid("worker"), *self._middleware.pool()]
                return _killed([pid for pid in pids if pid is not None])
            case "child" | "child_stopped":
                return self._do_to_child(kind)
            case "broker" | "broker_stopped" | "flush":
                return self._do_to_broker(kind)
            case "database" | "connection":
                return self._do_to_database(kind)
            case _:
                pid = self._middleware.pid(kind)
                return None if pid is None else _killed([pid])

    def _do_to_child(self, kind: str) -> str | None:
        pool = self._middleware.pool()
        if not pool:
            return None
        victim = self._chance.choice(pool)
        return _killed([victim]) if kind == "child" else self._stop(kind, victim)

    def _stop(self, kind: str, pid: int) -> str | None:
        seconds = self._chance.uniform(*_STOPPED[kind])
        if not sent([pid], signal.SIGSTOP):
            return None

        def go_on() -> None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

        self._later(seconds, go_on)
        return f"{pid} for {seconds:.1f} s"

    def _do_to_broker(self, kind: str) -> str | None:
        if self._broker.poll() is not None:
            return None
        if kind == "broker_stopped":
            return self._stop(kind, self._broker.pid)
        if kind == "broker":
            return _killed([self._broker.pid])
        try:
            with redis.Redis(unix_socket_path=str(self._broker.socket_path), socket_timeout=2) as client:
                client.flushall()
        except redis.RedisError:
            # It is stopped just now.
            return None
        return "all"

    def _do_to_database(self, kind: str) -> str | None:
        if kind == "connection":
            return "one" if self._database.kill_one(self._chance.randrange(100)) else None
        if not self._database.kill():
            return None
        away = self._chance.uniform(*_AWAY)
        self._later(away, self._database.start)
        return f"for {away:.1f} s"


def _killed(pids: list[int]) -> str | None:
    return ", ".join(map(str, sent(pids, signal.SIGKILL))) or None


def sent(pids: Sequence[int], number: signal.Signals) -> list[int]:
    """Send a signal to those of these processes that live, and return them: the dead whom nobody has waited for do not count."""
    hit = []
    for pid in pids:
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if psutil.Process(pid).status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
                os.kill(pid, number)
                hit.append(pid)
    return hit
