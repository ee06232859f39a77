"""Accounts, sessions, tokens, and the record of what people and programs did."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.db.store.base import Base, cut
from app.db.tables import actions, keyed, sessions, tokens, users
from app.db.types import storable
from app.ports.accounts import Action, ApiToken, Kept, Role, Scope, Session, User

_LINK = "link"
_SESSION = "session"
_MINUTE = timedelta(minutes=1)


class Accounts(Base):
    """What the panel and the API know of who asks."""

    def add_user(self, name: str, *, role: Role, password: str | None, by: str) -> int | None:
        """The id of the new account; None where the name is taken."""
        try:
            with self._writing() as connection:
                row = {
                    "name": name,
                    "role": role.value,
                    "is_active": True,
                    "password": password,
                    "failures": 0,
                    "created_at": self._now(connection),
                    "created_by": storable(by)[:64],
                }
                return _inserted(connection, insert(users).values(**row))
        except IntegrityError:
            return None

    def users(self) -> tuple[User, ...]:
        """Every account, by name."""
        with self._reading() as connection:
            return tuple(_user(row) for row in connection.execute(select(users).order_by(users.c.name)))

    def user_named(self, name: str) -> User | None:
        """The account of this name."""
        with self._reading() as connection:
            row = connection.execute(select(users).where(users.c.name == name)).first()
        return None if row is None else _user(row)

    def change_user(self, user_id: int, *, role: Role | None = None, is_active: bool | None = None) -> bool:
        """False, and nothing is changed, where no active admin would be left. Who is not active is signed out."""
        with self._writing() as connection:
            # All of them, so that two admins who demote each other do so one after the other.
            query = select(users.c.id, users.c.role, users.c.is_active).order_by(users.c.id)
            there = {row.id: (row.role, row.is_active) for row in connection.execute(query.with_for_update())}
            if user_id not in there:
                return False
            new_role = there[user_id][0] if role is None else role.value
            new_active = there[user_id][1] if is_active is None else is_active
            there[user_id] = (new_role, new_active)
            if not any(each == (Role.ADMIN.value, True) for each in there.values()):
                return False
            connection.execute(
                update(users).where(users.c.id == user_id).values(role=new_role, is_active=new_active)
            )
            if not new_active:
                connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
            return True

    def set_password(self, user_id: int, password: str, *, keep_session: int | None = None) -> bool:
        """Set the hash, forget failures and locks, and end every session and link of the account but `keep_session`.

        False, and nothing is changed, where `keep_session` has been ended.
        """
        with self._writing() as connection:
            _locked(connection, user_id)
            if keep_session is not None:
                kept = (sessions.c.id == keep_session, sessions.c.user_id == user_id)
                if connection.execute(select(sessions.c.id).where(*kept)).first() is None:
                    return False
            connection.execute(
                update(users)
                .where(users.c.id == user_id)
                .values(password=password, failures=0, locked_until=None)
            )
            connection.execute(
                delete(sessions).where(sessions.c.user_id == user_id, sessions.c.id != (keep_session or 0))
            )
            return True

    def count_attempt(self, user_id: int, *, limit: int, lock_seconds: float) -> bool:
        """Count a password before it is looked at. False, and it is not to be looked at, where the account is locked."""
        mine = users.c.id == user_id
        with self._writing() as connection:
            query = select(users.c.failures, users.c.locked_until).where(mine).with_for_update()
            row = connection.execute(query).one()
            # Read once the row is ours: whoever had to wait for it would else compare with a time that is over.
            now = self._now(connection)
            if row.locked_until is not None and row.locked_until > now:
                return False
            is_last = row.failures + 1 >= limit
            connection.execute(
                update(users)
                .where(mine)
                .values(
                    failures=0 if is_last else row.failures + 1,
                    locked_until=now + timedelta(seconds=lock_seconds) if is_last else None,
                )
            )
            return True

    def forget_attempts(self, user_id: int) -> None:
        """The password was right, or somebody lets the person try again: the account is not locked any more."""
        with self._writing() as connection:
            connection.execute(
                update(users).where(users.c.id == user_id).values(failures=0, locked_until=None)
            )

    def open_session(self, user_id: int, *, password: str | None, digest: str, expires_in: float) -> bool:
        """The person is signed in: attempts are forgotten. `password` is the hash that fitted.

        False, and nothing is changed, where the account has another one by now, or is not active.
        """
        with self._writing() as connection:
            user = _locked(connection, user_id)
            if user is None or not user.is_active or user.password != password:
                return False
            now = self._now(connection)
            _add_session(connection, user_id, kind=_SESSION, digest=digest, now=now, expires_in=expires_in)
            connection.execute(
                update(users)
                .where(users.c.id == user_id)
                .values(failures=0, locked_until=None, last_login_at=now)
            )
            return True

    def session(self, digest: str, *, idle: float) -> Session | None:
        """The session, unless it has ended, was idle for so many seconds, or its account is not active."""
        query = (
            select(users, sessions.c.id.label("session_id"), sessions.c.created_at.label("begun"))
            .add_columns(sessions.c.seen_at, sessions.c.expires_at)
            .join(sessions, sessions.c.user_id == users.c.id)
            .where(sessions.c.digest == digest, sessions.c.kind == _SESSION)
        )
        with self._reading() as connection:
            row = connection.execute(query).first()
            now = self._now(connection)
        if row is None or not row.is_active:
            return None
        if row.expires_at <= now or now - row.seen_at > timedelta(seconds=idle):
            return None
        return Session(
            id=row.session_id,
            user=_user(row),
            created_at=row.begun,
            seen_at=row.seen_at,
            is_new_minute=now - row.seen_at > _MINUTE,
        )

    def touch_session(self, session_id: int) -> None:
        """The person did something; noted once a minute."""
        with self._writing() as connection:
            now = self._now(connection)
            connection.execute(
                update(sessions)
                .where(sessions.c.id == session_id, sessions.c.seen_at < now - _MINUTE)
                .values(seen_at=now)
            )

    def end_session(self, digest: str) -> None:
        """The person has signed out."""
        with self._writing() as connection:
            connection.execute(
                delete(sessions).where(sessions.c.digest == digest, sessions.c.kind == _SESSION)
            )

    def end_sessions(self, user_id: int) -> None:
        """End every session and link of this account."""
        with self._writing() as connection:
            connection.execute(delete(sessions).where(sessions.c.user_id == user_id))

    def add_link(self, user_id: int, *, digest: str, expires_in: float) -> None:
        """A link that signs this person in once, in place of those there were."""
        with self._writing() as connection:
            now = self._now(connection)
            connection.execute(
                delete(sessions).where(sessions.c.user_id == user_id, sessions.c.kind == _LINK)
            )
            _add_session(connection, user_id, kind=_LINK, digest=digest, now=now, expires_in=expires_in)

    def link_owner(self, digest: str) -> User | None:
        """Whose link it is, where it can still be used."""
        with self._reading() as connection:
            row = connection.execute(_link(digest)).first()
            now = self._now(connection)
        return _user(row) if row is not None and row.is_active and row.expires_at > now else None

    def take_link(self, digest: str) -> User | None:
        """The same, and it cannot be used again. The account has no password then: who comes by a link sets a new one.

        Every other session and link of the account ends: whoever has one could else set that password.
        """
        with self._writing() as connection:
            link = connection.execute(_link(digest)).first()
            # Before any session of the account, as everywhere: whoever has the account's row may end its sessions.
            user = None if link is None else _locked(connection, link.id)
            taken = connection.execute(
                delete(sessions).where(sessions.c.digest == digest, sessions.c.kind == _LINK)
            )
            now = self._now(connection)
            if link is None or user is None or not taken.rowcount:
                return None
            if not user.is_active or link.expires_at <= now:
                return None
            connection.execute(delete(sessions).where(sessions.c.user_id == user.id))
            connection.execute(update(users).where(users.c.id == user.id).values(password=None))
            return replace(_user(user), password=None)

    def drop_ended(self) -> int:
        """Forget sessions, links and idempotency keys that have ended."""
        with self._writing() as connection:
            now = self._now(connection)
            return sum(
                connection.execute(delete(each).where(each.c.expires_at <= now)).rowcount
                for each in (sessions, keyed)
            )

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
        try:
            with self._writing() as connection:
                row = {
                    "name": name,
                    "open_name": name,
                    "digest": digest,
                    "hint": hint,
                    "scopes": " ".join(scopes),
                    "created_at": self._now(connection),
                    "created_by": storable(by)[:64],
                    "expires_at": expires_at,
                }
                return _inserted(connection, insert(tokens).values(**row))
        except IntegrityError:
            return None

    def tokens(self) -> tuple[ApiToken, ...]:
        """Every token, by name, those that were revoked as well."""
        with self._reading() as connection:
            found = connection.execute(select(tokens).order_by(tokens.c.name, tokens.c.id))
            return tuple(_token(row) for row in found)

    def token(self, digest: str) -> ApiToken | None:
        """The token, unless it was revoked or has expired; its use is noted, to the minute."""
        with self._reading() as connection:
            row = connection.execute(select(tokens).where(tokens.c.digest == digest)).first()
            now = self._now(connection)
        if row is None or row.revoked_at is not None or (row.expires_at or now + _MINUTE) <= now:
            return None
        if row.last_used_at is None or now - row.last_used_at > _MINUTE:
            with self._writing() as connection:
                connection.execute(update(tokens).where(tokens.c.id == row.id).values(last_used_at=now))
        return _token(row)

    def revoke_token(self, token_id: int) -> bool:
        """Whether it was still good for something."""
        with self._writing() as connection:
            done = connection.execute(
                update(tokens)
                .where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None))
                .values(revoked_at=self._now(connection), open_name=None)
            )
            return bool(done.rowcount)

    def begin_action(self, *, by: str, via: str, action: str, target: str, detail: Mapping[str, Any]) -> int:
        """Note that it is being tried."""
        row = {
            "by": storable(by)[:80],
            "via": via,
            "action": action,
            "target": storable(target)[:255],
            "detail": {storable(str(name)): _plain(value) for name, value in detail.items()},
            "outcome": "",
        }
        with self._writing() as connection:
            return _inserted(connection, insert(actions).values(at=self._now(connection), **row))

    def end_action(self, action_id: int, outcome: str) -> None:
        """What came of it."""
        with self._writing() as connection:
            connection.execute(update(actions).where(actions.c.id == action_id).values(outcome=cut(outcome)))

    def actions(self, *, before: int | None, limit: int, by: str | None = None) -> tuple[Action, ...]:
        """The latest actions with ids below `before`, the newest first; of one person or program, where `by` names it."""
        query = select(actions).order_by(actions.c.id.desc()).limit(limit)
        if by is not None:
            query = query.where(actions.c.by == storable(by))
        if before is not None:
            query = query.where(actions.c.id < before)
        with self._reading() as connection:
            return tuple(
                Action(
                    id=row.id,
                    at=row.at,
                    by=row.by,
                    via=row.via,
                    action=row.action,
                    target=row.target,
                    detail=row.detail,
                    outcome=row.outcome,
                )
                for row in connection.execute(query)
            )

    def begin_keyed(self, token_id: int, key: str, *, request: str, expires_in: float) -> Kept | None:
        """None: this request is the first under the key and is to be answered. Else what was kept of the first one."""
        mine = (keyed.c.token_id == token_id, keyed.c.key == key)
        try:
            with self._writing() as connection:
                now = self._now(connection)
                connection.execute(delete(keyed).where(*mine, keyed.c.expires_at <= now))
                row = {"token_id": token_id, "key": key, "request": request, "body": ""}
                until = now + timedelta(seconds=expires_in)
                connection.execute(insert(keyed).values(expires_at=until, **row))
                return None
        except IntegrityError:
            with self._reading() as connection:
                found = connection.execute(select(keyed).where(*mine)).first()
            if found is None:
                # The first one came to nothing this very moment: to be asked again.
                return Kept(request=request, status=None, body="")
            return Kept(request=found.request, status=found.status, body=found.body)

    def end_keyed(self, token_id: int, key: str, *, status: int, body: str) -> None:
        """Keep the answer for whoever asks again."""
        with self._writing() as connection:
            connection.execute(
                update(keyed)
                .where(keyed.c.token_id == token_id, keyed.c.key == key)
                .values(status=status, body=storable(body))
            )

    def drop_keyed(self, token_id: int, key: str) -> None:
        """The request came to nothing; it may be sent again under the same key."""
        with self._writing() as connection:
            connection.execute(
                delete(keyed).where(
                    keyed.c.token_id == token_id, keyed.c.key == key, keyed.c.status.is_(None)
                )
            )


def _inserted(connection: Connection, statement: Any) -> int:
    key: Any = connection.execute(statement).inserted_primary_key
    return int(key[0])


def _locked(connection: Connection, user_id: int) -> Row[Any] | None:
    """The account as it is now, and as it stays until the transaction ends."""
    return connection.execute(select(users).where(users.c.id == user_id).with_for_update()).first()


def _add_session(
    connection: Connection, user_id: int, *, kind: str, digest: str, now: datetime, expires_in: float
) -> None:
    row = {"user_id": user_id, "kind": kind, "digest": digest, "created_at": now, "seen_at": now}
    connection.execute(insert(sessions).values(**row, expires_at=now + timedelta(seconds=expires_in)))


def _link(digest: str) -> Any:
    return (
        select(users, sessions.c.expires_at)
        .join(sessions, sessions.c.user_id == users.c.id)
        .where(sessions.c.digest == digest, sessions.c.kind == _LINK)
    )


def _plain(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def _user(row: Row[Any]) -> User:
    return User(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        is_active=row.is_active,
        password=row.password,
        failures=row.failures,
        locked_until=row.locked_until,
        created_at=row.created_at,
        created_by=row.created_by,
        last_login_at=row.last_login_at,
    )


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(
        id=row.id,
        name=row.name,
        hint=row.hint,
        scopes=tuple(Scope(each) for each in row.scopes.split()),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
