"""A flood in one queue keeps off nothing that could end it."""

import time

import pytest

from app.passes import connect
from tests.road.conftest import Middleware

pytestmark = pytest.mark.slow

FLOOD = 3_000


def test_the_item_sync_and_the_sweeper_run_while_a_flood_of_steps_waits(middleware: Middleware) -> None:
    before = middleware.program.parts.store.erps()[0].items_last_run
    for _ in range(FLOOD):
        # As held orders that are tried again: each takes a worker's time, and nothing comes of it.
        middleware.workers.send("verify_skus", batch_id=1)
    middleware.workers.send("sync_items", erp_id=1, erp="bc")
    middleware.start_worker(concurrency=1)
    deadline = time.monotonic() + 30
    while middleware.program.parts.store.erps()[0].items_last_run == before:
        assert time.monotonic() < deadline, "the items were not read"
        time.sleep(0.05)
    with connect(middleware.broker) as client:
        assert client.llen("orders") > FLOOD / 3
