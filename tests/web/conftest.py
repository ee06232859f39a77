"""The panel on worlds."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.databases import Databases
from tests.pipeline.world import MakeWorld, World, opened_world
from tests.web.office import Office


@pytest.fixture
def make_world(databases: Databases, tmp_path: Path) -> Iterator[MakeWorld]:
    numbers = count(1)
    with ExitStack() as stack:

        def make(**settings: Any) -> World:
            folder = tmp_path / f"world{next(numbers)}"
            return stack.enter_context(opened_world(databases, folder, **settings))

        yield make


@pytest.fixture
def office(make_world: MakeWorld) -> Office:
    """A panel on a shop with the recorded orders, which nobody has read yet."""
    return Office(make_world())
