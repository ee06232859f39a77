"""Small HTTP peers on loopback that answer as a test tells them to, well or badly."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from app.transport import HttpClient


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Peer:
    """A running peer: where it listens and what it was asked. `ended` is set when the test is over."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


Answerer = Callable[["Connection"], None]


class Connection(BaseHTTPRequestHandler):
    """One request on one connection. A test's answerer writes raw bytes or uses `reply`."""

    protocol_version = "HTTP/1.1"
    peer: Peer
    answerer: Answerer

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.peer.received.append(Received(self.command, self.path, dict(self.headers.items()), body))
        type(self).answerer(self)

    do_GET = do_POST = do_PATCH = _answer  # noqa: N815 - the base class's names

    def reply(self, body: bytes = b"{}", *, status: int = 200, **headers: str) -> None:
        """A whole answer; underscores in header names stand for hyphens."""
        self.send_response(status)
        for name, value in {"Content_Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def raw(self, data: bytes) -> None:
        """Bytes as they are, and no further request on this connection."""
        self.close_connection = True
        self.wfile.write(data)

    def reset(self) -> None:
        """Close so that the other side sees a reset."""
        self.close_connection = True
        reset_on_close(self.connection)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def reset_on_close(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def shutdown_request(self, request: object) -> None:
        # The base class sends a polite FIN first, which would hide a reset.
        self.close_request(request)  # type: ignore[arg-type]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone away is what these tests are about."""


@contextmanager
def peer(answerer: Answerer, handler: type[Connection] = Connection) -> Iterator[Peer]:
    """A peer for the length of a `with` block."""
    made = Peer()
    bound = type("Bound", (handler,), {"peer": made, "answerer": staticmethod(answerer)})
    server = _Server(("127.0.0.1", 0), bound)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def client_of(
    url: str, *, timeout: float = 5.0, allow_private: bool = True, max_body: int = 1_000_000
) -> HttpClient:
    return HttpClient(
        account="bgm", base_url=url, timeout=timeout, allow_private=allow_private, max_body=max_body
    )
