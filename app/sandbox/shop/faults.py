"""Faults on demand, and the log of requests (contract section 2, "Failures of the site")."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlencode

from app.sandbox.server import CONTROL_PREFIX

from .answers import JsonObject
from .recorded import RecordedAnswer, recorded_answers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

KINDS = ("reset", "reset_after", "timeout", "timeout_after", "truncated")
_SECRETS = frozenset({"consumer_secret", "oauth_signature"})


@dataclass
class Fault:
    """One fault: which requests it meets (after ``skip`` of them), how often, and what happens then."""

    kind: str
    method: str
    path: re.Pattern[str]
    query: re.Pattern[str]
    times: int
    skip: int
    seconds: float

    def meets(self, method: str, path: str, query: str) -> bool:
        """Whether a request is one of those the fault is for."""
        return (
            self.method in ("*", method)
            and self.path.search(path) is not None
            and self.query.search(query) is not None
        )


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
    kind = str(data.get("kind") or "")
    known = [*KINDS, *recorded_answers()]
    if kind not in known:
        raise ValueError(f"kind must be one of {', '.join(known)}")
    match = data.get("match") or {}
    if not isinstance(match, dict):
        raise TypeError("match must be an object")
    try:
        path, query = re.compile(str(match.get("path", ""))), re.compile(str(match.get("query", "")))
    except re.error as error:
        raise ValueError(f"match: {error}") from error
    return Fault(
        kind,
        str(match.get("method", "*")).upper(),
        path,
        query,
        int(data.get("times", 1)),
        int(data.get("skip", 0)),
        float(data.get("seconds", 30)),
    )


class Faults:
    """The faults that are set, first come first served. ``times`` below 0 is for ever."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Set a fault."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def take(self, method: str, path: str, query: str) -> Fault | None:
        """The fault that meets this request, used up by one."""
        with self._lock:
            for fault in self._faults:
                if fault.times == 0 or not fault.meets(method, path, query):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None


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
