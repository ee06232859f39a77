"""The server, and the bell that is rung beside it so that nobody who sends a webhook waits for the broker."""

import http.client
import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog
from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.wsgi import Server
from flask import Flask

from app.errors import Misconfigured
from app.ports.deliveries import DueSite
from app.web.application import MAX_BODY

log = structlog.get_logger("ordersync.web")

_SECONDS_BETWEEN_BYTES = 10
_SECONDS_TO_END = 10
_LONGEST_HEADERS = 32 * 1024
_WAITING = 128
_CHECK_SECONDS = 5.0


class Ringer:
    """Rings for sites in a thread of its own, each once however many deliveries came meanwhile; a context manager.

    What `send` fails for is rung by the sweeper.
    """

    def __init__(self, send: Callable[[DueSite], None]) -> None:
        self._send = send
        self._due: dict[int, DueSite] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="ringer", daemon=True)

    def ring(self, site: DueSite) -> None:
        """Returns at once."""
        with self._changed:
            self._due[site.id] = site
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due or self._ended)
                due, self._due = tuple(self._due.values()), {}
                if not due:
                    return
            for site in due:
                try:
                    self._send(site)
                except Exception:
                    # The bell goes on for the next one; the sweeper rings for this one.
                    log.exception("not_rung", site=site.name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(_SECONDS_TO_END)


class _Request(HTTPRequest):
    def respond(self) -> None:
        """A body of unknown length may not have been read to its end: what is left must not be taken for the next request."""
        self.close_connection = self.close_connection or self.chunked_read
        super().respond()


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request


class _Server(Server):
    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - cheroot's
        """What the server itself has to say, in a line of ours; a trace of its may quote a request."""
        log.warning("server_says", said=msg.partition("\n")[0])


class RunningServer:
    """The application behind a port until the end of the `with`, where requests under way are answered first."""

    def __init__(self, app: Flask, *, address: str, port: int, threads: int) -> None:
        self._server = _Server(
            (address, port),
            app,
            numthreads=threads,
            # Not what it is made of. The name must not be empty (PEP 3333).
            server_name="web",
            request_queue_size=_WAITING,
            timeout=_SECONDS_BETWEEN_BYTES,
            shutdown_timeout=_SECONDS_TO_END,
        )
        self._server.ConnectionClass = _Connection
        self._server.max_request_header_size = _LONGEST_HEADERS
        # Refused by the application, which says so in its own way; this is for what claims to be far larger.
        self._server.max_request_body_size = 2 * MAX_BODY
        self._thread = threading.Thread(target=self._server.serve, name="web", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        found: int = self._server.bind_addr[1]
        return found

    def __enter__(self) -> Self:
        try:
            self._server.prepare()
        except OSError as error:
            host, port, *_ = self._server.bind_addr
            raise Misconfigured(
                f"The web server cannot listen on {host}:{port} ({error.strerror or error})."
            ) from None
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        self._thread.join(_SECONDS_TO_END)


def serve(app: Flask, *, address: str, port: int, threads: int) -> None:
    """Serve until SIGTERM or Ctrl-C, then answer what is under way and end. Raises `Misconfigured` where the port cannot be had."""
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    with RunningServer(app, address=address, port=port, threads=threads):
        log.info("web_started", address=address, port=port)
        asked.wait()
    log.info("web_stopped")


def answers(*, address: str, port: int) -> bool:
    """Whether one answers there."""
    connection = http.client.HTTPConnection(address, port, timeout=_CHECK_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
