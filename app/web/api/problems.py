"""Answers to what went wrong: `application/problem+json` (RFC 9457) everywhere under `/api`."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, NotFound, UnprocessableEntity
from werkzeug.routing import RequestRedirect

from app.bootstrap import DATABASE_AWAY
from app.errors import Hold, Misconfigured, OrderSyncError, Overtaken, Reject, Retry, Unknown, UsageError
from app.sync.panel.remote import NotThere, Refused

log = structlog.get_logger("ordersync.web")

MEDIA_TYPE = "application/problem+json"

_RETRY_AFTER = "60"
_KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")
_SENTENCES: Mapping[int, str] = {
    HTTPStatus.BAD_REQUEST: "The request could not be understood. Nothing was changed.",
    HTTPStatus.NOT_FOUND: "There is no such address, or what it names is not there.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address takes no such request; the header Allow says which it takes.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than 2 MB. Nothing was changed.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database does not answer right now; try again in a minute.",
}


class Invalid(UnprocessableEntity):
    """The request is not what the document says. `errors` names each field: where it stands, its name, and what is wrong."""

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        super().__init__("The request is not what the document says; nothing was changed.")
        self.errors = list(errors)


def problem(
    status: int,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
    number: str | None = None,
) -> Response:
    """The answer that says what went wrong. `number` is that of the request in the log."""
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
    }
    if errors is not None:
        told["errors"] = list(errors)
    if number is not None:
        told["request"] = number
    return Response(json.dumps(told), status, dict(headers or {}), content_type=MEDIA_TYPE)


def told(messages: Any, where: str, name: str = "") -> Iterator[dict[str, str]]:
    """What a schema found wrong, a field at a time; fields of a body are named by JSON pointers."""
    if isinstance(messages, Mapping):
        for key, value in messages.items():
            inner = "" if key == "_schema" else str(key).replace("~", "~0").replace("/", "~1")
            if key in {"key", "value"} and isinstance(value, list):
                inner = ""
            path = f"{name}/{inner}" if inner else name
            yield from told(value, where, path if where == "body" else path.lstrip("/"))
    elif isinstance(messages, list):
        for each in messages:
            yield from told(each, where, name)
    else:
        yield {"in": where, "field": name, "detail": str(messages)}


def answer_under(app: Flask, beginning: str) -> None:
    """Answer what goes wrong below this path with problems; what goes wrong elsewhere is answered as before."""

    def register(kind: type[Exception], answer: Callable[[Any, Callable[[Any], Any]], Response]) -> None:
        before: Callable[[Any], Any] = app.error_handler_spec[None][None][kind]

        def handler(error: Any) -> Any:
            return answer(error, before) if request.path.startswith(beginning) else before(error)

        app.register_error_handler(kind, handler)

    @app.before_request
    def no_other_address() -> None:
        # Else an address with two slashes is answered with a page of HTML that names the right one.
        if request.path.startswith(beginning) and isinstance(request.routing_exception, RequestRedirect):
            raise NotFound

    register(HTTPException, _of_http)
    register(OrderSyncError, _of_use_case)
    register(Exception, _of_program)
    for failure in DATABASE_AWAY:
        register(failure, _of_database)


def _of_http(error: HTTPException, _before: Callable[[Any], Any]) -> Response:
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    # Said where it was raised; else ours, and werkzeug's own only for what is not foreseen.
    sentence = vars(error).get("description") or _SENTENCES.get(status) or error.description
    headers = {name: value for name, value in error.get_headers() if name in _KEPT_HEADERS}
    return problem(status, sentence or "", errors=getattr(error, "errors", None), headers=headers)


def _of_use_case(error: OrderSyncError, _before: Callable[[Any], Any]) -> Response:
    match error:
        case NotThere():
            return problem(HTTPStatus.NOT_FOUND, _SENTENCES[HTTPStatus.NOT_FOUND])
        case Overtaken() | Refused() | Misconfigured() | Hold():
            return problem(HTTPStatus.CONFLICT, error.reason)
        case Reject(field=str() as field):
            wrong = {"in": "body", "field": field, "detail": error.reason}
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.reason, errors=[wrong])
        case UsageError() | Reject():
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.reason)
        case _:
            log.warning("request_failed", failure=type(error).__name__, path=request.path[:100])
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE, error.reason, headers={"Retry-After": _RETRY_AFTER}
            )


def is_undone(error: Exception) -> bool:
    """Whether nothing was changed by a request that ended so: it may be corrected, or sent again."""
    match error:
        case HTTPException(code=int() as code):
            return code < HTTPStatus.INTERNAL_SERVER_ERROR
        case Unknown():
            return False
        case UsageError() | Reject() | Misconfigured() | Hold() | Retry():
            return True
        case _:
            return False


def _of_program(error: Exception, before: Callable[[Any], Any]) -> Response:
    before(error)
    number = str(g.get("number", ""))
    sentence = f"This is a fault of the program; the log has it under request={number}."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, sentence, number=number)


def _of_database(error: Exception, before: Callable[[Any], Any]) -> Response:
    before(error)
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return problem(status, _SENTENCES[status], headers={"Retry-After": _RETRY_AFTER})
