"""The proxy's weather, on a small server of its own."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from app.sandbox.server import RunningServer, serve
from tests.chaos.proxy import Proxies, Proxy, Weather

_BODY = b"x" * 5000


class Server:
    """Answers with the same body and keeps what it was sent."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.got.append(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [_BODY]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def running(server: Server) -> Iterator[RunningServer]:
    with serve(server) as running:
        yield running


@pytest.fixture
def proxy(running: RunningServer) -> Iterator[Proxy]:
    with Proxies() as proxies:
        yield proxies.before(host="127.0.0.1", port=running.port, seed=1)


def test_in_calm_weather_every_request_of_a_connection_is_answered(proxy: Proxy, server: Server) -> None:
    with requests.Session() as session:
        answers = [session.post(proxy.url, data=b"y" * 200_000, timeout=5) for _ in range(3)]
    assert [answer.content for answer in answers] == [_BODY] * 3
    assert [len(body) for body in server.got] == [200_000] * 3
    assert not proxy.met


def test_a_request_that_is_reset_never_reaches_the_server(proxy: Proxy, server: Server) -> None:
    proxy.weather = Weather(reset=1.0)
    with pytest.raises(requests.ConnectionError):
        requests.post(proxy.url, data=b"y", timeout=5)
    assert server.got == []
    assert proxy.met == {"reset": 1}


def test_a_lost_answer_is_lost_after_the_server_has_the_request(proxy: Proxy, server: Server) -> None:
    proxy.weather = Weather(lost=1.0)
    with pytest.raises(requests.ConnectionError):
        requests.post(proxy.url, data=b"y", timeout=5)
    assert server.got == [b"y"]
    assert proxy.met == {"lost": 1}


def test_a_half_open_connection_is_taken_and_never_answered(proxy: Proxy, server: Server) -> None:
    proxy.weather = Weather(half_open=1.0)
    with pytest.raises(requests.ReadTimeout):
        requests.post(proxy.url, data=b"y", timeout=0.5)
    assert server.got == []
    assert proxy.met == {"half_open": 1}


def test_a_cut_answer_ends_after_its_first_bytes(proxy: Proxy, server: Server) -> None:
    proxy.weather = Weather(cut=1.0, cut_after=1000)
    with (
        requests.post(proxy.url, data=b"y", timeout=5, stream=True) as answer,
        pytest.raises(requests.exceptions.ChunkedEncodingError),
    ):
        _ = answer.content
    assert server.got == [b"y"]
    assert proxy.met == {"cut": 1}


def test_an_answer_that_is_shorter_than_the_cut_is_whole_and_counts_as_nothing(proxy: Proxy) -> None:
    proxy.weather = Weather(cut=1.0, cut_after=100_000)
    with requests.Session() as session:
        assert [session.get(proxy.url, timeout=5).content for _ in range(20)] == [_BODY] * 20
    assert not proxy.met


def test_latency_is_added_to_a_request(proxy: Proxy) -> None:
    proxy.weather = Weather(latency=0.2)
    began = time.monotonic()
    with requests.Session() as session:
        for _ in range(5):
            assert session.get(proxy.url, timeout=5).content == _BODY
    assert time.monotonic() - began > 0.1


def test_the_weather_changes_while_a_connection_is_open(proxy: Proxy, server: Server) -> None:
    with requests.Session() as session:
        assert session.get(proxy.url, timeout=5).content == _BODY
        proxy.weather = Weather(lost=1.0)
        with pytest.raises(requests.ConnectionError):
            session.get(proxy.url, timeout=5)
        proxy.weather = Weather()
        assert session.get(proxy.url, timeout=5).content == _BODY
    assert len(server.got) == 3


def test_a_server_that_is_away_is_a_reset_to_its_client(proxy: Proxy, running: RunningServer) -> None:
    running.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(proxy.url, timeout=5)


def test_the_same_seed_brings_the_same_mishaps(running: RunningServer) -> None:
    met = []
    with Proxies() as proxies:
        for _ in range(2):
            proxy = proxies.before(host="127.0.0.1", port=running.port, seed=7)
            proxy.weather = Weather(reset=0.3, lost=0.3)
            fates = []
            for _ in range(12):
                try:
                    requests.get(proxy.url, timeout=5)
                    fates.append("answered")
                except requests.ConnectionError:
                    fates.append("not")
            met.append((fates, dict(proxy.met)))
    assert met[0] == met[1]
    assert set(met[0][1]) == {"reset", "lost"}
