"""`errors report`: the monthly review of the error desk."""

from collections.abc import Iterator, Mapping
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.cli.desk import errors
from app.cli.root import age_text, json_option, opened, show
from app.sync.error_report import error_report


@errors.command("report")
@click.option("--month", default="", help="Such as 2026-10; the month that ended last where none is named.")
@json_option
def errors_report(month: str, as_json: bool) -> None:
    """What a month brought: opened, resolved and still open, how it was resolved, and what is at risk."""
    report = error_report(opened().parts, month=month)
    show(report, as_json=as_json, table=lambda: Group(*_page(report)))


def _page(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    counts = (f"{report[name]} {name.replace('_', ' ')}" for name in ("opened", "resolved", "still_open"))
    yield Text(f"Errors of {report['month']} (UTC): {', '.join(counts)}.")
    if report["by_site_and_kind"]:
        table = Table("Site", "Kind", "Opened", "Resolved", "Still open")
        for each in report["by_site_and_kind"]:
            table.add_row(*(Text(str(value)) for value in each.values()))
        yield table
    if report["resolved"]:
        words = ", ".join(f"{number} {how or 'unknown'}" for how, number in report["resolutions"].items())
        yield Text(f"Resolved: {words}.")
        median, longest = (age_text(report[name]) for name in ("median_seconds", "longest_seconds"))
        yield Text(f"Time to resolve: {median} in the middle, {longest} at the longest.")
    if report["oldest"]:
        money = ", ".join(f"{amount:.2f} {currency}" for currency, amount in report["at_risk"].items())
        yield Text(f"At risk: {money or 'nothing that is known'}.")
        table = Table("Id", "Order", "Site", "Kind", "Value", "Age", title="The oldest", title_justify="left")
        for each in report["oldest"]:
            order = each["order_number"] or f"(platform id {each['platform_order_id']})"
            value = "" if each["value"] is None else f"{each['value']:.2f} {each['currency']}"
            cells = (str(each["id"]), order, each["site"], each["kind"], value)
            table.add_row(*map(Text, cells), age_text(each["age_seconds"]))
        yield table
