"""`limits`: how often each account may be called, and whether it is called at all now."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.cli.completing import system_names
from app.cli.root import json_option, main, opened, show, show_or_say
from app.sync import limiters

_STYLES = {"closed": "green", "open": "bold red", "probing": "yellow"}


@main.command("limits")
@click.option(
    "--reset",
    "name",
    metavar="NAME",
    shell_complete=system_names,
    help="Call this account again at once: after its server was mended nobody has to wait.",
)
@json_option
def show_limits(name: str | None, as_json: bool) -> None:
    """The accounts of sites and ERPs: calls of the window that are used and left, calls that run, and the breaker.

    An account that failed again and again is left alone for a while (breaker open) and then asked with one call (probing).
    """
    program = opened()
    if name is not None:
        done = limiters.reset(program.parts, program.limiters(), name=name)
        show_or_say(
            done, as_json=as_json, sentence=f"{name} is called again at once; nothing is held against it."
        )
        return
    found = limiters.accounts(program.parts, program.limiters())
    show(found, as_json=as_json, table=lambda: _page(found))


def _page(found: Mapping[str, Any]) -> RenderableType:
    parts: list[RenderableType] = []
    if found["accounts"]:
        table = Table("Account", "Calls", "Breaker", show_lines=True)
        for each in found["accounts"]:
            table.add_row(Text(each["account"]), Text(_calls(each)), _breaker(each))
        parts.append(table)
    elif not found["faults"]:
        parts.append(Text("No site and no ERP is connected."))
    if found["accounts"] and not found["shared"]:
        parts.append(
            Text(
                "No broker can be asked: each process counts for itself, and this one has only its own figures"
                " (`ordersync doctor broker`).",
                style="yellow",
            )
        )
    parts.extend(
        Text(f"{each['name']} cannot be opened: {each['reason']}", style="yellow") for each in found["faults"]
    )
    return Group(*parts)


def _calls(account: Mapping[str, Any]) -> str:
    left = "" if account["left"] is None else f", {account['left']} left"
    used = f"{account['used']} in {account['window_seconds']:g} s{left}"
    return f"{used}\n{account['running']} of {account['at_once']} running"


def _breaker(account: Mapping[str, Any]) -> Text:
    found = Text(account["breaker"], style=_STYLES[account["breaker"]])
    if account["breaker_since"]:
        found.append(f" since {_time(account['breaker_since'])}")
    known = []
    if account["next_try_at"]:
        known.append(f"Tried at {_time(account['next_try_at'])}.")
    if account["slowed_until"]:
        known.append(f"No call until {_time(account['slowed_until'])}.")
    if account["last_failure"]:
        known.append(f"Last failure {_time(account['last_failure_at'])}: {account['last_failure']}.")
    for each in known:
        found.append(f"\n{each}", style="default")
    return found


def _time(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S UTC")
