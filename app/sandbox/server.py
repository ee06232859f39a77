"""A small threaded HTTP/1.1 server that runs a sandbox application.

Werkzeug's own server closes the connection after every answer; this one keeps it open, sends headers
and body in one write with TCP_NODELAY, writes no request log, and can add a latency to every request.

An application can ask for a misbehaving connection by setting ``environ["sandbox.cut"]``:

* ``"reset"``: no answer at all, the connection is reset;
* ``"truncated"``: the headers with the full Content-Length, half of the body, then the end.

The running server itself is in ``environ["sandbox.server"]``. Its clock, as the Date header tells it, can be set off.
"""

from __future__ import annotations

import errno
import io
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

CONTROL_PREFIX = "/_sandbox/"
"""Paths under this prefix are the control door: they are answered without the added latency."""

_MAX_BODY = 64 * 1024 * 1024


def _reset(connection: socket.socket) -> None:
    """Make closing this connection send RST, so that the peer sees "connection reset"."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        return


class _Handler(WSGIRequestHandler):
    """Reads one whole request, runs the application, answers in one write, keeps the connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 0
    timeout = 120

    server: _Server

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (Werkzeug's name)
        """Log nothing: request lines may hold keys."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: request lines may hold keys."""

    def run_wsgi(self) -> None:
        """Answer one request."""
        if self.headers.get("Expect", "").strip().lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        environ = self.make_environ()
        try:
            self._take_body(environ)
        except ValueError:
            self.close_connection = True
            self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Entity Too Large", [], b"", head=False)
            return
        running = self.server.running
        environ["sandbox.server"] = running
        if running.latency_ms > 0 and not str(environ["PATH_INFO"]).startswith(CONTROL_PREFIX):
            time.sleep(running.latency_ms / 1000)
        try:
            code, reason, headers, body = self._run(environ)
        except Exception as error:  # noqa: BLE001 (a server must answer whatever the application raises)
            sys.stderr.write(f"sandbox: {type(error).__name__} while answering {self.command}: {error}\n")
            code, reason, headers, body = 500, "Internal Server Error", [("Content-Type", "text/plain")], b""
        cut = environ.get("sandbox.cut")
        if cut == "reset":
            _reset(self.connection)
            self.close_connection = True
            return
        if cut == "truncated":
            self.close_connection = True
            self._send(code, reason, headers, body[: len(body) // 2], head=False, length=len(body))
            return
        self._send(code, reason, headers, body, head=self.command == "HEAD")

    def _take_body(self, environ: WSGIEnvironment) -> None:
        """Read the whole request body, so that the next request starts where it should."""
        stream = environ["wsgi.input"]
        if environ.get("wsgi.input_terminated"):
            body = stream.read()
        else:
            length = int(environ.get("CONTENT_LENGTH") or 0)
            if not 0 <= length <= _MAX_BODY:
                raise ValueError("Content-Length out of bounds")
            body = stream.read(length) if length else b""
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ.pop("wsgi.input_terminated", None)

    def _run(self, environ: WSGIEnvironment) -> tuple[int, str, list[tuple[str, str]], bytes]:
        answer: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> Any:
            answer["status"], answer["headers"] = status, headers
            return written.append

        written: list[bytes] = []
        parts: Iterable[bytes] = self.server.app(environ, start_response)
        try:
            written.extend(parts)
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()
        code, _, reason = str(answer["status"]).partition(" ")
        return int(code), reason, answer["headers"], b"".join(written)

    def _send(
        self,
        code: int,
        reason: str,
        headers: list[tuple[str, str]],
        body: bytes,
        *,
        head: bool,
        length: int | None = None,
    ) -> None:
        lines = [f"HTTP/1.1 {code} {reason}"]
        names = set()
        for name, value in headers:
            lowered = name.lower()
            if lowered == "connection" or (lowered == "content-length" and not head):
                continue
            names.add(lowered)
            lines.append(f"{name}: {value}")
        if "date" not in names:
            lines.append(f"Date: {self.date_time_string(time.time() + self.server.running.clock_offset)}")
        if "content-length" not in names and code not in (204, 304):
            lines.append(f"Content-Length: {len(body) if length is None else length}")
        lines.append(f"Connection: {'close' if self.close_connection else 'keep-alive'}")
        start = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self.wfile.write(start if head else start + body)


class _Server(ThreadedWSGIServer):
    """A threaded server that knows its open connections, so that it can close them when stopped."""

    daemon_threads = True
    running: RunningServer

    def __init__(self, host: str, port: int, app: WSGIApplication, bound: socket.socket) -> None:
        self.connections: set[socket.socket] = set()
        self.connections_lock = threading.Lock()
        super().__init__(host, port, app, _Handler, fd=bound.fileno())

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Keep the connection in the list of open ones while it is served."""
        with self.connections_lock:
            self.connections.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self.connections_lock:
                self.connections.discard(request)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; one whose handler asked for a reset must not be shut down first."""
        try:
            linger = struct.unpack("ii", request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
        except OSError:
            linger = (0, 0)
        if linger[0]:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event worth a traceback."""

    def close_connections(self) -> None:
        """Shut every open connection down."""
        with self.connections_lock:
            open_now = list(self.connections)
        for connection in open_now:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class RunningServer:
    """A server that answers until :meth:`stop`; also a context manager."""

    def __init__(self, server: _Server, scheme: str, latency_ms: float, clock_offset: float) -> None:
        self.latency_ms: float = latency_ms
        self.clock_offset: float = clock_offset
        """Seconds by which the Date header is ahead."""
        self.host: str = str(server.host)
        self.port: int = server.port
        self.url: str = f"{scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"
        self._server = server
        self._stopped = False
        self._thread = threading.Thread(
            target=server.serve_forever,
            kwargs={"poll_interval": 0.01},
            name=f"sandbox-{self.port}",
            daemon=True,
        )
        server.running = self
        self._thread.start()

    def stop(self) -> None:
        """Stop answering, close every connection, free the port. May be called twice."""
        if self._stopped:
            return
        self._stopped = True
        self._server.shutdown()
        self._thread.join(timeout=5)
        self._server.close_connections()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def clock_ahead(seconds: float) -> Callable[[], datetime]:
    """A clock (UTC) that is so many seconds ahead of the real time."""
    offset = timedelta(seconds=seconds)
    return lambda: datetime.now(UTC) + offset


def _bind(host: str, port: int, *, or_free: bool) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
        bound.listen(128)
    except OSError as error:
        bound.close()
        if or_free and port and error.errno in (errno.EADDRINUSE, errno.EACCES):
            return _bind(host, 0, or_free=False)
        raise
    return bound


def serve(
    app: Any,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    latency_ms: float = 0,
    ssl_context: ssl.SSLContext | None = None,
    or_free: bool = False,
    clock_offset: float = 0,
) -> RunningServer:
    """Serve a WSGI application from a background thread and return at once, ready to answer.

    Port 0 takes a free port; ``or_free`` takes one when the asked port is in use (else OSError).
    ``clock_offset`` is by how many seconds its Date header is ahead.
    """
    bound = _bind(host, port, or_free=or_free)
    try:
        server = _Server(host, bound.getsockname()[1], cast("WSGIApplication", app), bound)
    finally:
        bound.close()
    if ssl_context is not None:
        server.socket = ssl_context.wrap_socket(server.socket, server_side=True)
        server.ssl_context = ssl_context
    return RunningServer(server, "http" if ssl_context is None else "https", latency_ms, clock_offset)
