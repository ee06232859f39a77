"""A row whose processing is cut off again and again ends at a person's desk, and never takes a document for not written."""

import pytest
from sqlalchemy import text

from app.domain.road import LINKS, Link, Owed, Stage
from app.sync.policy import MAX_LOOKS_CUT_OFF, MAX_UNSETTLED
from app.sync.resume import How, orders_named, resume
from tests.pipeline.world import MakeWorld, World, plain_order

DONE = ("done", "deliver", "")


def _cut_off(world: World, link: Link, *, times: int) -> None:
    """As if so many processes had claimed the order at this link and died."""
    table = "rm_thread" if isinstance(link, Stage) else "rm_step"
    kind = "" if isinstance(link, Stage) else f" WHERE kind = '{link}'"
    with world.engine.begin() as connection:
        connection.execute(text(f"UPDATE {table} SET unsettled = {times}{kind}"))


@pytest.mark.parametrize("link", LINKS)
def test_an_order_that_is_cut_off_again_and_again_becomes_an_error(make_world: MakeWorld, link: Link) -> None:
    world = make_world(orders=[plain_order(801), plain_order(802)])
    bells = world.fetch()
    before = LINKS[: LINKS.index(link)]
    if before:
        world.walk(bells, last=before[-1])
    _cut_off(world, link, times=MAX_UNSETTLED - 1)
    world.walk(bells, first=link, last=link)
    assert not world.errors(), "one attempt is left"

    again = make_world(orders=[plain_order(803)])
    bells = again.fetch()
    if before:
        again.walk(bells, last=before[-1])
    _cut_off(again, link, times=MAX_UNSETTLED)
    again.walk(bells, first=link, last=link)

    (error,) = again.errors().values()
    assert (error["kind"], error["stage"]) == ("crash", str(link))
    assert f"was cut off {MAX_UNSETTLED} times without an outcome" in error["reason"]
    assert again.documents() == []


def test_an_export_in_doubt_is_looked_up_for_longer_and_afterwards_a_person_finds_its_document(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[plain_order(804)])
    bells = world.fetch()
    world.walk(bells, last=Owed.ACKNOWLEDGE)
    world.erp.faults.order({"kind": "reset_after", "match": {"operation": r"salesOrders$"}})
    world.walk(bells, first=Owed.EXPORT)
    assert "being verified" in world.states()[804][2]

    _cut_off(world, Owed.EXPORT, times=MAX_LOOKS_CUT_OFF)
    world.clock.advance(60)
    world.walk(bells, first=Owed.EXPORT)

    (error,) = world.errors().values()
    assert error["kind"] == "crash"
    (step,) = world.rows("SELECT state, intent_at FROM rm_step WHERE kind = 'export'")
    assert step["state"] == "failed"
    assert step["intent_at"] is not None, "what may be there is not forgotten"

    (result,) = resume(
        world.parts, orders_named(world.parts, ["BGM-804"]), How(by="cli:anna"), ring=world.road.ring
    )
    world.settle()

    assert result.run_id is not None
    assert world.states() == {804: DONE}
    assert world.document_numbers() == ["BGM-804"]
