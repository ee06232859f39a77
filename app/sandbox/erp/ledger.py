"""Rows, their indexes, their ETags, and a journal that can take a snapshot batch back."""

from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from app.sandbox.erp.schema import Entity


@dataclass(slots=True)
class Row:
    """One record: what the API shows in `values`, what it does not show in `hidden`."""

    id: str
    serial: int
    etag: str
    values: dict[str, Any]
    hidden: dict[str, Any] = field(default_factory=dict)


class Journal:
    """Counts versions and, while a snapshot is open, remembers how to undo each change."""

    def __init__(self) -> None:
        self._version = 0
        self._undo: list[Callable[[], None]] | None = None

    def next_version(self) -> int:
        """A number no row has had before."""
        self._version += 1
        return self._version

    def note(self, undo: Callable[[], None]) -> None:
        """Remember one undo, if a snapshot is open."""
        if self._undo is not None:
            self._undo.append(undo)

    def open(self) -> None:
        """Begin a snapshot (contract section 4, `Isolation: snapshot`)."""
        self._undo = []

    def keep(self) -> None:
        """End the snapshot; everything stays."""
        self._undo = None

    def take_back(self) -> None:
        """End the snapshot; everything done since `open` is undone, newest first."""
        undo, self._undo = self._undo or [], None
        for step in reversed(undo):
            step()


def etag_of(version: int) -> str:
    """An opaque ETag in the form Business Central uses."""
    return f'W/"{b64encode(f"20;{version:016d};00;".encode()).decode()}"'


class Table:
    """The rows of one entity. Index names are property names, or `tolower(name)`."""

    def __init__(self, entity: Entity, journal: Journal, indexes: Iterable[str] = ()) -> None:
        self.entity = entity
        self._journal = journal
        self._rows: dict[str, Row] = {}
        self._indexes: dict[str, dict[Any, dict[str, None]]] = {name: {} for name in indexes}

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self) -> list[Row]:
        """Every row, oldest first."""
        return sorted(self._rows.values(), key=lambda row: row.serial)

    def get(self, key: str) -> Row | None:
        """The row with this id."""
        return self._rows.get(key.lower())

    def is_indexed(self, name: str) -> bool:
        """Whether `find` can answer for this name."""
        return name == "id" or name in self._indexes

    def find(self, name: str, value: Any) -> list[Row]:
        """The rows that hold the value, oldest first."""
        if name == "id":
            row = self.get(str(value))
            return [row] if row else []
        found = [self._rows[key] for key in self._indexes[name].get(value, ())]
        return sorted(found, key=lambda row: row.serial)

    def first(self, name: str, value: Any) -> Row | None:
        """The oldest row that holds the value."""
        return next(iter(self.find(name, value)), None)

    def add(self, values: dict[str, Any], hidden: dict[str, Any] | None = None) -> Row:
        """Insert a row under a new id."""
        key = str(uuid4())
        version = self._journal.next_version()
        row = Row(key, version, etag_of(version), self.entity.blank() | values | {"id": key}, hidden or {})
        self._insert(row)
        self._journal.note(lambda: self._delete(row))
        return row

    def change(self, row: Row, values: dict[str, Any], hidden: dict[str, Any] | None = None) -> None:
        """Write values into a row, which gives it a new ETag."""
        before = (row.etag, row.values, row.hidden)
        self._write(
            row, etag_of(self._journal.next_version()), row.values | values, row.hidden | (hidden or {})
        )
        self._journal.note(lambda: self._write(row, *before))

    def remove(self, row: Row) -> None:
        """Delete a row."""
        self._delete(row)
        self._journal.note(lambda: self._insert(row))

    def _write(self, row: Row, etag: str, values: dict[str, Any], hidden: dict[str, Any]) -> None:
        self._unindex(row)
        row.etag, row.values, row.hidden = etag, values, hidden
        self._index(row)

    def _insert(self, row: Row) -> None:
        self._rows[row.id] = row
        self._index(row)

    def _delete(self, row: Row) -> None:
        self._unindex(row)
        del self._rows[row.id]

    def _index(self, row: Row) -> None:
        for name, index in self._indexes.items():
            index.setdefault(self._key(name, row), {})[row.id] = None

    def _unindex(self, row: Row) -> None:
        for name, index in self._indexes.items():
            key = self._key(name, row)
            ids = index[key]
            del ids[row.id]
            if not ids:
                del index[key]

    @staticmethod
    def _key(name: str, row: Row) -> Any:
        if name.startswith("tolower("):
            return row.values[name[8:-1]].lower()
        return row.values[name]
