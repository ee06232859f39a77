"""Faults on demand, and the log of requests (contract sections 9 and 10)."""

from __future__ import annotations

import re
import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from app.sandbox.faults import Fault, Faults
from app.sandbox.server import CONTROL_PREFIX

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CONNECTION_KINDS = ("reset", "reset_after", "timeout", "timeout_after", "truncated", "slow")
"""No answer at all, before or after the work was done; half an answer; a late one."""


@dataclass(frozen=True)
class Canned:
    """An answer in place of the true one; without a body it is the error shape of the version that was called."""

    status: int
    body: str | None = None
    content_type: str = "application/json"
    limit_headers: bool = True


_HTML = "text/html; charset=UTF-8"
_MAINTENANCE = (
    "<!DOCTYPE html><html><title>Down for maintenance</title><body>We will be back shortly.</body></html>"
)
_CONTRADICTION = '[{"status": 404, "message": "This went wrong."}]'
_DATA_422 = '{"data": [{"status": 422, "title": "This cannot be refunded.", "type": "about:blank"}]}'
_DATA_503 = '{"data": [{"order_id": 1, "status": 503, "error": "The tax service is away."}], "meta": {}}'
CANNED = {
    "400_says_404": Canned(400, _CONTRADICTION),
    "422_data": Canned(422, _DATA_422),
    "503_data": Canned(503, _DATA_503),
    "401": Canned(401),
    "403": Canned(403),
    "404": Canned(404),
    "409": Canned(409),
    "423": Canned(423),
    "429": Canned(429),
    "429_bare": Canned(429, limit_headers=False),
    "500": Canned(500),
    "502": Canned(502, "<html><body>502 Bad Gateway</body></html>", _HTML),
    "503": Canned(503),
    "503_maintenance": Canned(503, _MAINTENANCE, _HTML),
    "504": Canned(504),
    "507": Canned(507),
    "error_without_body": Canned(500, ""),
    "garbage": Canned(200, '[{"id": 1'),
    "html": Canned(200, "<!DOCTYPE html><title>Sign in</title>", _HTML),
    "empty": Canned(200, ""),
    "wrong_shape": Canned(200, '"nothing"'),
    "204": Canned(204, ""),
}
"""``429`` tells when the window ends, ``429_bare`` is the platform's own overload and tells nothing."""

KINDS = (*CONNECTION_KINDS, *CANNED, "500_after", "503_after")
"""``..._after``: what was asked is done, and the answer says otherwise."""


@dataclass(frozen=True)
class LoggedRequest:
    """One request of the log: never its body or its token."""

    method: str
    path: str
    query: str
    status: int
    """0 when there was no answer."""

    @property
    def route(self) -> str:
        """Method and path without the store and with ``{id}`` for numbers."""
        path = re.sub(r"^/stores/[^/]+", "", self.path)
        return f"{self.method} {re.sub(r'/[0-9]+(?=/|$)', '/{id}', path)}"


class RequestLog:
    """The last requests."""

    def __init__(self) -> None:
        self._requests: deque[LoggedRequest] = deque(maxlen=200_000)

    def add(self, request: LoggedRequest) -> None:
        """Note a request."""
        self._requests.append(request)

    def all(self) -> list[LoggedRequest]:
        """All that are kept, oldest first."""
        return list(self._requests)

    def by_route(self) -> dict[str, int]:
        """How many there were of each route."""
        return dict(Counter(request.route for request in self.all()))

    def by_status(self) -> dict[str, int]:
        """How many were answered with each status; ``"0"`` is no answer."""
        return dict(Counter(str(request.status) for request in self.all()))

    def clear(self) -> None:
        """Forget them."""
        self._requests.clear()


class Middleware:
    """Stands before the store's application: lets faults happen and keeps the log."""

    def __init__(
        self, inner: WSGIApplication, faults: Faults, log: RequestLog, stopping: threading.Event
    ) -> None:
        self._inner = inner
        self._faults = faults
        self._log = log
        self._stopping = stopping

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        method, path, query = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        if path.startswith(CONTROL_PREFIX):
            return self._inner(environ, start_response)
        fault = self._faults.take(method, path, query)
        status = 0

        def noted(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal status
            status = int(line[:3])
            return start_response(line, headers, exc_info)

        try:
            if fault is None:
                return self._inner(environ, cast("StartResponse", noted))
            return self._misbehave(fault, environ, cast("StartResponse", noted))
        finally:
            if environ.get("sandbox.cut") == "reset":
                status = 0
            self._log.add(LoggedRequest(method, path, query, status))

    def _misbehave(
        self, fault: Fault, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """``reset`` and ``timeout`` do no work; ``..._after`` and ``truncated`` do it first."""
        kind = fault.kind
        if kind in ("reset", "timeout"):
            if kind == "timeout":
                self._stopping.wait(fault.seconds)
            environ["sandbox.cut"] = "reset"
            start_response("504 Gateway Timeout", [("Content-Type", "text/plain")])
            return [b""]
        if kind == "slow":
            self._stopping.wait(fault.seconds)
        elif kind not in CONNECTION_KINDS:
            environ["sandbox.answer"] = kind
        answer = self._inner(environ, start_response)
        if kind == "timeout_after":
            self._stopping.wait(fault.seconds)
        if kind in ("reset_after", "timeout_after"):
            environ["sandbox.cut"] = "reset"
        elif kind == "truncated":
            environ["sandbox.cut"] = "truncated"
        return answer
