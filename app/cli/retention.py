"""`archive` and `privacy`: what becomes of orders that are done."""

import sys
from collections.abc import Iterable
from dataclasses import asdict

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.cli.progress import counting
from app.cli.root import json_option, main, opened, say, show, show_or_say
from app.errors import UsageError
from app.sync import archive as archiving
from app.sync import privacy as erasing

REFUSED = 3


@main.command("archive")
@click.option(
    "--days",
    type=int,
    default=None,
    help="Unchanged for so many days; ORDERSYNC_ARCHIVE_DAYS where not given.",
)
@click.option("--dry-run", is_flag=True, help="Only count.")
@json_option
def run_archive(days: int | None, dry_run: bool, as_json: bool) -> None:
    """Move orders that are done, closed or skipped and have long been unchanged to the archive tables.

    They are still found by `order show`, `trace`, `audit verify` and `reconcile`. Orders about which anything is open stay, as
    do the very newest. It may be stopped at any time and run again.
    """
    program = opened()
    days = program.settings.archive_days if days is None else days
    if days == 0:
        raise UsageError("ORDERSYNC_ARCHIVE_DAYS is 0, which is never; say which orders with --days N.")
    parts = program.parts
    total = archiving.ripe(parts, days=days)
    if dry_run:
        result = archiving.ArchiveResult(orders=total, rows=0, days=days, dry_run=True)
    else:
        with counting("Orders moved to the archive", total) as progress:
            result = archiving.archive(parts, days=days, progress=progress)
    show_or_say(asdict(result), as_json=as_json, sentence=archiving.sentence(result))


@main.group()
def privacy() -> None:
    """Personal data, and forgetting it."""


@privacy.command("erase")
@click.argument("orders", metavar="ORDER", nargs=-1)
@click.option(
    "--email", default=None, metavar="ADDRESS", help="All orders in which this e-mail address stands."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show of which orders.")
@json_option
def privacy_erase(
    orders: tuple[str, ...], email: str | None, yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Erase the personal data of orders that have come to their end, also in the archive. It cannot be undone.

    Amounts, SKUs, dates, document numbers and the events with their seals stay. Copies of rows that were written over earlier
    may be in the database's files until its next VACUUM. Exit code 3: some orders were refused, since their data is still needed.
    """
    parts = opened().parts
    subjects = erasing.find(parts, orders=orders, email=email)
    planned = erasing.erase(parts, subjects, dry_run=True)
    if planned.orders and not dry_run and not yes:
        for each in planned.refused:
            say(f"{each.order} is left alone. {each.reason}")
        say(erasing.sentence(planned))
        click.confirm("Erase it?", abort=True, err=True)
    result = planned if dry_run else erasing.erase(parts, subjects, email=email)
    show({**asdict(result), "elsewhere": erasing.ELSEWHERE}, as_json=as_json, table=lambda: _page(result))
    if result.refused:
        sys.exit(REFUSED)


def _page(result: erasing.Erasure) -> RenderableType:
    parts: list[RenderableType] = [Text(erasing.sentence(result))]
    if result.refused:
        parts.append(_refusals(result.refused))
    if result.orders:
        parts.append(Text(erasing.ELSEWHERE, style="yellow"))
    return Group(*parts)


def _refusals(refused: Iterable[erasing.Refusal]) -> Table:
    table = Table("Order", "Why its data was not erased")
    for each in refused:
        table.add_row(Text(each.order), Text(each.reason))
    return table
