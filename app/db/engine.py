"""Engines: one for each process, opened so that a write transaction on SQLite takes its lock at the start."""

import json
import random
import sqlite3
import time
from functools import partial
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url

from app.db.types import storable

_LOOK_SECONDS = 0.002


def open_engine(url: str, *, busy_seconds: float = 30.0, answer_seconds: int | None = None) -> Engine:
    """An engine on `url`. Not to be used across a fork.

    `busy_seconds` is how long to wait for SQLite's write lock; `answer_seconds` how long for a server to take a connection and,
    on MariaDB, for each of its answers (for ever, where None).

    SQLite runs in WAL mode with `BEGIN IMMEDIATE`: a transaction that reads first and writes later would otherwise find
    its snapshot stale and fail, and two claims could take the same rows.
    """
    parsed = make_url(url)
    # A failure's text goes into logs, and a statement's values are people's names and addresses.
    arguments: dict[str, Any] = {"json_serializer": _as_json, "hide_parameters": True}
    if parsed.get_backend_name() != "sqlite":
        if parsed.get_backend_name() in {"mysql", "mariadb"}:
            arguments["isolation_level"] = "READ COMMITTED"
        if answer_seconds is not None:
            arguments["connect_args"] = _patience(parsed.get_backend_name(), answer_seconds)
        return create_engine(parsed, pool_pre_ping=True, pool_size=5, **arguments)
    engine = create_engine(parsed, connect_args={"timeout": busy_seconds}, **arguments)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", partial(_begin, busy_seconds=busy_seconds))
    return engine


def _patience(backend: str, seconds: int) -> dict[str, int]:
    if backend == "postgresql":
        return {"connect_timeout": seconds}
    return {"connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds}


def _as_json(value: Any) -> str:
    """JSON text without lone surrogates, which MariaDB takes for no JSON; escaped they would still be there."""
    return storable(json.dumps(value, ensure_ascii=False))


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Any, *, busy_seconds: float) -> None:
    """Begin a transaction, on SQLite with the write lock.

    The wait for the lock is our own: SQLite's looks again after up to a tenth of a second each time, and with four processes
    the lock was free for most of the time.
    """
    if connection.get_execution_options().get("read_only"):
        connection.exec_driver_sql("BEGIN")
        return
    raw = connection.connection.driver_connection
    raw.execute("PRAGMA busy_timeout=0")
    begun = _begun(raw, until=time.monotonic() + busy_seconds)
    raw.execute(f"PRAGMA busy_timeout={round(busy_seconds * 1000)}")
    if not begun:
        # Once more through the library, which gives the failure its own name.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begun(raw: sqlite3.Connection, *, until: float) -> bool:
    """Whether the write lock was got until then; False at once for another failure than its being held."""
    while time.monotonic() < until:
        try:
            raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                return False
            time.sleep(random.uniform(0, _LOOK_SECONDS))  # noqa: S311 - only to get out of each other's way
        else:
            return True
    return False
