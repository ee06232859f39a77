"""Signs of life that processes leave in Redis for others to see. A worker answers when asked; beat has no ear for that.

A sign lasts for three of the longest pauses between two of its process's acts, a minute at least, and is taken away by a process
that ends in order. Leaving one never fails and never waits long: a process whose broker is away has other troubles.
"""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import redis
import structlog

from app.passes import connect

log = structlog.get_logger("ordersync.heartbeats")

_PREFIX = "ordersync:alive"
_PAUSES = 3
_AT_LEAST = 60.0
_KEYS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Sign:
    """A process that was alive at `at` (aware UTC, by its own machine's clock)."""

    host: str
    pid: int
    at: datetime


class Heartbeat:
    """The sign of this process. `pause` is the most seconds that pass between two of its acts."""

    def __init__(self, url: str, *, process: str, pause: float) -> None:
        self._client = connect(url)
        self._key = f"{_PREFIX}:{process}:{host()}:{os.getpid()}"
        self._milliseconds = round(max(_AT_LEAST, pause * _PAUSES) * 1000)

    def beat(self) -> None:
        """Say that the process is alive."""
        try:
            self._client.set(self._key, datetime.now(UTC).isoformat(), px=self._milliseconds)
        except (redis.RedisError, OSError) as error:
            log.warning("no_sign_left", failure=type(error).__name__)

    def end(self) -> None:
        """Take the sign away; where that cannot be done it ends by itself."""
        with suppress(redis.RedisError, OSError):
            self._client.delete(self._key)


def host() -> str:
    """This host, in the name that Celery gives it as well."""
    return socket.gethostname()


def alive(client: "redis.Redis", *, process: str, on: str | None = None) -> tuple[Sign, ...]:
    """The processes of this kind that are alive, of one host only where it is named. Raises what redis-py raises."""
    keys = client.scan_iter(match=f"{_PREFIX}:{process}:{on or '*'}:*", count=_KEYS_AT_ONCE)
    found = sorted({str(key) for key in keys})
    values = client.mget(found) if found else []
    return tuple(
        _sign(key, str(value)) for key, value in zip(found, values, strict=True) if value is not None
    )


def _sign(key: str, value: str) -> Sign:
    name, _, pid = key.rpartition(":")
    return Sign(host=name.split(":", 3)[-1], pid=int(pid), at=datetime.fromisoformat(value))
