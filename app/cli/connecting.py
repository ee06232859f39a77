"""`site` and `erp`: what is connected, and connecting more."""

from collections.abc import Mapping
from typing import Any

import click
from rich.console import Group
from rich.table import Table
from rich.text import Text

from app.cli.completing import erp_names, site_names
from app.cli.root import json_option, main, opened, rows_table, say, show, time_text
from app.cli.typed import credential_option, credentials_from, settings_from, settings_option, with_options
from app.sync import configure, showing


@main.group()
def site() -> None:
    """Sales channels: shops and marketplaces."""


@main.group()
def erp() -> None:
    """ERPs: where items are verified and orders end up."""


_system = with_options(
    click.argument("name"),
    click.option("--platform", required=True, help="woocommerce, business_central, ..."),
    click.option("--url", required=True, help="The system's own address."),
    click.option("--allow-private", is_flag=True, help="The address may be a private or local one."),
    credential_option,
    settings_option,
)


def _asked(*, credentials: tuple[str, ...], settings: tuple[str, ...], **system: Any) -> configure.Asked:
    return configure.Asked(
        credentials=credentials_from(credentials), settings=settings_from(settings), **system
    )


@site.command("add")
@_system
@click.option("--prefix", required=True, help="Begins every order number: BGM gives BGM-12345.")
@click.option(
    "--erp", default=None, shell_complete=erp_names, help="Where its orders go, where there are several ERPs."
)
def site_add(prefix: str, erp: str | None, **system: Any) -> None:
    """Add a sales channel, or bring a removed one back."""
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
        table=lambda: rows_table(rows, "name", "platform", "url", "prefix", "active", "last_run", "next_run"),
    )


@site.command("show")
@click.argument("name", shell_complete=site_names)
@json_option
def site_show(name: str, as_json: bool) -> None:
    """One site: everything but its secrets, settings as one would type them."""
    page = showing.site_page(opened().parts, name)
    show(page, as_json=as_json, table=lambda: _page(page))


@erp.command("add")
@_system
@click.option("--company", default="", help="The company's id in the ERP.")
def erp_add(company: str, **system: Any) -> None:
    """Add an ERP, or bring a removed one back."""
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


@erp.command("show")
@click.argument("name", shell_complete=erp_names)
@json_option
def erp_show(name: str, as_json: bool) -> None:
    """One ERP: everything but its secrets, settings as one would type them."""
    page = showing.erp_page(opened().parts, name)
    show(page, as_json=as_json, table=lambda: _page(page))


def _page(page: Mapping[str, Any]) -> Group:
    head = Table(show_header=False, box=None)
    for name, value in page.items():
        if name == "settings" or (value is None and not name.endswith("_run")):
            continue
        match value:
            case bool():
                text = "yes" if value else "no"
            case list():
                text = ", ".join(value) or "none"
            case dict():
                text = ", ".join(f"{count} {what}" for what, count in value.items()) or "none yet"
            case str():
                text = value
            case _:
                text = time_text(value)
        head.add_row(name.replace("_", " "), Text(text))
    settings = Table("Setting", "Value", title="Settings", title_justify="left")
    for name, text in page["settings"].items():
        settings.add_row(Text(name), Text(text))
    return Group(head, settings)
