"""Maintenance windows: closed exactly when the rule says so, at every hour, in every zone, whatever the clocks do."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.windows import BUSINESS_CENTRAL, WEEK, Window, closed_until
from tests.domain.profile import REPEATABLE

MONDAY = datetime(2026, 3, 16, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
QUARTER = timedelta(minutes=15)
ZONES = ("UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia")

moments = st.integers(0, 3 * 366 * 24 * 60).map(
    lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + minutes * MINUTE
)
zoned_windows = st.builds(
    Window,
    weekday=st.integers(0, 6),
    start=st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45])),
    length=st.integers(1, 6 * 24 * 60 - 1).map(lambda minutes: minutes * MINUTE),
    zone=st.sampled_from(ZONES),
)
short_windows = st.builds(
    Window,
    weekday=st.integers(0, 6),
    start=st.builds(time, st.integers(0, 23), st.sampled_from([0, 30])),
    length=st.integers(1, 30 * 60).map(lambda minutes: minutes * MINUTE),
    zone=st.sampled_from(ZONES),
)


def business_central_is_closed(moment: datetime) -> bool:
    weekday, hour = moment.weekday(), moment.hour
    return (weekday == 6 and hour >= 19) or (weekday == 0 and hour < 4)


def monday_four_after(moment: datetime) -> datetime:
    return next(
        end
        for week in range(3)
        if (end := MONDAY + (moment - MONDAY) // WEEK * WEEK + week * WEEK + timedelta(hours=4)) > moment
    )


@pytest.mark.parametrize("hour", range(7 * 24))
def test_business_central_is_closed_from_sunday_19_to_monday_4_utc_at_every_hour_of_the_week(
    hour: int,
) -> None:
    begin = MONDAY + timedelta(hours=hour)
    for moment in (begin, begin + timedelta(minutes=59, seconds=59, microseconds=999_999)):
        until = closed_until(moment, windows=(BUSINESS_CENTRAL,))
        assert until == (monday_four_after(moment) if business_central_is_closed(moment) else None)


@REPEATABLE
@given(moments, st.integers(0, 10 * 60), st.sampled_from(ZONES))
def test_a_window_closes_early_by_what_is_asked_and_opens_when_it_always_does(
    moment: datetime, early_minutes: int, zone: str
) -> None:
    early = early_minutes * MINUTE
    sunday = moment + timedelta(days=6 - moment.weekday())
    begins = sunday.replace(hour=19, minute=0)
    closed = business_central_is_closed(moment) or begins - early <= moment < begins
    until = closed_until(moment.astimezone(ZoneInfo(zone)), windows=(BUSINESS_CENTRAL,), early=early)
    assert until == (monday_four_after(moment) if closed else None)


@cache
def begin_on(day: date, start: time, zone: str) -> datetime | None:
    """When a clock in the zone first shows the start that day, found by looking at the clock every quarter of an hour.

    Where the clocks go forward over the start, it is as long after the jump as it would have been without it.
    """
    asked = datetime.combine(day, start)
    earliest = datetime.combine(day, time(), tzinfo=UTC) - timedelta(hours=16)
    instants = [earliest + step * QUARTER for step in range(4 * 52)]
    clock = [(each, each.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for each in instants]
    for (_, before), (instant, shown) in pairwise(clock):
        if shown == asked:
            return instant
        if before < asked < shown:
            return instant + (asked - before) - QUARTER
    return None


def begins_of(window: Window, around: datetime) -> list[datetime]:
    """Every beginning within two weeks of a moment."""
    days = ((around + timedelta(days=offset)).date() for offset in range(-15, 16))
    found = (begin_on(day, window.start, window.zone) for day in days if day.weekday() == window.weekday)
    return [each for each in found if each is not None]


@REPEATABLE
@given(zoned_windows, moments)
def test_a_window_lasts_its_length_from_its_start_on_the_clock_of_its_zone(
    window: Window, moment: datetime
) -> None:
    begin, end = window.current_or_next(moment)
    expected = min(each for each in begins_of(window, moment) if each + window.length > moment)
    assert (begin, end) == (expected, expected + window.length)
    assert begin.utcoffset() == timedelta(0)
    closed = closed_until(moment, windows=(window,))
    assert closed == (end if begin <= moment else None)


@pytest.mark.parametrize(
    ("_case", "zone", "now", "begin"),
    [
        ("in winter", "Europe/Berlin", "2026-02-01T00:00", "2026-02-01T01:30"),
        ("in summer", "Europe/Berlin", "2026-07-05T00:00", "2026-07-05T00:30"),
        ("at an hour that is left out", "Europe/Berlin", "2026-03-29T00:00", "2026-03-29T01:30"),
        ("at an hour that comes twice", "Europe/Berlin", "2026-10-25T00:00", "2026-10-25T00:30"),
        ("in the week after the clocks went back", "Europe/Berlin", "2026-10-26T00:00", "2026-11-01T01:30"),
        (
            "where the clocks go by half an hour",
            "Australia/Lord_Howe",
            "2026-04-04T00:00",
            "2026-04-04T16:00",
        ),
        ("east of everything", "Pacific/Apia", "2026-07-03T00:00", "2026-07-04T13:30"),
    ],
)
def test_a_window_on_sunday_at_2_30_begins_at_the_zones_own_time(
    _case: str, zone: str, now: str, begin: str
) -> None:
    window = Window(weekday=6, start=time(2, 30), length=timedelta(hours=9), zone=zone)
    found = window.current_or_next(datetime.fromisoformat(now).replace(tzinfo=UTC))
    expected = datetime.fromisoformat(begin).replace(tzinfo=UTC)
    assert found == (expected, expected + timedelta(hours=9))


@REPEATABLE
@given(st.lists(short_windows, max_size=3).map(tuple), moments, st.integers(0, 90))
def test_overlapping_windows_are_one_that_ends_with_the_last_of_them(
    windows: tuple[Window, ...], moment: datetime, early_minutes: int
) -> None:
    early = early_minutes * MINUTE
    spans = [(begin - early, begin + each.length) for each in windows for begin in begins_of(each, moment)]

    def is_closed(at: datetime) -> bool:
        return any(begin <= at < end for begin, end in spans)

    open_again = [end for _, end in spans if end > moment and not is_closed(end)]
    assume(open_again or not is_closed(moment))
    until = closed_until(moment, windows=windows, early=early)
    assert until == (min(open_again) if is_closed(moment) else None)


def test_without_windows_it_is_always_open() -> None:
    assert closed_until(MONDAY, windows=(), early=timedelta(days=1)) is None


def test_a_further_window_that_touches_the_owners_one_adds_to_it() -> None:
    further = Window(weekday=0, start=time(5, 0), length=timedelta(hours=2), zone="Europe/Berlin")
    sunday_evening = MONDAY - timedelta(hours=1)
    until = closed_until(sunday_evening, windows=(further, BUSINESS_CENTRAL))
    assert until == MONDAY + timedelta(hours=6)
