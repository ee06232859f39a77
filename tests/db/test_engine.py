"""SQLite's write lock: waited for, given up in time, and every other failure in the library's own name."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DatabaseError, OperationalError

from app.db.engine import open_engine


@contextmanager
def opened(path: Path, *, busy_seconds: float = 30.0) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{path}", busy_seconds=busy_seconds)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def locked_by_another(path: Path) -> Iterator[sqlite3.Connection]:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield other
    finally:
        other.close()


def test_a_transaction_waits_until_the_lock_is_free(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with opened(path) as engine:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE t (x INTEGER)"))
        with locked_by_another(path) as other:
            release = threading.Timer(0.3, other.rollback)
            release.start()
            started = time.monotonic()
            with engine.begin() as connection:
                connection.execute(text("INSERT INTO t VALUES (1)"))
            assert time.monotonic() - started >= 0.25
            release.join()


def test_a_lock_that_is_never_free_ends_in_a_named_failure_and_a_usable_connection(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with opened(path, busy_seconds=0.2) as engine:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE t (x INTEGER)"))
        with (
            locked_by_another(path),
            pytest.raises(OperationalError, match="database is locked"),
            engine.begin(),
        ):
            pass
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO t VALUES (1)"))
            assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 200


def test_reading_waits_for_no_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with opened(path, busy_seconds=0.2) as engine:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE t (x INTEGER)"))
        with (
            locked_by_another(path),
            engine.connect().execution_options(read_only=True) as connection,
        ):
            assert connection.execute(text("SELECT COUNT(*) FROM t")).scalar() == 0


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_text("These are not the bytes of a database, and there are enough of them to see it." * 20)
    with opened(path) as engine, pytest.raises(DatabaseError, match="not a database"), engine.begin():
        pass
