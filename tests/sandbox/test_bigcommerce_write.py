"""The sandbox store takes writes as section 7 of the BigCommerce contract says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.sandbox.bigcommerce import DEMO_STORE_HASH, DEMO_TOKEN, READ_ONLY_TOKEN, Store, create_app

BASE = f"/stores/{DEMO_STORE_HASH}"
START = datetime(2026, 3, 17, 10, 0, tzinfo=UTC)


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return Store(clock=clock, quota=100_000)


@pytest.fixture
def client(store: Store) -> FlaskClient:
    client = create_app(store).test_client()
    client.environ_base["HTTP_X_AUTH_TOKEN"] = DEMO_TOKEN
    return client


def refused(client: FlaskClient, order_id: int, body: Any) -> str:
    """The message of a PUT that is refused; the order is as it was."""
    before = client.get(f"{BASE}/v2/orders/{order_id}").data
    answer = client.put(f"{BASE}/v2/orders/{order_id}", json=body)
    assert answer.status_code == 400
    assert client.get(f"{BASE}/v2/orders/{order_id}").data == before
    (row,) = answer.get_json()
    return str(row["message"])


def test_a_put_answers_the_whole_order_and_moves_its_date_even_when_nothing_changes(
    store: Store, client: FlaskClient, clock: Clock
) -> None:
    order_id = store.add_order({"staff_notes": "Called."})
    clock.moment += timedelta(seconds=90, microseconds=700_000)
    data = {"status_id": 9, "staff_notes": "Called.\nExported."}
    body = client.put(f"{BASE}/v2/orders/{order_id}", json=data).get_json()
    assert body == store.order(order_id)
    assert (body["status_id"], body["status"], body["staff_notes"]) == (
        9,
        "Awaiting Shipment",
        "Called.\nExported.",
    )
    assert body["date_modified"] == "Tue, 17 Mar 2026 10:01:30 +0000"
    assert body["date_created"] == "Tue, 17 Mar 2026 10:00:00 +0000"
    assert "url" in body["products"]
    clock.moment += timedelta(seconds=1)
    again = client.put(f"{BASE}/v2/orders/{order_id}", json={}).get_json()
    assert again == {**body, "date_modified": "Tue, 17 Mar 2026 10:01:31 +0000"}


def test_a_fetched_order_cannot_be_put_back(store: Store, client: FlaskClient) -> None:
    order_id = store.add_order()
    told = "cannot be written to. Please remove it from your request before trying again."
    assert refused(client, order_id, store.order(order_id)) == f"The field 'id' {told}"
    for name in ("status", "date_modified", "coupon_discount", "store_credit_amount", "is_deleted"):
        assert refused(client, order_id, {"status_id": 9, name: "1"}) == f"The field '{name}' {told}"
    for name in ("custom_status", "colour"):
        assert (
            refused(client, order_id, {name: "x"}) == f"The field '{name}' is not supported by this resource."
        )


@pytest.mark.parametrize("status_id", [15, -1, "nine", None, True, 9.5])
def test_a_status_that_does_not_exist_is_refused(
    store: Store, client: FlaskClient, status_id: object
) -> None:
    order_id = store.add_order()
    assert refused(client, order_id, {"status_id": status_id}) == "The field 'status_id' is invalid."


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("discount_amount", "ten"),
        ("products", [{"id": 1, "quantity": 2}]),
        ("products", {"id": 1}),
        ("fees", [{"cost": "much"}]),
        ("billing_address", "here"),
        ("customer_id", -1),
        ("staff_notes", None),
    ],
)
def test_a_value_that_cannot_be_is_refused_and_nothing_else_is_written(
    store: Store, client: FlaskClient, field: str, value: object
) -> None:
    order_id = store.add_order()
    assert refused(client, order_id, {"status_id": 9, field: value}) == f"The field '{field}' is invalid."


def test_staff_notes_are_replaced_and_end_at_65535_characters(store: Store, client: FlaskClient) -> None:
    order_id = store.add_order({"staff_notes": "old"})
    assert client.put(f"{BASE}/v2/orders/{order_id}", json={"staff_notes": "é" * 65535}).status_code == 200
    assert store.order(order_id)["staff_notes"] == "é" * 65535
    assert refused(client, order_id, {"staff_notes": "x" * 65536}) == "The field 'staff_notes' is invalid."


def test_the_status_shipped_sets_the_date_without_a_shipment(store: Store, client: FlaskClient) -> None:
    order_id = store.add_order()
    body = client.put(f"{BASE}/v2/orders/{order_id}", json={"status_id": 2}).get_json()
    assert (body["date_shipped"], body["items_shipped"]) == ("Tue, 17 Mar 2026 10:00:00 +0000", 0)
    assert client.get(f"{BASE}/v2/orders/{order_id}/shipments").status_code == 204


def test_changing_a_line_takes_its_discounts_away_and_works_the_total_out_anew(
    store: Store, client: FlaskClient
) -> None:
    order_id = store.add_order(
        {
            "products": [{"price": "100", "tax_rate": 0}],
            "discount_amount": "10",
            "coupons": [{"discount": "5"}],
        }
    )
    (line,) = client.get(f"{BASE}/v2/orders/{order_id}/products").get_json()
    assert store.order(order_id)["total_inc_tax"] == "85.0000"
    changed = client.put(
        f"{BASE}/v2/orders/{order_id}", json={"products": [{"id": line["id"], "quantity": 2}]}
    ).get_json()
    assert (changed["total_inc_tax"], changed["discount_amount"]) == ("200.0000", "0.0000")
    (line,) = client.get(f"{BASE}/v2/orders/{order_id}/products").get_json()
    assert (line["applied_discounts"], line["discounted_total_inc_tax"]) == ([], "200.0000")


def test_fees_replace_all_there_were(store: Store, client: FlaskClient) -> None:
    order_id = store.add_order({"fees": [{"cost": "1"}, {"cost": "2"}]})
    url = f"{BASE}/v2/orders/{order_id}"
    client.put(url, json={"fees": [{"cost": "3"}]})
    assert [fee["base_cost"] for fee in client.get(f"{url}/fees").get_json()["fees"]] == ["3.0000"]
    client.put(url, json={"fees": []})
    assert client.get(f"{url}/fees").get_json() == {"fees": []}


def test_a_body_that_is_no_json_is_a_400_and_no_json_type_a_415(store: Store, client: FlaskClient) -> None:
    url = f"{BASE}/v2/orders/{store.add_order()}"
    assert client.put(url, data=b"{", content_type="application/json").status_code == 400
    assert client.put(url, data=b"{}", content_type="text/plain").status_code == 415
    assert client.put(url, json=[]).status_code == 400
    assert client.post(url, json={}).status_code == 405


def test_a_token_that_may_only_read_gets_a_403_for_writes(store: Store, client: FlaskClient) -> None:
    order_id = store.add_order()
    headers = {"X-Auth-Token": READ_ONLY_TOKEN}
    assert client.get(f"{BASE}/v2/orders/{order_id}", headers=headers).status_code == 200
    answer = client.put(f"{BASE}/v2/orders/{order_id}", json={"status_id": 9}, headers=headers)
    assert (answer.status_code, answer.get_json()[0]["status"]) == (403, 403)
    assert client.delete(f"{BASE}/v2/orders/{order_id}", headers=headers).status_code == 403
    body = {"permission_set": "app_only", "namespace": "n", "key": "k", "value": "v"}
    answer = client.post(f"{BASE}/v3/orders/{order_id}/metafields", json=body, headers=headers)
    assert (answer.status_code, answer.get_json()["status"]) == (403, 403)
    assert store.order(order_id)["status_id"] == 11


def test_a_metafield_is_made_once(store: Store, client: FlaskClient) -> None:
    url = f"{BASE}/v3/orders/{store.add_order()}/metafields"
    body = {"permission_set": "app_only", "namespace": "sync", "key": "exported", "value": "yes"}
    assert client.post(url, json=body).status_code == 200
    assert client.post(url, json={**body, "value": "again"}).status_code == 409
    assert [row["value"] for row in client.get(url).get_json()["data"]] == ["yes"]
    answer = client.post(url, json={"namespace": "sync"})
    assert (answer.status_code, sorted(answer.get_json()["errors"])) == (
        422,
        ["key", "permission_set", "value"],
    )
    other = client.get(url, headers={"X-Auth-Token": READ_ONLY_TOKEN}).get_json()
    assert other["data"] == []


# Shipments


def lines_of(client: FlaskClient, order_id: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.get(f"{BASE}/v2/orders/{order_id}/products").get_json()
    return rows


def test_a_shipment_is_not_idempotent_and_moves_the_order_on(store: Store, client: FlaskClient) -> None:
    order_id = store.add_order({"products": [{"sku": "COMP-A", "quantity": 3}]})
    (line,), url = lines_of(client, order_id), f"{BASE}/v2/orders/{order_id}/shipments"
    data = {
        "order_address_id": str(line["order_address_id"]),
        "items": [{"order_product_id": line["id"], "quantity": 1}],
        "tracking_number": "TRACK1",
        "shipping_provider": "usps",
    }
    made = [client.post(url, json=data) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].get_json()["generated_tracking_link"].endswith("/usps/TRACK1")
    body = store.order(order_id)
    assert (body["status_id"], body["items_shipped"], body["date_shipped"]) == (3, 2, "")
    assert [row["tracking_number"] for row in client.get(url).get_json()] == ["TRACK1", "TRACK1"]
    assert client.post(url, json=data).status_code == 201
    assert (store.order(order_id)["status_id"], store.order(order_id)["date_shipped"] != "") == (2, True)
    assert client.post(url, json=data).status_code == 400
    assert client.delete(f"{url}/{made[0].get_json()['id']}").status_code == 204
    assert (store.order(order_id)["items_shipped"], len(client.get(url).get_json())) == (3, 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order_address_id", 1),
        ("items", []),
        ("items", [{"order_product_id": 1, "quantity": 1}]),
        ("items", [{"order_product_id": "LINE", "quantity": 2}]),
        ("tracking_number", "x" * 51),
        ("tracking_link", "x" * 501),
        ("shipping_provider", "pigeon"),
    ],
)
def test_a_shipment_that_cannot_be_is_refused_and_nothing_is_sent(
    store: Store, client: FlaskClient, field: str, value: Any
) -> None:
    order_id = store.add_order()
    (line,), url = lines_of(client, order_id), f"{BASE}/v2/orders/{order_id}/shipments"
    if value == [{"order_product_id": "LINE", "quantity": 2}]:
        value = [{"order_product_id": line["id"], "quantity": 2}]
    data: dict[str, Any] = {
        "order_address_id": line["order_address_id"],
        "items": [{"order_product_id": line["id"], "quantity": 1}],
        field: value,
    }
    answer = client.post(url, json=data)
    assert (answer.status_code, answer.get_json()[0]["message"]) == (400, f"The field '{field}' is invalid.")
    assert client.get(url).status_code == 204
    assert store.order(order_id)["items_shipped"] == 0


def test_a_shipment_to_one_of_two_addresses_takes_that_ones_lines_only(
    store: Store, client: FlaskClient
) -> None:
    store.switches.shipment_moves_status = False
    order_id = store.add_order({"products": [{}, {"address": 1}], "shipping_addresses": [{}, {}]})
    first, second = lines_of(client, order_id)
    url = f"{BASE}/v2/orders/{order_id}/shipments"
    items = [{"order_product_id": second["id"], "quantity": 1}]
    assert (
        client.post(url, json={"order_address_id": first["order_address_id"], "items": items}).status_code
        == 400
    )
    data = {"order_address_id": second["order_address_id"], "items": items, "shipping_provider": ""}
    data["tracking_link"] = "https://carrier.test/1"
    answer = client.post(url, json=data)
    assert answer.get_json()["generated_tracking_link"] == "https://carrier.test/1"
    assert store.order(order_id)["status_id"] == 11
    rows = client.get(f"{BASE}/v2/orders/{order_id}/shipping_addresses").get_json()
    assert [row["items_shipped"] for row in rows] == [0, 1]


def test_refunds_are_listed_by_order_and_by_their_date(
    store: Store, client: FlaskClient, clock: Clock
) -> None:
    first, second = store.generate(2)
    store.refund(first, "1.00", reason="late")
    clock.moment += timedelta(hours=1)
    store.refund(second)
    (row,) = client.get(f"{BASE}/v3/orders/{first}/payment_actions/refunds").get_json()["data"]
    assert (row["total_amount"], row["reason"], row["created"]) == (1, "late", "2026-03-17T10:00:00+00:00")
    url = f"{BASE}/v3/orders/payment_actions/refunds"

    def listed(**query: str) -> list[int]:
        return [row["order_id"] for row in client.get(url, query_string=query).get_json()["data"]]

    assert listed() == [first, second]
    assert listed(**{"order_id:in": f"{second},999"}) == [second]
    assert listed(**{"created:min": "2026-03-17T10:30:00Z"}) == [second]
    assert listed(**{"created:max": "2026-03-17T10:00:00Z"}) == [first]
    meta = client.get(url, query_string={"limit": "1"}).get_json()["meta"]["pagination"]
    assert (meta["total"], meta["count"], meta["total_pages"]) == (2, 1, 2)
