"""Credentials at rest: Fernet, with a key from the environment or from a key file that only its owner can read."""

import contextlib
import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app.errors import Misconfigured


def load_key(*, given: str | None, file: Path) -> MultiFernet:
    """The key given (several, separated by commas, newest first), else the key file's; the file is made where there is none.

    Raises `Misconfigured` for what is no Fernet key.
    """
    text = given if given is not None else _from_file(file)
    try:
        return MultiFernet([Fernet(part.strip()) for part in text.split(",") if part.strip()])
    except ValueError:
        where = "ORDERSYNC_SECRET_KEY" if given is not None else str(file)
        raise Misconfigured(f"{where} holds no Fernet key (44 characters of URL-safe base64).") from None


def _from_file(file: Path) -> str:
    try:
        if not file.exists():
            _make(file)
        return _settled(file)
    except OSError as error:
        raise Misconfigured(f"The key file {file} can neither be read nor made ({error.strerror}).") from None


def _make(file: Path) -> None:
    """Make the key file whole and for its owner alone, unless another process has just made it.

    It gets its name once it is written, and only where there is none: two that start together end up with one key.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(Fernet.generate_key())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, file)
    finally:
        fresh.unlink()


def _settled(file: Path) -> str:
    # What is no ASCII is no key either; it is refused where the key is opened.
    text = file.read_text(encoding="ascii", errors="replace").strip()
    if not text:
        raise Misconfigured(
            f"The key file {file} is empty; put the key back, or remove the file where no credentials are stored yet."
        )
    return text


def encrypt(key: MultiFernet, credentials: dict[str, str]) -> str:
    """Credentials as a token that only the key opens."""
    return key.encrypt(json.dumps(credentials).encode()).decode()


def decrypt(key: MultiFernet, token: str, *, name: str) -> dict[str, str]:
    """The credentials in a token. Raises `Misconfigured` where the key is not the one they were stored with."""
    try:
        opened: dict[str, str] = json.loads(key.decrypt(token.encode()))
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


def new_audit_key(key: MultiFernet, *, after_event: int) -> str:
    """A new key of the audit trail's seals, as it is stored."""
    return encrypt(key, {"key": secrets.token_hex(32), "after_event": str(after_event)})


def audit_key(key: MultiFernet, stored: str) -> AuditKey:
    """The key of the audit trail's seals. Raises `Misconfigured` where the secret key is another."""
    opened = decrypt(key, stored, name="the audit trail")
    return AuditKey(key=bytes.fromhex(opened["key"]), after_event=int(opened["after_event"]))
