"""The store's contract on MariaDB (10.6 or newer), for which there is no server in a wheel.

To run it, name a server on loopback and a user that may create databases:
`ORDERSYNC_TEST_MARIADB_URL=mysql+pymysql://user:password@127.0.0.1:3306/ pytest tests/db/test_store_mariadb.py`.
Without it the classes are not defined, so that nothing is counted as run or as left out.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from app.db.engine import open_engine
from app.db.migrate import migrate
from tests.contracts.store import StoreContract, World
from tests.contracts.store_adopt import AdoptContract
from tests.contracts.store_archive import ArchiveContract
from tests.contracts.store_deliveries import DeliveriesContract
from tests.contracts.store_explaining import ExplainingContract
from tests.contracts.store_reading import ReadingContract
from tests.contracts.store_reporting import ReportingContract
from tests.contracts.store_systems import DeskContract, SystemsContract
from tests.contracts.store_workbench import WorkbenchContract
from tests.db.harness import SqlHarness, harness_on
from tests.db.migrations import MigrationContract

SERVER_URL = os.environ.get("ORDERSYNC_TEST_MARIADB_URL")


@contextmanager
def _database(server_url: str) -> Iterator[str]:
    """The address of a new database, which is dropped at the end."""
    name = f"test_{secrets.token_hex(6)}"
    server = create_engine(make_url(server_url).set(database=None))
    with server.begin() as connection:
        connection.execute(text(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4"))
    yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with server.begin() as connection:
        connection.execute(text(f"DROP DATABASE `{name}`"))
    server.dispose()


if SERVER_URL:

    @pytest.fixture(scope="session")
    def migrated_mariadb() -> Iterator[str]:
        with _database(str(SERVER_URL)) as url:
            engine = open_engine(url)
            migrate(engine)
            engine.dispose()
            yield url

    @pytest.mark.xdist_group("mariadb")
    class TestStoreOnMariaDb(
        StoreContract,
        SystemsContract,
        DeskContract,
        DeliveriesContract,
        ReadingContract,
        AdoptContract,
        WorkbenchContract,
        ReportingContract,
        ExplainingContract,
        ArchiveContract,
    ):
        @pytest.fixture
        def harness(self, migrated_mariadb: str) -> Iterator[SqlHarness]:
            with harness_on(migrated_mariadb) as harness:
                harness.empty()
                yield harness

        def test_operators_ask_how_long_ago_sites_were_run(self, world: World) -> None:
            token = world.store.claim_site(world.site_id, lease_seconds=60)
            assert token is not None
            world.clock.now = world.harness.unshifted.now() - timedelta(minutes=7, seconds=30)
            world.store.release_site(world.site_id, token, next_run=world.clock.now)
            query = (
                "SELECT name, order_last_run, TIMESTAMPDIFF(MINUTE, order_last_run, NOW()) AS minutes_ago "
                "FROM rm_sites WHERE is_active = 1 AND orders_sync = 1;"
            )
            (found,) = world.harness.query(query)
            assert (found[0], found[2]) == ("bgm", 7)

    @pytest.mark.xdist_group("mariadb")
    class TestMigrationsOnMariaDb(MigrationContract):
        @pytest.fixture
        def empty_engine(self) -> Iterator[Engine]:
            with _database(str(SERVER_URL)) as url:
                engine = open_engine(url)
                yield engine
                engine.dispose()
