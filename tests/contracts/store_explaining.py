"""What the store keeps of an order to explain it by. A database's tests inherit this beside `StoreContract`."""

from datetime import timedelta
from decimal import Decimal

from app.domain.road import Stage
from app.ports.explaining import Evidence
from tests.contracts.store import MODIFIED, World, seen


class ExplainingContract:
    """The text that an order was made from."""

    def evidence(self, world: World, order_id: str = "1") -> Evidence:
        return world.store.evidence(world.thread(order_id)["id"])

    def test_the_body_is_that_of_the_orders_own_version_with_all_its_parts(self, world: World) -> None:
        world.batch("1", "2")
        assert self.evidence(world).body == seen("1").body
        assert self.evidence(world, "2").body == seen("2").body
        world.store.keep_completed(world.site_id, {("1", 1): "whole"})
        assert self.evidence(world) == Evidence(body="whole", sent=None)

    def test_a_new_version_that_runs_is_the_one_to_explain_and_one_that_waits_is_not(
        self, world: World
    ) -> None:
        edited = seen("1", shows="edited", at=MODIFIED + timedelta(minutes=5))
        world.batch("1")
        world.clock.advance(1)
        world.read(edited)
        assert world.thread()["version"] == 2
        assert self.evidence(world).body == edited.body
        world.sent("2")
        world.clock.advance(1)
        world.read(seen("2", shows="edited", at=MODIFIED + timedelta(minutes=5)))
        assert (world.thread("2")["version"], world.thread("2")["amended_version"]) == (1, 2)
        assert self.evidence(world, "2").body == seen("2").body

    def test_a_body_that_is_not_stored_any_more_is_none(self, world: World) -> None:
        world.at(Stage.DELIVER, "1")
        world.harness.execute("DELETE FROM rm_inbox")
        assert self.evidence(world).body is None
        assert world.store.evidence(0) == Evidence(body=None, sent=None)

    def test_numbers_that_are_not_those_of_the_document_are_named_wherever_the_rows_are(
        self, world: World
    ) -> None:
        world.at(Stage.WRITE, "1")
        assert self.evidence(world).strays is None
        world.sent("2")
        assert self.evidence(world, "2").strays == ()
        order_id = world.details("2")["order"]["id"]
        world.harness.execute(f"UPDATE rm_order SET total = '1.00' WHERE id = {order_id}")
        world.harness.execute(
            f"UPDATE rm_lineitems SET tax = '7.00' WHERE order_id = {order_id} AND position = 1"
        )
        found = self.evidence(world, "2").strays
        assert found is not None
        assert [(each.line, each.column) for each in found] == [(None, "total"), (1, "tax")]
        assert [Decimal(each.stored) for each in found] == [Decimal("1.00"), Decimal("7.00")]
