"""Who may do what: tokens of one store and their scopes (contract section 1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from .answers import ApiError

ORDERS, ORDERS_READ = "store_v2_orders", "store_v2_orders_read_only"
TRANSACTIONS_READ, INFORMATION_READ = "store_v2_transactions_read_only", "store_v2_information_read_only"

DEMO_STORE_HASH = "sandbox1"
DEMO_TOKEN = "bc_sandbox_token"  # noqa: S105 (opens nothing but the sandbox)
READ_ONLY_TOKEN = "bc_sandbox_reader"  # noqa: S105 (the same)
DEMO_CLIENT_SECRET = "bc_sandbox_client_secret"  # noqa: S105 (signs nothing but the sandbox's webhooks)


@dataclass(frozen=True)
class Token:
    """An access token and its scopes; tokens do not expire. Hooks need no scope."""

    value: str = field(repr=False)
    scopes: frozenset[str]
    client_id: str = "sandbox-client"


DEMO_TOKENS = (
    Token(DEMO_TOKEN, frozenset({ORDERS, TRANSACTIONS_READ, INFORMATION_READ})),
    Token(READ_ONLY_TOKEN, frozenset({ORDERS_READ, TRANSACTIONS_READ, INFORMATION_READ}), "sandbox-reader"),
)


class Keyring:
    """The store's tokens."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self._tokens = {token.value: token for token in tokens}

    def known(self, value: str | None) -> Token:
        """The token of a request, or the 401."""
        if not value:
            raise ApiError(401, "The request carries no X-Auth-Token.")
        token = self._tokens.get(value)
        if token is None:
            raise ApiError(401, "The X-Auth-Token is not known to this store.")
        return token

    def revoke(self, value: str) -> None:
        """Delete the API account of a token."""
        self._tokens.pop(value, None)


def check_scope(token: Token, *, any_of: Iterable[str]) -> None:
    """403 where the token has none of the scopes."""
    if not token.scopes.intersection(any_of):
        raise ApiError(403, "The token's scopes do not allow this request.")
