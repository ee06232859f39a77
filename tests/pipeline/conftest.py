"""Worlds for the pipeline's tests."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.world import MakeWorld, World, migrated_database, opened_world


@pytest.fixture(scope="session")
def database_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated_database(tmp_path_factory.mktemp("template"))


@pytest.fixture
def make_world(database_template: Path, tmp_path: Path) -> Iterator[MakeWorld]:
    numbers = count(1)
    with ExitStack() as stack:

        def make(**settings: Any) -> World:
            folder = tmp_path / f"world{next(numbers)}"
            return stack.enter_context(opened_world(database_template, folder, **settings))

        yield make
