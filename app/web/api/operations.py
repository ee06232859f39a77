"""An operation of the API: which scope it takes, what it reads, how it is noted and done once, and how it is documented."""

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema

from app.bootstrap import Bell
from app.ports.accounts import Scope
from app.sync.panel.acting import acting
from app.web.api import access, idempotency
from app.web.api.problems import MEDIA_TYPE
from app.web.api.reading import Reader
from app.web.api.schemas import Problem
from app.web.people import People

View = Callable[..., Any]

_ALWAYS = {
    HTTPStatus.UNAUTHORIZED: "No token, or none that is good.",
    HTTPStatus.FORBIDDEN: "The token has not the scope that this takes.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A fault of the program; the log has it under `request`.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database, or another system, does not answer; try again later.",
}
_OF_BODIES = {
    HTTPStatus.BAD_REQUEST: "The body is no JSON that can be read.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than 2 MB.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not application/json.",
}
_NOT_THERE = "What the address names is not there."
_INVALID = "A field is not what this document says, or it cannot be done so; nothing was changed."
_CONFLICT = (
    "It cannot be done as things stand, or a request under this key is still being answered or was cut off."
)

_UNTOLD = frozenset({"reason", "text", "changes"})
"""What may hold what a shop or a person said of somebody: the order's own trail has it, where it can be erased."""


class _Pages(Blueprint):  # type: ignore[misc] # flask-smorest ships no types
    ARGUMENTS_PARSER = Reader()


class Operations:
    """The operations on one kind of thing."""

    def __init__(self, people: People, name: str, about: str) -> None:
        self.people = people
        self.pages = _Pages(name, __name__, description=about)

    def ring(self, bell: Bell) -> None:
        """Tell the workers of a batch; where the broker is away, the sweeper rings for what is stored."""
        self.people.doors.ring(bell)

    def reads(
        self,
        rule: str,
        scope: Scope,
        answer: type[Schema],
        *,
        query: type[Schema] | None = None,
        may_refuse: bool = False,
    ) -> Callable[[View], View]:
        """A view that changes nothing. With `query` it is given what was asked for, and then what stands in the address.

        `may_refuse`: it is not always to be had.
        """

        def of(view: View) -> View:
            made = self.pages.response(HTTPStatus.OK, answer)(view)
            statuses = dict(_ALWAYS)
            if query is not None:
                made = self.pages.arguments(query, location="query")(made)
                statuses[HTTPStatus.UNPROCESSABLE_ENTITY] = _INVALID
            if may_refuse:
                statuses |= {HTTPStatus.CONFLICT: _CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY: _INVALID}
            return self._published(rule, "GET", scope, made, statuses=statuses)

        return of

    def does(
        self,
        rule: str,
        scope: Scope,
        action: str,
        answer: type[Schema],
        *,
        body: type[Schema],
        status: HTTPStatus = HTTPStatus.OK,
    ) -> Callable[[View], View]:
        """A view that changes something: it is given the body, and then what stands in the address.

        It is noted as `action` under the token's name, and done once for each idempotency key.
        """

        def of(view: View) -> View:
            replayed = {
                idempotency.REPLAYED: {"schema": {"type": "string"}, "description": "The first answer."}
            }
            made = self.pages.response(status, answer, headers=replayed)(self._noted(action, view))
            made = idempotency.once(self.people, made)
            needed = any(each.required for each in body().fields.values())
            made = self.pages.arguments(body, location="json", required=needed)(made)
            statuses = {
                **_ALWAYS,
                **_OF_BODIES,
                HTTPStatus.CONFLICT: _CONFLICT,
                HTTPStatus.UNPROCESSABLE_ENTITY: _INVALID,
            }
            documented = {"parameters": [dict(idempotency.PARAMETER)]}
            return self._published(rule, "POST", scope, made, statuses=statuses, documented=documented)

        return of

    def _noted(self, action: str, view: View) -> View:
        @wraps(view)
        def noted(asked: Mapping[str, Any], **place: Any) -> Any:
            with acting(
                self.people.panel.store,
                by=access.name(),
                via="api",
                action=action,
                target=" ".join(str(each) for each in place.values()),
                detail=_told(asked),
            ):
                return view(asked, **place)

        return noted

    def _published(
        self,
        rule: str,
        method: str,
        scope: Scope,
        view: View,
        *,
        statuses: Mapping[HTTPStatus, str],
        documented: Mapping[str, Any] = MappingProxyType({}),
    ) -> View:
        if "<" in rule:
            statuses = {**statuses, HTTPStatus.NOT_FOUND: _NOT_THERE}
        for status, about in statuses.items():
            view = self.pages.alt_response(
                status, schema=Problem, content_type=MEDIA_TYPE, description=about
            )(view)
        view = self.pages.doc(security=[{access.SCHEME: [scope.value]}], **documented)(view)

        @wraps(view)
        def guarded(**place: Any) -> Response:
            access.check(self.people, scope)
            found: Response = view(**place)
            return found

        guarded.needs_scope = scope  # type: ignore[attr-defined] # read by a test that looks for operations without one
        # Whoever asks which methods there are is told by the answer to a wrong one.
        guarded.provide_automatic_options = False  # type: ignore[attr-defined] # Flask's own
        self.pages.add_url_rule(rule, view.__name__, guarded, methods=[method])
        return view


def _told(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, as it is noted: of changes only which fields they are of."""
    found = {name: value for name, value in asked.items() if name not in _UNTOLD}
    if "changes" in asked:
        found["fields"] = sorted(asked["changes"])[:100]
    return found
