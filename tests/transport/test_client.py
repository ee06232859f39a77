"""The HTTP client: every way a call can go wrong has its own name, and nothing waits longer or reads more than it may."""

import gzip
import json
import socket
import time
from collections.abc import Callable
from decimal import Decimal
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.errors import Misconfigured, Retry
from app.transport import NoAnswer, parse_json
from tests.domain.profile import REPEATABLE
from tests.transport.peers import Connection, client_of, peer, reset_on_close


def refuse_to_listen() -> str:
    """The address of a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_an_answer_has_its_status_its_headers_in_any_case_and_its_body() -> None:
    with peer(lambda call: call.reply(b'{"id": 7}', status=404, X_WP_Total="12")) as shop:
        answer = client_of(f"{shop.url}/wp-json/").request("GET", "/orders")
    assert (answer.status, answer.headers["x-wp-total"], answer.body) == (404, "12", b'{"id": 7}')
    assert (answer.is_json, answer.content_type) == (True, "application/json")
    assert [(each.method, each.target) for each in shop.received] == [("GET", "/wp-json/orders")]


def test_a_peer_that_says_nothing_gives_no_answer_after_the_timeout() -> None:
    def be_silent(call: Connection) -> None:
        call.close_connection = True
        call.peer.ended.wait(5)

    with peer(be_silent) as shop:
        started = time.monotonic()
        with pytest.raises(NoAnswer, match=r"no answer within 0\.2 s"):
            client_of(shop.url).request("GET", "/orders", timeout=0.2)
        assert time.monotonic() - started < 3.0
        assert len(shop.received) == 1


def _drip(call: Connection, *parts: bytes) -> None:
    """Each byte of the last part by itself; never silent for long, never done in time."""
    *whole, slow = parts
    for part in whole:
        call.raw(part)
    for at in range(len(slow)):
        if call.peer.ended.wait(0.05):
            break
        try:
            call.raw(slow[at : at + 1])
        except OSError:
            break
    call.close_connection = True


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(
            (b"HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n", b" " * 80), id="a body of known length"
        ),
        pytest.param((b"HTTP/1.1 200 OK\r\n\r\n", b" " * 80), id="a body that ends with the connection"),
        pytest.param(
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 15),
            id="a body in chunks",
        ),
        pytest.param((b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a" * 80 + b"\r\n\r\n"), id="headers"),
    ],
)
def test_an_answer_that_drips_in_is_given_up_soon_after_the_deadline(parts: tuple[bytes, ...]) -> None:
    with peer(lambda call: _drip(call, *parts)) as shop:
        started = time.monotonic()
        with pytest.raises(NoAnswer):
            client_of(shop.url).request("GET", "/orders", timeout=0.3)
        assert time.monotonic() - started < 3.0


def test_each_call_on_a_connection_that_is_kept_has_its_whole_time() -> None:
    def answer_slowly(call: Connection) -> None:
        call.peer.ended.wait(0.4)
        call.reply(b"[]")

    with peer(answer_slowly) as shop:
        client = client_of(shop.url, timeout=1.2)
        assert [client.request("GET", "/orders").body for _ in range(4)] == [b"[]"] * 4


class ResetAtOnce(Connection):
    """Resets the connection before it has read anything."""

    def handle(self) -> None:
        # Not before the request is on its way: a reset during the connecting is another story, in which nothing was sent.
        self.connection.recv(1, socket.MSG_PEEK)
        reset_on_close(self.connection)


def test_a_reset_before_the_request_is_read_gives_no_answer() -> None:
    with peer(lambda _call: None, ResetAtOnce) as shop, pytest.raises(NoAnswer):
        client_of(shop.url).request("POST", "/orders", json={"id": 1})
    assert shop.received == []


def test_a_reset_after_the_request_gives_no_answer_and_the_request_is_not_sent_again() -> None:
    with peer(Connection.reset) as shop, pytest.raises(NoAnswer):
        client_of(shop.url).request("GET", "/orders")
    assert len(shop.received) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"id": 1}',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1, 2",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!",
        b"",
        b"what is this\r\n\r\n",
    ],
    ids=["length", "chunk", "no gzip", "nothing", "no HTTP"],
)
def test_an_answer_that_is_cut_off_or_unreadable_is_no_answer(raw: bytes) -> None:
    with peer(lambda call: call.raw(raw)) as shop, pytest.raises(NoAnswer):
        client_of(shop.url).request("GET", "/orders")
    assert len(shop.received) == 1


@pytest.mark.parametrize("size", [1000, 1001])
def test_a_body_of_just_the_largest_size_is_read_and_one_byte_more_is_not(size: int) -> None:
    with peer(lambda call: call.reply(b" " * size)) as shop:
        client = client_of(shop.url, max_body=1000)
        if size == 1000:
            assert client.request("GET", "/orders").body == b" " * 1000
        else:
            with pytest.raises(NoAnswer, match="larger than 1000 bytes"):
                client.request("GET", "/orders")


def test_a_small_compressed_answer_that_unpacks_to_too_much_is_refused() -> None:
    packed = gzip.compress(b" " * 5_000_000)
    with (
        peer(lambda call: call.reply(packed, Content_Encoding="gzip")) as shop,
        pytest.raises(NoAnswer, match="larger than 100000 bytes"),
    ):
        client_of(shop.url, max_body=100_000).request("GET", "/orders")


def test_a_compressed_answer_is_unpacked() -> None:
    with peer(lambda call: call.reply(gzip.compress(b"[1, 2]"), Content_Encoding="gzip")) as shop:
        assert client_of(shop.url).request("GET", "/orders").body == b"[1, 2]"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_its_sentence_has_the_new_address_without_its_query(
    status: int,
) -> None:
    def redirect(call: Connection) -> None:
        call.reply(b"", status=status, Location=f"{call.peer.url}/moved?consumer_secret=cs_hidden")

    with peer(redirect) as shop, pytest.raises(Misconfigured) as refused:
        client_of(shop.url).request("GET", "/orders")
    assert refused.value.reason == (
        f"bgm: the service redirects to {shop.url}/moved; set the address to the one it redirects to."
    )
    assert [each.target for each in shop.received] == ["/orders"]


def test_a_next_link_on_the_same_host_is_followed_as_it_is() -> None:
    with peer(lambda call: call.reply(b"[]")) as shop:
        client_of(f"{shop.url}/api/v2.0").request("GET", f"{shop.url}/api/v2.0/items?$skiptoken=a%2Fb")
    assert [each.target for each in shop.received] == ["/api/v2.0/items?$skiptoken=a%2Fb"]


@pytest.mark.parametrize("link", ["HTTP://LOCALHOST:{port}/items", "http://Localhost:{port}/items"])
def test_a_next_link_is_followed_whatever_its_case(link: str) -> None:
    with peer(lambda call: call.reply(b"[]")) as shop:
        client_of(f"http://localhost:{shop.port}").request("GET", link.format(port=shop.port))
    assert [each.target for each in shop.received] == ["/items"]


@pytest.mark.parametrize(
    "link",
    [
        "http://169.254.169.254/latest",
        "http://127.0.0.2/items",
        "https://127.0.0.1:{port}/items",
        "http://127.0.0.1:1/items",
        "http://127.0.0.1:{port}@evil.example.test/items",
        "http://me:pw@127.0.0.1:{port}/items",
    ],
)
def test_a_next_link_to_another_host_port_or_scheme_is_refused_and_nothing_is_sent(link: str) -> None:
    with (
        peer(lambda call: call.reply(b"[]")) as shop,
        pytest.raises(Misconfigured, match=r"refers to another host \(.*\); it is not followed"),
    ):
        client_of(shop.url).request("GET", link.format(port=shop.port))
    assert shop.received == []


def test_a_refused_connection_may_be_tried_again() -> None:
    with pytest.raises(Retry) as refused:
        client_of(refuse_to_listen()).request("POST", "/orders", json={})
    assert refused.value.reason == "bgm: no connection to the service (it was refused)."
    assert refused.value.after is None


def test_a_name_that_does_not_resolve_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_arguments: object, **_options: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(Retry) as refused:
        client_of("https://shop.example.test").request("GET", "/orders")
    assert (
        refused.value.reason
        == "The name shop.example.test could not be resolved (Name or service not known)."
    )


@pytest.mark.parametrize("number", ["0.1", "119.00", "1234567890.12", "-0.05", "1E-7", "100", "0.00001"])
def test_decimal_numbers_are_sent_as_json_numbers_and_read_back_exactly(number: str) -> None:
    with peer(lambda call: call.reply(call.peer.received[-1].body)) as erp:
        answer = client_of(erp.url).request("POST", "/orders", json={"unitPrice": Decimal(number)})
    read = parse_json(answer.text)["unitPrice"]
    assert read == Decimal(number)
    assert isinstance(read, Decimal)
    assert b'"' not in erp.received[0].body.partition(b":")[2]
    assert erp.received[0].headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("number", ["0.1234567890123456789", "12345678901234567.89", "NaN"])
def test_a_number_that_a_reader_with_floats_would_change_is_not_sent(number: str) -> None:
    with (
        peer(lambda call: call.reply()) as erp,
        pytest.raises(ValueError, match="more digits than a JSON number carries safely"),
    ):
        client_of(erp.url).request("POST", "/orders", json={"unitPrice": Decimal(number)})
    assert erp.received == []


def test_blanks_and_signs_in_the_query_are_percent_encoded() -> None:
    with peer(lambda call: call.reply(b"[]")) as erp:
        client_of(erp.url).request("GET", "/items?$top=1", params={"$filter": "number eq 'A/B C+D&ü'"})
    (call,) = erp.received
    assert call.target == "/items?$top=1&%24filter=number%20eq%20%27A%2FB%20C%2BD%26%C3%BC%27"
    assert unquote(call.target.rpartition("=")[2]) == "number eq 'A/B C+D&ü'"


def test_a_form_is_sent_as_one() -> None:
    with peer(lambda call: call.reply()) as erp:
        client_of(erp.url).request("POST", "", form={"scope": "https://a/.default", "grant_type": "x y"})
    (call,) = erp.received
    assert call.body == b"scope=https%3A%2F%2Fa%2F.default&grant_type=x+y"
    assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_text_of_every_kind_is_sent_whole_also_half_a_surrogate_pair() -> None:
    with peer(lambda call: call.reply()) as erp:
        client_of(erp.url).request(
            "PATCH", "/customers(1)", json={"name": "Übel & 商 \ud83d"}, headers={"If-Match": "*"}
        )
    assert json.loads(erp.received[0].body) == {"name": "Übel & 商 \ud83d"}
    assert erp.received[0].headers["If-Match"] == "*"


def test_proxies_and_passwords_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with peer(lambda call: call.reply()) as shop:
        assert client_of(shop.url).request("GET", "/orders").status == 200
    assert "Authorization" not in shop.received[0].headers


_SECRETS = ("cs_secret", "Jane", "jane@example.test")


def _answered(call: Connection) -> None:
    call.reply(b'{"name": "Jane", "mail": "jane@example.test"}')


def _redirected(call: Connection) -> None:
    call.reply(b"Jane", status=302, Location="http://elsewhere.example.test/?secret=cs_secret")


@pytest.mark.parametrize(
    ("_case", "answerer", "outcome"),
    [
        ("answered", _answered, 200),
        ("reset", Connection.reset, "no_answer"),
        ("redirected", _redirected, "misconfigured"),
    ],
)
def test_each_call_leaves_one_log_line_without_query_and_body(
    _case: str, answerer: Callable[[Connection], None], outcome: int | str
) -> None:
    with capture_logs() as lines, peer(answerer) as shop:
        client = client_of(shop.url)
        said = ""
        try:
            client.request(
                "POST",
                "/orders?consumer_secret=cs_secret",
                params={"email": "jane@example.test"},
                json="Jane",
            )
        except (NoAnswer, Misconfigured) as error:
            said = str(error)
    assert [word for word in _SECRETS if word in said + repr(lines)] == []
    (line,) = lines
    milliseconds = line.pop("milliseconds")
    assert 0 <= milliseconds < 5000
    assert line == {
        "event": "http_call",
        "log_level": "info",
        "account": "bgm",
        "method": "POST",
        "path": "/orders",
        "outcome": outcome,
    }
    assert client.calls == 1


def test_a_call_that_never_left_is_logged_too() -> None:
    with capture_logs() as lines, pytest.raises(Retry) as refused:
        client_of(refuse_to_listen()).request("GET", "/orders", params={"consumer_secret": "cs_secret"})
    assert [(line["path"], line["outcome"]) for line in lines] == [("/orders", "retry")]
    assert "cs_secret" not in refused.value.reason + repr(lines)


@REPEATABLE
@given(values=st.lists(st.decimals(-(10**9), 10**9, places=5), max_size=50))
def test_every_amount_that_an_order_can_hold_is_sent_exactly(values: list[Decimal]) -> None:
    sent: list[bytes] = []

    class Kept(Exception):
        pass

    def keep(body: bytes) -> None:
        sent.append(body)
        raise Kept

    client = client_of("http://127.0.0.1:9")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "_exchange", lambda _method, _url, body, _headers, **_limits: keep(body))
        with pytest.raises(Kept):
            client.request("POST", "/", json=values)
    assert parse_json(sent[0].decode()) == values
