"""Connections to a server: nothing at its other end, and nothing in it, can stall a process for ever."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError

from app.db.engine import open_engine
from tests.fixtures.databases import Database

server = pytest.mark.only_on("postgresql", "mariadb")


@contextmanager
def connected(url: str, **options: int) -> Iterator[Connection]:
    engine = open_engine(url, **options)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "mysql+pymysql"])
def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up(driver: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        url = f"{driver}://u@127.0.0.1:{silent.getsockname()[1]}/d"
        with pytest.raises(OperationalError), connected(url, answer_seconds=2):
            pass
        assert time.monotonic() - started < 10


@server
def test_the_server_ends_long_statements_waits_for_locks_and_silent_transactions(database: Database) -> None:
    with connected(database.url) as connection:
        if connection.dialect.name == "postgresql":
            names = ("lock_timeout", "idle_in_transaction_session_timeout", "statement_timeout")
            asked, expected = "SELECT current_setting('{}')", ["30s", "1min", "3min"]
        else:
            names = ("innodb_lock_wait_timeout", "idle_transaction_timeout", "max_statement_time")
            asked, expected = "SELECT CAST(@@SESSION.{} AS INTEGER)", ["30", "60", "180"]
        found = [str(connection.execute(text(asked.format(name))).scalar_one()) for name in names]
    assert found == expected


@server
def test_a_statement_that_takes_too_long_is_ended_and_the_connection_is_good_for_more(
    database: Database,
) -> None:
    with connected(database.url, answer_seconds=2) as connection:
        sleep = "pg_sleep(20)" if connection.dialect.name == "postgresql" else "SLEEP(20)"
        started = time.monotonic()
        with pytest.raises(DBAPIError):
            connection.execute(text(f"SELECT {sleep}"))
        assert time.monotonic() - started < 10
        connection.rollback()
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


@server
def test_a_migration_may_take_as_long_as_it_takes(database: Database) -> None:
    engine = open_engine(database.url, answer_seconds=None)
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "0"
            # A backup reads all tables for a while, and a change of one of them waits for it.
            assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "10min"
        else:
            assert connection.execute(text("SELECT @@SESSION.max_statement_time")).scalar_one() == 0
            assert connection.execute(text("SELECT @@SESSION.innodb_lock_wait_timeout")).scalar_one() == 600
    engine.dispose()


@pytest.mark.only_on("postgresql")
def test_what_the_address_sets_for_postgresql_by_its_options_is_left_as_it_is(database: Database) -> None:
    options = "options=-c%20statement_timeout%3D900s%20-c%20lock_timeout%3D5s"
    joined = "&" if "?" in database.url else "?"
    with connected(f"{database.url}{joined}{options}") as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "15min"
        assert connection.execute(text("SHOW lock_timeout")).scalar_one() == "5s"
        assert connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one() == "1min"


@server
def test_what_the_address_says_holds_before_our_own(database: Database) -> None:
    joined = "&" if "?" in database.url else "?"
    with connected(f"{database.url}{joined}connect_timeout=7") as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


@pytest.mark.only_on("postgresql")
def test_the_kernel_asks_whether_the_other_end_is_still_there(database: Database) -> None:
    with connected(database.url) as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        with socket.fromfd(raw.pgconn.socket, socket.AF_INET, socket.SOCK_STREAM) as ours:
            assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
            found = [ours.getsockopt(socket.IPPROTO_TCP, each) for each in options]
    assert found == [15, 5, 3, 30_000]
