"""`/api/v1`: orders, errors, repairs, sites and runs for programs. Each module holds the operations on one kind of thing."""

from typing import Any

from flask import Flask
from flask_smorest import Api

from app import __version__
from app.web.api import access, errors, fields, held, orders, problems, runs, sites
from app.web.api.places import Id
from app.web.api.schemas import Problem
from app.web.people import People

PREFIX = "/api/v1"

_KINDS = (orders, errors, held, sites, runs)
_ABOUT = """\
Orders and their errors, sites and runs, for programs.

Every request carries a token (`ordersync token add NAME --scope orders:read`) as `Authorization: Bearer os_...`; what an operation
takes is the scope that stands with its security. Errors are `application/problem+json` (RFC 9457). Amounts are strings of
decimals, times are ISO 8601 in UTC. Lists go from the newest to the oldest; `next_cursor` is the `cursor` of the next page, and
null on the last one. A POST with an `Idempotency-Key` is done once, however often it is sent.
"""


class _Documented(Api):  # type: ignore[misc] # flask-smorest ships no types
    """The document and its operations; what went wrong is answered by `problems`."""

    DEFAULT_ERROR_RESPONSE_NAME = None
    ERROR_SCHEMA = Problem

    def _openapi_json(self) -> Any:
        return super()._openapi_json()

    # As for the operations: whoever asks which methods there are is told by the answer to a wrong one.
    _openapi_json.provide_automatic_options = False  # type: ignore[attr-defined] # Flask's own

    def _register_error_handlers(self) -> None:
        """Ours are registered once, for all of `/api`."""


def add(app: Flask, people: People) -> None:
    """Add the API. Its document is `/api/v1/openapi.json`, for everybody: it holds no data."""
    problems.answer_under(app, "/api/")
    app.url_map.converters["id"] = Id
    app.config.update(
        API_TITLE="Order Sync",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=PREFIX,
        OPENAPI_JSON_PATH="openapi.json",
    )
    api = _Documented()
    for field, *form in fields.FORMS:
        api.register_field(field, *form)
    api.register_converter(Id, lambda _: dict(Id.FORM))
    api.init_app(app, spec_kwargs={"info": {"description": _ABOUT}})
    scheme: dict[str, Any] = {"type": "http", "scheme": "bearer", "description": access.ABOUT}
    api.spec.components.security_scheme(access.SCHEME, scheme)
    for kind in _KINDS:
        pages = kind.operations(people).pages
        # A token is in no browser's cookies, so nobody else's page can send it.
        app.extensions["csrf"].exempt(pages)
        api.register_blueprint(pages, url_prefix=PREFIX)
