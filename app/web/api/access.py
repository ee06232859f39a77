"""Who may do what: every operation asks for a token, and says which scope it takes. Cookies count for nothing here."""

from flask import g, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from app.ports.accounts import ApiToken, Scope
from app.sync.panel import accounts
from app.web.people import People

SCHEME = "token"
ABOUT = "A token of `ordersync token add`. The scope that an operation takes stands with its security."

_NO_TOKEN = "This takes a token in the header Authorization: Bearer os_... (ordersync token add)."  # noqa: S105 - a sentence
_BAD_TOKEN = "The token is not good: it is none of ours, was revoked, or has expired."  # noqa: S105 - a sentence


def check(people: People, scope: Scope) -> None:
    """Find whose token it is. Raises `Unauthorized` without a good one, and `Forbidden` where it is not for this."""
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        raise Unauthorized(_NO_TOKEN, www_authenticate=WWWAuthenticate("bearer"))
    found = accounts.token_of(people.panel, given.token)
    if found is None:
        wrong = WWWAuthenticate("bearer", {"error": "invalid_token"})
        raise Unauthorized(_BAD_TOKEN, www_authenticate=wrong)
    if scope not in found.scopes:
        raise Forbidden(f"This takes the scope {scope.value}, which this token does not have.")
    g.token = found


def token() -> ApiToken:
    """The token of the program that asks."""
    found: ApiToken = g.token
    return found


def name() -> str:
    """Under which name it stands in audit trails."""
    return f"api:{token().name}"
