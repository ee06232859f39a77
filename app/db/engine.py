"""Engines: one for each process, opened so that a write transaction on SQLite takes its lock at the start."""

import json
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url

from app.db.types import storable


def open_engine(url: str, *, busy_seconds: float = 30.0) -> Engine:
    """An engine on `url`. Not to be used across a fork.

    SQLite runs in WAL mode with `BEGIN IMMEDIATE`: a transaction that reads first and writes later would otherwise find
    its snapshot stale and fail, and two claims could take the same rows.
    """
    parsed = make_url(url)
    # A failure's text goes into logs, and a statement's values are people's names and addresses.
    arguments: dict[str, Any] = {"json_serializer": _as_json, "hide_parameters": True}
    if parsed.get_backend_name() != "sqlite":
        if parsed.get_backend_name() in {"mysql", "mariadb"}:
            arguments["isolation_level"] = "READ COMMITTED"
        return create_engine(parsed, pool_pre_ping=True, pool_size=5, **arguments)
    engine = create_engine(parsed, connect_args={"timeout": busy_seconds}, **arguments)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


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


def _begin_immediate(connection: Any) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql("BEGIN" if options.get("read_only") else "BEGIN IMMEDIATE")
