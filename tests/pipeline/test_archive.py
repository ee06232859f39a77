"""Orders that have long been done go to the archive, and all that is asked about them is still answered as before."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.db.store import both
from app.errors import UsageError
from app.sandbox.erp.records import put
from app.sync.archive import archive, archive_nightly, sentence
from app.sync.audit import Seals, verify
from app.sync.parts import Parts, site_with_id
from app.sync.reconcile import Comparison, Heal, reconcile
from app.sync.trace import trace
from tests.pipeline.commands import command, good, printed_json
from tests.pipeline.world import WEDNESDAY, MakeWorld, World, plain_order

ORDERS = tuple(range(1001, 1007))
NEW = 1900


def seals(world: World) -> Seals:
    return Seals(key=world.parts.store.audit_key(), after_event=0)  # type: ignore[attr-defined]


def in_archive(world: World) -> set[int]:
    found = world.rows("SELECT platform_order_id FROM rm_thread WHERE archived_at IS NOT NULL")
    return {int(each["platform_order_id"]) for each in found}


def compare(world: World) -> Comparison:
    site = site_with_id(world.parts, world.site_id)
    since, until = WEDNESDAY - timedelta(days=400), WEDNESDAY + timedelta(days=1)
    return reconcile(world.parts, site, since=since, until=until, heal=Heal.NOTHING, ring=world.road.ring)


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """Six orders done 91 days ago, one that was rejected then, one that is held since, and one that has just been exported."""
    unknown = plain_order(1008)
    unknown["line_items"][0]["sku"] = "NEW-ITEM"
    made = make_world(
        orders=[*(plain_order(each) for each in ORDERS), plain_order(1007, total="1.00"), unknown]
    )
    with made.erp.lock:
        put(made.erp.books, "items", {"number": "NEW-ITEM", "displayName": "New"})
    made.run()
    assert {made.ends()[each] for each in ORDERS} == {"done"}
    assert (made.ends()[1007], made.ends()[1008]) == ("rejected", "held")
    made.clock.advance(91 * 86_400)
    made.place(plain_order(NEW))
    made.run()
    assert made.ends()[NEW] == "done"
    return made


def test_orders_long_done_move_and_nothing_else_does(world: World) -> None:
    told: list[int] = []
    found = archive(world.parts, days=90, progress=told.append)
    assert (found.orders, found.finished) == (6, True)
    assert told == [6, 6]
    assert in_archive(world) == set(ORDERS)
    assert sentence(found) == f"6 orders unchanged for 90 days went to the archive, {found.rows} rows in all."
    assert archive(world.parts, days=90).orders == 0


def test_an_archived_order_that_the_shop_edits_is_amended_and_not_exported_again(world: World) -> None:
    documents = world.document_numbers()
    archive(world.parts, days=90)
    world.clock.advance(3600)
    world.place(world.shop.order(1001) | {"customer_note": "Ring twice.", "status": "processing"})
    world.run()
    assert world.document_numbers() == documents
    (row,) = world.rows("SELECT state, amended_version FROM rm_thread WHERE platform_order_id = '1001'")
    assert (row["state"], row["amended_version"]) == ("done", 2)
    assert in_archive(world) == set(ORDERS) - {1001}
    assert verify(world.parts, seals(world)).whole


def test_an_archived_order_that_is_read_again_as_it_was_stays_where_it_is(world: World) -> None:
    documents = world.document_numbers()
    archive(world.parts, days=90)
    world.clock.advance(3600)
    world.place(*(world.shop.order(each) for each in ORDERS))
    world.run()
    assert in_archive(world) == set(ORDERS)
    assert world.document_numbers() == documents


def test_the_days_of_archived_orders_are_still_compared_as_complete(world: World) -> None:
    before = compare(world)
    archive(world.parts, days=90)
    after = compare(world)
    assert (after.findings, after.counts) == (before.findings, before.counts)
    assert after.counts["documents"] == 7
    assert after.counts["stored"] == 9


def test_trace_proof_and_page_of_an_archived_order(world: World) -> None:
    before = trace(world.parts, "BGM-1001")
    page = printed_json(world, "order", "show", "BGM-1001")
    archive(world.parts, days=90)
    after = trace(world.parts, "BGM-1001")
    assert after.moments[:-1] == before.moments
    assert (after.moments[-1].event, after.history.received) == ("archived", before.history.received)
    assert verify(world.parts, seals(world)).whole
    now = printed_json(world, "order", "show", "BGM-1001")
    assert [now[each] for each in ("order", "lines", "addresses", "steps", "events", "versions")] == [
        page[each] for each in ("order", "lines", "addresses", "steps", "events", "versions")
    ]
    listed = printed_json(world, "order", "list")
    assert {each["order"]: each["erp_document"] for each in listed}["BGM-1001"] != ""


class _Killed(BaseException):
    """The process ends here."""


def test_a_run_that_is_killed_between_two_batches_leaves_everything_whole_and_is_gone_on_with(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.sync.archive.AT_ONCE", 2)

    def killed(moved: int) -> None:
        if moved == 4:
            raise _Killed

    with pytest.raises(_Killed):
        archive(world.parts, days=90, progress=killed)
    assert len(in_archive(world)) == 4
    assert verify(world.parts, seals(world)).whole
    assert not compare(world).counts["no_body"]
    assert archive(world.parts, days=90).orders == 2
    assert in_archive(world) == set(ORDERS)


def test_a_run_that_is_killed_within_a_batch_has_moved_nothing_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {
        table: world.rows(f"SELECT * FROM {table}") for table in ("rm_event", "rm_order", "rm_lineitems")
    }
    moved = both._move

    def killed(*arguments: Any) -> int:
        moved(*arguments)
        raise _Killed

    monkeypatch.setattr(both, "_move", killed)
    with pytest.raises(_Killed):
        archive(world.parts, days=90)
    assert in_archive(world) == set()
    assert {table: world.rows(f"SELECT * FROM {table}") for table in before} == before
    assert world.rows("SELECT id FROM rm_event_archive") == []


def test_a_task_ends_in_time_and_goes_on_another_night(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.sync.archive.AT_ONCE", 2)
    times = iter((0.0, 0.0, 1.0, 100.0))
    parts: Parts = replace(world.parts, ticks=lambda: next(times))
    found = archive_nightly(parts, days=90)
    assert (found.orders, found.finished) == (4, False)
    assert sentence(found).endswith("There was not enough time for the rest.")
    assert archive_nightly(world.parts, days=90).orders == 2


def test_with_0_days_nothing_ever_moves(world: World) -> None:
    assert archive_nightly(world.parts, days=0).orders == 0
    assert in_archive(world) == set()


@pytest.mark.parametrize("days", [-1, 0, 36_501])
def test_days_that_cannot_be_are_refused(world: World, days: int) -> None:
    with pytest.raises(UsageError, match="from 1 to 36500"):
        archive(world.parts, days=days)


def test_the_command_counts_first_and_moves_then(world: World) -> None:
    assert good(world, "archive", "--dry-run") == "6 orders unchanged for 90 days would go to the archive.\n"
    assert in_archive(world) == set()
    found = printed_json(world, "archive", "--days", "30")
    assert (found["orders"], found["finished"], found["dry_run"]) == (6, True, False)
    assert in_archive(world) == set(ORDERS)
    assert command(world, "archive", "--days", "0").exit_code == 2
