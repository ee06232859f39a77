"""What every database's migrations promise."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect

from app.db.migrate import is_current, migrate, take_back
from app.db.tables import metadata


class MigrationContract:
    """A subclass gives `empty_engine`: an engine on a database without tables."""

    @pytest.fixture
    def empty_engine(self) -> Engine:
        raise NotImplementedError

    def test_the_migrations_result_is_what_the_program_declares(self, empty_engine: Engine) -> None:
        migrate(empty_engine)
        with empty_engine.connect() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "compare_server_default": True}
            )
            assert compare_metadata(context, metadata) == []

    def test_the_schema_goes_up_and_down_and_up_again(self, empty_engine: Engine) -> None:
        assert not is_current(empty_engine)
        migrate(empty_engine)
        migrate(empty_engine)
        assert is_current(empty_engine)
        take_back(empty_engine)
        assert set(inspect(empty_engine).get_table_names()) <= {"alembic_version"}
        migrate(empty_engine)
        assert is_current(empty_engine)
        assert set(metadata.tables) <= set(inspect(empty_engine).get_table_names())
