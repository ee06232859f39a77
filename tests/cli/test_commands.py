"""The commands are found where they are, and what looks quickly imports little."""

import subprocess
import sys

import click
import pytest

from app import cli
from app.cli import root
from tests.cli.conftest import CommandLine, plain_environment

HEAVY = ("celery", "flask", "cheroot", "app.demo")


def commands(group: click.Group) -> dict[str, click.Command]:
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    assert None not in found.values()
    return {name: each for name, each in found.items() if each is not None}


def test_every_command_says_in_a_line_what_it_does(ordersync: CommandLine) -> None:
    def look(group: click.Group, path: tuple[str, ...]) -> int:
        seen = 0
        for name, command in commands(group).items():
            seen += 1
            assert command.get_short_help_str(), (*path, name)
            if isinstance(command, click.Group):
                seen += look(command, (*path, name))
        return seen

    assert look(cli.main, ()) > 50
    assert "task" in ordersync.good("--help").stdout


def test_the_homes_of_quick_commands_are_where_they_are_said_to_be() -> None:
    everything = commands(cli.main)
    for name, module in root._HOMES.items():
        command = everything[name]
        assert isinstance(command, click.Group) or command.callback is not None
        made_in = command.callback.__module__ if command.callback is not None else ""
        assert made_in == f"app.cli.{module}"


@pytest.mark.parametrize(
    "words", [["errors", "list", "--help"], ["order", "list", "--help"], ["export", "csv", "--help"]]
)
def test_looking_imports_neither_celery_nor_a_web_server(words: list[str]) -> None:
    script = (
        "import sys; from app.cli import main; main(sys.argv[1:], standalone_mode=False);"
        f"print([each for each in {HEAVY!r} if each in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env=plain_environment(),
    )
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("words", [["nonsense"], ["errors", "nonsense"], ["site", "hooks", "nonsense"]])
def test_a_command_that_is_not_there_is_wrong_use(ordersync: CommandLine, words: list[str]) -> None:
    result = ordersync.run(*words)
    assert result.exit_code == 2
    assert "No such command 'nonsense'" in result.output
