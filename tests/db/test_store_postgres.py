"""The same on the PostgreSQL of the wheel, so that every run sees a server too."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine

from app.db.engine import open_engine
from app.db.migrate import migrate
from tests.db.claims import ClaimsContract
from tests.db.contract import WholeContract
from tests.db.harness import SqlHarness, harness_on
from tests.db.migrations import MigrationContract
from tests.db.rules import MendingContract, RulesContract
from tests.fixtures.postgres import PostgresServer


@contextmanager
def _database(server: PostgresServer) -> Iterator[str]:
    """The address of a new database, which is dropped at the end."""
    name = f"store_{secrets.token_hex(6)}"
    server.execute(f'CREATE DATABASE "{name}"')
    yield server.url(name)
    server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PostgresServer) -> Iterator[str]:
    with _database(postgres_server) as url:
        engine = open_engine(url)
        migrate(engine)
        engine.dispose()
        yield url


@pytest.mark.xdist_group("postgres")
class TestStoreOnPostgres(WholeContract, RulesContract):
    @pytest.fixture
    def harness(self, migrated_postgres: str) -> Iterator[SqlHarness]:
        with harness_on(migrated_postgres) as harness:
            harness.empty()
            yield harness


@pytest.mark.xdist_group("postgres")
class TestClaimsOnPostgres(ClaimsContract):
    @pytest.fixture
    def harness(self, migrated_postgres: str) -> Iterator[SqlHarness]:
        with harness_on(migrated_postgres) as harness:
            harness.empty()
            yield harness


@pytest.mark.xdist_group("postgres")
class TestMigrationsOnPostgres(MigrationContract, MendingContract):
    @pytest.fixture
    def empty_engine(self, postgres_server: PostgresServer) -> Iterator[Engine]:
        with _database(postgres_server) as url:
            engine = open_engine(url)
            yield engine
            engine.dispose()
