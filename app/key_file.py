"""The key file: made once, read by every process, and written anew by `ordersync secrets rotate`."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet

from app.errors import Misconfigured


def text_of(file: Path) -> str:
    """What the key file holds; it is made where there is none. Raises `Misconfigured` where it can neither be read nor made."""
    try:
        if not file.exists():
            _make(file)
        return _settled(file)
    except OSError as error:
        raise Misconfigured(f"The key file {file} can neither be read nor made ({error.strerror}).") from None


def text_as_it_is(file: Path) -> str | None:
    """What the key file holds now; None where it cannot be read or holds nothing. No file is made."""
    try:
        return file.read_text(encoding="ascii", errors="replace").strip() or None
    except OSError:
        return None


def write(file: Path, keys: Sequence[str]) -> None:
    """Put these keys, the newest first, in the place of those in the file, for whoever could read it before.

    It is on the disk when this returns, and whole or as before whenever the process or the machine stops. Raises `OSError`
    where the file cannot be replaced or would come to belong to somebody else.
    """
    # What the name leads to is replaced, and not a link to it.
    place = file.resolve()
    before = place.stat()
    # One name, so that what a killed process left behind is written over; nobody else writes it, under the lock of a rotation.
    fresh = place.with_name(f".{place.name}.next")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as handle:
        os.fchown(descriptor, before.st_uid, before.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
        handle.write(",".join(keys) + "\n")
        handle.flush()
        os.fsync(descriptor)
    fresh.replace(place)
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
