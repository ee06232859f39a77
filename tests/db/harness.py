"""The SQL store behind its contract: two stores with engines of their own on one database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text

from app.db.engine import open_engine
from app.db.store import SqlStore
from app.db.tables import metadata
from app.ports.store import Store
from tests.contracts.store import Clock


def audit_key() -> bytes:
    return b"a key for the seals"


class SqlHarness:
    """Implements the contract's `Harness` over a migrated database."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.engine = open_engine(url)
        self._other_engine = open_engine(url)
        self.store: Store = SqlStore(self.engine, clock=self.clock, audit_key=audit_key)
        self.other: Store = SqlStore(self._other_engine, clock=self.clock, audit_key=audit_key)
        self.unshifted: Store = SqlStore(self.engine, audit_key=audit_key)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql))]

    def execute(self, sql: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(sql))

    def empty(self) -> None:
        """Delete every row: a hundredth of a second, where a new database takes a third of one."""
        with self.engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())

    def dispose(self) -> None:
        self.engine.dispose()
        self._other_engine.dispose()


@contextmanager
def harness_on(url: str) -> Iterator[SqlHarness]:
    """A harness whose connections are closed at the end."""
    harness = SqlHarness(url)
    try:
        yield harness
    finally:
        harness.dispose()
