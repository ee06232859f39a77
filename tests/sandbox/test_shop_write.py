"""The sandbox shop writes as sections 2, 5, 6, 7 and 8 of the WooCommerce contract say."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.sandbox.shop import MARK_KEY, Shop, create_app, recorded_answers, recorded_orders

ORDERS = "/wp-json/wc/v3/orders"
PAYLOADS = Path(__file__).parents[1] / "payloads" / "woocommerce"
MARK = {"meta_data": [{"key": MARK_KEY, "value": 1}]}
BODIES = recorded_orders()
OLD = "2026-11-20T18:32:31"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 12, 1, 9, 0, 0, 900_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def client_of(shop: Shop) -> FlaskClient:
    """A client that calls the shop over TLS with the demo key."""
    app = create_app(shop)
    app.config["PREFERRED_URL_SCHEME"] = "https"
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = "Basic " + b64encode(b"ck_sandbox:cs_sandbox").decode()
    return client


@pytest.fixture
def shop() -> Shop:
    return Shop(BODIES, clock=Clock())


@pytest.fixture
def client(shop: Shop) -> FlaskClient:
    return client_of(shop)


def meta(body: dict[str, Any]) -> dict[str, Any]:
    return {row["key"]: row["value"] for row in body["meta_data"]}


def error_of(answer: TestResponse) -> tuple[int, str, str]:
    body = answer.get_json()
    assert body["data"]["status"] == answer.status_code
    return answer.status_code, body["code"], body["message"]


# Section 2: errors


@pytest.mark.parametrize(
    ("call", "body", "status", "code"),
    [
        ("GET /99999999", None, 404, "woocommerce_rest_shop_order_invalid_id"),
        ("PUT /99999999", {}, 400, "woocommerce_rest_shop_order_invalid_id"),
        ("DELETE /99999999", None, 404, "woocommerce_rest_shop_order_invalid_id"),
        ("GET /abc", None, 404, "rest_no_route"),
        ("DELETE ", None, 404, "rest_no_route"),
        ("GET /48/nothing", None, 404, "rest_no_route"),
        ("PUT /48", {"status": "nonsense"}, 400, "rest_invalid_param"),
        ("PUT /48", {"status": "wc-completed"}, 400, "rest_invalid_param"),
        ("PUT /48", {"customer_id": 99999}, 400, "woocommerce_rest_invalid_customer_id"),
        ("PUT /48", {"billing": {"email": "no mail"}}, 400, "rest_invalid_param"),
        ("PUT /48", {"meta_data": "text"}, 400, "rest_invalid_param"),
        ("POST ", {"coupon_lines": [{"code": "nope"}]}, 400, "woocommerce_rest_invalid_coupon"),
        ("POST ", {"line_items": [{"quantity": 1}]}, 400, "woocommerce_rest_required_product_reference"),
        ("POST ", {"line_items": [{"sku": "WID-001", "quantity": 1.5}]}, 400, "rest_invalid_param"),
    ],
)
def test_the_error_table(client: FlaskClient, call: str, body: object, status: int, code: str) -> None:
    method, _, path = call.partition(" ")
    answer = client.open(f"{ORDERS}{path}", method=method, json=body)
    assert error_of(answer)[:2] == (status, code)


@pytest.mark.parametrize(
    ("name", "method", "path", "options"),
    [
        ("404_order", "GET", "/99999999", {}),
        ("400_put_missing", "PUT", "/99999999", {"json": {}}),
        ("404_route", "GET", "/abc", {}),
        ("400_json", "PUT", "/48", {"data": "{broken", "content_type": "application/json"}),
        ("413_batch", "POST", "/batch", {"json": {"update": [{"id": 1}] * 101}}),
    ],
)
def test_errors_are_answered_as_recorded(
    client: FlaskClient, name: str, method: str, path: str, options: dict[str, Any]
) -> None:
    answer = client.open(f"{ORDERS}{path}", method=method, **options)
    known = recorded_answers()[name]
    assert (answer.status_code, answer.data) == (known.status, known.body)
    headers = {key.lower(): value for key, value in known.headers}
    for name_of in ("content-type", "allow", "cache-control", "server", "x-robots-tag"):
        assert answer.headers.get(name_of) == headers.get(name_of), name_of


def test_json_sent_as_plain_text_is_silently_ignored(client: FlaskClient) -> None:
    answer = client.put(f"{ORDERS}/48", data=json.dumps({"status": "completed"}), content_type="text/plain")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "processing")


def test_unknown_and_read_only_fields_are_ignored(client: FlaskClient) -> None:
    answer = client.put(f"{ORDERS}/48", json={"colour": "red", "total": "1.00"})
    assert answer.status_code == 200
    assert "colour" not in answer.get_json()
    assert answer.get_json()["total"] == "890.92"


def test_a_failed_create_with_a_bad_coupon_leaves_a_checkout_draft(client: FlaskClient) -> None:
    answer = client.post(
        ORDERS, json={"line_items": [{"sku": "WID-001"}], "coupon_lines": [{"code": "nope"}]}
    )
    draft = answer.get_json()["data"]["new_draft_order_id"]
    assert client.get(f"{ORDERS}/{draft}").get_json()["status"] == "checkout-draft"
    listed = client.get(f"{ORDERS}?orderby=id&per_page=1").get_json()
    assert listed[0]["id"] != draft


def test_a_refused_write_changes_nothing(client: FlaskClient) -> None:
    before = client.get(f"{ORDERS}/48").data
    refused = {"customer_note": "x", "line_items": [{"id": 1}], **MARK}
    assert error_of(client.put(f"{ORDERS}/48", json=refused))[1] == "woocommerce_rest_invalid_item_id"
    assert client.get(f"{ORDERS}/48").data == before


def test_trash_force_and_the_way_back(client: FlaskClient) -> None:
    assert client.delete(f"{ORDERS}/48").status_code == 200
    assert client.get(f"{ORDERS}/48").get_json()["status"] == "trash"
    assert error_of(client.delete(f"{ORDERS}/48"))[0] == 410
    assert client.put(f"{ORDERS}/48", json={"status": "processing"}).get_json()["status"] == "processing"
    assert client.delete(f"{ORDERS}/48?force=true").status_code == 200
    assert error_of(client.get(f"{ORDERS}/48")) == (
        404,
        "woocommerce_rest_shop_order_invalid_id",
        "Invalid ID.",
    )


# Section 5: the echo


@pytest.mark.parametrize(
    ("action", "moves", "moves_legacy"),
    [
        ("new meta", True, False),
        ("same meta again", True, False),
        ("empty put", True, False),
        ("same status", True, False),
        ("batch meta", True, False),
        ("note", False, False),
        ("refund", True, True),
        ("get", False, False),
        ("other status", True, True),
    ],
)
def test_what_moves_the_modified_date(action: str, moves: bool, moves_legacy: bool) -> None:
    for legacy, expected in ((False, moves), (True, moves_legacy)):
        clock = Clock()
        bodies = [
            body for body in recorded_orders(keep_marks=action == "same meta again") if body["id"] == 48
        ]
        shop = Shop(bodies, legacy=legacy, clock=clock)
        client, one = client_of(shop), f"{ORDERS}/48"
        if action in ("new meta", "same meta again"):
            client.put(one, json=MARK)
        elif action == "empty put":
            client.put(one, json={})
        elif action == "same status":
            client.put(one, json={"status": "processing"})
        elif action == "batch meta":
            client.post(f"{ORDERS}/batch", json={"update": [{"id": 48, **MARK}]})
        elif action == "note":
            assert client.post(f"{one}/notes", json={"note": "x"}).status_code == 201
        elif action == "refund":
            assert client.post(f"{one}/refunds", json={"amount": "1.00"}).status_code == 201
        elif action == "other status":
            client.put(one, json={"status": "completed"})
        body = client.get(one).get_json()
        assert body["date_modified_gmt"] == ("2026-12-01T09:00:00" if expected else OLD), legacy
        assert body["date_modified"] == ("2026-12-01T01:00:00" if expected else "2026-11-20T10:32:31")


def test_our_own_mark_comes_back_in_the_next_poll(client: FlaskClient) -> None:
    client.put(f"{ORDERS}/48", json=MARK)
    found = client.get(f"{ORDERS}?modified_after=2026-11-30T00:00:00&dates_are_gmt=true").get_json()
    assert [order["id"] for order in found] == [48]


def test_a_write_of_meta_alone_recalculates_nothing_and_one_with_an_address_does(client: FlaskClient) -> None:
    gift_card = client.get(f"{ORDERS}/190").get_json()
    assert client.put(f"{ORDERS}/190", json=MARK).get_json()["total"] == gift_card["total"] == "0.00"
    billed = client.put(f"{ORDERS}/190", json={"billing": {"city": "Reno"}}).get_json()
    lines = sum(Decimal(line["total"]) for line in [*billed["line_items"], *billed["shipping_lines"]])
    assert Decimal(billed["total"]) == lines + Decimal(billed["total_tax"]) > 0


@pytest.mark.parametrize(
    ("orderby", "change", "seen"),
    [
        ("modified", MARK, 60),
        ("id", MARK, 117),
        ("id", {"status": "completed"}, 60),
    ],
)
def test_marking_each_page_before_the_next_is_asked_for(
    orderby: str, change: dict[str, Any], seen: int
) -> None:
    clock = Clock()
    shop = Shop(clock=clock)
    shop.generate(117, 1)
    client = client_of(shop)
    found = []
    for page in range(1, 7):
        clock.forward(1)
        query = f"per_page=20&page={page}&orderby={orderby}&order=asc&status=processing"
        orders = client.get(f"{ORDERS}?{query}").get_json()
        found += [order["id"] for order in orders]
        client.post(f"{ORDERS}/batch", json={"update": [{"id": order["id"], **change} for order in orders]})
    assert len(set(found)) == seen


# Section 6: meta


def test_meta_values_come_back_as_strings_at_once(client: FlaskClient) -> None:
    rows = {
        "int": 1,
        "yes": True,
        "no": False,
        "float": 1.5,
        "list": [1, 2],
        "object": {"a": 1},
        "gone": None,
    }
    written = [{"key": key, "value": value} for key, value in rows.items()]
    answer = meta(client.put(f"{ORDERS}/48", json={"meta_data": written}).get_json())
    assert {key: answer.get(key) for key in rows} == {
        "int": "1", "yes": "1", "no": "", "float": "1.5", "list": [1, 2], "object": {"a": 1}, "gone": None,
    }  # fmt: skip
    assert "gone" not in answer


def test_meta_by_key_updates_in_place_the_last_of_two_wins_and_null_deletes(client: FlaskClient) -> None:
    one = f"{ORDERS}/48"
    first = client.put(one, json=MARK).get_json()
    row = next(row for row in first["meta_data"] if row["key"] == MARK_KEY)
    twice = {"meta_data": [{"key": MARK_KEY, "value": "a"}, {"key": MARK_KEY, "value": "b"}]}
    again = [
        found for found in client.put(one, json=twice).get_json()["meta_data"] if found["key"] == MARK_KEY
    ]
    assert again == [{"id": row["id"], "key": MARK_KEY, "value": "b"}]
    gone = client.put(one, json={"meta_data": [{"key": MARK_KEY, "value": None}]}).get_json()
    assert MARK_KEY not in meta(gone)
    new = client.put(one, json=MARK).get_json()["meta_data"]
    assert next(found["id"] for found in new if found["key"] == MARK_KEY) > row["id"]
    assert [found["key"] for found in new] == sorted(found["key"] for found in new)


def test_meta_that_names_a_field_of_the_order(client: FlaskClient) -> None:
    rows = [{"key": "_billing_email", "value": "new@example.test"}, {"key": "_order_total", "value": "1.00"}]
    body = client.put(f"{ORDERS}/48", json={"meta_data": rows}).get_json()
    assert body["billing"]["email"] == "new@example.test"
    assert body["total"] == "890.92"


# Section 7: batch


def test_a_batch_answers_200_with_errors_in_their_places(client: FlaskClient) -> None:
    items = [
        {"id": 48, **MARK},
        {"id": 99999999, **MARK},
        dict(MARK),
        {"id": 184, **MARK},
        {"id": 174, **MARK},
    ]
    answer = client.post(f"{ORDERS}/batch", json={"update": items})
    update = answer.get_json()["update"]
    assert answer.status_code == 200
    recorded = json.loads(recorded_answers()["200_batch_partial"].body)["update"]
    assert {"id": 99999999, "error": update[1]["error"]} in recorded
    assert update[2]["id"] is None
    assert update[4]["error"]["code"] == "woocommerce_rest_shop_order_invalid_id"
    assert meta(update[0])[MARK_KEY] == meta(update[3])[MARK_KEY] == "1"
    assert update[3]["status"] == "trash"


def test_batch_items_are_not_validated(client: FlaskClient) -> None:
    items: list[dict[str, Any]] = [{"id": 48, "status": "nonsense"}, {"id": 57, "meta_data": "text"}]
    update = client.put(f"{ORDERS}/batch", json={"update": items}).get_json()["update"]
    assert update[0]["status"] == "pending"
    assert "error" not in update[1]


def test_the_same_id_twice_is_applied_in_turn(client: FlaskClient) -> None:
    items = [{"id": 48, "customer_note": "first"}, {"id": 48, "customer_note": "second"}]
    update = client.patch(f"{ORDERS}/batch", json={"update": items}).get_json()["update"]
    assert [body["customer_note"] for body in update] == ["first", "second"]


def test_more_than_a_hundred_items_over_all_kinds_do_nothing(client: FlaskClient) -> None:
    before = client.get(f"{ORDERS}/48").data
    body = {"update": [{"id": 48, **MARK}] * 60, "delete": [48] * 41}
    assert client.post(f"{ORDERS}/batch", json=body).status_code == 413
    assert client.get(f"{ORDERS}/48").data == before


@pytest.mark.parametrize("body", [{}, [], {"update": []}, {"update": "x"}, [1]])
def test_an_empty_or_misshapen_batch_is_an_empty_200(client: FlaskClient, body: object) -> None:
    answer = client.post(f"{ORDERS}/batch", json=body)
    assert (answer.status_code, answer.data) == (200, b"[]")


def test_fields_empty_the_answer_of_a_batch_that_was_done(client: FlaskClient) -> None:
    answer = client.post(f"{ORDERS}/batch?_fields=id", json={"update": [{"id": 48, **MARK}]})
    assert answer.data == b'{"update":[]}'
    assert meta(client.get(f"{ORDERS}/48").get_json())[MARK_KEY] == "1"


# Creating, refunds, notes


def test_a_created_order_has_every_field_of_a_recorded_one_and_balances(client: FlaskClient) -> None:
    data = {
        "status": "processing",
        "payment_method": "stripe",
        "billing": {"first_name": "Ann", "email": "ann@example.test"},
        "line_items": [{"sku": "WID-001", "quantity": 2, "total": "30.00"}, {"product_id": 13}],
        "shipping_lines": [{"method_id": "flat_rate", "total": "5.00"}],
        "fee_lines": [{"name": "Handling", "total": "2.50"}],
        "coupon_lines": [{"code": "TEN"}],
        **MARK,
    }
    answer = client.post(ORDERS, json=data)
    body = answer.get_json()
    recorded = json.loads((PAYLOADS / "orders" / "bulk_15.json").read_text())
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith(f"/orders/{body['id']}")
    assert list(body) == list(recorded)
    assert set(body["line_items"][0]) == set(recorded["line_items"][0])
    assert body["coupon_lines"][0]["code"] == "ten"
    lines = [*body["line_items"], *body["shipping_lines"], *body["fee_lines"]]
    assert sum(Decimal(line["total"]) for line in lines) + Decimal(body["total_tax"]) == Decimal(
        body["total"]
    )
    assert body["date_paid_gmt"] == "2026-12-01T09:00:00"


def test_cash_on_delivery_is_not_paid_when_processing(client: FlaskClient) -> None:
    data = {"status": "processing", "payment_method": "cod", "line_items": [{"sku": "WID-001"}]}
    assert client.post(ORDERS, json=data).get_json()["date_paid"] is None


def test_a_partial_refund_keeps_the_status_and_the_whole_sets_refunded(client: FlaskClient) -> None:
    one = f"{ORDERS}/48"
    refund = client.post(f"{one}/refunds", json={"amount": "90.92", "reason": "late"}).get_json()
    body = client.get(one).get_json()
    assert body["refunds"] == [{"id": refund["id"], "reason": "late", "total": "-90.92", "total_tax": "0.00"}]
    assert (body["status"], body["total"]) == ("processing", "890.92")
    assert client.get(f"{ORDERS}/{refund['id']}").status_code == 404
    client.post(f"{one}/refunds", json={"amount": "800.00"})
    assert client.get(one).get_json()["status"] == "refunded"


def test_a_refunded_line_has_a_negative_quantity_and_names_the_line(client: FlaskClient) -> None:
    line = client.get(f"{ORDERS}/48").get_json()["line_items"][0]
    asked = {
        "id": line["id"],
        "quantity": 1,
        "refund_total": 149,
        "refund_tax": [{"id": 6, "refund_total": 28.31}],
    }
    refund = client.post(f"{ORDERS}/48/refunds", json={"line_items": [asked]}).get_json()
    assert refund["amount"] == "177.31"
    assert refund["line_items"][0]["quantity"] == -1
    assert refund["line_items"][0]["meta_data"][0]["value"] == str(line["id"])
    assert client.get(f"{ORDERS}/48").get_json()["refunds"][0]["total_tax"] == "-28.31"


def test_recorded_notes_and_refunds_are_answered_as_recorded(client: FlaskClient) -> None:
    for path, name in (
        ("186/notes", "_notes_of_with_notes"),
        ("173/refunds", "_refunds_of_refund_partial_line"),
    ):
        assert client.get(f"{ORDERS}/{path}").data == (PAYLOADS / "orders" / f"{name}.json").read_bytes()


def test_generated_orders_are_paid_distinct_and_balance_to_the_cent(shop: Shop, client: FlaskClient) -> None:
    made = client.post(
        "/_sandbox/generate", json={"count": 50, "lines": 3, "skus": ["A-1", "B/2"]}
    ).get_json()
    recorded = json.loads((PAYLOADS / "orders" / "bulk_15.json").read_text())
    bodies = [shop.order(order_id) for order_id in made["ids"]]
    for body in bodies:
        assert list(body) == list(recorded)
        assert (body["status"], len(body["line_items"])) == ("processing", 3)
        assert body["date_paid_gmt"]
        assert body["transaction_id"]
        parts = [*body["line_items"], *body["shipping_lines"]]
        tax = sum(Decimal(part["total_tax"]) for part in parts)
        listed = [
            Decimal(one[name]) for one in body["tax_lines"] for name in ("tax_total", "shipping_tax_total")
        ]
        assert Decimal(body["total_tax"]) == tax == sum(listed)
        assert sum(Decimal(part["total"]) for part in parts) + tax == Decimal(body["total"])
        assert {line["sku"] for line in body["line_items"]} == {"A-1", "B/2"}
    assert len({body["number"] for body in bodies}) == len({body["order_key"] for body in bodies}) == 50


def test_two_shops_have_the_same_buyers_only_where_their_mail_domain_is_the_same() -> None:
    def buyers(domain: str) -> list[str]:
        shop = Shop(())
        made = shop.generate(3, 1, mail_domain=domain)
        return [shop.order(order_id)["billing"]["email"] for order_id in made]

    assert buyers("one.test") == buyers("one.test") == [f"buyer{n}@one.test" for n in (1, 2, 3)]
    assert not set(buyers("one.test")) & set(buyers("two.test"))


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"line_items": [{"quantity": 1.5}], "billing": None, "meta_data": None},
        {"line_items": "none", "date_modified_gmt": 7, "total": 3},
        {"line_items": None, "refunds": "x", "customer_id": "x"},
    ],
)
def test_a_misshapen_body_is_served_as_given_in_every_way_it_can_be_read(
    client: FlaskClient, broken: dict[str, Any]
) -> None:
    raw = {"id": 5000, "status": "processing", **broken}
    assert client.post("/_sandbox/orders", json=raw).status_code == 201
    for query in ("", "&orderby=modified&order=asc", "&product=1", "&search=x"):
        assert client.get(f"{ORDERS}?per_page=100{query}").status_code == 200
    assert client.get(f"{ORDERS}/5000").get_json() == raw
    assert client.put(f"{ORDERS}/5000", json=MARK).status_code == 200
    assert client.post("/_sandbox/orders", json={"status": "processing"}).status_code == 400


def test_a_clerks_edit_moves_the_date_and_raw_bodies_are_served_as_given(client: FlaskClient) -> None:
    touched = client.post("/_sandbox/orders/48/touch", json={"customer_note": "call first"}).get_json()
    assert touched == {
        "id": 48,
        "status": "processing",
        "date_modified_gmt": "2026-12-01T09:00:00",
        "mark": None,
    }
    assert client.get(f"{ORDERS}/48").get_json()["customer_note"] == "call first"
    raw = {"id": 5000, "status": "processing", "date_modified_gmt": "2026-11-30T00:00:00", "currency": "XXX"}
    assert client.post("/_sandbox/orders", json=raw).get_json() == {"ids": [5000]}
    assert client.get(f"{ORDERS}/5000").get_json() == raw
    update = client.post(f"{ORDERS}/batch", json={"update": [{"id": 5000, **MARK}]}).get_json()["update"]
    assert meta(update[0])[MARK_KEY] == "1"
    overview = {order["id"]: order["mark"] for order in client.get("/_sandbox/orders").get_json()}
    assert (overview[48], overview[5000]) == (None, "1")
