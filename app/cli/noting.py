"""What commands share that are noted in the record of actions, beside what is done in the panel and through the API."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from app.bootstrap import Program, panel_of
from app.cli.root import person
from app.sync.panel import Panel
from app.sync.panel.acting import acting


@contextmanager
def noted(
    program: Program, action: str, target: str, detail: Mapping[str, Any] | None = None
) -> Iterator[Panel]:
    """What people's use-cases work with, for an action that is noted under the name of whoever runs the command."""
    panel = panel_of(program)
    with acting(panel.store, by=person(), via="cli", action=action, target=target, detail=detail):
        yield panel
