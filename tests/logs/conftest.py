"""The log of this very process, set up for a test and put back afterwards."""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.logs import set_up_logging
from app.settings import load_settings


@dataclass
class Log:
    """Where the log of a test goes."""

    var: Path

    @property
    def file(self) -> Path:
        return self.var / "log" / "order-sync.log"

    def set_up(self, *, process: str = "worker", verbose: bool | None = False, **environment: str) -> None:
        settings = load_settings({"ORDERSYNC_VAR": str(self.var), **environment}, dotenv=Path(os.devnull))
        set_up_logging(process=process, settings=settings, verbose=verbose)
        # The test runner's own handlers are left out: it cannot hand on every text that is logged here.
        logging.getLogger().handlers[:] = self.handlers()

    def handlers(self) -> list[logging.Handler]:
        """The console and the file."""
        return [each for each in logging.getLogger().handlers if type(each).__module__.startswith("app.logs")]

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text(encoding="ascii").splitlines()]

    def only_line(self) -> dict[str, Any]:
        (line,) = self.lines()
        return line


@pytest.fixture
def log_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, configured = list(root.handlers), root.level, structlog.get_config()
    yield
    for handler in [each for each in root.handlers if each not in handlers]:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configured)
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def log(tmp_path: Path, log_as_it_was: None) -> Log:
    return Log(tmp_path / "var")
