"""Sites and systems in the panel: looked at, added, changed, tested, compared and removed."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
import structlog
from sqlalchemy import event

from app.bootstrap import connectors
from app.ports.accounts import Role
from app.ports.certificates import NewCertificate
from app.ports.systems import SiteChanges
from app.sync.configure import Asked, add_site
from app.sync.items import sync_items
from app.sync.nightly import reconcile_nightly
from app.sync.option_words import OPTION_WORDS
from app.sync.panel import systems
from app.sync.parts import site_named
from app.sync.schedule_words import in_words
from tests.pipeline.world import MakeWorld, plain_order
from tests.web.office import Browser, Office

SECRET = "cs_sandbox_that_nobody_may_see"
EVIL = "<script>alert(1)</script>\"'"


def text_of(page: str) -> str:
    """A page as it is read: without tags, blanks folded."""
    words = " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())
    return re.sub(r" ([.,;)])", r"\1", words)


def columns(office: Office, name: str = "bgm") -> dict[str, Any]:
    (row,) = office.world.rows("SELECT * FROM rm_sites WHERE name = :name", name=name)
    return {key: value for key, value in row.items() if not key.startswith("lease")}


def actions(office: Office) -> list[tuple[str, str, str]]:
    found = office.panel.store.actions(before=None, limit=20)
    return [(each.action, each.target, each.outcome) for each in found]


def everything_stored(office: Office) -> str:
    return str(
        [office.world.rows(f"SELECT * FROM {table}") for table in ("rm_sites", "rm_erps", "rm_action")]
    )


@pytest.fixture
def small(make_world: MakeWorld) -> Office:
    """A shop of two orders."""
    return Office(make_world(orders=[plain_order(1), plain_order(2)]))


def new_site(office: Office, **other: Any) -> dict[str, Any]:
    return {
        "platform": "woocommerce",
        "name": "second",
        "prefix": "SEC",
        "url": office.world.shop_url.replace("127.0.0.1", "localhost"),
        "allow_private": "yes",
        "erp": "bc",
        "credential.key": "ck_sandbox",
        "credential.secret": "cs_sandbox",
        "setting.max_orders_per_run": "7",
        "setting.schedule": "*/20 * * * *",
        **other,
    }


def test_the_list_tells_how_each_site_and_erp_stands(small: Office) -> None:
    page = text_of(small.signed_in(Role.VIEWER).page("/systems"))
    assert "bgm WooCommerce, prefix BGM" in page
    assert "active every hour, on the hour last never next 2026-11-25 13:00 bc no none yet" in page
    assert "bc Business Central" in page
    assert "every 15 minutes" in page
    store, world = small.panel.store, small.world
    store.pause_site(world.site_id, until=store.now() + timedelta(minutes=30), reason=f"The key {EVIL}.")
    page = small.signed_in(Role.VIEWER).page("/systems")
    assert EVIL not in page
    assert "paused The key <script>" in text_of(page)
    store.pause_site(world.site_id, until=None, reason=None)
    store.switch_site(world.site_id, active=False)
    assert "off every hour" in text_of(small.signed_in(Role.VIEWER).page("/systems"))
    store.switch_site(world.site_id, active=True)
    world.clock.move_to(datetime(2026, 11, 29, 20, 0, tzinfo=UTC))
    page = text_of(small.signed_in(Role.VIEWER).page("/systems"))
    assert "maintenance bc is in its maintenance window. until 2026-11-30 04:00 (7 h 59 min left)" in page


def test_a_site_added_by_the_form_is_read(small: Office) -> None:
    browser = small.signed_in()
    assert "WooCommerce" in browser.page("/systems/add-site")
    form = browser.page("/systems/add-site?platform=woocommerce")
    assert 'type="password" name="credential.secret" autocomplete="off"' in form
    answer = browser.post("/systems/add-site", **new_site(small))
    assert answer.status_code == 200
    assert "The site second is added. It is read every 20 minutes" in text_of(answer.text)
    assert "By the schedule 2026-11-25 12:20, 2026-11-25 12:40, 2026-11-25 13:00" in text_of(answer.text)
    site = site_named(small.world.parts, "second")
    assert (site.prefix, site.settings["max_orders_per_run"]) == ("SEC", 7)
    small.world.site_id = site.id
    assert small.world.run().counts["exported"] == 2
    assert actions(small)[0] == ("site.add", "", "done")


def test_an_erp_added_by_the_form_gives_its_items(small: Office) -> None:
    world = small.world
    browser = small.signed_in()
    typed: dict[str, Any] = {
        "platform": "business_central",
        "name": "bc2",
        "url": f"{world.erp_url.replace('127.0.0.1', 'localhost')}/api/v2.0",
        "allow_private": "yes",
        "company": world.rows("SELECT company FROM rm_erps")[0]["company"],
        "credential.token_url": world.parts.peers.decrypt(world.parts.store.erps()[0].credentials, name="bc")[
            "token_url"
        ],
        "credential.client_id": "sandbox-client",
        "credential.client_secret": "sandbox-secret",
        "setting.t_late": "60",
        "others": "country.GB=UK\n\ncountry.DE=D",
    }
    answer = browser.post("/systems/add-erp", **typed)
    assert "The ERP bc2 is added" in text_of(answer.text)
    row = next(each for each in world.parts.store.erps() if each.name == "bc2")
    assert (row.settings["country.GB"], row.settings["country.DE"]) == ("UK", "D")
    assert sync_items(world.parts, erp_id=row.id).state == "done"


REFUSED = [
    ("name", EVIL, "must be small letters"),
    ("name", "bgm", "There is a site named 'bgm' already"),
    ("prefix", "bgm", "must be 1 to 16 capital letters"),
    ("prefix", "BGM", "belongs to the site 'bgm'"),
    ("url", "javascript:alert(1)", "must begin with https://"),
    ("url", "file:///etc/passwd", "must begin with https://"),
    ("url", "https://x" + "y" * 600 + ".example", "at most 500 characters"),
    ("url", "https://shop.example\x00.evil", "all of which can be read"),
    ("url", "https://ann:pw@shop.example", "Put user names and passwords into"),
    ("erp", "nav", "There is no ERP named 'nav'"),
    ("setting.schedule", "every day", "must be cron syntax with five fields"),
    ("setting.max_orders_per_run", "-1", "must be a whole number from 1"),
    ("setting.nonsense", "1", "has no setting nonsense"),
    ("credential.nonsense", "1", "has no credential 'nonsense'"),
    ("others", "a line", "Line 1 of the further settings"),
]


def test_what_cannot_work_is_refused_with_all_that_was_typed_but_the_credentials(small: Office) -> None:
    before = small.world.rows("SELECT * FROM rm_sites"), small.world.rows("SELECT * FROM rm_erps")
    browser = small.signed_in()
    for field, value, sentence in REFUSED:
        typed = new_site(small, **{"credential.secret": SECRET, "setting.hold_hours": "11", field: value})
        answer = browser.post("/systems/add-site", **typed)
        page = text_of(answer.text)
        assert (answer.status_code, sentence in page, "type those again" in page) == (422, True, True), field
        assert SECRET not in answer.text
        assert EVIL not in answer.text
        assert 'value="11"' in answer.text
        if field in {"name", "prefix", "url"} and "\x00" not in value:
            assert f'value="{value}"' in unescape(answer.text)
        after = small.world.rows("SELECT * FROM rm_sites"), small.world.rows("SELECT * FROM rm_erps")
        assert after == before
        ((action, _, outcome), *_) = actions(small)
        assert (action, outcome.split(":")[0]) == ("site.add", "refused")


INSIDE = [
    ("http://127.0.0.1:1", "is a private or local address"),
    ("https://169.254.169.254/latest", "is a private or local address"),
    ("https://[::1]/", "is a private or local address"),
    ("https://localhost/", "resolves to the private address"),
]


def test_addresses_inside_are_refused_unless_somebody_says_that_they_are_meant(small: Office) -> None:
    browser = small.signed_in()
    for url, sentence in INSIDE:
        typed = new_site(small, url=url)
        del typed["allow_private"]
        answer = browser.post("/systems/add-site", **typed)
        assert (answer.status_code, sentence in text_of(answer.text)) == (422, True), url
    assert len(small.panel.store.sites()) == 1


def test_credentials_are_nowhere_in_pages_records_and_logs(small: Office) -> None:
    browser = small.signed_in()
    with structlog.testing.capture_logs() as logs:
        browser.post("/systems/add-site", **new_site(small, **{"credential.secret": SECRET}))
        typed: dict[str, Any] = {"credential.key": SECRET, "url": "x"}
        browser.post("/systems/sites/second/change", **typed)
        # Somebody pastes the secret into the field of an address.
        typed = {"platform": "business_central", "name": "x", "url": "https://bc.example.com"}
        typed |= {"credential.token_url": SECRET, "credential.client_secret": SECRET}
        refused = browser.post("/systems/add-erp", **typed)
        pages = [
            browser.page(path)
            for path in (
                "/systems",
                "/systems/sites/second",
                "/systems/sites/second/change",
                "/systems/erps/bc",
                "/systems/erps/bc/change",
            )
        ]
        browser.post("/systems/sites/second/test")
    assert refused.status_code == 422
    assert "The credential token_url must begin with https://" in text_of(refused.text)
    assert SECRET not in "".join(pages)
    assert SECRET not in refused.text
    assert SECRET not in everything_stored(small)
    assert SECRET not in str(logs)
    assert "sandbox-secret" not in "".join(pages)


def change_form(browser: Browser, path: str) -> dict[str, Any]:
    """What the form would send if nobody touched it."""
    page = browser.page(path)
    fields: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", page):
        name, value = (re.search(rf' {each}="([^"]*)"', tag) for each in ("name", "value"))
        if name is None or name[1] in {"csrf_token", "drop"}:
            continue
        if 'type="checkbox"' not in tag or " checked" in tag:
            fields[unescape(name[1])] = "" if value is None else unescape(value[1])
    for name, options in re.findall(r'<select name="([^"]*)"[^>]*>(.*?)</select>', page, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        fields[name] = unescape(chosen[1]) if chosen else ""
    return fields


def test_a_form_that_nobody_touched_changes_nothing(small: Office) -> None:
    before = columns(small)
    browser = small.signed_in()
    form = change_form(browser, "/systems/sites/bgm/change")
    assert form["setting.max_orders_per_run"] == "500"
    answer = browser.post("/systems/sites/bgm/change", **form)
    assert "Nothing of the site bgm is other than before." in text_of(answer.text)
    assert columns(small) == before
    erp = small.world.rows("SELECT * FROM rm_erps")
    form = change_form(browser, "/systems/erps/bc/change")
    assert "Nothing of the ERP bc" in text_of(browser.post("/systems/erps/bc/change", **form).text)
    assert small.world.rows("SELECT * FROM rm_erps") == erp


def test_only_what_was_changed_is_changed_and_empty_is_the_default_again(small: Office) -> None:
    browser = small.signed_in()
    form = change_form(browser, "/systems/sites/bgm/change")
    # Somebody else changes another setting while the form is open.
    other = small.signed_in(name="other")
    other.post("/systems/sites/bgm/change", **(form | {"setting.hold_hours": "5"}))
    answer = browser.post(
        "/systems/sites/bgm/change",
        **(form | {"setting.max_orders_per_run": "", "setting.skip_test_orders": "false"}),
    )
    assert "The site bgm is changed: max_orders_per_run, skip_test_orders." in text_of(answer.text)
    settings = site_named(small.world.parts, "bgm").settings
    assert [settings[name] for name in ("max_orders_per_run", "skip_test_orders", "hold_hours")] == [
        100,
        False,
        5,
    ]


def test_credentials_are_changed_and_taken_away(small: Office) -> None:
    browser, parts = small.signed_in(), small.world.parts
    form = change_form(browser, "/systems/sites/bgm/change")
    assert form["credential.key"] == form["credential.secret"] == ""
    answer = browser.post("/systems/sites/bgm/change", **(form | {"credential.key": "ck_other"}))
    assert "The site bgm is changed: credential key." in text_of(answer.text)
    site = site_named(parts, "bgm")
    assert parts.peers.decrypt(site.credentials, name="bgm") == {"key": "ck_other", "secret": "cs_sandbox"}
    browser.post("/systems/sites/bgm/change", **(form | {"drop": "secret"}))
    site = site_named(parts, "bgm")
    assert parts.peers.decrypt(site.credentials, name="bgm") == {"key": "ck_other"}


def test_a_shop_with_orders_is_moved_only_when_it_is_said_to_be_the_same(small: Office) -> None:
    small.world.run()
    browser = small.signed_in()
    form = change_form(browser, "/systems/sites/bgm/change")
    form["url"] = form["url"].replace("127.0.0.1", "localhost")
    before = columns(small)
    answer = browser.post("/systems/sites/bgm/change", **form)
    assert answer.status_code == 422
    assert "add --moved" in text_of(answer.text)
    assert form["url"] in answer.text
    assert columns(small) == before
    answer = browser.post("/systems/sites/bgm/change", **(form | {"moved": "yes"}))
    assert "The site bgm is changed: url." in text_of(answer.text)


def test_the_erp_company_cannot_change_once_orders_were_sent(small: Office) -> None:
    small.world.run()
    browser = small.signed_in()
    form = change_form(browser, "/systems/erps/bc/change")
    answer = browser.post("/systems/erps/bc/change", **(form | {"company": "other"}))
    assert answer.status_code == 422
    assert "cannot change: it was sent 2 orders" in text_of(answer.text)


CHANGES = [
    ("/systems/add-site", Role.ADMIN),
    ("/systems/add-erp", Role.ADMIN),
    ("/systems/sites/bgm/change", Role.ADMIN),
    ("/systems/erps/bc/change", Role.ADMIN),
    ("/systems/sites/bgm/enable", Role.ADMIN),
    ("/systems/sites/bgm/disable", Role.ADMIN),
    ("/systems/sites/bgm/unpause", Role.ADMIN),
    ("/systems/sites/bgm/remove", Role.ADMIN),
    ("/systems/erps/bc/remove", Role.ADMIN),
    ("/systems/sites/bgm/webhooks", Role.ADMIN),
    ("/systems/sites/bgm/webhooks/remove", Role.ADMIN),
    ("/systems/sites/bgm/webhooks/check", Role.OPERATOR),
    ("/systems/sites/bgm/test", Role.OPERATOR),
    ("/systems/sites/bgm/measure", Role.OPERATOR),
    ("/systems/sites/bgm/compare", Role.OPERATOR),
]


def test_each_role_does_no_more_than_it_may(small: Office) -> None:
    before = columns(small)
    for path, role in CHANGES:
        below = Role.VIEWER if role is Role.OPERATOR else Role.OPERATOR
        assert small.signed_in(below).post(path, typed="bgm").status_code == 403, path
    assert columns(small) == before
    assert small.doors.sent == []
    assert len(small.panel.store.sites()) == 1


def test_buttons_are_shown_to_those_who_may_use_them(small: Office) -> None:
    viewer = small.signed_in(Role.VIEWER).page("/systems/sites/bgm")
    operator = small.signed_in(Role.OPERATOR).page("/systems/sites/bgm")
    admin = small.signed_in().page("/systems/sites/bgm")
    assert [("Test the connection" in each) for each in (viewer, operator, admin)] == [False, True, True]
    assert [("Switch off" in each) for each in (viewer, operator, admin)] == [False, False, True]
    assert small.signed_in(Role.VIEWER).get("/systems/add-site").status_code == 403
    assert small.signed_in(Role.OPERATOR).get("/systems/sites/bgm/change").status_code == 403


def test_what_is_not_there_is_not_found(small: Office) -> None:
    browser = small.signed_in()
    for name in ("nothing", "%00", "a" * 400, "%3Cscript%3E", "..%2f..%2fetc"):
        for path in ("sites/{}", "erps/{}", "sites/{}/change", "erps/{}/remove"):
            assert browser.get(f"/systems/{path.format(name)}").status_code == 404
    for action in ("test", "measure", "enable", "compare", "webhooks", "remove", "change"):
        assert browser.post(f"/systems/sites/no%00thing/{action}").status_code == 404
    assert small.doors.sent == []


def test_what_could_not_be_added_is_not_offered(small: Office) -> None:
    browser = small.signed_in()
    assert browser.get("/systems/add-nonsense").status_code == 404
    assert "There is no platform sap" in text_of(browser.page("/systems/add-site?platform=sap"))
    assert "There is no platform business_central" in text_of(
        browser.page("/systems/add-site?platform=business_central")
    )
    assert browser.post("/systems/add-site", platform="business_central").status_code in {404, 422}


def test_a_test_tells_what_works_and_changes_nothing(small: Office) -> None:
    before = columns(small)
    page = small.signed_in(Role.OPERATOR).post("/systems/sites/bgm/test").text
    assert "Reading and writing work; the shop has 2 orders." in text_of(page)
    page = small.signed_in(Role.OPERATOR).post("/systems/erps/bc/test").text
    assert "ok" in text_of(page)
    assert columns(small) == before


def test_a_test_of_a_dead_address_says_so_in_a_sentence(small: Office) -> None:
    small.panel.store.change_site(
        small.world.site_id,
        SiteChanges(url="http://127.0.0.1:9"),
    )
    answer = small.signed_in(Role.OPERATOR).post("/systems/sites/bgm/test")
    assert answer.status_code == 200
    assert "wrong" in text_of(answer.text)
    assert "could not be reached" in text_of(answer.text) or "refused" in text_of(answer.text)
    answer = small.signed_in(Role.OPERATOR).post("/systems/sites/bgm/measure")
    assert answer.status_code == 422


def test_measuring_changes_nothing(small: Office) -> None:
    before = columns(small)
    page = small.signed_in(Role.OPERATOR).post("/systems/sites/bgm/measure").text
    assert "Measured by reads alone" in text_of(page)
    assert columns(small) == before


def test_a_site_is_switched_off_and_on_and_a_pause_is_lifted(small: Office) -> None:
    browser, store = small.signed_in(), small.panel.store
    assert "no schedule reads it any more" in text_of(browser.post("/systems/sites/bgm/disable").text)
    assert not site_named(small.world.parts, "bgm").is_active
    assert "The site bgm is enabled." in text_of(browser.post("/systems/sites/bgm/enable").text)
    assert site_named(small.world.parts, "bgm").is_active
    store.pause_site(small.world.site_id, until=store.now() + timedelta(hours=5), reason="Wrong key.")
    store.pause_erp(small.world.erp_id, until=store.now() + timedelta(hours=5), reason="Wrong key.")
    assert "Wrong key." in browser.page("/systems/sites/bgm")
    browser.post("/systems/sites/bgm/unpause")
    browser.post("/systems/erps/bc/unpause")
    assert (small.world.paused(), small.world.erp_paused()) == (None, None)
    assert site_named(small.world.parts, "bgm").order_next_run <= store.now()


def test_a_comparison_is_due_at_once_and_its_certificate_is_shown(small: Office) -> None:
    world = small.world
    world.run()
    operator = small.signed_in(Role.OPERATOR)
    answer = operator.post("/systems/sites/bgm/compare")
    ((task, arguments),) = small.doors.sent
    assert task == "reconcile"
    assert arguments["site_id"] == world.site_id
    assert f"run {arguments['watched_run']}" in text_of(answer.text)
    assert reconcile_nightly(world.parts, site_id=world.site_id, ring=world.road.ring) == ""
    page = text_of(operator.page("/systems/sites/bgm"))
    assert "complete Nothing was missing, doubled or different" in page
    assert "complete up to" in text_of(operator.page("/systems"))


def test_without_a_broker_the_comparison_is_due_all_the_same(small: Office) -> None:
    small.doors.is_there = False
    answer = small.signed_in(Role.OPERATOR).post("/systems/sites/bgm/compare")
    assert "The broker did not take the message" in text_of(answer.text)
    assert site_named(small.world.parts, "bgm").reconcile_next_run is not None
    assert [run["state"] for run in small.world.rows("SELECT state FROM rm_run WHERE kind = 'task'")] == [
        "failed"
    ]


def test_findings_of_a_certificate_are_shown_as_they_are(small: Office) -> None:
    store = small.panel.store
    for complete, findings in (
        (False, [{"kind": "missing", "order": EVIL, "reason": f"It says {EVIL}."}] * 3),
        (True, []),
    ):
        store.add_certificate(
            NewCertificate(
                site_id=small.world.site_id,
                from_at=None,
                until_at=store.now(),
                complete=complete,
                counts={"eligible": 3},
                findings=findings,
            )
        )
    browser = small.signed_in(Role.VIEWER)
    page = browser.page("/systems/sites/bgm")
    assert "Earlier certificates" in page
    first = store.certificates(small.world.site_id, limit=9)[-1].id
    page = browser.page(f"/systems/sites/bgm?certificate={first}")
    assert EVIL not in page
    assert "3 findings" in text_of(page)
    assert f"It says {EVIL}." in text_of(page) or "It says" in text_of(page)
    for nonsense in ("99999999999999999999", "x", "-1"):
        browser.page(f"/systems/sites/bgm?certificate={nonsense}")


def test_webhooks_are_installed_checked_signed_anew_and_taken_away(small: Office) -> None:
    browser = small.signed_in()
    page = browser.post("/systems/sites/bgm/webhooks", base_url="ftp://evil").text
    assert "must begin with https://" in text_of(page)
    assert 'value="ftp://evil"' in page
    assert site_named(small.world.parts, "bgm").hook_url == ""
    page = text_of(browser.post("/systems/sites/bgm/webhooks", base_url="http://127.0.0.1:9").text)
    assert "The webhooks of bgm go to http://127.0.0.1:9/hooks/bgm/...: 4 made" in page
    assert "order.created, order.updated" in page
    secret = site_named(small.world.parts, "bgm").hook_secrets
    page = text_of(
        browser.post("/systems/sites/bgm/webhooks", base_url="http://127.0.0.1:9", rotate="yes").text
    )
    assert "They are signed with a new secret from now on." in page
    assert site_named(small.world.parts, "bgm").hook_secrets != secret
    assert "4 as before" in text_of(browser.post("/systems/sites/bgm/webhooks/check").text)
    assert "Take away the webhooks of bgm? Its orders then come by its schedule alone." in text_of(
        browser.page("/systems/sites/bgm")
    )
    assert "4 webhooks of bgm removed." in text_of(browser.post("/systems/sites/bgm/webhooks/remove").text)
    assert site_named(small.world.parts, "bgm").hook_url == ""


def test_a_site_is_removed_by_typing_its_name(small: Office) -> None:
    small.world.run()
    browser = small.signed_in()
    asked = text_of(browser.page("/systems/sites/bgm/remove"))
    assert "Remove the site bgm? Its 2 orders can still be looked at" in asked
    answer = browser.post("/systems/sites/bgm/remove", typed="bgn")
    assert answer.status_code == 422
    assert "Type the name bgm to remove it." in text_of(answer.text)
    assert 'value="bgn"' in answer.text
    assert len(small.panel.store.sites()) == 1
    refused = browser.get("/systems/erps/bc/remove")
    assert "The site bgm uses the ERP bc." in text_of(refused.text)
    assert "Yes, remove" not in refused.text
    assert browser.post("/systems/erps/bc/remove", typed="bc").status_code == 422
    assert len(small.panel.store.erps()) == 1
    answer = browser.post("/systems/sites/bgm/remove", typed=" bgm ")
    assert "The site bgm is removed. What it did can still be looked at" in text_of(answer.text)
    assert small.panel.store.sites() == ()
    assert "The ERP bc is removed." in text_of(browser.post("/systems/erps/bc/remove", typed="bc").text)
    assert "No site is connected yet." in text_of(browser.page("/systems"))


def test_a_site_with_orders_in_motion_stays(small: Office) -> None:
    small.world.fetch()
    answer = small.signed_in().post("/systems/sites/bgm/remove", typed="bgm")
    assert answer.status_code == 422
    assert "has 2 orders in motion" in text_of(answer.text)
    assert len(small.panel.store.sites()) == 1


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 * * * *", "every hour, on the hour"),
        ("5 * * * *", "every hour, 5 min past"),
        ("*/15 * * * *", "every 15 minutes"),
        ("* * * * *", "every minute"),
        ("*/7 * * * *", "by the schedule */7 * * * *"),
        ("30 2 * * *", "at 02:30 UTC every day"),
        ("0 6,18 * * *", "at 06:00, 18:00 UTC every day"),
        ("0 6 * * 1-5", "at 06:00 UTC from Monday to Friday"),
        ("0 6 * * sat,0", "at 06:00 UTC on Saturday, Sunday"),
        ("0 */4 * * *", "every 4 hours, on the hour"),
        ("0 6 1 * *", "by the schedule 0 6 1 * *"),
        ("0 6 * * 1#2", "by the schedule 0 6 * * 1#2"),
    ],
)
def test_a_schedule_is_said_in_words(cron: str, words: str) -> None:
    assert in_words(cron) == words


def test_the_form_says_what_a_schedule_means_while_it_is_typed(small: Office) -> None:
    browser = small.signed_in()
    part = browser.page("/systems/schedule?setting.schedule=0+3+*+*+*")
    assert text_of(part) == (
        "At 03:00 UTC every day; next 2026-11-26 03:00, 2026-11-27 03:00, 2026-11-28 03:00."
    )
    for wrong in ("nonsense", "*+" * 300, "<script>", "0+0+30+2+*", "%00", ""):
        assert "<script>" not in browser.page(f"/systems/schedule?x={wrong}")


def test_every_setting_and_every_credential_has_words() -> None:
    for connector in connectors().values():
        found = systems.described(connector)
        named = [(each.name, each.words) for each in found.settings]
        named += [(each.name, each.words) for each in found.credentials]
        missing = [name for name, words in named if not words]
        assert (connector.platform, missing) == (connector.platform, [])
        assert not set(connector.words) & set(OPTION_WORDS)


@pytest.fixture
def questions(small: Office) -> Iterator[list[str]]:
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(statement)

    event.listen(small.world.engine, "before_cursor_execute", note)
    yield asked
    event.remove(small.world.engine, "before_cursor_execute", note)


def test_the_list_asks_as_much_for_many_sites_as_for_one(small: Office, questions: list[str]) -> None:
    browser = small.signed_in(Role.VIEWER)
    browser.page("/systems")
    questions.clear()
    browser.page("/systems")
    of_one = len(questions)
    for number in range(20):
        asked = Asked(
            name=f"s{number}",
            platform="woocommerce",
            url=f"https://192.0.2.1/{number}",
            allow_private=True,
            credentials={},
            settings={},
        )
        add_site(small.world.parts, asked, prefix=f"S{number}", erp="bc")
    questions.clear()
    page = browser.page("/systems")
    assert page.count("/systems/sites/s") == 20
    assert len(questions) == of_one
