"""Where the log goes: which console shows what, and the file that can be moved or switched off."""

import io
import json
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from app.logs import process_name
from tests.logs.conftest import Log

ours = structlog.get_logger("ordersync.test")
ORDERSYNC = str(Path(sys.executable).with_name("ordersync"))


def say_all() -> None:
    ours.debug("debugged")
    ours.info("informed")
    ours.warning("warned")
    logging.getLogger("somebody.elses").debug("theirs")


SAID = ("theirs", "debugged", "informed", "warned")


def words_in(text: str, *words: str) -> list[str]:
    return [word for word in words if word in text]


@pytest.mark.parametrize(
    ("process", "level", "on_console", "in_file"),
    [
        ("worker", "", ["informed", "warned"], ["informed", "warned"]),
        ("up", "WARNING", ["warned"], ["warned"]),
        (
            "beat",
            "debug",
            ["theirs", "debugged", "informed", "warned"],
            ["theirs", "debugged", "informed", "warned"],
        ),
        ("cli", "", ["warned"], ["informed", "warned"]),
        ("cli -v", "", ["informed", "warned"], ["informed", "warned"]),
        ("cli -v", "ERROR", ["informed", "warned"], []),
    ],
)
def test_a_process_that_stays_shows_its_log_and_a_command_warnings_unless_asked_for_more(  # noqa: PLR0917 - pytest passes by name
    log: Log,
    capsys: pytest.CaptureFixture[str],
    process: str,
    level: str,
    on_console: list[str],
    in_file: list[str],
) -> None:
    name, _, option = process.partition(" ")
    log.set_up(process=name, verbose=option == "-v", ORDERSYNC_LOG_LEVEL=level)
    say_all()
    said = capsys.readouterr()
    assert (said.out, words_in(said.err, *SAID)) == ("", on_console)
    assert words_in(log.file.read_text() if log.file.exists() else "", *SAID) == in_file


def test_the_file_can_be_switched_off_and_the_console_made_json(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.set_up(ORDERSYNC_LOG_FILE="none", ORDERSYNC_LOG_FORMAT="json")
    ours.info("step", passed=1)
    assert json.loads(capsys.readouterr().err)["passed"] == 1
    assert not log.var.exists()


def test_setting_up_again_replaces_what_was_set_up(log: Log, capsys: pytest.CaptureFixture[str]) -> None:
    log.set_up()
    log.set_up(process="flower")
    ours.info("step")
    assert log.only_line()["process"] == "flower"
    assert capsys.readouterr().err.count("step") == 1


def test_a_command_that_goes_on_with_other_settings_stays_as_talkative_as_it_was_asked_to_be(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.set_up(process="cli", verbose=True)
    log.set_up(process="cli", verbose=None)
    ours.info("step")
    log.set_up(process="cli", verbose=False)
    ours.info("other")
    assert words_in(capsys.readouterr().err, "step", "other") == ["step"]


@pytest.mark.parametrize("closed", [True, False])
def test_a_console_that_is_gone_stops_nothing(
    log: Log, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    log.set_up()
    gone = io.StringIO()
    gone.close()
    monkeypatch.setattr(sys, "stderr", gone if closed else None)
    ours.info("step")
    assert log.only_line()["event"] == "step"


@pytest.mark.parametrize(
    ("arguments", "named", "process"),
    [
        (["-A", "workers.app", "worker", "--loglevel=INFO"], None, "worker"),
        (["-A", "workers.app", "beat", "-s", "worker"], None, "beat"),
        (["-A", "workers.app", "flower", "--port=5555"], None, "flower"),
        (["-A", "workers.app", "inspect", "ping"], None, "cli"),
        (["up"], None, "up"),
        (["status"], "panel", "panel"),
    ],
)
def test_a_process_is_known_by_what_it_was_started_as(
    arguments: list[str], named: str | None, process: str
) -> None:
    assert process_name(arguments, named=named) == process


def run(tmp_path: Path, *arguments: str, stderr: int = subprocess.PIPE, **environment: str) -> str:
    done = subprocess.run(
        [ORDERSYNC, *arguments],
        check=False,
        stdout=subprocess.PIPE,
        stderr=stderr,
        timeout=60,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "TERM": "xterm", "ORDERSYNC_ENV_FILE": os.devnull, **environment},
    )
    assert done.returncode == 0
    return (done.stderr or b"").decode()


def test_v_shows_on_the_console_what_a_command_does(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate") == "The database is up to date.\n"
    log = Log(tmp_path / "var")
    assert "Running upgrade" in log.lines()[-1]["event"]
    assert (log.lines()[-1]["process"], log.lines()[-1]["level"]) == ("cli", "info")
    (tmp_path / "var" / "ordersync.db").unlink()
    said = run(tmp_path, "-v", "migrate")
    assert "Running upgrade" in said
    assert "\x1b[" not in said


def test_only_a_terminal_gets_colours(tmp_path: Path) -> None:
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        ours_end, its_end = pty.openpty()
        run(tmp_path, "-v", "migrate", stderr=its_end, **environment)
        os.close(its_end)
        said = os.read(ours_end, 65_536).decode()
        os.close(ours_end)
        assert "Running upgrade" in said
        assert ("\x1b[32m" in said) is coloured
        (tmp_path / "var" / "ordersync.db").unlink()


def test_settings_that_cannot_be_used_do_not_keep_help_from_being_shown(tmp_path: Path) -> None:
    run(tmp_path, "sync", "--help", ORDERSYNC_LOG_LEVEL="loud")
    assert not (tmp_path / "var").exists()
