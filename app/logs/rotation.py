"""A log file that several processes append to and any of them may rotate, without a line lost or two lines mixed.

Each line is one `write` to a descriptor opened for appending, which the system keeps whole. Whoever finds the file full renames
it under a lock; the others see at their next line that the name stands for another file. No line waits for a lock: a process that is
stopped while it holds one would stop all the others.
"""

import errno
import fcntl
import logging
import os
import sys
from pathlib import Path

import structlog

log = structlog.get_logger("ordersync.log")


class RotatedFile(logging.Handler):
    """Appends lines to `path`. At `size` bytes it becomes `path.1` and so on, until there are `files` of them.

    A failure (full disk, missing right) stops no work: it is told once, until a line can be written again.
    """

    def __init__(self, path: Path, *, size: int, files: int) -> None:
        super().__init__()
        self._path = path
        self._size = size
        self._files = files
        self._descriptor: int | None = None
        self._opened = (0, 0)
        self._torn = False
        self._told = False

    def emit(self, record: logging.LogRecord) -> None:
        """Append the record's line."""
        try:
            self._append(f"{self.format(record)}\n".encode(errors="replace"))
            self._told = False
        except Exception:  # noqa: BLE001 - whatever is wrong with the log, the work goes on
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's own method
        """Tell the console, once for each outage."""
        error = sys.exc_info()[1]
        self._close()
        if self._told:
            return
        self._told = True
        failure = error.strerror if isinstance(error, OSError) else type(error).__name__
        log.warning("log_file_failed", file=str(self._path), failure=failure)

    def close(self) -> None:
        """Give the file back."""
        self.acquire()
        try:
            self._close()
        finally:
            self.release()
        super().close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, line: bytes) -> None:
        descriptor, length = self._current()
        if length and length + len(line) > self._size and self._rotate(len(line)):
            descriptor, _ = self._current()
        # After a line that was cut by a full disk the next one begins anew, so that only that one is spoiled.
        data = b"\n" + line if self._torn else line
        written = os.write(descriptor, data)
        self._torn = written < len(data)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _current(self) -> tuple[int, int]:
        """The descriptor of the file that has the name now, and its length. Raises `OSError`."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - for each line; Path.stat costs twice as much
        except FileNotFoundError:
            found = None
        if (
            self._descriptor is not None
            and found is not None
            and self._opened == (found.st_dev, found.st_ino)
        ):
            return self._descriptor, found.st_size
        self._close()
        if found is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        found = os.fstat(self._descriptor)
        self._opened = (found.st_dev, found.st_ino)
        return self._descriptor, found.st_size

    def _rotate(self, room: int) -> bool:
        """Give the full file its number. Returns whether the name may stand for another file now; never waits, never raises."""
        try:
            # A descriptor of its own: the one for appending is shared with forked children, and so would be its lock.
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = os.fstat(descriptor)
            # Another process may have been quicker: then the name stands for a new file, or this is the new one.
            if os.path.samestat(locked, self._path.stat()) and locked.st_size + room > self._size:
                for number in range(self._files - 1, 0, -1):
                    older = self._numbered(number - 1)
                    if older.exists():
                        older.replace(self._numbered(number))
        except OSError:
            # Somebody else is at it, or may not be: lines go on into the file as it is.
            return False
        finally:
            os.close(descriptor)
        return True

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path
