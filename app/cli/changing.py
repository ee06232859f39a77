"""`site` and `erp`: changing, switching on and off, and removing what is connected."""

import sys
from collections.abc import Callable
from typing import Any

import click

from app.cli.completing import erp_names, site_names
from app.cli.connecting import erp, site
from app.cli.root import json_option, opened, say, show_or_say, time_text
from app.cli.typed import credential_option, credentials_from, settings_from, settings_option, with_options
from app.errors import UsageError
from app.ports.systems import Removal
from app.sync import reconfigure, retire

_changes = with_options(
    click.option("--url", default=None, help="The system's own address."),
    click.option(
        "--allow-private/--no-allow-private",
        "allow_private",
        default=None,
        help="Whether the address may be a private or local one.",
    ),
    credential_option,
    settings_option,
    click.option(
        "--moved", is_flag=True, help="The new address is that of the same system, which has moved."
    ),
)


def _wanted(*, credentials: tuple[str, ...], settings: tuple[str, ...], **more: Any) -> reconfigure.Wanted:
    return reconfigure.Wanted(
        credentials=credentials_from(credentials), settings=settings_from(settings), **more
    )


@site.command("set")
@click.argument("name", shell_complete=site_names)
@_changes
@click.option("--erp", "erp_name", default=None, shell_complete=erp_names, help="Where its orders go.")
@json_option
def site_set(name: str, erp_name: str | None, as_json: bool, **changes: Any) -> None:
    """Change a site; what is not named stays as it is. `--set NAME=` sets back to the default."""
    changed = reconfigure.set_site(opened().parts, name, _wanted(**changes), erp=erp_name)
    _say_changed(f"site {name}", name, changed, as_json=as_json)


@erp.command("set")
@click.argument("name", shell_complete=erp_names)
@_changes
@click.option("--company", default=None, help="The company's id in the ERP.")
@json_option
def erp_set(name: str, company: str | None, as_json: bool, **changes: Any) -> None:
    """Change an ERP; what is not named stays as it is. `--set NAME=` sets back to the default."""
    changed = reconfigure.set_erp(opened().parts, name, _wanted(**changes), company=company)
    _say_changed(f"ERP {name}", name, changed, as_json=as_json)


def _say_changed(subject: str, name: str, changed: reconfigure.Changed, *, as_json: bool) -> None:
    value = {
        "name": name,
        "changed": list(changed.what),
        "unpaused": changed.unpaused,
        "released": changed.released,
        "next_run": changed.next_run,
    }
    show_or_say(value, as_json=as_json, sentence=reconfigure.sentence(changed, of=subject))


@site.command("enable")
@click.argument("name", shell_complete=site_names)
@json_option
def site_enable(name: str, as_json: bool) -> None:
    """Let the schedule read a site."""
    next_run = retire.enable_site(opened().parts, name)
    show_or_say(
        {"name": name, "active": True, "next_run": next_run},
        as_json=as_json,
        sentence=f"The site {name} is enabled. Next run: {time_text(next_run)}.",
    )


@site.command("disable")
@click.argument("name", shell_complete=site_names)
@json_option
def site_disable(name: str, as_json: bool) -> None:
    """Let no schedule read a site any more; what was read before still goes on."""
    unfinished = retire.disable_site(opened().parts, name)
    show_or_say(
        {"name": name, "active": False, "unfinished": unfinished},
        as_json=as_json,
        sentence=retire.disabled_sentence(name, unfinished),
    )


yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@site.command("remove")
@click.argument("name", shell_complete=site_names)
@yes_option
@json_option
def site_remove(name: str, yes: bool, as_json: bool) -> None:
    """Remove a site none of whose orders is in motion or held; its orders can still be looked at."""
    removal = retire.remove_site(opened().parts, name, sure=asking(yes))
    _say_removed(
        f"site {name}",
        name,
        removal,
        as_json=as_json,
        back="ordersync site add with the same name, platform, url and prefix",
    )


@erp.command("remove")
@click.argument("name", shell_complete=erp_names)
@yes_option
@json_option
def erp_remove(name: str, yes: bool, as_json: bool) -> None:
    """Remove an ERP that no site uses."""
    removal = retire.remove_erp(opened().parts, name, sure=asking(yes))
    _say_removed(
        f"ERP {name}",
        name,
        removal,
        as_json=as_json,
        back="ordersync erp add with the same name, platform, url and company",
    )


def asking(yes: bool, what: str = "Removing") -> Callable[[str], bool]:
    """Asks a person, or takes `yes` for the answer. Raises `UsageError` where nobody can be asked."""

    def sure(question: str) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            raise UsageError(f"{what} asks for a confirmation, and there is no terminal to ask; add --yes.")
        return click.confirm(question, err=True)

    return sure


def _say_removed(subject: str, name: str, removal: Removal | None, *, as_json: bool, back: str) -> None:
    if removal is None:
        say(f"The {subject} was not removed.")
        sys.exit(1)
    kept = f" What it did can still be looked at; it comes back by {back}." if removal is Removal.KEPT else ""
    value = {"name": name, "removed": removal.value}
    show_or_say(value, as_json=as_json, sentence=f"The {subject} is removed.{kept}")
