"""Claims beside each other on a server: no row twice, and nobody waits for another's open transaction."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from sqlalchemy import event

from app.domain.road import Owed, Stage
from app.ports.store import Sighting, Stored
from tests.contracts.store import World, seen
from tests.contracts.store_deliveries import DeliveriesContract, delivery
from tests.db.harness import SqlHarness

AT_ONCE = 10.0
"""A claim that waited would wait for ever: the other transaction ends after it."""
T = TypeVar("T")


@contextmanager
def held(harness: SqlHarness, claim: Callable[[], T]) -> Iterator["Future[T]"]:
    """The first store's claim has done everything but its commit; that follows at the end of the block."""
    arrived, go_on = threading.Event(), threading.Event()

    def stand_still(_connection: Any) -> None:
        arrived.set()
        assert go_on.wait(60)

    event.listen(harness.engine, "commit", stand_still)
    with ThreadPoolExecutor(1) as pool:
        claiming = pool.submit(claim)
        try:
            assert arrived.wait(30)
            yield claiming
        finally:
            go_on.set()
    event.remove(harness.engine, "commit", stand_still)


def at_once(claim: Callable[[], T]) -> T:
    """What a claim gives that waits for nobody."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(claim).result(timeout=AT_ONCE)


class ClaimsContract:
    """A subclass gives `harness`."""

    @pytest.fixture
    def harness(self) -> SqlHarness:
        raise NotImplementedError

    @pytest.fixture
    def world(self, harness: SqlHarness) -> World:
        return World(harness)

    def test_a_claim_does_not_wait_for_another_claim_of_the_same_batch(
        self, harness: SqlHarness, world: World
    ) -> None:
        batch_id = world.batch("1", "2", "3")
        with held(harness, lambda: world.claim(Stage.NORMALIZE, batch_id)) as claiming:
            assert at_once(lambda: world.claim(Stage.NORMALIZE, batch_id, store=world.other)) == ()
        assert [each.platform_order_id for each in claiming.result()] == ["1", "2", "3"]
        assert world.claim(Stage.NORMALIZE, batch_id, store=world.other) == ()

    def test_what_another_has_changed_and_not_committed_is_left_and_the_rest_is_claimed(
        self, harness: SqlHarness, world: World
    ) -> None:
        batch_id = world.batch("1", "2", "3")
        with harness.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE rm_thread SET reason = 'x' WHERE platform_order_id = '2'")
            found = at_once(lambda: world.claim(Stage.NORMALIZE, batch_id, store=world.other))
            assert [each.platform_order_id for each in found] == ["1", "3"]
        (left,) = world.claim(Stage.NORMALIZE, batch_id, store=world.other)
        assert left.platform_order_id == "2"

    def test_what_is_read_again_is_left_to_a_claim_unless_it_was_changed(
        self, harness: SqlHarness, world: World
    ) -> None:
        batch_id = world.batch("1", "2", "3")
        token = world.store.claim_site(world.site_id, lease_seconds=60)
        assert token is not None

        def read() -> Stored:
            return world.store.store_page(
                site_id=world.site_id,
                token=token,
                run_id=world.run_id,
                sightings=[Sighting(seen=each) for each in (seen("1"), seen("2", shows="second"), seen("4"))],
                read_at=world.clock(),
                limit=100,
                cursor_after=dict.fromkeys(range(4)),
            )

        with held(harness, read) as reading:
            found = at_once(lambda: world.claim(Stage.NORMALIZE, batch_id, store=world.other))
        assert [each.platform_order_id for each in found] == ["1", "3"]
        stored = reading.result()
        assert (stored.known, stored.again, stored.new) == (1, 1, 1)

    def test_a_suspect_is_claimed_alone_also_beside_an_open_claim(
        self, harness: SqlHarness, world: World
    ) -> None:
        batch_id = world.batch("1", "2", "3")
        harness.execute("UPDATE rm_thread SET unsettled = 2 WHERE platform_order_id = '2'")
        with held(harness, lambda: world.claim(Stage.NORMALIZE, batch_id)) as claiming:
            at_once(lambda: world.claim(Stage.NORMALIZE, batch_id, store=world.other))
        assert [each.platform_order_id for each in claiming.result()] == ["2"]

    @pytest.mark.parametrize("kind", Owed)
    def test_owed_steps_are_shared_out_between_two_open_claims(
        self, harness: SqlHarness, world: World, kind: Owed
    ) -> None:
        batch_id = world.at(Stage.DELIVER, "1", "2", "3", "4")
        if kind is Owed.EXPORT:
            world.acknowledge(batch_id)
        with held(harness, lambda: world.claim_steps(kind, batch_id, limit=2)) as claiming:
            _, second = at_once(lambda: world.claim_steps(kind, batch_id, limit=3, store=world.other))
        _, first = claiming.result()
        assert [each.platform_order_id for each in first] == ["1", "2"]
        # MariaDB sorts before it limits, and has then locked all that it sorted until the first claim is committed.
        rest = [] if harness.engine.dialect.name == "mysql" else ["3", "4"]
        assert [each.platform_order_id for each in second] == rest

    def test_deliveries_are_not_waited_for(self, harness: SqlHarness, world: World) -> None:
        claim = DeliveriesContract().claim_deliveries
        for number in (1, 2):
            assert world.store.take_delivery(world.site_id, delivery(number, order=str(number)))
        with held(harness, lambda: claim(world)) as claiming:
            assert at_once(lambda: claim(world, store=world.other))[1] == ()
        assert len(claiming.result()[1]) == 2

    def test_the_sweeper_does_not_wait_for_a_claim_nor_a_claim_for_the_sweeper(
        self, harness: SqlHarness, world: World
    ) -> None:
        batch_id = world.batch("1", "2")
        other = world.batch("3")
        world.clock.advance(3600)
        with held(harness, lambda: world.claim(Stage.NORMALIZE, batch_id)):
            bells = at_once(lambda: world.other.due(rung_before=60, limit=100))
        assert [each.batch_id for each in bells] == [other]
        world.clock.advance(3600)
        with held(harness, lambda: world.store.due(rung_before=60, limit=100)) as sweeping:
            assert at_once(lambda: world.claim(Stage.NORMALIZE, other, store=world.other)) == ()
        # What the claim left to the sweeper is rung by it.
        (bell,) = sweeping.result()
        assert len(world.claim(Stage.NORMALIZE, bell.batch_id, store=world.other)) == 3
