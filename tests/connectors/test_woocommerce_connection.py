"""Settings, credentials, signatures and dates: how the shop is asked."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import pytest

from app.connectors.woocommerce import CONNECTOR
from app.connectors.woocommerce.client import WooCommerce
from app.connectors.woocommerce.settings import Settings
from app.domain.reading import Position
from app.errors import Misconfigured, Retry, UsageError
from app.ports.connector import Account
from app.sandbox.server import RunningServer, serve
from app.sandbox.shop import ApiKey, Shop, create_app

START = datetime(2026, 3, 17, 12, 0, 0, tzinfo=UTC)
SECRET = "cs_ with / odd & signs"


def account(url: str, *, key: str = "ck_1", secret: str = SECRET, **settings: str) -> Account:
    """An account of a shop at `url`."""
    return Account(
        name="bgm",
        url=url,
        allow_private=True,
        credentials={"key": key, "secret": secret},
        settings=CONNECTOR.read_settings(settings),
        http_timeout=5,
    )


# Settings


def test_what_is_not_set_has_its_default() -> None:
    assert CONNECTOR.read_settings({}) == {
        "statuses": ["processing"],
        "mark_key": "sumatra_wc_integrator_exported",
        "ack_status": "",
        "gift_card_by_difference": False,
        "pay_later_methods": ["cod"],
        "store_credit_fee_names": ["Store credit"],
        "fractional_quantities": False,
        "decimals": 2,
        "calls_at_once": 4,
        "calls_per_minute": 0,
    }
    assert Settings.stored(CONNECTOR.read_settings({})) == Settings()


def test_what_is_typed_comes_out_typed() -> None:
    typed = CONNECTOR.read_settings(
        {
            "statuses": " wc-processing, On-Hold ,processing",
            "ack_status": "wc-completed",
            "pay_later_methods": "",
            "store_credit_fee_names": "Guthaben, Store credit",
            "fractional_quantities": "true",
            "decimals": "3",
        }
    )
    assert typed["statuses"] == ["processing", "on-hold"]
    assert (typed["ack_status"], typed["pay_later_methods"]) == ("completed", [])
    assert typed["store_credit_fee_names"] == ["Guthaben", "Store credit"]
    assert (typed["fractional_quantities"], typed["decimals"]) == (True, 3)


def test_only_one_prefix_is_taken_off_a_status() -> None:
    assert CONNECTOR.read_settings({"statuses": "wc-wc-pickup"})["statuses"] == ["wc-pickup"]


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"status": "processing"}, "statuses, mark_key, ack_status"),
        ({"statuses": ""}, "At least one status"),
        ({"statuses": "wc-"}, "no order status"),
        ({"statuses": "any"}, "any is not a status"),
        ({"statuses": "trash"}, "trash is not a status"),
        ({"statuses": "in progress"}, "no order status"),
        ({"ack_status": "checkout-draft"}, "checkout-draft"),
        ({"mark_key": "_billing_email"}, "not beginning with _"),
        ({"mark_key": ""}, "mark_key"),
        ({"gift_card_by_difference": "maybe"}, "gift_card_by_difference"),
        ({"decimals": "9"}, "decimals"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(given: dict[str, str], word: str) -> None:
    with pytest.raises(UsageError) as refused:
        CONNECTOR.read_settings(given)
    assert word in refused.value.reason


@pytest.mark.parametrize("missing", ["key", "secret"])
def test_a_missing_credential_is_named(missing: str) -> None:
    given = account("https://shop.example")
    lacking = {name: value for name, value in given.credentials.items() if name != missing}
    with pytest.raises(Misconfigured, match=missing):
        WooCommerce(
            Account(**{name: getattr(given, name) for name in given.__slots__} | {"credentials": lacking})
        )


# Authentication


def test_over_tls_the_key_goes_as_basic_auth_and_nothing_is_signed() -> None:
    session = WooCommerce(account("https://shop.example/sub/"))._calls._http._session
    scheme, _, token = str(session.headers["Authorization"]).partition(" ")
    assert (scheme, base64.b64decode(token).decode()) == ("Basic", f"ck_1:{SECRET}")
    assert session.auth is None


@pytest.mark.parametrize(
    "typed",
    ["https://shop.example/sub", "https://shop.example/sub/", "https://shop.example/sub/wp-json/wc/v3/"],
)
def test_the_address_may_be_typed_with_or_without_its_end(typed: str) -> None:
    assert WooCommerce(account(typed))._calls._http.base_url == "https://shop.example/sub/wp-json/wc/v3"


class Recorder:
    """Answers every request with an empty list and keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str, str]] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        url = f"http://{environ['HTTP_HOST']}{environ['PATH_INFO']}"
        self.sent.append(
            (environ["REQUEST_METHOD"], url, environ["QUERY_STRING"], environ.get("HTTP_AUTHORIZATION", ""))
        )
        start_response("200 OK", [("Content-Type", "application/json"), ("X-WP-Total", "0")])
        return [b'{"update":[]}' if environ["REQUEST_METHOD"] == "POST" else b"[]"]


def test_over_http_every_request_is_signed_as_rfc_5849_says_with_a_nonce_of_its_own() -> None:
    recorder = Recorder()
    with serve(recorder) as server:
        shop = WooCommerce(account(server.url, statuses="processing,on-hold"))
        shop.changed(Position(since=START), page_size=100)
        shop.probe()
        shop.acknowledge(["47"])
    nonces = set()
    for method, url, query, authorization in recorder.sent:
        scheme, _, rest = authorization.partition(" ")
        oauth = {
            name: unquote(value.strip('"'))
            for name, _, value in (part.strip().partition("=") for part in rest.split(","))
        }
        signature = oauth.pop("oauth_signature")
        pairs = sorted(
            (quote(name, safe="~"), quote(value, safe="~"))
            for name, value in [*parse_qsl(query), *oauth.items()]
        )
        joined = "&".join(f"{name}={value}" for name, value in pairs)
        base = "&".join((method, quote(url, safe=""), quote(joined, safe="")))
        digest = hmac.new(f"{quote(SECRET, safe='')}&".encode(), base.encode(), hashlib.sha256).digest()
        assert (scheme, oauth["oauth_signature_method"]) == ("OAuth", "HMAC-SHA256")
        assert signature == base64.b64encode(digest).decode()
        nonces.add(oauth["oauth_nonce"])
    assert [method for method, *_ in recorder.sent] == ["GET", "GET", "POST"]
    assert len(nonces) == 3


@pytest.fixture
def shop() -> Iterator[tuple[Shop, RunningServer]]:
    sandbox = Shop(
        clock=lambda: START,
        keys=[ApiKey("ck_1", SECRET), ApiKey("ck_read", SECRET, "read"), ApiKey("ck_write", SECRET, "write")],
    )
    with serve(create_app(sandbox)) as server:
        yield sandbox, server
        sandbox.close()


@pytest.mark.parametrize(
    ("key", "secret", "words"),
    [
        ("ck_1", "cs_wrong", "secret is wrong"),
        ("ck_unknown", SECRET, "does not know the API key"),
        ("ck_write", SECRET, "may only write"),
    ],
)
def test_what_is_wrong_with_the_credentials_is_said(
    shop: tuple[Shop, RunningServer], key: str, secret: str, words: str
) -> None:
    with pytest.raises(Misconfigured, match=words):
        WooCommerce(account(shop[1].url, key=key, secret=secret)).probe()


def test_a_key_that_may_only_read_is_found_when_it_is_to_write(shop: tuple[Shop, RunningServer]) -> None:
    sandbox, server = shop
    (order_id,) = sandbox.generate(1)
    opened = WooCommerce(account(server.url, key="ck_read"))
    assert opened.probe().orders == 1
    with pytest.raises(Misconfigured, match="may only read"):
        opened.acknowledge([str(order_id)])


def test_an_address_without_woocommerce_is_named(shop: tuple[Shop, RunningServer]) -> None:
    opened = WooCommerce(account(f"{shop[1].url}/wp-json"))
    with pytest.raises(Misconfigured, match="no WooCommerce REST API v3"):
        opened.probe()


def test_a_shop_that_is_not_there_is_tried_again(shop: tuple[Shop, RunningServer]) -> None:
    _, server = shop
    server.stop()
    with pytest.raises(Retry):
        WooCommerce(account(server.url)).probe()


def test_a_status_that_the_shop_does_not_have_is_named(shop: tuple[Shop, RunningServer]) -> None:
    with pytest.raises(Misconfigured, match="no order status 'packed'"):
        WooCommerce(account(shop[1].url, statuses="processing,packed")).changed(
            Position(since=None), page_size=10
        )


def test_a_plugins_own_status_is_read(shop: tuple[Shop, RunningServer]) -> None:
    sandbox, server = shop
    first, second = sandbox.generate(2)
    sandbox.update(second, {"status": "awaiting-pickup"})
    rows = (
        WooCommerce(account(server.url, statuses="awaiting-pickup"))
        .changed(Position(since=None), page_size=10)
        .rows
    )
    assert [row.platform_order_id for row in rows] == [str(second)]
    assert first != second


def test_an_unregistered_ack_status_leaves_every_order_as_it_was(shop: tuple[Shop, RunningServer]) -> None:
    sandbox, server = shop
    (order_id,) = sandbox.generate(1)
    with pytest.raises(Misconfigured, match="packed"):
        WooCommerce(account(server.url, ack_status="packed")).acknowledge([str(order_id)])
    assert sandbox.order(order_id)["status"] == "processing"


def test_the_ack_status_is_set_with_the_mark(shop: tuple[Shop, RunningServer]) -> None:
    sandbox, server = shop
    (order_id,) = sandbox.generate(1)
    WooCommerce(account(server.url, ack_status="completed")).acknowledge([str(order_id)])
    assert sandbox.order(order_id)["status"] == "completed"


# Dates


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Europe/Berlin", "Asia/Kolkata", "UTC"])
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "start",
    [
        datetime(2026, 3, 17, 12, 0, 0, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 30, 0, tzinfo=UTC),  # The hour that Berlin has twice.
        datetime(2026, 11, 1, 8, 30, 0, tzinfo=UTC),  # The hour that Los Angeles has twice.
    ],
)
def test_nothing_is_missed_and_nothing_old_read_in_any_timezone(
    zone: str, legacy: bool, start: datetime
) -> None:
    moments = [start + timedelta(minutes=30 * step) for step in range(6)]
    clock = iter(moments)
    now = [start]
    sandbox = Shop(timezone=zone, legacy=legacy, clock=lambda: now[0])
    added = []
    for moment in clock:
        now[0] = moment
        added.append(str(sandbox.generate(1)[0]))
    with serve(create_app(sandbox)) as server:
        opened = WooCommerce(account(server.url, key="ck_sandbox", secret="cs_sandbox"))
        for place, moment in enumerate(moments):
            rows = opened.changed(Position(since=moment), page_size=100).rows
            assert [row.platform_order_id for row in rows] == added[place:]
            assert [row.modified_at for row in rows] == moments[place:]
    sandbox.close()


def test_a_change_of_the_shops_timezone_is_no_edit_of_its_orders(shop: tuple[Shop, RunningServer]) -> None:
    sandbox, server = shop
    sandbox.generate(1)
    opened = WooCommerce(account(server.url))
    (before,) = opened.changed(Position(since=None), page_size=10).rows
    sandbox.set_timezone("Asia/Kolkata")
    (after,) = opened.changed(Position(since=START), page_size=10).rows
    assert after.body != before.body
    assert (after.content_hash, after.modified_at) == (before.content_hash, START)


def test_a_fraction_that_the_shop_stopped_showing_is_rejected(shop: tuple[Shop, RunningServer]) -> None:
    sandbox, server = shop
    (order_id,) = sandbox.generate(1, lines=2)
    body = sandbox.order(order_id)
    body["line_items"][0]["quantity"] = 0.333
    sandbox.add_orders([body])
    sandbox.set_fractional_quantities(on=False)
    opened = WooCommerce(account(server.url, fractional_quantities="true"))
    (row,) = opened.changed(Position(since=None), page_size=10).rows
    with pytest.raises(Exception, match="not above zero"):
        opened.normalize(row.body, prefix="BGM")
