"""What several commands take: credentials, settings, an address; and how what was typed is read."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from app.errors import UsageError

Command = Callable[..., Any]

credential_option = click.option(
    "--credential",
    "credentials",
    multiple=True,
    metavar="NAME=VALUE",
    help="Or NAME=env:VARIABLE, NAME=file:PATH.",
)
settings_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting; see the connector's README.",
)


def with_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """A command with these options, shown in this order."""

    def added(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return added


def settings_from(given: tuple[str, ...], *, option: str = "--set") -> dict[str, str]:
    """`name=value` pairs, as given to this option. Raises `UsageError`."""
    found: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} {each!r} must look like name=value.")
        found[name] = value
    return found


def credentials_from(given: tuple[str, ...]) -> dict[str, str]:
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
