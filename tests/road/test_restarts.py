"""A database that is killed in the middle of a run and comes back: the worker goes on by itself, and everything ends once."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from app.sandbox.shop import Shop, recorded_orders
from tests.fixtures.databases import ON, ServerDatabases
from tests.fixtures.mariadb import mariadb_process
from tests.fixtures.postgres import postgres_process
from tests.road.conftest import Middleware, running_middleware
from tests.road.test_real_worker import EXPECTED, GENERATED, SKUS, assert_the_books_are_right

pytestmark = pytest.mark.slow


class Process(Protocol):
    """A database server of this test's own."""

    def start(self) -> None: ...

    def kill(self) -> None: ...


class Restarted:
    """A middleware and the server that its database is on."""

    def __init__(self, middleware: Middleware, process: Process) -> None:
        self.middleware = middleware
        self.process = process


@pytest.fixture
def restarted(request: pytest.FixtureRequest, tmp_path: Path, empty_broker_url: str) -> Iterator[Restarted]:
    request.node.user_properties.append((ON, request.param))
    with ExitStack() as stack:
        process: Process
        if request.param == "postgresql":
            # What was committed is with the operating system, which is not killed.
            postgres = stack.enter_context(postgres_process(["fsync=off"]))
            process, url = postgres, postgres.server.url("postgres")
        else:
            mariadb = stack.enter_context(mariadb_process())
            process, url = mariadb, mariadb.url
        databases = ServerDatabases(request.param, make_url(url))
        stack.callback(databases.end)
        database = stack.enter_context(databases.migrated(tmp_path / "var"))
        shop = Shop(recorded_orders())
        yield Restarted(
            stack.enter_context(running_middleware(tmp_path, empty_broker_url, database, shop=shop)), process
        )


@pytest.mark.parametrize(
    ("restarted", "killed_at"),
    [
        *(
            pytest.param("postgresql", each, marks=pytest.mark.xdist_group("postgres"))
            for each in ("fetched", "written", "exported")
        ),
        pytest.param("mariadb", "written", marks=[pytest.mark.only_on("mariadb"), pytest.mark.services]),
    ],
    indirect=["restarted"],
)
def test_a_worker_outlives_its_database_and_ends_the_run(restarted: Restarted, killed_at: str) -> None:
    middleware = restarted.middleware
    middleware.shop.generate(GENERATED, 3, SKUS, spread_seconds=GENERATED)
    middleware.slow_down(milliseconds=40)
    middleware.start_worker()
    worker = middleware.group.pid("worker")
    run_id = middleware.start_run()
    killed: list[int] = []

    def kill_once_begun() -> None:
        counts = middleware.program.parts.store.run(run_id).counts
        if not killed and counts[killed_at]:
            restarted.process.kill()
            with pytest.raises(DBAPIError):
                middleware.program.parts.store.now()
            restarted.process.start()
            killed.append(counts[killed_at])

    run = middleware.wait(run_id, seconds=300, each_look=kill_once_begun)
    assert killed
    assert middleware.group.pid("worker") == worker
    os.kill(worker, 0)
    assert dict(run.counts) == EXPECTED
    assert_the_books_are_right(middleware)
