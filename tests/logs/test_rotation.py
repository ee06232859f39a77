"""The log file: shared by processes, rotated by any of them, and never in the way of the work."""

import fcntl
import json
import logging
import multiprocessing
import os
import shutil
import stat
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.logs.rotation import RotatedFile
from tests.logs.conftest import Log

ours = structlog.get_logger("ordersync.test")


def _handler(path: Path, *, size: int = 10_000, files: int = 100) -> logging.Logger:
    logger = logging.Logger("rotation")  # noqa: LOG001 - apart from the process's own
    logger.addHandler(RotatedFile(path, size=size, files=files))
    return logger


def _write(path: Path, barrier: Any, name: int, count: int) -> None:
    logger = _handler(path, size=50_000)
    barrier.wait(timeout=30)
    for number in range(count):
        logger.info('{"process": %d, "number": %d, "filler": "%s"}', name, number, "x" * (number % 400))


def _numbered(path: Path) -> list[Path]:
    """The log's files, the oldest first."""
    found = [each for each in path.parent.iterdir() if each.name.startswith(path.name)]
    return sorted(found, key=lambda each: -int(each.name.removeprefix(path.name).lstrip(".") or 0))


@pytest.mark.slow
def test_four_processes_that_write_and_rotate_at_once_lose_and_mix_no_line(tmp_path: Path) -> None:
    path, count = tmp_path / "log" / "order-sync.log", 1_500
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(4)
    processes = [context.Process(target=_write, args=(path, barrier, name, count)) for name in range(4)]
    for each in processes:
        each.start()
    for each in processes:
        each.join(timeout=60)
        assert each.exitcode == 0
    files = _numbered(path)
    lines = [json.loads(line) for each in files for line in each.read_text().splitlines()]
    assert Counter(line["process"] for line in lines) == dict.fromkeys(range(4), count)
    for name in range(4):
        numbers = [line["number"] for line in lines if line["process"] == name]
        assert sorted(numbers) == list(range(count))
    # While one process gives the files their numbers, the others go on writing, on a busy machine for long.
    assert len(files) > 5
    assert {each.name for each in path.parent.iterdir()} == {each.name for each in files}


def test_forked_children_share_the_file_and_its_rotation(tmp_path: Path) -> None:
    path = tmp_path / "order-sync.log"
    logger = _handler(path)
    logger.info("parent")
    children = []
    for name in range(4):
        child = os.fork()
        if child == 0:
            for number in range(500):
                logger.info("child %d %d %s", name, number, "x" * 200)
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    lines = [line for each in _numbered(path) for line in each.read_text().splitlines()]
    assert len(lines) == len(set(lines)) == 2_001


def test_only_so_many_files_are_kept_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "log" / "order-sync.log"
    logger = _handler(path, files=3)
    before = os.umask(0)
    try:
        for number in range(1_000):
            logger.info("%d %s", number, "x" * 200)
    finally:
        os.umask(before)
    files = _numbered(path)
    assert [each.name for each in files] == ["order-sync.log.2", "order-sync.log.1", "order-sync.log"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    kept = [int(line.split()[0]) for each in files for line in each.read_text().splitlines()]
    assert kept == list(range(kept[0], 1_000))


def test_a_file_that_somebody_else_moved_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "log" / "order-sync.log"
    logger = _handler(path)
    logger.info("one")
    path.rename(tmp_path / "moved.log")
    logger.info("two")
    shutil.rmtree(path.parent)
    logger.info("three")
    assert (path.read_text(), (tmp_path / "moved.log").read_text()) == ("three\n", "one\n")


def test_a_process_that_is_stopped_while_it_rotates_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "order-sync.log"
    logger = _handler(path)
    logger.info("x" * 9_990)
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        began = time.monotonic()
        logger.info("meanwhile")
        assert time.monotonic() - began < 5
        assert path.read_text().splitlines()[-1] == "meanwhile"
    logger.info("afterwards")
    assert path.read_text() == "afterwards\n"


def test_a_full_disk_is_told_on_the_console_once_and_the_work_goes_on(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.set_up(ORDERSYNC_LOG_FILE="/dev/full")
    for number in range(3):
        ours.info("step", number=number)
    shown = capsys.readouterr().err
    assert shown.count("log_file_failed") == 1
    assert "file=/dev/full failure='No space left on device'" in shown
    assert [f"number={number}" in shown for number in range(3)] == [True, True, True]


def test_a_line_cut_by_a_full_disk_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "order-sync.log"
    logger = _handler(path)
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5]))
        logger.info("cut off")
    logger.info("whole")
    logger.info("again")
    assert path.read_text() == "cut o\nwhole\nagain\n"


def test_a_folder_that_cannot_be_written_stops_nothing(
    log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "log").write_text("a file where the folder should be")
    log.set_up()
    ours.info("step", number=1)
    ours.info("step", number=2)
    assert capsys.readouterr().err.count("log_file_failed") == 1
    # Once it can be written it is, and the next trouble is told anew.
    (tmp_path / "var" / "log").unlink()
    ours.info("step", number=3)
    assert [line["number"] for line in log.lines()] == [3]
    shutil.rmtree(tmp_path / "var" / "log")
    (tmp_path / "var" / "log").write_text("again")
    ours.info("step", number=4)
    assert capsys.readouterr().err.count("log_file_failed") == 1
