"""`export csv`: errors and orders for a spreadsheet."""

import csv
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click

from app.cli.error_filters import error_filter, filter_options
from app.cli.root import main, opened, say
from app.domain.road import State
from app.domain.words import counted
from app.errors import Misconfigured, UsageError
from app.ports.reporting import OrderFilter
from app.show import visible
from app.sync.exporting import error_rows, order_rows
from app.sync.parts import Parts


@main.group("export")
def exporting() -> None:
    """Tables for a spreadsheet. What tells the ERP is `task run export`."""


@exporting.command("csv")
@click.argument("what", type=click.Choice(["errors", "orders"]))
@filter_options
@click.option(
    "--state",
    type=click.Choice([each.value for each in State]),
    default=None,
    help="Orders in this state only.",
)
@click.option(
    "-o", "--output", "target", type=click.Path(dir_okay=False, path_type=Path), default=None,
    help="The file to be written; standard output where none is named.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--excel", is_flag=True, help="Begin with a mark by which Excel knows that it is UTF-8.")
def export_csv(
    what: str, state: str | None, target: Path | None, force: bool, excel: bool, **wishes: Any
) -> None:
    """Errors or orders as CSV with a header, amounts with all their digits, times in UTC.

    What could be a formula is written with an apostrophe before it, so that no spreadsheet runs it.
    """
    if target is not None and target.exists() and not force:
        raise UsageError(f"The file {target} is there already; --force writes over it.")
    parts = opened().parts
    rows = _errors(parts, state, wishes) if what == "errors" else _orders(parts, state, wishes)
    with _written(target) as file:
        written = _write(file, rows, excel=excel)
    if target is not None:
        say(f"Wrote {counted(written, what.removesuffix('s'))} to {target}.")


def _errors(parts: Parts, state: str | None, wishes: dict[str, Any]) -> Iterator[list[str]]:
    if state is not None:
        raise UsageError("--state is for orders; for errors there is --all.")
    return error_rows(parts, error_filter(**wishes))


def _orders(parts: Parts, state: str | None, wishes: dict[str, Any]) -> Iterator[list[str]]:
    wanted = error_filter(**wishes)
    for_errors = ("kind", "stage", "assignee", "unassigned", "resolved")
    given = [name for name in for_errors if getattr(wanted, name)]
    if given:
        name = "all" if given[0] == "resolved" else given[0]
        raise UsageError(f"--{name} is for errors.")
    chosen = None if state is None else State(state)
    return order_rows(
        parts, OrderFilter(site=wanted.site, state=chosen, text=wanted.text, since=wanted.since)
    )


@contextmanager
def _written(target: Path | None) -> Iterator[TextIO]:
    """The file, which is there when all of it is written and not before; standard output where none is named."""
    if target is None:
        # The end of a line is CSV's business.
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        yield sys.stdout
        return
    try:
        # A name that nobody else has, nor left here.
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".ordersync-")
        begun = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                begun.chmod(0o666 & ~_umask())
                yield file
            begun.replace(target)
        finally:
            begun.unlink(missing_ok=True)
    except OSError as error:
        raise Misconfigured(f"The file {target} cannot be written ({error.strerror}).") from None


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


def _write(file: TextIO, rows: Iterable[Sequence[str]], *, excel: bool) -> int:
    """Returns how many rows were written, the header not counted."""
    if excel:
        file.write("\ufeff")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    # A file has what was stored; a terminal must not be steered by it.
    shown = visible if file.isatty() else str
    written = -1
    for row in rows:
        writer.writerow([shown(each) for each in row])
        written += 1
    file.flush()
    return written
