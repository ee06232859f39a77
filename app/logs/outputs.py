"""Where the log goes: the console, and the file of this installation."""

import logging
import os
import sys
from collections.abc import Sequence

import structlog

from app.logs.lines import ForPeople, as_json, formatter
from app.logs.others import QUIET, OthersFilter
from app.logs.rotation import RotatedFile
from app.settings import Settings

_STAYING = ("worker", "beat", "flower", "web", "up")
"""Processes that stay: their console is read like a log. A command's console belongs to its answer."""


def process_name(arguments: Sequence[str], *, named: str | None = None) -> str:
    """Which of our processes this is: as `named` by who started it, else by the words of its command line."""
    return named or next((each for each in arguments if each in _STAYING), "cli")


def set_up_logging(*, process: str, settings: Settings | None = None, verbose: bool | None = None) -> None:
    """Send our events and everybody else's to the console, and by the settings to the log file.

    A staying process shows on the console what its file has; a command shows warnings, and with `verbose` everything. May be
    called again with other settings: then None leaves it at what was said before.
    """
    level = logging.getLevelNamesMapping()[settings.log_level] if settings else logging.INFO
    console = _Console(verbose=_is_verbose() if verbose is None else verbose)
    if process in _STAYING:
        console.setLevel(level)
    else:
        console.setLevel(min(level, logging.INFO) if console.verbose else logging.WARNING)
    in_json = settings is not None and settings.log_format == "json"
    renderer = as_json if in_json else ForPeople(colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ)
    console.setFormatter(formatter(process=process, renderer=renderer))
    outputs: list[logging.Handler] = [console]
    if settings is not None and settings.log_file is not None:
        file = RotatedFile(settings.log_file, size=settings.log_bytes, files=settings.log_files)
        file.setLevel(level)
        file.setFormatter(formatter(process=process, renderer=as_json))
        outputs.append(file)
    _install(outputs)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(min(each.level for each in outputs)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _is_verbose() -> bool:
    return any(each.verbose for each in logging.getLogger().handlers if isinstance(each, _Console))


def _install(outputs: list[logging.Handler]) -> None:
    root = logging.getLogger()
    for handler in tuple(root.handlers):
        if isinstance(handler, _Console | RotatedFile):
            root.removeHandler(handler)
            handler.close()
    for output in outputs:
        output.addFilter(OthersFilter())
        root.addHandler(output)
    root.setLevel(min(each.level for each in outputs))
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(least)


class _Console(logging.Handler):
    """Standard error as it is at each line: it may be another one than at the start."""

    def __init__(self, *, verbose: bool) -> None:
        super().__init__()
        self.verbose = verbose

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's line in one piece."""
        try:
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - a console that is gone stops no work; there is nobody left to tell, and the file has the line
            return
