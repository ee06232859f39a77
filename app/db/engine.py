"""Engines: one for each process, opened so that a write transaction on SQLite takes its lock at the start."""

import json
import random
import sqlite3
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url

from app.db.types import storable

_LOOK_SECONDS = 0.002

CONNECT_SECONDS = 10
"""For a server to take a connection. A server that restarts is back, or refuses, sooner."""
ANSWER_SECONDS = 180
"""For one statement: longer than any of ours takes, and less than the soft time limit of a task (240 s)."""
_LOCK_SECONDS = 30
"""For a lock that another transaction holds. Ours hold theirs for a fraction of a second: they call nobody outside."""
_PATIENT_LOCK_SECONDS = 600
"""The same where an answer may take as long as it takes: a backup that reads a table holds up the change of it."""
_IDLE_SECONDS = 60
"""For a transaction that says nothing more: its process stands still or is gone. The server ends it, and its locks with it."""
_MARGIN_SECONDS = 1
"""How much later than the server the client gives up, so that it is told why."""


def open_engine(
    url: str, *, busy_seconds: float = 30.0, answer_seconds: int | None = ANSWER_SECONDS
) -> Engine:
    """An engine on `url`. Not to be used across a fork.

    `busy_seconds` is how long to wait for SQLite's write lock; `answer_seconds` how long for one answer of a server (as long as it
    takes, where None).

    SQLite runs in WAL mode with `BEGIN IMMEDIATE`: a transaction that reads first and writes later would otherwise find
    its snapshot stale and fail, and two claims could take the same rows.

    No connection to a server can stall a process for ever. What is half-open is found within 30 s by the kernel (PostgreSQL: TCP
    keepalives and the user timeout) or by the read timeout (MariaDB); statements, waits for locks and silent transactions are
    ended by the server. What the address says itself, in its `options` too, holds before all this. A connection is tried before it is
    used, so that one from before a restart of the server does no harm.
    """
    parsed = make_url(url)
    # A failure's text goes into logs, and a statement's values are people's names and addresses.
    arguments: dict[str, Any] = {"json_serializer": _as_json, "hide_parameters": True}
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": busy_seconds}, **arguments)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", partial(_begin, busy_seconds=busy_seconds))
        return engine
    if backend in {"mysql", "mariadb"}:
        arguments["isolation_level"] = "READ COMMITTED"
    patience = {
        name: value for name, value in _patience(backend, answer_seconds).items() if name not in parsed.query
    }
    engine = create_engine(parsed, pool_pre_ping=True, pool_size=5, connect_args=patience, **arguments)
    if backend == "postgresql":
        limits = _postgresql_limits(answer_seconds, given=str(parsed.query.get("options", "")))
        event.listen(engine, "connect", partial(_prepare_postgresql, limits=limits))
    else:
        event.listen(engine, "connect", partial(_prepare_mariadb, answer_seconds=answer_seconds))
    return engine


def _patience(backend: str, answer_seconds: int | None) -> dict[str, int]:
    connect_seconds = min(CONNECT_SECONDS, answer_seconds or CONNECT_SECONDS)
    if backend == "postgresql":
        # Asked after 15 s of silence, and three times more every 5 s; what is sent must be received within 30 s.
        return {
            "connect_timeout": connect_seconds,
            "keepalives": 1,
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
        }
    patience = {"connect_timeout": connect_seconds}
    if answer_seconds is not None:
        waits = answer_seconds + _MARGIN_SECONDS
        patience |= {"read_timeout": waits, "write_timeout": waits}
    return patience


def _postgresql_limits(answer_seconds: int | None, *, given: str) -> dict[str, str]:
    """The settings of a session, but those that the address names among its `given` options."""
    is_patient = answer_seconds is None
    limits = {
        "lock_timeout": _PATIENT_LOCK_SECONDS if is_patient else _LOCK_SECONDS,
        "idle_in_transaction_session_timeout": 0 if is_patient else _IDLE_SECONDS,
        "statement_timeout": answer_seconds or 0,
    }
    return {name: f"{seconds}s" for name, seconds in limits.items() if name not in given}


def _prepare_postgresql(connection: Any, _record: Any, *, limits: Mapping[str, str]) -> None:
    if not limits:
        return
    with connection.cursor() as cursor:
        # In one statement, and not as options of the connection, which a pooler in between would refuse.
        each = ", ".join(["set_config(%s, %s, false)"] * len(limits))
        cursor.execute(f"SELECT {each}", [value for pair in limits.items() for value in pair])
    connection.commit()


def _prepare_mariadb(connection: Any, _record: Any, *, answer_seconds: int | None) -> None:
    with connection.cursor() as cursor:
        is_patient = answer_seconds is None
        lock_seconds = _PATIENT_LOCK_SECONDS if is_patient else _LOCK_SECONDS
        cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {lock_seconds}")
        if "MariaDB" in connection.get_server_info():
            idle_seconds = 0 if is_patient else _IDLE_SECONDS
            cursor.execute(
                f"SET SESSION idle_transaction_timeout = {idle_seconds}, max_statement_time = {answer_seconds or 0}"
            )


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
    raw = connection.connection.dbapi_connection
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
