"""The judge of the chaos runs finds what is planted in the shop, the ERP or the database, and nothing where all is well."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text

from tests.chaos.checker import Findings, check, check_sums
from tests.chaos.middleware import INSIDE, ROOT
from tests.chaos.run import audited
from tests.chaos.state import Document, Present, Row, ShopOrder, State, read_state, woo_orders
from tests.fixtures.databases import Databases
from tests.pipeline.world import World, kit_order, opened_world, plain_order


def _unknown_sku() -> dict[str, Any]:
    body = plain_order(4)
    body["line_items"][0]["sku"] = "NOBODY-SELLS-THIS"
    return body


@pytest.fixture
def world(databases: Databases, tmp_path: Path) -> Iterator[World]:
    """Two orders of a widget, one of kits and a bad one, all at their ends."""
    with ExitStack() as stack:
        world = stack.enter_context(opened_world(databases, tmp_path / "world"))
        world.place(plain_order(1), plain_order(2), kit_order(3), _unknown_sku())
        world.run()
        assert world.ends() == {1: "done", 2: "done", 3: "done", 4: "rejected"}
        yield world


def judged(world: World) -> Findings:
    def tell(base: str) -> Any:
        def ask(method: str, door: str) -> Any:
            answer = requests.request(method, f"{base}/_sandbox/{door}", timeout=5)
            answer.raise_for_status()
            return answer.json(parse_float=Decimal)

        return ask

    url = world.engine.url.render_as_string(hide_password=False)
    shops = [("bgm", woo_orders, tell(world.shop_url))]
    state = read_state(url=url, erp=tell(world.erp_url), shops=shops)
    return check(state, at=world.clock.now(), lease=timedelta(minutes=5))


def change(world: World, statement: str, **values: Any) -> None:
    with world.engine.begin() as connection:
        assert connection.execute(text(statement), values).rowcount > 0


def test_nothing_is_found_where_all_is_well(world: World) -> None:
    found = judged(world)
    assert list(found.sentences()) == []
    assert found.counts == {"exported": 3, "errors": 1}
    assert found.cents_documents == found.cents_orders == 2 * 1999 + 38327


def test_an_order_that_was_never_stored_is_lost(world: World) -> None:
    world.place(plain_order(5))
    assert judged(world).lost == ["BGM-5 was never stored."]


def test_an_order_that_was_closed_without_a_cause_is_lost(world: World) -> None:
    change(world, "UPDATE rm_thread SET state = 'closed' WHERE platform_order_id = '1'")
    for document in world.documents():
        if document["externalDocumentNumber"] == "BGM-1":
            requests.post(f"{world.erp_url}/_sandbox/documents/{document['number']}/delete", timeout=5)
    found = judged(world)
    assert found.lost == ["BGM-1 is closed without a document: "]
    assert "BGM-1 is called exported and has no such document." in found.wrong


def test_a_second_document_is_a_duplicate(world: World) -> None:
    world.put_document("BGM-2")
    found = judged(world)
    assert found.duplicated == ["BGM-2 has 2 documents."]
    assert len(found.wrong) == 1
    assert "come to" in found.wrong[0]


def test_a_customer_that_was_made_twice_is_a_duplicate(world: World) -> None:
    twin = {"displayName": "A Twin", "email": "Twin@chaos.example.test"}
    for _ in range(2):
        requests.post(f"{world.erp_url}/_sandbox/customers", json=twin, timeout=5).raise_for_status()
    assert judged(world).duplicated == ["The customer twin@chaos.example.test was made 2 times."]


def test_a_document_with_another_total_than_its_order_is_wrong(world: World) -> None:
    body = plain_order(2, total="20.99", meta_data=world.shop.order(2)["meta_data"])
    body["line_items"][0] |= {"total": "20.99", "subtotal": "20.99"}
    world.place(body)
    found = judged(world)
    assert "BGM-2 has a document of 19.99 and not of 20.99." in found.wrong
    assert found.cents_orders - found.cents_documents == 100


def test_an_amendment_is_right_as_long_as_it_is_what_the_shop_has(world: World) -> None:
    body = plain_order(2, total="20.99", meta_data=world.shop.order(2)["meta_data"])
    body["line_items"][0] |= {"total": "20.99", "subtotal": "20.99"}
    world.place(body)
    world.run()
    found = judged(world)
    assert list(found.sentences()) == []
    assert found.counts["amended"] == 1
    body["line_items"][0] |= {"total": "21.99", "subtotal": "21.99"}
    world.place(body | {"total": "21.99"})
    assert judged(world).lost == [
        "A change of BGM-2: in its shop it is (status processing, 21.99), and stored is (status processing, 20.99)."
    ]


def test_an_error_of_a_good_order_is_wrong(world: World) -> None:
    requests.post(
        f"{world.erp_url}/_sandbox/items",
        json={"number": "NOBODY-SELLS-THIS", "displayName": "Sold now"},
        timeout=5,
    ).raise_for_status()
    (sentence,) = judged(world).wrong
    assert sentence.startswith("BGM-4 has an error without a cause in its shop: ")


def test_a_bad_order_without_an_open_error_is_wrong(world: World) -> None:
    change(world, "UPDATE rm_error_orders SET resolved_at = opened_at, open_key = NULL")
    assert judged(world).wrong == ["BGM-4 cannot be right and has no open error; it is rejected."]


def test_a_mark_without_a_row_is_wrong(world: World) -> None:
    world.shop.update(4, {"meta_data": [{"key": world.shop.mark_key, "value": "yes"}]})
    assert judged(world).wrong == ["BGM-4 is marked in its shop and has no row in rm_order."]


def test_an_exported_order_without_its_mark_is_wrong(world: World) -> None:
    # As it was placed: without what was written to it since.
    world.place(plain_order(2))
    assert judged(world).wrong == ["BGM-2 has a document and is not marked in its shop."]


def test_a_cursor_past_an_order_that_is_not_stored_is_wrong(world: World) -> None:
    world.place(plain_order(5))
    order = next(each for each in world.shop.overview() if each["id"] == 5)
    moved = str(order["date_modified_gmt"]).replace("T", " ")[:17] + "59.999999"
    change(world, "UPDATE rm_sites SET cursor_modified = :moved", moved=moved)
    found = judged(world)
    assert any(each.startswith("The cursor of bgm is past BGM-5") for each in found.wrong)
    assert any("past everything in its shop" in each for each in found.wrong)


@pytest.mark.parametrize(
    ("_case", "statement", "sentence"),
    [
        (
            "due for long",
            "UPDATE rm_step SET state = 'owed', next_at = :long_ago WHERE kind = 'export' AND thread_id = 1",
            "nobody came",
        ),
        (
            "a run that never ended",
            "UPDATE rm_run SET finished_at = NULL, started_at = :long_ago",
            "never ended",
        ),
        (
            "a site that is held",
            "UPDATE rm_sites SET lease_token = 'x', lease_until = :long_ago",
            "still held",
        ),
    ],
)
def test_what_nobody_will_come_back_for_is_stuck(
    world: World, _case: str, statement: str, sentence: str
) -> None:
    long_ago = (world.clock.now() - timedelta(minutes=5)).strftime("%Y-%m-%d %H:%M:%S.%f")
    values = {"long_ago": long_ago} if ":long_ago" in statement else {}
    change(world, statement, **values)
    found = judged(world)
    assert len(found.stuck) == 1
    assert sentence in found.stuck[0]
    assert found.wrong == []


def test_an_order_that_lies_on_the_road_is_stuck(world: World) -> None:
    world.place(plain_order(5))
    world.fetch()
    assert judged(world).stuck == ["BGM-5 is active at normalize: "]


def test_an_event_that_was_altered_is_found_by_the_audit_that_a_run_asks_for(world: World) -> None:
    told = {
        "DATABASE_URL": world.engine.url.render_as_string(hide_password=False),
        "ORDERSYNC_VAR": str(world.settings.var),
        "ORDERSYNC_ENV_FILE": os.devnull,
    }
    assert audited(told) == []
    change(world, "UPDATE rm_event SET event = 'forged' WHERE thread_id = 1 AND event = 'fetched'")
    (sentence,) = audited(told)
    assert sentence.startswith("`ordersync audit verify`: ")


@pytest.mark.parametrize("module", ["checker", "state"])
def test_the_judge_imports_nothing_of_the_program(module: str) -> None:
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert not [name for name in imported if name.split(".")[0] in {"app", "tasks", "workers"}]


AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
LEASE = timedelta(seconds=12)
STANDING = Present("processing", Decimal("10.00"), "")


def planted_order(**changes: Any) -> ShopOrder:
    order = ShopOrder(
        *("bgm", "1", "1", ("A",), STANDING), wrong=False, wanted=True, marked=True, modified=AT
    )
    return replace(order, **changes)


def body_of(present: Present) -> str:
    return json.dumps({"status": present.status, "total": str(present.total), "customer_note": present.note})


def planted(order: ShopOrder, *versions: Present, thread: Row | None = None, row: Row | None = None) -> State:
    """An order that was exported and marked as it should be, but for what is said; `versions` are those that are stored."""
    held_by_nobody = {"lease_until": None, "lease_token": None}
    return State(
        orders=(order,),
        documents=(Document("S1", "BGM-1", Decimal("10.00")),),
        customers=(),
        items=frozenset({"A", "LATER"}),
        tables={
            "rm_sites": [{"id": 1, "name": "bgm", "prefix": "BGM", "cursor_modified": AT, **held_by_nobody}],
            "rm_erps": [{"id": 1, "name": "bc", **held_by_nobody}],
            "rm_items": [{"sku": "A"}],
            "rm_thread": [
                {
                    "id": 1,
                    "site_id": 1,
                    "platform_order_id": "1",
                    "order_number": "BGM-1",
                    "version": 1,
                    "amended_version": None,
                    "stage": "deliver",
                    "state": "done",
                    "reason": "",
                    "next_at": None,
                    **held_by_nobody,
                    **(thread or {}),
                }
            ],
            "rm_step": [
                {
                    "id": place,
                    "thread_id": 1,
                    "kind": kind,
                    "state": "done",
                    "reason": "",
                    "next_at": None,
                    **held_by_nobody,
                }
                for place, kind in enumerate(("acknowledge", "export"), start=1)
            ],
            "rm_order": [
                {
                    "id": 1,
                    "thread_id": 1,
                    "external_number": "BGM-1",
                    "imported": 1,
                    "acknowledged_at": AT,
                    "erp_document_number": "S1",
                    **(row or {}),
                }
            ],
            "rm_error_orders": [],
            "rm_run": [],
            "rm_delivery": [],
            "rm_inbox": [
                {"site_id": 1, "platform_order_id": "1", "version": number, "body": body_of(each)}
                for number, each in enumerate(versions or (STANDING,), start=1)
            ],
        },
    )


def sentences(state: State) -> list[str]:
    return list(check(state, at=AT, lease=LEASE).sentences())


def unsent(order: ShopOrder, *, error: str = "", **thread: Any) -> State:
    """The same before it was sent, with an open error of this kind."""
    state = planted(
        order, thread={"state": "rejected", **thread}, row={"imported": 0, "erp_document_number": ""}
    )
    state.tables["rm_step"].clear()
    if error:
        state.tables["rm_error_orders"].append(
            {"id": 1, "thread_id": 1, "kind": error, "stage": "", "reason": "Why.", "resolved_at": None}
        )
    return replace(state, documents=())


def test_what_is_planted_has_nothing_wrong_before_it_is_spoiled() -> None:
    assert sentences(planted(planted_order())) == []
    edited = replace(STANDING, total=Decimal("12.00"))
    assert (
        sentences(planted(planted_order(present=edited), STANDING, edited, thread={"amended_version": 2}))
        == []
    )
    assert sentences(unsent(planted_order(skus=("ZZ",)), error="bad_sku")) == []
    assert sentences(unsent(planted_order(wrong=True), error="balance")) == []


@pytest.mark.parametrize(
    ("_case", "present"),
    [
        ("cancelled, with a note", replace(STANDING, status="cancelled", note="Never mind.")),
        ("a note", replace(STANDING, note="Ring twice.")),
        ("an amount", replace(STANDING, total=Decimal("12.00"))),
    ],
)
def test_a_change_that_is_not_stored_is_lost_after_an_export_and_after_an_amendment(
    _case: str, present: Present
) -> None:
    order = planted_order(present=present, wanted=present.status == "processing")
    amended = planted(
        order, STANDING, replace(STANDING, total=Decimal("11.00")), thread={"amended_version": 2}
    )
    for state in (planted(order), amended):
        assert any(each.startswith("lost: A change of BGM-1: ") for each in sentences(state))


def test_a_cancellation_after_the_export_that_nobody_heard_of_is_counted() -> None:
    order = planted_order(present=replace(STANDING, status="cancelled"), wanted=False)
    found = check(planted(order), at=AT, lease=LEASE)
    assert list(found.sentences()) == []
    assert found.counts["cancelled_unheard"] == 1


def test_an_amendment_that_is_not_the_newest_version_is_wrong() -> None:
    edited = replace(STANDING, note="Twice.")
    state = planted(planted_order(present=edited), STANDING, STANDING, edited, thread={"amended_version": 2})
    assert sentences(state) == ["wrong: BGM-1 has a newer version than its amendment."]


def test_an_amended_order_without_its_mark_is_wrong_but_where_its_step_was_closed_by_a_cancellation() -> None:
    edited = replace(STANDING, note="Ring twice.")
    order = planted_order(present=edited, marked=False)
    state = planted(order, STANDING, edited, thread={"amended_version": 2})
    assert sentences(state) == ["wrong: BGM-1 has a document and is not marked in its shop."]
    cancelled = replace(STANDING, status="cancelled")
    order = planted_order(present=cancelled, marked=False, wanted=False)
    state = planted(order, STANDING, cancelled, thread={"amended_version": 2})
    state.tables["rm_step"][0]["state"] = "closed"
    assert sentences(state) == []


def test_an_error_of_another_kind_than_the_order_calls_for_is_wrong() -> None:
    assert sentences(unsent(planted_order(skus=("ZZ",)), error="customer")) == [
        "wrong: BGM-1 has an error of the kind customer and not bad_sku."
    ]
    assert sentences(unsent(planted_order(wrong=True), error="bad_sku")) == [
        "wrong: BGM-1 has an error of the kind bad_sku and not balance or totals."
    ]


@pytest.mark.parametrize("kind", ["crash", "internal", "duplicate", "gave_up"])
def test_an_error_that_no_order_explains_is_wrong_even_where_it_is_resolved(kind: str) -> None:
    state = planted(planted_order())
    error = {"id": 1, "thread_id": 1, "kind": kind, "stage": "", "reason": "Why.", "resolved_at": AT}
    state.tables["rm_error_orders"].append(error)
    assert sentences(state) == [f"wrong: Thread 1 has, or had, an error of the kind {kind}: Why."]


@pytest.mark.parametrize("table", ["rm_thread", "rm_step"])
def test_a_lease_on_what_is_finished_is_stuck(table: str) -> None:
    state = planted(planted_order())
    state.tables[table][0] |= {"lease_token": "x", "lease_until": AT}
    assert sentences(state) == [f"stuck: {table} 1 is finished and still held by somebody."]


@pytest.mark.parametrize(("table", "what"), [("rm_sites", "site bgm"), ("rm_erps", "ERP bc")])
def test_a_site_or_an_erp_that_is_held_for_too_long_is_stuck(table: str, what: str) -> None:
    state = planted(planted_order())
    state.tables[table][0] |= {"lease_token": "x", "lease_until": AT + LEASE}
    assert sentences(state) == []
    state.tables[table][0]["lease_until"] = AT + 2 * LEASE
    assert sentences(state) == [f"stuck: {table} 1 is held until {AT + 2 * LEASE}, longer than a lease."]
    state.tables[table][0]["lease_until"] = AT - timedelta(minutes=5)
    assert sentences(state) == [f"stuck: The {what} is still held by somebody."]


def test_an_unfinished_step_without_a_next_time_is_stuck() -> None:
    # The databases do not take such a row: a rule of theirs could be lost.
    state = planted(planted_order())
    state.tables["rm_step"][1]["state"] = "in_doubt"
    assert sentences(state) == [
        "stuck: The step export of thread 1 (in_doubt) is unfinished and has no next time."
    ]


def test_a_second_row_of_an_order_and_a_row_of_no_order_are_found() -> None:
    state = planted(planted_order())
    (thread,) = state.tables["rm_thread"]
    state.tables["rm_thread"].append({**thread, "id": 9})
    assert "duplicated: The order 1 of site 1 has 2 rows." in sentences(state)
    state.tables["rm_thread"][1:] = [{**thread, "id": 9, "platform_order_id": "77"}]
    assert sentences(state) == ["wrong: The order 77 of site 1 has a row, and its shop does not know it."]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"imported": 0}, "BGM-1 has a document and is not called exported."),
        ({"acknowledged_at": None}, "BGM-1 is marked in its shop, and our row does not know."),
    ],
)
def test_a_row_that_does_not_know_of_its_document_or_mark_is_wrong(row: Row, sentence: str) -> None:
    assert sentences(planted(planted_order(), row=row)) == [f"wrong: {sentence}"]


def test_an_order_is_held_only_for_an_item_that_was_not_read_yet_and_not_for_long() -> None:
    soon, late = AT + timedelta(minutes=1), AT + timedelta(hours=2)
    waits = planted_order(skus=("LATER",), marked=False)
    assert sentences(unsent(waits, state="held", next_at=soon)) == []
    assert sentences(unsent(waits, state="held", next_at=late)) == [f"stuck: BGM-1 is held until {late}."]
    assert sentences(unsent(planted_order(), state="held", next_at=soon)) == [
        "stuck: BGM-1 is held, and all of its items are known: "
    ]


def test_the_orders_that_were_placed_have_to_be_shown_and_to_come_to_an_end() -> None:
    found = check(planted(planted_order()), at=AT, lease=LEASE)
    check_sums(found, placed=1, shown=1)
    assert found.is_clean()
    check_sums(found, placed=2, shown=1)
    assert found.wrong == ["2 orders were placed, and the shops show 1."]
    found = check(planted(planted_order()), at=AT, lease=LEASE)
    found.counts["exported"] = 0
    check_sums(found, placed=1, shown=1)
    assert found.wrong[0].startswith("1 orders were placed, and 0 have come to an end")


def test_breakers_are_open_for_seconds_in_a_run_also_in_the_script_of_all_processes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from app import limits; print(limits._LEAVE)"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(INSIDE), str(ROOT)))},
        cwd=ROOT,
    )
    assert "grown(1.0, 5.0, openings)" in done.stdout
