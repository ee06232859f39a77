"""`$batch` (contract section 4): operations one by one, in order, each answered for itself."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from app.sandbox.erp.calls import JSON_TYPE, Answer, Call, refused
from app.sandbox.erp.errors import Refusal, bad_request, method_not_allowed, resource_not_found
from app.sandbox.erp.faults import Faults
from app.sandbox.erp.ledger import Journal
from app.sandbox.erp.service import encode
from app.sandbox.erp.values import load

_KEY = re.compile(r"\([^()]*\)")
_METHODS = ("GET", "POST", "PATCH", "DELETE", "PUT")


def operations_of(body: Any) -> list[Any]:
    """The `requests` of a batch body, as they are."""
    requests = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(requests, list):
        raise bad_request("Invalid Request Body: a batch needs an array named 'requests'.")
    return requests


def _relative(url: str, root: str) -> tuple[str, str]:
    """Path and raw query of an operation; its url is relative to the service root."""
    base = urlsplit(root).path
    if url.startswith(root + "/"):
        url = url[len(root) + 1 :]
    elif url.startswith(base + "/"):
        url = url[len(base) + 1 :]
    elif url.startswith("/") or "://" in url:
        raise resource_not_found(url)
    path, _, query = url.partition("?")
    return unquote(path), query


def _call(request: Any, root: str) -> Call:
    method = str(request.get("method", "")).upper()
    if method not in _METHODS:
        raise method_not_allowed(method, "$batch")
    headers = request.get("headers") or {}
    path, query = _relative(str(request.get("url", "")), root)
    return Call(
        method=method,
        path=path,
        raw_query=query,
        headers={str(name).lower(): str(value) for name, value in headers.items()},
        body=request.get("body"),
        root=root,
    )


class Batch:
    """Runs batches. `handle` answers one operation, under a lock of its own."""

    def __init__(
        self,
        *,
        handle: Callable[[Call], Answer],
        lock: AbstractContextManager[Any],
        journal: Journal,
        faults: Faults,
        limit: Callable[[], int],
    ) -> None:
        self._handle = handle
        self._lock = lock
        self._journal = journal
        self._faults = faults
        self._limit = limit

    def run(self, call: Call) -> Answer:
        """Answer a whole batch. The outer 200 says nothing about the operations."""
        if not call.headers.get("content-type", "").lower().startswith("application/json"):
            raise Refusal(415, "BadRequest", "A batch is sent as application/json.")
        requests = operations_of(load(call.body) if isinstance(call.body, bytes) else call.body)
        self._check(requests)
        if call.headers.get("isolation", call.headers.get("odata-isolation", "")).lower() == "snapshot":
            answers = self._snapshot(requests, call)
        else:
            goes_on = call.preference("continue-on-error") not in {None, "false"}
            answers = list(self._each(requests, call, goes_on=goes_on))
        broken = any(answer.truncated for _, answer in answers)
        if "application/json" in call.headers.get("accept", "").lower():
            return Answer(200, _as_json(answers), truncated=broken)
        boundary = f"batchresponse_{uuid4()}"
        headers = {"Content-Type": f"multipart/mixed; boundary={boundary}"}
        return Answer(200, _as_multipart(answers, boundary), headers, truncated=broken)

    def _check(self, requests: list[Any]) -> None:
        if len(requests) > self._limit():
            raise bad_request(
                f"The batch request contains {len(requests)} operations, which is more than the maximum of "
                f"{self._limit()}."
            )
        ids = [request.get("id") if isinstance(request, dict) else None for request in requests]
        if not all(isinstance(i, str) and i for i in ids) or len(set(ids)) != len(ids):
            raise bad_request("Each request of a batch needs an 'id' of its own, a text.")

    def _each(self, requests: list[Any], call: Call, *, goes_on: bool) -> Iterator[tuple[str, Answer]]:
        for request in requests:
            answer = self._one(request, call)
            yield request["id"], answer
            if answer.status >= 400 and not goes_on:
                return

    def _snapshot(self, requests: list[Any], call: Call) -> list[tuple[str, Answer]]:
        """All or nothing: one failure, or a cut connection, takes back what came before it."""
        with self._lock:
            self._journal.open()
            try:
                answers = list(self._each(requests, call, goes_on=False))
            except BaseException:
                self._journal.take_back()
                raise
            if answers and answers[-1][1].status >= 400:
                self._journal.take_back()
            else:
                self._journal.keep()
            return answers

    def _one(self, request: Any, call: Call) -> Answer:
        fault = self._faults.take_operation(path=f"/api/v2.0/{call.path}", url=str(request.get("url", "")))

        def work() -> Answer:
            try:
                return self._handle(_call(request, call.root))
            except Refusal as refusal:
                return refused(refusal)

        return self._faults.apply(fault, work)


def _header_lines(answer: Answer) -> dict[str, str]:
    headers = {"OData-Version": "4.0"} | dict(answer.headers)
    return headers if answer.body is None else {"Content-Type": JSON_TYPE} | headers


def _as_json(answers: list[tuple[str, Answer]]) -> dict[str, Any]:
    responses: list[dict[str, Any]] = []
    for key, answer in answers:
        response: dict[str, Any] = {
            "id": key,
            "status": answer.status,
            "headers": {name.lower(): value for name, value in _header_lines(answer).items()},
        }
        if answer.body is not None:
            response["body"] = answer.body
        responses.append(response)
    return {"responses": responses}


def _as_multipart(answers: list[tuple[str, Answer]], boundary: str) -> bytes:
    parts: list[bytes] = []
    for key, answer in answers:
        lines = "".join(f"{name}: {value}\r\n" for name, value in _header_lines(answer).items())
        head = (
            f"--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
            f"Content-ID: {key}\r\n\r\nHTTP/1.1 {answer.status} {_reason(answer.status)}\r\n{lines}\r\n"
        )
        parts.append(head.encode() + encode(answer, byte_order_mark=False) + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


def _reason(status: int) -> str:
    return {200: "OK", 201: "Created", 204: "No Content"}.get(status, "Error")


def operation_kinds(body: Any) -> dict[str, int]:
    """What a batch holds, for the request log: `GET items` and how often. Empty where it is none."""
    try:
        return dict(Counter(_kind(each) for each in operations_of(body)))
    except Refusal:
        return {}


def _kind(request: Any) -> str:
    """Method and path of an operation, without company, keys and query."""
    if not isinstance(request, dict):
        return "?"
    path = _KEY.sub("(id)", str(request.get("url", "")).partition("?")[0]).strip("/")
    return f"{request.get('method', '?')} {path.removeprefix('companies(id)/')}"
