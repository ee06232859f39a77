"""Services on loopback that alerts are told to: a mail server and a web server, which keep what comes or refuse it."""

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, TypeVar, cast

Server = TypeVar("Server", bound=socketserver.BaseServer)


class _Mail(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = cast("MailServer", self.server)
        self._say("220 sink")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self._say("354 go on")
                body = b""
                while (part := self.rfile.readline()) not in {b".\r\n", b""}:
                    body += part.removeprefix(b".") if part.startswith(b"..") else part
                server.mails.append(message_from_bytes(body, policy=policy.default))
                self._say("250 kept")
            elif word == b"QUIT":
                self._say("221 bye")
                return
            elif word == b"MAIL" and server.refuses:
                self._say("451 not now")
            elif word == b"RCPT" and server.unknown and server.unknown.encode() in line:
                self._say("550 nobody of that name")
            else:
                self._say("250 sink")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class MailServer(socketserver.ThreadingTCPServer):
    """Keeps every mail."""

    daemon_threads = True

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses = False
        self.unknown = ""
        super().__init__(("127.0.0.1", 0), _Mail)

    @property
    def url(self) -> str:
        return (
            f"mailto://127.0.0.1:{self.server_address[1]}"
            "?from=sync@example.test&to=ops@example.test&mode=insecure"
        )


class _Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = cast("HookServer", self.server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if server.before is not None:
            server.before()
        if server.status == 200:
            server.told.append(json.loads(body))
        else:
            server.refused += 1
        self.send_response(server.status)
        if server.status == 302:
            self.send_header("Location", server.elsewhere)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing on the terminal."""


class HookServer(http.server.ThreadingHTTPServer):
    """Keeps every message that is posted, unless `status` is a refusal; `before` is called for each before it is answered."""

    daemon_threads = True

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.status = 200
        self.refused = 0
        self.elsewhere = ""
        self.before: Any = None
        super().__init__(("127.0.0.1", 0), _Hook)

    @property
    def url(self) -> str:
        return f"json://user:hook-password@127.0.0.1:{self.server_address[1]}/hidden-path"

    def titles(self) -> list[str]:
        return [each["title"] for each in self.told]


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
