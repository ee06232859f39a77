"""Personal data is erased on request: nowhere in the database is it found afterwards, and everything else goes on."""

import itertools
import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from app.db.tables import metadata
from app.errors import Misconfigured, UsageError
from app.sandbox.erp.records import put
from app.sync.archive import archive
from app.sync.audit import Seals, verify
from app.sync.parts import site_with_id
from app.sync.privacy import erase, find
from app.sync.reconcile import Heal, reconcile
from app.sync.repair import repair
from app.sync.resume import How, orders_named, resume
from app.sync.settle import comment
from app.sync.trace import trace
from tests.fixtures import databases
from tests.pipeline.commands import command, good, printed_json
from tests.pipeline.world import Json, MakeWorld, World, plain_order

EMAIL = "quincy.unmistakable@example.test"
PERSON = (
    "Quincy",
    "Unmistakable",
    "Nowhere Lane 77",
    "Flat Zebra",
    EMAIL,
    "+1 555 0177 99",
    "Zzyzx",
    "Gate code 4711",
    "QX9 7ZZ",
)


def personal_order(order_id: int, **changes: str) -> Json:
    """An order with data that stands nowhere else."""
    body = plain_order(order_id, **changes)
    who = {
        "first_name": "Quincy",
        "last_name": "Unmistakable",
        "address_1": "Nowhere Lane 77",
        "address_2": "Flat Zebra",
        "city": "Zzyzx",
        "postcode": "QX9 7ZZ",
        "phone": "+1 555 0177 99",
    }
    body["billing"] |= who | {"email": EMAIL}
    body["shipping"] |= who
    return body | {"customer_note": "Gate code 4711"}


def dump(world: World) -> str:
    """All that the database holds."""
    rows = (row for table in metadata.sorted_tables for row in world.rows(f"SELECT * FROM {table.name}"))
    return "\n".join(", ".join(str(value) for value in row.values()) for row in rows)


def found_in(world: World) -> list[str]:
    whole = dump(world).lower()
    return [each for each in PERSON if each.lower() in whole]


def seals(world: World) -> Seals:
    return Seals(key=world.parts.store.audit_key(), after_event=0)  # type: ignore[attr-defined]


def read_again(world: World) -> None:
    """The shop shows the orders once more as they were, and the next reading sees them."""
    world.clock.advance(3600)
    world.place(world.shop.order(1001), world.shop.order(1002))
    world.run()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """Two orders of a person that were exported, one of them amended since; one of hers that is skipped; one of somebody else."""
    made = make_world(
        orders=[personal_order(1001), personal_order(1002), plain_order(1003)],
        erp_settings={"create_customers": "true"},
    )
    made.run()
    made.clock.advance(3600)
    made.place(made.shop.order(1002) | {"customer_note": "Gate code 4711, ask for Quincy."})
    made.run()
    assert set(made.ends().values()) == {"done"}
    assert found_in(made) == list(PERSON)
    return made


def test_after_an_erasure_nobody_finds_the_person_in_any_table(world: World) -> None:
    good(world, "privacy", "erase", "--email", EMAIL, "--yes")
    assert found_in(world) == []
    assert "buyer1003@example.test" in dump(world)


@pytest.mark.only_on("sqlite")
def test_after_an_erasure_nobody_finds_the_person_in_the_database_file(world: World) -> None:
    good(world, "privacy", "erase", "--email", EMAIL, "--yes")
    database = world.engine.url.database
    assert database is not None
    files = [Path(database), *Path(database).parent.glob("ordersync.db-wal")]
    stored = b"".join(each.read_bytes() for each in files)
    assert [each for each in PERSON if each.encode() in stored] == []


def test_amounts_numbers_and_the_proof_stay(world: World) -> None:
    columns = (
        "order_number, total, tax_total, currency, order_date, erp_document_number, erp_total, ship_country"
    )
    before = world.rows(f"SELECT {columns} FROM rm_order ORDER BY id")
    lines = world.rows("SELECT sku, name, quantity, amount FROM rm_lineitems ORDER BY id")
    events = world.rows("SELECT id, number, digest, mac FROM rm_event ORDER BY id")
    result = erase(world.parts, find(world.parts, orders=(), email=EMAIL))
    assert result.orders == ("BGM-1001", "BGM-1002")
    assert world.rows(f"SELECT {columns} FROM rm_order ORDER BY id") == before
    assert world.rows("SELECT sku, name, quantity, amount FROM rm_lineitems ORDER BY id") == lines
    after = world.rows('SELECT id, number, digest, mac, event, "by" FROM rm_event ORDER BY id')
    kept = [{name: each[name] for name in ("id", "number", "digest", "mac")} for each in after]
    assert kept[: len(events)] == events
    assert [each["event"] for each in after[len(events) :]] == ["erased", "erased"]
    found = verify(world.parts, seals(world))
    assert (found.whole, found.faults) == (True, [])
    assert found.erased >= 3


def test_a_body_that_is_emptied_after_an_erasure_is_still_found(world: World) -> None:
    erase(world.parts, find(world.parts, orders=("BGM-1001",), email=None))
    world.clock.advance(3600)
    world.place(world.shop.order(1001) | {"customer_note": "New."})
    world.run()
    assert verify(world.parts, seals(world)).whole
    with world.engine.begin() as connection:
        connection.execute(
            text("UPDATE rm_inbox SET body = '' WHERE platform_order_id = '1001' AND version = 2")
        )
    (fault,) = verify(world.parts, seals(world)).faults
    assert (fault.order, fault.reason) == (
        "BGM-1001",
        "The raw body of version 2 is not what was received (rm_inbox).",
    )


def test_trace_still_tells_what_was_done_and_says_what_is_erased_and_by_whom(world: World) -> None:
    good(world, "privacy", "erase", "BGM-1001", "--yes")
    life = trace(world.parts, "BGM-1001")
    assert (life.moments[-1].event, life.moments[-1].by) == ("erased", "cli:pat")
    assert any("personal data was erased" in each for each in life.notes())
    assert "the ERP holds it as document" in good(world, "trace", "BGM-1001")
    assert "erased" in good(world, "trace", "BGM-1001", "--full")


def test_an_order_read_again_as_it_was_stays_erased_and_is_not_sent_again(world: World) -> None:
    documents = world.document_numbers()
    erase(world.parts, find(world.parts, orders=(), email=EMAIL))
    read_again(world)
    assert found_in(world) == []
    assert world.document_numbers() == documents


def test_reconcile_does_not_bring_a_body_back(world: World) -> None:
    erase(world.parts, find(world.parts, orders=(), email=EMAIL))
    site = site_with_id(world.parts, world.site_id)
    found = reconcile(world.parts, site, since=None, until=None, heal=Heal.ALL, ring=world.road.ring)
    assert (found.counts["no_body"], found.healed) == (0, ())
    # Not even where somebody has removed the row as well.
    with world.engine.begin() as connection:
        connection.execute(text("DELETE FROM rm_inbox WHERE platform_order_id = '1001'"))
    reconcile(world.parts, site, since=None, until=None, heal=Heal.ALL, ring=world.road.ring)
    assert found_in(world) == []


def test_data_in_the_archive_is_erased_too(world: World) -> None:
    world.clock.advance(91 * 86_400)
    world.place(plain_order(1900))
    world.run()
    assert archive(world.parts, days=90).orders == 3
    erase(world.parts, find(world.parts, orders=(), email=EMAIL))
    assert found_in(world) == []
    assert verify(world.parts, seals(world)).whole
    assert trace(world.parts, "BGM-1001").history.archived_at is not None


def test_the_customers_link_no_longer_tells_the_address(world: World) -> None:
    assert EMAIL in {each["our_key"] for each in world.rows("SELECT our_key FROM rm_id_map")}
    first = erase(world.parts, find(world.parts, orders=("BGM-1001",), email=None))
    assert first.customers == 0
    assert EMAIL in {each["our_key"] for each in world.rows("SELECT our_key FROM rm_id_map")}
    second = erase(world.parts, find(world.parts, orders=("1002",), email=None))
    assert second.customers == 1
    assert EMAIL not in {each["our_key"] for each in world.rows("SELECT our_key FROM rm_id_map")}


def test_the_link_of_an_earlier_address_goes_too(make_world: MakeWorld) -> None:
    body = personal_order(1001)
    body["line_items"][0]["sku"] = "SALESBLK-1"
    world = make_world(orders=[body], erp_settings={"create_customers": "true"})
    world.run()
    assert world.ends() == {1001: "rejected"}
    with world.erp.lock:
        put(world.erp.books, "items", {"number": "SALESBLK-1", "salesBlocked": False})
    world.clock.advance(3600)
    later = world.shop.order(1001)
    later["billing"]["email"] = "new.address@example.test"
    world.place(later)
    world.run()
    assert world.ends() == {1001: "done"}
    assert {each["our_key"] for each in world.rows("SELECT our_key FROM rm_id_map")} == {
        EMAIL,
        "new.address@example.test",
    }
    assert erase(world.parts, find(world.parts, orders=("BGM-1001",), email=None)).customers == 2
    assert found_in(world) == []
    assert "new.address@example.test" not in dump(world)


def test_the_link_of_the_address_asked_for_goes_where_no_body_has_it_any_more(world: World) -> None:
    world.parts.store.confirm_customer(world.erp_id, "quincy@example.test", number="C00042")
    with world.engine.begin() as connection:
        connection.execute(
            text("UPDATE rm_order SET bill_email = 'quincy@example.test' WHERE order_number = 'BGM-1003'")
        )
    subjects = find(world.parts, orders=("BGM-1001",), email=None)
    assert erase(world.parts, subjects, email="quincy@example.test").customers == 0
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE rm_order SET bill_email = '' WHERE order_number = 'BGM-1003'"))
    assert erase(world.parts, subjects, email="Quincy@example.test").customers == 1
    assert "quincy@example.test" not in dump(world)


def test_an_address_that_ends_another_in_use_is_forgotten(make_world: MakeWorld) -> None:
    ann, joann = plain_order(1001, email="ann@example.test"), plain_order(1002, email="joann@example.test")
    joann["line_items"][0]["sku"] = "NOT-THERE"
    world = make_world(orders=[ann, joann], erp_settings={"create_customers": "true"})
    world.run()
    assert (world.ends()[1001], world.states()[1002][0]) == ("done", "rejected")
    erase(world.parts, find(world.parts, orders=(), email="ann@example.test"))
    assert "ann@example.test" not in {each["our_key"] for each in world.rows("SELECT our_key FROM rm_id_map")}


def test_the_link_of_an_order_that_is_to_be_repaired_is_kept(make_world: MakeWorld) -> None:
    done, rejected = plain_order(1001, email="ann@example.test"), plain_order(1002, email="Ann@example.test")
    rejected["line_items"][0]["sku"] = "NOT-THERE"
    world = make_world(orders=[done, rejected], erp_settings={"create_customers": "true"})
    world.run()
    assert (world.ends()[1001], world.states()[1002][0]) == ("done", "rejected")
    assert erase(world.parts, find(world.parts, orders=("BGM-1001",), email=None)).customers == 0
    assert "ann@example.test" in {each["our_key"] for each in world.rows("SELECT our_key FROM rm_id_map")}


@pytest.mark.parametrize("table", ["rm_event", "rm_event_archive"])
def test_reasons_among_the_facts_of_events_from_before_the_seals_are_erased(world: World, table: str) -> None:
    facts = {
        "version": 1,
        "kind": "validation",
        "document": "S-1",
        "total": "19.99",
        "reason": f"The address {EMAIL} is wrong.",
        "asked": "Quincy",
    }
    ids = itertools.count(10_000)
    # Only SQLite takes what is no JSON.
    unreadable = f"unreadable {EMAIL}" if world.engine.dialect.name == "sqlite" else json.dumps(EMAIL)
    for kept in (json.dumps(facts), unreadable):
        databases.execute(
            world.engine,
            f'INSERT INTO {table} (id, thread_id, at, stage, event, "by", detail) '
            "SELECT :id, id, created_at, 'normalize', 'rejected', 'worker', :detail FROM rm_thread "
            "WHERE platform_order_id = '1001'",
            id=next(ids),
            detail=kept,
        )
    erase(world.parts, find(world.parts, orders=(), email=EMAIL))
    assert found_in(world) == []
    told = [
        json.loads(each["detail"])
        for each in world.rows(f"SELECT detail FROM {table} WHERE id >= 10000 ORDER BY id")
    ]
    assert told[:2] == [{name: facts[name] for name in ("version", "kind", "document", "total")}, {}]
    sealed = world.rows("SELECT detail FROM rm_event WHERE event = 'fetched'")
    assert all("sha256" in each["detail"] for each in sealed)


def test_what_is_completed_after_an_erasure_is_not_kept(world: World) -> None:
    erase(world.parts, find(world.parts, orders=("BGM-1001", "BGM-1002"), email=None))
    events = world.rows("SELECT count(*) AS n FROM rm_event")
    body = json.dumps(personal_order(1001))
    world.parts.store.keep_completed(world.site_id, {("1001", 1): body, ("1002", 1): body, ("1002", 2): body})
    assert found_in(world) == []
    assert world.rows("SELECT count(*) AS n FROM rm_event") == events
    assert verify(world.parts, seals(world)).whole


def test_an_address_after_a_line_break_in_a_note_is_found(make_world: MakeWorld) -> None:
    noted = plain_order(1001) | {"customer_note": f"Write to:\n{EMAIL.upper()}"}
    world = make_world(orders=[noted, plain_order(1002)])
    world.run()
    good(world, "privacy", "erase", "--email", EMAIL, "--yes")
    assert found_in(world) == []


def test_who_orders_again_after_an_erasure_is_the_same_customer_in_the_erp(world: World) -> None:
    customers = len(world.customers())
    erase(world.parts, find(world.parts, orders=(), email=EMAIL))
    world.clock.advance(3600)
    world.place(personal_order(1010))
    world.run()
    assert world.ends()[1010] == "done"
    assert len(world.customers()) == customers


def test_an_order_that_is_not_at_its_end_is_refused_with_what_to_do(make_world: MakeWorld) -> None:
    world = make_world(orders=[personal_order(1001), personal_order(1002, total="1.00")])
    world.run()
    assert world.ends() == {1001: "done", 1002: "rejected"}
    result = command(world, "privacy", "erase", "BGM-1001", "BGM-1002", "--yes")
    assert result.exit_code == 3
    assert "BGM-1002" in result.stdout
    assert "repair it, or close or skip it first" in result.stdout
    assert world.rows("SELECT order_number FROM rm_thread WHERE erased_at IS NOT NULL") == [
        {"order_number": "BGM-1001"}
    ]
    assert verify(world.parts, seals(world)).whole


def test_the_command_asks_and_a_rehearsal_changes_nothing(world: World) -> None:
    before = dump(world)
    found = printed_json(world, "privacy", "erase", "--email", EMAIL.upper(), "--dry-run")
    assert (found["orders"], found["dry_run"]) == (["BGM-1001", "BGM-1002"], True)
    assert command(world, "privacy", "erase", "BGM-1001", input="n\n").exit_code == 1
    assert dump(world) == before
    told = good(world, "privacy", "erase", "BGM-1001", input="y\n")
    assert "The platform, the ERP and backups of this database still have the data" in told
    assert world.rows("SELECT count(*) AS n FROM rm_thread WHERE erased_at IS NOT NULL") == [{"n": 1}]


def test_wrong_use_is_told(world: World) -> None:
    for orders, email in (((), None), (("BGM-1001",), EMAIL), ((), "nobody")):
        with pytest.raises(UsageError):
            find(world.parts, orders=orders, email=email)
    with pytest.raises(Misconfigured, match="There is no order 'BGM-7'; nothing was erased"):
        find(world.parts, orders=("BGM-1001", "BGM-7"), email=None)
    with pytest.raises(Misconfigured, match="There is no order with this e-mail address"):
        find(world.parts, orders=(), email="nobody@example.test")


def test_an_erased_order_can_be_erased_once_more_after_it_was_edited(world: World) -> None:
    erase(world.parts, find(world.parts, orders=(), email=EMAIL))
    world.clock.advance(timedelta(hours=1).total_seconds())
    world.place(world.shop.order(1001) | {"customer_note": "Gate code 4711!"})
    world.run()
    assert "Gate code 4711" in found_in(world)
    erase(world.parts, find(world.parts, orders=(), email=EMAIL))
    assert found_in(world) == []
    assert verify(world.parts, seals(world)).whole


def test_what_people_said_and_repaired_at_the_desk_is_erased_too(make_world: MakeWorld) -> None:
    body = personal_order(1001)
    body["shipping"]["postcode"] = ""
    world = make_world(orders=[body])
    world.run()
    assert world.ends() == {1001: "rejected"}
    (order,) = orders_named(world.parts, ["1001"])
    changes = {world.errors()[1001]["field"]: "QX9 7ZZ"}
    repair(world.parts, order, changes, reason="Quincy Unmistakable wrote", by="cli:anna")
    (order,) = orders_named(world.parts, ["1001"])
    comment(world.parts, order, text="Ring at Flat Zebra.", by="cli:anna")
    resume(world.parts, [order], How(by="cli:anna"), ring=world.road.ring)
    world.settle()
    assert world.ends() == {1001: "done"}
    told = trace(world.parts, "BGM-1001")
    by_anna = [each.event for each in told.moments if each.by == "cli:anna"]
    assert by_anna == ["repaired", "repair", "commented", "resumed"]
    assert verify(world.parts, seals(world)).whole
    erase(world.parts, find(world.parts, orders=("BGM-1001",), email=None))
    assert found_in(world) == []
    assert verify(world.parts, seals(world)).whole
    assert "repaired by hand (what was said is erased)" in good(world, "trace", "BGM-1001")
