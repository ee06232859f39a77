"""Which deliveries of a BigCommerce store are believed, and how its webhooks are listed, made, renewed and removed."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.bigcommerce import CONNECTOR
from app.connectors.bigcommerce.hooks import SECRET_HEADER, Desk, read
from app.errors import Misconfigured, Retry, Unknown
from app.ports.hooks import Hook, HookKeys, Received, Refused
from tests.connectors.bigcommerce_store import Shop
from tests.domain.profile import REPEATABLE

NOW = datetime(2026, 11, 21, 14, 44, 1, tzinfo=UTC)
CLIENT_SECRET = "client-secret-of-the-account"
KEYS = HookKeys(secrets=("newest", "older"), credentials={"token": "t", "client_secret": CLIENT_SECRET})
EVENT = {
    "scope": "store/order/statusUpdated",
    "store_id": "1001",
    "data": {"type": "order", "id": 250, "status": {"previous_status_id": 0, "new_status_id": 11}},
    "hash": "0f" * 20,
    "created_at": 1795272241,
    "producer": "stores/abc123",
}


def signature(body: bytes, *, message_id: str, at: datetime, secret: str = CLIENT_SECRET) -> str:
    """Worked out here from the scheme's own words: HMAC-SHA256 over id, timestamp and body with the secret's bytes."""
    told = f"{message_id}.{int(at.timestamp())}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), told, hashlib.sha256).digest()).decode()


def delivery(
    event: Any = None,
    *,
    secret: str = "newest",
    at: datetime = NOW,
    signed: bool = True,
    headers: dict[str, str] | None = None,
) -> Received:
    body = json.dumps(EVENT if event is None else event).encode()
    given = {SECRET_HEADER.lower(): secret, "content-type": "application/json"}
    if signed:
        given |= {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature(body, message_id="msg_1", at=at),
        }
    return Received(topic="order", headers={**given, **(headers or {})}, body=body)


@pytest.mark.parametrize("secret", ["newest", "older"])
def test_a_signed_delivery_with_either_of_our_secrets_names_its_order(secret: str) -> None:
    found = read(delivery(secret=secret), KEYS, NOW)
    assert (found.delivery_id, found.topic, found.platform_order_id) == (
        "msg_1",
        "store/order/statusUpdated",
        "250",
    )


def test_an_unsigned_delivery_is_believed_by_our_secret_alone_and_known_again_by_scope_and_hash() -> None:
    first = read(delivery(signed=False), KEYS, NOW)
    again = read(delivery(signed=False), KEYS, NOW + timedelta(hours=3))
    other = read(delivery({**EVENT, "scope": "store/order/updated"}, signed=False), KEYS, NOW)
    assert first == again
    assert first.delivery_id not in {other.delivery_id, ""}


@pytest.mark.parametrize(
    ("event", "order_id"),
    [
        ({**EVENT, "scope": "store/order/created", "data": {"type": "order", "id": 118}}, "118"),
        (
            {**EVENT, "scope": "store/channel/1/order/updated", "data": {"type": "order", "order_id": "119"}},
            "119",
        ),
        (
            {
                **EVENT,
                "scope": "store/order/refund/created",
                "data": {"type": "refund", "id": 7, "order_id": 120},
            },
            "120",
        ),
        ({**EVENT, "scope": "store/order/message/created", "data": {"type": "order", "id": 121}}, "121"),
        ({**EVENT, "scope": "store/customer/created", "data": {"type": "customer", "id": 5}}, ""),
        ({**EVENT, "data": {"type": "order", "id": "12; drop"}}, ""),
        ({**EVENT, "data": {"type": "order", "id": True}}, ""),
        ({**EVENT, "data": {"type": "order", "id": -1}}, ""),
        ({**EVENT, "data": None}, ""),
    ],
)
def test_only_the_id_of_an_order_is_taken_from_a_delivery(event: Any, order_id: str) -> None:
    assert read(delivery(event), KEYS, NOW).platform_order_id == order_id


def tampered() -> Received:
    good = delivery()
    return Received(topic=good.topic, headers=good.headers, body=good.body.replace(b"250", b"251"))


@pytest.mark.parametrize(
    ("_case", "received"),
    [
        ("tampered", tampered()),
        ("six minutes old", delivery(at=NOW - timedelta(minutes=6))),
        ("six minutes ahead", delivery(at=NOW + timedelta(minutes=6))),
        ("another secret", delivery(secret="somebody's")),
        ("no secret", delivery(secret="")),
        ("no secret, signed", delivery(headers={SECRET_HEADER.lower(): ""})),
        ("another id", delivery(headers={"webhook-id": "msg_2"})),
        ("no id", delivery(headers={"webhook-id": ""})),
        ("no timestamp", delivery(headers={"webhook-timestamp": ""})),
        ("a timestamp of words", delivery(headers={"webhook-timestamp": "yesterday"})),
        ("a timestamp beyond the calendar", delivery(headers={"webhook-timestamp": "9" * 30})),
        ("a signature without a comma", delivery(headers={"webhook-signature": "v1"})),
        ("an empty signature", delivery(headers={"webhook-signature": ""})),
        ("another version", delivery(headers={"webhook-signature": "v2,AAAA"})),
        (
            "signed by another",
            delivery(headers={"webhook-signature": signature(b"{}", message_id="msg_1", at=NOW)}),
        ),
        ("a list", delivery([EVENT])),
        ("not utf-8", Received(topic="", headers={SECRET_HEADER.lower(): "newest"}, body=b"\xff")),
        ("no json", Received(topic="", headers={SECRET_HEADER.lower(): "newest"}, body=b"{")),
        ("a nesting", Received(topic="", headers={SECRET_HEADER.lower(): "newest"}, body=b"[" * 100_000)),
    ],
)
def test_what_is_not_to_be_believed_is_refused(_case: str, received: Received) -> None:
    with pytest.raises(Refused) as refused:
        read(received, KEYS, NOW)
    assert refused.value.reason
    assert CLIENT_SECRET not in refused.value.reason


def test_one_good_signature_among_several_is_enough() -> None:
    good = delivery()
    both = f"v1,{base64.b64encode(b'x' * 32).decode()} {good.headers['webhook-signature']}"
    assert read(delivery(headers={"webhook-signature": both}), KEYS, NOW).platform_order_id == "250"


def test_a_signature_cannot_be_asked_for_without_the_client_secret() -> None:
    keys = HookKeys(secrets=("newest",), credentials={"token": "t"})
    assert read(delivery(), keys, NOW).platform_order_id == "250"


def test_without_a_secret_of_ours_nothing_is_believed() -> None:
    for secrets in ((), ("",)):
        with pytest.raises(Refused):
            read(delivery(secret=""), HookKeys(secrets=secrets, credentials={}), NOW)


@REPEATABLE
@given(
    body=st.binary(max_size=200),
    headers=st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", SECRET_HEADER.lower()]),
        st.text(max_size=20) | st.just("newest"),
    ),
)
def test_whatever_a_stranger_sends_is_refused_or_a_delivery_with_our_secret(
    body: bytes, headers: dict[str, str]
) -> None:
    try:
        read(Received(topic="x", headers=headers, body=body), KEYS, NOW)
    except Refused:
        return
    assert headers[SECRET_HEADER.lower()] in KEYS.secrets


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop({"allow_http_hooks": True})
    yield made
    made.close()


PREFIX = "https://sync.example.com/hooks/bgm/"


def test_a_webhook_is_made_listed_renewed_and_removed(shop: Shop) -> None:
    desk = Desk(shop.account())
    assert desk.installed(prefix=PREFIX) == ()
    assert CONNECTOR.hooks is not None
    made = [
        desk.install(topic=topic, url=f"{PREFIX}order", secret="newest") for topic in CONNECTOR.hooks.topics
    ]
    desk.install(topic="store/order/created", url="https://elsewhere.example.com/x", secret="x")
    assert {(hook.topic, hook.active) for hook in made} == {(topic, True) for topic in CONNECTOR.hooks.topics}
    assert set(desk.installed(prefix=PREFIX)) == set(made)
    renewed = desk.renew(made[0], secret="newer")
    assert renewed == made[0]
    desk.remove(made[0])
    desk.remove(made[0])
    assert set(desk.installed(prefix=PREFIX)) == set(made[1:])


def test_a_webhook_that_the_store_switched_off_is_switched_on_again(shop: Shop) -> None:
    desk = Desk(shop.account())
    hook = desk.install(topic="store/order/created", url=f"{PREFIX}order", secret="newest")
    kept = shop.store.hooks.book.find(int(hook.id))
    assert kept is not None
    kept.is_active = False
    (found,) = desk.installed(prefix=PREFIX)
    assert not found.active
    assert desk.renew(found, secret="newer").active
    assert kept.is_active
    assert kept.headers == {SECRET_HEADER: "newer"}


@pytest.mark.parametrize(
    ("fault", "method", "failure"),
    [
        ("401", "GET", Misconfigured),
        ("503", "GET", Retry),
        ("garbage", "GET", Retry),
        ("reset_after", "POST", Unknown),
        ("500", "POST", Unknown),
        ("garbage", "POST", Unknown),
        ("403", "POST", Misconfigured),
        ("reset_after", "DELETE", Unknown),
    ],
)
def test_a_desk_that_fails_says_what_is_to_be_done_next(
    shop: Shop, fault: str, method: str, failure: type[Exception]
) -> None:
    desk = Desk(shop.account())
    shop.store.add_fault(fault, method=method)
    calls: dict[str, Callable[[], object]] = {
        "GET": lambda: desk.installed(prefix=PREFIX),
        "POST": lambda: desk.install(topic="store/order/created", url=f"{PREFIX}order", secret="s"),
        "DELETE": lambda: desk.remove(Hook(id="1", topic="t", url="u", active=True)),
    }
    with pytest.raises(failure):
        calls[method]()


def test_an_address_that_the_store_does_not_take_is_named(shop: Shop) -> None:
    shop.store.switches.allow_http_hooks = False
    with pytest.raises(Misconfigured) as error:
        Desk(shop.account()).install(
            topic="store/order/created", url="http://sync.example.com:8080/x", secret="s"
        )
    assert "https on port 443" in error.value.reason


def test_the_sandbox_and_the_connector_agree_on_a_signature(shop: Shop) -> None:
    """The other side was written from the same documents by other hands."""
    caught: list[Received] = []

    def receive(environ: Any, start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        headers = {
            key.removeprefix("HTTP_").replace("_", "-").lower(): value
            for key, value in environ.items()
            if key.startswith("HTTP_")
        }
        caught.append(Received(topic="order", headers=headers, body=body))
        start_response("204 No Content", [])
        return []

    from app.sandbox.bigcommerce import DEMO_CLIENT_SECRET  # noqa: PLC0415
    from app.sandbox.server import serve  # noqa: PLC0415

    with serve(receive) as receiver:
        Desk(shop.account()).install(topic="store/order/created", url=f"{receiver.url}/x", secret="newest")
        order_id = shop.store.add_order({}, announce=True)
        shop.store.hooks.wait_idle()
    keys = HookKeys(secrets=("newest",), credentials={"client_secret": DEMO_CLIENT_SECRET})
    assert caught
    sent_at = datetime.fromtimestamp(int(caught[0].headers["webhook-timestamp"]), UTC)
    found = read(caught[0], keys, sent_at)
    assert (found.platform_order_id, found.topic) == (str(order_id), "store/order/created")
    assert found.delivery_id == caught[0].headers["webhook-id"]
