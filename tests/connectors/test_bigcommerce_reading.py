"""Reading a BigCommerce store: lists and their filters, single orders in few calls, what comes in calls of its own, counting."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.connectors.bigcommerce import reading
from app.connectors.bigcommerce.bodies import orders
from app.connectors.bigcommerce.calls import store_url
from app.connectors.bigcommerce.parts import lacking
from app.connectors.bigcommerce.settings import Settings
from app.connectors.bigcommerce.sighting import Sighter
from app.domain.order import LineType
from app.domain.reading import Position
from app.errors import Misconfigured, OrderSyncError, Reject, Retry
from app.ports.sales_channel import Gone, Seen
from app.sandbox.bigcommerce import Token
from app.transport import Answer
from tests.connectors.bigcommerce_orders import body, line
from tests.connectors.bigcommerce_script import MISSING, Answered, Script, answered
from tests.connectors.bigcommerce_store import START, Shop, one
from tests.contracts.sales_channel import bodies, ids


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.close()


def added(shop: Shop, count: int = 1, **changes: object) -> list[str]:
    return [str(each) for each in shop.store.generate(count, overrides=changes)]


@pytest.mark.parametrize(
    "url",
    [
        "https://api.bigcommerce.com/stores/abc123",
        "https://api.bigcommerce.com/stores/abc123/",
        "https://api.bigcommerce.com/stores/abc123/v2",
        "https://api.bigcommerce.com/stores/abc123/v3/",
    ],
)
def test_the_address_of_a_store_may_end_with_a_version(url: str) -> None:
    assert store_url(url) == "https://api.bigcommerce.com/stores/abc123"


@pytest.mark.parametrize("url", ["https://api.bigcommerce.com", "https://myshop.example.com/stores/", "x"])
def test_an_address_without_a_store_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured) as error:
        store_url(url)
    assert error.value.mend == ("url",)


def test_a_date_is_sent_with_its_offset_and_encoded_once(shop: Shop) -> None:
    shop.open().changed(Position(since=START), page_size=10)
    assert "min_date_modified=2026-11-21T14%3A44%3A00%2B00%3A00" in shop.store.requests[-1].query


def test_a_store_that_ignores_the_date_filter_is_not_read_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(shop, 3)
    shop.advance(3600)
    # The sandbox ignores a malformed date without a word, as the platform was seen to.
    monkeypatch.setattr(reading, "date_parameter", lambda _moment: "yesterday")
    with pytest.raises(Retry) as error:
        shop.open().changed(Position(since=shop.now), page_size=10)
    assert "min_date_modified" in error.value.reason


def test_a_list_that_does_not_ascend_is_not_read_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = added(shop, 2)
    shop.advance(60)
    shop.store.update(int(first), {"customer_message": "later"})
    monkeypatch.setattr(reading.ByTime, "FIRST", "id")
    with pytest.raises(Retry) as error:
        shop.open().changed(Position(since=None), page_size=10)
    assert "sort" in error.value.reason


def test_rows_of_other_statuses_and_archived_ones_are_dropped_and_paging_goes_on(shop: Shop) -> None:
    wanted = []
    for number in range(12):
        (order_id,) = added(shop, status_id=(11, 7, 10, 5)[number % 4])
        if number % 4 < 2:
            wanted.append(order_id)
        shop.advance(number % 2)
    shop.store.archive(int(wanted[0]))
    channel = shop.open(statuses="11,7")
    for page_size in (1, 2, 5, 100):
        assert ids(bodies(channel, since=None, page_size=page_size)) == wanted[1:]


@pytest.mark.parametrize("watched", ["false", "true"])
def test_an_edit_after_the_mark_is_read_where_marked_orders_are_watched(shop: Shop, watched: str) -> None:
    ours, others = added(shop, 2)
    shop.store.update(int(others), {"status_id": 9})
    channel = shop.open(watch_acknowledged=watched)
    channel.acknowledge([ours])
    shop.advance(60)
    shop.store.update(int(ours), {"customer_message": "Another colour, please"})
    rows = channel.changed(Position(since=shop.now), page_size=10).rows
    assert [row.platform_order_id for row in rows] == ([ours] if watched == "true" else [])


def test_a_date_that_cannot_be_read_does_not_hide_the_order() -> None:
    answer = Answer(
        status=200,
        headers={"Content-Type": "application/json"},
        body=f"[{body(date_modified='soon')}]".encode(),
    )
    ((order_id, _, given),) = orders(answer)
    assert (order_id, given["date_modified"]) == ("118", "soon")


def test_neighbours_are_read_in_one_call_and_orders_far_away_by_their_id(shop: Shop) -> None:
    first = added(shop, 30)
    far = str(shop.store.add_order({"id": 5000}))
    channel = shop.open()
    shop.calls()
    found = channel.read([*first, far])
    assert all(isinstance(each, Seen) for each in found.values())
    assert shop.calls() == {"GET /v2/orders": 2}


def test_an_order_that_a_range_does_not_show_is_asked_for_by_its_id() -> None:
    shop = Shop({"archived_in_lists": False})
    try:
        first, archived, removed, last = added(shop, 4)
        shop.store.archive(int(archived))
        shop.store.remove(int(removed))
        channel = shop.open()
        shop.calls()
        found = channel.read([first, archived, removed, last])
        assert isinstance(found[archived], Seen)
        assert isinstance(found[removed], Gone)
        assert shop.calls() == {"GET /v2/orders": 1, "GET /v2/orders/{id}": 2}
    finally:
        shop.close()


def test_an_order_is_the_same_byte_for_byte_however_it_is_read(shop: Shop) -> None:
    several = added(shop, 5)
    channel = shop.open()
    by_list = {row.platform_order_id: row for row in channel.changed(Position(since=None), page_size=10).rows}
    by_range = channel.read(several)
    assert {each: one(channel, each) for each in several} == by_range == by_list


@pytest.mark.parametrize("fault", ["html", "204", "wrong_shape", "empty"])
@pytest.mark.parametrize("path", ["/orders$", r"/orders(/\d+)?$"])
def test_an_odd_answer_about_an_order_never_makes_it_gone(shop: Shop, fault: str, path: str) -> None:
    (order_id,) = added(shop)
    shop.store.add_fault(fault, path=path, times=2)
    with pytest.raises(Retry):
        shop.open().read([order_id])


def strict(method: str, path: str) -> Answered:
    """A store with one order that takes nothing but what the platform's own description of its parameters names."""
    given = json.loads(body(date_modified="Sat, 21 Nov 2026 14:44:01 +0000"))
    asked = urlsplit(path)
    query = {key: values[0] for key, values in parse_qs(asked.query).items()}
    if query.get("sort", "id") not in {"id", "date_modified", "date_created"}:
        return answered([{"status": 400, "message": "The field 'sort' is invalid."}], status=400)
    if asked.path == "/v2/orders":
        within = int(query.get("min_id", 0)) <= 118 <= int(query.get("max_id", 10**9))
        return answered([given]) if within else answered(None, status=204)
    if "consignments" in query.get("include", "") and "fees" in query["include"]:
        return answered([{"status": 400, "message": "The field 'include' is invalid."}], status=400)
    return answered(MISSING, status=404)


def test_a_store_that_knows_no_direction_of_sorting_is_read_without_and_asked_once() -> None:
    with Script(strict) as script:
        channel = script.open()
        for _ in range(2):
            (row,) = channel.changed(Position(since=START), page_size=10).rows
            assert row.platform_order_id == "118"
        sorts = [parse_qs(urlsplit(each).query)["sort"][0] for each in script.seen]
    assert sorts == ["date_modified:asc", "date_modified", "date_modified"]


def test_orders_and_the_census_are_read_with_documented_parameters_only() -> None:
    with Script(strict) as script:
        channel = script.open()
        found = channel.read(["118", "119", "500"])
        assert isinstance(found["118"], Seen)
        assert isinstance(found["119"], Gone)
        assert isinstance(found["500"], Gone)
        assert [
            row.platform_order_id for page in channel.census(since=None, until=START) for row in page
        ] == ["118"]


def test_a_store_that_knows_no_direction_of_sorting_is_surveyed_from_its_last_page_back() -> None:
    several = [json.loads(body(id=each)) for each in range(1, 8)]

    def paged(method: str, path: str) -> Answered:
        query = {key: values[0] for key, values in parse_qs(urlsplit(path).query).items()}
        if path.startswith("/v2/orders/count"):
            return answered({"count": 7})
        if path.startswith("/v2/orders?") and query.get("sort") == "id" and "page" in query:
            size, page = int(query["limit"]), int(query["page"])
            return answered(several[(page - 1) * size : page * size])
        return strict(method, path)

    with Script(paged) as script:
        found = script.open().survey(orders=5)
        pages = [each for each in script.seen if "page=" in each]
    assert "5" in next(each.found for each in found.findings if each.what == "eligible")
    assert len(pages) == 2


def test_an_eligible_order_that_no_list_shows_is_waited_for() -> None:
    given = json.loads(body())
    with (
        Script(lambda _, path: answered([]) if path.startswith("/v2/orders?") else answered(given)) as script,
        pytest.raises(Retry) as error,
    ):
        script.open().read(["118"])
    assert "118" in error.value.reason


@pytest.mark.parametrize("wanted", [["118"], ["118", "120"]])
def test_a_store_that_ignores_the_range_of_ids_is_asked_for_each_order(wanted: list[str]) -> None:
    rows = {each: json.loads(body(id=each)) for each in (100, 118, 120)}

    def every(_: str, path: str) -> Answered:
        name = urlsplit(path).path.removeprefix("/v2/orders").strip("/")
        return answered(rows[int(name)] if name else list(rows.values()))

    with Script(every) as script:
        found = script.open().read(wanted)
    assert [each.platform_order_id for each in found.values() if isinstance(each, Seen)] == wanted


def test_a_store_that_shows_fewer_orders_than_it_is_asked_for_is_counted_to_the_end() -> None:
    def few(_: str, path: str) -> Answered:
        query = parse_qs(urlsplit(path).query)
        first, status = int(query["min_id"][0]), query["status_id"][0]
        ids = range(first, min(first + 50, 121)) if status == "11" else ()
        return answered([json.loads(body(id=each)) for each in ids])

    with Script(few) as script:
        rows = [row for page in script.open().census(since=None, until=START) for row in page]
    assert len(rows) == 120


def test_only_edits_change_the_hash(shop: Shop) -> None:
    (order_id,) = added(shop)
    channel = shop.open()
    before = one(channel, order_id).content_hash

    def after(**changes: Any) -> str:
        shop.advance(60)
        shop.store.update(int(order_id), changes)
        return one(channel, order_id).content_hash

    assert after(payment_status="authorized") == before
    assert after(status_id=9, staff_notes="Exported to middleware [x]") == before
    assert after(custom_status="Being packed") == before
    assert after(items_shipped=1, date_shipped="Tue, 17 Mar 2026 12:00:00 +0000") == before
    edited = after(customer_message="Leave at the door")
    assert edited != before
    assert after(customer_message="", payment_status="refunded") not in {before, edited}


def test_the_order_of_lists_links_and_shipped_pieces_do_not_change_the_hash() -> None:
    sighter = Sighter(settings=Settings(), read=frozenset({11}), acknowledged=9)
    rows = [line(1, product_options=[{"id": 1}, {"id": 2}]), line(2)]
    told = json.loads(body(rows))
    again = json.loads(
        body([{**rows[1], "quantity_shipped": 1}, {**rows[0], "product_options": [{"id": 2}, {"id": 1}]}])
    )
    again["coupons"]["url"] = "https://another.example.com"
    again["consignments"]["shipping"][0]["shipping_quotes"] = {"url": "x", "resource": "y"}
    assert sighter.content_hash(told) == sighter.content_hash(again)
    other = json.loads(body([rows[0], {**rows[1], "quantity": 2}]))
    assert sighter.content_hash(told) != sighter.content_hash(other)


# What comes in calls of its own


def test_lines_beyond_the_fiftieth_are_followed_page_by_page(shop: Shop) -> None:
    rows = [{"sku": f"SKU-{number}", "quantity": 1, "price": "1.00"} for number in range(260)]
    order_id = str(shop.store.add_order({"products": rows}))
    channel = shop.open()
    (whole,) = channel.complete([one(channel, order_id).body])
    assert isinstance(whole, str)
    assert len(channel.normalize(whole, prefix="BGM").of_type(LineType.PRODUCT)) == 260
    shop.calls()
    assert channel.complete([whole]) == [whole]
    assert shop.calls() == {}


def test_fewer_pieces_than_the_order_has_are_made_up_for_also_without_a_warning(shop: Shop) -> None:
    order_id = str(shop.store.add_order({"products": [{"sku": "TS-1"}, {"sku": "HOSE-3", "quantity": 2}]}))
    channel = shop.open()
    given = json.loads(one(channel, order_id).body)
    given["consignments"]["shipping"][0]["line_items"].pop()
    (whole,) = channel.complete([json.dumps(given)])
    assert isinstance(whole, str)
    assert [each["sku"] for each in json.loads(whole)["_parts"]["products"]] == ["TS-1", "HOSE-3"]


def test_an_order_that_is_not_whole_is_rejected_rather_than_shortened(shop: Shop) -> None:
    rows = [{"sku": f"SKU-{number}", "quantity": 1, "price": "1.00"} for number in range(60)]
    order_id = str(shop.store.add_order({"products": rows}))
    channel = shop.open()
    with pytest.raises(Reject) as error:
        channel.normalize(one(channel, order_id).body, prefix="BGM")
    assert error.value.kind == "balance"


def test_coupons_are_asked_for_only_where_one_took_something_off(shop: Shop) -> None:
    plain = str(shop.store.add_order({}))
    with_coupon = str(
        shop.store.add_order({"coupons": [{"code": "SAVE5", "discount": "5.00", "type": 2, "amount": 5}]})
    )
    channel = shop.open()
    given = [one(channel, plain).body, one(channel, with_coupon).body]
    shop.calls()
    done = channel.complete(given)
    assert done[0] == given[0]
    assert shop.calls() == {"GET /v2/orders/{id}/coupons": 1}
    assert isinstance(done[1], str)
    assert done[1].startswith(given[1].rstrip()[:-1])
    (coupon,) = channel.normalize(done[1], prefix="BGM").of_type(LineType.COUPON)
    assert (coupon.name, str(coupon.nominal), coupon.detail) == ("SAVE5", "5.00", "per total")


@pytest.mark.parametrize(
    ("setting", "method", "asked"),
    [
        ("when_needed", "Credit Card", True),
        ("when_needed", "Stripe", False),
        ("when_needed", "Cash on Delivery", False),
        ("always", "Stripe", True),
        ("never", "Credit Card", False),
    ],
)
def test_transactions_are_asked_for_as_the_setting_says(
    shop: Shop, setting: str, method: str, asked: bool
) -> None:
    order_id = str(shop.store.add_order({"payment_method": method}))
    channel = shop.open(transactions=setting)
    given = one(channel, order_id).body
    shop.calls()
    (done,) = channel.complete([given])
    assert shop.calls() == ({"GET /v3/orders/{id}/transactions": 1} if asked else {})
    assert isinstance(done, str)
    assert ("_parts" in json.loads(done)) is asked


def test_no_transactions_at_all_are_an_empty_list(shop: Shop) -> None:
    order_id = str(shop.store.add_order({"payment_method": "Credit Card", "transactions": []}))
    channel = shop.open()
    (done,) = channel.complete([one(channel, order_id).body])
    assert isinstance(done, str)
    assert json.loads(done)["_parts"] == {"transactions": []}
    assert channel.normalize(done, prefix="BGM").payment.transaction_id == ""


def test_one_order_whose_parts_fail_does_not_hold_up_the_others(shop: Shop) -> None:
    several = [str(shop.store.add_order({"payment_method": "Credit Card"})) for _ in range(3)]
    channel = shop.open()
    given = [one(channel, each).body for each in several]
    shop.store.add_fault("500", path=f"/{several[1]}/transactions$")
    first, second, third = channel.complete(given)
    assert isinstance(first, str)
    assert isinstance(second, Retry)
    assert isinstance(third, str)


def test_parts_that_the_token_may_not_read_stop_the_site_and_say_what_to_do(shop: Shop) -> None:
    limited = Token("orders-only", frozenset({"store_v2_orders"}))
    shop.close()
    shop.__init__({"tokens": [limited]})  # type: ignore[misc] # A store that knows another token.
    order_id = str(shop.store.add_order({"payment_method": "Credit Card"}))
    channel = shop.open(token="orders-only")
    with pytest.raises(Misconfigured) as error:
        channel.complete([one(channel, order_id).body])
    assert "transactions" in error.value.reason
    examined = channel.examine()
    assert [each.mend for each in examined.troubles] == [("credential token", "set transactions")]


def test_a_store_that_shows_no_consignments_is_asked_for_lines_and_addresses(shop: Shop) -> None:
    order_id = str(shop.store.add_order({}))
    channel = shop.open()
    given = json.loads(one(channel, order_id).body)
    link = {"url": "https://elsewhere.example.com/x", "resource": "/x"}
    (done,) = channel.complete([json.dumps({**given, "consignments": link, "fees": link})])
    assert isinstance(done, str)
    assert set(json.loads(done)["_parts"]) == {"products", "shipping_addresses", "fees"}
    order = channel.normalize(done, prefix="BGM")
    assert replace_times(order) == replace_times(channel.normalize(json.dumps(given), prefix="BGM"))


def replace_times(order: Any) -> Any:
    return [(each.sku, each.amount, each.type) for each in order.lines], order.ship, order.total


def test_bodies_that_are_no_orders_come_back_as_they_are(shop: Shop) -> None:
    given = ["", "{", "[]", "{}", body([line()])]
    assert shop.open().complete(given) == given
    assert shop.calls() == {}


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"consignments": {"shipping": [{"url": "u", "resource": "r"}]}}, {"products", "shipping_addresses"}),
        ({"shipping_address_count": 2}, {"shipping_addresses"}),
        ({"consignments": {"shipping": []}, "items_total": 0}, {"products", "shipping_addresses"}),
        ({"consignments": None, "items_total": None}, {"products", "shipping_addresses"}),
        ({"consignments": {"pickups": [{"id": 1, "line_items": [line()]}]}}, set()),
        ({"store_credit_amount": "16.5", "payment_method": "Credit Card"}, {"transactions"}),
        ({"total_inc_tax": "0.00", "payment_method": "Credit Card"}, set()),
    ],
)
def test_what_a_body_does_not_show_is_asked_for(changes: dict[str, Any], asked: set[str]) -> None:
    assert set(lacking(json.loads(body(**changes)), settings=Settings())) == asked


# Labels, counting, measuring


def test_labels_are_looked_up_once_and_an_ambiguous_one_stops_the_site(shop: Shop) -> None:
    shop.store.labels.set(11, "Ready to pack")
    added(shop, 2)
    channel = shop.open(statuses="Ready to pack", ack_status="Awaiting Shipment")
    assert len(channel.changed(Position(since=None), page_size=10).rows) == 2
    channel.changed(Position(since=None), page_size=10)
    assert shop.calls()["GET /v2/order_statuses"] == 1
    shop.store.labels.set(12, "Ready to pack")
    with pytest.raises(Misconfigured) as error:
        shop.open(statuses="Ready to pack").changed(Position(since=None), page_size=10)
    assert "more than one" in error.value.reason


def test_the_census_takes_a_call_for_each_page_and_one_to_see_its_end_and_shows_every_order_once(
    shop: Shop,
) -> None:
    several = added(shop, 300)
    channel = shop.open()
    channel.acknowledge(several[:40])
    shop.calls()
    rows = [row for page in channel.census(since=None, until=shop.now) for row in page]
    assert sorted(row.platform_order_id for row in rows if row.eligible) == sorted(several)
    assert shop.calls() == {"GET /v2/orders": 5}


def test_an_order_that_is_acknowledged_while_it_is_counted_is_counted_once(shop: Shop) -> None:
    several = added(shop, 3)
    channel = shop.open()
    pages = channel.census(since=None, until=shop.now)
    rows = list(next(pages))
    shop.open().acknowledge(several)
    rows += [row for page in pages for row in page]
    assert [row.platform_order_id for row in rows] == several


def test_the_census_tells_a_total_with_store_credit_taken_off_wherever_the_platform_stands(
    shop: Shop,
) -> None:
    order_id = str(shop.store.add_order({"store_credit_amount": "5.00"}))
    channel = shop.open()
    ((row,),) = channel.census(since=None, until=shop.now)
    assert row.total == channel.normalize(one(channel, order_id).body, prefix="BGM").total


@pytest.mark.parametrize(("inside", "value"), [(False, "outside"), (True, "inside")])
def test_a_survey_tells_how_tender_and_total_belong_together(inside: bool, value: str) -> None:
    shop = Shop({"tender_in_total": inside})
    try:
        shop.store.add_demo_orders()
        # Two orders show it, and two do not decide it for all that are to come.
        assert "tender" not in shop.open().survey(orders=50).settings
        for _ in range(3):
            shop.store.add_order({"products": [{"sku": "WID-001"}], "store_credit_amount": "2.00"})
        found = shop.open().survey(orders=50)
        assert found.settings["tender"].value == value
        assert not [each for each in found.findings if each.trouble]
        assert {"timezone", "quota", "empty list", "date filter", "ties", "totals", "addresses"} <= {
            each.what for each in found.findings
        }
        assert all(request.method == "GET" for request in shop.store.requests)
    finally:
        shop.close()


def test_a_survey_finds_totals_that_do_not_add_up(shop: Shop) -> None:
    shop.store.add_order({"total_inc_tax": "999.0000"})
    troubles = [each.what for each in shop.open().survey(orders=10).findings if each.trouble]
    assert troubles == ["totals"]


def test_an_examination_names_a_status_that_the_store_does_not_have(shop: Shop) -> None:
    with pytest.raises(Misconfigured) as error:
        shop.open(statuses="Awaiting Processing").examine()
    assert error.value.mend == ("set statuses",)


def test_an_examination_finds_out_that_the_token_may_only_read(shop: Shop) -> None:
    from app.sandbox.bigcommerce import READ_ONLY_TOKEN  # noqa: PLC0415

    with pytest.raises(Misconfigured) as error:
        shop.open(token=READ_ONLY_TOKEN).examine()
    assert "may not do this" in error.value.reason


def test_all_requests_of_one_call_share_its_time(shop: Shop) -> None:
    far = [str(shop.store.add_order({"id": 1000 * number})) for number in range(1, 31)]
    ticks = iter(range(10_000))
    channel = shop.open(clock=lambda: next(ticks) / 10, parallel="1")
    with pytest.raises(OrderSyncError) as error:
        channel.read(far)
    assert isinstance(error.value, Retry)
    assert next(ticks) / 10 < 10


def test_times_are_utc_and_whole_seconds() -> None:
    assert reading.date_parameter(datetime(2026, 3, 17, 12, 0, 0, 999, tzinfo=UTC) + timedelta(hours=1)) == (
        "2026-03-17T13:00:00+00:00"
    )


@pytest.mark.parametrize("status", [400, 404, 422])
def test_an_examination_is_content_with_any_refusal_of_its_update_but_a_missing_permission(
    status: int,
) -> None:
    def bare(method: str, path: str) -> Answered:
        if method == "PUT":
            return answered(None, status=status)
        if path == "/v2/orders/count":
            return answered({"count": 3})
        labels = [{"id": each, "name": f"Status {each}"} for each in range(15)]
        return answered(labels if path == "/v2/order_statuses" else [])

    with Script(bare) as script:
        assert "3 orders" in script.open().examine().found
