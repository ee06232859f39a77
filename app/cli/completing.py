"""`completion`: the shell completes commands, options and the names of what is connected."""

import click
from click.shell_completion import CompletionItem, get_completion_class

from app.bootstrap import connected_names
from app.cli.root import main


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


def _beginning(incomplete: str, names: tuple[str, ...]) -> list[CompletionItem[str]]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
