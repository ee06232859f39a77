"""The audit trail is proved whole, and whatever is changed by hand in the database is found."""

from collections.abc import Callable

import pytest

from app.bootstrap import audit_key_of, open_program
from app.domain import trail
from app.errors import Misconfigured
from app.sandbox.erp.records import put
from app.settings import load_settings
from app.sync.audit import Seals, Verification, sentence, verify
from tests.fixtures import databases
from tests.pipeline.commands import command, environment, good, printed_json
from tests.pipeline.world import MakeWorld, World, kit_order, plain_order

ORDERS = (1001, 1002, 1003)


def seals(world: World, *, after_event: int = 0) -> Seals:
    return Seals(key=world.parts.store.audit_key(), after_event=after_event)  # type: ignore[attr-defined]


def proved(world: World, key: str | None = None) -> Verification:
    return verify(world.parts, seals(world), key=key)


def execute(world: World, *statements: str) -> None:
    """As somebody does who has the database and not the program: no constraint holds them up."""
    assert all(databases.execute(world.engine, *statements, foreign_keys=False))


def thread(world: World, order_id: int) -> int:
    (row,) = world.rows(f"SELECT id FROM rm_thread WHERE platform_order_id = '{order_id}'")
    return int(row["id"])


def event(world: World, order_id: int, name: str) -> int:
    (row,) = world.rows(
        f"SELECT id FROM rm_event WHERE thread_id = {thread(world, order_id)} AND event = '{name}'"
    )
    return int(row["id"])


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """Orders that went through, one of them after an edit, one that was held, one that is amended and one that is rejected."""
    bad = plain_order(1005)
    bad["line_items"][0]["sku"] = "NEW-ITEM"
    unbalanced = plain_order(1006, total="1.00")
    made = make_world(orders=[plain_order(each) for each in ORDERS] + [kit_order(1004), bad, unbalanced])
    with made.erp.lock:
        put(made.erp.books, "items", {"number": "NEW-ITEM", "displayName": "New"})
    made.run()
    made.clock.advance(3600)
    made.place(made.shop.order(1003) | {"customer_note": "Ring twice."})
    made.run()
    return made


def test_after_a_run_through_everything_the_trail_is_whole(world: World) -> None:
    assert set(world.ends().values()) == {"done", "held", "rejected"}
    found = proved(world)
    assert (found.whole, found.faults, found.orders) == (True, [], 6)
    assert found.events == len(world.rows("SELECT id FROM rm_event")) > 30
    assert (found.unsealed, found.erased) == (0, 0)
    assert sentence(found) == f"The audit trail is whole: {found.events} events of 6 orders."


Forgery = Callable[[World], None]


def _detail(world: World) -> None:
    execute(
        world,
        f'UPDATE rm_event SET detail = \'{{"total": "0.01"}}\' WHERE id = {event(world, 1001, "exported")}',
    )


def _unreadable(world: World) -> None:
    execute(world, f"UPDATE rm_event SET detail = 'nonsense' WHERE id = {event(world, 1001, 'exported')}")


def _time(world: World) -> None:
    later = "2026-11-25 12:30:00.000000"
    execute(world, f"UPDATE rm_event SET at = '{later}' WHERE id = {event(world, 1001, 'exported')}")


def _by(world: World) -> None:
    execute(world, f"UPDATE rm_event SET \"by\" = 'somebody' WHERE id = {event(world, 1001, 'acknowledged')}")


def _payload(world: World) -> None:
    of_event = f"FROM rm_event WHERE id = {event(world, 1001, 'exported')}"
    databases.execute(
        world.engine,
        f"DELETE FROM rm_payload WHERE thread_id = (SELECT thread_id {of_event}) AND number = (SELECT number {of_event})",
    )
    execute(
        world,
        f"INSERT INTO rm_payload (thread_id, number, body) SELECT thread_id, number, '{{}}' {of_event}",
    )


def _no_payload(world: World) -> None:
    # One that has a payload: what was said when it was held or refused.
    row = world.rows("SELECT thread_id, number FROM rm_payload LIMIT 1")[0]
    execute(
        world,
        f"DELETE FROM rm_payload WHERE thread_id = {row['thread_id']} AND number = {row['number']}",
        f"UPDATE rm_thread SET order_number = 'BGM-1001' WHERE id = {row['thread_id']}",
    )


def _payload_as_if_erased(world: World) -> None:
    row = world.rows("SELECT thread_id, number FROM rm_payload LIMIT 1")[0]
    execute(
        world,
        f"UPDATE rm_payload SET body = NULL WHERE thread_id = {row['thread_id']} AND number = {row['number']}",
        f"UPDATE rm_thread SET order_number = 'BGM-1001', erased_at = updated_at WHERE id = {row['thread_id']}",
    )


def _body(world: World) -> None:
    execute(
        world, "UPDATE rm_inbox SET body = replace(body, '19.99', '9.99') WHERE platform_order_id = '1001'"
    )


def _body_as_if_erased(world: World) -> None:
    execute(
        world,
        "UPDATE rm_inbox SET body = '' WHERE platform_order_id = '1001'",
        f"UPDATE rm_thread SET erased_at = updated_at WHERE id = {thread(world, 1001)}",
    )


def _no_body(world: World) -> None:
    execute(world, "DELETE FROM rm_inbox WHERE platform_order_id = '1001'")


def _another_body(world: World) -> None:
    names = "site_id, platform_order_id, content_hash, status, modified_raw, modified_at, read_at, body"
    execute(
        world,
        f"INSERT INTO rm_inbox ({names}, version) SELECT {names}, 2 FROM rm_inbox WHERE platform_order_id = '1001'",
    )


def _completed_body(world: World) -> None:
    """As if the parts that are asked for apart had been others."""
    world.parts.store.keep_completed(world.site_id, {("1001", 1): '{"id": 1001, "coupons": []}'})
    assert proved(world).whole
    execute(world, "UPDATE rm_inbox SET completed = '{}' WHERE platform_order_id = '1001'")


def _completed_body_that_nobody_read(world: World) -> None:
    execute(world, "UPDATE rm_inbox SET completed = '{}' WHERE platform_order_id = '1001'")


def _middle(world: World) -> None:
    execute(world, f"DELETE FROM rm_event WHERE id = {event(world, 1001, 'acknowledged')}")


def _end(world: World) -> None:
    execute(world, f"DELETE FROM rm_event WHERE id = {event(world, 1001, 'exported')}")


def _end_with_a_row_to_fit(world: World) -> None:
    """The most that a forger without the key can do: the count, and the seal of the last event that is left."""
    (row,) = world.rows(f"SELECT number FROM rm_event WHERE id = {event(world, 1001, 'exported')}")
    of_order = f"thread_id = {thread(world, 1001)} AND number = {row['number'] - 1}"
    (left,) = world.rows(f"SELECT mac FROM rm_event WHERE {of_order}")
    _end(world)
    execute(
        world,
        f"UPDATE rm_thread SET event_count = {row['number'] - 1}, event_head = '{left['mac']}'"
        f" WHERE id = {thread(world, 1001)}",
    )


def _all(world: World) -> None:
    execute(
        world,
        f"DELETE FROM rm_event WHERE thread_id = {thread(world, 1001)}",
        f"UPDATE rm_thread SET event_count = NULL, event_head = NULL WHERE id = {thread(world, 1001)}",
    )


def _insert_without_seal(world: World) -> None:
    execute(
        world,
        'INSERT INTO rm_event (thread_id, at, stage, event, "by", detail) VALUES'
        f" ({thread(world, 1001)}, '2026-11-25 13:00:00.000000', 'export', 'exported', 'worker', '{{}}')",
    )


def _insert_with_a_made_up_seal(world: World) -> None:
    of_order = f"thread_id = {thread(world, 1001)}"
    (row,) = world.rows(f"SELECT max(number) AS last FROM rm_event WHERE {of_order}")
    number = row["last"] + 1
    mac = trail.digest("made up")
    execute(
        world,
        'INSERT INTO rm_event (thread_id, at, stage, event, "by", detail, number, digest, mac) VALUES'
        f" ({thread(world, 1001)}, '2026-11-25 13:00:00.000000', 'export', 'closed', 'worker', '{{}}', {number}, '', '{mac}')",
        f"UPDATE rm_thread SET event_count = {number} WHERE id = {thread(world, 1001)}",
    )


def _swap(world: World) -> None:
    of_order = f"thread_id = {thread(world, 1001)}"
    execute(
        world,
        f"UPDATE rm_event SET number = 99 WHERE {of_order} AND number = 2",
        f"UPDATE rm_event SET number = 2 WHERE {of_order} AND number = 3",
        f"UPDATE rm_event SET number = 3 WHERE {of_order} AND number = 99",
    )


def _swap_rows(world: World) -> None:
    first, second = event(world, 1001, "acknowledged"), event(world, 1001, "exported")
    execute(
        world,
        f"UPDATE rm_event SET id = 1000000 WHERE id = {first}",
        f"UPDATE rm_event SET id = {first} WHERE id = {second}",
        f"UPDATE rm_event SET id = {second} WHERE id = 1000000",
    )


def _move(world: World) -> None:
    """The last event of another order becomes the last of this one."""
    of_order = f"thread_id = {thread(world, 1001)}"
    (row,) = world.rows(f"SELECT max(number) AS last FROM rm_event WHERE {of_order}")
    execute(
        world,
        f"UPDATE rm_event SET thread_id = {thread(world, 1001)}, number = {row['last'] + 1}"
        f" WHERE id = {event(world, 1002, 'exported')}",
    )


def _head(world: World) -> None:
    execute(world, f"UPDATE rm_thread SET event_head = NULL WHERE id = {thread(world, 1001)}")


FORGERIES = {
    "a detail": (_detail, "The event 'exported' is not as it was noted."),
    "a time": (_time, "The event 'exported' is not as it was noted."),
    "who did it": (_by, "The event 'acknowledged' is not as it was noted."),
    "a payload": (_payload, "What belongs to the event 'exported' was changed (rm_payload)."),
    "a payload that is gone": (_no_payload, "is gone (rm_payload), and no erasure is noted."),
    "a payload as if erased": (_payload_as_if_erased, "is gone (rm_payload), and no erasure is noted."),
    "a raw body": (_body, "The raw body of version 1 is not what was received (rm_inbox)."),
    "a raw body as if erased": (_body_as_if_erased, "The raw body of version 1 is not what was received"),
    "a raw body that is gone": (_no_body, "The raw body of version 1 is gone (rm_inbox)."),
    "a raw body that was added": (_another_body, "The raw body of version 2 was added (rm_inbox)"),
    "a completed body": (_completed_body, "The completed body of version 1 is not what was received"),
    "a completed body that was added": (
        _completed_body_that_nobody_read,
        "The completed body of version 1 was added (rm_inbox)",
    ),
    "an event in the middle": (_middle, "is gone."),
    "the last event": (_end, "but the last one there is number"),
    "the last event, and a row to fit": (_end_with_a_row_to_fit, "some were cut off at the end."),
    "all events": (_all, "It has no event at all"),
    "an event without a seal": (_insert_without_seal, "was added: it has no seal."),
    "an event with a made-up seal": (
        _insert_with_a_made_up_seal,
        "The event 'closed' is not as it was noted.",
    ),
    "two events that changed places": (_swap, "stands where it does not belong"),
    "two rows that changed places": (_swap_rows, "stands where it does not belong"),
    "an event of another order": (_move, "The event 'exported' is not as it was noted."),
    "the seal on the order's row": (_head, "some were cut off at the end."),
}


@pytest.mark.only_on("sqlite")
def test_a_detail_that_is_no_json_is_found_where_the_database_lets_it_in(world: World) -> None:
    _unreadable(world)
    (fault,) = proved(world).faults
    assert "The event 'exported' is not as it was noted." in fault.reason


@pytest.mark.parametrize(("forge", "reason"), FORGERIES.values(), ids=FORGERIES)
def test_what_was_changed_by_hand_is_found_and_its_order_named(
    world: World, forge: Forgery, reason: str
) -> None:
    forge(world)
    found = proved(world)
    assert not found.whole
    assert "BGM-1001" in {each.order for each in found.faults}
    assert any(reason in each.reason for each in found.faults if each.order == "BGM-1001"), found.faults
    assert {each.order for each in found.faults} <= {"BGM-1001", "BGM-1002"}


def test_one_change_is_one_fault(world: World) -> None:
    _detail(world)
    (fault,) = proved(world).faults
    (row,) = world.rows(f"SELECT number FROM rm_event WHERE id = {event(world, 1001, 'exported')}")
    assert (fault.order, fault.number) == ("BGM-1001", row["number"])


def test_a_moved_event_is_missed_where_it_was(world: World) -> None:
    _move(world)
    assert {each.order for each in proved(world).faults} == {"BGM-1001", "BGM-1002"}


def test_events_whose_order_is_gone_are_told(world: World) -> None:
    gone = thread(world, 1002)
    execute(world, f"DELETE FROM rm_thread WHERE id = {gone}")
    assert [(each.order, each.number) for each in proved(world).faults] == [(f"(order row {gone})", None)]


def test_one_order_alone_is_proved_by_its_number_or_id(world: World) -> None:
    _detail(world)
    assert [proved(world, key).whole for key in ("BGM-1001", "1001", "BGM-1002")] == [False, False, True]
    assert proved(world, "BGM-1002").orders == 1
    with pytest.raises(Misconfigured, match="There is no order 'BGM-7'"):
        proved(world, "BGM-7")


def test_another_key_proves_nothing(world: World) -> None:
    found = verify(world.parts, Seals(key=b"another", after_event=0))
    assert {each.order for each in found.faults} == {f"BGM-{each}" for each in (*ORDERS, 1004, 1005, 1006)}


def test_progress_tells_how_many_orders_were_looked_at(world: World) -> None:
    told: list[int] = []
    verify(world.parts, seals(world), progress=told.append)
    assert told == [6]


def test_the_command_says_that_all_is_whole_and_ends_with_0(world: World) -> None:
    assert good(world, "audit", "verify").startswith("The audit trail is whole: ")
    assert "of 1 order." in good(world, "audit", "verify", "BGM-1001")
    assert printed_json(world, "audit", "verify")["whole"] is True


def test_the_command_names_the_order_and_ends_with_1(world: World) -> None:
    _end(world)
    result = command(world, "audit", "verify")
    assert result.exit_code == 1
    assert "BGM-1001" in result.stdout
    found = printed_json(world, "audit", "verify", code=1)
    assert [each["order"] for each in found["faults"]] == ["BGM-1001"]
    assert command(world, "audit", "verify", "BGM-1002").exit_code == 0


def test_an_unknown_order_is_one_sentence(world: World) -> None:
    result = command(world, "audit", "verify", "BGM-7")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "ordersync: There is no order 'BGM-7'.\n"


def test_a_new_key_leaves_what_was_noted_before_unproved(world: World) -> None:
    before = len(world.rows("SELECT id FROM rm_event"))
    refused = command(world, "audit", "rekey", input="n\n")
    assert refused.exit_code == 1
    assert proved(world).whole
    assert "new key" in good(world, "audit", "rekey", "--yes")
    found = printed_json(world, "audit", "verify")
    assert (found["whole"], found["before_the_key"]) == (True, before)


def test_what_follows_a_new_key_is_proved_again(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(1001), plain_order(1002)])
    world.run()
    world.run()
    good(world, "audit", "rekey", "--yes")
    # As a process that is started again.
    store = world.parts.store
    program = open_program(load_settings(environment(world)))
    try:
        store.audit_key = program.parts.store.audit_key  # type: ignore[attr-defined]
        new = audit_key_of(program)
    finally:
        program.engine.dispose()
    assert new.after_event > 0
    world.clock.advance(3600)
    world.place(world.shop.order(1001) | {"customer_note": "Ring twice."}, plain_order(1003))
    world.run()
    found = verify(world.parts, new)
    assert (found.whole, found.orders) == (True, 3), found.faults
    assert 0 < found.unsealed < found.events
    execute(world, f"DELETE FROM rm_event WHERE id = {event(world, 1001, 'amended')}")
    assert [each.order for each in verify(world.parts, new).faults] == ["BGM-1001"]
