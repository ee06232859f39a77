"""The road through a real worker and broker: kills, lost messages and split batches change nothing about the end."""

import base64
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from app.domain.road import LINKS
from app.passes import connect
from tests.road.conftest import Middleware

pytestmark = pytest.mark.slow

GENERATED = 120
EXPORTED_OF_RECORDED, REJECTED_OF_RECORDED, SKIPPED_OF_RECORDED = 18, 21, 1
SKUS = ["WID-001", "COMP-A", "COMP-B", "HOSE-3", "KIT-PARENT-123"]
EXPECTED = {
    "fetched": GENERATED + 40,
    "written": GENERATED + EXPORTED_OF_RECORDED,
    "acknowledged": GENERATED + EXPORTED_OF_RECORDED,
    "exported": GENERATED + EXPORTED_OF_RECORDED,
    "held": 0,
    "rejected": REJECTED_OF_RECORDED,
    "skipped": SKIPPED_OF_RECORDED,
    "closed": 0,
    "moving": 0,
}


def assert_the_books_are_right(middleware: Middleware) -> None:
    """One document for each exported order, none for the others, and every mark where it belongs."""
    numbers = Counter(row["externalDocumentNumber"] for row in middleware.documents())
    assert len(numbers) == EXPECTED["exported"]
    assert set(numbers.values()) == {1}
    orders = middleware.program.parts.store.order_summaries(site="bgm", state=None, limit=1000)
    assert {each.order_number for each in orders if each.erp_document} == set(numbers)
    marked = {str(each["id"]) for each in middleware.shop.overview() if each["mark"]}
    assert marked == {each.platform_order_id for each in orders if each.acknowledged}


@pytest.mark.services
def test_a_real_worker_takes_every_order_to_its_end(middleware: Middleware) -> None:
    middleware.shop.generate(GENERATED, 3, SKUS, spread_seconds=GENERATED)
    middleware.start_worker()
    run = middleware.wait(middleware.start_run())
    assert dict(run.counts) == EXPECTED
    assert_the_books_are_right(middleware)


@pytest.mark.parametrize(
    "killed_at", ["written", "acknowledged", pytest.param("exported", marks=pytest.mark.services)]
)
def test_a_worker_killed_in_the_middle_and_started_again_ends_with_the_same_counts(
    middleware: Middleware, killed_at: str
) -> None:
    middleware.shop.generate(GENERATED, 3, SKUS, spread_seconds=GENERATED)
    middleware.slow_down(milliseconds=60)
    middleware.start_worker()
    run_id = middleware.start_run()
    killed: list[int] = []

    def kill_once_begun() -> None:
        counts = middleware.program.parts.store.run(run_id).counts
        if not killed and counts[killed_at]:
            # SIGKILL of the worker and its pool, as the kernel's memory killer does it.
            middleware.group.kill("worker")
            killed.append(counts[killed_at])
            middleware.start_worker()

    run = middleware.wait(run_id, each_look=kill_once_begun)
    assert killed
    assert killed[0] < EXPECTED[killed_at], "the kill came too late to be in the middle"
    assert dict(run.counts) == EXPECTED
    assert_the_books_are_right(middleware)


def test_the_sweeper_alone_ends_the_same_way_when_every_message_between_the_steps_is_lost(
    middleware: Middleware,
) -> None:
    middleware.shop.generate(GENERATED, 3, SKUS, spread_seconds=GENERATED)
    middleware.start_worker("tests.road.forgetful")
    run = middleware.wait(middleware.start_run())
    assert dict(run.counts) == EXPECTED
    assert_the_books_are_right(middleware)
    lost = set((Path(middleware.environment["ORDERSYNC_VAR"]) / "lost").read_text("utf-8").splitlines())
    # The batches that were read, and every hand-over from a step to the next.
    steps = [f"ordersync.{link}" for link in LINKS]
    assert lost >= {"ordersync.fetch ordersync.normalize", *(f"{a} {b}" for a, b in pairwise(steps))}


def test_messages_hold_ids_and_the_sites_name_and_nothing_else(middleware: Middleware) -> None:
    middleware.start_run()
    with connect(middleware.broker) as client:
        message = json.loads(client.lindex("orders", 0))
    arguments, keywords, _ = json.loads(base64.b64decode(message["body"]))
    assert (arguments, keywords) == ([], {"site_id": middleware.site_id, "run_id": 1, "site": "bgm"})
