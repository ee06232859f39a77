"""The store's contract and the migrations' on the database of the run."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.contracts.store import World
from tests.db.claims import ClaimsContract
from tests.db.contract import WholeContract
from tests.db.harness import SqlHarness, harness_on
from tests.db.migrations import MigrationContract
from tests.db.rules import MendingContract, RulesContract
from tests.fixtures.databases import Database, Databases, open_on


class TestStore(WholeContract):
    @pytest.fixture
    def harness(self, database: Database) -> Iterator[SqlHarness]:
        with harness_on(database.url) as harness:
            yield harness

    @pytest.mark.only_on("mariadb")
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


class TestRules(RulesContract):
    @pytest.fixture
    def harness(self, database: Database) -> Iterator[SqlHarness]:
        with harness_on(database.url) as harness:
            yield harness


@pytest.mark.only_on("postgresql", "mariadb")
class TestClaims(ClaimsContract):
    """SQLite has one writer at a time, who takes its lock at the start."""

    @pytest.fixture
    def harness(self, database: Database) -> Iterator[SqlHarness]:
        with harness_on(database.url) as harness:
            yield harness


class TestMigrations(MigrationContract, MendingContract):
    @pytest.fixture
    def empty_engine(self, databases: Databases, tmp_path: Path) -> Iterator[Engine]:
        with databases.bare(tmp_path) as bare, open_on(bare.url) as engine:
            yield engine
