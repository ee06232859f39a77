"""What each order costs does not grow with the orders there were: no step looks through a whole table of them."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from app.ports.hooks import Delivery
from app.sync.hooks import read_due
from app.sync.sweep import drop_old_deliveries, sweep
from tests.pipeline.world import World, plain_order

_GROWING = "rm_(thread|order|step|event|inbox|address|lineitems|error_orders|id_map|delivery)"


@pytest.mark.only_on("sqlite")
def test_no_statement_of_the_road_scans_a_table_that_grows(make_world: Callable[..., World]) -> None:
    world = make_world(orders=[plain_order(number) for number in range(501, 521)])
    engine = world.engine
    asked: dict[str, Any] = {}

    @event.listens_for(engine, "before_cursor_execute")
    def _note(_connection: Any, _cursor: Any, statement: str, given: Any, _context: Any, many: bool) -> None:
        asked.setdefault(statement, given[0] if many else given)

    world.run()
    _hear_of(world)
    scanning = {}
    with engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        for statement, given in list(asked.items()):
            if re.match(r"\s*(SELECT|UPDATE|DELETE)", statement):
                plan = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {statement}", given)]
                found = [step for step in plan if re.search(rf"SCAN {_GROWING}\b", step)]
                if found:
                    scanning[" ".join(statement.split())] = found
    assert len(asked) > 40
    assert scanning == {}


def _hear_of(world: World) -> None:
    """What webhooks cost, from the delivery to its being forgotten."""
    world.parts.store.take_delivery(world.site_id, Delivery("d1", "order.updated", "501"))
    world.clock.advance(60)
    sweep(world.parts, ring=world.road.ring, interval=1, ring_site=world.road.read_named)
    assert not read_due(world.parts, site_id=world.site_id, ring=world.road.ring)
    (run, *_) = world.parts.store.runs(limit=1)
    began = run.started_at
    world.parts.store.unannounced(world.site_id, after=began, until=began)
    assert world.parts.store.last_delivery(world.site_id) is not None
    world.clock.advance(15 * 86_400)
    assert drop_old_deliveries(world.parts) == 1
