"""The command line on the database of a world."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app import cli
from app.bootstrap import Program, open_program
from app.settings import Settings
from tests.pipeline.world import World


def environment(world: World) -> dict[str, str]:
    """The settings of a process on the world's database; its clock goes on from the world's."""
    settings = world.settings
    return {
        "ORDERSYNC_VAR": str(settings.var),
        **({} if settings.embedded_database else {"DATABASE_URL": settings.database_url}),
        "ORDERSYNC_ENV_FILE": os.devnull,
        "ORDERSYNC_USER": "pat",
    }


@contextmanager
def _opening(world: World) -> Iterator[None]:
    """Commands go by the world's clock, and are done with the database at their end."""
    opened: list[Program] = []

    def opening(settings: Settings, **more: Any) -> Program:
        program = open_program(settings, **more)
        program.parts.store._clock = world.clock.now  # type: ignore[attr-defined]
        opened.append(program)
        return program

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.cli.root.open_program", opening)
        patch.setattr("app.cli.root.set_up_logging", lambda **_: None)
        # Wide enough that no sentence is broken.
        patch.setattr("app.cli.root.OUT._width", 250)
        try:
            yield
        finally:
            for each in opened:
                each.engine.dispose()


def command(world: World, *arguments: str, input: str | None = None) -> Result:  # noqa: A002 - click's name
    """Run a command."""
    with _opening(world):
        return CliRunner().invoke(cli.main, arguments, input=input, env=environment(world))


def good(world: World, *arguments: str, input: str | None = None) -> str:  # noqa: A002 - click's name
    """What a command that must succeed prints."""
    result = command(world, *arguments, input=input)
    assert (result.exit_code, result.exception) == (0, None), result.output
    return result.output


def printed_json(world: World, *arguments: str, code: int = 0) -> Any:
    """What a command prints with `--json`: one line, after what a test's own log says."""
    result = command(world, *arguments, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout.splitlines()[-1])
