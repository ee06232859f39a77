"""`runs`, `held` and `queue`: what was done, what waits, and where."""

from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.celery_door import broker_queues
from app.cli.completing import site_names
from app.cli.root import json_option, main, opened, show, time_text
from app.show import run_table
from app.sync import overview

_site_option = click.option(
    "--site", "site_name", default=None, shell_complete=site_names, help="Of this site only."
)


@main.group()
def runs() -> None:
    """Runs: each reading of a site, what was resumed or started by hand, and what came of its orders."""


@runs.command("list")
@_site_option
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="At most so many, the newest first.",
)
@json_option
def runs_list(site_name: str | None, limit: int, as_json: bool) -> None:
    """The latest runs."""
    rows = overview.runs(opened().parts, site=site_name, limit=limit)
    show(rows, as_json=as_json, table=lambda: _runs_table(rows))


def _runs_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    if not rows:
        return Text("There was no run yet.")
    table = Table("Run", "Kind", "Site", "Started", "State", "Orders")
    for each in rows:
        counts = ", ".join(f"{each[name]} {name}" for name in overview.COUNTED if each[name])
        state = Text("\n").join(
            [
                Text(f"{each['state']}, {each['seconds']:g} s"),
                *([Text(each["reason"])] if each["reason"] else []),
            ]
        )
        cells = (Text(each["kind"]), Text(each["site"]), Text(time_text(each["started_at"])))
        table.add_row(Text(str(each["run"])), *cells, state, Text(counts or "none"))
    return table


@runs.command("show")
@click.argument("run_id", metavar="ID", type=int)
@json_option
def runs_show(run_id: int, as_json: bool) -> None:
    """One run, and its orders that did not go through."""
    page = overview.run_page(opened().parts, run_id)
    show(page, as_json=as_json, table=lambda: run_table(page))


@main.group()
def held() -> None:
    """Orders that are fine, but wait for something."""


@held.command("list")
@_site_option
@json_option
def held_list(site_name: str | None, as_json: bool) -> None:
    """The orders that are held: since when, for what, and when each is looked at again."""
    found = overview.held(opened().parts, site=site_name)
    show(found, as_json=as_json, table=lambda: _held_page(found))


def _held_page(found: Mapping[str, Any]) -> RenderableType:
    if not found["orders"]:
        return Text("No order is held.")
    table = Table("Order", "Site", "Waits for", show_lines=True)
    for each in found["orders"]:
        number = each["order_number"] or f"(platform id {each['platform_order_id']})"
        times = f"since {time_text(each['since'])}, next look {time_text(each['next_at'])}"
        head = Text(f"{each['hold_kind']} at {each['stage']}, {times}", style="dim")
        table.add_row(Text(number), Text(each["site"]), Text("\n").join([head, Text(each["reason"])]))
    hints = (
        f"{each['orders']} {'waits' if each['orders'] == 1 else 'wait'} for {each['what']}"
        for each in found["waits_for"]
    )
    return Group(*map(Text, hints), table)


@main.command()
@json_option
def queue(as_json: bool) -> None:
    """What waits where, on the road and in the broker: whether it is stuck, and at which step."""
    program = opened()
    found = {**overview.queue(program.parts), "broker": broker_queues(program.settings)}
    show(found, as_json=as_json, table=lambda: _queue_page(found))


def _queue_page(found: Mapping[str, Any]) -> RenderableType:
    parts: list[RenderableType] = []
    if found["road"]:
        table = Table("Step", "Due now", "Since", "Later", "Next", "In work")
        for each in found["road"]:
            cells = (
                each["link"],
                str(each["due"]),
                time_text(each["due_since"]) if each["due"] else "",
                str(each["later"]),
                time_text(each["next_at"]) if each["next_at"] else "",
                str(each["leased"]),
            )
            table.add_row(*map(Text, cells))
        parts.append(table)
    else:
        parts.append(Text("Nothing is on the road."))
    broker = found["broker"]
    if broker["fault"]:
        parts.append(Text(f"The broker is away: {broker['fault']}", style="yellow"))
    else:
        lengths = ", ".join(f"{length} for {name}" for name, length in broker["queues"].items())
        taken = broker["unacknowledged"]
        parts.append(Text(f"Messages in the broker: {lengths}, {taken} taken and not acknowledged."))
    parts.extend(
        Text(
            f"At {link} something has been due for more than five minutes and nobody takes it: does a worker run?",
            style="red",
        )
        for link in found["stuck"]
    )
    return Group(*parts)
