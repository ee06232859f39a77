"""`reconcile` and `site probe`: whether everything has arrived, and how a platform behaves."""

import sys
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.bootstrap import inline
from app.cli.completing import site_names
from app.cli.connecting import site
from app.cli.root import json_option, main, opened, show
from app.sync import probing
from app.sync.moments import moment_from
from app.sync.parts import site_named
from app.sync.reconcile import Comparison, Heal, reconcile, sentence

INCOMPLETE = 3


@main.command("reconcile")
@click.argument("name", metavar="SITE", shell_complete=site_names)
@click.option(
    "--from", "since", default="", help="Orders created since then, UTC: 2026-11-01 or 2026-11-01T12:00."
)
@click.option("--to", "until", default="", help="Orders created up to then, UTC; now where it is not given.")
@click.option(
    "--heal",
    is_flag=True,
    help="Read what is missing from the platform again. Nothing is sent to the ERP twice.",
)
@json_option
def run_reconcile(name: str, since: str, until: str, heal: bool, as_json: bool) -> None:
    """Compare a site's platform, the middleware and the ERP, and certify what is complete.

    Exit code 3: something is missing, doubled or different.
    """
    parts = opened().parts
    road = inline.InlineRoad(parts)
    found = reconcile(
        parts,
        site_named(parts, name),
        since=moment_from(since, "--from"),
        until=moment_from(until, "--to"),
        heal=Heal.ALL if heal else Heal.NOTHING,
        # What is read again stands in the database as due; a worker comes for it within a minute.
        ring=road.ring,
    )
    show(_plain(found), as_json=as_json, table=lambda: _page(found))
    if not found.complete:
        sys.exit(INCOMPLETE)


def _plain(found: Comparison) -> dict[str, Any]:
    def rows(findings: Any) -> list[dict[str, str]]:
        return [
            {
                "kind": each.kind.value,
                "order": each.order,
                "platform_order_id": each.platform_order_id,
                "reason": each.reason,
            }
            for each in findings
        ]

    return {
        "site": found.site,
        "certificate": found.certificate_id,
        "complete": found.complete,
        "from": found.from_at,
        "until": found.until_at,
        "counts": dict(found.counts),
        "findings": rows(found.findings),
        "healed": rows(found.healed),
        "not_exported": [
            {"order": each.order, "state": each.state, "reason": each.reason} for each in found.not_exported
        ],
    }


def _page(found: Comparison) -> RenderableType:
    parts: list[RenderableType] = [Text(sentence(found), style="green" if found.complete else "bold red")]
    if found.findings:
        table = Table("Order", "What is wrong", title="To be looked at", title_justify="left")
        for each in found.findings:
            table.add_row(Text(each.order), Text(f"{each.kind.value}: {each.reason}"))
        parts.append(table)
    if found.healed:
        table = Table("Order", "What was wrong", title="Put right by reading again", title_justify="left")
        for each in found.healed:
            table.add_row(Text(each.order), Text(f"{each.kind.value}: {each.reason}"))
        parts.append(table)
    if found.not_exported:
        table = Table("Order", "State", "Why", title="Stored, not exported", title_justify="left")
        for waiting in found.not_exported:
            table.add_row(Text(waiting.order), Text(waiting.state), Text(waiting.reason))
        parts.append(table)
    return Group(*parts)


@site.command("probe")
@click.argument("name", metavar="SITE", shell_complete=site_names)
@click.option(
    "--orders",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="So many of the last orders are looked at.",
)
@click.option("--dry-run", is_flag=True, help="Change no setting.")
@json_option
def site_probe(name: str, orders: int, dry_run: bool, as_json: bool) -> None:
    """Measure what a site's platform really does, by reads alone, and fit the site's settings to it."""
    found = probing.probe_site(opened().parts, name, orders=orders, change=not dry_run)
    value = {
        "site": name,
        "findings": [
            {"what": each.what, "found": each.found, "trouble": each.trouble} for each in found.findings
        ],
        "settings": {key: {"value": each.value, "why": each.why} for key, each in found.settings.items()},
        "changed": list(found.changed),
    }
    show(value, as_json=as_json, table=lambda: _survey(found))


def _survey(found: probing.Probed) -> RenderableType:
    table = Table("What", "Found")
    for each in found.findings:
        label = each.what[:1].upper() + each.what[1:].replace("_", " ")
        table.add_row(Text(label), Text(each.found, style="yellow" if each.trouble else ""))
    if not found.settings:
        return Group(table, Text("No setting has to be another."))
    settings = Table("Setting", "Value", "Why")
    for key, fitting in found.settings.items():
        settings.add_row(Text(key), Text(fitting.value), Text(fitting.why))
    what = f"Changed: {', '.join(found.changed)}." if found.changed else "Nothing was changed."
    return Group(table, settings, Text(what))
