"""Faults on demand, and the log of requests (contract section 2, "Failures of the site")."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlencode

from app.sandbox import faults
from app.sandbox.faults import Fault, Faults
from app.sandbox.server import CONTROL_PREFIX

from .answers import JsonObject
from .recorded import RecordedAnswer, recorded_answers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

KINDS = ("reset", "reset_after", "timeout", "timeout_after", "truncated")
_SECRETS = frozenset({"consumer_secret", "oauth_signature"})


@dataclass(frozen=True)
class LoggedRequest:
    """One request of the log: never its body, and no secret."""

    method: str
    path: str
    query: str
    entries: int
    """How many orders a batch names; 0 for any other request."""
    status: int
    """0 when there was no answer."""


def read_fault(data: JsonObject) -> Fault:
    """A fault as the control door gets it; ValueError or TypeError says what is wrong with it."""
    return faults.read_fault(data, [*KINDS, *recorded_answers()])


def _without_secrets(query: str) -> str:
    if not any(name in query for name in _SECRETS):
        return query
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode([(name, "***" if name in _SECRETS else value) for name, value in pairs])


class Middleware:
    """Stands before the shop's application: lets faults happen and keeps the log."""

    def __init__(self, inner: WSGIApplication, stopping: threading.Event) -> None:
        self.inner = inner
        self.faults = Faults()
        self.log: deque[LoggedRequest] = deque(maxlen=200_000)
        self._stopping = stopping

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        method, path, query = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        if path.startswith(CONTROL_PREFIX):
            return self.inner(environ, start_response)
        fault = self.faults.take(method, path, query)
        status = 0

        def noted(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal status
            status = int(line[:3])
            return start_response(line, headers, exc_info)

        try:
            if fault is None:
                return self.inner(environ, cast("StartResponse", noted))
            if fault.kind in KINDS:
                answer = self._misbehave(fault, environ, cast("StartResponse", noted))
                if environ.get("sandbox.cut") == "reset":
                    status = 0
                return answer
            return _replay(recorded_answers()[fault.kind], cast("StartResponse", noted))
        finally:
            entries = environ.get("sandbox.entries", 0)
            self.log.append(LoggedRequest(method, path, _without_secrets(query), entries, status))

    def _misbehave(
        self, fault: Fault, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """``reset`` and ``timeout`` do no work; ``..._after`` and ``truncated`` do it first."""
        if fault.kind in ("reset", "timeout"):
            if fault.kind == "timeout":
                self._stopping.wait(fault.seconds)
            environ["sandbox.cut"] = "reset"
            start_response("504 Gateway Timeout", [("Content-Type", "text/plain")])
            return [b""]
        answer = self.inner(environ, start_response)
        if fault.kind == "timeout_after":
            self._stopping.wait(fault.seconds)
        else:
            environ["sandbox.cut"] = "reset" if fault.kind == "reset_after" else "truncated"
        return answer


def _replay(answer: RecordedAnswer, start_response: StartResponse) -> Iterable[bytes]:
    start_response(f"{answer.status} {answer.reason}", list(answer.headers))
    return [answer.body]
