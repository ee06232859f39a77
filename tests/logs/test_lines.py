"""What one line of the log holds, and what never gets into it."""

import logging
import os
import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import pytest
import structlog

from tests.contracts.store import order
from tests.logs.conftest import Log

ours = structlog.get_logger("ordersync.test")
theirs = logging.getLogger("somebody.elses")


class Console(Protocol):
    def readouterr(self) -> Any: ...


def test_a_line_says_when_how_bad_who_what_and_in_which_process(log: Log) -> None:
    log.set_up(process="beat")
    before = datetime.now(UTC)
    ours.warning("it_happened", orders=3, quiet=None)
    line = log.only_line()
    assert list(line) == ["timestamp", "level", "logger", "event", "process", "pid", "orders"]
    assert line | {"timestamp": ""} == {
        "timestamp": "",
        "level": "warning",
        "logger": "ordersync.test",
        "event": "it_happened",
        "process": "beat",
        "pid": os.getpid(),
        "orders": 3,
    }
    assert line["timestamp"].endswith("Z")
    assert -0.01 < (datetime.fromisoformat(line["timestamp"]) - before).total_seconds() < 5


def test_other_libraries_lines_have_the_same_fields_and_the_same_context(log: Log) -> None:
    log.set_up()
    with structlog.contextvars.bound_contextvars(site="bgm", batch=7):
        theirs.info("connected to %s", "redis://:secret@broker.example:6379/0")
    line = log.only_line()
    assert (line["logger"], line["level"], line["site"], line["batch"]) == (
        "somebody.elses",
        "info",
        "bgm",
        7,
    )
    assert line["event"] == "connected to redis://***@broker.example:6379/0"


def test_what_a_line_belongs_to_comes_first_and_in_one_order(log: Log, capsys: Console) -> None:
    log.set_up()
    bound = {"task_id": "t-1", "batch": 4, "run": 2, "task": "ordersync.write", "site": "bgm"}
    with structlog.contextvars.bound_contextvars(**bound):
        ours.info("step", milliseconds=12, order="BGM-1")
    ours.info("step", milliseconds=13)
    bare, belonging = log.lines()[1], log.lines()[0]
    assert list(belonging)[6:] == ["site", "run", "batch", "order", "task", "task_id", "milliseconds"]
    assert list(bare)[6:] == ["milliseconds"]
    shown = capsys.readouterr().err.splitlines()[0]
    assert shown.endswith("run=2 batch=4 order=BGM-1 task=ordersync.write task_id=t-1 milliseconds=12")


EVIL = "a\r\nb\x1b[31mred\x00\u2028\u2029\x85end\u202e\ud800"


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_field_can_break_a_line_or_steer_a_terminal(log: Log, capsys: Console, form: str) -> None:
    log.set_up(ORDERSYNC_LOG_FORMAT=form)
    ours.info("step", link=EVIL, more=[EVIL, {"deep": EVIL}])
    theirs.warning("said: %s", EVIL)
    with structlog.contextvars.bound_contextvars(site=EVIL):
        theirs.warning("bound")
    written = log.file.read_bytes()
    assert written.count(b"\n") == 3
    assert written.isascii()
    assert len(written.decode().splitlines()) == 3
    assert [line["event"] for line in log.lines()] == ["step", "said: a", "bound"]
    assert log.lines()[0]["link"] == log.lines()[2]["site"] == EVIL
    shown = capsys.readouterr().err
    assert len(shown.splitlines()) == shown.count("\n") == 3
    assert shown.replace("\n", "").isprintable()


def test_what_others_append_to_a_message_is_left_out(log: Log) -> None:
    log.set_up()
    theirs.error(
        "Received unregistered task of type %r.\n\nThe full contents of the message body was:\n%s", "x", "Zoë"
    )
    assert log.only_line()["event"] == "Received unregistered task of type 'x'."


def test_what_is_too_long_is_cut(log: Log) -> None:
    log.set_up()
    ours.info("step", link="x" * 5_000)
    theirs.warning("y" * 5_000)
    assert [len(log.lines()[0]["link"]), len(log.lines()[1]["event"])] == [1_003, 1_003]


def test_an_object_is_told_by_its_class_alone(log: Log, capsys: Console) -> None:
    log.set_up()
    fields = {"amount": Decimal("1.10"), "file": Path("/tmp/x"), "at": datetime(2026, 3, 1, tzinfo=UTC)}
    ours.info("step", document=order("1"), error=ValueError("Zoë"), several={"one": order("2")}, **fields)
    line = log.only_line()
    assert (line["document"], line["error"], line["several"]) == (
        "<Order>",
        "<ValueError>",
        {"one": "<Order>"},
    )
    assert (line["amount"], line["file"], line["at"]) == ("1.10", "/tmp/x", "2026-03-01 00:00:00+00:00")
    assert "Zo" not in capsys.readouterr().err + log.file.read_text()


GUEST = "Quirin Geheim"


def fail_with(name: str) -> None:
    customer = name  # Shown by tracebacks that print local values.
    nobody: dict[str, str] = {}
    try:
        nobody[customer]
    except KeyError as error:
        raise ValueError(f"{customer} cannot be") from error


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_leaves_its_trace_but_not_its_text_and_no_local_values(
    log: Log, capsys: Console, form: str
) -> None:
    log.set_up(ORDERSYNC_LOG_FORMAT=form)
    try:
        fail_with(GUEST)
    except ValueError as error:
        ours.exception("task_failed", failure="ValueError")
        ours.error("again", exc_info=error)
        theirs.exception("in our words")
    for line in log.lines():
        frames = line["exception"].splitlines()
        assert frames[-1] == "ValueError"
        assert "KeyError" in frames
        assert frames.index("KeyError") < frames.index("caused:")
        assert any(re.search(r'test_lines\.py", line \d+, in fail_with', each) for each in frames)
    assert "Quirin" not in log.file.read_text() + capsys.readouterr().err


def test_a_failure_whose_text_names_nobody_says_it(log: Log) -> None:
    log.set_up()
    empty: dict[str, str] = {}
    failing: list[Callable[[], object]] = [
        lambda: None.missing,  # type: ignore[attr-defined]
        lambda: Path("/nowhere").read_text(encoding="utf-8"),
        lambda: empty["Zoë"],
    ]
    for fail in failing:
        with pytest.raises((AttributeError, OSError, KeyError)) as failure:
            fail()
        ours.error("failed", exc_info=failure.value)
    told = [line["exception"].splitlines()[-1] for line in log.lines()]
    assert told == [
        "AttributeError: 'NoneType' object has no attribute 'missing'",
        "FileNotFoundError: No such file or directory",
        "KeyError",
    ]


def test_what_others_say_below_error_comes_without_a_trace(log: Log) -> None:
    log.set_up()
    theirs.warning("tried again", exc_info=sqlite3.OperationalError("database is locked"))
    assert "exception" not in log.only_line()


def test_a_record_that_cannot_be_put_together_stops_nothing(log: Log, capsys: Console) -> None:
    log.set_up()
    record = logging.LogRecord("somebody.elses", logging.WARNING, "", 0, "%d orders", ("many",), None)
    for handler in log.handlers():
        handler.handle(record)
    ours.info("after")
    assert [line["event"] for line in log.lines()] == ["log_file_failed", "after"]
    assert "Traceback" not in capsys.readouterr().err
