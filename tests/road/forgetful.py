"""A worker whose broker loses every message that a task sends, the sweeper's alone excepted.

What `fetch` rings, the rest of each chain, the waits of split batches and task retries: none of them arrives. Each is noted in the
file `lost` in the program's folder.
"""

import os
from pathlib import Path
from typing import Any

from celery import current_task

from workers.app import app

LOST = "lost"
_SWEEPER = "ordersync.sweep"
_lost = Path(os.environ["ORDERSYNC_VAR"]) / LOST
_send = app.amqp.send_task_message


def _forget(producer: Any, name: str, message: Any, **options: Any) -> Any:
    sender = current_task.name if current_task else ""
    if sender == _SWEEPER:
        return _send(producer, name, message, **options)
    with _lost.open("a", encoding="utf-8") as file:
        file.write(f"{sender} {name}\n")
    return None


vars(app.amqp)["send_task_message"] = _forget

__all__ = ["LOST", "app"]
