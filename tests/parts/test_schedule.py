"""What is due, and when it is due next."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select, update

from app.bootstrap import Program
from app.db.tables import erps, sites
from app.sync.schedule import next_items_run, next_site_run, next_time, tick
from tests.parts.conftest import with_erp, with_site

TUESDAY = datetime(2026, 3, 17, 12, 30, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def due(program: Program) -> tuple[list[int], list[int]]:
    """The sites and the ERPs that are due, by id."""
    found = tick(program.parts)
    return [site.id for site in found.sites], [erp.id for erp in found.erps]


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("0 * * * *", TUESDAY, datetime(2026, 3, 17, 13, 0, tzinfo=UTC)),
        ("0 * * * *", datetime(2026, 3, 17, 13, 0, tzinfo=UTC), datetime(2026, 3, 17, 14, 0, tzinfo=UTC)),
        ("*/15 * * * *", TUESDAY, datetime(2026, 3, 17, 12, 45, tzinfo=UTC)),
        ("30 2 * * 1", TUESDAY, datetime(2026, 3, 23, 2, 30, tzinfo=UTC)),
        ("0 0 29 2 *", TUESDAY, datetime(2028, 2, 29, 0, 0, tzinfo=UTC)),
    ],
)
def test_the_next_time_is_the_first_one_after_now(cron: str, after: datetime, expected: datetime) -> None:
    assert next_time(cron, after=after) == expected


def test_schedules_are_utc_whatever_zone_the_clock_shows() -> None:
    elsewhere = TUESDAY.astimezone(timezone(timedelta(hours=-7)))
    assert next_time("0 13 * * *", after=elsewhere) == datetime(2026, 3, 17, 13, 0, tzinfo=UTC)


def test_a_new_site_waits_for_its_schedule_and_a_new_erps_items_are_due_at_once(program: Program) -> None:
    site_id, erp_id = with_site(program), with_erp(program)
    (site,) = program.parts.store.sites()
    now = program.parts.store.now()
    assert (site.id, site.order_next_run.minute) == (site_id, 0)
    assert now < site.order_next_run <= now + HOUR
    assert due(program) == ([], [erp_id])


def _change(program: Program, **changes: object) -> None:
    with program.engine.begin() as connection:
        connection.execute(update(sites).values(**changes))


def test_what_is_due_is_rung_and_asking_twice_gives_the_same(program: Program) -> None:
    site_id, erp_id = with_site(program), with_erp(program)
    _change(program, order_next_run=program.parts.store.now() - HOUR)
    assert due(program) == due(program) == ([site_id], [erp_id])


@pytest.mark.parametrize(
    ("_case", "changes", "is_due"),
    [
        ("disabled", lambda _now: {"is_active": False}, False),
        ("orders not wanted", lambda _now: {"orders_sync": False}, False),
        ("paused", lambda now: {"paused_until": now + HOUR, "paused_reason": "Wrong key."}, False),
        ("paused until a moment ago", lambda now: {"paused_until": now - HOUR, "paused_reason": "x"}, True),
    ],
)
def test_a_site_that_is_disabled_or_paused_is_not_due(
    program: Program, _case: str, changes: Callable[[datetime], dict[str, object]], is_due: bool
) -> None:
    site_id = with_site(program)
    now = program.parts.store.now()
    _change(program, order_next_run=now - HOUR, **changes(now))
    assert due(program)[0] == ([site_id] if is_due else [])


def test_an_erp_that_is_disabled_paused_or_not_due_is_left_alone(program: Program) -> None:
    with_erp(program)
    now = program.parts.store.now()
    for changes in ({"is_active": False}, {"paused_until": now + HOUR}, {"items_next_run": now + HOUR}):
        with program.engine.begin() as connection:
            before = connection.execute(select(erps)).one()._mapping
            connection.execute(update(erps).values(**changes))
        assert due(program)[1] == []
        with program.engine.begin() as connection:
            connection.execute(update(erps).values({name: before[name] for name in changes}))
    assert due(program)[1] == [1]


def test_the_shifted_clock_decides_what_is_due(open_with: Callable[..., Program]) -> None:
    site_id = with_site(open_with())
    tomorrow = open_with(ORDERSYNC_CLOCK_SHIFT="86400")
    assert tomorrow.parts.store.now() - datetime.now(UTC) > timedelta(hours=23)
    assert due(tomorrow)[0] == [site_id]


def test_next_runs_follow_the_settings(program: Program) -> None:
    with_site(program, settings={"schedule": "7 3 * * *"})
    with_erp(program, settings={"items_schedule": "9 4 * * *"})
    (site,), (erp,) = program.parts.store.sites(), program.parts.store.erps()
    following = next_site_run(program.parts, dict(site.settings))
    assert (following.hour, following.minute) == (3, 7)
    assert site.order_next_run == following
    following = next_items_run(program.parts, dict(erp.settings))
    assert (following.hour, following.minute) == (4, 9)


def test_webhooks_are_looked_after_when_their_time_has_come_and_the_site_is_open(program: Program) -> None:
    site_id = with_site(program)
    now = program.parts.store.now()

    def looked_after() -> list[int]:
        return [site.id for site in tick(program.parts).hooks]

    assert looked_after() == []
    _change(program, hooks_next_check=now + HOUR)
    assert looked_after() == []
    _change(program, hooks_next_check=now - HOUR)
    assert looked_after() == [site_id]
    _change(program, paused_until=now + HOUR)
    assert looked_after() == []
    _change(program, paused_until=None, is_active=False)
    assert looked_after() == []
