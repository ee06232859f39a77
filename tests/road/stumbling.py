"""A worker that meets one trouble after the other at its first link: killed, out of time twice, and without its database."""

import fcntl
import os
import signal
import time
from pathlib import Path
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from sqlalchemy.exc import OperationalError

from app.bootstrap import Stage, inline
from workers.app import app

_normalize = inline.STEPS[Stage.NORMALIZE]
_TROUBLES = Path(os.environ["ORDERSYNC_VAR"]) / "troubles"


def _killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _out_of_time() -> None:
    time.sleep(60)


def _deaf_to_the_soft_limit() -> None:
    while True:
        try:
            time.sleep(60)
        except SoftTimeLimitExceeded:
            continue


def _without_database() -> None:
    raise OperationalError("SELECT 1", {}, Exception("Quirin Geheim"))


def _stumble(parts: Any, **arguments: Any) -> Any:
    with _TROUBLES.open("a") as troubles:
        # Several of the pool's processes may come here at once, and each trouble is for one of them.
        fcntl.flock(troubles, fcntl.LOCK_EX)
        troubles.write("x")
        troubles.flush()
        met = _TROUBLES.stat().st_size
    for number, meet in enumerate(
        (_killed, _out_of_time, _deaf_to_the_soft_limit, _without_database), start=1
    ):
        if met == number:
            meet()
    return _normalize(parts, **arguments)


vars(inline)["STEPS"] = {**inline.STEPS, Stage.NORMALIZE: _stumble}

__all__ = ["app"]
