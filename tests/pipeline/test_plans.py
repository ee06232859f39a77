"""What each order costs does not grow with the orders there were: no step looks through a whole table of them."""

import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import event

from tests.pipeline.world import World, plain_order

_GROWING = "rm_(thread|order|step|event|inbox|address|lineitems|error_orders|id_map)"


def test_no_statement_of_the_road_scans_a_table_that_grows(make_world: Callable[..., World]) -> None:
    world = make_world(orders=[plain_order(number) for number in range(501, 521)])
    engine = world.engine
    asked: dict[str, Any] = {}

    @event.listens_for(engine, "before_cursor_execute")
    def _note(_connection: Any, _cursor: Any, statement: str, given: Any, _context: Any, many: bool) -> None:
        asked.setdefault(statement, given[0] if many else given)

    world.run()
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
