"""The user that works with the database may read and write rows and nothing else; docs/security.md gives the statements."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import ProgrammingError

from app.bootstrap import open_program
from app.db.engine import open_engine
from app.db.migrate import migrate
from app.settings import load_settings
from tests.contracts.store import StoreContract
from tests.contracts.store_archive import ArchiveContract
from tests.contracts.store_deliveries import DeliveriesContract
from tests.db.harness import SqlHarness, harness_on
from tests.fixtures.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("postgres")]
DOCS = Path(__file__).parents[2] / "docs" / "security.md"


def grants() -> list[str]:
    """The statements of the docs, for PostgreSQL."""
    block = DOCS.read_text(encoding="utf-8").partition("-- PostgreSQL")[2].partition("-- MariaDB")[0]
    found = re.findall(r"^ {4}((?:GRANT|ALTER) [^;]*);", block, flags=re.MULTILINE)
    assert len(found) == 3
    return found


@pytest.fixture(scope="module")
def working_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database that its owner has migrated, as the user sees it who works with it."""
    name = f"rights_{secrets.token_hex(6)}"
    postgres_server.execute("CREATE ROLE ordersync_run LOGIN")
    postgres_server.execute(f'CREATE DATABASE "{name}"')
    url = postgres_server.url(name)
    engine = open_engine(url)
    with engine.begin() as connection:
        for each in grants():
            connection.execute(text(each))
    migrate(engine)
    engine.dispose()
    yield make_url(url).set(username="ordersync_run").render_as_string(hide_password=False)
    postgres_server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    postgres_server.execute("DROP ROLE ordersync_run")


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE rm_event",
        "TRUNCATE rm_event",
        "ALTER TABLE rm_event DROP COLUMN mac",
        "CREATE TABLE mine (id integer)",
        "CREATE ROLE another",
        "COPY rm_sites TO PROGRAM 'cat'",
    ],
)
def test_the_working_user_cannot_change_what_there_is(working_url: str, statement: str) -> None:
    engine = open_engine(working_url)
    try:
        with (
            pytest.raises(ProgrammingError, match=r"must be owner|permission denied"),
            engine.begin() as connection,
        ):
            connection.execute(text(statement))
    finally:
        engine.dispose()


def test_the_program_opens_with_these_rights(working_url: str, tmp_path: Path) -> None:
    given = {"ORDERSYNC_VAR": str(tmp_path), "ORDERSYNC_ENV_FILE": "/dev/null", "DATABASE_URL": working_url}
    program = open_program(load_settings(given))
    assert program.parts.store.audit_key()  # type: ignore[attr-defined]
    program.engine.dispose()


class TestStoreWithTheRightsOfTheWorkingUser(DeliveriesContract, ArchiveContract):
    world = StoreContract.world

    @pytest.fixture
    def harness(self, working_url: str) -> Iterator[SqlHarness]:
        with harness_on(working_url) as harness:
            harness.empty()
            yield harness
