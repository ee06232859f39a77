"""What each recorded answer comes to: the raw HTTP answers are replayed as they came, by a server that knows nothing else."""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from app.connectors.woocommerce import CONNECTOR
from app.connectors.woocommerce.client import WooCommerce
from app.connectors.woocommerce.examination import examine
from app.domain.reading import Position
from app.errors import Misconfigured, OrderSyncError, Reject, Retry, Unknown
from app.ports.connector import Account
from app.ports.sales_channel import Gone, Seen
from app.sandbox.server import serve
from tests.fakes.limiters import an_hour_between_calls

FOLDER = Path(__file__).parents[1] / "payloads" / "woocommerce"
_CONNECTION = ("transfer-encoding", "connection", "content-length")

Answer = tuple[int, list[tuple[str, str]], bytes]


def recorded(name: str) -> Answer:
    """A recorded answer: status, headers and body."""
    head, _, body = (
        (FOLDER / "errors" / f"{name}.http").read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    )
    status, *headers = head.decode().split("\n")
    pairs = [(line.partition(":")[0], line.partition(":")[2].strip()) for line in headers]
    return int(status.split(" ")[1]), [pair for pair in pairs if pair[0].lower() not in _CONNECTION], body


def json_answer(body: str, status: int = 200, **headers: str) -> Answer:
    """An answer in JSON."""
    extra = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return status, [("Content-Type", "application/json; charset=UTF-8"), *extra], body.encode()


class Script:
    """Answers what the first fitting line says; `lines` are a pattern over `METHOD path?query` and an answer."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Answer]] = []
        self.requests: list[str] = []
        self.seconds_each = 0.0
        self._seconds = 0.0

    def clock(self) -> float:
        """Moves by `seconds_each` with every request."""
        return time.monotonic() + self._seconds

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        self.requests.append(request)
        self._seconds += self.seconds_each
        status, headers, body = next(answer for pattern, answer in self.lines if re.search(pattern, request))
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        return [body]

    def always(self, answer: Answer) -> None:
        """Answer everything so."""
        self.lines = [("", answer)]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def open_shop(script: Script) -> Iterator[Callable[..., WooCommerce]]:
    with serve(script) as server:

        def opened(**settings: str) -> WooCommerce:
            return WooCommerce(
                Account(
                    name="bgm",
                    url=server.url,
                    allow_private=True,
                    credentials={"key": "ck_1", "secret": "cs_1"},
                    settings=CONNECTOR.read_settings(settings),
                    http_timeout=5,
                    limiters=an_hour_between_calls(),
                ),
                clock=script.clock,
            )

        yield opened


@pytest.fixture
def shop(open_shop: Callable[..., WooCommerce]) -> WooCommerce:
    return open_shop()


READS: dict[str, tuple[type[OrderSyncError], str]] = {
    "200_warning_before_json": (Retry, "text before its JSON"),
    "400_json": (Retry, "rest_invalid_json"),
    "400_param": (Retry, "per_page"),
    "400_status": (Misconfigured, "no order status 'packed'"),
    "401_bad_secret": (Misconfigured, "secret is wrong"),
    "401_no_auth": (Misconfigured, "over http only OAuth 1.0a counts"),
    "401_readonly_write": (Misconfigured, "may only read"),
    "401_unknown_key": (Misconfigured, "does not know the API key"),
    "404_order": (Retry, "Invalid ID."),
    "404_route": (Misconfigured, "no WooCommerce REST API v3"),
    "413_batch": (Misconfigured, "100 items"),
    "429_nginx": (Retry, "429 Too Many Requests"),
    "500_db_down": (Retry, "500 Internal Server Error (text/html)"),
    "500_php_fatal": (Retry, "500 Internal Server Error (text/html)"),
    "502_php_down": (Retry, "502 Bad Gateway"),
    "503_maintenance": (Retry, "503 Service Unavailable"),
    "200_batch_partial": (Retry, "not the JSON"),
    "400_put_missing": (Retry, "ID is invalid."),
}
WRITES: dict[str, tuple[type[OrderSyncError], str]] = {
    "200_empty_broken_table": (Unknown, "not the JSON"),
    "200_warning_before_json": (Unknown, "text before its JSON"),
    "400_json": (Unknown, "rest_invalid_json"),
    "400_param": (Unknown, "rest_invalid_param"),
    "400_put_missing": (Unknown, "ID is invalid."),
    "400_status": (Unknown, "rest_invalid_param"),
    "401_bad_secret": (Misconfigured, "secret is wrong"),
    "401_no_auth": (Misconfigured, "over http only OAuth 1.0a counts"),
    "401_readonly_write": (Misconfigured, "Give it Read/Write"),
    "401_unknown_key": (Misconfigured, "does not know the API key"),
    "404_order": (Unknown, "Invalid ID."),
    "404_route": (Misconfigured, "no WooCommerce REST API v3"),
    "413_batch": (Misconfigured, "Unable to accept more than 100 items"),
    "429_nginx": (Retry, "429 Too Many Requests"),
    "500_db_down": (Unknown, "500 Internal Server Error"),
    "500_php_fatal": (Unknown, "500 Internal Server Error"),
    "502_php_down": (Unknown, "502 Bad Gateway"),
    "503_maintenance": (Retry, "503 Service Unavailable"),
}


def test_every_recorded_answer_has_an_expected_meaning() -> None:
    names = {path.stem for path in (FOLDER / "errors").glob("*.http")}
    assert set(READS) | {"200_empty_broken_table"} == names
    assert set(WRITES) | {"200_batch_partial"} == names


@pytest.mark.parametrize("name", READS)
def test_a_failed_read_is_named_by_what_is_done_next(
    script: Script, open_shop: Callable[..., WooCommerce], name: str
) -> None:
    script.always(recorded(name))
    error, words = READS[name]
    with pytest.raises(OrderSyncError) as failure:
        open_shop(statuses="packed,processing").changed(Position(since=None), page_size=10)
    assert type(failure.value) is error
    assert words in failure.value.reason


@pytest.mark.parametrize("name", WRITES)
def test_a_failed_write_is_named_by_what_is_done_next(script: Script, shop: WooCommerce, name: str) -> None:
    script.always(recorded(name))
    error, words = WRITES[name]
    with pytest.raises(OrderSyncError) as failure:
        shop.acknowledge(["47"])
    assert type(failure.value) is error
    assert words in failure.value.reason


def test_the_time_that_a_shop_under_maintenance_asks_for_is_kept(script: Script, shop: WooCommerce) -> None:
    script.always(recorded("503_maintenance"))
    for call in (
        lambda: shop.changed(Position(since=None), page_size=10),
        shop.probe,
        lambda: shop.acknowledge(["47"]),
    ):
        with pytest.raises(Retry) as failure:
            call()
        assert failure.value.after == 600


def test_a_rate_limit_without_a_time_names_none(script: Script, shop: WooCommerce) -> None:
    script.always(recorded("429_nginx"))
    with pytest.raises(Retry) as failure:
        shop.probe()
    assert failure.value.after is None


def test_an_empty_list_is_an_empty_page(script: Script, shop: WooCommerce) -> None:
    script.always(recorded("200_empty_broken_table"))
    page = shop.changed(Position(since=None), page_size=10)
    assert (page.rows, page.more) == ((), False)


def test_a_partly_failed_batch_tells_what_became_of_each_order(script: Script, shop: WooCommerce) -> None:
    script.lines = [
        ("POST .*/orders/batch", recorded("200_batch_partial")),
        ("GET .*/orders/99999999", recorded("404_order")),
        ("GET .*include=", json_answer("[]", X_WP_Total="0")),
        ("GET .*status=any", json_answer('[{"id":47}]', X_WP_Total="152")),
    ]
    outcomes = shop.acknowledge(["47", "99999999", "48"])
    assert isinstance(outcomes["47"], Seen)
    assert outcomes["47"].marked
    assert isinstance(outcomes["99999999"], Reject)
    assert outcomes["99999999"].kind == "gone"
    assert type(outcomes["48"]) is Unknown


def test_a_broken_table_is_not_taken_for_orders_that_are_gone(script: Script, shop: WooCommerce) -> None:
    script.lines = [
        ("GET .*/orders/47", recorded("404_order")),
        ("GET .*/orders?", recorded("200_empty_broken_table")),
        (
            "POST",
            json_answer('{"update":[{"id":47,"error":' + recorded("400_put_missing")[2].decode() + "}]}"),
        ),
    ]
    with pytest.raises(Retry, match="table"):
        shop.read(["47"])
    assert type(shop.acknowledge(["47"])["47"]) is Unknown


def an_order(order_id: int, status: str) -> str:
    """As much of an order as a list must show."""
    return f'{{"id":{order_id},"status":"{status}"}}'


def kinds(script: Script) -> list[str]:
    """The requests by what they ask for: a list, the count, or one order."""
    return [
        re.sub(r".*(orders/\d+|status=\w+).*", r"\1", request)
        if "/orders/" in request or "include=" in request
        else "count"
        for request in script.requests
    ]


def test_many_missing_orders_are_asked_of_the_trash_at_once_and_only_the_rest_by_id(
    script: Script, shop: WooCommerce
) -> None:
    shown = ",".join(an_order(each, "processing") for each in range(1, 41))
    trashed = ",".join(an_order(each, "trash") for each in (*range(41, 91), 999))
    script.lines = [
        ("include=.*status=any", json_answer(f"[{shown}]")),
        ("include=.*status=trash", json_answer(f"[{trashed}]")),
        ("GET .*/orders/91", json_answer(an_order(91, "checkout-draft"))),
        ("GET .*/orders/", recorded("404_order")),
        ("", json_answer('[{"id":1}]', X_WP_Total="152")),
    ]
    found = shop.read([str(each) for each in range(1, 101)])
    assert [row.status if isinstance(row, Seen) else "gone" for row in found.values()] == (
        ["processing"] * 40 + ["trash"] * 50 + ["checkout-draft"] + ["gone"] * 9
    )
    assert kinds(script) == [
        "status=any",
        "status=trash",
        *(f"orders/{each}" for each in range(91, 101)),
        "count",
    ]
    assert re.search(r"include=41(%2C\d+)+&status=trash", script.requests[1])


def test_a_shop_too_slow_to_tell_of_its_missing_orders_closes_none_of_them(
    script: Script, shop: WooCommerce
) -> None:
    script.lines = [
        ("include=.*status=any", json_answer('[{"id":1}]')),
        ("include=.*status=trash", json_answer("[]")),
        ("GET .*/orders/", recorded("404_order")),
    ]
    script.seconds_each = 1.5
    with pytest.raises(Retry, match="too slow to tell of 99 missing orders"):
        shop.read([str(each) for each in range(1, 101)])
    assert len(script.requests) == 6


def test_a_shop_that_shows_none_of_the_orders_is_first_seen_to_have_any(
    script: Script, shop: WooCommerce
) -> None:
    script.lines = [
        ("include=", json_answer("[]")),
        ("GET .*/orders/", recorded("404_order")),
        ("", json_answer("[]", X_WP_Total="0")),
    ]
    with pytest.raises(Retry, match="no orders at all"):
        shop.read([str(each) for each in range(1, 101)])
    assert kinds(script) == ["status=any", "count"]


def test_a_table_that_breaks_while_missing_orders_are_asked_for_closes_none_of_them(
    script: Script, shop: WooCommerce
) -> None:
    script.lines = [
        ("include=.*status=any", json_answer('[{"id":1}]')),
        ("include=.*status=trash", json_answer("[]")),
        ("GET .*/orders/", recorded("404_order")),
        ("", json_answer("[]", X_WP_Total="0")),
    ]
    with pytest.raises(Retry, match="no orders at all"):
        shop.read(["1", "2"])


def test_an_order_called_invalid_that_is_there_after_all_is_marked_again_later(
    script: Script, shop: WooCommerce
) -> None:
    script.lines = [
        ("GET .*include=", json_answer('[{"id":47}]')),
        (
            "POST",
            json_answer('{"update":[{"id":47,"error":{"code":"woocommerce_rest_shop_order_invalid_id"}}]}'),
        ),
    ]
    assert type(shop.acknowledge(["47"])["47"]) is Unknown


@pytest.mark.parametrize(
    ("item", "error", "kind"),
    [
        ('{"id":47,"meta_data":[]}', Reject, "settings"),
        ('{"id":47,"meta_data":[{"key":"sumatra_wc_integrator_exported","value":""}]}', Reject, "settings"),
        (
            '{"id":47,"error":{"code":"order_locked","message":"No.","data":{"status":403}}}',
            Reject,
            "platform",
        ),
        ('{"id":47,"error":{"code":"db_error","message":"No.","data":{"status":500}}}', Unknown, ""),
        ('{"id":null,"error":{"code":"x","message":"No.","data":{"status":400}}}', Unknown, ""),
    ],
)
def test_an_item_that_was_not_marked_is_no_success(
    script: Script, shop: WooCommerce, item: str, error: type[OrderSyncError], kind: str
) -> None:
    script.always(json_answer('{"update":[' + item + "]}"))
    outcome = shop.acknowledge(["47"])["47"]
    assert type(outcome) is error
    assert getattr(outcome, "kind", "") == kind


def test_a_status_that_the_shop_set_otherwise_is_named(
    script: Script, open_shop: Callable[..., WooCommerce]
) -> None:
    item = '{"id":47,"status":"pending","meta_data":[{"key":"sumatra_wc_integrator_exported","value":"1"}]}'
    script.lines = [("GET", json_answer("[]")), ("POST", json_answer('{"update":[' + item + "]}"))]
    outcome = open_shop(ack_status="exported").acknowledge(["47"])["47"]
    assert isinstance(outcome, Reject)
    assert (outcome.kind, "pending instead of the ack_status exported" in outcome.reason) == (
        "settings",
        True,
    )


def test_an_ack_status_that_is_not_registered_is_found_before_anything_is_written(
    script: Script, open_shop: Callable[..., WooCommerce]
) -> None:
    script.always(recorded("400_status"))
    with pytest.raises(Misconfigured, match="no order status 'packed'"):
        open_shop(ack_status="packed").acknowledge(["47"])
    assert not [request for request in script.requests if request.startswith("POST")]


@pytest.mark.parametrize(
    "answer",
    [
        json_answer('[{"number":"1"}]'),
        json_answer('[{"id":"47"}]'),
        json_answer('[{"id":true}]'),
        json_answer("[7]"),
        json_answer('{"id":47}'),
        json_answer('[{"id":47},'),
        json_answer('[{"id":47}]<br />'),
        json_answer('[{"id":NaN}]'),
        json_answer(""),
        (200, [("Content-Type", "text/html")], b"[]"),
        (200, [], b"[]"),
        (204, [], b""),
    ],
)
def test_a_list_that_is_not_wholly_a_list_of_orders_is_read_again(
    script: Script, shop: WooCommerce, answer: Answer
) -> None:
    script.always(answer)
    with pytest.raises(Retry):
        shop.changed(Position(since=None), page_size=10)
    with pytest.raises(Retry):
        shop.read(["47"])


def test_another_order_than_the_one_asked_for_is_no_answer(script: Script, shop: WooCommerce) -> None:
    script.lines = [("include=", json_answer("[]")), ("", json_answer('{"id":48}'))]
    with pytest.raises(Retry):
        shop.read(["47"])


def test_a_probe_without_a_count_proves_nothing(script: Script, shop: WooCommerce) -> None:
    script.always(json_answer('[{"id":47}]'))
    with pytest.raises(Retry, match="X-WP-Total"):
        shop.probe()


def test_a_user_who_may_not_see_orders_is_named(script: Script, shop: WooCommerce) -> None:
    script.always(json_answer('{"code":"woocommerce_rest_cannot_view","message":"Sorry."}', status=403))
    with pytest.raises(Misconfigured, match="shop manager"):
        shop.probe()


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("Invalid nonce - nonce has already been used.", Retry),
        ("Invalid timestamp.", Misconfigured),
        ("Invalid signature - provided signature does not match.", Misconfigured),
    ],
)
def test_what_the_shop_says_of_a_signature_is_told_apart(
    script: Script, shop: WooCommerce, message: str, error: type[OrderSyncError]
) -> None:
    body = f'{{"code":"woocommerce_rest_authentication_error","message":"{message}","data":{{"status":401}}}}'
    script.always(json_answer(body, status=401))
    with pytest.raises(error):
        shop.probe()


def test_an_id_that_is_no_number_is_gone_without_being_asked_for(script: Script, shop: WooCommerce) -> None:
    assert isinstance(shop.read(["../customers"])["../customers"], Gone)
    assert script.requests == []


def test_no_reason_shows_what_an_answer_held(script: Script, shop: WooCommerce) -> None:
    script.always((500, [("Content-Type", "text/html")], b"<b>Doe, 123 Main St</b>"))
    with pytest.raises(Retry) as failure:
        shop.probe()
    assert "Doe" not in failure.value.reason


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (json_answer("[]"), None),
        (json_answer("<b>Warning</b>[]"), Retry),
        ((502, [("Content-Type", "text/html")], b""), Retry),
        ((429, [("Content-Type", "text/html")], b""), Retry),
        (
            json_answer('{"code":"woocommerce_rest_cannot_batch","message":"Sorry."}', status=403),
            Misconfigured,
        ),
    ],
)
def test_what_a_batch_of_nothing_is_answered_with_tells_whether_we_may_write(
    script: Script, shop: WooCommerce, answer: Answer, error: type[OrderSyncError] | None
) -> None:
    script.lines = [("POST", answer), ("", json_answer("[]", X_WP_Total="7"))]
    if error is None:
        assert shop.examine().found == "Reading and writing work; the shop has 7 orders."
    else:
        with pytest.raises(error):
            shop.examine()
    assert [request.partition("?")[0] for request in script.requests] == [
        "GET /wp-json/wc/v3/orders", "GET /wp-json/wc/v3/orders", "POST /wp-json/wc/v3/orders/batch",
    ]  # fmt: skip


@pytest.mark.parametrize(("is_near", "reasons"), [(True, 0), (False, 1)])
def test_an_address_without_encryption_is_a_trouble_unless_the_shop_is_on_this_machine(
    script: Script, shop: WooCommerce, is_near: bool, reasons: int
) -> None:
    script.always(json_answer("[]", X_WP_Total="0"))
    examined = examine(shop._calls, settings=shop._settings, is_near=is_near)
    assert [(each.mend, each.stops) for each in examined.troubles] == [(("url",), False)] * reasons
