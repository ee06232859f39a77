"""`site` and `erp`: what is connected."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from app.cli.root import json_option, main, opened, rows_table, say, show
from app.errors import UsageError
from app.sync import configure


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
    configure.add_site(opened().parts, asked, prefix=prefix, erp=erp)
    say(f"The site {asked.name} is added. Read it now with: ordersync sync {asked.name}")


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
        for each in opened().parts.store.sites()
    ]
    show(
        rows,
        as_json=as_json,
        table=lambda: rows_table(rows, "name", "platform", "url", "prefix", "last_run", "next_run"),
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
    configure.add_erp(opened().parts, asked, company=company)
    say(f"The ERP {asked.name} is added. Read its items now with: ordersync items sync")


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
        for each in opened().parts.store.erps()
    ]
    show(
        rows,
        as_json=as_json,
        table=lambda: rows_table(rows, "name", "platform", "url", "company", "items_last_run"),
    )


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
