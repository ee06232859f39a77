"""WooCommerce's webhooks: recorded deliveries are believed, everything else is not, and the shop's desk does what it is told."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from app.connectors.woocommerce import CONNECTOR
from app.connectors.woocommerce.hooks import TOPICS, WebhookDesk, read
from app.errors import Misconfigured, Retry, Unknown
from app.ports.connector import Account
from app.ports.hooks import Delivery, Hook, HookKeys, Received, Refused
from app.sandbox.server import RunningServer, serve
from app.sandbox.shop import ApiKey, Shop, create_app

SAMPLES = Path(__file__).parents[1] / "payloads" / "woocommerce" / "webhooks"
SECRET = (SAMPLES / "SECRET").read_text(encoding="utf-8").strip()
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HERE = "http://127.0.0.1:9/hooks/bgm"


def sample(number: int) -> Received:
    headers = json.loads((SAMPLES / f"sample{number}.headers.json").read_text(encoding="utf-8"))
    return Received(
        topic="order-updated",
        headers={name.lower(): value for name, value in headers.items()},
        body=(SAMPLES / f"sample{number}.body").read_bytes(),
    )


def keys(*secrets: str) -> HookKeys:
    return HookKeys(secrets=secrets or (SECRET,), credentials={})


def changed(received: Received, *, body: bytes | None = None, **headers: str) -> Received:
    """The delivery with other headers (underscores for dashes); an empty value takes one away."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    found = {**received.headers, **named}
    return Received(
        topic=received.topic,
        headers={name: value for name, value in found.items() if value},
        body=received.body if body is None else body,
    )


def signed(body: bytes, *, secret: str = SECRET, **headers: str) -> Received:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return changed(sample(2), body=body, x_wc_webhook_signature=base64.b64encode(digest).decode(), **headers)


def refusal(received: Received, found: HookKeys) -> str:
    with pytest.raises(Refused) as caught:
        read(received, found, NOW)
    return caught.value.reason


@pytest.mark.parametrize("number", [2, 3])
def test_a_recorded_delivery_names_its_order(number: int) -> None:
    found = read(sample(number), keys(), NOW)
    given = sample(number).headers["x-wc-webhook-delivery-id"]
    assert found == Delivery(delivery_id=given, topic="order.updated", platform_order_id="48")


@pytest.mark.parametrize(("number", "topic"), [(0, "order.created"), (1, "order.updated")])
def test_a_recorded_delivery_of_an_order_that_was_deleted_names_none(number: int, topic: str) -> None:
    found = read(sample(number), keys(), NOW)
    assert (found.topic, found.platform_order_id) == (topic, "")
    assert found.delivery_id == sample(number).headers["x-wc-webhook-delivery-id"]


def test_a_deleted_order_is_named_by_its_id_alone() -> None:
    received = signed(b'{"id":200}', x_wc_webhook_topic="order.deleted")
    assert read(received, keys(), NOW).platform_order_id == "200"


@pytest.mark.parametrize("secrets", [("new", SECRET), (SECRET, "old")])
def test_either_of_two_live_secrets_is_good(secrets: tuple[str, str]) -> None:
    assert read(sample(2), keys(*secrets), NOW).platform_order_id == "48"


@pytest.mark.parametrize(
    ("_case", "received", "found"),
    [
        ("another byte at the end", changed(sample(2), body=sample(2).body + b" "), keys()),
        ("another id", changed(sample(2), body=sample(2).body.replace(b'"id":48', b'"id":49', 1)), keys()),
        ("no body", changed(sample(2), body=b""), keys()),
        ("another secret", sample(2), keys("peer-secreT")),
        ("no secret at all", sample(2), HookKeys(secrets=(), credentials={})),
        ("no signature", changed(sample(2), x_wc_webhook_signature=""), keys()),
        ("a signature in other letters", changed(sample(2), x_wc_webhook_signature="größe"), keys()),
        ("a cut signature", changed(sample(2), x_wc_webhook_signature="MbyO10MB8X"), keys()),
        ("the key itself", changed(sample(2), x_wc_webhook_signature=SECRET), keys()),
    ],
)
def test_what_is_not_signed_by_a_live_secret_is_refused(
    _case: str, received: Received, found: HookKeys
) -> None:
    assert refusal(received, found) == "its signature is missing or wrong"


@pytest.mark.parametrize("topic", ["", "product.updated", "order", "action.woocommerce_x", "ORDER.UPDATED"])
def test_a_topic_that_is_none_of_orders_is_refused(topic: str) -> None:
    assert refusal(changed(sample(2), x_wc_webhook_topic=topic), keys()) == "its topic is none of orders"


@pytest.mark.parametrize("delivery_id", ["", "x" * 65, "a b", "a\nb", "ü"])
def test_a_delivery_without_an_id_of_its_own_is_refused(delivery_id: str) -> None:
    assert (
        refusal(changed(sample(2), x_wc_webhook_delivery_id=delivery_id), keys()) == "it has no delivery id"
    )


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"48"', b'{"id":"48"}', b'{"id":true}', b'{"id":null}', b"\xff\xfe", b"{" * 100_000]
)
def test_a_signed_body_that_is_no_order_names_none(body: bytes) -> None:
    assert read(signed(body), keys(), NOW).platform_order_id == ""


PING = Received(
    topic="order-created",
    headers={
        "content-type": "application/x-www-form-urlencoded",
        "user-agent": "WooCommerce/11.0.1 Hookshot",
    },
    body=b"webhook_id=5",
)


def test_the_unsigned_ping_is_answered_and_names_nothing() -> None:
    found = Delivery(delivery_id="", topic="order-created", platform_order_id="")
    assert read(PING, keys(), NOW) == read(PING, HookKeys(secrets=(), credentials={}), NOW) == found


@pytest.mark.parametrize(
    "received",
    [
        changed(PING, body=b"webhook_id=5&id=48"),
        changed(PING, body=b"webhook_id="),
        changed(PING, body=b"webhook_id=5\n"),
        changed(PING, content_type="application/json"),
        changed(PING, x_wc_webhook_topic="order.created"),
    ],
)
def test_what_only_looks_like_a_ping_needs_a_signature(received: Received) -> None:
    assert refusal(received, keys()) == "its signature is missing or wrong"


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop((), keys=(ApiKey("ck_1", "cs_1"), ApiKey("ck_r", "cs_r", "read")))
    yield made
    made.close()


@pytest.fixture
def running(shop: Shop) -> Iterator[RunningServer]:
    with serve(create_app(shop)) as server:
        yield server


def account(url: str, **credentials: str) -> Account:
    return Account(
        name="bgm",
        url=url,
        allow_private=True,
        credentials={"key": "ck_1", "secret": "cs_1", **credentials},
        settings=CONNECTOR.read_settings({}),
        http_timeout=2,
    )


@pytest.fixture
def desk(running: RunningServer) -> WebhookDesk:
    return WebhookDesk(account(running.url))


def fault(running: RunningServer, kind: str, *, method: str = "*") -> None:
    order: Mapping[str, Any] = {"kind": kind, "match": {"method": method, "path": "/webhooks"}}
    requests.post(f"{running.url}/_sandbox/faults", json=order, timeout=5).raise_for_status()


def test_the_connector_needs_all_that_happens_to_orders() -> None:
    assert CONNECTOR.hooks is not None
    assert CONNECTOR.hooks.topics == TOPICS
    assert not CONNECTOR.hooks.needs_tls


def test_a_webhook_is_installed_with_our_secret_and_shown_by_its_address(
    desk: WebhookDesk, shop: Shop
) -> None:
    made = desk.install(topic="order.created", url=f"{HERE}/order-created", secret="s" * 43)
    assert made == Hook(id="1", topic="order.created", url=f"{HERE}/order-created", active=True)
    desk.install(topic="order.created", url="http://127.0.0.1:9/hooks/other/order-created", secret="t")
    assert desk.installed(prefix=f"{HERE}/") == (made,)
    assert [each.secret for each in shop.webhooks.all()] == ["t", "s" * 43]


def test_a_disabled_webhook_is_shown_and_renewed(desk: WebhookDesk, shop: Shop) -> None:
    made = desk.install(topic="order.created", url=f"{HERE}/order-created", secret="old")
    shop.webhooks.get(1).status = "disabled"
    (found,) = desk.installed(prefix=HERE)
    assert not found.active
    assert desk.renew(found, secret="new") == made
    webhook = shop.webhooks.get(1)
    assert (webhook.status, webhook.secret, webhook.delivery_url) == ("active", "new", made.url)


def test_a_webhook_is_taken_away_and_one_that_is_gone_is_no_failure(desk: WebhookDesk) -> None:
    made = desk.install(topic="order.created", url=f"{HERE}/order-created", secret="s")
    desk.remove(made)
    assert desk.installed(prefix=HERE) == ()
    desk.remove(made)
    with pytest.raises(Unknown, match="no webhook 1 any more"):
        desk.renew(made, secret="s")


def test_more_webhooks_than_a_page_has_are_all_looked_at(desk: WebhookDesk) -> None:
    for _ in range(101):
        desk.install(topic="order.created", url=f"{HERE}/order-created", secret="s")
    assert len(desk.installed(prefix=HERE)) == 101


@pytest.mark.parametrize("kind", ["reset_after", "truncated"])
def test_a_reply_to_a_write_that_is_lost_is_unknown(
    desk: WebhookDesk, running: RunningServer, kind: str
) -> None:
    fault(running, kind, method="POST")
    with pytest.raises(Unknown):
        desk.install(topic="order.created", url=f"{HERE}/order-created", secret="s")
    assert len(desk.installed(prefix=HERE)) == 1


def test_a_list_that_does_not_come_is_asked_for_again(desk: WebhookDesk, running: RunningServer) -> None:
    fault(running, "reset", method="GET")
    with pytest.raises(Retry):
        desk.installed(prefix=HERE)


def test_a_key_that_may_only_read_is_named(running: RunningServer) -> None:
    reading = WebhookDesk(account(running.url, key="ck_r", secret="cs_r"))
    assert reading.installed(prefix=HERE) == ()
    with pytest.raises(Misconfigured, match="may only read"):
        reading.install(topic="order.created", url=f"{HERE}/order-created", secret="s")


def test_an_address_that_the_shop_does_not_take_is_told_with_its_words(desk: WebhookDesk) -> None:
    with pytest.raises(
        Misconfigured, match=r"refuses the webhook \(Webhook delivery URL must be a valid URL"
    ):
        desk.install(topic="order.created", url="ftp://x.test", secret="s")
