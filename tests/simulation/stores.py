"""The databases a run can stand on, and how the checker looks into them: behind every port, row by row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Protocol, cast

from sqlalchemy import Engine

from app.db.engine import open_engine
from app.db.migrate import migrate
from app.db.store import SqlStore
from app.db.tables import metadata
from app.ports.store import Store
from tests.fakes.memory_store import MemoryStore, Tables

Row = Mapping[str, Any]


class Rows(Protocol):
    """Looks at a table, past all that the store promises."""

    def __call__(self, table: str) -> Sequence[Row]: ...


@dataclass(frozen=True, slots=True)
class Database:
    """A store, which need not have what no process under simulation asks for, and a look behind it."""

    store: Store
    rows: Rows


OpenDatabase = Callable[[Callable[[], datetime]], Database]
"""An empty database whose clock is the given one."""


def _seal_key() -> bytes:
    return b"a key for the seals"


@cache
def _engine() -> Engine:
    """The one of this process, in memory."""
    engine = open_engine("sqlite://")
    migrate(engine)
    return engine


def sqlite(clock: Callable[[], datetime]) -> Database:
    """The real store over SQLite."""
    engine = _engine()
    with engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())

    def rows(table: str) -> Sequence[Row]:
        with engine.connect().execution_options(read_only=True) as connection:
            return [dict(row) for row in connection.execute(metadata.tables[table].select()).mappings()]

    return Database(store=SqlStore(engine, clock=clock, audit_key=_seal_key), rows=rows)


def memory(clock: Callable[[], datetime]) -> Database:
    """The fake store. What is seen of a table are its very rows, to be looked at and left."""
    data = Tables()

    def rows(table: str) -> Sequence[Row]:
        return [vars(row) for row in data.by_name[table]]

    return Database(store=cast("Store", MemoryStore(data, clock=clock)), rows=rows)


OPEN: dict[str, OpenDatabase] = {"memory": memory, "sqlite": sqlite}
"""By the names that the command line knows."""
