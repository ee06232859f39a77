"""What somebody who reaches the broker puts into a queue is not run; a worker says so and goes on with the next task."""

import base64
import json
import os
import pickle
import uuid
from pathlib import Path
from typing import Any

import pytest
import redis

from app.runtime import EmbeddedBroker
from tests.road.conftest import Middleware, middleware, road_database, running_middleware

__all__ = ["middleware", "road_database", "running_middleware"]

pytestmark = pytest.mark.slow


class Touching:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self._file}",)


def message(body: bytes, *, content_type: str, encoding: str, task: str = "ordersync.sweep") -> str:
    """As Celery puts one into a queue."""
    task_id = str(uuid.uuid4())
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": encoding,
            "content-type": content_type,
            "headers": {
                "lang": "py",
                "task": task,
                "id": task_id,
                "root_id": task_id,
                "argsrepr": "",
                "kwargsrepr": "",
            },
            "properties": {
                "correlation_id": task_id,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": "upkeep"},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
    )


def test_messages_that_are_no_json_of_ours_are_dropped_and_the_next_task_runs(
    middleware: Middleware, embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    touched = tmp_path / "touched"
    harm = Touching(touched)
    yaml = f"!!python/object/apply:os.system ['touch {touched}']".encode()
    middleware.start_worker()
    with redis.Redis(unix_socket_path=str(embedded_broker.socket_path)) as client:
        for body, content_type, encoding in (
            (pickle.dumps(((), {"a": harm}, {})), "application/x-python-serialize", "binary"),
            (pickle.dumps(harm), "application/json", "binary"),
            (yaml, "application/x-yaml", "utf-8"),
            (b"[[], {}", "application/json", "utf-8"),
            (b"[" * 100_000, "application/json", "utf-8"),
        ):
            client.lpush("upkeep", message(body, content_type=content_type, encoding=encoding))
        strange = b'[[], {"run_id": "1; DROP TABLE rm_order", "site_id": "x", "__class__": "y"}, {}]'
        client.lpush(
            "orders",
            message(strange, content_type="application/json", encoding="utf-8", task="ordersync.fetch"),
        )
        client.lpush(
            "orders",
            message(b"[[], {}, {}]", content_type="application/json", encoding="utf-8", task="os.system"),
        )
        run = middleware.wait(middleware.start_run())
        assert (run.state, client.llen("upkeep")) == ("finished", 0)
    assert not touched.exists()
    assert len(middleware.documents()) > 10
    console = (tmp_path / "log" / "worker.log").read_text(encoding="utf-8")
    assert "ContentDisallowed" in console
    assert str(touched) not in console
