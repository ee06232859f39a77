"""What all commands share: the group itself, its consoles, and how answers are shown."""

import getpass
import importlib
import os
import pkgutil
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

import app.cli
from app import __version__
from app.bootstrap import Program, open_program
from app.errors import Misconfigured, OrderSyncError, UsageError
from app.logs import process_name, set_up_logging
from app.settings import Settings, load_settings
from app.show import VisibleConsole, json_text

OUT = VisibleConsole()
ERR = VisibleConsole(stderr=True)


def say(text: str) -> None:
    """A sentence for a person, as it is: not wrapped where it is read by a program, and not taken for markup."""
    ERR.print(text, markup=False, highlight=False, soft_wrap=True)


_HOMES = {
    "errors": "desk",
    "export": "exporting",
    "limits": "limiting",
    "order": "looking",
    "status": "looking",
}
"""Commands that people look with, and the module each is in: it alone is imported, which is half of the time they take."""


class _Commands(click.Group):
    """Turns named failures into one sentence on standard error and an exit code.

    The commands are in the modules of this package, which are imported when they are asked for.
    """

    group_class = type
    """The groups within are of this kind as well: some of their commands are in other modules."""

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if self is main and name in _HOMES:
            importlib.import_module(f"app.cli.{_HOMES[name]}")
        found = super().get_command(context, name)
        if found is None:
            _import_all()
            found = super().get_command(context, name)
        return found

    def list_commands(self, context: click.Context) -> list[str]:
        _import_all()
        return super().list_commands(context)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except UsageError as error:
            self._end(error.reason, 2)
        except OrderSyncError as error:
            self._end(error.reason, 1)

    def _end(self, reason: str, code: int) -> NoReturn:
        say(f"ordersync: {reason}")
        raise SystemExit(code)


def _import_all() -> None:
    for module in pkgutil.iter_modules(app.cli.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"app.cli.{module.name}")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ordersync")
@click.option("-v", "--verbose", is_flag=True, help="Show what happens, step by step.")
@click.pass_context
def main(context: click.Context, verbose: bool) -> None:
    """Keep orders in step between sales channels and an ERP."""
    process = process_name([context.invoked_subcommand or ""], named=os.environ.get("ORDERSYNC_PROCESS"))
    set_up_logging(process=process, settings=_settings_to_log_by(), verbose=verbose)


def _settings_to_log_by() -> Settings | None:
    """None where they cannot be used: the command that needs them says so, and one that does not (`--help`) still works."""
    try:
        return load_settings()
    except Misconfigured:
        return None


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


_LONGEST_NAME = 60


def person() -> str:
    """Who runs this command, as the audit trail names them."""
    try:
        name = os.environ.get("ORDERSYNC_USER", "").strip() or getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return name.encode(errors="replace").decode()[:_LONGEST_NAME]


def opened(*, by: str = "") -> Program:
    """The program on the settings of this process; `by` is how the audit trail names the process, where not by who runs it."""
    return open_program(load_settings(), by=by or f"cli:{person()}")


def show(value: Any, *, as_json: bool, table: Callable[[], RenderableType]) -> None:
    """An answer, as JSON for scripts or as a table for people."""
    if as_json:
        click.echo(json_text(value))
    else:
        OUT.print(table())


def show_or_say(value: Any, *, as_json: bool, sentence: str) -> None:
    """What a command did, as JSON for scripts or as a sentence for people."""
    if as_json:
        click.echo(json_text(value))
    else:
        say(sentence)


def exit_code(report: Mapping[str, Any]) -> int:
    """The exit code of a command that ran orders: 1 where the run failed or goes on, 3 where orders need a person, else 0."""
    if report["state"] in {"failed", "moving"}:
        return 1
    # A run that ended well and has something to say has found something.
    found = report["state"] == "finished" and report["reason"]
    return 3 if report["held"] or report["rejected"] or found else 0


def time_text(moment: datetime | None) -> str:
    """A time as a table shows it."""
    return "never" if moment is None else moment.strftime("%Y-%m-%d %H:%M UTC")


def age_text(seconds: float) -> str:
    """How long something has lasted, in the two units that tell most."""
    minutes = int(seconds) // 60
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def rows_table(rows: list[dict[str, Any]], *columns: str) -> Table:
    """A table of these columns."""
    table = Table(*(name.replace("_", " ") for name in columns))
    for row in rows:
        table.add_row(*(Text(_cell(row[name], name)) for name in columns))
    return table


def _cell(value: Any, name: str) -> str:
    match value:
        case None:
            return "never" if name.endswith("_run") else ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return time_text(value)
        case _:
            return str(value)
