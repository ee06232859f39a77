"""A client keeps to its account's limits: it waits within the time it has, else nothing is sent and it says when to come back."""

import time
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from app.errors import Held, Misconfigured, Retry
from app.ports.limiters import Ceilings, Limiter
from app.sandbox.server import serve
from app.transport import HttpClient, LocalLimiters, NoAnswer
from app.transport.limits import FAILURES_TO_OPEN, LocalLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Peer:
    """Answers as it is told, and counts."""

    def __init__(self) -> None:
        self.status, self.headers, self.seconds = 200, dict[str, str](), 0.0
        self.requests = 0

    def __call__(self, environ: dict[str, object], start_response: object) -> list[bytes]:
        self.requests += 1
        time.sleep(self.seconds)
        start_response(f"{self.status} Told", [("Content-Length", "2"), *self.headers.items()])  # type: ignore[operator] # WSGI
        return [b"{}"]


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def url(peer: Peer) -> Iterator[str]:
    with serve(peer) as server:
        yield server.url


def limiter_on(clock: Clock, *, at_once: int = 4) -> LocalLimiter:
    limiters = LocalLimiters(clock=clock, jitter=lambda: 0.0)
    return limiters.of(name="bgm", counted_by=("x",), ceilings=Ceilings(at_once=at_once))


def client_of(url: str, limiter: Limiter, *, timeout: float = 2.0, clock: Clock | None = None) -> HttpClient:
    def sleep(seconds: float) -> None:
        assert clock is not None, f"nothing should be waited for, but {seconds} s were"
        clock.now += seconds

    return HttpClient(
        account="bgm", base_url=url, timeout=timeout, allow_private=True, limiter=limiter, sleep=sleep
    )


def test_a_short_wait_is_waited_for_and_a_long_one_handed_on_with_nothing_sent(
    url: str, peer: Peer, clock: Clock
) -> None:
    client = client_of(url, limiter_on(clock), timeout=4.0, clock=clock)
    peer.status, peer.headers = 429, {"Retry-After": "1"}
    assert client.request("GET", "/a").status == 429
    peer.status, peer.headers = 200, {}
    assert client.request("GET", "/a").status == 200
    assert clock.now == pytest.approx(1001.0)
    peer.status, peer.headers = 429, {"Retry-After": "30"}
    client.request("GET", "/a")
    with capture_logs() as lines, pytest.raises(Held) as error:
        client.request("POST", "/a", json={})
    assert error.value.after == pytest.approx(30.0)
    assert error.value.reason == "bgm has asked for fewer calls; it is called again in 30 s."
    assert peer.requests == 3
    assert [(line["event"], line["why"]) for line in lines] == [("http_held", "slowed")]


def test_an_open_breaker_is_not_waited_for_and_closes_with_the_first_success(
    url: str, peer: Peer, clock: Clock
) -> None:
    client = client_of(url, limiter_on(clock), timeout=60.0)
    peer.status = 503
    with capture_logs() as lines:
        for _ in range(FAILURES_TO_OPEN):
            client.request("GET", "/a")
        with pytest.raises(Retry) as error:
            client.request("POST", "/a", json={})
        clock.now += 15.1
        peer.status = 200
        assert client.request("GET", "/a").status == 200
    assert type(error.value) is Retry  # The peer has failed, and whoever meets this has as well.
    assert error.value.after == pytest.approx(15.0)
    assert error.value.reason == (
        "bgm failed again and again (it answered 503); it is left alone, and asked again in 15 s."
    )
    assert peer.requests == FAILURES_TO_OPEN + 1
    told = [line for line in lines if line["event"].startswith("breaker")]
    assert [(line["event"], line["log_level"], line["account"]) for line in told] == [
        ("breaker_opened", "warning", "bgm"),
        ("breaker_closed", "info", "bgm"),
    ]
    assert (told[0]["seconds"], told[0]["failure"]) == (15.0, "it answered 503")


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 429])
def test_answers_about_an_order_and_refusals_open_no_breaker(
    url: str, peer: Peer, clock: Clock, status: int
) -> None:
    client = client_of(url, limiter_on(clock), timeout=4.0, clock=clock)
    peer.status, peer.headers = status, {"Retry-After": "1"}
    for _ in range(2 * FAILURES_TO_OPEN):
        assert client.request("GET", "/a").status == status
    assert peer.requests == 2 * FAILURES_TO_OPEN


@pytest.mark.parametrize("named", ["0", "00", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_refusal_that_names_no_time_to_wait_is_backed_off_from_like_one_that_names_none(
    url: str, peer: Peer, clock: Clock, named: str
) -> None:
    client = client_of(url, limiter_on(clock))
    peer.status, peer.headers = 429, {"Retry-After": named}
    for seconds in (15.0, 30.0):
        assert client.request("GET", "/a").status == 429
        with pytest.raises(Held) as error:
            client.request("GET", "/a")
        assert error.value.after == pytest.approx(seconds)
        clock.now += seconds


def test_a_peer_that_refuses_the_connection_or_gives_no_answer_opens_it(
    url: str, peer: Peer, clock: Clock
) -> None:
    peer.seconds = 0.3
    limiter = limiter_on(clock)
    slow = client_of(url, limiter, timeout=0.1)
    gone = client_of("http://127.0.0.1:1", limiter, timeout=0.1)
    for _ in range(2):
        with pytest.raises(NoAnswer):
            slow.request("GET", "/a")
    for _ in range(FAILURES_TO_OPEN - 2):
        with pytest.raises(Retry, match="no connection to the service"):
            gone.request("GET", "/a")
    with pytest.raises(
        Retry, match=r"again \(no connection to the service \(it was refused\)\); it is left alone"
    ):
        slow.request("GET", "/a")


def test_an_address_that_may_not_be_called_says_nothing_about_the_account(
    url: str, peer: Peer, clock: Clock
) -> None:
    client = client_of(url, limiter_on(clock))
    peer.status, peer.headers = 301, {"Location": "https://elsewhere.example/"}
    for _ in range(2 * FAILURES_TO_OPEN):
        with pytest.raises(Misconfigured):
            client.request("GET", "/a")


def test_a_place_is_waited_for_no_longer_than_half_of_the_time_of_the_call(
    url: str, peer: Peer, clock: Clock
) -> None:
    limiter = limiter_on(clock, at_once=1)
    limiter.enter(lasts=1000.0)
    client = HttpClient(account="bgm", base_url=url, timeout=2.0, allow_private=True, limiter=limiter)
    started = time.monotonic()
    with pytest.raises(Held, match="as many calls are running as it takes at once"):
        client.request("POST", "/a", json={})
    assert 0.5 < time.monotonic() - started < 1.9
    assert peer.requests == 0


def test_what_makes_a_call_needless_while_it_waited_keeps_it_from_being_sent(
    url: str, peer: Peer, clock: Clock
) -> None:
    limiter = limiter_on(clock, at_once=1)
    client = client_of(url, limiter)

    def too_late() -> None:
        raise Retry("too late")

    with pytest.raises(Retry, match="too late"):
        client.request("POST", "/a", json={}, just_before=too_late)
    assert peer.requests == 0
    client.request("GET", "/a")  # Its place was given back.
