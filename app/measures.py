"""What processes count, in Redis for all of them together: one round trip after each task.

How often accounts answered what is counted beside their limits (`app.limits`), in the question that each call asks there anyway.
"""

import bisect
import threading
import time
from collections.abc import Callable, Mapping

import redis
import structlog

from app.ports.measures import BOUNDS, Counted, Took

log = structlog.get_logger("ordersync.measures")

_KEY = "ordersync:measures"
_SECONDS = "seconds"
_DROPPED = "dropped"
_AWAY = 10.0
"""Seconds for which a server that was found away is not asked again: finding out takes up to two seconds."""


class RedisMeasures:
    """Implements `app.ports.measures.Measures`."""

    def __init__(
        self, client: "redis.Redis", *, key: str = _KEY, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._key = key
        self._clock = clock
        self._lock = threading.Lock()
        self._dropped = 0
        self._away_until = -1.0

    def took(self, task: str, seconds: float) -> None:
        """A task has ended, well or not."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
            is_away = self._clock() < self._away_until
        if not is_away:
            try:
                with self._client.pipeline(transaction=False) as pipe:
                    pipe.hincrby(self._key, f"{task} {bisect.bisect_left(BOUNDS, seconds)}", 1)
                    pipe.hincrbyfloat(self._key, f"{task} {_SECONDS}", seconds)
                    if dropped:
                        pipe.hincrby(self._key, _DROPPED, dropped)
                    pipe.execute()
            except (redis.RedisError, OSError) as error:
                log.warning("not_measured", failure=type(error).__name__, seconds=_AWAY)
                with self._lock:
                    self._away_until = self._clock() + _AWAY
            else:
                return
        with self._lock:
            self._dropped += dropped + 1

    def counted(self) -> Counted:
        """What all processes counted. Raises what redis-py raises."""
        found = self._client.hgetall(self._key)
        return _counted({str(name): str(value) for name, value in found.items()})


def _counted(stored: Mapping[str, str]) -> Counted:
    counts: dict[str, list[int]] = {}
    seconds: dict[str, float] = {}
    for name, value in stored.items():
        task, _, place = name.rpartition(" ")
        if place == _SECONDS:
            seconds[task] = float(value)
        elif task and place.isdecimal() and int(place) <= len(BOUNDS):
            counts.setdefault(task, [0] * (len(BOUNDS) + 1))[int(place)] = int(value)
    return Counted(
        tasks={task: Took(tuple(found), seconds.get(task, 0.0)) for task, found in sorted(counts.items())},
        dropped=int(stored.get(_DROPPED, 0)),
    )
