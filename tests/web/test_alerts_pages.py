"""The page of alerts: what is open and was, the rules, and whom alerts are told."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from app.ports.accounts import Role
from app.ports.alerting import Condition
from app.ports.deliveries import AlertKind
from app.sync.panel import alert_rules
from app.sync.panel.alert_list import PAGE
from app.sync.panel.watching import watch
from tests.fakes.sinks import HookServer, serving
from tests.web.office import Office

HOSTILE = "<script>alert(1)</script> \" ' & \x1b[31m \u202e"


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with serving(HookServer()) as server:
        yield server


def words(html: str) -> str:
    """What a page says, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def pause(office: Office, reason: str) -> None:
    world = office.world
    alert_rules.set_rule(office.panel, AlertKind.PAUSED, {"for_minutes": "0"})
    office.panel.store.pause_site(
        world.site_id, until=world.clock.now() + timedelta(minutes=5), reason=reason
    )
    watch(office.panel, web_url=None)


def test_without_anything_amiss_the_page_says_so_and_that_nobody_is_told(office: Office) -> None:
    html = office.signed_in(Role.VIEWER).page("/alerts")
    assert "Nothing is amiss that a rule looks for." in words(html)
    assert "Nobody is told of alerts" in words(html)
    assert html.count("<tr>") == 1 + len(AlertKind)


def test_an_open_alert_is_shown_with_who_was_told_and_who_could_not_be(
    office: Office, hook: HookServer
) -> None:
    for name in ("ops", HOSTILE[:8].strip("<>") + "-down"):
        alert_rules.add_target(office.panel, name=name, url=hook.url, kinds=(), by="tests")
    with serving(HookServer()) as down:
        down.status = 503
        alert_rules.add_target(office.panel, name="down", url=down.url, kinds=(), by="tests")
        pause(office, HOSTILE)
    html = office.signed_in(Role.VIEWER).page("/alerts")
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "\x1b" not in html
    text = words(html)
    assert "critical Paused for its settings bgm" in text
    assert "ops, begin: told" in text
    assert "down, begin: owed tried 1 time, again" in text
    assert "Failed to send JSON POST notification" in text


def test_alerts_that_are_over_are_paged(office: Office) -> None:
    store = office.panel.store
    for number in range(PAGE + 5):
        seen = [Condition(AlertKind.STUCK, f"reason {number}")]
        store.observe(seen, kinds=[AlertKind.STUCK], clear_minutes={})
        store.observe([], kinds=[AlertKind.STUCK], clear_minutes={})
    browser = office.signed_in(Role.VIEWER)
    first = browser.page("/alerts")
    assert f"reason {PAGE + 4}" in first
    assert "reason 4<" not in first
    following = re.search(r'href="(/alerts\?before=\d+)#over" rel="next"', first)
    assert following
    second = browser.page(following[1])
    assert "reason 4<" in second
    assert "reason 5<" not in second
    assert 'rel="next"' not in second


@pytest.mark.parametrize("before", ["x", "-1", "99999999999", "2147483648", "²", "1.5"])
def test_a_page_that_there_is_not_is_not_found(office: Office, before: str) -> None:
    assert office.signed_in().get("/alerts", query_string={"before": before}).status_code == 404


def test_an_admin_changes_a_rule_and_it_is_noted(office: Office) -> None:
    browser = office.signed_in()
    assert "22:00" in browser.page("/alerts/rules/money_at_risk")
    answer = browser.post(
        "/alerts/rules/money_at_risk", enabled="true", threshold="500.50", currency="eur", for_minutes="7", severity="critical",
        quiet_from="22:00", quiet_to="06:00", quiet_zone="Europe/Berlin",
    )  # fmt: skip
    text = words(answer.text)
    assert "The rule “Money at risk” was changed." in text
    assert "500.50 EUR 7 min 22:00 to 06:00 Europe/Berlin" in text
    (action,) = office.panel.store.actions(before=None, limit=1)
    assert (action.by, action.action, action.target, action.outcome) == (
        "admin1", "alert_rule.set", "money_at_risk", "done",
    )  # fmt: skip
    browser.post("/alerts/rules/money_at_risk", threshold="500.50", for_minutes="7", severity="critical")
    assert not office.panel.store.alert_rules()[AlertKind.MONEY_AT_RISK].enabled


def test_a_rule_that_cannot_be_is_shown_again_as_it_was_typed(office: Office) -> None:
    typed: dict[str, Any] = {
        "threshold": HOSTILE[:20],
        "for_minutes": "5",
        "severity": "warning",
        "quiet_from": "25:00",
    }
    answer = office.signed_in().post("/alerts/rules/open_errors", enabled="true", **typed)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'value="&lt;script&gt;alert(1)&lt;/sc"' in answer.text
    assert 'value="25:00"' in answer.text
    assert re.search(r'name="enabled" value="true" checked', answer.text)
    assert office.panel.store.alert_rules() == {}


@pytest.mark.parametrize("kind", ["nonsense", "PAUSED", "%3Cb%3E"])
def test_a_rule_that_there_is_not_is_not_found(office: Office, kind: str) -> None:
    browser = office.signed_in()
    assert browser.get(f"/alerts/rules/{kind}").status_code == 404
    assert browser.post(f"/alerts/rules/{kind}").status_code == 404


def test_a_target_is_added_tested_switched_and_removed_and_its_address_is_shown_nowhere(
    office: Office, hook: HookServer
) -> None:
    browser = office.signed_in()
    browser.page("/alerts/targets/add")
    browser.client.post(
        "/alerts/targets",
        data={
            "csrf_token": browser.token(),
            "name": "the ops",
            "target_url": hook.url,
            "kinds": ["stuck", "paused"],
        },
    )
    html = browser.page("/alerts")
    assert "the ops JSON: json://127.0.0.1 Paused for its settings, Nobody comes on" in words(html)
    tested = browser.post("/alerts/targets/the ops/test")
    assert "The test was taken for the ops" in words(tested.text)
    assert hook.told[0]["message"].startswith("admin1 has sent this to see that alerts")
    hook.status = 500
    failed = browser.post("/alerts/targets/the ops/test")
    assert "the ops did not get the test: Failed to send JSON" in words(failed.text)
    for page in (
        html,
        tested.text,
        failed.text,
        browser.page("/alerts"),
        str(office.world.rows("SELECT * FROM rm_action")),
    ):
        assert "hook-password" not in page
        assert "hidden-path" not in page
    browser.post("/alerts/targets/the ops/switch", enabled="false")
    assert [each.enabled for each in office.panel.store.alert_targets()] == [False]
    browser.post("/alerts/targets/the ops/switch", enabled="true")
    assert [each.enabled for each in office.panel.store.alert_targets()] == [True]
    browser.post("/alerts/targets/the ops/remove")
    assert office.panel.store.alert_targets() == ()
    for verb in ("test", "switch", "remove"):
        assert browser.post(f"/alerts/targets/the ops/{verb}").status_code == 422


@pytest.mark.parametrize(
    ("name", "url"),
    [("", "json://a"), ("<b>", "json://a"), ("ops", ""), ("ops", "syslog://"), ("ops", "file:///etc/passwd"), ("x" * 65, "json://a")],
)  # fmt: skip
def test_a_target_that_cannot_be_is_refused_and_what_was_typed_is_kept(
    office: Office, name: str, url: str
) -> None:
    answer = office.signed_in().post("/alerts/targets", name=name, target_url=url, kinds="stuck")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'value="stuck" checked' in answer.text
    assert office.panel.store.alert_targets() == ()


def test_a_kind_that_there_is_not_is_refused(office: Office) -> None:
    answer = office.signed_in().post("/alerts/targets", name="ops", target_url="json://a", kinds="<b>")
    assert answer.status_code == 422
    assert office.panel.store.alert_targets() == ()


def test_two_targets_cannot_have_one_name(office: Office, hook: HookServer) -> None:
    browser = office.signed_in()
    for status in (200, 422):
        assert browser.post("/alerts/targets", name="ops", target_url=hook.url).status_code == status
    assert len(office.panel.store.alert_targets()) == 1


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_is_no_admin_sees_no_buttons_and_is_refused(office: Office, hook: HookServer, role: Role) -> None:
    alert_rules.add_target(office.panel, name="ops", url=hook.url, kinds=(), by="tests")
    browser = office.signed_in(role)
    html = browser.page("/alerts")
    assert "Send a test" not in html
    assert "/alerts/rules/" not in html
    for path in ("/alerts/rules/stuck", "/alerts/targets/add"):
        assert browser.get(path).status_code == 403
    for path in (
        "/alerts/rules/stuck", "/alerts/targets", "/alerts/targets/ops/test", "/alerts/targets/ops/switch", "/alerts/targets/ops/remove",
    ):  # fmt: skip
        assert browser.post(path, enabled="false", name="x", target_url=hook.url).status_code == 403
    assert [(each.name, each.enabled) for each in office.panel.store.alert_targets()] == [("ops", True)]
    assert (office.panel.store.alert_rules(), hook.told) == ({}, [])
