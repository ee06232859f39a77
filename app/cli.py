"""The command line. Every command makes one call to a use-case and shows its answer; `--json` prints it for scripts.

Exit codes: 0 done, 1 failed, 2 wrong use.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app import __version__, demo
from app.bootstrap import Program, inline, open_program, pipeline, prepare_database, sync_items
from app.celery_door import Workers, wait_for_run
from app.domain.road import State
from app.errors import Misconfigured, OrderSyncError, UsageError
from app.logs import set_up_logging
from app.ports.store import Run
from app.runtime import some_broker
from app.settings import load_settings
from app.show import RunProgress, json_text, order_page, orders_table, run_table
from app.sync import configure
from app.sync.items import import_items, import_kits
from app.sync.overview import orders_of, run_report
from app.sync.parts import site_named

_out = Console()
_err = Console(stderr=True)


def _say(text: str) -> None:
    """A sentence for a person, as it is: not wrapped where it is read by a program, and not taken for markup."""
    _err.print(text, markup=False, highlight=False, soft_wrap=True)


class _Commands(click.Group):
    """Turns named failures into one sentence on standard error and an exit code."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except UsageError as error:
            self._end(error.reason, 2)
        except OrderSyncError as error:
            self._end(error.reason, 1)

    def _end(self, reason: str, code: int) -> NoReturn:
        _say(f"ordersync: {reason}")
        raise SystemExit(code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ordersync")
@click.option("-v", "--verbose", is_flag=True, help="Show what happens, step by step.")
def main(verbose: bool) -> None:
    """Keep orders in step between sales channels and an ERP."""
    set_up_logging(level=logging.INFO if verbose else logging.WARNING)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def _program() -> Program:
    return open_program(load_settings())


def _show(value: Any, *, as_json: bool, table: Callable[[], Table | Text]) -> None:
    if as_json:
        click.echo(json_text(value))
    else:
        _out.print(table())


def _settings(given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {name!r} must look like name=value.")
        found[name] = value
    return found


def _credentials(given: tuple[str, ...]) -> dict[str, str]:
    """`name=value`, `name=env:VARIABLE` or `name=file:PATH`; the last two keep secrets out of the shell's history."""
    found: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            # What was typed is not repeated: without a name it is the secret itself.
            raise UsageError("Each --credential must look like name=value.")
        found[name] = value
        kind, _, rest = value.partition(":")
        if kind == "env":
            if rest not in os.environ:
                raise UsageError(
                    f"The credential {name} is to come from the environment variable {rest}, which is not set."
                )
            found[name] = os.environ[rest]
        elif kind == "file":
            try:
                found[name] = Path(rest).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise UsageError(
                    f"The credential {name} cannot be read from {rest} ({error.strerror})."
                ) from None
            except UnicodeDecodeError:
                raise UsageError(
                    f"The credential {name} cannot be read from {rest} (it is no text in UTF-8)."
                ) from None
    return found


@main.command()
def migrate() -> None:
    """Bring the database to the schema of this program."""
    prepare_database(load_settings())
    _say("The database is up to date.")


@main.command("demo")
@click.option("--once", is_flag=True, help="End when every order has reached an end; the last line is JSON.")
@click.option(
    "--orders", default=0, help="So many generated orders besides the recorded ones.", show_default=True
)
@click.option(
    "--latency-ms", default=0, help="What each call to shop and ERP takes in addition.", show_default=True
)
def run_demo(once: bool, orders: int, latency_ms: int) -> None:
    """A shop, an ERP and everything between them on this machine."""
    sys.exit(demo.run(demo.Wishes(once=once, orders=orders, latency_ms=latency_ms), console=_out))


@main.command()
@json_option
def status(as_json: bool) -> None:
    """When each site was read last and is read next, and how its orders stand."""
    program = _program()
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
    _show(value, as_json=as_json, table=lambda: _status_table(value))


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
        times = (_time(site["last_run"]), _time(site["next_run"]))
        table.add_row(*map(Text, (site["name"], site["platform"], *times, orders, note)))
    return table


def _time(moment: datetime | None) -> str:
    return "never" if moment is None else moment.strftime("%Y-%m-%d %H:%M UTC")


@main.group()
def site() -> None:
    """Sales channels: shops and marketplaces."""


_system_options: list[Callable[[Any], Any]] = [
    click.argument("name"),
    click.option("--platform", required=True, help="woocommerce, business_central, ..."),
    click.option("--url", required=True, help="The system's own address."),
    click.option("--allow-private", is_flag=True, help="The address may be a private or local one."),
    click.option(
        "--credential",
        "credentials",
        multiple=True,
        metavar="NAME=VALUE",
        help="Or NAME=env:VARIABLE, NAME=file:PATH.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="A setting; see the connector's README.",
    ),
]


def _system(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_system_options):
        command = option(command)
    return command


def _asked(*, credentials: tuple[str, ...], settings: tuple[str, ...], **system: Any) -> configure.Asked:
    return configure.Asked(credentials=_credentials(credentials), settings=_settings(settings), **system)


@site.command("add")
@_system
@click.option("--prefix", required=True, help="Begins every order number: BGM gives BGM-12345.")
@click.option("--erp", default=None, help="Where its orders go, where there are several ERPs.")
def site_add(prefix: str, erp: str | None, **system: Any) -> None:
    """Add a sales channel."""
    asked = _asked(**system)
    configure.add_site(_program().parts, asked, prefix=prefix, erp=erp)
    _say(f"The site {asked.name} is added. Read it now with: ordersync sync {asked.name}")


@site.command("list")
@json_option
def site_list(as_json: bool) -> None:
    """The sales channels there are; credentials are never shown."""
    rows = [
        {
            "name": each.name,
            "platform": each.platform,
            "url": each.url,
            "prefix": each.prefix,
            "active": each.is_active and each.orders_sync,
            "last_run": each.order_last_run,
            "next_run": each.order_next_run,
            "settings": each.settings,
        }
        for each in _program().parts.store.sites()
    ]
    _show(
        rows,
        as_json=as_json,
        table=lambda: _rows(rows, "name", "platform", "url", "prefix", "last_run", "next_run"),
    )


@main.group()
def erp() -> None:
    """ERPs: where items are verified and orders end up."""


@erp.command("add")
@_system
@click.option("--company", default="", help="The company's id in the ERP.")
def erp_add(company: str, **system: Any) -> None:
    """Add an ERP."""
    asked = _asked(**system)
    configure.add_erp(_program().parts, asked, company=company)
    _say(f"The ERP {asked.name} is added. Read its items now with: ordersync items sync")


@erp.command("list")
@json_option
def erp_list(as_json: bool) -> None:
    """The ERPs there are; credentials are never shown."""
    rows = [
        {
            "name": each.name,
            "platform": each.platform,
            "url": each.url,
            "company": each.company,
            "items_last_run": each.items_last_run,
            "items_next_run": each.items_next_run,
            "settings": each.settings,
        }
        for each in _program().parts.store.erps()
    ]
    _show(
        rows,
        as_json=as_json,
        table=lambda: _rows(rows, "name", "platform", "url", "company", "items_last_run"),
    )


def _rows(rows: list[dict[str, Any]], *columns: str) -> Table:
    table = Table(*(name.replace("_", " ") for name in columns))
    for row in rows:
        cells = (_time(row[name]) if name.endswith("_run") else str(row[name]) for name in columns)
        table.add_row(*map(Text, cells))
    return table


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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


_erp_option = click.option("--erp", "erp_name", default=None, help="Which ERP, where there are several.")


@items.command("sync")
@_erp_option
@json_option
def items_sync(erp_name: str | None, as_json: bool) -> None:
    """Read the ERP's items that changed since the last time."""
    program = _program()
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
    _show(
        value,
        as_json=as_json,
        table=lambda: Text(
            f"{_counted(result.read, 'item')} read, {result.new} of them new. {result.reason}".rstrip()
        ),
    )
    if result.state in {"failed", "busy"}:
        sys.exit(1)


@items.command("import")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
@_erp_option
def items_import(file: TextIO, erp_name: str | None) -> None:
    """Items from a CSV file: sku, name, status (allowed or not_allowed)."""
    program = _program()
    new = import_items(program.parts, erp_id=_erp_id(program, erp_name), lines=file)
    _say(f"Imported; {_counted(new, 'item')} {'is' if new == 1 else 'are'} new.")


@main.group()
def kits() -> None:
    """Kits and what they consist of."""


@kits.command("import")
@click.argument("file", type=click.File(encoding="utf-8-sig"))
def kits_import(file: TextIO) -> None:
    """Kits from a CSV file: parent_sku, component_sku, quantity. A parent in the file is replaced as a whole."""
    count = import_kits(_program().parts, lines=file)
    _say(f"{_counted(count, 'kit')} imported.")


@kits.command("list")
@json_option
def kits_list(as_json: bool) -> None:
    """Every kit with its components."""
    found = _program().parts.store.kits()
    rows = [
        {"parent_sku": parent, "component_sku": each.sku, "quantity": each.quantity}
        for parent, parts in found.items()
        for each in parts
    ]
    _show(rows, as_json=as_json, table=lambda: _rows(rows, "parent_sku", "component_sku", "quantity"))


@main.command()
@click.argument("name", metavar="SITE")
@click.option(
    "--inline", "in_process", is_flag=True, help="Run it in this process, without broker and worker."
)
@click.option("--timeout", "patience", default=600.0, show_default=True, help="Seconds to wait for the end.")
@json_option
def sync(name: str, in_process: bool, patience: float, as_json: bool) -> None:
    """Read one site now and take its orders all the way to the ERP."""
    with (
        _inline_run(name, patience) if in_process else _celery_run(name, patience) as (program, run, settled)
    ):
        report = run_report(program.parts, run, site=name, settled=settled)
    if as_json:
        click.echo(json_text(report))
    else:
        _out.print(run_table(report))
    if not settled:
        _say(f"Some orders are still in motion after {patience:g} seconds; they go on by themselves.")
    if not settled or run.state == "failed":
        sys.exit(1)


@contextmanager
def _inline_run(name: str, patience: float) -> Iterator[tuple[Program, Run, bool]]:
    program = _program()
    found = site_named(program.parts, name)
    road = inline.InlineRoad(program.parts)
    run_id = program.parts.store.open_run(kind="orders", site_id=found.id)
    pipeline.fetch(program.parts, site_id=found.id, run_id=run_id, ring=road.ring)
    with RunProgress(_err) as progress:
        settled = road.run_until_settled(run_id, progress=progress, patience=patience)
    yield program, program.parts.store.run(run_id), settled


@contextmanager
def _celery_run(name: str, patience: float) -> Iterator[tuple[Program, Run, bool]]:
    settings = load_settings()
    program = open_program(settings)
    # Before a broker is started for it.
    found = site_named(program.parts, name)
    with some_broker(settings) as url:
        workers = Workers(settings, url=url)
        with workers.some() as own, RunProgress(_err) as progress:
            run_id = program.parts.store.open_run(kind="orders", site_id=found.id)
            workers.send("fetch", site_id=found.id, run_id=run_id)
            run, settled = wait_for_run(
                program, workers, run_id, patience=patience, progress=progress, own_beat=own
            )
        yield program, run, settled


@main.group()
def order() -> None:
    """Orders and how they stand."""


@order.command("list")
@click.option("--site", "site_name", default=None, help="Of this site only.")
@click.option(
    "--state", type=click.Choice([each.value for each in State]), default=None, help="In this state only."
)
@click.option("--limit", default=100, show_default=True, help="At most so many, the newest first.")
@json_option
def order_list(site_name: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """The latest orders."""
    found = orders_of(
        _program().parts, site=site_name, state=None if state is None else State(state), limit=limit
    )
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
        }
        for each in found
    ]
    _show(rows, as_json=as_json, table=lambda: orders_table(found))


@order.command("show")
@click.argument("number")
@json_option
def order_show(number: str, as_json: bool) -> None:
    """One order: header, lines, what is owed, errors and its life so far. NUMBER is ours or the platform's id."""
    details = _program().parts.store.order_details(number)
    if details is None:
        raise Misconfigured(f"There is no order {number!r}.")
    if as_json:
        click.echo(json_text(details))
        return

    for part in order_page(details):
        _out.print(part)
