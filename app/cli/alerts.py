"""`alerts`: what is amiss, by which rules, and whom it is told."""

import sys
from typing import Any

import click

from app.bootstrap import panel_of
from app.cli.changing import asking, yes_option
from app.cli.noting import noted
from app.cli.root import json_option, main, opened, person, rows_table, say, show, show_or_say
from app.errors import UsageError
from app.ports.alerting import Notice, Severity
from app.sync.panel import alert_rules
from app.sync.panel.alert_list import Listed, alert_page
from app.sync.panel.alert_rules import MEANINGS

_kinds = click.Choice([each.value for each in MEANINGS])
_name = click.argument("name", metavar="NAME")


@main.group()
def alerts() -> None:
    """What a person should be told although no order has stopped: rules, quiet hours, and whom to tell."""


@alerts.command("list")
@click.option("--over", is_flag=True, help="Those that are over, the latest first.")
@json_option
def alerts_list(over: bool, as_json: bool) -> None:
    """The alerts that are open, and who was told of them."""
    page = alert_page(panel_of(opened()))
    rows = [_row(each) for each in (page.over if over else page.open)]
    columns = ("alert", "about", "severity", "since", *(("over",) if over else ()), "reason", "told")
    show(rows, as_json=as_json, table=lambda: rows_table(rows, *columns))


def _row(each: Listed) -> dict[str, Any]:
    return {
        "alert": each.alert.kind.value,
        "about": each.alert.subject,
        "severity": each.rule.severity.value,
        "since": each.alert.opened_at,
        "over": each.alert.closed_at,
        "reason": each.alert.reason,
        "told": "; ".join(_told(notice) for notice in each.notices),
    }


def _told(notice: Notice) -> str:
    if notice.told_at is not None:
        told = f"{notice.target}: {notice.what.value} {notice.told_at:%Y-%m-%d %H:%M} UTC"
        return f"{told} ({notice.outcome})" if notice.outcome else told
    owed = f"is owed {notice.what.value}" if notice.next_at else f"was not told {notice.what.value}"
    return f"{notice.target} {owed}{': ' if notice.outcome else ''}{notice.outcome}"


@alerts.command("rules")
@json_option
def alerts_rules(as_json: bool) -> None:
    """Every rule as it is now."""
    found = alert_rules.rules(panel_of(opened()).store)
    rows = [
        {"rule": kind.value, "when": MEANINGS[kind].when, **alert_rules.texts(rule)}
        for kind, rule in found.items()
    ]
    columns = (
        "rule",
        "enabled",
        "threshold",
        "currency",
        "for_minutes",
        "severity",
        "quiet_from",
        "quiet_to",
    )
    show(rows, as_json=as_json, table=lambda: rows_table(rows, *columns))


@alerts.command("set")
@click.argument("kind", type=_kinds, metavar="RULE")
@click.option("--on/--off", "enabled", default=None, help="Whether it is looked at.")
@click.option("--threshold", default=None, help="What the rule's own words say: orders, an amount, percent.")
@click.option("--currency", default=None, help="Of money_at_risk; empty for each currency by itself.")
@click.option("--for-minutes", default=None, help="So long it must hold before people are told, and be gone.")
@click.option("--severity", type=click.Choice([each.value for each in Severity]), default=None)
@click.option(
    "--quiet",
    default=None,
    metavar="FROM-TO",
    help="Nobody is told then, such as 22:00-06:00; empty for none.",
)
@click.option("--zone", default=None, help="The time zone of the quiet hours, such as Europe/Berlin.")
@json_option
def alerts_set(
    kind: str,
    enabled: bool | None,
    threshold: str | None,
    currency: str | None,
    for_minutes: str | None,
    severity: str | None,
    quiet: str | None,
    zone: str | None,
    as_json: bool,
) -> None:
    """Change a rule."""
    given: dict[str, str | None] = {
        "enabled": None if enabled is None else str(enabled).lower(),
        "threshold": threshold,
        "currency": currency,
        "for_minutes": for_minutes,
        "severity": severity,
        "quiet_zone": zone,
    }
    if quiet is not None:
        given["quiet_from"], _, given["quiet_to"] = quiet.partition("-")
    wanted = {name: value for name, value in given.items() if value is not None}
    if not wanted:
        raise UsageError("Say what is to change; see `ordersync alerts set --help`.")
    with noted(opened(), "alert_rule.set", kind, wanted) as panel:
        rule = alert_rules.set_rule(panel, alert_rules.kind_named(kind), wanted)
    told = {"rule": kind, **alert_rules.texts(rule)}
    show_or_say(told, as_json=as_json, sentence=f"The rule {kind} was changed.")


@alerts.group("target")
def target() -> None:
    """Whom alerts are told: mail, chats, webhooks, whatever Apprise reaches."""


@target.command("add")
@_name
@click.option("--url-stdin", is_flag=True, help="The address is the first line of standard input.")
@click.option(
    "--kind", "kinds", type=_kinds, multiple=True, help="Told of this only; may be given several times."
)
@json_option
def target_add(name: str, url_stdin: bool, kinds: tuple[str, ...], as_json: bool) -> None:
    """Asks for the address, which holds passwords and so is never an argument. It is stored encrypted and shown nowhere."""
    program = opened()
    url = sys.stdin.readline().strip() if url_stdin else click.prompt("Address", hide_input=True)
    with noted(program, "alert_target.add", name, {"kinds": " ".join(kinds)}) as panel:
        made = alert_rules.add_target(panel, name=name, url=url, kinds=kinds, by=person())
    show_or_say(
        {"name": made.name, "where": made.hint},
        as_json=as_json,
        sentence=f"{name} is told of alerts; try it with `ordersync alerts target test {name}`.",
    )


@target.command("list")
@json_option
def target_list(as_json: bool) -> None:
    """Every target, without its address."""
    rows = [
        {
            "name": each.name,
            "where": each.hint,
            "told_of": " ".join(each.kinds) or "everything",
            "enabled": each.enabled,
            "created_by": each.created_by,
        }
        for each in panel_of(opened()).store.alert_targets()
    ]
    show(rows, as_json=as_json, table=lambda: rows_table(rows, "name", "where", "told_of", "enabled"))


@target.command("set")
@_name
@click.option("--on/--off", "enabled", default=None, help="Whether it is told anything.")
@click.option(
    "--kind", "kinds", type=_kinds, multiple=True, help="Told of this only; may be given several times."
)
@click.option("--everything", is_flag=True, help="Told of every kind.")
def target_set(name: str, enabled: bool | None, kinds: tuple[str, ...], everything: bool) -> None:
    """Switch a target on or off, or change what it is told of."""
    if enabled is None and not kinds and not everything:
        raise UsageError("Say what is to change: --on, --off, --kind or --everything.")
    wanted = None if not kinds and not everything else kinds
    with noted(opened(), "alert_target.set", name, {"enabled": enabled, "kinds": " ".join(kinds)}) as panel:
        alert_rules.change_target(panel, name, enabled=enabled, kinds=wanted)
    say(f"The target {name} was changed.")


@target.command("test")
@_name
def target_test(name: str) -> None:
    """Send it a message that says that it is a test."""
    with noted(opened(), "alert_target.test", name) as panel:
        alert_rules.test_target(panel, name, by=person())
    say(f"The test was taken for {name}; see that it has arrived.")


@target.command("remove")
@_name
@yes_option
def target_remove(name: str, yes: bool) -> None:
    """Forget a target with its address; what it was told stays listed."""
    program = opened()
    if not asking(yes)(f"Remove the target {name}? It is told of no alert any more."):
        say(f"The target {name} was not removed.")
        sys.exit(1)
    with noted(program, "alert_target.remove", name) as panel:
        alert_rules.remove_target(panel, name)
    say(f"The target {name} was removed.")
