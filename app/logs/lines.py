"""What one line holds: when, how bad, who says what, in which process, what it belongs to, and the event's own fields."""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import PurePath
from typing import Any
from uuid import UUID

import structlog

from app.logs.traces import trace_text, unwrapped

_BELONGS_TO = ("site", "erp", "run", "batch", "order", "task", "task_id")
_LONGEST = 1_000
_PASSWORD = re.compile(r"(?<=://)[^/\s@]+@")
_TELLING = (datetime, date, Decimal, PurePath, UUID)

Formatted = Callable[[Any, str, Any], Mapping[str, Any] | str]


def formatter(*, process: str, renderer: Formatted) -> logging.Formatter:
    """Turns our own events and other libraries' records into lines of the same fields."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.contextvars.merge_contextvars],
        processors=[Completion(process), renderer],
    )


class Completion:
    """Adds what every line has, cuts what is too long, and turns an exception into its trace."""

    def __init__(self, process: str) -> None:
        self._process = process

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
        """The line's fields, those that every line has first."""
        record: logging.LogRecord = event.pop("_record")
        ours = event.pop("_from_structlog")
        error = _error(event.pop("exc_info", None))
        event.pop("stack_info", None)
        text = str(event.pop("event", ""))
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "timestamp": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": text if ours else _first_line(text),
            "process": self._process,
            "pid": os.getpid(),
        }
        for name in (*_BELONGS_TO, *event):
            value = event.get(name)
            if value is not None:
                line[name] = _cut(value) if isinstance(value, str) else value
        if error is not None and (ours or record.levelno >= logging.ERROR):
            # What other libraries say at a lower level is about something that is tried again; forty lines of trace add nothing.
            line["exception"] = trace_text(error)
        return line


def _error(given: Any) -> BaseException | None:  # noqa: ANN401 - whatever a logging call was given
    if given is True:
        return sys.exc_info()[1]
    error = given[1] if isinstance(given, tuple) else given
    return unwrapped(error) if isinstance(error, BaseException) else None


def _first_line(text: str) -> str:
    """What another library says, without what it appends: traces, and the bodies of messages that it cannot read."""
    return _cut(_PASSWORD.sub("***@", text.strip().partition("\n")[0].rstrip()))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def as_json(_logger: object, _method: str, line: Any) -> str:  # noqa: ANN401 - structlog's signature
    """One JSON object in ASCII, so that no reader takes anything in it for the line's end."""
    return json.dumps(line, default=_plain)


def _plain(value: Any) -> str:  # noqa: ANN401 - whatever a field was given
    """Values that JSON has no word for. An object is told by its class: what it holds may be anybody's data."""
    return str(value) if isinstance(value, _TELLING) else f"<{type(value).__name__}>"


class ForPeople:
    """A readable line. Control characters are shown as their escapes, so that a field can neither end a line nor steer a terminal."""

    def __init__(self, *, colors: bool) -> None:
        self._render = structlog.dev.ConsoleRenderer(
            colors=colors,
            sort_keys=False,
            pad_event_to=20,
            exception_formatter=structlog.dev.plain_traceback,
        )

    def __call__(self, logger: object, method: str, line: Any) -> str:  # noqa: ANN401 - structlog's signature
        """The line."""
        shown = {
            name: _visible(value) if isinstance(value, str) else _simple(value)
            for name, value in line.items()
        }
        if "exception" in shown:
            shown["exception"] = "\n".join(_visible(each) for each in line["exception"].splitlines())
        return str(self._render(logger, method, shown))


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text
    )


def _simple(value: Any) -> Any:  # noqa: ANN401 - whatever a field was given
    return value if isinstance(value, str | int | float) else json.dumps(value, default=_plain).strip('"')
