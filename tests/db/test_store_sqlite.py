import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.db.engine import open_engine
from app.db.migrate import migrate
from tests.contracts.store import StoreContract
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


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file to copy: as whole as a fresh migration, and far faster."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


class TestStoreOnSqlite(
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
    def harness(self, migrated_sqlite: Path, sqlite_path: Path, sqlite_url: str) -> Iterator[SqlHarness]:
        shutil.copyfile(migrated_sqlite, sqlite_path)
        with harness_on(sqlite_url) as harness:
            yield harness


class TestMigrationsOnSqlite(MigrationContract):
    @pytest.fixture
    def empty_engine(self, sqlite_url: str) -> Iterator[Engine]:
        engine = open_engine(sqlite_url)
        yield engine
        engine.dispose()
