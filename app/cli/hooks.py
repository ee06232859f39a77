"""`site hooks`: the webhooks by which a platform tells us of its orders at once."""

import sys

import click

from app.cli.changing import asking, yes_option
from app.cli.completing import site_names
from app.cli.connecting import site
from app.cli.root import json_option, opened, say, show_or_say
from app.domain.words import counted
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
    renewed = " They are signed with a new secret from now on." if rotate else ""
    _say_done(name, done, as_json=as_json, begin=f"The webhooks of {name} go to {done.url}/...:", end=renewed)


@hooks.command("check")
@_site
@json_option
def hooks_check(name: str, as_json: bool) -> None:
    """See that the platform still sends them, and set right what it does not; beat does so once a day."""
    done = hook_setup.check(opened().parts, name)
    _say_done(name, done, as_json=as_json, begin=f"The webhooks of {name}, which go to {done.url}/...:")


def _say_done(name: str, done: hook_setup.Done, *, as_json: bool, begin: str, end: str = "") -> None:
    value = {
        "name": name,
        "url": done.url,
        "topics": list(done.topics),
        "created": sorted(done.created),
        "reactivated": sorted(done.mended),
        "removed": len(done.removed),
    }
    as_before = len(done.topics) - len(done.created) - len(done.mended)
    found = [
        *([f"{len(done.created)} made ({', '.join(sorted(done.created))})"] if done.created else []),
        *([f"{len(done.mended)} active again ({', '.join(sorted(done.mended))})"] if done.mended else []),
        *([f"{as_before} as before"] if as_before else []),
        *([f"{counted(len(done.removed), 'other')} of ours removed"] if done.removed else []),
    ]
    show_or_say(value, as_json=as_json, sentence=f"{begin} {', '.join(found)}.{end}")


@hooks.command("remove")
@_site
@yes_option
@json_option
def hooks_remove(name: str, yes: bool, as_json: bool) -> None:
    """Take the webhooks away; orders come by polling alone then."""
    parts = opened().parts
    if not asking(yes)(f"Take away the webhooks of {name}? Its orders then come by its schedule alone."):
        say(f"The webhooks of {name} were not removed.")
        sys.exit(1)
    removed = hook_setup.remove(parts, name)
    sentence = (
        f"{counted(removed, 'webhook')} of {name} removed."
        if removed
        else f"The site {name} has no webhooks."
    )
    show_or_say({"name": name, "removed": removed}, as_json=as_json, sentence=sentence)
