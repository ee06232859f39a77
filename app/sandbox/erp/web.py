"""The sandbox over HTTP: Flask in front, everything it does behind `Erp`."""

import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from app.sandbox.erp.batch import operation_kinds
from app.sandbox.erp.calls import JSON_TYPE, Answer, Call, Dropped, refused
from app.sandbox.erp.control import control_door
from app.sandbox.erp.errors import Refusal, resource_not_found
from app.sandbox.erp.service import encode
from app.sandbox.erp.state import ROOT_PATH, Erp, LoggedRequest
from app.sandbox.erp.values import load

_VERBS = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"]
_LARGEST_BODY = 350 * 1024 * 1024


def _cut(how: str) -> None:
    """Ask the server to cut the connection; a test client has none to cut and sees the exception."""
    if "sandbox.server" not in request.environ:
        raise ConnectionResetError("the sandbox closed the connection")
    request.environ["sandbox.cut"] = how


def _response(erp: Erp, answer: Answer) -> Response:
    body = encode(answer, byte_order_mark=erp.switches.byte_order_mark)
    response = Response(body, status=answer.status)
    response.headers["OData-Version"] = "4.0"
    if answer.body is None:
        del response.headers["Content-Type"]
    elif isinstance(answer.body, (dict, list)):
        response.headers["Content-Type"] = JSON_TYPE
    for name, value in answer.headers.items():
        response.headers[name] = value
    if answer.truncated:
        _cut("truncated")
    return response


def _exchange(erp: Erp, work: Callable[[], Answer], *, kinds: dict[str, int] | None = None) -> Response:
    """Do the work, log the request without its body, and answer, or cut the connection."""
    status: int | None = None
    try:
        answer = work()
        status = answer.status
        return _response(erp, answer)
    except Dropped as dropped:
        if dropped.seconds:
            time.sleep(dropped.seconds)
        _cut("reset")
        return Response(b"", status=500)
    finally:
        query = request.query_string.decode("latin-1")
        kinds = kinds or {}
        erp.record(LoggedRequest(request.method, request.path, query, sum(kinds.values()), kinds, status))


def _batch_body(sent: bytes) -> tuple[Any, dict[str, int]]:
    """A batch as JSON, read once, and what it holds; what cannot be read stays as it is, to be refused in its turn."""
    try:
        body = load(sent)
    except Refusal:
        return sent, {}
    return body, operation_kinds(body)


def create_app(erp: Erp) -> Flask:
    """The WSGI application: sign-in, the API below `/api/v2.0`, and the control door."""
    app = Flask("sandbox_erp", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_BODY
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.register_blueprint(control_door(erp))

    @app.post("/<tenant>/oauth2/v2.0/token")
    def token(tenant: str) -> Response:
        def work() -> Answer:
            fault = erp.faults.take(method="POST", path=request.path)
            form = request.form.to_dict()
            return erp.faults.apply(fault, lambda: erp.issue_token(tenant, form))

        return _exchange(erp, work)

    def api(path: str = "") -> Response:
        sent = request.get_data()
        body, kinds = _batch_body(sent) if path == "$batch" else (sent, {})
        call = Call(
            method="GET" if request.method == "HEAD" else request.method,
            path=path,
            raw_query=request.query_string.decode("latin-1"),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
            root=request.host_url.rstrip("/") + ROOT_PATH,
        )
        return _exchange(erp, lambda: erp.answer(call), kinds=kinds)

    app.add_url_rule(ROOT_PATH, "root", api, methods=_VERBS)
    app.add_url_rule(f"{ROOT_PATH}/", "root_slash", api, methods=_VERBS)
    app.add_url_rule(f"{ROOT_PATH}/<path:path>", "api", api, methods=_VERBS)

    @app.errorhandler(HTTPException)
    def unknown(error: HTTPException) -> Any:
        if error.code == 404:
            return _response(erp, refused(resource_not_found(request.path.strip("/"))))
        return _response(erp, refused(Refusal(error.code or 500, "BadRequest", error.name)))

    return app
