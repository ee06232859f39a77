"""The Flask application: what every answer has in common, and which pages there are.

Without `people` it takes webhooks and nothing else, for a process that is reached from everywhere.
"""

from collections.abc import Callable
from http import HTTPStatus

import structlog
from flask import Flask, Response
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app.bootstrap import DATABASE_AWAY, Program
from app.errors import OrderSyncError
from app.ports.deliveries import DueSite
from app.web import api, health, hooks, metrics, panel
from app.web.naming import asked_for
from app.web.people import People

log = structlog.get_logger("ordersync.web")

MAX_BODY = 2 * 1024 * 1024
"""A delivery is one order. The largest that was recorded, of 60 lines, has 60 kB."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_RETRY_AFTER = "60"


def create_app(program: Program, *, ring: Callable[[DueSite], None], people: People | None = None) -> Flask:
    """The application on an opened program. `ring` is called once a delivery is stored, and must neither wait nor raise."""
    app = Flask("ordersync", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.register_blueprint(hooks.pages(program.parts, ring=ring))
    health.add(app, program, people)
    app.register_error_handler(HTTPException, _said_shortly)
    app.register_error_handler(OrderSyncError, _not_usable)
    for failure in DATABASE_AWAY:
        app.register_error_handler(failure, _database_away)
    if people is not None:
        panel.add(app, people)
        api.add(app, people)
        metrics.add(app, people)
    app.after_request(_guarded)
    return app


def _said_shortly(error: HTTPException) -> Response:
    """Whoever asks for what there is not is told no more than that."""
    if isinstance(error, RequestEntityTooLarge):
        log.warning("request_too_large", limit=MAX_BODY, page=asked_for())
    code = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    return Response("", HTTPStatus.NOT_FOUND if code == HTTPStatus.METHOD_NOT_ALLOWED else code)


def _not_usable(error: OrderSyncError) -> Response:
    log.error("request_failed", failure=type(error).__name__, reason=error.reason)
    return Response("", HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": _RETRY_AFTER})


def _database_away(error: Exception) -> Response:
    log.warning("request_failed", failure=type(error).__name__)
    return Response("", HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": _RETRY_AFTER})


def _guarded(response: Response) -> Response:
    for name, value in _HEADERS.items():
        # A page that needs more says so itself.
        response.headers.setdefault(name, value)
    return response
