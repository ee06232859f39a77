"""`errors`: orders that need a person."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.cli.completing import site_names
from app.cli.root import json_option, main, opened, show, time_text
from app.domain import document
from app.domain.order import Address, Order
from app.domain.road import LINKS
from app.domain.words import counted
from app.show import lines_table
from app.sync import desk


@main.group()
def errors() -> None:
    """Orders that cannot pass and need a person."""


@errors.command("list")
@click.option("--site", "site_name", default=None, shell_complete=site_names, help="Of this site only.")
@click.option("--kind", default=None, help="Of this kind only, such as bad_sku.")
@click.option(
    "--stage", type=click.Choice([str(each) for each in LINKS]), default=None, help="At this step only."
)
@click.option("--all", "resolved", is_flag=True, help="Those that were resolved as well.")
@json_option
def errors_list(
    site_name: str | None, kind: str | None, stage: str | None, resolved: bool, as_json: bool
) -> None:
    """The open errors, the oldest first."""
    rows = desk.errors(opened().parts, site=site_name, kind=kind, stage=stage, resolved=resolved)
    show(rows, as_json=as_json, table=lambda: _errors_table(rows))


def _errors_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    if not rows:
        return Text("There is no such error.")
    table = Table("Id", "Order", "Site", "What is wrong", show_lines=True)
    for each in rows:
        where = (
            each["stage"],
            each["kind"],
            "" if each["value"] is None else f"{each['value']:.2f} {each['currency']}",
            f"opened {time_text(each['opened_at'])}",
            counted(each["attempts"], "attempt"),
            each["field"] or "",
            f"resolved {time_text(each['resolved_at'])}" if each["resolved_at"] else "",
        )
        order = each["order_number"] or f"(platform id {each['platform_order_id']})"
        what = Text("\n").join([Text(", ".join(filter(None, where)), style="dim"), Text(each["reason"])])
        table.add_row(Text(str(each["id"])), Text(order), Text(each["site"]), what)
    return table


@errors.command("show")
@click.argument("key", metavar="NUMBER")
@json_option
def errors_show(key: str, as_json: bool) -> None:
    """One error with the order so far, and what it would take. NUMBER is the order's, or the error's id."""
    found = desk.errors_of(opened().parts, key)
    show(found, as_json=as_json, table=lambda: Group(*(part for each in found for part in _error_page(each))))


def _error_page(error: Mapping[str, Any]) -> Iterator[RenderableType]:
    head = Table(show_header=False, box=None)
    for name in ("id", "order_number", "site", "platform_order_id", "stage", "kind", "field", "attempts"):
        if error[name] not in {None, ""}:
            head.add_row(name.replace("_", " "), Text(str(error[name])))
    head.add_row("opened", Text(time_text(error["opened_at"])))
    if error["resolved_at"]:
        head.add_row("resolved", Text(f"{time_text(error['resolved_at'])}: {error['resolution']}"))
    yield head
    yield Text(error["reason"], style="dim" if error["resolved_at"] else "red")
    if error["takes"]:
        yield Text(error["takes"], style="yellow")
    if error["document"] is None:
        yield Text("The order could not be read so far; what the shop showed is stored in rm_inbox.")
    else:
        yield from _order_page(document.load(error["document"]))
    yield Text("")


def _order_page(order: Order) -> Iterator[RenderableType]:
    head = Table(show_header=False, box=None)
    for name, text in (
        ("placed", time_text(order.created_at)),
        ("status in the shop", order.status),
        ("total", f"{order.total} {order.currency}"),
        ("paid by", f"{order.payment.title} ({order.payment.method})"),
        ("billed to", _address(order.bill)),
        ("shipped to", _address(order.ship)),
        ("note", order.customer_note),
    ):
        if text:
            head.add_row(name, Text(text))
    yield head
    yield lines_table(
        [
            {name: getattr(line, name) for name in ("position", "parent", "sku", "name", "quantity")}
            | {
                "line_type": int(line.type),
                "amount": line.amount,
                "credit": line.credit,
                "nominal": line.nominal,
            }
            for line in order.lines
        ]
    )


def _address(address: Address) -> str:
    place = f"{address.postcode} {address.city}".strip()
    parts = (
        *(address.name, address.company, address.address1, address.address2, place),
        *(address.state, address.country, address.email, address.phone),
    )
    return ", ".join(part for part in parts if part)
