"""The sandbox store lists orders and their rows as sections 2, 3, 5 and 6 of the BigCommerce contract say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.sandbox.bigcommerce import DEMO_STORE_HASH, DEMO_TOKEN, Store, create_app

V2 = f"/stores/{DEMO_STORE_HASH}/v2"
START = datetime(2026, 3, 17, 10, 0, tzinfo=UTC)
SIDE_LOADS = {"include": "consignments,consignments.line_items,fees", "consignment_structure": "object"}


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


def ids(client: FlaskClient, **query: object) -> list[int]:
    """The ids of one page; an empty one is a 204 without a body."""
    answer = client.get(f"{V2}/orders", query_string=query)
    if answer.status_code == 204:
        assert answer.data == b""
        return []
    assert answer.status_code == 200, answer.text
    return [order["id"] for order in answer.get_json()]


def test_a_list_is_a_bare_array_of_fifty_by_id_and_ends_in_a_204(store: Store, client: FlaskClient) -> None:
    made = store.generate(120)
    assert ids(client) == made[:50]
    assert ids(client, page=3) == made[100:]
    assert ids(client, page=4) == []
    assert ids(client, limit=250) == made
    assert "Link" not in client.get(f"{V2}/orders").headers
    store.switches.empty_is_204 = False
    answer = client.get(f"{V2}/orders", query_string={"page": 4})
    assert (answer.status_code, answer.data) == (200, b"[]")


def test_more_than_250_is_a_413_and_an_unknown_parameter_a_400(store: Store, client: FlaskClient) -> None:
    assert client.get(f"{V2}/orders?limit=251").status_code == 413
    answer = client.get(f"{V2}/orders?modified_after=2026-01-01")
    message = "The field 'modified_after' is not supported by this resource."
    assert (answer.status_code, answer.get_json()) == (400, [{"status": 400, "message": message}])
    for query in ("limit=0", "page=0", "page=x", "sort=total", "sort=id:up", "include=lines", "min_total=x"):
        assert client.get(f"{V2}/orders?{query}").status_code == 400, query


def test_a_status_is_one_number_and_zero_is_a_status(store: Store, client: FlaskClient) -> None:
    incomplete, paid = store.add_order({"status_id": 0}), store.add_order()
    assert ids(client, status_id=11) == [paid]
    assert ids(client, status_id=0) == [incomplete]
    assert ids(client, status_id=9) == []
    assert client.get(f"{V2}/orders?status_id=11,9").status_code == 400


def test_date_filters_take_both_formats_and_both_ends_belong_to_the_range(
    store: Store, client: FlaskClient
) -> None:
    first, second, third = (
        store.add_order({"date_modified": START + timedelta(seconds=n)}) for n in range(3)
    )
    texts = ("2026-03-17T10:00:01Z", "2026-03-17T06:00:01.000-04:00", "Tue, 17 Mar 2026 10:00:01 +0000")
    for text in texts:
        assert ids(client, min_date_modified=text) == [second, third], text
        assert ids(client, max_date_modified=text) == [first, second], text
        assert ids(client, min_date_modified=text, max_date_modified=text) == [second], text
    assert ids(client, min_date_created="2026-03-17T10:00:01Z") == []
    store.switches.date_ends_included = False
    assert ids(client, min_date_modified=texts[0]) == [third]
    assert ids(client, max_date_modified=texts[0]) == [first]


@pytest.mark.parametrize(
    "query",
    [
        "min_date_modified=yesterday",
        "min_date_modified=2026-03-18T00:00:00+00:00",  # The plus is a space by the time it is read.
        "min_date_modified=2026-03-18T00%253A00%253A00Z",
        "min_date_modified=Wed, 18 Mar 2026 00:00:00 +0000",
    ],
)
def test_a_malformed_date_is_ignored_without_a_word(store: Store, client: FlaskClient, query: str) -> None:
    made = store.generate(3)
    answer = client.get(f"{V2}/orders?{query}")
    assert [order["id"] for order in answer.get_json()] == made


def test_sorting_breaks_ties_by_the_id_in_its_own_direction(store: Store, client: FlaskClient) -> None:
    early, late = START - timedelta(hours=1), START
    made = [store.add_order({"date_modified": moment}) for moment in (late, early, late, early)]
    one, two, three, four = made
    assert ids(client, sort="date_modified") == [two, four, one, three]
    assert ids(client, sort="date_modified:asc") == [two, four, one, three]
    assert ids(client, sort="date_modified:desc") == [three, one, four, two]
    assert ids(client, sort="id:desc") == made[::-1]
    assert ids(client, sort="id:asc", min_id=two, max_id=three) == [two, three]


def test_the_other_filters(store: Store, client: FlaskClient) -> None:
    cheap = store.add_order({"products": [{"sku": "COMP-A"}], "customer_id": 7, "channel_id": 2})
    dear = store.add_order(
        {"payment_method": "Klarna", "external_order_id": "X-1", "billing_address": {"email": "a@b.test"}}
    )
    assert ids(client, min_total="10") == [dear]
    assert ids(client, max_total="5.48") == [cheap]
    assert ids(client, customer_id=7) == ids(client, channel_id=2) == [cheap]
    assert ids(client, payment_method="Klarna") == [dear]
    assert ids(client, external_order_id="X-1") == ids(client, email="a@b.test") == [dear]


def test_an_archived_order_stays_in_lists_and_says_that_it_is_deleted(
    store: Store, client: FlaskClient
) -> None:
    kept, archived = store.generate(2)
    assert client.delete(f"{V2}/orders/{archived}").status_code == 204
    assert ids(client) == [kept, archived]
    assert client.get(f"{V2}/orders/{archived}").get_json()["is_deleted"] is True
    assert ids(client, is_deleted="false") == [kept]
    assert ids(client, is_deleted="true") == [archived]
    store.switches.archived_in_lists = False
    assert ids(client) == [kept]


def test_orders_of_a_page_shift_when_their_status_is_changed_while_paging(
    store: Store, client: FlaskClient
) -> None:
    made = store.generate(4)
    assert ids(client, status_id=11, limit=2, page=1) == made[:2]
    for order_id in made[:2]:
        store.put(order_id, {"status_id": 9})
    assert ids(client, status_id=11, limit=2, page=2) == []


def test_an_order_has_links_for_its_rows_and_rfc_dates(store: Store, client: FlaskClient) -> None:
    order_id = store.add_order({"date_created": START})
    body = client.get(f"{V2}/orders/{order_id}").get_json()
    assert body["products"] == {
        "url": f"https://api.bigcommerce.com{V2}/orders/{order_id}/products",
        "resource": f"/orders/{order_id}/products",
    }
    assert body["date_created"] == "Tue, 17 Mar 2026 10:00:00 +0000"
    assert body["date_shipped"] == ""
    assert (body["custom_status"], body["credit_card_type"]) == ("Awaiting Fulfillment", None)
    assert client.get(f"{V2}/orders/{order_id}/shippingaddresses").status_code == 404


def test_consignments_are_side_loaded_with_numbers_and_their_own_lines(
    store: Store, client: FlaskClient
) -> None:
    addresses = [{"shipping_cost": "5"}, {"first_name": "Noor", "shipping_cost": "4.00"}]
    rows: list[dict[str, Any]] = [
        {"sku": "COMP-A"},
        {"sku": "COMP-B", "quantity": 2, "address": 1},
        {"type": "digital", "sku": "E-BOOK", "price": "3"},
        {"type": "giftcertificate", "sku": "", "price": "25", "tax_rate": 0},
    ]
    store.add_order({"products": rows, "shipping_addresses": addresses})
    (order,) = client.get(f"{V2}/orders", query_string=SIDE_LOADS).get_json()
    found = order["consignments"]
    first, second = found["shipping"]
    assert [line["sku"] for line in first["line_items"]] == ["COMP-A"]
    assert [line["sku"] for line in second["line_items"]] == ["COMP-B"]
    assert (first["cost_ex_tax"], second["cost_inc_tax"]) == (5, 4.38)
    assert (second["first_name"], second["items_total"]) == ("Noor", 2)
    assert second["line_items"][0]["total_inc_tax"] == 16.43
    assert [line["sku"] for line in found["downloads"][0]["line_items"]] == ["E-BOOK"]
    assert len(found["email"]["gift_certificates"][0]["line_items"]) == 1
    assert order["fees"] == []
    assert isinstance(order["total_inc_tax"], str)
    (as_array,) = client.get(f"{V2}/orders?include=consignments").get_json()
    assert as_array["consignments"][0]["shipping"][0]["line_items"][0]["resource"].startswith("/orders/")


@pytest.mark.parametrize(("lines", "warned"), [(50, False), (51, True), (260, True)])
def test_no_more_than_fifty_lines_of_a_consignment_are_side_loaded(
    store: Store, client: FlaskClient, lines: int, warned: bool
) -> None:
    order_id = store.add_order({"products": [{"sku": "COMP-A", "price": "1"} for _ in range(lines)]})
    (order,) = client.get(f"{V2}/orders", query_string=SIDE_LOADS).get_json()
    (shipping,) = order["consignments"]["shipping"]
    assert len(shipping["line_items"]) == 50
    assert ("__warning__" in shipping) is warned
    url = f"{V2}/orders/{order_id}/products"
    assert len(client.get(url).get_json()) == 50
    pages = [client.get(f"{url}?limit=250&page={page}") for page in (1, 2, 3)]
    assert sum(len(page.get_json()) for page in pages if page.status_code == 200) == lines
    assert pages[2].status_code == 204


def test_collections_of_an_order_without_any_are_204(store: Store, client: FlaskClient) -> None:
    order_id = store.add_order({"products": [{"type": "digital"}], "payment_method": "Cash on Delivery"})
    base = f"/orders/{order_id}"
    for path in ("shipping_addresses", "coupons", "shipments", "messages"):
        answer = client.get(f"{V2}{base}/{path}")
        assert (answer.status_code, answer.data, "Content-Type" in answer.headers) == (204, b"", False), path
    assert client.get(f"/stores/{DEMO_STORE_HASH}/v3{base}/transactions").status_code == 204
    assert client.get(f"{V2}{base}/fees").get_json() == {"fees": []}
    assert client.get(f"{V2}{base}").get_json()["status_id"] == 10


def test_taxes_say_what_they_are_of_only_with_details(store: Store, client: FlaskClient) -> None:
    order_id = store.add_order({"shipping_cost": "5.00"})
    url = f"{V2}/orders/{order_id}/taxes"
    plain, detailed = client.get(url).get_json(), client.get(f"{url}?details=true").get_json()
    assert "line_item_type" not in plain[0]
    assert [row["line_item_type"] for row in detailed] == ["item", "shipping"]
    total = sum((Decimal(row["line_amount"]) for row in plain), Decimal(0))
    assert total == Decimal(store.order(order_id)["total_tax"])


def test_labels_are_the_merchants_and_may_repeat_while_status_stays_the_systems(
    store: Store, client: FlaskClient
) -> None:
    order_id = store.add_order()
    store.labels.set(11, "Ready")
    store.labels.set(9, "Ready")
    rows = {row["id"]: row for row in client.get(f"{V2}/order_statuses").get_json()}
    assert sorted(rows) == list(range(15))
    assert rows[11]["custom_label"] == rows[9]["custom_label"] == "Ready"
    assert (rows[11]["name"], rows[11]["order"]) == ("Awaiting Fulfillment", 3)
    body = store.order(order_id)
    assert (body["status"], body["custom_status"]) == ("Awaiting Fulfillment", "Ready")
    counts = client.get(f"{V2}/orders/count").get_json()
    assert counts["count"] == 1
    assert [row["count"] for row in counts["statuses"] if row["sort_order"] == 3] == [1]


def test_the_store_tells_its_zone_and_its_time(client: FlaskClient) -> None:
    about = client.get(f"{V2}/store").get_json()
    zone = {"name": "America/Chicago", "raw_offset": -21600, "dst_offset": -18000, "dst_correction": True}
    assert (about["timezone"], about["currency"]) == (zone, "USD")
    assert client.get(f"{V2}/time").get_json() == {"time": int(START.timestamp())}


def test_what_is_not_there_is_a_404_in_the_shape_of_its_version(store: Store, client: FlaskClient) -> None:
    gone = store.add_order()
    store.remove(gone)
    message = "The requested resource was not found."
    for path in (f"/orders/{gone}", f"/orders/{gone}/products", "/nothing"):
        answer = client.get(V2 + path)
        assert (answer.status_code, answer.get_json()) == (404, [{"status": 404, "message": message}]), path
    answer = client.get(f"/stores/{DEMO_STORE_HASH}/v3/orders/{gone}/transactions")
    assert (answer.status_code, answer.get_json()["title"]) == (404, message)
