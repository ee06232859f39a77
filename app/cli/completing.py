"""`completion`: the shell completes commands, options and the names of what is connected."""

import click
from click.shell_completion import CompletionItem, get_completion_class

from app.bootstrap import asked_quickly, connected_names
from app.cli.root import main
from app.domain.road import LINKS
from app.errors import OrderSyncError
from app.settings import load_settings
from app.sync import desk
from app.sync.by_hand import SHORT_NAMES


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script with which a shell completes ordersync.

    For one shell: eval "$(ordersync completion bash)". For all: ordersync completion bash > /etc/bash_completion.d/ordersync
    """
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click has all that the argument allows
    click.echo(found(main, {}, "ordersync", "_ORDERSYNC_COMPLETE").source())


def site_names(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """The sites whose names begin like this."""
    return _beginning(incomplete, connected_names().sites)


def erp_names(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """The ERPs whose names begin like this."""
    return _beginning(incomplete, connected_names().erps)


def system_names(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """The sites and ERPs whose names begin like this."""
    return [*site_names(context, parameter, incomplete), *erp_names(context, parameter, incomplete)]


def task_names(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """The tasks whose names begin like this."""
    from app.celery_tasks import known_tasks  # noqa: PLC0415 - Celery is for those who ask for its tasks

    try:
        return _beginning(incomplete, tuple(known_tasks(load_settings())))
    except OrderSyncError:
        return []


def task_words(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """What follows a task's name: the sites whose names begin like this, or for a link of the road nothing that is known."""
    name = context.params.get("name") or ""
    if SHORT_NAMES.get(name, name) in set(LINKS) or context.params.get("words"):
        return []
    return site_names(context, parameter, incomplete)


def error_kinds(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """The kinds of errors that begin like this."""
    return _beginning(incomplete, desk.KINDS)


def open_errors(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    """The numbers of orders with an open error that begin like this, a hundred at most."""
    found = asked_quickly(lambda store: store.open_error_numbers(incomplete, limit=_OFFERED))
    return _beginning(incomplete, found or ())


_OFFERED = 100


def _beginning(incomplete: str, names: tuple[str, ...]) -> list[CompletionItem[str]]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
