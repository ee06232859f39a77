"""Signing in and out, and the accounts and tokens that there are."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from app.errors import UsageError
from app.ports.accounts import ApiToken, Role, Scope, Session, User
from app.sync.panel.acting import acting
from app.sync.panel.parts import Panel

log = structlog.get_logger("ordersync.accounts")

IDLE_SECONDS = 12 * 3600.0
"""A session ends when nothing was done for so long: a shift at the packing table."""

SESSION_SECONDS = 7 * 86_400.0
LINK_SECONDS = 86_400.0
FAILURES = 5
LOCK_SECONDS = 15 * 60.0
LEAST_CHARACTERS = 12
MOST_DAYS = 3650
_MOST_CHARACTERS = 1000
_BEGIN = "os_"
_HINT = 7
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._@+-]{0,62}[a-z0-9])?")

NOT_LET_IN = (
    "The name or the password is not right, or there were too many attempts: then wait 15 minutes, or ask an admin for a link "
    "(ordersync user link)."
)

_NO_LINK = "This link was used already, or it has ended; ask for another (ordersync user link NAME)."


class NotLetIn(UsageError):
    """Nobody is told whether it was the name, the password or the lock."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`key` is what the browser keeps; it is stored nowhere."""

    key: str
    user: User


def sign_in(panel: Panel, *, name: str, password: str) -> SignedIn:
    """Raises `NotLetIn`. After five wrong passwords an account is locked for 15 minutes, for the right one as well.

    The record of actions has who came in, and whose right password was changed at that moment. Who else did not is told to the log,
    which is bounded: anybody may try, as often as they like, and may have typed their password in place of the name.
    """
    user, now = find_user(panel, name), panel.store.now()
    # In every case, so that nobody learns from the time it takes whether there is such an account.
    fits = panel.passwords.fits(password[:_MOST_CHARACTERS], None if user is None else user.password)
    if user is None:
        why = "no such account"
    elif not user.is_active:
        why = "not active"
    elif (user.locked_until is not None and user.locked_until > now) or not _counted(panel, user):
        why = "locked"
    elif fits:
        with acting(panel.store, by=user.name, via="panel", action="sign in"):
            return _begun(panel, user, else_told=NOT_LET_IN)
    else:
        why = "wrong password"
    log.warning("sign_in_refused", account=None if user is None else user.name, why=why)
    raise NotLetIn(NOT_LET_IN)


def link_owner(panel: Panel, key: str) -> User | None:
    """Whom a link would sign in, where it still can."""
    return panel.store.link_owner(digest(key))


def sign_in_by_link(panel: Panel, key: str) -> SignedIn:
    """A link signs in once, and the password there was is good for nothing any more. Raises `NotLetIn`."""
    user = panel.store.take_link(digest(key))
    if user is None:
        log.warning("sign_in_refused", account=None, why="no such link")
        raise NotLetIn(_NO_LINK)
    with acting(panel.store, by=user.name, via="panel", action="sign in by link"):
        return _begun(panel, user, else_told=_NO_LINK)


def _begun(panel: Panel, user: User, *, else_told: str) -> SignedIn:
    """Raises `NotLetIn` where the password was changed, or the account closed, since `user` was read: hashing takes its time."""
    key = secrets.token_urlsafe(32)
    if not panel.store.open_session(
        user.id, password=user.password, digest=digest(key), expires_in=SESSION_SECONDS
    ):
        log.warning("sign_in_refused", account=user.name, why="changed meanwhile")
        raise NotLetIn(else_told)
    return SignedIn(key=key, user=user)


def session_of(panel: Panel, key: str) -> Session | None:
    """Who is signed in with this key, if anybody."""
    return panel.store.session(digest(key), idle=IDLE_SECONDS)


def sign_out(panel: Panel, key: str) -> None:
    """The key is good for nothing any more."""
    panel.store.end_session(digest(key))


def sign_out_everywhere(panel: Panel, session: Session) -> None:
    """Every session and link of this person ends, the present one as well."""
    panel.store.end_sessions(session.user.id)


def add_user(panel: Panel, *, name: str, role: Role, password: str | None, by: str) -> int:
    """A new account. Raises `UsageError` for a name that is taken or cannot be one, and for a password that is too short."""
    folded = _folded(name)
    if not _NAME.fullmatch(folded):
        raise UsageError(
            f"{name!r} cannot be a user's name: take up to 64 letters a-z, digits and . _ @ + -, beginning and ending with a "
            "letter or digit."
        )
    hashed = None if password is None else _hashed(panel, password)
    added = panel.store.add_user(folded, role=role, password=hashed, by=by)
    if added is None:
        raise UsageError(f"There is a user {folded!r} already.")
    return added


def find_user(panel: Panel, name: str) -> User | None:
    """The account of this name, however its letters are written."""
    folded = _folded(name)
    # What cannot be a name is not looked for: a NUL, for one, is refused by a database.
    return panel.store.user_named(folded) if _NAME.fullmatch(folded) else None


def user_named(panel: Panel, name: str) -> User:
    """Raises `UsageError` naming those there are."""
    found = find_user(panel, name)
    if found is None:
        known = (
            ", ".join(each.name for each in panel.store.users())
            or "none yet; add one with `ordersync user add`"
        )
        raise UsageError(f"There is no user {name!r} (there are: {known}).")
    return found


def change_user(panel: Panel, name: str, *, role: Role | None = None, is_active: bool | None = None) -> None:
    """Raises `UsageError` where nobody would be left who may do everything."""
    user = user_named(panel, name)
    if not panel.store.change_user(user.id, role=role, is_active=is_active):
        raise UsageError(f"{user.name} is the only active admin; make somebody else one first.")


def set_password(panel: Panel, name: str, password: str, *, keep_session: int | None = None) -> None:
    """The person's other sessions end. Raises `UsageError` for a password that is too short."""
    _set_password(panel, user_named(panel, name), _hashed(panel, password), keep_session=keep_session)


def change_own_password(panel: Panel, session: Session, *, old: str, new: str) -> None:
    """The person's other sessions end. Who has no password yet need not give the old one; wrong ones are counted as at signing in.

    Raises `UsageError`.
    """
    user = session.user
    hashed = _hashed(panel, new)
    if user.password is not None:
        fits = panel.passwords.fits(old[:_MOST_CHARACTERS], user.password)
        if not _counted(panel, user):
            raise UsageError(
                "There were too many attempts; nothing was changed. Wait 15 minutes, or ask an admin for a link."
            )
        if not fits:
            raise UsageError("The old password is not right; nothing was changed.")
    _set_password(panel, user, hashed, keep_session=session.id)


def unlock(panel: Panel, name: str) -> None:
    """The person may try their password again at once. Raises `UsageError`."""
    panel.store.forget_attempts(user_named(panel, name).id)


def make_link(panel: Panel, name: str) -> str:
    """What stands at the end of a link that signs this person in once, within a day. Raises `UsageError`."""
    user = user_named(panel, name)
    if not user.is_active:
        raise UsageError(
            f"{user.name} is not active; let them in again first (ordersync user set {user.name} --active)."
        )
    key = secrets.token_urlsafe(32)
    panel.store.add_link(user.id, digest=digest(key), expires_in=LINK_SECONDS)
    return key


def make_token(panel: Panel, *, name: str, scopes: Iterable[Scope], days: int | None, by: str) -> str:
    """A new token, which is shown this once and stored nowhere. `days` is how long it lasts, None for ever. Raises `UsageError`."""
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise UsageError(f"A token lasts for 1 day at least and {MOST_DAYS} at most, or for ever.")
    asked = set(scopes)
    wanted = tuple(each for each in Scope if each in asked)
    if not wanted:
        raise UsageError(f"Say what the token is for; the scopes are: {', '.join(Scope)}.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", name):
        raise UsageError(
            f"{name!r} cannot be a token's name: take up to 64 letters, digits, blanks and . _ -."
        )
    key = _BEGIN + secrets.token_urlsafe(32)
    until = None if days is None else panel.store.now() + timedelta(days=days)
    made = panel.store.add_token(
        name, digest=digest(key), hint=key[:_HINT], scopes=wanted, expires_at=until, by=by
    )
    if made is None:
        raise UsageError(f"There is a token {name!r} already; revoke it first, or take another name.")
    return key


def token_of(panel: Panel, key: str) -> ApiToken | None:
    """The token that this key is, if it is good."""
    return panel.store.token(digest(key)) if key.startswith(_BEGIN) else None


def revoke_token(panel: Panel, name: str) -> None:
    """Raises `UsageError` where no token of this name is in use."""
    for each in panel.store.tokens():
        if each.name == name and each.revoked_at is None:
            panel.store.revoke_token(each.id)
            return
    raise UsageError(f"There is no token {name!r} in use.")


def digest(key: str) -> str:
    """What is stored of a key. It is 256 random bits, so nothing is gained by a slower digest."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _set_password(panel: Panel, user: User, hashed: str, *, keep_session: int | None) -> None:
    if not panel.store.set_password(user.id, hashed, keep_session=keep_session):
        raise UsageError("You were signed out meanwhile; nothing was changed. Sign in again.")


def _counted(panel: Panel, user: User) -> bool:
    """Whether the person may still try a password; this one is counted then."""
    return panel.store.count_attempt(user.id, limit=FAILURES, lock_seconds=LOCK_SECONDS)


def _hashed(panel: Panel, password: str) -> str:
    try:
        password.encode()
    except UnicodeEncodeError:
        raise UsageError("The password is no text in UTF-8.") from None
    if not LEAST_CHARACTERS <= len(password) <= _MOST_CHARACTERS:
        raise UsageError(
            f"A password has {LEAST_CHARACTERS} characters at least, and {_MOST_CHARACTERS} at most."
        )
    return panel.passwords.hashed(password)


def _folded(name: str) -> str:
    return name.strip().lower()
