"""`errors`: orders that need a person."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.cli.completing import open_errors
from app.cli.error_filters import error_filter, filter_options
from app.cli.root import age_text, json_option, main, opened, show, time_text
from app.domain import document
from app.domain.order import Address, Order
from app.domain.words import counted
from app.ports.desk import ErrorSort
from app.show import lines_table
from app.sync import desk


@main.group()
def errors() -> None:
    """Orders that cannot pass and need a person."""


@errors.command("list")
@filter_options
@click.option(
    "--sort",
    type=click.Choice([each.value for each in ErrorSort]),
    default=ErrorSort.AGE.value,
    show_default=True,
    help="The oldest, the dearest, by number, or the most often tried first.",
)
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=None,
    help="At most so many; 100 in a table, and with --json all.",
)
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Leave out so many at the beginning.")
@json_option
def errors_list(
    sort: str, reverse: bool, limit: int | None, offset: int, as_json: bool, **wishes: Any
) -> None:
    """The open errors, and how much money is at risk."""
    parts = opened().parts
    wanted = error_filter(**wishes)
    shown = _SHOWN if limit is None and not as_json else limit
    rows = desk.errors(parts, wanted, sort=ErrorSort(sort), reverse=reverse, limit=shown, offset=offset)
    show(
        rows,
        as_json=as_json,
        table=lambda: _errors_page(rows, at_risk=desk.errors_at_risk(parts, wanted), offset=offset),
    )


_SHOWN = 100


def _errors_page(
    rows: Sequence[Mapping[str, Any]], *, at_risk: Mapping[str, Any], offset: int
) -> RenderableType:
    if not at_risk["errors"]:
        return Text("There is no such error.")
    if not rows:
        return Text(f"There are only {at_risk['errors']}.")
    money = ", ".join(f"{amount:.2f} {currency}" for currency, amount in at_risk["money"].items())
    which = f"{offset + 1} to {offset + len(rows)} of {counted(at_risk['errors'], 'error')}"
    return Group(_errors_table(rows), Text(f"{which}; at risk: {money or 'nothing that is known'}."))


def _errors_table(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = Table("Id", "Order", "Site", "Value", "Age", "What is wrong", show_lines=True)
    for each in rows:
        where = (
            each["stage"],
            each["kind"],
            f"opened {time_text(each['opened_at'])}",
            counted(each["attempts"], "attempt"),
            each["field"] or "",
            f"resumed {each['resumed']} times" if each["resumed"] else "",
            f"with {each['assignee']}" if each["assignee"] else "",
            f"resolved {time_text(each['resolved_at'])}" if each["resolved_at"] else "",
        )
        order = each["order_number"] or f"(platform id {each['platform_order_id']})"
        value = "" if each["value"] is None else f"{each['value']:.2f} {each['currency']}"
        what = Text("\n").join([Text(", ".join(filter(None, where)), style="dim"), Text(each["reason"])])
        cells = (str(each["id"]), order, each["site"], value, age_text(each["age_seconds"]))
        table.add_row(*map(Text, cells), what)
    return table


@errors.command("show")
@click.argument("key", metavar="NUMBER", shell_complete=open_errors)
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
