"""Reading without losing: a shop whose orders change between the pages, read with what the domain says of position and cursor.

`Reader.run` goes the way of `app.sync.fetch`: it stores page after page with the cursor, until the limit of unseen orders,
the deadline or the end.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.domain.reading import Cursor, Position, advanced, cursors, following, start
from tests.domain.profile import REPEATABLE

EPOCH = datetime(2026, 3, 17, 12, 0, 0, tzinfo=UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@dataclass
class Stand:
    """How an order stands in the shop. `modified_at` is None where its time cannot be read."""

    modified_at: datetime | None
    version: int = 1
    eligible: bool = True


@dataclass(frozen=True)
class Answer:
    """A page as the port gives it; the rows are (modified, id, version)."""

    rows: tuple[tuple[datetime | None, str, int], ...]
    more: bool
    answered_at: datetime


@dataclass
class Shop:
    """A shop with a clock of whole seconds. `guesses`: it takes a full page for a sign that there is another."""

    guesses: bool = False
    now: datetime = EPOCH
    stands: dict[int, Stand] = field(default_factory=dict)
    asked: int = 0

    def add(self, modified_at: datetime | None) -> str:
        number = len(self.stands) + 1
        self.stands[number] = Stand(modified_at)
        return str(number)

    def edit(self, number: int, *, late: timedelta = timedelta(0), eligible: bool = True) -> None:
        """A change that is seen only now, although it was stamped `late` ago."""
        stand = self.stands[number]
        before = stand.modified_at
        stamp = self.now - late
        stand.modified_at = stamp if before is None or before > self.now else max(before, stamp)
        stand.version += 1
        stand.eligible = eligible

    def eligible(self, since: datetime | None) -> dict[str, int]:
        return {
            str(number): stand.version
            for number, stand in self.stands.items()
            if stand.eligible
            and (since is None or (stand.modified_at is not None and stand.modified_at >= since))
        }

    def changed(self, position: Position, *, page_size: int) -> Answer:
        """What the port promises; orders whose time cannot be read stand before all others and in no filtered list."""
        self.asked += 1
        listed = sorted(
            (stand.modified_at or datetime.min.replace(tzinfo=UTC), int(number), version)
            for number, version in self.eligible(position.since).items()
            for stand in (self.stands[int(number)],)
        )
        begin = (position.page - 1) * page_size
        rows = listed[begin : begin + page_size]
        more = len(rows) == page_size if self.guesses else len(listed) > begin + page_size
        return Answer(
            rows=tuple(
                (self.stands[number].modified_at, str(number), version) for _, number, version in rows
            ),
            more=more,
            answered_at=self.now,
        )


class Start(Protocol):
    def __call__(self, cursor: Cursor | None, *, overlap: timedelta, floor: datetime | None) -> Position: ...


class Following(Protocol):
    def __call__(
        self, position: Position, *, last_modified_at: datetime | None, more: bool
    ) -> Position | None: ...


class Cursors(Protocol):
    def __call__(
        self,
        cursor: Cursor | None,
        *,
        rows: Sequence[tuple[datetime | None, str]],
        position: Position,
        answered_at: datetime,
        overlap: timedelta,
    ) -> dict[int, Cursor | None]: ...


@dataclass(frozen=True)
class Rules:
    """The rules of reading, the domain's own unless one is put out of force."""

    start: Start = start
    following: Following = following
    cursors: Cursors = cursors


@dataclass
class Reader:
    """One site: its cursor, the orders stored in the version last shown, and its settings."""

    page_size: int
    limit: int
    overlap: timedelta
    floor: datetime | None = None
    rules: Rules = field(default_factory=Rules)
    cursor: Cursor | None = None
    stored: dict[str, int] = field(default_factory=dict)
    began_at: datetime | None = None

    def run(self, shop: Shop, *, meanwhile: Callable[[], None], deadline: Callable[[], bool]) -> None:
        """One run. `meanwhile` happens before each page is asked for; after each that is stored, the deadline may have come."""
        position: Position | None = self.rules.start(self.cursor, overlap=self.overlap, floor=self.floor)
        new = 0
        self.began_at = None
        while position is not None and new < self.limit:
            meanwhile()
            page = shop.changed(position, page_size=self.page_size)
            stored = self._store(page, position, limit=self.limit - new)
            if stored is None or deadline():
                return
            new += stored
            times = [modified_at for modified_at, _, _ in page.rows if modified_at is not None]
            position = self.rules.following(
                position, last_modified_at=max(times, default=None), more=page.more
            )

    def quiet_run(self, shop: Shop, *, pages: int | None = None) -> None:
        """A run during which nothing happens, and which stops after so many pages."""
        enough = None if pages is None else shop.asked + pages
        self.run(shop, meanwhile=lambda: None, deadline=lambda: enough is not None and shop.asked >= enough)

    def _store(self, page: Answer, position: Position, *, limit: int) -> int | None:
        """How many unseen orders the page brought, None where the limit was reached before its end."""
        self.began_at = self.began_at or page.answered_at
        after = self.rules.cursors(
            self.cursor,
            rows=[(modified_at, order_id) for modified_at, order_id, _ in page.rows],
            position=position,
            answered_at=self.began_at,
            overlap=self.overlap,
        )
        new = kept = 0
        full = False
        for _, order_id, version in page.rows:
            if order_id not in self.stored:
                if new == limit:
                    full = True
                    break
                new += 1
            self.stored[order_id] = version
            kept += 1
        self._move(after[kept], page, rows=kept)
        return None if full else new

    def _move(self, cursor: Cursor | None, page: Answer, *, rows: int) -> None:
        before, self.cursor = self.cursor, cursor
        if self.rules != Rules():
            return
        if rows == 0:
            assert cursor == before, "a page of which nothing was stored moved the cursor"
        if before is not None:
            assert cursor is not None, "the cursor was lost"
            assert cursor.modified_at >= before.modified_at, "the cursor went backwards"
        if cursor is not None and cursor != before:
            assert cursor.modified_at <= page.answered_at - self.overlap, (
                "the cursor overtook the answer's Date"
            )


Happening = Callable[[Shop], None]


@dataclass(frozen=True)
class Happenings:
    """What happens before one page is asked for: time passes, then orders change. `stop`: the run's deadline follows the page."""

    passes: int
    changes: tuple[tuple[str, int, int], ...]
    stop: bool

    def take_place(self, shop: Shop, *, late: int) -> None:
        shop.now += seconds(self.passes)
        for kind, number, size in self.changes:
            chosen = 1 + number % len(shop.stands) if shop.stands else 0
            if kind == "add":
                shop.add(shop.now - seconds(size % (late + 1)))
            elif kind == "crowd":
                for _ in range(size):
                    shop.add(shop.now)
            elif kind == "future":
                shop.add(shop.now + seconds(size * size))
            elif chosen and kind == "edit":
                shop.edit(chosen, late=seconds(size % (late + 1)))
            elif chosen and kind == "turn":
                shop.edit(chosen, eligible=not shop.stands[chosen].eligible)
            elif chosen and kind == "hide":
                # Gone without a trace, such as by deletion: it leaves its place and moves no date.
                shop.stands[chosen].eligible = False


happenings = st.builds(
    Happenings,
    passes=st.sampled_from([0, 0, 1, 2, 7, 30]),
    changes=st.lists(
        st.tuples(
            st.sampled_from(["edit", "edit", "edit", "add", "crowd", "turn", "hide", "future"]),
            st.integers(0, 12),
            st.integers(0, 8),
        ),
        max_size=3,
    ).map(tuple),
    stop=st.sampled_from([False, False, False, True]),
)


@dataclass(frozen=True)
class Case:
    """A shop at the beginning (how long ago each order was modified), what happens while it is read, and how it is read."""

    ages: tuple[int | None, ...]
    story: tuple[Happenings, ...]
    page_size: int
    limit: int
    overlap: int
    late: int
    guesses: bool
    floor: int | None

    def shop(self) -> Shop:
        shop = Shop(guesses=self.guesses)
        for age in self.ages:
            shop.add(None if age is None else EPOCH - seconds(age))
        return shop

    def reader(self) -> Reader:
        floor = None if self.floor is None else EPOCH - seconds(self.floor)
        return Reader(page_size=self.page_size, limit=self.limit, overlap=seconds(self.overlap), floor=floor)


@st.composite
def cases(draw: st.DrawFn, *, unreadable: bool = False) -> Case:
    known = st.sampled_from([50, 50, 50, 51, 40, 39, 3, 0, -40]) | st.integers(0, 60)
    ages = st.none() | known if unreadable else known
    overlap = draw(st.sampled_from([1, 5, 30]))
    return Case(
        ages=tuple(draw(st.lists(ages, max_size=12))),
        story=tuple(draw(st.lists(happenings, max_size=14))),
        page_size=draw(st.integers(1, 5)),
        limit=draw(st.integers(1, 8)),
        overlap=overlap,
        late=draw(st.integers(0, overlap)),
        guesses=draw(st.booleans()),
        floor=draw(st.none() | st.integers(0, 60)),
    )


def read_through(case: Case, shop: Shop, reader: Reader) -> Iterator[None]:
    """Runs until the story is told, then as many as an undisturbed reader needs; yields after each."""
    story = list(case.story)
    while story:
        told = _Run(story, case=case, shop=shop)
        reader.run(shop, meanwhile=told.meanwhile, deadline=lambda told=told: told.stop)  # type: ignore[misc]
        yield
    unseen = len(shop.eligible(reader.floor).keys() - reader.stored.keys())
    for _ in range(unseen // reader.limit + 1):
        reader.quiet_run(shop)
        yield


class _Run:
    def __init__(self, story: list[Happenings], *, case: Case, shop: Shop) -> None:
        self._story = story
        self._case = case
        self._shop = shop
        self.stop = False

    def meanwhile(self) -> None:
        self.stop = False
        if self._story:
            coming = self._story.pop(0)
            coming.take_place(self._shop, late=self._case.late)
            self.stop = coming.stop


def missing(shop: Shop, reader: Reader) -> set[str]:
    """The orders that the site reads and that were not seen, or not in their last version."""
    shown = shop.eligible(reader.floor)
    return {number for number, version in shown.items() if reader.stored.get(number) != version}


@settings(REPEATABLE, max_examples=1000)
@given(cases())
def test_every_order_is_seen_in_its_last_version_whatever_happens_between_the_pages(case: Case) -> None:
    shop, reader = case.shop(), case.reader()
    for _ in read_through(case, shop, reader):
        assert shop.asked < 2000, "a run does not come to its end"
    assert missing(shop, reader) == set()


FIRST_EDITED = Happenings(passes=0, changes=(("edit", 0, 0),), stop=False)
THIRD_EDITED_AND_DEADLINE = Happenings(passes=0, changes=(("edit", 2, 0),), stop=True)


@settings(REPEATABLE, max_examples=400)
@given(cases(unreadable=True))
@example(
    Case(
        ages=(50, 50, None),
        story=(FIRST_EDITED, THIRD_EDITED_AND_DEADLINE),
        page_size=1,
        limit=2,
        overlap=1,
        late=0,
        guesses=False,
        floor=None,
    )
)
def test_orders_whose_time_cannot_be_read_hide_no_others(case: Case) -> None:
    shop, reader = case.shop(), replace(case.reader(), floor=None)
    for _ in read_through(case, shop, reader):
        assert shop.asked < 2000, "a run does not come to its end"
    # What is in no filtered list after the first run cannot be asked of the runs after it.
    readable = {str(number) for number, stand in shop.stands.items() if stand.modified_at is not None}
    assert missing(shop, reader) & readable == set()


@REPEATABLE
@given(cases(), st.integers(0, 8))
def test_a_run_stores_as_many_unseen_orders_as_its_limit_allows_and_never_more(
    case: Case, known: int
) -> None:
    shop, reader = case.shop(), case.reader()
    first = replace(reader, limit=max(1, known))
    first.quiet_run(shop)
    reader.cursor, reader.stored = first.cursor, dict(first.stored)
    while unseen := len(shop.eligible(reader.floor).keys() - reader.stored.keys()):
        before = len(reader.stored)
        reader.quiet_run(shop)
        assert len(reader.stored) - before == min(unseen, reader.limit)


@REPEATABLE
@given(cases())
def test_runs_that_are_cut_short_come_to_the_end_while_they_reach_beyond_what_is_read_again(
    case: Case,
) -> None:
    shop, reader = case.shop(), case.reader()
    times = [stand.modified_at for stand in shop.stands.values() if stand.modified_at is not None]
    # Behind the cursor the overlap is read again, and before it all that is too young for it to stand at.
    young = sum(each >= shop.now - 2 * reader.overlap for each in times)
    again = max(
        (sum(begin <= each <= begin + reader.overlap for each in times) for begin in times), default=0
    )
    for _ in range(len(shop.stands) + 1):
        reader.quiet_run(shop, pages=4 * max(again, young) + 4)
    assert missing(shop, reader) == set()


@pytest.mark.parametrize(("page_size", "limit"), [(100, 700), (99, 100), (7, 3000)])
def test_thousands_of_orders_of_one_second_are_all_read(page_size: int, limit: int) -> None:
    shop = Shop()
    for _ in range(2500):
        shop.add(EPOCH - seconds(3600))
    shop.add(EPOCH - seconds(1800))
    reader = Reader(page_size=page_size, limit=limit, overlap=seconds(300))
    for _ in range(2501 // limit + 1):
        reader.quiet_run(shop)
    assert missing(shop, reader) == set()


@pytest.mark.parametrize("page_size", [1, 2, 5])
@pytest.mark.parametrize("known", [True, False], ids=["after earlier runs", "in the first run"])
def test_an_empty_answer_moves_nothing(page_size: int, known: bool) -> None:
    cursor = Cursor(modified_at=EPOCH - seconds(900), platform_order_id="7") if known else None
    reader = Reader(page_size=page_size, limit=5, overlap=seconds(300), cursor=cursor)
    shop = Shop()
    reader.quiet_run(shop)
    assert (reader.cursor, reader.stored, shop.asked) == (cursor, {}, 1)


def test_an_order_from_the_future_is_read_and_does_not_pin_the_cursor() -> None:
    shop = Shop()
    shop.add(EPOCH + seconds(86_400))
    reader = Reader(page_size=2, limit=5, overlap=seconds(300))
    reader.quiet_run(shop)
    assert reader.stored == {"1": 1}
    assert reader.cursor == Cursor(modified_at=EPOCH - seconds(300), platform_order_id="")
    shop.now += seconds(3600)
    shop.add(shop.now)
    reader.quiet_run(shop)
    assert reader.stored == {"1": 1, "2": 1}


@REPEATABLE
@given(st.integers(1, 5), st.integers(1, 300), st.integers(0, 300))
def test_an_order_that_appears_late_within_the_overlap_is_found(
    page_size: int, overlap: int, late: int
) -> None:
    shop = Shop()
    for age in (900, 20, 5, 0):
        shop.add(EPOCH - seconds(age))
    reader = Reader(page_size=page_size, limit=9, overlap=seconds(overlap))
    reader.quiet_run(shop)
    shop.add(EPOCH - seconds(min(late, overlap)))
    reader.quiet_run(shop)
    assert missing(shop, reader) == set()


moments = st.integers(-1000, 1000).map(lambda count: EPOCH + seconds(count))
known_cursors = st.builds(Cursor, modified_at=moments, platform_order_id=st.sampled_from(["", "1", "22"]))
overlaps = st.integers(0, 600).map(seconds)


@REPEATABLE
@given(st.none() | known_cursors, overlaps, st.none() | moments)
def test_a_run_starts_an_overlap_before_the_cursor_and_never_before_the_floor(
    cursor: Cursor | None, overlap: timedelta, floor: datetime | None
) -> None:
    bounds = [
        each for each in (None if cursor is None else cursor.modified_at - overlap, floor) if each is not None
    ]
    assert start(cursor, overlap=overlap, floor=floor) == Position(since=max(bounds, default=None))


@REPEATABLE
@given(st.none() | known_cursors, known_cursors, moments, overlaps)
def test_the_cursor_goes_to_what_was_stored_but_not_backwards_and_not_beyond_the_answers_date_less_the_overlap(
    cursor: Cursor | None, last: Cursor, answered_at: datetime, overlap: timedelta
) -> None:
    after = advanced(cursor, last=last, answered_at=answered_at, overlap=overlap)
    allowed = min(last.modified_at, answered_at - overlap)
    assert after is not None
    if cursor is not None and allowed <= cursor.modified_at:
        assert after == cursor
    else:
        assert after.modified_at == allowed
        assert after.platform_order_id == (last.platform_order_id if last.modified_at == allowed else "")


def leap_over_the_second(
    position: Position, *, last_modified_at: datetime | None, more: bool
) -> Position | None:
    """As the domain's, but what a crowded second's pages missed is not looked for on a way back."""
    after = following(position, last_modified_at=last_modified_at, more=more)
    if after is not None and after.back:
        return None if after.resume is None else Position(since=after.resume)
    return after


def by_offset(position: Position, *, last_modified_at: datetime | None, more: bool) -> Position | None:
    """Page after page of one list, as one would at first."""
    del last_modified_at
    return replace(position, page=position.page + 1) if more else None


def without_overlap(cursor: Cursor | None, *, overlap: timedelta, floor: datetime | None) -> Position:
    del overlap
    return start(cursor, overlap=seconds(0), floor=floor)


def leaving_the_second(
    cursor: Cursor | None,
    *,
    rows: Sequence[tuple[datetime | None, str]],
    position: Position,
    answered_at: datetime,
    overlap: timedelta,
) -> dict[int, Cursor | None]:
    """As the domain's, but the cursor does not wait for the end of a crowded second."""
    free = Position(since=position.since)
    return cursors(cursor, rows=rows, position=free, answered_at=answered_at, overlap=overlap)


def whatever_the_date(
    cursor: Cursor | None,
    *,
    rows: Sequence[tuple[datetime | None, str]],
    position: Position,
    answered_at: datetime,
    overlap: timedelta,
) -> dict[int, Cursor | None]:
    del answered_at
    # A Date that limits nothing.
    return cursors(
        cursor, rows=rows, position=position, answered_at=EPOCH + timedelta(days=3650), overlap=overlap
    )


CROWDED = (1000, 1000, 1000, 1000, 1000, 900, 800, 700)


def edit_the_first(shop: Shop) -> None:
    shop.edit(1)


def add_one_late(shop: Shop) -> None:
    """The shop's clock was set back in the meantime, so a new order is stamped before those already read."""
    shop.add(shop.now - seconds(60))
    shop.now += seconds(30)


def an_hour_later(shop: Shop) -> None:
    shop.now += seconds(3600)
    shop.add(shop.now)


@pytest.mark.parametrize(
    ("_case", "ages", "page_size", "page", "happens", "stop", "without", "lost"),
    [
        ("the way back", CROWDED, 2, 4, edit_the_first, False, Rules(following=leap_over_the_second), {"5"}),
        (
            "the cursor that waits",
            CROWDED,
            2,
            4,
            edit_the_first,
            True,
            Rules(cursors=leaving_the_second),
            {"5"},
        ),
        (
            "paging by key",
            (900, 800, 700, 600),
            2,
            2,
            edit_the_first,
            False,
            Rules(following=by_offset, cursors=leaving_the_second),
            {"3"},
        ),
        ("the overlap", (100, 50, 45), 1, 5, add_one_late, False, Rules(start=without_overlap), {"4"}),
        (
            "the limit by Date",
            (-86_400,),
            2,
            2,
            an_hour_later,
            False,
            Rules(cursors=whatever_the_date),
            {"2"},
        ),
    ],
)
def test_without_one_of_the_rules_an_order_is_lost_and_with_all_of_them_none_is(  # noqa: PLR0917 - a table
    _case: str,
    ages: tuple[int, ...],
    page_size: int,
    page: int,
    happens: Happening,
    stop: bool,
    without: Rules,
    lost: set[str],
) -> None:
    for rules, expected in ((without, lost), (Rules(), set[str]())):
        shop = Shop()
        for age in ages:
            shop.add(EPOCH - seconds(age))
        reader = Reader(page_size=page_size, limit=99, overlap=seconds(30), rules=rules)

        def meanwhile(shop: Shop = shop) -> None:
            if shop.asked == page - 1:
                happens(shop)

        def deadline(shop: Shop = shop) -> bool:
            return stop and shop.asked == page

        for _ in range(3):
            reader.run(shop, meanwhile=meanwhile, deadline=deadline)
        assert shop.asked > page
        assert missing(shop, reader) == expected
