"""A site that has not answered again and again is left alone until its next reading, and its orders wait for that."""

from app.domain.road import Owed, Stage
from tests.pipeline.world import MakeWorld, plain_order


def test_no_call_is_made_to_a_site_that_does_not_answer_until_it_is_read_again(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(1001), plain_order(1002)])
    bells = world.fetch()
    world.walk(bells, last=Stage.WRITE)
    world.shop_fault("503_maintenance", times=-1)
    for _ in range(3):
        world.fetch()
    asked = len(world.shop_requests())
    world.walk(bells, first=Owed.ACKNOWLEDGE)
    assert len(world.shop_requests()) == asked
    reasons = {row["reason"] for row in world.rows("SELECT reason FROM rm_step WHERE kind = 'acknowledge'")}
    assert reasons == {"The site bgm has not answered 3 times in a row; it is asked again in 10 min."}
    assert world.ends() == {1001: "active", 1002: "active"}
    assert world.document_numbers() == []
    world.clear_faults()
    world.run()
    assert world.ends() == {1001: "done", 1002: "done"}
    assert world.document_numbers() == ["BGM-1001", "BGM-1002"]


def test_one_failed_reading_keeps_no_order_back(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(1001)])
    bells = world.fetch()
    world.walk(bells, last=Stage.WRITE)
    world.shop_fault("503_maintenance")
    world.fetch()
    world.walk(bells, first=Owed.ACKNOWLEDGE)
    assert world.ends() == {1001: "done"}
