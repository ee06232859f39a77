"""The sandbox shop lists orders as sections 3, 4 and 8 of the WooCommerce contract say."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.sandbox.shop import MARK_KEY, Shop, create_app, recorded_answers, recorded_orders

ORDERS = "/wp-json/wc/v3/orders"
PAYLOADS = Path(__file__).parents[1] / "payloads" / "woocommerce"
CURSOR = "2026-11-20T18:27:46"


def client_of(shop: Shop) -> FlaskClient:
    """A client that calls the shop over TLS with the demo key."""
    app = create_app(shop)
    app.config["PREFERRED_URL_SCHEME"] = "https"
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = "Basic " + b64encode(b"ck_sandbox:cs_sandbox").decode()
    return client


def plain(order_id: int, modified: str, **more: object) -> dict[str, Any]:
    """A small raw body with all that a list looks at."""
    return {
        "id": order_id,
        "status": "processing",
        "date_created": modified,
        "date_created_gmt": modified,
        "date_modified": modified,
        "date_modified_gmt": modified,
        "customer_id": 0,
        "created_via": "rest-api",
        "billing": {"first_name": "Ann", "last_name": "Baker", "email": f"b{order_id}@example.test"},
        "line_items": [],
        **more,
    }


def ids(client: FlaskClient, **params: object) -> list[int]:
    answer = client.get(ORDERS, query_string={"per_page": 100, **params})
    assert answer.status_code == 200, answer.text
    return [order["id"] for order in answer.get_json()]


@pytest.fixture(scope="module")
def recorded() -> FlaskClient:
    """The recorded orders; tests that use it only read."""
    return client_of(Shop(recorded_orders(keep_marks=True)))


def test_every_recorded_body_is_answered_byte_for_byte(recorded: FlaskClient) -> None:
    files = [path for path in (PAYLOADS / "orders").glob("*.json") if not path.name.startswith("_")]
    assert len(files) == 37
    for path in files:
        raw = path.read_bytes().rstrip(b"\n")
        assert recorded.get(f"{ORDERS}/{json.loads(raw)['id']}").data == raw, path.name


def test_recorded_orders_are_each_there_once_and_without_the_mark_of_an_earlier_export() -> None:
    bodies = recorded_orders()
    by_id = {body["id"]: body for body in bodies}
    assert len(by_id) == len(bodies) == 44
    assert not any(row["key"] == MARK_KEY for body in bodies for row in body["meta_data"])
    kept = {body["id"]: body for body in recorded_orders(keep_marks=True)}
    assert kept[48] == json.loads((PAYLOADS / "orders" / "bulk_3.json").read_text())
    assert all(by_id[key]["date_modified_gmt"] == kept[key]["date_modified_gmt"] for key in by_id)


def test_spread_lays_the_modified_dates_evenly_and_keeps_their_order() -> None:
    until = datetime(2027, 1, 5, 12, tzinfo=UTC)
    spread = recorded_orders(spread=timedelta(hours=43), until=until)
    moments = sorted(body["date_modified_gmt"] for body in spread)
    assert moments[0] == "2027-01-03T17:00:00"
    assert moments[-1] == "2027-01-05T12:00:00"
    assert len(set(moments)) == 44
    before = sorted(recorded_orders(), key=lambda body: (body["date_modified_gmt"], body["id"]))
    after = sorted(spread, key=lambda body: body["date_modified_gmt"])
    assert [body["id"] for body in before] == [body["id"] for body in after]


def test_the_recorded_answers_ship_with_the_package_unchanged() -> None:
    paths = list((PAYLOADS / "errors").glob("*.http"))
    assert {path.stem for path in paths} == set(recorded_answers())
    for path in paths:
        head, _, body = path.read_bytes().partition(b"\r\n\r\n")
        answer = recorded_answers()[path.stem]
        assert answer.body == body
        assert head.startswith(f"HTTP/1.1 {answer.status} {answer.reason}\r\n".encode())
        for name, value in answer.headers:
            assert f"\r\n{name}: {value}".encode() in head


def test_the_defaults_are_ten_a_page_newest_first_of_any_status(recorded: FlaskClient) -> None:
    answer = recorded.get(ORDERS)
    found = answer.get_json()
    assert len(found) == 10
    keys = [(order["date_created_gmt"], order["id"]) for order in found]
    assert keys == sorted(keys, reverse=True)
    assert answer.headers["X-WP-Total"] == "43"  # all but the trashed one
    assert answer.headers["X-WP-TotalPages"] == "5"
    assert answer.headers["Cache-Control"] == "no-cache, must-revalidate, max-age=0, no-store, private"
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert "ETag" not in answer.headers
    assert "Last-Modified" not in answer.headers


def test_head_carries_the_totals(recorded: FlaskClient) -> None:
    answer = recorded.head(ORDERS)
    assert (answer.status_code, answer.data, answer.headers["X-WP-Total"]) == (200, b"", "43")


def test_the_link_header_repeats_all_filters_and_adds_the_defaults(recorded: FlaskClient) -> None:
    answer = recorded.get(f"{ORDERS}?per_page=20&orderby=modified&order=asc&status=processing")
    assert answer.headers["Link"] == (
        "<https://localhost/wp-json/wc/v3/orders?per_page=20&orderby=modified&order=asc"
        '&status%5B0%5D=processing&dp=2&context=view&page=2>; rel="next"'
    )
    answer = recorded.get(f"{ORDERS}?per_page=10&page=2&orderby=modified&order=asc&status=processing&peer=1")
    before, after = answer.headers["Link"].split(", ")
    assert "page=1&orderby" in before
    assert before.endswith('rel="prev"')
    assert "page=3&orderby" in after
    assert "peer=1" in after


def test_the_only_page_links_to_the_site_alone(recorded: FlaskClient) -> None:
    answer = recorded.get(f"{ORDERS}?per_page=100")
    assert answer.headers["Link"] == '<https://localhost/wp-json/>; rel="https://api.w.org/"'


@pytest.mark.parametrize(("legacy", "total", "link_page"), [(False, "0", 0), (True, "43", 5)])
def test_a_page_beyond_the_end_is_an_empty_200(legacy: bool, total: str, link_page: int) -> None:
    answer = client_of(Shop(recorded_orders(), legacy=legacy)).get(f"{ORDERS}?page=9")
    assert (answer.status_code, answer.data) == (200, b"[]")
    assert answer.headers["X-WP-Total"] == total
    assert f"?page={link_page}&" in answer.headers["Link"]
    assert answer.headers["Link"].endswith('; rel="prev"')
    assert 'rel="next"' not in answer.headers["Link"]


@pytest.mark.parametrize(
    "query",
    [
        "per_page=0",
        "per_page=-1",
        "per_page=101",
        "per_page=x",
        "page=0",
        "orderby=total",
        "order=up",
        "status=nonsense",
        "status=wc-processing",
        "status=processing,nonsense",
        "customer=x",
        "dates_are_gmt=maybe",
        "modified_after=2026-11-20",
        "modified_after=1795198922",
        "modified_after=",
        "modified_after=garbage",
        "modified_after=2026-13-20T00:00:00",
        "modified_after=2026-11-20T18:27:46+00:00",
    ],
)
def test_bad_parameters_are_a_400(recorded: FlaskClient, query: str) -> None:
    answer = recorded.get(f"{ORDERS}?{query}")
    body = answer.get_json()
    name = query.partition("=")[0]
    assert answer.status_code == 400
    assert body["code"] == "rest_invalid_param"
    assert body["message"] == f"Invalid parameter(s): {name}"
    assert set(body["data"]) == {"status", "params", "details"}


@pytest.mark.parametrize(("name", "query"), [("400_param", "per_page=0"), ("400_status", "status=nonsense")])
def test_bad_parameters_are_answered_as_recorded(recorded: FlaskClient, name: str, query: str) -> None:
    answer = recorded.get(f"{ORDERS}?{query}")
    known = recorded_answers()[name]
    assert (answer.status_code, answer.data) == (known.status, known.body)
    assert answer.headers["Allow"] == dict(known.headers)["Allow"]


def test_statuses_come_as_a_list_or_as_brackets(recorded: FlaskClient) -> None:
    both = ids(recorded, status="processing,completed")
    assert both == ids(recorded, **{"status[]": ["processing", "completed"]})
    assert both == ids(recorded, **{"status[0]": "processing", "status[1]": "completed"})
    assert 190 in both
    assert 180 not in both


def test_any_hides_trash_and_drafts_even_when_asked_together(recorded: FlaskClient) -> None:
    assert 184 not in ids(recorded, status="any")
    assert ids(recorded, status="any,trash") == ids(recorded, status="any")
    assert ids(recorded, status="trash") == [184]
    assert ids(recorded, status="awaiting-pickup") == [194]


def test_unknown_filters_return_everything(recorded: FlaskClient) -> None:
    everything = ids(recorded)
    for name in ("number", "transaction_id", "meta_key", "meta_value", "modified_since"):
        assert ids(recorded, **{name: "48"}) == everything


def test_the_filters_that_work(recorded: FlaskClient) -> None:
    assert ids(recorded, include="48,57,9999", orderby="id", order="asc") == [48, 57]
    assert ids(recorded, include="57,48,60", orderby="include") == [57, 48, 60]
    assert 48 not in ids(recorded, exclude="48")
    assert set(ids(recorded, created_via="store-api")) == {187, 188, 190}
    assert 173 in ids(recorded, customer=2)
    assert 188 in ids(recorded, customer=0)
    assert 173 not in ids(recorded, customer=0)
    assert ids(recorded, search="frönt") == ids(recorded, search="store@example")
    assert 48 in ids(recorded, product=35)


def test_the_id_breaks_ties_in_the_same_direction() -> None:
    client = client_of(Shop([plain(number, CURSOR) for number in (3, 1, 2)]))
    for orderby in ("date", "modified", "id"):
        assert ids(client, orderby=orderby, order="asc") == [1, 2, 3]
        assert ids(client, orderby=orderby, order="desc") == [3, 2, 1]


def test_fields_slim_the_list_and_bring_links_only_with_one_order(recorded: FlaskClient) -> None:
    first = recorded.get(f"{ORDERS}?_fields=id,date_modified_gmt,status,billing.email").get_json()[0]
    assert set(first) == {"id", "date_modified_gmt", "status", "billing"}
    assert set(first["billing"]) == {"email"}
    assert set(recorded.get(f"{ORDERS}/48?_fields=id").get_json()) == {"id", "_links"}


def test_more_decimals_show_the_stored_precision_of_lines_and_a_rounded_header() -> None:
    body = json.loads((PAYLOADS / "orders" / "bulk_15.json").read_text())
    line = body["line_items"][0]
    line.update(quantity=7, price=1.0050000000000001, subtotal="7.04", total="7.04", total_tax="0.35")
    line["taxes"] = [{"id": 9, "total": "0.35", "subtotal": "0.35"}]
    body["tax_lines"][0].update(rate_id=9, rate_percent=5)
    client = client_of(Shop([body]))
    shown = client.get(f"{ORDERS}/60?dp=6").get_json()
    assert shown["line_items"][0]["total"] == "7.035000"
    assert shown["line_items"][0]["taxes"][0]["total"] == "0.351750"
    assert shown["total"] == "93.730000"
    assert client.get(f"{ORDERS}/60").get_json() == body


def test_quantities_are_cut_when_the_plugin_for_fractions_is_off() -> None:
    shop = Shop(recorded_orders())
    client = client_of(shop)
    assert [line["quantity"] for line in client.get(f"{ORDERS}/197").get_json()["line_items"]] == [1.5, 0.333]
    shop.set_fractional_quantities(on=False)
    cut = client.get(f"{ORDERS}/197").get_json()
    assert [line["quantity"] for line in cut["line_items"]] == [1, 0]
    assert cut["line_items"][1]["price"] == 0
    assert cut["total"] == "37.21"


# Section 4: dates


def dated_shop(zone: str, *, legacy: bool = False) -> tuple[FlaskClient, set[int]]:
    """Orders around the cursor, ten hours and more apart; the second value is the right answer."""
    moment = datetime(2026, 11, 20, 18, 27, 46, tzinfo=UTC)
    bodies = [
        plain(number, (moment + timedelta(minutes=20 * (number - 100))).strftime("%Y-%m-%dT%H:%M:%S"))
        for number in range(85, 116)
    ]
    shop = Shop(bodies, timezone=zone, legacy=legacy)
    return client_of(shop), set(range(101, 116))


EVERYTHING = set(range(85, 116))
ZONES = ["America/Los_Angeles", "Europe/Berlin", "Asia/Kolkata", "UTC"]
R, A, N = "right", "everything", "nothing"


@pytest.mark.parametrize(
    ("suffix", "gmt", "expected"),
    [
        ("", "true", [R, R, R, R]),
        ("Z", None, [R, R, R, R]),
        ("Z", "true", [A, N, N, R]),
        ("", None, [N, A, A, R]),
    ],
)
def test_modified_after_by_zone_letter_flag_and_shop_timezone(
    suffix: str, gmt: str | None, expected: list[str]
) -> None:
    params = {"modified_after": CURSOR + suffix, **({"dates_are_gmt": gmt} if gmt else {})}
    for zone, outcome in zip(ZONES, expected, strict=True):
        client, right = dated_shop(zone)
        found = set(ids(client, **params))
        if outcome == R:
            assert found == right, zone
        elif outcome == N:
            assert found < right, zone
        else:
            assert found > right, zone
        if zone == "America/Los_Angeles" and outcome != R:
            assert found == (EVERYTHING if outcome == A else set())


def test_both_ends_are_exclusive_and_the_second_of_the_cursor_is_left_out() -> None:
    bodies = [plain(number, CURSOR) for number in range(1, 8)]
    bodies += [plain(8, "2026-11-20T18:27:47"), plain(9, "2026-11-20T18:27:45")]
    client = client_of(Shop(bodies))
    assert ids(client, modified_after=CURSOR, dates_are_gmt="true") == [8]
    assert len(ids(client, modified_after="2026-11-20T18:27:45", dates_are_gmt="true")) == 8
    assert ids(client, modified_before=CURSOR, dates_are_gmt="true") == [9]
    assert ids(client, after=CURSOR, dates_are_gmt="true") == [8]
    assert ids(client, before=CURSOR, dates_are_gmt="true") == [9]


def test_fractions_are_cut_off_and_a_space_is_accepted() -> None:
    client = client_of(Shop([plain(1, CURSOR), plain(2, "2026-11-20T18:27:47")]))
    assert ids(client, modified_after=CURSOR + ".999", dates_are_gmt="true") == [2]
    assert ids(client, modified_after=CURSOR.replace("T", " "), dates_are_gmt="true") == [2]
    assert ids(client, modified_after=CURSOR + "+00:00") == [2]


def test_a_new_timezone_shows_old_orders_local_times_anew_and_keeps_the_gmt_ones() -> None:
    shop = Shop(recorded_orders())
    shop.set_timezone("Europe/Berlin")
    body = shop.order(48)
    assert (body["date_created"], body["date_created_gmt"]) == ("2026-11-20T19:21:33", "2026-11-20T18:21:33")


def test_in_the_dst_hour_two_moments_show_one_local_time(recorded: FlaskClient) -> None:
    first, second = (recorded.get(f"{ORDERS}/{number}").get_json() for number in (105, 106))
    assert first["date_modified"] == second["date_modified"] == "2026-11-01T01:30:00"
    assert first["date_modified_gmt"] != second["date_modified_gmt"]


def test_posts_storage_reads_the_zone_letter_wrongly_after_a_change_of_timezone() -> None:
    shop = Shop(recorded_orders(), legacy=True)
    client = client_of(shop)
    zoned = {"modified_after": "2026-11-20T18:00:00Z", "status": "processing"}
    right = ids(client, modified_after="2026-11-20T18:00:00", dates_are_gmt="true", status="processing")
    assert ids(client, **zoned) == right
    shop.set_timezone("Asia/Kolkata")
    assert ids(client, **zoned) == []
    assert (
        ids(client, modified_after="2026-11-20T18:00:00", dates_are_gmt="true", status="processing") == right
    )


def test_a_page_of_a_hundred_from_thousands_takes_milliseconds() -> None:
    shop = Shop()
    shop.generate(2000, 2)
    client = client_of(shop)
    query = f"{ORDERS}?per_page=100&orderby=modified&order=asc&status=processing&page="
    client.get(f"{query}1")
    client.get(f"{query}2")
    start = time.thread_time()
    for _ in range(10):
        assert client.get(f"{query}2").status_code == 200
    assert (time.thread_time() - start) / 10 < 0.05
