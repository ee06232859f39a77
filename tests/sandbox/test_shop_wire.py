"""The sandbox shop on the wire: keys and signatures (section 1), faults (section 2), webhooks (section 9)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from requests_oauthlib import OAuth1

from app.sandbox.server import RunningServer, serve
from app.sandbox.shop import ApiKey, Shop, create_app, recorded_answers, recorded_orders

ORDERS = "/wp-json/wc/v3/orders"
WEBHOOKS = "/wp-json/wc/v3/webhooks"
SAMPLES = Path(__file__).parents[1] / "payloads" / "woocommerce" / "webhooks"
KEYS = [
    ApiKey("ck_sandbox", "cs_sandbox"),
    ApiKey("ck_read", "cs_read", "read"),
    ApiKey("ck_write", "cs_write", "write"),
]
BODIES = [body for body in recorded_orders() if body["id"] in (48, 57, 60, 173)]
TLS = {"X-Forwarded-Proto": "https"}
BASIC = ("ck_sandbox", "cs_sandbox")


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop(BODIES, keys=KEYS)
    shop.webhooks.delay = 0.02
    yield shop
    shop.close()


@pytest.fixture
def running(shop: Shop) -> Iterator[RunningServer]:
    with serve(create_app(shop, trust_proxy=True)) as server:
        yield server


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def code_of(answer: requests.Response) -> tuple[int, str, str]:
    assert "WWW-Authenticate" not in answer.headers
    return answer.status_code, answer.json()["code"], answer.json()["message"]


CANNOT_VIEW = (401, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")
REFUSED = "woocommerce_rest_authentication_error"


# Section 1


def test_over_plain_http_basic_and_query_keys_are_not_looked_at(
    running: RunningServer, session: requests.Session
) -> None:
    url = running.url + ORDERS
    keys = {"consumer_key": "ck_sandbox", "consumer_secret": "cs_sandbox"}
    for answer in (session.get(url), session.get(url, auth=BASIC), session.get(url, params=keys)):
        assert code_of(answer) == CANNOT_VIEW
        known = recorded_answers()["401_no_auth"]
        assert answer.content == known.body
        assert "Cache-Control" not in answer.headers
    assert code_of(session.get(url, auth=("ck_sandbox", "wrong"))) == CANNOT_VIEW
    assert code_of(session.put(f"{url}/48", json={}))[1:] == (
        "woocommerce_rest_cannot_edit",
        "Sorry, you are not allowed to edit this resource.",
    )


def test_over_tls_basic_and_query_keys_work(running: RunningServer, session: requests.Session) -> None:
    url = running.url + ORDERS
    keys = {"consumer_key": "ck_sandbox", "consumer_secret": "cs_sandbox"}
    assert session.get(url, auth=BASIC, headers=TLS).status_code == 200
    assert session.get(url, params=keys, headers=TLS).status_code == 200
    assert code_of(session.get(url, auth=("ck_other", "x"), headers=TLS)) == CANNOT_VIEW
    assert code_of(session.get(url, auth=("ck_sandbox", ""), headers=TLS)) == CANNOT_VIEW
    wrong = session.get(url, auth=("ck_sandbox", "wrong"), headers=TLS)
    assert wrong.content == recorded_answers()["401_bad_secret"].body


def test_over_real_tls_basic_auth_works_and_links_say_https(
    shop: Shop, session: requests.Session, tmp_path: Path
) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "both.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    with serve(create_app(shop), ssl_context=context) as server:
        assert server.url.startswith("https://")
        answer = session.get(f"{server.url}{ORDERS}?per_page=1", auth=BASIC, verify=str(pem))
        assert answer.status_code == 200
        assert answer.headers["Link"].startswith(f"<{server.url}{ORDERS}?")
        oauth = OAuth1(*BASIC, signature_method="HMAC-SHA256")
        assert session.get(server.url + ORDERS, auth=oauth, verify=str(pem)).status_code == 200


def test_forwarded_tls_counts_only_behind_a_trusted_proxy(shop: Shop, session: requests.Session) -> None:
    with serve(create_app(shop)) as server:
        assert code_of(session.get(server.url + ORDERS, auth=BASIC, headers=TLS)) == CANNOT_VIEW


def test_keys_have_permissions(running: RunningServer, session: requests.Session) -> None:
    url = running.url + ORDERS
    read, write = ("ck_read", "cs_read"), ("ck_write", "cs_write")
    assert session.get(url, auth=read, headers=TLS).status_code == 200
    assert session.put(f"{url}/48", auth=write, headers=TLS, json={}).status_code == 200
    refused = session.put(f"{url}/48", auth=read, headers=TLS, json={})
    assert (refused.status_code, refused.content) == (401, recorded_answers()["401_readonly_write"].body)
    assert code_of(session.get(url, auth=write, headers=TLS)) == (
        401,
        REFUSED,
        "The API key provided does not have read permissions.",
    )


@pytest.mark.parametrize("method", ["HMAC-SHA1", "HMAC-SHA256"])
@pytest.mark.parametrize("place", ["AUTH_HEADER", "QUERY"])
def test_a_signed_request_is_let_in_over_plain_http(
    running: RunningServer, session: requests.Session, method: str, place: str
) -> None:
    auth = OAuth1(*BASIC, signature_method=method, signature_type=place)
    params = {"status": "processing,completed", "search": "é & + ~", "per_page": "5"}
    assert session.get(running.url + ORDERS, params=params, auth=auth).status_code == 200
    assert session.put(f"{running.url}{ORDERS}/48", json={"customer_note": "x"}, auth=auth).status_code == 200


def test_a_wrong_signature_is_refused(running: RunningServer, session: requests.Session) -> None:
    url = running.url + ORDERS
    wrong = session.get(url, auth=OAuth1("ck_sandbox", "wrong", signature_method="HMAC-SHA256"))
    assert code_of(wrong)[:2] == (401, REFUSED)
    signed = requests.Request("GET", url, params={"per_page": 5}, auth=OAuth1(*BASIC)).prepare()
    assert signed.url is not None
    signed.url = signed.url.replace("per_page=5", "per_page=6")
    assert code_of(session.send(signed))[:2] == (401, REFUSED)
    other = session.get(url, auth=OAuth1("ck_other", "x"))
    assert code_of(other) == CANNOT_VIEW


def test_a_used_nonce_is_refused_so_a_retry_must_sign_anew(
    running: RunningServer, session: requests.Session
) -> None:
    signed = requests.Request("GET", running.url + ORDERS, auth=OAuth1(*BASIC)).prepare()
    assert session.send(signed).status_code == 200
    message = "Invalid nonce - nonce has already been used."
    assert code_of(session.send(signed)) == (401, REFUSED, message)


def test_a_signature_of_long_ago_is_refused(running: RunningServer, session: requests.Session) -> None:
    old = OAuth1(*BASIC, timestamp=str(int(time.time()) - 3600))
    assert code_of(session.get(running.url + ORDERS, auth=old)) == (401, REFUSED, "Invalid timestamp.")


def test_keys_do_not_count_outside_wp_json(running: RunningServer, session: requests.Session) -> None:
    answer = session.get(f"{running.url}/", params={"rest_route": "/wc/v3/orders"}, auth=BASIC, headers=TLS)
    assert code_of(answer) == CANNOT_VIEW


# The server, faults and the control door


def control(running: RunningServer, path: str, body: object, method: str = "POST") -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.request(method, f"{running.url}/_sandbox/{path}", json=body).raise_for_status()


def test_a_connection_is_kept_for_many_requests(running: RunningServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=5)
    connection.request("GET", "/_sandbox/orders")
    connection.getresponse().read()
    opened = connection.sock
    for method in ("HEAD", "POST", "GET"):
        connection.request(method, ORDERS, b"{}" if method == "POST" else None)
        answer = connection.getresponse()
        assert answer.status == 401
        answer.read()
        assert connection.sock is opened
    connection.close()


@pytest.mark.parametrize("name", sorted(recorded_answers()))
def test_a_recorded_answer_can_be_asked_for(
    running: RunningServer, session: requests.Session, name: str
) -> None:
    control(running, "faults", {"match": {"method": "GET", "path": "orders$"}, "times": 1, "kind": name})
    known = recorded_answers()[name]
    headers = dict(known.headers)
    answer = session.get(running.url + ORDERS, auth=BASIC, headers=TLS)
    assert (answer.status_code, answer.content) == (known.status, known.body)
    assert answer.headers["Content-Type"] == headers["Content-Type"]
    assert answer.headers.get("Retry-After") == headers.get("Retry-After")
    assert session.get(running.url + ORDERS, auth=BASIC, headers=TLS).status_code == 200


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset", requests.ConnectionError),
        ("reset_after", requests.ConnectionError),
        ("timeout", requests.Timeout),
        ("timeout_after", requests.Timeout),
        ("truncated", requests.exceptions.ChunkedEncodingError),
    ],
)
def test_a_broken_connection_before_or_after_the_work(
    running: RunningServer, session: requests.Session, shop: Shop, kind: str, error: type[Exception]
) -> None:
    control(running, "faults", {"match": {"method": "PUT"}, "kind": kind, "seconds": 3})
    with pytest.raises(error):
        session.put(
            f"{running.url}{ORDERS}/48", json={"customer_note": "x"}, auth=BASIC, headers=TLS, timeout=1.0
        )
    assert (shop.order(48)["customer_note"] == "x") is (kind not in ("reset", "timeout"))
    again = session.put(f"{running.url}{ORDERS}/48", json={}, auth=BASIC, headers=TLS, timeout=5)
    assert again.status_code == 200


def test_faults_can_skip_some_requests_and_be_removed(
    running: RunningServer, session: requests.Session
) -> None:
    def status() -> int:
        return session.get(running.url + ORDERS, auth=BASIC, headers=TLS).status_code

    control(running, "faults", {"match": {"path": ORDERS}, "kind": "429_nginx", "times": 2, "skip": 1})
    assert [status() for _ in range(4)] == [200, 429, 429, 200]
    control(running, "faults", {"kind": "502_php_down", "times": -1})
    assert [status(), status()] == [502, 502]
    control(running, "faults", None, "DELETE")
    assert status() == 200
    bad = session.post(f"{running.url}/_sandbox/faults", json={"kind": "nonsense"})
    assert bad.status_code == 400


def test_the_log_has_every_request_without_body_or_secret(
    running: RunningServer, session: requests.Session
) -> None:
    keys = {"consumer_key": "ck_sandbox", "consumer_secret": "cs_sandbox", "page": "1"}
    session.get(running.url + ORDERS, params=keys, headers=TLS)
    session.put(f"{running.url}{ORDERS}/48", json={"customer_note": "private"})
    log = session.get(f"{running.url}/_sandbox/requests").json()
    assert [(one["method"], one["path"], one["status"]) for one in log] == [
        ("GET", ORDERS, 200),
        ("PUT", f"{ORDERS}/48", 401),
    ]
    assert "cs_sandbox" not in json.dumps(log)
    assert "private" not in json.dumps(log)
    control(running, "requests", None, "DELETE")
    assert session.get(f"{running.url}/_sandbox/requests").json() == []


def test_the_log_says_how_many_orders_a_batch_names(
    running: RunningServer, session: requests.Session
) -> None:
    batch = {"update": [{"id": 48}, {"id": 60}], "delete": [49]}
    session.post(f"{running.url}{ORDERS}/batch", json=batch, auth=BASIC, headers=TLS)
    session.get(f"{running.url}{ORDERS}/48", auth=BASIC, headers=TLS)
    log = session.get(f"{running.url}/_sandbox/requests").json()
    assert [one["entries"] for one in log] == [3, 0]


def test_latency_is_added_and_taken_away_at_run_time(
    running: RunningServer, session: requests.Session
) -> None:
    def took() -> float:
        start = time.perf_counter()
        session.get(running.url + ORDERS)
        return time.perf_counter() - start

    control(running, "latency", {"ms": 150}, "PUT")
    assert took() >= 0.15
    control(running, "latency", {"ms": 0}, "PUT")
    assert min(took() for _ in range(5)) < 0.1


def test_the_index_is_open_and_the_system_status_is_not(
    running: RunningServer, session: requests.Session
) -> None:
    assert session.get(f"{running.url}/wp-json/wc/v3/").json()["namespace"] == "wc/v3"
    url = f"{running.url}/wp-json/wc/v3/system_status"
    assert session.get(url).status_code == 401
    assert session.get(url, auth=BASIC, headers=TLS).json()["environment"]["version"] == "11.0.1"


def test_a_stopped_server_frees_its_port_and_a_taken_port_can_be_avoided(shop: Shop) -> None:
    app = create_app(shop)
    first = serve(app)
    with pytest.raises(OSError, match=r"in use"):
        serve(app, port=first.port)
    with serve(app, port=first.port, or_free=True) as other:
        assert other.port != first.port
    first.stop()
    first.stop()
    with serve(app, port=first.port) as again:
        assert again.port == first.port


def test_the_command_says_its_url_and_ends_on_sigterm() -> None:
    command = [sys.executable, "-m", "app.sandbox.shop", "--port", "0", "--empty"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.fullmatch(r"sandbox shop: (http://127\.0\.0\.1:\d+) \(0 orders, key ck_sandbox\)\n", line)
        assert match is not None, line
        assert requests.get(f"{match[1]}/_sandbox/orders", timeout=5).json() == []
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(timeout=10) == 0


# Section 9: webhooks


class Receiver:
    """A place for deliveries; ``status`` is what it answers."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers.items()), body))
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep the test output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook?a=1"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def events(self) -> list[tuple[str, bytes]]:
        return [
            (headers["X-WC-Webhook-Topic"], body)
            for headers, body in self.got
            if "X-WC-Webhook-Topic" in headers
        ]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def hook(
    running: RunningServer, session: requests.Session, receiver: Receiver, shop: Shop
) -> Callable[..., dict[str, Any]]:
    def create(topic: str, secret: str | None = "peer-secret") -> dict[str, Any]:
        data = {"topic": topic, "delivery_url": receiver.url, "secret": secret}
        answer = session.post(running.url + WEBHOOKS, json=data, auth=BASIC, headers=TLS)
        assert answer.status_code == 201, answer.text
        assert shop.webhooks.wait_idle()
        created: dict[str, Any] = answer.json()
        return created

    return create


def test_the_signature_is_the_one_of_the_recorded_deliveries(
    hook: Callable[..., dict[str, Any]], receiver: Receiver, shop: Shop
) -> None:
    secret = (SAMPLES / "SECRET").read_text().strip()
    hook("order.updated", secret)
    shop.touch(48)
    assert shop.webhooks.wait_idle()
    headers, body = receiver.got[-1]
    assert body == shop.order_bytes(48)
    signed = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    assert headers["X-WC-Webhook-Signature"] == base64.b64encode(signed).decode()
    assert re.fullmatch(r"[0-9a-f]{32}", headers["X-WC-Webhook-Delivery-ID"])
    recorded = json.loads((SAMPLES / "sample2.headers.json").read_text())
    assert set(headers) - {"Accept-Encoding"} == set(recorded) - {"Accept-Encoding"}
    for name in (
        "User-Agent",
        "Content-Type",
        "X-WC-Webhook-Topic",
        "X-WC-Webhook-Resource",
        "X-WC-Webhook-Event",
    ):
        assert headers[name] == recorded[name]


def test_a_new_webhook_is_active_pinged_and_keeps_its_secret(
    hook: Callable[..., dict[str, Any]], receiver: Receiver
) -> None:
    receiver.status = 500
    created = hook("order.created")
    assert created["status"] == "active"
    assert "secret" not in created
    headers, body = receiver.got[0]
    assert body == f"webhook_id={created['id']}".encode()
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert not any(name.startswith("X-WC") for name in headers)


def test_a_failed_ping_is_sent_again_with_every_later_delivery(
    hook: Callable[..., dict[str, Any]], receiver: Receiver, shop: Shop
) -> None:
    receiver.status = 500
    hook("order.updated")
    receiver.status = 200
    for _ in range(2):
        shop.touch(48)
        assert shop.webhooks.wait_idle()
    assert [body[:10] == b"webhook_id" for _, body in receiver.got] == [True, True, False, False]


def test_updates_of_one_moment_are_one_delivery_with_the_last_state(
    hook: Callable[..., dict[str, Any]], receiver: Receiver, shop: Shop
) -> None:
    hook("order.updated")
    shop.webhooks.delay = 0.2
    for number in range(4):
        shop.touch(48, f"edit {number}")
    shop.add_note(48, "quiet", for_customer=False)
    assert shop.webhooks.wait_idle()
    assert [json.loads(body)["customer_note"] for _, body in receiver.events()] == ["edit 3"]


def test_which_events_are_told(hook: Callable[..., dict[str, Any]], receiver: Receiver, shop: Shop) -> None:
    for event in ("created", "updated", "deleted", "restored"):
        hook(f"order.{event}")

    def told() -> list[str]:
        assert shop.webhooks.wait_idle()
        topics = sorted(topic for topic, _ in receiver.events())
        receiver.got.clear()
        return topics

    order_id = shop.create({"line_items": [{"sku": "WID-001"}]})
    assert told() == ["order.created", "order.updated"]
    shop.batch({"update": [{"id": number, "meta_data": []} for number in (48, 57, 60)]})
    assert told() == ["order.updated"] * 3
    shop.refund(48, {"amount": "1.00"})
    assert told() == ["order.updated"]
    shop.delete(order_id)
    assert shop.webhooks.wait_idle()
    assert receiver.events() == [("order.deleted", b'{"id":%d}' % order_id)]
    assert told() == ["order.deleted"]
    shop.restore(order_id)
    assert told() == ["order.restored"]
    shop.delete(order_id, force=True)
    assert told() == []


def test_an_order_deleted_before_its_delivery_is_told_as_an_error_signed_as_recorded(
    hook: Callable[..., dict[str, Any]], receiver: Receiver, shop: Shop
) -> None:
    hook("order.created")
    shop.webhooks.delay = 0.1
    shop.delete(shop.create({}), force=True)
    assert shop.webhooks.wait_idle()
    recorded = json.loads((SAMPLES / "sample0.headers.json").read_text())
    headers, body = receiver.got[-1]
    assert body == (SAMPLES / "sample0.body").read_bytes()
    assert headers["X-WC-Webhook-Signature"] == recorded["X-WC-Webhook-Signature"]
    assert headers["X-WC-Webhook-Topic"] == "order.created"


def test_a_failed_delivery_is_never_sent_again_and_six_disable_the_webhook(
    hook: Callable[..., dict[str, Any]],
    receiver: Receiver,
    shop: Shop,
    running: RunningServer,
    session: requests.Session,
) -> None:
    created = hook("order.updated")
    url = f"{running.url}{WEBHOOKS}/{created['id']}"

    def status() -> str:
        return str(session.get(url, auth=BASIC, headers=TLS).json()["status"])

    shop.webhooks.delay = 0
    receiver.status = 500
    for _ in range(5):
        shop.touch(48)
        assert shop.webhooks.wait_idle()
    assert status() == "active"
    shop.touch(48)
    assert shop.webhooks.wait_idle()
    assert (status(), len(receiver.events())) == ("disabled", 6)
    shop.touch(48)
    assert shop.webhooks.wait_idle()
    assert len(receiver.events()) == 6
    assert session.put(url, json={"status": "active"}, auth=BASIC, headers=TLS).json()["status"] == "active"
    receiver.status = 302
    shop.touch(48)
    assert shop.webhooks.wait_idle()
    assert len(receiver.events()) == 7
    assert session.get(f"{url}/deliveries", auth=BASIC, headers=TLS).json()["code"] == "rest_no_route"
    assert session.delete(url, auth=BASIC, headers=TLS).status_code == 501
    assert session.delete(f"{url}?force=true", auth=BASIC, headers=TLS).status_code == 200
    assert session.get(url, auth=BASIC, headers=TLS).status_code == 404
