"""`limits`: how often each account may be called, and whether it is called at all now."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.cli.root import json_option, main, opened, show
from app.sync import limiters

_STYLES = {"closed": "green", "open": "bold red", "probing": "yellow"}


@main.command("limits")
@json_option
def show_limits(as_json: bool) -> None:
    """The accounts of sites and ERPs: calls of the window that are used and left, calls that run, and the breaker.

    An account that failed again and again is left alone for a while (breaker open) and then asked with one call (probing).
    """
    program = opened()
    found = limiters.accounts(program.parts, program.limiters())
    show(found, as_json=as_json, table=lambda: _page(found))


def _page(found: Mapping[str, Any]) -> RenderableType:
    parts: list[RenderableType] = []
    if found["accounts"]:
        table = Table("Account", "Calls used", "Left", "Running", "Breaker", "What is known")
        for each in found["accounts"]:
            breaker = Text(each["breaker"], style=_STYLES[each["breaker"]])
            if each["breaker_since"]:
                breaker.append(f"\nsince {_time(each['breaker_since'])}")
            cells = (
                each["account"],
                f"{each['used']} in {each['window_seconds']:g} s",
                "" if each["left"] is None else str(each["left"]),
                f"{each['running']} of {each['at_once']}",
            )
            table.add_row(*map(Text, cells), breaker, Text("\n".join(_known(each))))
        parts.append(table)
    elif not found["faults"]:
        parts.append(Text("No site and no ERP is connected."))
    if found["accounts"] and not found["shared"]:
        parts.append(
            Text(
                "No broker can be asked: each process counts for itself, and this one has only its own figures.",
                style="yellow",
            )
        )
    parts.extend(
        Text(f"{each['name']} cannot be opened: {each['reason']}", style="yellow") for each in found["faults"]
    )
    return Group(*parts)


def _known(account: Mapping[str, Any]) -> list[str]:
    known = []
    if account["slowed_until"]:
        known.append(f"Asked for fewer calls: none until {_time(account['slowed_until'])}.")
    if account["next_try_at"]:
        known.append(f"Tried again at {_time(account['next_try_at'])}.")
    if account["last_failure"]:
        known.append(f"Last failure at {_time(account['last_failure_at'])}: {account['last_failure']}")
    return known


def _time(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S UTC")
