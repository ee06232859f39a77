"""Who may look and who may do: people with accounts, programs with tokens, and the record of what each of them did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class Role(StrEnum):
    """What a person may do: look; repair orders and start work; change sites, systems and accounts. Each includes those before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Whether who has this role may do what takes the other."""
        ranks = tuple(Role)
        return ranks.index(self) >= ranks.index(other)


class Scope(StrEnum):
    """What a token may be used for."""

    ORDERS_READ = "orders:read"
    ERRORS_READ = "errors:read"
    ERRORS_WRITE = "errors:write"
    SITES_READ = "sites:read"
    SITES_WRITE = "sites:write"
    RUNS_READ = "runs:read"
    RUNS_WRITE = "runs:write"
    METRICS_READ = "metrics:read"


@dataclass(frozen=True, slots=True)
class User:
    """A person's account. `password` is the argon2 hash; None where the person signs in by a link only, or not yet.

    `failures` counts attempts with a password since the last right one, or since the account was locked last.
    """

    id: int
    name: str
    role: Role
    is_active: bool
    password: str | None
    failures: int
    locked_until: datetime | None
    created_at: datetime
    created_by: str
    last_login_at: datetime | None


@dataclass(frozen=True, slots=True)
class Session:
    """A person who is signed in. `seen_at` is when they last did something, to the minute; `is_new_minute`: that is to be noted anew."""

    id: int
    user: User
    created_at: datetime
    seen_at: datetime
    is_new_minute: bool = True


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A program's access. `hint` is how the token begins, so that a person can tell which one it is."""

    id: int
    name: str
    hint: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Action:
    """Something a person or a program did here. `outcome` is `done`, or why it was not; empty where it was cut off.

    `via` is the door it came through: panel, api or cli.
    """

    id: int
    at: datetime
    by: str
    via: str
    action: str
    target: str
    detail: Mapping[str, Any]
    outcome: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer that was given under an idempotency key; `status` is None while the first request is still being answered."""

    request: str
    status: int | None
    body: str


class AccountStore(Protocol):
    """Accounts, sessions, tokens and the record of actions. Tokens are asked for by the SHA-256 of what their owner has."""

    def add_user(self, name: str, *, role: Role, password: str | None, by: str) -> int | None:
        """The id of the new account; None where the name is taken."""
        ...

    def users(self) -> tuple[User, ...]:
        """Every account, by name."""
        ...

    def user_named(self, name: str) -> User | None: ...
    def change_user(self, user_id: int, *, role: Role | None = None, is_active: bool | None = None) -> bool:
        """False, and nothing is changed, where no active admin would be left. Who is not active is signed out."""
        ...

    def set_password(self, user_id: int, password: str, *, keep_session: int | None = None) -> bool:
        """Set the hash, forget failures and locks, and end every session and link of the account but `keep_session`.

        False, and nothing is changed, where `keep_session` has been ended.
        """
        ...

    def count_attempt(self, user_id: int, *, limit: int, lock_seconds: float) -> bool:
        """Count a password before it is looked at. False, and it is not to be looked at, where the account is locked.

        The `limit`th locks the account for so long, unless it turns out to be right. However many come at once, no more than
        `limit` are looked at.
        """
        ...

    def forget_attempts(self, user_id: int) -> None:
        """The password was right, or somebody lets the person try again: the account is not locked any more."""
        ...

    def open_session(self, user_id: int, *, password: str | None, digest: str, expires_in: float) -> bool:
        """The person is signed in: attempts are forgotten. `password` is the hash that fitted; None after a link.

        False, and nothing is changed, where the account has another one by now, or is not active.
        """
        ...

    def session(self, digest: str, *, idle: float) -> Session | None:
        """The session, unless it has ended, was idle for so many seconds, or its account is not active."""
        ...

    def touch_session(self, session_id: int) -> None: ...
    def end_session(self, digest: str) -> None: ...
    def end_sessions(self, user_id: int) -> None:
        """End every session and link of this account."""
        ...

    def add_link(self, user_id: int, *, digest: str, expires_in: float) -> None:
        """A link that signs this person in once, in place of those there were."""
        ...

    def link_owner(self, digest: str) -> User | None:
        """Whose link it is, where it can still be used."""
        ...

    def take_link(self, digest: str) -> User | None:
        """The same, and it cannot be used again. The account has no password then: who comes by a link sets a new one.

        Every other session and link of the account ends: whoever has one could else set that password.
        """
        ...

    def drop_ended(self) -> int:
        """Forget sessions, links and idempotency keys that have ended."""
        ...

    def add_token(
        self,
        name: str,
        *,
        digest: str,
        hint: str,
        scopes: Sequence[Scope],
        expires_at: datetime | None,
        by: str,
    ) -> int | None:
        """The id of the new token; None where a token that is not revoked has this name."""
        ...

    def tokens(self) -> tuple[ApiToken, ...]:
        """Every token, by name, those that were revoked as well."""
        ...

    def token(self, digest: str) -> ApiToken | None:
        """The token, unless it was revoked or has expired; its use is noted, to the minute."""
        ...

    def revoke_token(self, token_id: int) -> bool: ...
    def begin_action(self, *, by: str, via: str, action: str, target: str, detail: Mapping[str, Any]) -> int:
        """Note that it is being tried."""
        ...

    def end_action(self, action_id: int, outcome: str) -> None: ...
    def actions(self, *, before: int | None, limit: int, by: str | None = None) -> tuple[Action, ...]:
        """The latest actions with ids below `before`, the newest first; of one person or program, where `by` names it."""
        ...

    def begin_keyed(self, token_id: int, key: str, *, request: str, expires_in: float) -> Kept | None:
        """None: this request is the first under the key and is to be answered. Else what was kept of the first one."""
        ...

    def end_keyed(self, token_id: int, key: str, *, status: int, body: str) -> None:
        """Keep the answer for whoever asks again."""
        ...

    def drop_keyed(self, token_id: int, key: str) -> None:
        """The request came to nothing; it may be sent again under the same key."""
        ...
