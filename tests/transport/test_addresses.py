"""Where we connect: public addresses, and private ones only where a person said so."""

import socket

import pytest

from app.errors import Misconfigured
from app.transport import check_address
from app.transport.addresses import allowed_addresses, is_loopback, origin, port_of
from tests.transport.peers import client_of, peer

PUBLIC = "93.184.216.34"


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name resolve to these addresses; gives the list of names that were asked for."""
    asked: list[str] = []

    def answer(host: str, port: int, *_more: object, **_options: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.8.9.10",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fc00::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[ff0e::1]",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_a_private_literal_is_refused_unless_it_is_allowed(host: str) -> None:
    with pytest.raises(
        Misconfigured, match="is a private or local address; add --allow-private if that is meant"
    ):
        check_address(f"http://{host}:8090/x", allow_private=False)
    check_address(f"http://{host}:8090/x", allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        f"https://{PUBLIC}",
        "https://[2606:2800:220:1::1]/x",
        "https://shop.example.test:8443/a",
        f"https://[64:ff9b::{PUBLIC}]",
        "https://[2002:5db8:d822::1]",
    ],
)
def test_a_public_address_is_fine(url: str) -> None:
    check_address(url, allow_private=False)


@pytest.mark.parametrize(
    "url", ["", "shop.example.test", "ftp://shop.example.test", "file:///etc/passwd", "https://"]
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match=r"must begin with https:// \(or http://\) and name a host"):
        check_address(url, allow_private=True)


@pytest.mark.parametrize(
    "url", ["http://[::1", "https://shop.example.test:abc", "https://shop.example.test:99999"]
)
def test_an_address_that_cannot_be_taken_apart_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        check_address(url, allow_private=True)
    assert refused.value.reason == "The address cannot be read: its host or its port is malformed."


@pytest.mark.parametrize("host", ["a..example.test", "x" * 64 + ".test"])
def test_a_name_that_can_be_no_hosts_is_refused_with_a_sentence(host: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        allowed_addresses(host, 443, allow_private=False)
    assert refused.value.reason == f"{host} is not the name of a host."


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example.test/x", "HTTPS://A.Example.TEST:443/y", True),
        ("http://a.example.test", "http://a.example.test:80/", True),
        ("https://a.example.test", "https://a.example.test:80", False),
        ("https://a.example.test", "http://a.example.test:443", False),
        ("https://a.example.test", "https://b.example.test", False),
        ("https://a.example.test", "https://me@a.example.test", False),
    ],
)
def test_two_addresses_are_of_one_service_by_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    assert (origin(one) == origin(other)) is same


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(Misconfigured) as refused:
        check_address("https://me:cs_hidden@shop.example.test", allow_private=True)
    assert refused.value.reason == "Put user names and passwords into --credential, not into the address."


@pytest.mark.parametrize("addresses", [("10.0.0.1",), (PUBLIC, "127.0.0.1"), ("::1",), ("fe80::1%eth0",)])
def test_a_name_that_leads_inside_is_refused_at_the_connection(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    with peer(lambda call: call.reply()) as shop:
        client = client_of(f"http://shop.example.test:{shop.port}", allow_private=False)
        resolve_to(monkeypatch, *addresses)
        with pytest.raises(Misconfigured, match=r"shop\.example\.test resolves to the private address"):
            client.request("GET", "/orders")
    assert shop.received == []


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0177.0.0.1",
        "127.1",
        "0x7f.1",
        "0",
        "①②⑦.0.0.1",
        "localhost",
    ],
)
def test_other_ways_to_write_an_address_lead_nowhere_either(host: str) -> None:
    """They are resolved by the system's own rules, as a connection would be, and what comes out is looked at."""
    with pytest.raises(Misconfigured, match="resolves to the private address"):
        allowed_addresses(*port_of(f"https://{host}"), allow_private=False)


def test_a_name_that_leads_elsewhere_at_the_second_look_is_refused_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with peer(lambda call: call.reply()) as inside:
        url = f"https://shop.example.test:{inside.port}"
        resolve_to(monkeypatch, PUBLIC)
        check_address(url, allow_private=False)
        assert allowed_addresses(*port_of(url), allow_private=False) == [PUBLIC]
        client = client_of(url, allow_private=False)
        resolve_to(monkeypatch, "127.0.0.1")
        with pytest.raises(Misconfigured, match=r"resolves to the private address 127\.0\.0\.1"):
            client.request("GET", "/orders")
    assert inside.received == []


def test_a_client_for_a_private_literal_is_not_even_made() -> None:
    with pytest.raises(Misconfigured):
        client_of("http://127.0.0.1:1", allow_private=False)


def test_the_connection_goes_to_an_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with peer(lambda call: call.reply()) as shop:
        client = client_of(f"http://shop.example.test:{shop.port}")
        asked = resolve_to(monkeypatch, "127.0.0.1")
        assert client.request("GET", "/orders").status == 200
    # Asked once by name: what the name resolves to a moment later does not count.
    assert asked.count("shop.example.test") == 1
    assert shop.received[0].headers["Host"] == f"shop.example.test:{shop.port}"


def test_the_next_address_is_tried_where_the_first_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with peer(lambda call: call.reply()) as shop:
        client = client_of(f"http://shop.example.test:{shop.port}")
        resolve_to(monkeypatch, "::1", "127.0.0.1")
        assert client.request("GET", "/orders").status == 200


def test_all_addresses_of_a_name_are_given_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, PUBLIC, PUBLIC, "2606:2800:220:1::1")
    found = allowed_addresses("shop.example.test", 443, allow_private=False)
    assert found == [PUBLIC, "2606:2800:220:1::1"]


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8090", True),
        ("http://localhost/x", True),
        ("http://[::1]:80", True),
        ("http://10.0.0.1", False),
        ("https://localhost.example.test", False),
        ("https://127.0.0.1.example.test", False),
        ("nonsense", False),
    ],
)
def test_loopback_is_known_by_literal_or_by_the_name_localhost_alone(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_the_port_is_the_named_one_or_the_schemes() -> None:
    assert port_of("https://a.example.test/x") == ("a.example.test", 443)
    assert port_of("http://a.example.test") == ("a.example.test", 80)
    assert port_of("http://[::1]:8090") == ("::1", 8090)
