"""The overview's figures, in situations that people meet."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Engine, event

from app.ports.accounts import Role
from app.ports.certificates import NewCertificate
from app.ports.deliveries import AlertKind
from app.sandbox.erp.records import put
from app.sync.configure import Asked, add_site
from app.sync.panel.dashboard import overview
from tests.fixtures.databases import execute
from tests.pipeline.world import WEDNESDAY, Json, MakeWorld, World, plain_order
from tests.web.many_orders import fill
from tests.web.office import Office

SUNDAY_EVENING = datetime(2026, 11, 29, 20, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>"


def with_sku(order_id: int, sku: str, **changes: Any) -> Json:
    body = plain_order(order_id, **changes)
    body["line_items"][0]["sku"] = sku
    return body


def mixed(make_world: MakeWorld) -> Office:
    """Two orders exported, one held for an item that only the ERP has, two rejected, and one that the ERP refused."""
    world = make_world(
        orders=[
            plain_order(1),
            plain_order(2),
            with_sku(3, "NEW-1"),
            with_sku(4, "NO-SUCH"),
            plain_order(5, total="30.00"),
            with_sku(6, "SALESBLK-1"),
        ],
        frozen=True,
    )
    with world.erp.lock:
        put(world.erp.books, "items", {"number": "NEW-1"})
    world.run()
    assert sorted(world.ends().values()) == ["done", "done", "held", "rejected", "rejected", "rejected"]
    return Office(world)


def site_of(found: dict[str, Any], name: str = "bgm") -> dict[str, Any]:
    (site,) = (each for each in found["sites"] if each["name"] == name)
    assert isinstance(site, dict)
    return site


def connect_another(world: World, name: str) -> int:
    return add_site(
        world.parts,
        Asked(
            name=name,
            platform="woocommerce",
            url=f"{world.shop_url}/{name}",
            allow_private=True,
            credentials={"key": "ck", "secret": "cs"},
            settings={},
        ),
        prefix=name.upper(),
        erp="bc",
    )


def test_orders_are_counted_by_what_a_person_wants_to_know_of_them(make_world: MakeWorld) -> None:
    office = mixed(make_world)
    found = overview(office.panel)
    site = site_of(found)
    counts = {name: site[name] for name in ("pending", "stopped", "moving", "held", "errors")}
    assert counts == {"pending": 1, "stopped": 1, "moving": 0, "held": 1, "errors": 3}
    assert site["money"] == {"USD": Decimal("69.98")}
    assert {name: found["totals"][name] for name in counts} == counts
    assert found["totals"]["money"] == site["money"]
    assert (found["totals"]["last_hour"], found["totals"]["last_day"]) == (6, 6)
    assert (found["hours"][-1]["arrived"], found["hours"][-1]["exported"]) == (6, 2)
    assert sum(each["arrived"] + each["exported"] for each in found["hours"][:-1]) == 0
    assert found["hours"][-1]["begins"] == WEDNESDAY.replace(minute=0, second=0)
    assert len(found["hours"]) == 48
    page = office.signed_in(Role.VIEWER).page("/")
    for link in ('href="/desk"', "/orders?site=bgm&amp;state=held", "/desk?site=bgm"):
        assert link in page
    assert "69.98 USD" in page


def test_what_came_in_an_hour_ago_is_no_longer_of_the_last_hour(make_world: MakeWorld) -> None:
    office = mixed(make_world)
    office.world.clock.advance(3 * 3600 + 60)
    totals = overview(office.panel)["totals"]
    assert (totals["last_hour"], totals["last_day"]) == (0, 6)
    office.world.clock.advance(24 * 3600)
    found = overview(office.panel)
    assert (found["totals"]["last_day"], site_of(found)["took"]) == (0, None)
    assert [(each["arrived"], each["exported"]) for each in found["hours"]][-28] == (6, 2)


def test_an_empty_middleware_has_an_overview(make_world: MakeWorld) -> None:
    office = Office(make_world())
    found = overview(office.panel)
    assert (found["totals"]["money"], found["alerts"], found["stuck"]) == ({}, [], [])
    site = site_of(found)
    assert (site["took"], site["certificate"], site["freshness"]["read_at"]) == (None, None, None)
    assert "none yet" in office.signed_in(Role.VIEWER).page("/")


@pytest.mark.parametrize(
    ("_case", "seconds", "median", "p95"),
    [
        ("one", [60], 60, 60),
        ("even", [60, 120], 60, 120),
        ("hundred", list(range(1, 101)), 50, 95),
        ("before the checkout", [-30], 0, 0),
    ],
)
def test_the_time_from_checkout_to_erp_is_told_by_median_and_95th_percentile(
    make_world: MakeWorld, _case: str, seconds: list[int], median: int, p95: int
) -> None:
    world = make_world(frozen=True)
    now = world.clock.now()
    fill(world.engine, site_id=world.site_id, erp_id=world.erp_id, orders=130, errors=0, now=now)
    exported = [row["id"] for row in world.rows("SELECT id FROM rm_order WHERE imported = 1 ORDER BY id")]
    before = (now - timedelta(days=2)).replace(tzinfo=None)
    execute(world.engine, "UPDATE rm_order SET exported_at = :at WHERE imported = 1", at=before)
    at = now - timedelta(hours=1)
    for number, each in zip(exported, seconds, strict=False):
        execute(
            world.engine,
            "UPDATE rm_order SET exported_at = :at, order_date = :placed WHERE id = :id",
            at=at.replace(tzinfo=None),
            placed=(at - timedelta(seconds=each)).replace(tzinfo=None),
            id=number,
        )
    took = site_of(overview(Office(world).panel))["took"]
    assert took == {
        "orders": len(seconds),
        "median": timedelta(seconds=median),
        "p95": timedelta(seconds=p95),
        "is_cut": False,
    }


def test_only_so_many_of_the_latest_exports_of_a_site_count(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.sync.panel.dashboard.EXPORTS", 2)
    office = mixed(make_world)
    took = site_of(overview(office.panel))["took"]
    assert (took["orders"], took["is_cut"]) == (2, True)
    assert "the latest 2 orders of 24 h" in office.signed_in(Role.VIEWER).page("/")


def test_within_the_maintenance_window_site_and_erp_say_so_with_the_time_left(make_world: MakeWorld) -> None:
    office = Office(make_world(at=SUNDAY_EVENING, frozen=True, items=False))
    found = overview(office.panel)
    monday = datetime(2026, 11, 30, 4, 0, tzinfo=UTC)
    (erp,) = found["erps"]
    for each in (site_of(found), erp):
        assert each["state"] == "maintenance"
        assert each["maintenance"] == {"until": monday, "left": timedelta(hours=8)}
    assert site_of(found)["next_run"] >= monday
    assert not site_of(found)["freshness"]["is_due"]
    assert erp["next_window"]["begins"] == SUNDAY_EVENING.replace(hour=19) + timedelta(days=7)
    page = " ".join(office.signed_in(Role.VIEWER).page("/").split())
    assert "in maintenance" in page
    assert "(8 h 00 min left); nothing is done until then." in page


def test_outside_of_it_the_erps_next_window_is_told(make_world: MakeWorld) -> None:
    office = Office(make_world(frozen=True))
    (erp,) = overview(office.panel)["erps"]
    assert (erp["state"], erp["maintenance"], erp["items_last_run"]) == ("active", None, WEDNESDAY)
    begins = SUNDAY_EVENING.replace(hour=19)
    assert erp["next_window"] == {
        "begins": begins,
        "ends": begins + timedelta(hours=9),
        "in": begins - WEDNESDAY,
    }


def test_a_paused_site_says_why_and_until_when(make_world: MakeWorld) -> None:
    office = Office(make_world(frozen=True))
    until = office.world.clock.now() + timedelta(minutes=30)
    office.world.parts.store.pause_site(office.world.site_id, until=until, reason=HOSTILE)
    office.world.parts.store.pause_erp(
        office.world.erp_id, until=until, reason="The client secret has ended."
    )
    found = overview(office.panel)
    assert (site_of(found)["state"], site_of(found)["paused"]) == (
        "paused",
        {"until": until, "reason": HOSTILE},
    )
    assert (found["erps"][0]["state"], found["erps"][0]["paused"]["until"]) == ("paused", until)
    page = office.signed_in(Role.VIEWER).page("/")
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "The client secret has ended." in page
    office.world.clock.advance(31 * 60)
    assert site_of(overview(office.panel))["state"] == "active"


def test_a_site_that_is_switched_off_is_disabled_and_not_late(make_world: MakeWorld) -> None:
    office = Office(make_world(frozen=True))
    office.world.parts.store.switch_site(office.world.site_id, active=False)
    office.world.clock.advance(7 * 86_400)
    site = site_of(overview(office.panel))
    assert (site["state"], site["next_run"], site["freshness"]["is_late"]) == ("disabled", None, False)


def test_a_site_is_fresh_for_as_long_as_its_schedule_promises(make_world: MakeWorld) -> None:
    office = mixed(make_world)
    world = office.world
    fresh = site_of(overview(office.panel))["freshness"]
    assert (fresh["target"], fresh["is_late"]) == (timedelta(hours=1, minutes=15), False)
    assert fresh["read_at"] <= world.clock.now()
    world.clock.advance(76 * 60)
    late = site_of(overview(office.panel))["freshness"]
    assert (late["is_late"], late["read_at"]) == (True, fresh["read_at"])
    assert "late" in office.signed_in(Role.VIEWER).page("/")


def test_a_reading_that_failed_makes_no_site_fresh(make_world: MakeWorld) -> None:
    office = mixed(make_world)
    world = office.world
    before = site_of(overview(office.panel))["freshness"]["read_at"]
    world.clock.advance(7200)
    world.shop_fault("503_maintenance", times=-1)
    assert world.run().state == "failed"
    site = site_of(overview(office.panel))
    assert (site["freshness"]["read_at"], site["freshness"]["is_late"], site["failures"]) == (before, True, 1)
    assert "The last reading failed." in office.signed_in(Role.VIEWER).page("/")


def test_the_latest_certificate_of_a_site_is_told(make_world: MakeWorld) -> None:
    office = Office(make_world(frozen=True))
    store, until = office.world.parts.store, WEDNESDAY - timedelta(hours=1)
    for complete in (True, False):
        store.add_certificate(
            NewCertificate(
                site_id=office.world.site_id,
                from_at=None,
                until_at=until,
                complete=complete,
                counts={},
                findings=[],
            )
        )
    assert site_of(overview(office.panel))["certificate"] == {
        "complete": False,
        "until": until,
        "made_at": WEDNESDAY,
    }
    assert "not complete" in office.signed_in(Role.VIEWER).page("/")


def test_open_alerts_are_told_as_sentences(make_world: MakeWorld) -> None:
    office = Office(make_world(frozen=True))
    office.world.parts.store.open_alert(
        office.world.site_id, AlertKind.WEBHOOK_SILENT, reason=f"No webhook announced 3 orders {HOSTILE}."
    )
    (alert,) = overview(office.panel)["alerts"]
    assert (alert["site"], alert["sentence"]) == ("bgm", f"No webhook announced 3 orders {HOSTILE}.")
    page = office.signed_in(Role.VIEWER).page("/")
    assert "No webhook announced 3 orders" in page
    assert HOSTILE not in page


def test_a_step_that_nobody_comes_for_is_told(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(1)], frozen=True)
    office = Office(world)
    world.fetch()
    assert overview(office.panel)["stuck"] == []
    world.clock.advance(600)
    assert overview(office.panel)["stuck"] == ["normalize"]
    assert "At normalize something has been due" in office.signed_in(Role.VIEWER).page("/")


def test_the_page_renews_itself_and_only_its_moving_part(make_world: MakeWorld) -> None:
    page = Office(make_world()).signed_in(Role.VIEWER).page("/")
    assert 'id="overview" hx-get="/?" hx-select="#overview"' in page
    assert 'hx-trigger="every 15s"' in page


def statements(engine: Engine, office: Office, path: str = "/") -> int:
    """How many a page takes, once what is kept between requests is there."""
    numbers = count()
    browser = office.signed_in(Role.VIEWER)
    browser.page(path)

    def one(*_: object) -> None:
        next(numbers)

    event.listen(engine, "before_cursor_execute", one)
    browser.page(path)
    event.remove(engine, "before_cursor_execute", one)
    return next(numbers)


def test_many_sites_and_orders_take_no_more_statements_than_one(make_world: MakeWorld) -> None:
    small, large = make_world(), make_world()
    fill(
        small.engine,
        site_id=small.site_id,
        erp_id=small.erp_id,
        orders=20,
        errors=2,
        now=small.clock.now(),
    )
    for site_id in (large.site_id, *(connect_another(large, f"s{number}") for number in range(5))):
        fill(large.engine, site_id=site_id, erp_id=large.erp_id, orders=200, errors=40, now=large.clock.now())
    found = [statements(world.engine, Office(world)) for world in (small, large)]
    assert found[0] == found[1]
    assert found[0] <= 30
    totals = overview(Office(large).panel)["totals"]
    assert totals["errors"] == 240
