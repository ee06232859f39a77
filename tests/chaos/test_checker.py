"""The judge of the chaos runs finds what is planted in the shop, the ERP or the database, and nothing where all is well."""

import ast
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text

from tests.chaos.checker import Findings, check
from tests.chaos.state import read_state, woo_orders
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
    return check(read_state(url=url, erp=tell(world.erp_url), shops=shops), at=world.clock.now())


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
    body = plain_order(2, total="20.99")
    body["line_items"][0] |= {"total": "20.99", "subtotal": "20.99"}
    world.place(body)
    world.run()
    found = judged(world)
    assert list(found.sentences()) == []
    assert found.counts["amended"] == 1
    body["line_items"][0] |= {"total": "21.99", "subtotal": "21.99"}
    world.place(body | {"total": "21.99"})
    assert judged(world).wrong == ["BGM-2 is kept as an amendment of 20.99 and stands at 21.99 in its shop."]


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
            "unfinished without a next time",
            "UPDATE rm_step SET state = 'in_doubt', next_at = NULL WHERE kind = 'export' AND thread_id = 1",
            "unfinished and has no next time",
        ),
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


@pytest.mark.parametrize("module", ["checker", "state"])
def test_the_judge_imports_nothing_of_the_program(module: str) -> None:
    tree = ast.parse((Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8"))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    assert not [name for name in imported if name.split(".")[0] in {"app", "tasks", "workers"}]
