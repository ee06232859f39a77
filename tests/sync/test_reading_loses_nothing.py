"""Reading, as it is done: the fetch and the store over a platform that edits, ties, deletes and shifts while it is being paged,
and whose clock, like our own, is set by an hour either way."""

import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.domain.reading import Position
from app.domain.road import Stage
from app.ports.sales_channel import Gone, Page, Seen
from app.ports.store import Bell
from app.sync import pipeline
from tests.domain.profile import REPEATABLE
from tests.fakes.sales_channel import FakeSalesChannel, fake_body
from tests.fixtures.databases import FILE, SqliteDatabases
from tests.sync.test_promises import World

EXAMPLES = int(os.environ.get("ORDERSYNC_READING_EXAMPLES", "40"))
MOST_READINGS = 60
HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 17, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Event:
    """Something that happens before one page is asked for, after so many seconds."""

    passes: int
    kind: str
    which: int = 0


class Moving(FakeSalesChannel):
    """A platform on which something happens before each page. It pages by fives, and knows of a next page or guesses it."""

    def __init__(self, *, guesses: bool) -> None:
        super().__init__()
        self.guesses = guesses
        self.story: list[Event] = []
        self.pages = 0
        self.edits: dict[str, int] = {}
        self.stamps_off = timedelta(0)
        self.date_off = timedelta(0)
        self.world: World | None = None
        self.true = NOON
        self.ours_off = timedelta(0)
        self._ids = itertools.count()

    def pass_time(self, seconds: float) -> None:
        self.true += timedelta(seconds=seconds)
        self._set_clocks()

    def _set_clocks(self) -> None:
        # Orders carry the platform's stamps; its answers carry its Date; the world's clock is ours.
        self.now = self.true + self.stamps_off + self.date_off
        assert self.world is not None
        self.world.now = self.true + self.ours_off

    def add_order(self) -> str:
        """An order under an id that no other ever had."""
        return self.put(fake_body(order_id=str(100 + next(self._ids)), at=self.now))

    def happen(self, event: Event) -> None:
        self.pass_time(event.passes)
        what, _, way = event.kind.rpartition(" ")
        if what:
            name = {"clock": "date_off", "stamps": "stamps_off", "our clock": "ours_off"}[what]
            setattr(self, name, getattr(self, name) + (HOUR if way == "forwards" else -HOUR))
        else:
            self._change(event)
        self._set_clocks()

    def _change(self, event: Event) -> None:
        chosen = sorted(self.orders, key=int)[event.which % len(self.orders)] if self.orders else ""
        match event.kind:
            case "add":
                self.add_order()
            case "crowd":
                for _ in range(event.which + 1):
                    self.add_order()
            case "edit" if chosen and self.orders[chosen]["status"] == "processing":
                self.edit(chosen)
                self.edits[chosen] = self.edits.get(chosen, 0) + 1
            case "cancel" if chosen:
                self.cancel(chosen)
            case "delete" if chosen:
                self.delete(chosen)

    def changed(self, position: Position, *, page_size: int) -> Page:
        """A page of five."""
        del page_size
        self.pages += 1
        if self.story:
            self.happen(self.story.pop(0))
        page = super().changed(position, page_size=5)
        more = len(page.rows) == 5 if self.guesses else page.more
        return Page(page.rows, more=more, answered_at=self.true + self.date_off)


_kinds = st.sampled_from(["add", "add", "edit", "edit", "edit", "crowd", "cancel", "delete", "nothing"])
_jumps = st.sampled_from(
    [f"{which} {way}" for which in ("clock", "stamps", "our clock") for way in ("forwards", "back")]
)
_events = st.builds(Event, passes=st.sampled_from([0, 0, 0, 1, 30]), kind=_kinds, which=st.integers(0, 11))


@st.composite
def stories(draw: st.DrawFn) -> list[Event]:
    """What happens, with at most two clocks that are set in between, none further than an hour from what it was."""
    told = draw(st.lists(_events, min_size=3, max_size=25))
    for jump in draw(st.lists(_jumps, max_size=2, unique=True)):
        told.insert(draw(st.integers(0, len(told))), Event(0, jump))
    return told


@dataclass
class Told:
    """One story told to its end, and what was stored of it."""

    world: World
    channel: Moving
    bells: list[Bell] = field(default_factory=list)

    def read(self) -> bool:
        """One reading. Returns whether it came to its end in its time; an empty shop is doubted, which is one too."""
        run_id = self.world.store.open_run(kind="orders", site_id=self.world.site_id)
        found = pipeline.fetch(
            self.world.parts, site_id=self.world.site_id, run_id=run_id, ring=self.bells.append
        )
        return found.state != "unfinished"

    def read_whole(self) -> int:
        """Read until a reading comes to its end. Returns how many it took."""
        for count in range(1, MOST_READINGS):
            if self.read():
                return count
        raise AssertionError("the reading never comes to its end")

    def missing(self) -> set[str]:
        """The eligible orders that are not stored as they stand now."""
        with self.world.engine.connect() as connection:
            rows = connection.execute(text("SELECT platform_order_id, content_hash FROM rm_thread")).all()
        stored: dict[str, str] = {row.platform_order_id: row.content_hash for row in rows}
        stands = self.channel.read(list(self.channel.orders))
        return {
            key
            for key, seen in stands.items()
            if isinstance(seen, Seen) and seen.eligible and stored.get(key) != seen.content_hash
        }

    def history(self) -> Iterator[tuple[str, list[str], int]]:
        """Each stored order's id, the hashes of its versions in turn, and how often it was taken in as new."""
        with self.world.engine.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT platform_order_id, content_hash FROM rm_inbox ORDER BY platform_order_id, version"
                )
            ).all()
            fetched = connection.execute(
                text(
                    "SELECT t.platform_order_id, COUNT(*) AS times FROM rm_event e JOIN rm_thread t ON t.id = e.thread_id"
                    " WHERE e.event = 'fetched' GROUP BY t.platform_order_id"
                )
            ).all()
        times = {row.platform_order_id: row.times for row in fetched}
        for key, group in itertools.groupby(rows, key=lambda row: row.platform_order_id):
            yield key, [row.content_hash for row in group], times.get(key, 0)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database with a site, to be copied for each example: a file, of which a hundred are nothing."""
    folder = tmp_path_factory.mktemp("reading")
    with SqliteDatabases(folder / "empty").migrated(folder) as database:
        World(database.url).engine.dispose()
    return folder / FILE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


_numbers = itertools.count()


def tell(
    story: list[Event],
    *,
    guesses: bool,
    template: Path,
    folder: Path,
    pauses: Sequence[int] = (600,),
    pages: int = 1000,
) -> Told:
    """Read again and again while the story goes on, and then as often as an hour of quiet needs.

    `pages`: after so many the time of a reading is up.
    """
    channel = Moving(guesses=guesses)
    path = folder / f"{next(_numbers)}.db"
    shutil.copy(template, path)
    world = World.on(f"sqlite:///{path}", channel)
    channel.world = world
    channel.pass_time(0)
    limits = world.parts.limits
    seconds = (limits.soft_time_limit - limits.http_timeout) / (pages - 0.5)
    world.parts = replace(world.parts, ticks=lambda: channel.pages * seconds)
    told = Told(world, channel)
    channel.story = list(story)
    pause = itertools.cycle(pauses)
    while channel.story:
        told.read()
        channel.pass_time(next(pause))
    for _ in range(4):
        told.read_whole()
        while world.store.sites()[0].wide_bookmark is not None:
            told.read_whole()
        channel.pass_time(2400)
    return told


@pytest.mark.parametrize("guesses", [False, True], ids=["pages that name the next", "pages that are full"])
@settings(REPEATABLE, max_examples=EXAMPLES)
@given(
    story=stories(),
    pauses=st.lists(st.sampled_from([60, 600, 4000, 12_000]), min_size=1, max_size=4),
    pages=st.sampled_from([1, 2, 3, 1000, 1000]),
)
def test_every_order_is_stored_as_it_last_stood_and_none_is_taken_in_twice(  # noqa: PLR0917 - as hypothesis names them
    guesses: bool, template: Path, folder: Path, story: list[Event], pauses: list[int], pages: int
) -> None:
    told = tell(story, guesses=guesses, template=template, folder=folder, pauses=pauses, pages=pages)
    try:
        assert told.missing() == set()
        for key, hashes, times in told.history():
            assert times == 1, f"order {key} was taken in {times} times"
            assert all(one != other for one, other in itertools.pairwise(hashes)), f"order {key} came twice"
            assert len(hashes) <= 1 + told.channel.edits.get(key, 0), f"order {key} has versions nobody made"
    finally:
        told.world.engine.dispose()


@pytest.mark.parametrize(
    "jump",
    [
        "clock forwards",
        "clock back",
        "stamps forwards",
        "stamps back",
        "our clock forwards",
        "our clock back",
    ],
)
def test_orders_placed_right_after_a_clock_was_set_by_an_hour_are_read(
    jump: str, template: Path, folder: Path
) -> None:
    placed = [Event(60, "add") for _ in range(8)]
    story = [*placed, Event(1, "nothing"), Event(0, jump), *placed, Event(1, "edit", 2), Event(1, "edit", 12)]
    told = tell(story, guesses=True, template=template, folder=folder)
    assert len(told.channel.orders) == 16
    assert told.missing() == set()


def test_a_clock_that_is_seen_to_be_set_back_delays_no_order(template: Path, folder: Path) -> None:
    """Only a stamp that no clock explains has to wait for the look far back."""
    told = tell([Event(60, "add") for _ in range(8)], guesses=False, template=template, folder=folder)
    # The cursor is to stand right behind what is placed next.
    for _ in range(8):
        told.channel.happen(Event(300, "add"))
        told.read()
    for jump in ("nothing", "clock back", *["nothing"] * 4):
        told.channel.happen(Event(0, jump))
        told.channel.happen(Event(60, "add"))
        told.read()
        assert told.missing() == set()


@pytest.mark.parametrize("guesses", [False, True], ids=["pages that name the next", "pages that are full"])
def test_more_orders_in_one_second_than_one_reading_can_read_are_all_read_and_so_is_what_comes_after(
    guesses: bool, template: Path, folder: Path
) -> None:
    """As after an import into the shop: a reading that began anew each time would never get past them."""
    story = [Event(60, "add"), Event(600, "crowd", 60), Event(1, "add")]
    told = tell(story, guesses=guesses, template=template, folder=folder, pages=3)
    assert len(told.channel.orders) == 63
    assert told.missing() == set()
    # Time and again within the overlap, and far back.
    for key in sorted(told.channel.orders, key=int):
        told.channel.edit(key)
    told.channel.happen(Event(1, "add"))
    assert told.read_whole() > 3
    assert told.missing() == set()
    # Behind the cursor and its overlap, only the look far back comes by them again.
    told.channel.happen(Event(1200, "add"))
    told.read_whole()
    told.channel.pass_time(3700)
    told.read_whole()
    assert told.world.store.sites()[0].wide_bookmark is not None
    looks = 1
    while told.world.store.sites()[0].wide_bookmark is not None:
        told.read_whole()
        looks += 1
        assert looks < MOST_READINGS
    assert looks > 3


def test_an_order_that_is_gone_or_cancelled_is_not_taken_in(template: Path, folder: Path) -> None:
    told = tell([Event(0, "add"), Event(0, "add")], guesses=False, template=template, folder=folder)
    channel = told.channel
    known = sorted(channel.orders)
    channel.orders["900"] = fake_body(order_id="900", status="cancelled", at=channel.now)
    assert isinstance(channel.read(["901"])["901"], Gone)
    told.read()
    with told.world.engine.connect() as connection:
        stored = connection.execute(text("SELECT platform_order_id FROM rm_thread")).scalars().all()
    assert sorted(stored) == known
    assert {bell.link for bell in told.bells} == {Stage.NORMALIZE}
