"""Passwords as they are kept: argon2id, with the parameters that its library recommends (RFC 9106, low memory)."""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_AT_ONCE = threading.BoundedSemaphore(2)
"""Each takes 64 MiB for as long as it lasts: a flood of guesses must not take the machine's memory."""


class Argon2Passwords:
    """Hashes and compares."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._nobodys: str | None = None

    def hashed(self, password: str) -> str:
        """What is stored of a password."""
        with _AT_ONCE:
            return self._hasher.hash(password)

    def fits(self, password: str, stored: str | None) -> bool:
        """Whether it is the password. Takes as long where nothing is stored, so that names cannot be found out by the clock."""
        if stored is None:
            if self._nobodys is None:
                self._nobodys = self.hashed("nobody has this password")
            self._compare(password, self._nobodys)
            return False
        return self._compare(password, stored)

    def _compare(self, password: str, stored: str) -> bool:
        try:
            with _AT_ONCE:
                return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False
