"""Bringing a database to the schema of this program."""

from enum import StrEnum
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine

from app.errors import Misconfigured


class Schema(StrEnum):
    """How a database's schema stands to this program's. `NEWER`: a later program made it, which this one knows nothing of."""

    CURRENT = "current"
    ABSENT = "absent"
    OLDER = "older"
    NEWER = "newer"


def _config() -> Config:
    config = Config()
    # Percent signs are the configuration's own syntax; a folder may have one in its name.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def migrate(engine: Engine, *, revision: str = "head") -> None:
    """Bring the database forward to `revision`. Doing it again changes nothing.

    Raises `Misconfigured` for a database that a newer program has brought further than this one knows.
    """
    with engine.begin() as connection:
        schema, current, _ = schema_of(connection)
        if schema is Schema.NEWER:
            raise Misconfigured(
                f"The database has the schema {current} of a newer program; install that program again, "
                "or restore a backup from before it."
            )
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def take_back(engine: Engine, *, revision: str = "base") -> None:
    """Take the schema back to `revision`; what only the newer schema can hold is lost."""
    with engine.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def is_current(engine: Engine) -> bool:
    """Whether the database has the schema of this program."""
    with engine.connect() as connection:
        schema, _, _ = schema_of(connection)
    return schema is Schema.CURRENT


def schema_of(connection: Connection) -> tuple[Schema, str, str]:
    """How the schema stands, its revision (empty where there is none), and the revision of this program."""
    script = ScriptDirectory.from_config(_config())
    head = script.get_current_head() or ""
    revision = MigrationContext.configure(connection).get_current_revision() or ""
    if revision in {head, ""}:
        return (Schema.CURRENT if revision else Schema.ABSENT), revision, head
    try:
        script.get_revision(revision)
    except CommandError:
        return Schema.NEWER, revision, head
    return Schema.OLDER, revision, head
