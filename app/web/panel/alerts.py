"""Alerts: what is open and was, by which rules, and whom they are told."""

from typing import Any

from flask import Blueprint, abort, request, url_for

from app.errors import OrderSyncError, UsageError
from app.ports.accounts import Role
from app.ports.alerting import Severity
from app.ports.deliveries import AlertKind
from app.sync.panel import alert_rules
from app.sync.panel.alert_list import alert_page
from app.sync.panel.alert_rules import MEANINGS
from app.web.panel import access
from app.web.panel.access import Answer, changes
from app.web.panel.shared import LARGEST_ID, done, page, refused
from app.web.people import People

_FIELDS = ("threshold", "currency", "for_minutes", "severity", "quiet_from", "quiet_to", "quiet_zone")


def add(pages: Blueprint, people: People) -> None:
    """Add the pages."""
    panel = people.panel

    @pages.get("/alerts")
    def alerts() -> str:
        found = alert_page(panel, before=_before())
        return page("alerts.html", found=found, meanings=MEANINGS, before=_before())

    @pages.get("/alerts/rules/<kind>")
    def alert_rule(kind: str) -> str:
        access.needs(Role.ADMIN)
        rule = alert_rules.rules(panel.store)[_kind(kind)]
        return _rule_form(rule.kind, alert_rules.texts(rule))

    @pages.post("/alerts/rules/<kind>")
    @changes(people, Role.ADMIN, "alert_rule.set")
    def set_alert_rule(kind: str) -> Answer:
        wanted = _kind(kind)
        given = {name: request.form[name] for name in _FIELDS if name in request.form}
        given["enabled"] = request.form.get("enabled", "false")
        try:
            alert_rules.set_rule(panel, wanted, given)
        except UsageError as error:
            typed = {**given, "enabled": given["enabled"] == "true"}
            return _rule_form(wanted, typed, wrong=error.reason), 422
        return done(f"The rule “{MEANINGS[wanted].title}” was changed.", url_for("panel.alerts"))

    @pages.get("/alerts/targets/add")
    def new_alert_target() -> str:
        access.needs(Role.ADMIN)
        return _target_form({})

    @pages.post("/alerts/targets")
    @changes(people, Role.ADMIN, "alert_target.add")
    def add_alert_target() -> Answer:
        name, kinds = request.form.get("name", "").strip(), request.form.getlist("kinds")
        url = request.form.get("target_url", "")
        try:
            target = alert_rules.add_target(panel, name=name, url=url, kinds=kinds, by=access.person().name)
        except UsageError as error:
            return _target_form({"name": name, "url": url, "kinds": kinds}, wrong=error.reason), 422
        return done(f"{target.name} is told of alerts from now on; send it a test.", url_for("panel.alerts"))

    @pages.post("/alerts/targets/<name>/test")
    @changes(people, Role.ADMIN, "alert_target.test")
    def test_alert_target(name: str) -> Answer:
        alert_rules.target_named(panel, name)
        try:
            alert_rules.test_target(panel, name, by=access.person().name)
        except OrderSyncError as error:
            return refused(f"{name} did not get the test: {error.reason}", url_for("panel.alerts"))
        return done(f"The test was taken for {name}; see that it has arrived.", url_for("panel.alerts"))

    @pages.post("/alerts/targets/<name>/switch")
    @changes(people, Role.ADMIN, "alert_target.switch")
    def switch_alert_target(name: str) -> Answer:
        enabled = request.form.get("enabled") == "true"
        alert_rules.change_target(panel, name, enabled=enabled)
        said = "is told of alerts again" if enabled else "is told of nothing any more"
        return done(f"{name} {said}.", url_for("panel.alerts"))

    @pages.post("/alerts/targets/<name>/remove")
    @changes(people, Role.ADMIN, "alert_target.remove")
    def remove_alert_target(name: str) -> Answer:
        alert_rules.remove_target(panel, name)
        return done(f"The target {name} was removed with its address.", url_for("panel.alerts"))


def _before() -> int | None:
    text = request.args.get("before", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_ID))):
        abort(404)
    return int(text) if int(text) <= LARGEST_ID else abort(404)


def _kind(word: str) -> AlertKind:
    if word not in set(MEANINGS):
        abort(404)
    return AlertKind(word)


def _rule_form(kind: AlertKind, typed: dict[str, Any], *, wrong: str = "") -> str:
    meaning = MEANINGS[kind]
    return page(
        "alerts_rule.html",
        kind=kind,
        meaning=meaning,
        typed=typed,
        wrong=wrong,
        severities=tuple(Severity),
        here="panel.alerts",
        title=f"Rule: {meaning.title}",
    )


def _target_form(typed: dict[str, Any], *, wrong: str = "") -> str:
    return page(
        "alerts_target.html",
        typed=typed,
        wrong=wrong,
        meanings=MEANINGS,
        here="panel.alerts",
        title="Add a target",
    )
