"""Every call that is made is counted once, by its answer's status or by why there was no answer."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from app.errors import Misconfigured, Retry
from app.ports.limiters import Changed, Report
from app.runtime import free_port
from app.transport import HttpClient, NoAnswer
from tests.transport.peers import Connection, peer


@dataclass
class Counts:
    """A limiter that lets every call go out, and keeps what became of it."""

    statuses: list[str] = field(default_factory=list)

    def enter(self, *, lasts: float) -> str:
        return "place"

    def leave(self, place: str, report: Report) -> Changed | None:
        self.statuses.append(report.status)
        return None


def counted(url: str, *, timeout: float = 2.0, just_before: Callable[[], None] = lambda: None) -> list[str]:
    """By what one call is counted."""
    counts = Counts()
    client = HttpClient(
        account="bgm", base_url=url, timeout=timeout, allow_private=True, max_body=1000, limiter=counts
    )
    with suppress(Retry, NoAnswer, Misconfigured, ZeroDivisionError):
        client.request("GET", "/orders", just_before=just_before)
    return counts.statuses


def hang(connection: Connection) -> None:
    connection.peer.ended.wait(5)


def hang_amid_the_answer(connection: Connection) -> None:
    connection.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    connection.peer.ended.wait(5)


def cut_off(connection: Connection) -> None:
    connection.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


@pytest.mark.parametrize(
    ("answerer", "status"),
    [
        (lambda connection: connection.reply(), "200"),
        (lambda connection: connection.reply(status=404), "404"),
        (lambda connection: connection.reply(status=429, Retry_After="7"), "429"),
        (lambda connection: connection.reply(status=503), "503"),
        (lambda connection: connection.reply(status=302, Location="https://elsewhere.example/"), "error"),
        (lambda connection: connection.reply(b"x" * 2000), "error"),
        (lambda connection: connection.raw(b"nonsense\r\n\r\n"), "reset"),
        (lambda connection: connection.raw(b""), "reset"),
        (Connection.reset, "reset"),
        (cut_off, "reset"),
        (hang, "timeout"),
        (hang_amid_the_answer, "timeout"),
    ],
)
def test_a_call_is_counted_by_what_became_of_it(answerer: Callable[[Connection], None], status: str) -> None:
    with peer(answerer) as made:
        assert counted(made.url, timeout=0.4) == [status]


def test_a_connection_that_is_refused_and_a_name_that_leads_nowhere_are_counted() -> None:
    assert counted(f"http://127.0.0.1:{free_port(0)}") == ["refused"]
    assert counted("http://nowhere.invalid") == ["error"]


def test_what_was_never_sent_is_not_counted() -> None:
    def stop() -> None:
        raise ZeroDivisionError

    with peer(lambda connection: connection.reply()) as made:
        assert counted(made.url, just_before=stop) == [""]
        assert made.received == []
