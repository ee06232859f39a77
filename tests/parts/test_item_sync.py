"""Reading an ERP's items: again from a little before the last time, and no longer than a task may take."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from app.bootstrap import OpenPeers, Program
from app.db.store import SqlStore
from app.ports.erp import Erp, ErpItem, ItemKind
from app.ports.store import ErpRow
from app.sync.items import ItemsResult, sync_items
from app.sync.parts import Parts
from app.sync.schedule import tick
from tests.parts.conftest import with_erp

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
"""Far from every maintenance window."""
PAGE = 2


@dataclass
class ItemBooks(OpenPeers):
    """An ERP that has nothing but items. Each page takes `seconds` of `ticks`; `asked` is what it was asked for."""

    times: list[datetime] = field(default_factory=list)
    asked: list[datetime | None] = field(default_factory=list)
    seconds: float = 0.0
    ticks: float = 0.0

    def erp(self, row: ErpRow) -> Erp:
        return cast("Erp", self)

    def changed_items(self, since: datetime | None) -> Iterator[tuple[ErpItem, ...]]:
        self.asked.append(since)
        items = [
            ErpItem(f"I-{number}", "", blocked=False, kind=ItemKind.INVENTORY, modified_at=at)
            for number, at in enumerate(self.times)
            if since is None or at > since
        ]
        items.sort(key=lambda item: item.modified_at or NOW)
        for at in range(0, len(items), PAGE):
            self.ticks += self.seconds
            yield tuple(items[at : at + PAGE])


@dataclass
class Reading:
    """A middleware beside such an ERP."""

    parts: Parts
    books: ItemBooks
    erp_id: int

    def sync(self) -> ItemsResult:
        return sync_items(self.parts, erp_id=self.erp_id)

    @property
    def row(self) -> ErpRow:
        return self.parts.store.erps()[0]

    def is_due(self) -> bool:
        return [erp.id for erp in tick(self.parts).erps] == [self.erp_id]

    def until_done(self) -> list[str]:
        states = [self.sync().state]
        while states[-1] != "done":
            assert len(states) < 50
            states.append(self.sync().state)
        return states


@pytest.fixture
def reading(program: Program) -> Reading:
    erp_id = with_erp(program)
    books = ItemBooks()
    peers = cast("OpenPeers", program.parts.peers)
    books.__dict__ |= vars(peers)
    store = SqlStore(program.engine, clock=lambda: NOW, audit_key=bytes)
    parts = replace(program.parts, peers=books, store=store, ticks=lambda: books.ticks)
    return Reading(parts, books, erp_id)


def minutes_ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def test_what_changed_in_the_ten_minutes_before_the_last_change_is_read_again(reading: Reading) -> None:
    reading.books.times = [minutes_ago(60), minutes_ago(30)]
    assert (reading.sync().new, reading.row.items_cursor) == (2, minutes_ago(30))
    # One that became visible late, and one of the very time of the last one read.
    reading.books.times += [minutes_ago(39), minutes_ago(30)]
    found = reading.sync()
    assert (found.state, found.read, found.new) == ("done", 3, 2)
    assert reading.books.asked == [None, minutes_ago(40)]
    assert reading.row.items_cursor == minutes_ago(30)


def test_reading_again_never_takes_the_cursor_back(reading: Reading) -> None:
    reading.books.times = [minutes_ago(35), minutes_ago(30)]
    reading.sync()
    reading.books.times = [minutes_ago(35)]
    assert reading.sync().state == "done"
    assert reading.row.items_cursor == minutes_ago(30)


def test_a_run_whose_time_is_up_keeps_what_it_has_read_and_the_next_one_goes_on_at_once(
    reading: Reading,
) -> None:
    reading.books.times = [minutes_ago(1000 - 20 * number) for number in range(10)]
    # The soft time limit of 240 s less one call of 60 s.
    reading.books.seconds = 90.0
    found = reading.sync()
    assert (found.state, found.read, found.new) == ("partial", 4, 4)
    assert found.reason == "The time for one run is up; the next one goes on from here."
    assert (reading.row.items_cursor, reading.row.items_next_run) == (minutes_ago(940), NOW)
    assert reading.is_due()
    assert reading.until_done()[-1] == "done"
    assert reading.row.items_cursor == minutes_ago(820)
    assert not reading.is_due()
    assert len(reading.parts.store.item_statuses(reading.erp_id, [f"I-{n}" for n in range(10)])) == 10


def test_more_items_of_the_same_minutes_than_one_run_can_read_are_all_read(reading: Reading) -> None:
    reading.books.times = [minutes_ago(500 - number / 10) for number in range(41)]
    reading.books.seconds = 90.0
    reading.until_done()
    known = reading.parts.store.item_statuses(reading.erp_id, [f"I-{n}" for n in range(41)])
    assert len(known) == 41
