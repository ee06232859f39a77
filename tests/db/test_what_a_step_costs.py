"""A batch costs the same however much else waits. Counted in steps of SQLite's own machine, so that nothing depends on time.

SQLite is the one to ask: it knows no figures of its tables and goes by guesses, so that a bad guess shows here first.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

from app.domain.road import Owed, Stage
from tests.contracts.store import World
from tests.db.harness import SqlHarness, harness_on
from tests.fixtures.databases import Database

pytestmark = pytest.mark.only_on("sqlite")

BATCH = 20
_EACH = 100
"""The machine's steps between two counts."""


class Counter:
    """How many hundreds of steps SQLite has taken."""

    def __init__(self, engine: Engine) -> None:
        self.count = 0
        event.listen(engine, "checkout", self._watch)

    def _watch(self, connection: Any, *_: Any) -> None:
        connection.set_progress_handler(self._took, _EACH)

    def _took(self) -> int:
        self.count += 1
        return 0

    @contextmanager
    def of(self, found: dict[str, int], name: str) -> Iterator[None]:
        before = self.count
        yield
        found[name] = self.count - before


@pytest.fixture
def harness(database: Database) -> Iterator[SqlHarness]:
    with harness_on(database.url) as harness:
        yield harness


def the_road(world: World, counter: Counter, numbers: Iterator[int]) -> dict[str, int]:
    """A batch goes from the reading to its documents; what each part of the way took."""
    found: dict[str, int] = {}
    ids = [str(next(numbers)) for _ in range(BATCH)]
    with counter.of(found, "read"):
        batch_id = world.batch(*ids)
    for stage in tuple(Stage)[:-1]:
        with counter.of(found, stage):
            world.pass_stage(stage, batch_id)
    with counter.of(found, Owed.ACKNOWLEDGE):
        world.acknowledge(batch_id)
    with counter.of(found, Owed.EXPORT):
        world.export(batch_id)
    assert world.thread(ids[0])["state"] == "done"
    return found


def test_each_part_of_the_road_costs_a_batch_the_same_among_many_that_wait(harness: SqlHarness) -> None:
    world, numbers = World(harness), itertools.count(1)
    counter = Counter(harness.engine)
    the_road(world, counter, numbers)
    alone = the_road(world, counter, numbers)
    for stage in (Stage.NORMALIZE, Stage.WRITE, Stage.DELIVER):
        for _ in range(5):
            batch_id = world.at(stage, *(str(next(numbers)) for _ in range(100)))
            if stage is Stage.DELIVER:
                world.acknowledge(batch_id)
    among = the_road(world, counter, numbers)
    assert {name: among[name] / steps < 1.5 for name, steps in alone.items()} == dict.fromkeys(alone, True), (
        alone,
        among,
    )


def test_an_empty_claim_costs_next_to_nothing_among_many_that_wait(harness: SqlHarness) -> None:
    world = World(harness)
    counter = Counter(harness.engine)
    batch_id = world.batch("none")
    for count in range(10):
        world.at(Stage.DELIVER, *(f"{count}-{each}" for each in range(100)))
    found: dict[str, int] = {}
    with counter.of(found, "claim"):
        assert world.claim(Stage.WRITE, batch_id) == ()
    with counter.of(found, "claim steps"):
        assert world.claim_steps(Owed.EXPORT, batch_id)[1] == ()
    assert max(found.values()) <= 2, found
