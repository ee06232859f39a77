"""`secrets`: which key opens what is stored, and another key in its place."""

import sys
from dataclasses import asdict
from typing import Any

import click
from rich.console import Group
from rich.table import Table
from rich.text import Text

from app import rotation
from app.cli.root import json_option, main, opened, say, show
from app.domain.words import counted
from app.errors import UsageError

UNREADABLE = 3
"""The exit code of a rotation where something stored is opened by none of the keys."""


@main.group()
def secrets() -> None:
    """The key that credentials are stored with."""


@secrets.command("show")
@json_option
def secrets_show(as_json: bool) -> None:
    """Which key opens what is stored, by the keys' ids; never a key or a credential."""
    found = rotation.show(opened())
    value = {
        "held_in": found.held_in,
        "keys": list(found.keys),
        "stored": [{"what": what, "key": key} for what, key in found.under],
    }
    show(value, as_json=as_json, table=lambda: _page(found))


def _page(found: rotation.Shown) -> Group:
    newest, *older = found.keys
    before = f", before it {', '.join(older)}" if older else ""
    table = Table("Stored", "Key")
    for what, key in found.under:
        table.add_row(
            Text(what), Text("none of them opens it", style="bold red") if key is None else Text(key)
        )
    return Group(Text(f"The key {newest}{before}, in {found.held_in}."), table)


@secrets.command("rotate")
@click.option("--finish", is_flag=True, help="Forget the key before, once nothing is stored with it.")
@click.option(
    "--by-hand",
    is_flag=True,
    help="Only make a key: for keys that are held in several places, such as two machines.",
)
@json_option
def secrets_rotate(finish: bool, by_hand: bool, as_json: bool) -> None:
    """Store everything with a new key. The one before stays beside it until `--finish`, so that all processes go on.

    May be broken off and said again at any time; several that run at once make one key. Where the key is in ORDERSYNC_SECRET_KEY or
    in a file that cannot be written, it says what to put there. Exit code 3: some of what is stored none of the keys opens.
    """
    if finish and by_hand:
        raise UsageError("Say either --finish or --by-hand.")
    program = opened()
    done = rotation.finish(program) if finish else rotation.rotate(program, by_hand=by_hand)
    if as_json:
        show(_value(done), as_json=True, table=lambda: "")
    else:
        _say(done, finish=finish)
    if done.unreadable:
        sys.exit(UNREADABLE)


def _value(done: rotation.Rotated) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(done).items()}


def _say(done: rotation.Rotated, *, finish: bool) -> None:
    """What was done, and what is left to be done by a person. The one thing on standard output is a key to be taken over."""
    if done.new_key:
        say(f"Put this into {done.held_in} for every process, start all of them again, and rotate once more:")
        click.echo(done.new_key)
        return
    newest, *older = done.keys
    if done.made:
        say(f"The new key is {newest}; {older[0]} stays beside it in {done.held_in}.")
        say(
            f"Copy {done.held_in} to where you keep the key apart, now: the copy there no longer opens what is stored."
        )
    if done.moved:
        say(f"Stored with {newest} from now on: {counted(done.moved, 'secret')}.")
    for what in done.unreadable:
        say(
            f"None of the keys opens the credentials of {what}; put their key behind the others and rotate once more."
        )
    if done.by_hand and done.dropped:
        say(
            f"Nothing needs {', '.join(done.dropped)} any more: leave only the first key in {done.held_in}, and start all again."
        )
    elif done.dropped:
        say(
            f"Dropped: {', '.join(done.dropped)}. Backups from before can be read only with it: the copy of it stays where they are."
        )
    elif older and not done.unreadable:
        say(
            f"Everything is stored with {newest}. Once a copy of {done.held_in} lies beside the backups, which need the older key, "
            f"forget {', '.join(older)} with: ordersync secrets rotate --finish"
        )
    elif finish or not (done.made or done.moved):
        say(f"Everything is stored with {newest}, the one key there is.")
