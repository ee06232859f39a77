"""A flood in one queue keeps off nothing that could end it."""

import time
from collections import Counter
from datetime import timedelta

import pytest

from app.bootstrap import panel_of
from app.domain.road import Stage
from app.passes import connect
from app.ports.store import Bell
from tests.road.conftest import Middleware
from workers.application import make_app

pytestmark = pytest.mark.slow

FLOOD = 3_000
TIMES = 40


def test_the_item_sync_the_sweeper_and_the_watch_run_while_a_flood_of_steps_waits(
    middleware: Middleware,
) -> None:
    panel = panel_of(middleware.program)
    panel.store.pause_site(1, until=panel.store.now() + timedelta(hours=1), reason="The secret is wrong.")
    before = middleware.program.parts.store.erps()[0].items_last_run
    for _ in range(FLOOD):
        # As held orders that are tried again: each takes a worker's time, and nothing comes of it.
        middleware.workers.send("verify_skus", batch_id=1)
    middleware.workers.send("sync_items", erp_id=1, erp="bc")
    middleware.workers.send("watch")
    middleware.start_worker(concurrency=1)
    deadline = time.monotonic() + 30
    while middleware.program.parts.store.erps()[0].items_last_run == before:
        assert time.monotonic() < deadline, "the items were not read"
        time.sleep(0.05)
    while not panel.store.alert_rows(is_open=True, limit=1):
        assert time.monotonic() < deadline, "nobody looked whether there is something to tell"
        time.sleep(0.05)
    with connect(middleware.broker) as client:
        assert client.llen("orders") > FLOOD / 3


def test_a_batch_that_was_rung_many_times_over_costs_one_task_each_time(middleware: Middleware) -> None:
    middleware.start_worker(concurrency=1)
    middleware.wait(middleware.start_run())
    before = _done(middleware)
    for _ in range(TIMES):
        middleware.workers.ring(Bell(batch_id=1, link=Stage.NORMALIZE))
    deadline = time.monotonic() + 30
    while _done(middleware)["ordersync.normalize"] < before["ordersync.normalize"] + TIMES:
        assert time.monotonic() < deadline, "the batch was not looked at"
        time.sleep(0.05)
    with connect(middleware.broker) as client:
        assert client.llen("orders") == 0
    done = _done(middleware) - before
    # Those of the wait for the run may come late.
    del done["ordersync.sweep"]
    assert done == {"ordersync.normalize": TIMES}


def _done(middleware: Middleware) -> Counter[str]:
    """How many tasks of each kind its worker has received."""
    app = make_app(middleware.program.settings, url=middleware.broker)
    (found,) = (app.control.inspect(timeout=5).stats() or {}).values()
    return Counter(found["total"])
