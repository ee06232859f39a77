"""`site hooks`: the webhooks by which a platform tells us of its orders at once."""

import sys

import click

from app.cli.changing import asking, yes_option
from app.cli.completing import site_names
from app.cli.connecting import site
from app.cli.root import json_option, opened, say, show_or_say
from app.sync import hook_setup

_site = click.argument("name", metavar="SITE", shell_complete=site_names)


@site.group("hooks")
def hooks() -> None:
    """Webhooks: the platform tells of an order at once. What none tells of is still found by polling."""


@hooks.command("install")
@_site
@click.option(
    "--url",
    "base_url",
    required=True,
    metavar="BASE",
    help="Where `ordersync web` is reached from outside, such as https://orders.example.com.",
)
@click.option(
    "--rotate", is_flag=True, help="Sign with a new secret; the one before is still believed until the next."
)
@json_option
def hooks_install(name: str, base_url: str, rotate: bool, as_json: bool) -> None:
    """Let the platform send its webhooks to BASE/hooks/SITE/TOPIC. May be done again at any time."""
    done = hook_setup.install(opened().parts, name, base_url=base_url, rotate=rotate)
    _say_done(name, done, as_json=as_json, sentence=hook_setup.installed_sentence(name, done, rotate=rotate))


@hooks.command("check")
@_site
@json_option
def hooks_check(name: str, as_json: bool) -> None:
    """See that the platform still sends them, and set right what it does not; beat does so once a day."""
    done = hook_setup.check(opened().parts, name)
    _say_done(name, done, as_json=as_json, sentence=hook_setup.checked_sentence(name, done))


def _say_done(name: str, done: hook_setup.Done, *, as_json: bool, sentence: str) -> None:
    value = {
        "name": name,
        "url": done.url,
        "topics": list(done.topics),
        "created": sorted(done.created),
        "reactivated": sorted(done.mended),
        "removed": len(done.removed),
    }
    show_or_say(value, as_json=as_json, sentence=sentence)


@hooks.command("remove")
@_site
@yes_option
@json_option
def hooks_remove(name: str, yes: bool, as_json: bool) -> None:
    """Take the webhooks away; orders come by polling alone then."""
    parts = opened().parts
    if not asking(yes)(hook_setup.removal_question(name)):
        say(f"The webhooks of {name} were not removed.")
        sys.exit(1)
    removed = hook_setup.remove(parts, name)
    show_or_say(
        {"name": name, "removed": removed},
        as_json=as_json,
        sentence=hook_setup.removed_sentence(name, removed),
    )
