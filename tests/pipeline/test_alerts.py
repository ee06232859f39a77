"""Alerts from what the rules see to what people are told, on a whole middleware, by a mail server and a webhook on loopback."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, update

from app.db.tables import erps, sites, threads
from app.domain.road import Stage, State
from app.errors import Retry, UsageError
from app.ports.alerting import Rule, What
from app.ports.deliveries import EVENTS, AlertKind
from app.ports.limiters import Ceilings, Report, Verdict
from app.ports.systems import SiteChanges
from app.sync.panel import alert_rules, watching
from app.sync.panel.freshness import longest_gap, target
from app.sync.panel.watching import look, message, tell, watch
from app.sync.retire import disable_site
from app.transport import LocalLimiters
from tests.fakes.sinks import HookServer, MailServer, serving
from tests.pipeline.world import WEDNESDAY, MakeWorld, World, plain_order, use_limiters
from tests.web.office import Office
from workers.application import make_app

URL = "https://panel.example.test/"
REASON = "The consumer secret is wrong; set the credential secret anew."


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with serving(HookServer()) as server:
        yield server


class Watched:
    """A middleware whose alerts are looked at each minute of its own clock."""

    def __init__(self, world: World, **settings: Any) -> None:
        self.world = world
        self.office = Office(world, **settings)
        self.panel = self.office.panel
        self.store = self.panel.store

    def add(self, hook: HookServer, name: str = "ops", **more: Any) -> None:
        alert_rules.add_target(
            self.panel, name=name, url=hook.url, kinds=more.pop("kinds", ()), by="tests", **more
        )

    def set(self, kind: AlertKind, **given: str) -> None:
        alert_rules.set_rule(self.panel, kind, given)

    def only(self, kind: AlertKind) -> None:
        """Look for this alone."""
        for each in alert_rules.WATCHED:
            if each is not kind:
                self.set(each, enabled="false")

    def minutes(self, number: int = 1) -> None:
        for _ in range(number):
            self.world.clock.advance(60)
            watch(self.panel, web_url=URL)

    def pause(self, reason: str | None = REASON) -> None:
        until = None if reason is None else self.world.clock.now() + timedelta(minutes=5)
        self.store.pause_site(self.world.site_id, until=until, reason=reason)

    def open(self) -> list[tuple[str, str]]:
        return [(each.kind.value, each.subject) for each in self.store.alert_rows(is_open=True, limit=99)]

    def over(self) -> list[str]:
        return [each.kind.value for each in self.store.alert_rows(is_open=False, limit=99)]

    def outcomes(self) -> list[tuple[str, str, bool]]:
        found = self.store.alert_notices(
            [
                each.id
                for is_open in (True, False)
                for each in self.store.alert_rows(is_open=is_open, limit=99)
            ]
        )
        return [
            (each.target, each.what.value, each.told_at is not None)
            for rows in found.values()
            for each in rows
        ]


@pytest.fixture
def watched(make_world: MakeWorld) -> Watched:
    return Watched(make_world(frozen=True))


def test_what_begins_is_told_once_and_once_that_it_is_over(watched: Watched, hook: HookServer) -> None:
    watched.add(hook)
    watched.pause()
    watched.minutes(10)
    assert watched.open() == [("paused", "bgm")]
    assert hook.told == []
    watched.minutes(20)
    assert hook.titles() == ["[critical] Paused for its settings: bgm"]
    (told,) = hook.told
    assert told["message"].splitlines() == [
        f"bgm is not read: {REASON}",
        "Since 2026-11-25 12:01 UTC (10 min).",
        "Put right what the reason names, then check the connection.",
        "https://panel.example.test/alerts",
    ]
    watched.pause(None)
    watched.minutes(10)
    assert len(hook.told) == 1
    watched.minutes(20)
    assert hook.titles()[1:] == ["[over] Paused for its settings: bgm"]
    assert hook.told[1]["type"] == "success"
    assert (
        "It began at 2026-11-25 12:01 UTC and was over at 2026-11-25 12:41 UTC, after 40 min."
        in (hook.told[1]["message"])
    )
    assert (watched.open(), watched.over()) == ([], ["paused"])
    assert watched.outcomes() == [("ops", "begun", True), ("ops", "over", True)]


def test_what_is_gone_again_before_it_was_told_is_never_told(watched: Watched, hook: HookServer) -> None:
    watched.add(hook)
    watched.pause()
    watched.minutes(5)
    watched.pause(None)
    watched.minutes(30)
    assert (hook.told, watched.over()) == ([], ["paused"])


def test_what_comes_and_goes_stays_one_alert(watched: Watched, hook: HookServer) -> None:
    watched.only(AlertKind.PAUSED)
    watched.add(hook)
    for _ in range(5):
        watched.pause()
        watched.minutes(8)
        watched.pause(None)
        watched.minutes(8)
    watched.minutes(10)
    assert len(hook.told) == 2
    assert watched.over() == ["paused"]


def test_without_a_target_alerts_are_listed_and_one_that_is_added_is_told_what_is_still_open(
    watched: Watched, hook: HookServer
) -> None:
    watched.set(AlertKind.PAUSED, for_minutes="0")
    watched.pause()
    watched.minutes(3)
    assert watched.open() == [("paused", "bgm")]
    assert watched.outcomes() == []
    watched.add(hook)
    watched.minutes(3)
    assert hook.titles() == ["[critical] Paused for its settings: bgm"]


def test_a_target_is_told_of_its_kinds_only(watched: Watched, hook: HookServer) -> None:
    watched.set(AlertKind.PAUSED, for_minutes="0")
    watched.add(hook, kinds=["stuck"])
    with serving(MailServer()) as mail:
        alert_rules.add_target(watched.panel, name="mail", url=mail.url, kinds=["paused"], by="tests")
        watched.pause()
        watched.minutes(2)
        assert [each["subject"] for each in mail.mails] == ["[critical] Paused for its settings: bgm"]
    assert hook.told == []


def test_a_target_that_was_down_is_told_late_and_once_and_holds_up_nobody(
    watched: Watched, hook: HookServer
) -> None:
    watched.set(AlertKind.PAUSED, for_minutes="0")
    watched.add(hook)
    with serving(HookServer()) as other:
        watched.add(other, "other")
        hook.status = 503
        watched.pause()
        watched.minutes(30)
        assert len(other.told) == 1
        # After 1, 2, 4, 8 minutes and so on, not each minute.
        assert hook.refused == 5
        assert sorted(watched.outcomes()) == [("ops", "begun", False), ("other", "begun", True)]
        hook.status = 200
        watched.minutes(40)
        assert (len(hook.told), len(other.told)) == (1, 1)


def test_a_target_that_comes_back_after_all_is_over_is_told_both_at_once(
    watched: Watched, hook: HookServer
) -> None:
    watched.set(AlertKind.PAUSED, for_minutes="0")
    watched.add(hook)
    hook.status = 503
    watched.pause()
    watched.minutes(2)
    watched.pause(None)
    watched.minutes(2)
    hook.status = 200
    watched.minutes(60)
    (told,) = hook.told
    assert "was over at 2026-11-25 12:03 UTC" in told["message"]


def test_where_some_recipients_are_reached_they_are_told_once_and_the_list_says_that_others_were_not(
    watched: Watched,
) -> None:
    with serving(MailServer()) as mail:
        mail.unknown = "bob@example.test"
        url = mail.url.replace("to=ops@example.test", "to=ops@example.test,bob@example.test")
        alert_rules.add_target(watched.panel, name="mail", url=url, kinds=(), by="tests")
        with pytest.raises(Retry, match=r"Not everybody at this address was reached\."):
            alert_rules.test_target(watched.panel, "mail", by="anna")
        watched.only(AlertKind.PAUSED)
        watched.pause()
        watched.minutes(15)
        assert [each["to"] for each in mail.mails] == ["ops@example.test"] * 2
        (row,) = watched.store.alert_rows(is_open=True, limit=9)
        (notice,) = watched.store.alert_notices([row.id])[row.id]
        assert notice.told_at is not None
        assert notice.outcome.startswith("Not everybody at this address was reached. ")
        watched.pause(None)
        watched.minutes(15)
        assert [each["subject"][:6] for each in mail.mails][2:] == ["[over]"]


def test_a_target_is_given_up_after_a_day_and_that_is_listed(watched: Watched, hook: HookServer) -> None:
    watched.only(AlertKind.PAUSED)
    watched.set(AlertKind.PAUSED, for_minutes="0")
    watched.add(hook)
    hook.status = 503
    watched.pause()
    watched.minutes()
    for _ in range(30):
        watched.world.clock.advance(3600)
        watched.minutes()
    refused = hook.refused
    ((notice,),) = watched.store.alert_notices([1]).values()
    assert notice.next_at is None
    assert notice.outcome.startswith(f"Given up after {refused} attempts. Failed to send JSON")
    watched.world.clock.advance(86_400)
    watched.minutes(2)
    assert hook.refused == refused


def test_two_watchers_at_once_tell_once(watched: Watched, hook: HookServer) -> None:
    watched.set(AlertKind.PAUSED, for_minutes="0")
    watched.add(hook)
    watched.pause()
    both = threading.Barrier(2)

    def run() -> None:
        both.wait()
        watch(watched.panel, web_url=None)

    watchers = [threading.Thread(target=run) for _ in range(2)]
    for each in watchers:
        each.start()
    for each in watchers:
        each.join()
    watched.minutes(3)
    assert len(hook.told) == 1
    assert watched.open() == [("paused", "bgm")]


def test_one_who_ends_between_sending_and_settling_leaves_it_to_be_told_once_more(
    watched: Watched, hook: HookServer
) -> None:
    watched.set(AlertKind.PAUSED, for_minutes="0")
    watched.add(hook)
    watched.pause()
    look(watched.panel)
    # As if its process had ended here: it was claimed, perhaps sent, and never settled.
    claimed = watched.store.claim_notice(quiet=(), without=(), token="t", lease_seconds=120)
    assert claimed is not None
    watched.minutes(1)
    assert hook.told == []
    watched.minutes(5)
    assert len(hook.told) == 1
    assert not watched.store.settle_notice(claimed.id, token="t", is_told=True, next_at=None, outcome="")


def test_nothing_is_sent_within_a_transaction(watched: Watched, hook: HookServer) -> None:
    watched.set(AlertKind.PAUSED, for_minutes="0")
    watched.add(hook)
    watched.pause()
    pools: list[int] = []
    hook.before = lambda: pools.append(watched.world.engine.pool.checkedout())  # type: ignore[attr-defined]
    watched.minutes(1)
    assert pools == [0]


def test_beat_looks_each_minute(watched: Watched) -> None:
    configured = make_app(watched.world.settings, url="memory://").conf
    entry = configured.beat_schedule["watch"]
    assert (entry["task"], entry["schedule"], entry["options"]) == ("ordersync.watch", 60.0, {"expires": 55})
    assert configured.task_routes["ordersync.watch"] == {"queue": "beat"}


# Quiet hours.

BERLIN = {"quiet_from": "22:00", "quiet_to": "06:00", "quiet_zone": "Europe/Berlin", "for_minutes": "0"}


def test_what_begins_in_quiet_hours_is_listed_and_told_at_their_end(
    make_world: MakeWorld, hook: HookServer
) -> None:
    watched = Watched(make_world(frozen=True, at=datetime(2026, 11, 25, 23, 30, tzinfo=UTC)))
    watched.set(AlertKind.PAUSED, **BERLIN)
    watched.add(hook)
    watched.pause()
    watched.minutes(2)
    assert watched.open() == [("paused", "bgm")]
    watched.world.clock.move_to(datetime(2026, 11, 26, 4, 58, tzinfo=UTC))
    watched.minutes(1)
    assert hook.told == []
    watched.minutes(1)
    assert hook.titles() == ["[critical] Paused for its settings: bgm"]


def test_what_begins_and_ends_in_quiet_hours_is_never_told_and_an_end_waits_for_the_morning(
    make_world: MakeWorld, hook: HookServer
) -> None:
    watched = Watched(make_world(frozen=True, at=datetime(2026, 11, 25, 20, 30, tzinfo=UTC)))
    watched.only(AlertKind.PAUSED)
    watched.set(AlertKind.PAUSED, **BERLIN)
    watched.add(hook)
    watched.pause()
    watched.minutes(1)
    assert len(hook.told) == 1
    watched.world.clock.move_to(datetime(2026, 11, 25, 23, 0, tzinfo=UTC))
    watched.pause(None)
    watched.minutes(2)
    watched.pause()
    watched.minutes(2)
    watched.pause(None)
    watched.minutes(2)
    assert len(hook.told) == 1
    watched.world.clock.move_to(datetime(2026, 11, 26, 5, 0, tzinfo=UTC))
    watched.minutes(2)
    assert hook.titles() == ["[critical] Paused for its settings: bgm", "[over] Paused for its settings: bgm"]


@pytest.mark.parametrize(
    ("begin", "end", "moment", "is_quiet"),
    [
        ("", "", "2026-11-25T02:00", False),
        ("12:00", "13:00", "2026-11-25T10:59", False),
        ("12:00", "13:00", "2026-11-25T11:00", True),
        ("12:00", "13:00", "2026-11-25T12:00", False),
        ("22:00", "06:00", "2026-11-25T21:00", True),
        ("22:00", "06:00", "2026-11-26T04:59", True),
        ("22:00", "06:00", "2026-11-26T05:00", False),
        # In summer the same hours of the wall are an hour earlier.
        ("22:00", "06:00", "2026-07-25T20:00", True),
        ("22:00", "06:00", "2026-07-26T04:00", False),
        # The night the clocks go forward at 01:00 UTC, from 2 to 3, and the night they go back.
        ("02:15", "02:45", "2026-03-29T01:00", False),
        ("02:00", "03:30", "2026-03-29T01:15", True),
        ("02:00", "03:30", "2026-03-29T01:30", False),
        ("02:00", "03:00", "2026-10-25T00:30", True),
        ("02:00", "03:00", "2026-10-25T01:30", True),
        ("02:00", "03:00", "2026-10-25T02:00", False),
    ],
)
def test_quiet_hours_go_by_the_clock_on_the_wall(begin: str, end: str, moment: str, is_quiet: bool) -> None:
    rule = Rule(AlertKind.STUCK, quiet_from=begin, quiet_to=end, quiet_zone="Europe/Berlin" if begin else "")
    assert rule.is_quiet(datetime.fromisoformat(f"{moment}+00:00")) is is_quiet


# Each rule.


def test_a_site_that_is_not_read_is_not_fresh_until_it_is(watched: Watched, hook: HookServer) -> None:
    watched.add(hook)
    watched.minutes(75)
    assert watched.open() == []
    watched.minutes(1)
    assert watched.open() == [("not_fresh", "bgm")]
    watched.minutes(6)
    assert hook.told[0]["message"].startswith(
        "bgm was not read to the end ever; with its schedule the last reading should be no older than 1 h 15 min."
    )
    watched.world.run()
    watched.minutes(10)
    assert watched.over() == ["not_fresh"]
    assert len(hook.told) == 2


def test_a_site_that_fails_to_be_read_is_not_fresh(watched: Watched) -> None:
    watched.world.run()
    watched.world.clock.advance(3600)
    watched.world.shop_fault("reset", times=-1)
    watched.world.run()
    watched.minutes(14)
    assert watched.open() == []
    watched.minutes(3)
    assert watched.open() == [("not_fresh", "bgm")]


def test_a_site_whose_readings_stop_at_their_limit_falls_behind_and_is_not_fresh(
    make_world: MakeWorld,
) -> None:
    orders = [plain_order(each) for each in range(1, 10)]
    watched = Watched(make_world(frozen=True, orders=orders, site_settings={"max_orders_per_run": "3"}))
    for _ in range(2):
        watched.world.run()
        watched.world.clock.advance(3600)
    watched.minutes(1)
    assert watched.open() == [("not_fresh", "bgm")]
    (run,) = watched.world.parts.store.runs(site_id=watched.world.site_id, limit=1)
    assert (run.state, run.reason) == (
        "finished",
        "It stopped at the site's max_orders_per_run; the rest comes with the next run.",
    )
    watched.world.run()
    watched.world.run()
    watched.minutes(6)
    assert watched.over() == ["not_fresh"]


@pytest.mark.parametrize("switch", ["is_active", "orders_sync"])
def test_a_site_that_is_switched_off_need_not_be_fresh(watched: Watched, switch: str) -> None:
    with watched.world.engine.begin() as connection:
        connection.execute(update(sites).values({switch: False}))
    watched.world.clock.advance(90_000)
    watched.minutes(2)
    assert watched.open() == []


def test_in_maintenance_and_right_after_it_no_site_need_be_fresh(make_world: MakeWorld) -> None:
    watched = Watched(make_world(frozen=True, at=datetime(2026, 11, 29, 18, 0, tzinfo=UTC)))
    watched.world.run()
    for hours in (2, 5, 3):
        watched.world.clock.advance(hours * 3600)
        watched.minutes(1)
        assert watched.open() == []
    watched.world.clock.move_to(datetime(2026, 11, 30, 5, 14, tzinfo=UTC))
    watched.minutes(1)
    assert watched.open() == []
    watched.minutes(2)
    assert watched.open() == [("not_fresh", "bgm")]


@pytest.mark.parametrize(
    ("schedule", "gap"),
    [
        ("* * * * *", timedelta(minutes=1)),
        ("0 * * * *", timedelta(hours=1)),
        ("5,50 * * * *", timedelta(minutes=45)),
        ("0 6-18 * * *", timedelta(hours=12)),
        ("0 6-18 * * 1-5", timedelta(hours=60)),
        ("0 3 * * 0", timedelta(days=7)),
        ("0 3 1 * *", timedelta(days=28)),
    ],
)
def test_a_schedules_longest_gap(schedule: str, gap: timedelta) -> None:
    assert longest_gap(schedule) == gap


def test_a_site_may_say_itself_how_fresh_it_is_to_be(watched: Watched) -> None:
    (site,) = watched.store.sites()
    assert target(site.settings) == timedelta(minutes=75)
    assert target({**site.settings, "fresh_minutes": 20}) == timedelta(minutes=20)
    assert target({k: v for k, v in site.settings.items() if k != "fresh_minutes"}) == timedelta(minutes=75)


def put_orders(watched: Watched, at: datetime, number: int) -> None:
    """So many orders that were first seen in the hour from `at` on."""
    with watched.world.engine.begin() as connection:
        for each in range(number):
            connection.execute(
                insert(threads).values(
                    site_id=watched.world.site_id,
                    platform_order_id=f"{at:%m%d%H}-{each}",
                    version=1,
                    content_hash="",
                    read_at=at,
                    stage=Stage.DELIVER.value,
                    state=State.DONE.value,
                    created_at=at + timedelta(minutes=each),
                    updated_at=at,
                )
            )


@pytest.mark.parametrize(
    ("_case", "before", "now", "is_told"),
    [
        ("nothing came", [8, 6, 7, 9], 0, True),
        ("one of twenty", [20, 22, 19, 24, 20, 21, 20, 18], 1, True),
        ("three of twenty", [20, 22, 19, 24, 20, 21, 20, 18], 3, False),
        ("too few to mean anything", [4, 4, 9, 4], 0, False),
        ("not four weeks yet", [30, 30], 0, False),
        ("most weeks had none", [40, 0, 0, 0, 0, 0, 0, 40], 0, False),
        ("as usual", [8, 6, 7, 9], 7, False),
        ("never any", [], 0, False),
    ],
)
def test_an_hour_is_compared_with_the_same_hour_of_other_weeks(
    watched: Watched, _case: str, before: list[int], now: int, is_told: bool
) -> None:
    watched.set(AlertKind.NOT_FRESH, enabled="false")
    hour = WEDNESDAY - timedelta(hours=1)
    put_orders(watched, hour, now)
    for week, number in enumerate(before, start=1):
        put_orders(watched, hour - timedelta(weeks=week), number)
        # Other hours say nothing.
        put_orders(watched, hour - timedelta(weeks=week, hours=3), 30)
    watched.minutes(1)
    assert watched.open() == ([("unusually_quiet", "bgm")] if is_told else [])


def test_an_hour_with_maintenance_is_not_compared_with_other_weeks(make_world: MakeWorld) -> None:
    windows = {"windows": "wed 11:30 25 UTC"}
    watched = Watched(make_world(frozen=True, erp_settings=windows))
    watched.only(AlertKind.UNUSUALLY_QUIET)
    for hours in (-1, 0):
        for week in range(1, 5):
            put_orders(watched, WEDNESDAY + timedelta(hours=hours, weeks=-week), 8)
    watched.minutes(59)
    assert watched.open() == []
    # The hour after it is compared.
    watched.minutes(1)
    assert watched.open() == [("unusually_quiet", "bgm")]


def test_an_unusually_quiet_hour_is_told_with_its_numbers_and_over_with_the_next(
    watched: Watched, hook: HookServer
) -> None:
    watched.add(hook)
    watched.set(AlertKind.NOT_FRESH, enabled="false")
    hour = WEDNESDAY - timedelta(hours=1)
    for week, number in enumerate([8, 6, 7, 9], start=1):
        put_orders(watched, hour - timedelta(weeks=week), number)
    watched.minutes(59)
    (told,) = hook.told
    assert told["message"].startswith(
        "bgm brought no order from 11:00 to 12:00 UTC; in this hour of the last 4 weeks it was 7.5 (median of 8, 6, 7, 9)."
    )
    watched.minutes(1)
    assert hook.titles()[1:] == ["[over] Unusually quiet: bgm"]


def test_open_errors_and_money_are_told_above_their_thresholds(
    make_world: MakeWorld, hook: HookServer
) -> None:
    bad = [plain_order(each, status="processing") for each in (1, 2, 3)]
    for each in bad:
        each["line_items"][0]["quantity"] = 0
    watched = Watched(make_world(frozen=True, orders=bad))
    watched.add(hook)
    watched.world.run()
    assert len(watched.world.errors()) == 3
    watched.set(AlertKind.OPEN_ERRORS, threshold="3", for_minutes="0")
    watched.set(AlertKind.MONEY_AT_RISK, threshold="59.97", currency="usd", for_minutes="0")
    watched.minutes(1)
    assert watched.open() == []
    watched.set(AlertKind.OPEN_ERRORS, threshold="2")
    watched.set(AlertKind.MONEY_AT_RISK, threshold="59.96")
    watched.minutes(1)
    assert sorted(watched.open()) == [("money_at_risk", "USD"), ("open_errors", "")]
    assert sorted(each["message"].splitlines()[0] for each in hook.told) == [
        "3 orders wait for a person; told above 2.",
        "The orders that wait for a person are worth 59.97 USD; told above 59.96.",
    ]
    watched.set(AlertKind.MONEY_AT_RISK, currency="EUR")
    watched.minutes(1)
    assert watched.open() == [("open_errors", "")]


def account_of(watched: Watched) -> tuple[str, ...]:
    """What the account of the world's shop is told apart by."""
    (site,) = watched.store.sites()
    return ("woocommerce", f"{site.url}/wp-json/wc/v3".lower(), "ck_sandbox")


def open_breaker(limiters: LocalLimiters, counted_by: tuple[str, ...]) -> None:
    limiter = limiters.of(name="bgm", counted_by=counted_by, ceilings=Ceilings(at_once=4))
    for _ in range(20):
        place = limiter.enter(lasts=5.0)
        if not isinstance(place, str):
            break
        limiter.leave(place, Report(Verdict.FAILED, fault="ConnectTimeout <script>"))


def test_an_account_that_nobody_calls_any_more_is_told_of_no_longer(make_world: MakeWorld) -> None:
    clock = [0.0]
    limiters = LocalLimiters(clock=lambda: clock[0])
    world = make_world(frozen=True)
    use_limiters(world.parts, limiters)
    watched = Watched(world, limiters=limiters)
    watched.only(AlertKind.BREAKER_OPEN)
    watched.set(AlertKind.BREAKER_OPEN, for_minutes="0")
    (site,) = watched.store.sites()
    for _ in range(2):
        world.parts.peers.channel(watched.store.sites()[0])
        open_breaker(limiters, account_of(watched))
        watched.minutes(1)
        assert watched.open() == [("breaker_open", "bgm")]
        # Another address is another account.
        world.parts.store.change_site(site.id, SiteChanges(url=f"{site.url}/shop"))
        watched.minutes(1)
        assert watched.open() == []
        world.parts.store.change_site(site.id, SiteChanges(url=site.url))
        limiters.forget("bgm")
    open_breaker(limiters, account_of(watched))
    watched.minutes(1)
    assert watched.open() == [("breaker_open", "bgm")]
    watched.store.remove_site(site.id)
    watched.minutes(1)
    assert watched.open() == []


def test_an_account_that_is_not_called_is_told(make_world: MakeWorld, hook: HookServer) -> None:
    clock = [0.0]
    limiters = LocalLimiters(clock=lambda: clock[0])
    watched = Watched(make_world(frozen=True), limiters=limiters)
    watched.add(hook)
    watched.set(AlertKind.BREAKER_OPEN, for_minutes="0")
    open_breaker(limiters, account_of(watched))
    watched.minutes(2)
    assert watched.open() == [("breaker_open", "bgm")]
    assert len(hook.told) == 1
    assert "ConnectTimeout <script>" in hook.told[0]["message"]
    limiters.forget("bgm")
    watched.minutes(1)
    assert watched.over() == ["breaker_open"]


def test_an_erp_that_refuses_its_credentials_is_told(watched: Watched, hook: HookServer) -> None:
    watched.add(hook)
    watched.store.pause_erp(
        watched.world.erp_id, until=None, reason="The sign-in service refuses the client."
    )
    watched.minutes(12)
    assert watched.open() == [("paused", "bc")]
    assert hook.told[0]["message"].startswith("bc is not written to: The sign-in service refuses the client.")


def test_orders_that_nobody_comes_for_are_told(make_world: MakeWorld, hook: HookServer) -> None:
    watched = Watched(make_world(frozen=True, orders=[plain_order(1), plain_order(2)]))
    watched.add(hook)
    watched.world.fetch()
    watched.minutes(5)
    assert watched.open() == []
    watched.minutes(7)
    assert watched.open() == [("stuck", "")]
    assert hook.told[0]["message"].splitlines()[0] == (
        "Orders are due and nobody comes for them: 2 at normalize since 2026-11-25 12:00 UTC."
    )
    watched.world.settle()
    watched.minutes(6)
    assert watched.over() == ["stuck"]


def test_what_other_parts_of_the_program_open_is_told_alike(watched: Watched, hook: HookServer) -> None:
    watched.add(hook)
    watched.store.open_alert(watched.world.site_id, AlertKind.WEBHOOK_DISABLED, reason="It was off.")
    watched.minutes(3)
    assert watched.open() == [("webhook_disabled", "bgm")]
    watched.store.close_alert(watched.world.site_id, AlertKind.WEBHOOK_DISABLED)
    watched.minutes(3)
    assert hook.titles() == ["[warning] Webhooks disabled: bgm", "[over] Webhooks disabled: bgm"]


@pytest.mark.parametrize("kind", EVENTS)
def test_a_site_that_is_switched_off_ends_what_nobody_looks_after_any_more(
    watched: Watched, kind: AlertKind
) -> None:
    watched.store.open_alert(watched.world.site_id, kind, reason="It was off.")
    disable_site(watched.world.parts, "bgm")
    assert (watched.open(), watched.over()) == ([], [kind.value])


def test_what_is_owed_of_a_rule_that_is_off_is_told_once_it_is_on(watched: Watched, hook: HookServer) -> None:
    watched.add(hook)
    hook.status = 500
    watched.store.open_alert(watched.world.site_id, AlertKind.NOT_COMPLETE, reason="Two are missing.")
    watched.minutes(1)
    hook.status = 200
    watched.set(AlertKind.NOT_COMPLETE, enabled="false")
    watched.minutes(5)
    assert hook.told == []
    watched.set(AlertKind.NOT_COMPLETE, enabled="true")
    watched.minutes(1)
    assert len(hook.told) == 1


def test_a_rule_that_cannot_look_keeps_no_other_from_being_told_and_ends_nothing(
    watched: Watched, hook: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.add(hook)
    watched.store.pause_erp(watched.world.erp_id, until=None, reason="The client is refused.")
    watched.minutes(1)
    assert watched.open() == [("paused", "bc")]

    def broken(*_: Any) -> Any:
        raise UsageError("There is no such platform.")

    monkeypatch.setitem(watching._LOOKS, AlertKind.PAUSED, broken)
    watched.store.open_alert(watched.world.site_id, AlertKind.WEBHOOK_DISABLED, reason="It was off.")
    watched.set(AlertKind.NOT_FRESH, for_minutes="0")
    watched.world.clock.advance(5_000)
    watched.minutes(12)
    assert watched.open() == [("not_fresh", "bgm"), ("webhook_disabled", "bgm"), ("paused", "bc")]
    assert "[critical] Site not fresh: bgm" in hook.titles()


def test_an_erp_of_a_platform_that_is_not_known_has_no_windows_and_the_rest_is_looked_at(
    watched: Watched,
) -> None:
    with watched.world.engine.begin() as connection:
        connection.execute(update(erps).values(platform="of another version"))
    watched.pause()
    watched.world.clock.advance(5_000)
    watched.minutes(1)
    assert ("not_fresh", "bgm") in watched.open()
    assert ("paused", "bgm") in watched.open()


def test_a_rule_that_is_switched_off_ends_its_alerts_and_nobody_is_told_that_it_is_over(
    watched: Watched, hook: HookServer
) -> None:
    watched.add(hook)
    watched.set(AlertKind.PAUSED, for_minutes="0")
    watched.pause()
    watched.minutes(1)
    watched.set(AlertKind.PAUSED, enabled="false")
    watched.minutes(3)
    assert (watched.open(), watched.over(), len(hook.told)) == ([], ["paused"], 1)
    watched.set(AlertKind.PAUSED, enabled="true")
    watched.minutes(1)
    assert len(hook.told) == 2


def test_a_site_that_is_removed_takes_its_alerts_and_notices_along(
    watched: Watched, hook: HookServer
) -> None:
    watched.add(hook)
    watched.set(AlertKind.PAUSED, for_minutes="0")
    watched.pause()
    watched.minutes(1)
    watched.store.remove_site(watched.world.site_id)
    assert watched.world.rows("SELECT id FROM rm_alert") == []
    watched.minutes(1)
    assert len(hook.told) == 1


# Targets, rules and texts.


def test_a_targets_address_is_stored_encrypted_and_a_rotation_finds_it(
    watched: Watched, hook: HookServer
) -> None:
    watched.add(hook)
    (row,) = watched.world.rows("SELECT * FROM rm_alert_target")
    assert "hook-password" not in str(row)
    assert "hidden-path" not in str(row)
    assert row["hint"] == "JSON: json://127.0.0.1"


def test_a_target_that_is_switched_off_or_removed_is_told_nothing_more(
    watched: Watched, hook: HookServer
) -> None:
    watched.set(AlertKind.PAUSED, for_minutes="0")
    watched.add(hook)
    hook.status = 503
    watched.pause()
    watched.minutes(1)
    alert_rules.change_target(watched.panel, "ops", enabled=False)
    hook.status = 200
    watched.minutes(5)
    alert_rules.change_target(watched.panel, "ops", enabled=True)
    watched.minutes(5)
    assert (hook.told, hook.refused) == ([], 1)
    alert_rules.remove_target(watched.panel, "ops")
    watched.minutes(1)
    assert watched.outcomes() == [("ops", "begun", False)]
    with pytest.raises(UsageError, match="There is no target 'ops'"):
        alert_rules.test_target(watched.panel, "ops", by="tests")


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("open_errors", {"threshold": "-1"}),
        ("open_errors", {"threshold": "1.5"}),
        ("open_errors", {"threshold": "NaN"}),
        ("open_errors", {"threshold": "1e99"}),
        ("open_errors", {"threshold": ""}),
        ("open_errors", {"currency": "EUR"}),
        ("money_at_risk", {"threshold": "1.005"}),
        ("money_at_risk", {"currency": "EURO"}),
        ("unusually_quiet", {"threshold": "100"}),
        ("stuck", {"threshold": "1"}),
        ("stuck", {"for_minutes": "-1"}),
        ("stuck", {"for_minutes": "10081"}),
        ("stuck", {"for_minutes": "²"}),
        ("stuck", {"severity": "fatal"}),
        ("stuck", {"quiet_from": "22:00"}),
        ("stuck", {"quiet_from": "22:00", "quiet_to": "22:00"}),
        ("stuck", {"quiet_from": "24:00", "quiet_to": "06:00"}),
        ("stuck", {"quiet_from": "7", "quiet_to": "8"}),
        ("stuck", {"quiet_from": "22:00", "quiet_to": "06:00", "quiet_zone": "Europe/Atlantis"}),
        ("stuck", {"quiet_from": "22:00", "quiet_to": "06:00", "quiet_zone": "../../etc/passwd"}),
    ],
)
def test_what_is_no_rule_is_refused_and_nothing_is_changed(
    watched: Watched, kind: str, given: dict[str, str]
) -> None:
    with pytest.raises(UsageError):
        watched.set(AlertKind(kind), **given)
    assert watched.store.alert_rules() == {}


def test_a_rule_is_kept_as_it_was_set(watched: Watched) -> None:
    for threshold in ("1000.50", "0.01"):
        watched.set(AlertKind.MONEY_AT_RISK, threshold=threshold, currency="eur", **BERLIN)
    (rule,) = watched.store.alert_rules().values()
    assert rule == Rule(
        AlertKind.MONEY_AT_RISK, threshold=Decimal("0.01"), currency="EUR", quiet_from="22:00", quiet_to="06:00",
        quiet_zone="Europe/Berlin",
    )  # fmt: skip


def test_a_hostile_reason_steers_nothing_that_is_sent(watched: Watched, hook: HookServer) -> None:
    watched.set(AlertKind.PAUSED, for_minutes="0")
    watched.add(hook)
    watched.pause(
        "<script>alert(1)</script>\r\nSubject: x\x00\x1b[31m @everyone ' \" :smile: \u202e" + "x" * 2000
    )
    watched.minutes(1)
    (told,) = hook.told
    first, *_ = told["message"].splitlines()
    assert first.startswith("bgm is not read: <script>alert(1)</script> Subject: x")
    assert first.isprintable()
    assert "@" not in first
    assert ":smile:" in first
    assert len(first) < 1200


def test_a_message_says_no_more_where_no_address_of_the_panel_is_set(watched: Watched) -> None:
    watched.set(AlertKind.PAUSED, for_minutes="0")
    watched.pause()
    look(watched.panel)
    (alert,) = watched.store.alert_rows(is_open=True, limit=1)
    rule = alert_rules.rules(watched.store)[AlertKind.PAUSED]
    told = message(alert, What.BEGUN, rule=rule, now=watched.store.now(), web_url=None)
    assert len(told.body.splitlines()) == 3
    assert tell(watched.panel, web_url=None) == 0
