"""`items` and `kits`: what the middleware knows of the assortment."""

import sys
from typing import TextIO

import click
from rich.text import Text

from app.bootstrap import Program, sync_items
from app.cli.completing import erp_names
from app.cli.root import json_option, main, opened, rows_table, say, show
from app.domain.words import counted
from app.errors import Misconfigured, UsageError
from app.sync.items import import_items, import_kits


@main.group()
def items() -> None:
    """Items the middleware knows."""


def _erp_id(program: Program, name: str | None) -> int:
    rows = {row.name: row.id for row in program.parts.store.erps()}
    if name is not None and name in rows:
        return rows[name]
    if name is None and len(rows) == 1:
        return next(iter(rows.values()))
    raise UsageError(f"Say which ERP with --erp (there are: {', '.join(rows) or 'none yet'}).")


_erp_option = click.option(
    "--erp", "erp_name", default=None, shell_complete=erp_names, help="Which ERP, where there are several."
)


@items.command("sync")
@_erp_option
@json_option
def items_sync(erp_name: str | None, as_json: bool) -> None:
    """Read the ERP's items that changed since the last time."""
    program = opened()
    result = sync_items(program.parts, erp_id=_erp_id(program, erp_name))
    if result.state in {"failed", "busy"} and not as_json:
        raise Misconfigured(result.reason)
    value = {
        "state": result.state,
        "read": result.read,
        "new": result.new,
        "released": result.released,
        "reason": result.reason,
    }
    show(
        value,
        as_json=as_json,
        table=lambda: Text(
            f"{counted(result.read, 'item')} read, {result.new} of them new. {result.reason}".rstrip()
        ),
    )
    if result.state in {"failed", "busy"}:
        sys.exit(1)


@items.command("import")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@_erp_option
def items_import(file: TextIO, erp_name: str | None) -> None:
    """Items from a CSV file: sku, name, status (allowed or not_allowed)."""
    program = opened()
    new = import_items(program.parts, erp_id=_erp_id(program, erp_name), lines=file)
    say(f"Imported; {counted(new, 'item')} {'is' if new == 1 else 'are'} new.")


@main.group()
def kits() -> None:
    """Kits and what they consist of."""


@kits.command("import")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
def kits_import(file: TextIO) -> None:
    """Kits from a CSV file: parent_sku, component_sku, quantity. A parent in the file is replaced as a whole."""
    count = import_kits(opened().parts, lines=file)
    say(f"{counted(count, 'kit')} imported.")


@kits.command("list")
@json_option
def kits_list(as_json: bool) -> None:
    """Every kit with its components."""
    found = opened().parts.store.kits()
    rows = [
        {"parent_sku": parent, "component_sku": each.sku, "quantity": each.quantity}
        for parent, parts in found.items()
        for each in parts
    ]
    show(rows, as_json=as_json, table=lambda: rows_table(rows, "parent_sku", "component_sku", "quantity"))
