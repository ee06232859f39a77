"""The log file, read backwards: what its last part says of one run."""

import json
import re
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

MOST_LINES = 300
MOST_BYTES = 5 * 1024 * 1024
MOST_SECONDS = 0.5
_BLOCK = 256 * 1024
_APART = ("timestamp", "level", "event", "process", "exception", "run", "logger", "pid")
_SLACK = timedelta(minutes=1)
"""Several processes append to the file: their lines stand there nearly in the order of their times."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. `detail` is what it says beyond its event, as it stands in the file."""

    at: str
    level: str
    event: str
    process: str
    detail: str


@dataclass(frozen=True, slots=True)
class LogPart:
    """The last lines of a run, in their order. `whole`: nothing of it can stand before what was read. `fault`: why none can be read."""

    lines: tuple[LogLine, ...] = ()
    whole: bool = False
    fault: str = ""


def lines_of_run(path: Path, run_id: int, *, since: datetime, files: int) -> LogPart:
    """What the log says of a run that began at `since`. The file and its older parts are read backwards, for a bounded while."""
    found: list[LogLine] = []
    told = re.compile(rb'(?:"run": |\brun=)%d(?![0-9])' % run_id)
    deadline = time.monotonic() + MOST_SECONDS
    begins = (since - _SLACK).strftime("%Y-%m-%dT%H:%M:%S").encode()
    try:
        parts = _parts(path, files)
        is_all = sum(each.stat().st_size for each in parts) <= MOST_BYTES
        for number, raw in enumerate(_backwards(parts)):
            if number % 1000 == 0 and time.monotonic() > deadline:
                return LogPart(_ordered(found))
            stamp = _stamp(raw)
            if stamp and stamp < begins:
                return LogPart(_ordered(found), whole=True)
            line = _line(raw, run_id) if told.search(raw) else None
            if line is not None:
                found.append(line)
                if len(found) == MOST_LINES:
                    return LogPart(_ordered(found))
    except FileNotFoundError:
        return LogPart(fault="the file is not there")
    except OSError as error:
        return LogPart(fault=error.strerror or type(error).__name__)
    return LogPart(_ordered(found), whole=is_all)


def _ordered(found: list[LogLine]) -> tuple[LogLine, ...]:
    return tuple(reversed(found))


def _parts(path: Path, files: int) -> list[Path]:
    """The file and its older parts, the newest first."""
    older = (path.with_name(f"{path.name}.{number}") for number in range(1, files))
    return [path, *(each for each in older if each.exists())]


def _backwards(parts: Sequence[Path]) -> Iterator[bytes]:
    """The lines of these files, the last first, as far as the bound allows. Raises `OSError`."""
    left = MOST_BYTES
    for part in parts:
        with part.open("rb") as file:
            left -= yield from _lines_of(file, left)
        if left <= 0:
            return


def _lines_of(file: BinaryIO, most: int) -> Generator[bytes, None, int]:
    """The lines of one file from its end. Returns how many bytes were read; what was cut at the bound is left out."""
    place = end = file.seek(0, 2)
    rest = b""
    while place > 0 and end - place < most:
        size = min(_BLOCK, place, most - (end - place))
        place -= size
        file.seek(place)
        first, *lines = (file.read(size) + rest).split(b"\n")
        yield from filter(None, reversed(lines))
        rest = first
    if place == 0 and rest:
        yield rest
    return end - place


def _stamp(raw: bytes) -> bytes:
    """The time of a JSON line, as it stands there; nothing where it is no such line."""
    begin = raw[:14]
    return raw[15:34] if begin == b'{"timestamp": ' else b""


def _line(raw: bytes, run_id: int) -> LogLine | None:
    """A line of this run; None where a field only quotes its number."""
    text = raw.decode("utf-8", "replace")
    try:
        said: Any = json.loads(text, parse_float=Decimal)
    except ValueError:
        # As the console writes it: whoever sends that into a file has lines of this kind.
        return LogLine(at="", level="", event="", process="", detail=text[:2_000])
    if not isinstance(said, dict) or said.get("run") != run_id:
        return None
    others = (f"{name}={value}" for name, value in said.items() if name not in _APART)
    trace = f"\n{said['exception']}" if said.get("exception") else ""
    return LogLine(
        at=str(said.get("timestamp", "")),
        level=str(said.get("level", "")),
        event=str(said.get("event", "")),
        process=f"{said.get('process', '')} {said.get('pid', '')}".strip(),
        detail=" ".join(others) + trace,
    )
