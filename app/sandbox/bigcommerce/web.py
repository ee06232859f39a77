"""The store over HTTP: what all routes have in common, and the application of them all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from app.sandbox.server import CONTROL_PREFIX

from .access import Token, check_scope
from .answers import ApiError, encode, not_found
from .common import JSON
from .control import Control
from .faults import CANNED, Canned, Middleware
from .limits import Allowance
from .state import Store
from .v2 import V2
from .v3 import V3

View = Callable[..., Response]


class _Site:
    """Lets requests in, and finishes answers."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @staticmethod
    def version() -> int:
        """Which of the two shapes an error has here."""
        return 3 if "/v3/" in request.path else 2

    def admit(self) -> Response | None:
        """Token, quota and canned answers, in this order, before any route is looked at."""
        if request.path.startswith(CONTROL_PREFIX):
            return None
        parts = request.path.split("/")
        if parts[1] != "stores" or parts[2:3] != [self.store.store_hash]:
            raise not_found()
        g.token = self.store.keyring.known(request.headers.get("X-Auth-Token"))
        g.allowance = self.store.limit.take()
        if g.allowance.refused:
            raise ApiError(429, "There have been too many requests in this window.")
        kind = request.environ.get("sandbox.answer", "")
        return self._canned(CANNED[kind]) if kind in CANNED else None

    def _canned(self, canned: Canned) -> Response:
        g.limit_headers = canned.limit_headers
        if canned.body is None:
            return self.refuse(ApiError(canned.status, f"The sandbox was asked to answer {canned.status}."))
        return Response(canned.body, canned.status, content_type=canned.content_type)

    def refuse(self, error: ApiError) -> Response:
        """An error in the shape of the version."""
        body = encode(error.body(version=self.version()))
        return Response(body, error.status, content_type="application/json")

    def no_route(self, error: HTTPException) -> Response:
        """Paths and methods that are not there."""
        if request.path.startswith(CONTROL_PREFIX):
            return Response(
                json.dumps({"error": error.description}), error.code, content_type="application/json"
            )
        failure = not_found() if error.code == 404 else ApiError(error.code or 500, error.name)
        return self.refuse(failure)

    def finish(self, answer: Response) -> Response:
        """The headers of the quota, and answers that belie what was done."""
        if request.path.startswith(CONTROL_PREFIX):
            return answer
        if request.environ.get("sandbox.answer", "").endswith("_after"):
            answer = self.refuse(ApiError(int(request.environ["sandbox.answer"][:3]), "This went wrong."))
        if self.store.switches.xml_unless_json_is_asked_for and self.version() == 2:
            answer = _as_xml(answer)
        if answer.status_code == 204:
            answer.headers.pop("Content-Type", None)
        allowance: Allowance = g.get("allowance") or self.store.limit.peek()
        for name, value in allowance.headers() if g.get("limit_headers", True) else []:
            answer.headers[name] = value
        return answer


def _as_xml(answer: Response) -> Response:
    """The answer as V2 gives it to those who do not ask for JSON; what is in it does not matter to us."""
    if JSON in request.headers.get("Accept", "") or answer.mimetype != JSON:
        return answer
    body = b'<?xml version="1.0" encoding="UTF-8"?>\n<result/>'
    return Response(body, answer.status_code, content_type="application/xml")


def _guarded(view: View, scopes: tuple[str, ...]) -> View:
    def call(**values: Any) -> Response:
        token: Token = g.token
        if scopes:
            check_scope(token, any_of=scopes)
        return view(**values)

    return call


def create_app(store: Store) -> Flask:
    """The store as a WSGI application."""
    app = Flask(__name__, static_folder=None)
    site, control = _Site(store), Control(store)
    app.before_request(site.admit)
    app.after_request(site.finish)
    app.register_error_handler(ApiError, site.refuse)
    app.register_error_handler(HTTPException, site.no_route)
    for prefix, routes in (("v2", V2(store).routes()), ("v3", V3(store).routes())):
        for method, path, view, scopes in routes:
            app.add_url_rule(
                f"/stores/<store_hash>/{prefix}{path}",
                f"{method} {prefix}{path}",
                _guarded(view, scopes),
                methods=[method],
                provide_automatic_options=False,
            )
    for method, path, view in control.routes():
        app.add_url_rule(
            f"{CONTROL_PREFIX}{path}", f"{method} {path}", control.guarded(view), methods=[method]
        )
    app.wsgi_app = Middleware(app.wsgi_app, store.faults, store.log, store.stopping)  # type: ignore[method-assign]
    return app
