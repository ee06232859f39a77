"""`status` and `order`: how sites and orders stand."""

from collections.abc import Mapping
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from app.cli.completing import site_names
from app.cli.root import OUT, json_option, main, opened, show, time_text
from app.domain.road import State
from app.errors import Misconfigured
from app.show import json_text, order_page, orders_table
from app.sync.overview import orders_of


@main.command()
@json_option
def status(as_json: bool) -> None:
    """When each site was read last and is read next, and how its orders stand."""
    program = opened()
    store = program.parts.store
    totals = store.totals()
    now = store.now()
    value = {
        "now": now,
        "pending": totals["pending"],
        "open_errors": totals["errors"],
        "sites": [
            {
                "name": site.name,
                "platform": site.platform,
                "active": site.is_active and site.orders_sync,
                "last_run": site.order_last_run,
                "next_run": site.order_next_run,
                "paused": site.paused_reason if site.paused_until and site.paused_until > now else None,
                "orders": totals["sites"].get(site.name, {}),
            }
            for site in store.sites()
        ],
        "erps": [
            {
                "name": row.name,
                "platform": row.platform,
                "items_last_run": row.items_last_run,
                "paused": row.paused_reason if row.paused_until and row.paused_until > now else None,
            }
            for row in store.erps()
        ],
    }
    show(value, as_json=as_json, table=lambda: _status_table(value))


def _status_table(value: Mapping[str, Any]) -> Table:
    table = Table(
        "Site",
        "Platform",
        "Last run",
        "Next run",
        "Orders",
        "",
        title=f"{value['pending']} orders pending export",
    )
    for site in value["sites"]:
        orders = (
            ", ".join(f"{count} {state}" for state, count in sorted(site["orders"].items())) or "none yet"
        )
        note = site["paused"] or ("" if site["active"] else "disabled")
        times = (time_text(site["last_run"]), time_text(site["next_run"]))
        table.add_row(*map(Text, (site["name"], site["platform"], *times, orders, note)))
    return table


@main.group()
def order() -> None:
    """Orders and how they stand."""


@order.command("list")
@click.option("--site", "site_name", default=None, shell_complete=site_names, help="Of this site only.")
@click.option(
    "--state", type=click.Choice([each.value for each in State]), default=None, help="In this state only."
)
@click.option(
    "--amended", is_flag=True, help="Only those that the platform has changed since they were sent."
)
@click.option("--limit", default=100, show_default=True, help="At most so many, the newest first.")
@json_option
def order_list(site_name: str | None, state: str | None, amended: bool, limit: int, as_json: bool) -> None:
    """The latest orders."""
    wanted = None if state is None else State(state)
    found = orders_of(opened().parts, site=site_name, state=wanted, limit=limit, amended=amended)
    rows = [
        {
            "order": each.order_number,
            "site": each.site,
            "platform_order_id": each.platform_order_id,
            "state": each.state,
            "stage": each.stage,
            "reason": each.reason,
            "total": each.total,
            "currency": each.currency,
            "acknowledged": each.acknowledged,
            "erp_document": each.erp_document,
            "updated_at": each.updated_at,
            "amended": each.amended,
        }
        for each in found
    ]
    show(rows, as_json=as_json, table=lambda: orders_table(found))


@order.command("show")
@click.argument("number")
@json_option
def order_show(number: str, as_json: bool) -> None:
    """One order: header, lines, what is owed, errors and its life so far. NUMBER is ours or the platform's id."""
    details = opened().parts.store.order_details(number)
    if details is None:
        raise Misconfigured(f"There is no order {number!r}.")
    if as_json:
        click.echo(json_text(details))
        return

    for part in order_page(details):
        OUT.print(part)
