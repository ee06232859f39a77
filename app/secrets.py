"""Credentials at rest: Fernet, with a key from the environment or from a key file that only its owner can read."""

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.fernet import Fernet, InvalidToken

from app import key_file
from app.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One key. `id` tells it from others and nothing of the key itself: the first digits of its SHA-256."""

    id: str
    text: str = field(repr=False)
    fernet: Fernet = field(repr=False)

    @classmethod
    def of(cls, text: str) -> Self:
        """The key of this text. Raises `ValueError` for what is no Fernet key."""
        return cls(id=hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS], text=text, fernet=Fernet(text))

    @classmethod
    def new(cls) -> Self:
        """One that nobody has."""
        return cls.of(Fernet.generate_key().decode())


_ID_DIGITS = 8


class KeyRing:
    """The keys of this process, the newest first: it closes, and each of them opens.

    Keys from a file are read from it again before anything is closed and where nothing opens, so that processes that run go on
    through a rotation. Keys that were there before still open what they closed, until the process ends.
    """

    def __init__(
        self, keys: Sequence[SecretKey], *, again: Callable[[], Sequence[SecretKey] | None] | None = None
    ) -> None:
        self._keys = tuple(keys)
        self._again = again

    def close(self, plain: bytes) -> str:
        """A token that only the newest key opens."""
        self._look_again()
        return self._keys[0].fernet.encrypt(plain).decode()

    def open(self, token: str) -> tuple[bytes, str]:
        """What is in a token, and the id of the key that opens it. Raises `InvalidToken`."""
        try:
            return self._opened(token)
        except InvalidToken:
            self._look_again()
            return self._opened(token)

    def _opened(self, token: str) -> tuple[bytes, str]:
        for key in self._keys:
            try:
                return key.fernet.decrypt(token.encode()), key.id
            except InvalidToken:
                continue
        raise InvalidToken

    def _look_again(self) -> None:
        found = self._again() if self._again is not None else None
        if found:
            fresh = {key.id for key in found}
            self._keys = (*found, *(key for key in self._keys if key.id not in fresh))


def load_key(*, given: str | None, file: Path) -> KeyRing:
    """The key given (several, separated by commas, newest first), else the key file's; the file is made where there is none.

    Raises `Misconfigured` for what is no Fernet key.
    """
    if given is not None:
        return KeyRing(keys_of(given, file=file))
    return KeyRing(keys_of(None, file=file), again=lambda: _keys_now(file))


def keys_of(given: str | None, *, file: Path) -> tuple[SecretKey, ...]:
    """The keys that are given, else those of the key file, the newest first. Raises `Misconfigured`."""
    try:
        return _read(given if given is not None else key_file.text_of(file))
    except ValueError:
        where = "ORDERSYNC_SECRET_KEY" if given is not None else str(file)
        raise Misconfigured(f"{where} holds no Fernet key (44 characters of URL-safe base64).") from None


def _keys_now(file: Path) -> tuple[SecretKey, ...] | None:
    text = key_file.text_as_it_is(file)
    try:
        return None if text is None else _read(text)
    except ValueError:
        # What was read before still serves; the next process that starts says what is wrong.
        return None


def _read(text: str) -> tuple[SecretKey, ...]:
    found = tuple(SecretKey.of(part.strip()) for part in text.split(",") if part.strip())
    if not found:
        raise ValueError("no key")
    return found


def encrypt(key: KeyRing, credentials: dict[str, str]) -> str:
    """Credentials as a token that only the newest key opens."""
    return key.close(json.dumps(credentials).encode())


def decrypt(key: KeyRing, token: str, *, name: str) -> dict[str, str]:
    """The credentials in a token. Raises `Misconfigured` where the key is not the one they were stored with."""
    try:
        opened: dict[str, str] = json.loads(key.open(token)[0])
    except InvalidToken:
        raise Misconfigured(
            f"The credentials of {name} were stored with another key; give the old one in ORDERSYNC_SECRET_KEY (new,old)."
        ) from None
    return opened


@dataclass(frozen=True, slots=True)
class AuditKey:
    """The key of the audit trail's seals. Events with ids up to `after_event` were noted before there was this key."""

    key: bytes
    after_event: int


def new_audit_key(key: KeyRing, *, after_event: int) -> str:
    """A new key of the audit trail's seals, as it is stored."""
    return encrypt(key, {"key": secrets.token_hex(32), "after_event": str(after_event)})


def audit_key(key: KeyRing, stored: str) -> AuditKey:
    """The key of the audit trail's seals. Raises `Misconfigured` where the secret key is another."""
    opened = decrypt(key, stored, name="the audit trail")
    return AuditKey(key=bytes.fromhex(opened["key"]), after_event=int(opened["after_event"]))


def new_web_key(key: KeyRing) -> str:
    """A new key of browsers' cookies, as it is stored."""
    return encrypt(key, {"key": secrets.token_hex(32)})


def web_key(key: KeyRing, stored: str) -> bytes:
    """The key of browsers' cookies. Raises `Misconfigured` where the secret key is another."""
    return bytes.fromhex(decrypt(key, stored, name="the panel's cookies")["key"])
