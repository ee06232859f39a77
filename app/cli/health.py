"""`doctor`: whether everything is as it must be, and what to type where it is not."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping

import click
from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Column, Table
from rich.text import Text

from app import doctor
from app.cli.root import OUT, json_option, main
from app.doctor import Finding, Level
from app.show import json_text

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.WRONG: "bold red"}

Known = Mapping[str, "tuple[Finding, ...] | None"]
"""What each check found, None while it is being made, in the order in which they began."""


@main.command("doctor")
@click.argument("checks", metavar="[CHECK]...", nargs=-1)
@click.option("--here", "only_here", is_flag=True, help="Look for worker and beat on this host only.")
@json_option
def run_doctor(checks: tuple[str, ...], only_here: bool, as_json: bool) -> None:
    """Look at everything that is needed, and say what to type where something is wrong.

    CHECK is settings, key, folder, log, database, broker, worker, beat, work, flower, site, erp, site:NAME or erp:NAME; all are
    made where none is named. Exit code 1: something is wrong; warnings are allowed. Nothing is changed.
    """
    events = doctor.examine(checks, environment=os.environ, only_here=only_here)
    if as_json:
        findings = _flat(_known(events, each_time=lambda _: None))
        click.echo(json_text([_plain(each) for each in findings]))
    elif OUT.is_terminal:
        with Live(console=OUT) as live:
            findings = _flat(_known(events, each_time=lambda known: live.update(_page(known))))
    else:
        known = _known(events, each_time=lambda _: None)
        findings = _flat(known)
        OUT.print(_page(known))
    if doctor.worst(findings) is Level.WRONG:
        sys.exit(1)


def _known(events: Iterable[doctor.Begun | doctor.Ended], *, each_time: Callable[[Known], None]) -> Known:
    known: dict[str, tuple[Finding, ...] | None] = {}
    for event in events:
        known[event.check] = event.findings if isinstance(event, doctor.Ended) else None
        each_time(known)
    return known


def _flat(known: Known) -> list[Finding]:
    return [finding for found in known.values() for finding in found or ()]


def _plain(finding: Finding) -> dict[str, str]:
    return {"check": finding.check, "state": finding.level, "found": finding.found, "do": finding.do}


def _page(known: Known) -> Group | Table:
    table = Table("State", Column("Check", no_wrap=True), "Found, and what to type")
    for found in known.values():
        for each in found or ():
            table.add_row(Text(each.level, style=_STYLES[each.level]), Text(each.check), _cell(each))
    waiting = [check for check, found in known.items() if found is None]
    if not waiting:
        return table
    return Group(table, Spinner("dots", text=Text(f"Looking at {', '.join(waiting)}")))


def _cell(finding: Finding) -> Text:
    cell = Text(finding.found)
    if finding.do:
        cell.append(f"\n> {finding.do}", style="cyan")
    return cell
