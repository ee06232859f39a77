"""The memory store behind the contract's harness. Questions in SQL are asked of a copy of its tables in a real database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import StaticPool

from app.db.tables import metadata
from app.ports.store import Store
from tests.contracts.store import Clock
from tests.fakes.memory_store import MemoryStore, Tables


class MemoryHarness:
    """Implements the contract's `Harness`. A copy also shows whether every column has what it must have."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.data = Tables()
        self.store = cast("Store", MemoryStore(self.data, clock=self.clock))
        self.other = cast("Store", MemoryStore(self.data, clock=self.clock))
        self.unshifted = cast("Store", MemoryStore(self.data))
        # A question may be asked from another thread than the one before.
        self._engine = create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
        )
        metadata.create_all(self._engine)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self._copied() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def execute(self, sql: str) -> None:
        with self._copied() as connection:
            connection.execute(text(sql))
            for table in self.data.by_name.values():
                table.clear()
                for row in connection.execute(table.table.select()).mappings():
                    table.put(dict(row))

    @contextmanager
    def _copied(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
            for each in self.data.by_name.values():
                rows = [dict(vars(row)) for row in each]
                if rows:
                    connection.execute(each.table.insert(), rows)
            yield connection

    def dispose(self) -> None:
        self._engine.dispose()
