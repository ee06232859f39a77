"""`ordersync secrets`: another secret key, without a moment in which something stored can be opened by nobody.

The order is everything: the new key is in the file, on the disk, before anything is closed with it; the old one leaves the file
only when nothing is closed with it any more. Whatever stops in between is taken up by the next `rotate`.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog
from cryptography.fernet import InvalidToken

from app import key_file
from app.bootstrap import Program
from app.db import keys as stored
from app.errors import Misconfigured
from app.runtime.locks import exclusive_lock
from app.secrets import KeyRing, SecretKey, keys_of
from app.settings import Settings

log = structlog.get_logger("ordersync.secrets")

_LOCK_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Shown:
    """The keys, the newest first, and which of them opens what is stored: `under` has a key's id, or None where none opens it."""

    keys: tuple[str, ...]
    held_in: str
    under: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did. `new_key` is the one that a person has to put before the others, where the program cannot.

    `dropped` are the ids of keys that are no longer needed: taken out of the file, or to be taken out by a person.
    """

    keys: tuple[str, ...]
    by_hand: bool
    held_in: str
    made: str = ""
    moved: int = 0
    dropped: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    new_key: str = field(default="", repr=False)


def show(program: Program) -> Shown:
    """Which key opens what. Never a key, nor anything that it opens."""
    keys = _keys(program.settings)
    ring = KeyRing(keys)
    return Shown(
        keys=tuple(key.id for key in keys),
        held_in=_held_in(program.settings),
        under=tuple((each.what, _key_of(ring, each.token)) for each in stored.encrypted(program.engine)),
    )


def rotate(program: Program, *, by_hand: bool = False) -> Rotated:
    """Close everything with a new key, or with the newest, where there is more than one.

    One that was broken off is so brought to its end, and one that is at its end is not begun again. With `by_hand`, or where the
    program cannot write the key down, it only makes one, for a person to put where the keys are held.
    """
    with _alone(program.settings) as can_write:
        keys = _keys(program.settings)
        made = ""
        if len(keys) == 1:
            new = SecretKey.new()
            if by_hand or not (can_write and _written(program.settings, (new, *keys))):
                return _result(program, keys, by_hand=True, made=new.id, new_key=f"{new.text},{keys[0].text}")
            keys, made = (new, *keys), new.id
            log.info("key_made", key=new.id)
        moved, unreadable = _move(program, keys)
        return _result(
            program,
            keys,
            by_hand=not can_write,
            made=made,
            moved=moved,
            unreadable=unreadable,
            dropped=() if can_write or unreadable else tuple(key.id for key in keys[1:]),
        )


def finish(program: Program) -> Rotated:
    """Forget all keys but the newest, with which everything is closed before.

    Raises `Misconfigured` where something is left that the newest does not open, or where the newest was made so recently that
    something may still be on its way into the database that the one before has closed.
    """
    settings = program.settings
    with _alone(settings) as can_write:
        keys = _keys(settings)
        moved, unreadable = _move(program, keys)
        if unreadable:
            raise Misconfigured(
                f"No key was dropped: with the keys there are, {' and '.join(unreadable)} cannot be opened. "
                "Put the key that is missing behind the others, or name those credentials anew."
            )
        older = tuple(key.id for key in keys[1:])
        if older and can_write:
            _wait_over(settings)
        left_out = can_write and (not older or _written(settings, keys[:1]))
        if older and left_out:
            log.info("keys_dropped", keys=list(older))
        return _result(
            program, keys[:1] if left_out else keys, by_hand=not left_out, moved=moved, dropped=older
        )


def _result(program: Program, keys: tuple[SecretKey, ...], **more: object) -> Rotated:
    return Rotated(keys=tuple(key.id for key in keys), held_in=_held_in(program.settings), **more)  # type: ignore[arg-type]


def _keys(settings: Settings) -> tuple[SecretKey, ...]:
    return keys_of(settings.secret_key, file=settings.secret_key_file)


def _held_in(settings: Settings) -> str:
    return "ORDERSYNC_SECRET_KEY" if settings.secret_key is not None else str(settings.secret_key_file)


@contextmanager
def _alone(settings: Settings) -> Iterator[bool]:
    """No other rotation runs meanwhile. Gives whether the keys are in a file beside which we may write."""
    if settings.secret_key is not None:
        yield False
        return
    place = settings.secret_key_file.resolve()
    lock = exclusive_lock(place.with_name(f"{place.name}.lock"), wait=_LOCK_SECONDS)
    try:
        lock.__enter__()
    except OSError:
        # A folder that is mounted for reading, as secrets of containers are.
        yield False
        return
    try:
        yield True
    finally:
        lock.__exit__(None, None, None)


def _written(settings: Settings, keys: tuple[SecretKey, ...]) -> bool:
    try:
        key_file.write(settings.secret_key_file, [key.text for key in keys])
    except OSError as error:
        log.warning("key_file_not_written", failure=type(error).__name__)
        return False
    return True


def _wait_over(settings: Settings) -> None:
    age = time.time() - settings.secret_key_file.stat().st_mtime
    if age < settings.lease:
        raise Misconfigured(
            f"The newest key is {age:.0f} s old, and what was begun before it may still be stored with the one before. "
            f"Nothing was dropped; say it again in {settings.lease - age:.0f} s."
        )


def _move(program: Program, keys: tuple[SecretKey, ...]) -> tuple[int, tuple[str, ...]]:
    """Close with the newest of these keys what another has closed. Gives how much that was, and what none of them opens."""
    ring, newest = KeyRing(keys), keys[0].id
    moved = 0
    while True:
        found = [(each, _key_of(ring, each.token)) for each in stored.encrypted(program.engine)]
        behind = [each for each, key in found if key not in {newest, None}]
        if not behind:
            break
        for each in behind:
            plain, _ = ring.open(each.token)
            # Where it was changed meanwhile, the next look finds what it is now.
            moved += stored.exchange(program.engine, each, token=ring.close(plain))
    if moved:
        log.info("moved_to_key", key=newest, moved=moved)
    return moved, tuple(each.what for each, key in found if key is None)


def _key_of(ring: KeyRing, token: str) -> str | None:
    try:
        return ring.open(token)[1]
    except InvalidToken:
        return None
