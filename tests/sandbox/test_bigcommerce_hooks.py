"""The sandbox store's webhooks are kept, signed, sent and given up as section 11 of the BigCommerce contract says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.sandbox.bigcommerce import (
    DEMO_CLIENT_SECRET,
    DEMO_STORE_HASH,
    DEMO_TOKEN,
    READ_ONLY_TOKEN,
    Store,
    create_app,
)
from app.sandbox.bigcommerce.hooks import sign

HOOKS = f"/stores/{DEMO_STORE_HASH}/v3/hooks"


class Receiver:
    """A loopback server that keeps what it is sent and answers with ``status``."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hooks"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def scopes(self) -> list[str]:
        """The scopes of what came, without ``store/order/``."""
        return [json.loads(body)["scope"].removeprefix("store/order/") for _, body in self.got]

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store(allow_http_hooks=True, quota=100_000)
    store.hooks.retry_delays = (0.01, 0.01)
    yield store
    store.close()


@pytest.fixture
def client(store: Store) -> FlaskClient:
    client = create_app(store).test_client()
    client.environ_base["HTTP_X_AUTH_TOKEN"] = DEMO_TOKEN
    return client


def hook(
    client: FlaskClient, receiver: Receiver, scope: str = "store/order/*", **more: object
) -> dict[str, Any]:
    answer = client.post(HOOKS, json={"scope": scope, "destination": receiver.url, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()["data"]
    return found


def test_a_signature_is_the_one_the_reference_library_makes() -> None:
    # Made with standardwebhooks 1.1.0: Webhook(base64.b64encode(secret)).sign(id, moment, body).
    key, body = "bc_sandbox_client_secret ü".encode(), '{"data":{"id":100},"note":"é"}'.encode()
    assert sign(key, "msg_abc123", "1790000000", body) == "v1,NBtVY8zdmbW6HwSIDRpbl8wAkNiDZLvGkCXLVmiHH+g="


def test_a_delivery_is_thin_signed_and_carries_the_configured_headers(
    store: Store, client: FlaskClient, receiver: Receiver
) -> None:
    hook(client, receiver, "store/order/updated", headers={"X-Our-Secret": "s3"})
    order_id = store.add_order(announce=True)
    store.put(order_id, {"status_id": 9})
    assert store.hooks.wait_idle()
    ((headers, body),) = receiver.got
    data = json.loads(body)
    assert sorted(data) == ["created_at", "data", "hash", "producer", "scope", "store_id"]
    assert (data["scope"], data["data"]) == ("store/order/updated", {"type": "order", "id": order_id})
    assert (data["producer"], isinstance(data["store_id"], str)) == (f"stores/{DEMO_STORE_HASH}", True)
    assert (headers["x-our-secret"], headers["content-type"]) == ("s3", "application/json")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(DEMO_CLIENT_SECRET.encode(), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


def test_which_events_are_told(store: Store, client: FlaskClient, receiver: Receiver) -> None:
    hook(client, receiver)

    def told() -> list[str]:
        assert store.hooks.wait_idle()
        scopes = receiver.scopes()
        receiver.got.clear()
        return scopes

    order_id = store.add_order({"status_id": 0}, announce=True)
    assert told() == ["created"]
    store.put(order_id, {"status_id": 11})
    assert store.hooks.wait_idle()
    status = json.loads(receiver.got[1][1])["data"]["status"]
    assert status == {"previous_status_id": 0, "new_status_id": 11}
    assert told() == ["updated", "statusUpdated"]
    store.put(order_id, {"staff_notes": "x"})
    assert told() == ["updated"]
    store.refund(order_id)
    assert told() == ["refund/created", "updated", "statusUpdated"]
    store.archive(order_id)
    assert told() == ["archived"]
    store.remove(order_id)
    store.generate(2)
    assert told() == []
    store.generate(2, announce=True)
    assert told() == ["created", "created"]


def test_shipments_have_scopes_of_their_own(store: Store, client: FlaskClient, receiver: Receiver) -> None:
    hook(client, receiver, "store/shipment/*")
    order_id = store.add_order()
    base = f"/stores/{DEMO_STORE_HASH}/v2/orders/{order_id}"
    (line,) = client.get(f"{base}/products").get_json()
    items = [{"order_product_id": line["id"], "quantity": 1}]
    shipment = store.ship(order_id, {"order_address_id": line["order_address_id"], "items": items})
    assert store.hooks.wait_idle()
    ((_, body),) = receiver.got
    about = {"type": "shipment", "id": shipment["id"], "orderId": order_id}
    assert (json.loads(body)["scope"], json.loads(body)["data"]) == ("store/shipment/created", about)


def test_a_failed_delivery_is_repeated_with_its_id_and_then_the_hook_is_given_up(
    store: Store, client: FlaskClient, receiver: Receiver
) -> None:
    created = hook(client, receiver, "store/order/created")
    receiver.status = 500
    order_id = store.add_order(announce=True)
    assert store.hooks.wait_idle()
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert [one.status for one in store.hooks.sent] == [500, 500, 500]
    url = f"{HOOKS}/{created['id']}"
    assert client.get(url).get_json()["data"]["is_active"] is False
    receiver.status = 204
    store.add_order(announce=True)
    assert store.hooks.wait_idle()
    assert len(receiver.got) == 3
    assert client.put(url, json={"is_active": True}).get_json()["data"]["is_active"] is True
    later = store.add_order(announce=True)
    assert store.hooks.wait_idle()
    assert [json.loads(body)["data"]["id"] for _, body in receiver.got] == [order_id] * 3 + [later]


def test_deliveries_can_be_doubled_turned_round_and_sent_again(
    store: Store, client: FlaskClient, receiver: Receiver
) -> None:
    hook(client, receiver, "store/order/created")
    store.hooks.duplicates = 1
    first = store.add_order(announce=True)
    assert store.hooks.wait_idle()
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len(receiver.got) == 2
    store.hooks.duplicates = 0
    store.hooks.hold()
    second, third = (store.add_order(announce=True) for _ in range(2))
    assert store.hooks.wait_idle()
    assert len(receiver.got) == 2
    store.hooks.release(backwards=True)
    assert store.hooks.wait_idle()
    store.hooks.resend(store.hooks.sent[0].webhook_id)
    assert store.hooks.wait_idle()
    told = [json.loads(body)["data"]["id"] for _, body in receiver.got]
    assert told == [first, first, third, second, first]
    assert receiver.got[4][0]["webhook-id"] == receiver.got[0][0]["webhook-id"]


def test_the_signature_and_the_status_can_be_left_out(
    store: Store, client: FlaskClient, receiver: Receiver
) -> None:
    hook(client, receiver, "store/order/statusUpdated")
    client.put("/_sandbox/webhooks", json={"signed": False, "tells_status": False})
    store.put(store.add_order(), {"status_id": 9})
    assert store.hooks.wait_idle()
    ((headers, body),) = receiver.got
    assert "webhook-signature" not in headers
    assert sorted(json.loads(body)["data"]) == ["id", "type"]
    (sent,) = client.get("/_sandbox/webhooks").get_json()
    assert (sent["scope"], sent["status"]) == ("store/order/statusUpdated", 200)


def test_a_destination_must_be_https_on_443_unless_the_store_lets_others_through(
    store: Store, client: FlaskClient, receiver: Receiver
) -> None:
    store.switches.allow_http_hooks = False
    for destination in (
        receiver.url,
        "http://a.test/",
        "https://a.test:8443/",
        "nowhere",
        "https://a.test:x/",
    ):
        answer = client.post(HOOKS, json={"scope": "store/order/*", "destination": destination})
        assert (answer.status_code, list(answer.get_json()["errors"])) == (422, ["destination"]), destination
    assert (
        client.post(HOOKS, json={"scope": "store/order/*", "destination": "https://a.test/x"}).status_code
        == 200
    )
    assert (
        client.post(HOOKS, json={"scope": "store/order/*", "destination": "https://a.test:443/"}).status_code
        == 200
    )


def test_hooks_are_kept_once_of_a_kind_ten_of_a_scope_and_for_their_own_account(client: FlaskClient) -> None:
    def made(number: int, scope: str = "store/order/updated", **more: object) -> int:
        data = {"scope": scope, "destination": f"https://a.test/{number}", **more}
        return client.post(HOOKS, json=data).status_code

    assert [made(number) for number in range(11)] == [200] * 10 + [422]
    assert made(3) == 409
    assert made(3, "store/order/created", is_active=False) == 200
    assert made(1, "store/order/colour") == 422
    assert made(1, "store/shipment/*", is_active="yes") == 422
    rows = client.get(f"{HOOKS}?limit=4&page=3").get_json()
    assert (len(rows["data"]), rows["meta"]["pagination"]["total"]) == (3, 11)
    (row,) = client.get(f"{HOOKS}?is_active=false").get_json()["data"]
    assert row["scope"] == "store/order/created"
    other = {"X-Auth-Token": READ_ONLY_TOKEN}
    assert client.get(HOOKS, headers=other).get_json()["data"] == []
    assert client.get(f"{HOOKS}/1", headers=other).status_code == 404
    assert client.delete(f"{HOOKS}/1").status_code == 200
    assert client.get(f"{HOOKS}/1").status_code == 404
    moved = client.put(f"{HOOKS}/2", json={"destination": "https://a.test/new", "headers": {"X-A": "b"}})
    assert moved.get_json()["data"]["headers"] == {"X-A": "b"}


def test_hooks_go_with_the_account_that_made_them(
    store: Store, client: FlaskClient, receiver: Receiver
) -> None:
    hook(client, receiver)
    store.revoke(DEMO_TOKEN)
    store.add_order(announce=True)
    assert store.hooks.wait_idle()
    assert receiver.got == []
    assert client.get(HOOKS).status_code == 401
