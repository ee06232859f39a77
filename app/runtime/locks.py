"""Locks between processes of one machine."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import UsageError

_POLL_SECONDS = 0.02


class ExclusiveLock:
    """A file that at most one holder has locked; the system lets go of it when the last process that holds it has ended.

    A child that is handed `fileno()` holds the lock too, for as long as it lives. The file stays when the lock is released, since
    removing it would let two processes hold locks on two files of one name: keep it outside of any folder that is wiped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, *, wait: float = 0.0) -> None:
        """Lock the file, trying for `wait` seconds. Raises `UsageError` that names the file when another has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    raise UsageError(
                        f"Another process is using {self.path.parent} ({self.path} is locked)."
                    ) from None
                time.sleep(_POLL_SECONDS)
            except BaseException:
                os.close(descriptor)
                raise
            else:
                self._descriptor = descriptor
                return

    def release(self) -> None:
        """Let go. Promised to do nothing when the lock is not held."""
        if self._descriptor is not None:
            # Closing instead of unlocking: an explicit unlock would take the lock from a child that holds it too.
            os.close(self._descriptor)
            self._descriptor = None

    def fileno(self) -> int:
        """The descriptor to hand to a child that shall hold the lock as well."""
        if self._descriptor is None:
            raise UsageError(f"{self.path} is not locked.")
        return self._descriptor


@contextmanager
def exclusive_lock(path: Path, *, wait: float = 0.0) -> Iterator[ExclusiveLock]:
    """Hold the lock file `path` for the length of a `with` block; see `ExclusiveLock`."""
    lock = ExclusiveLock(path)
    lock.acquire(wait=wait)
    try:
        yield lock
    finally:
        lock.release()
