"""Whoever asks for the end gets it, even where Python drops the interrupt."""

import io
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from app import demo, up
from app.demo import running as demo_running
from app.runtime import dropped_interrupts_return
from app.settings import load_settings


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """What a terminal's Ctrl-C does in any program, whatever a suite in the background inherited."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


class Interrupted:
    """A signal comes while Python puts this away, where its exception is lost."""

    def __init__(self, number: signal.Signals) -> None:
        self._number = number

    def __del__(self) -> None:
        signal.raise_signal(self._number)


class Work:
    """Half a minute of it, near whose beginning a signal is lost."""

    def __init__(self, number: signal.Signals) -> None:
        self._number = number
        self._went_on: float | None = None

    def do(self) -> None:
        gone = Interrupted(self._number)
        del gone
        self._went_on = time.monotonic()
        time.sleep(30)

    def assert_was_cut_short(self) -> None:
        assert self._went_on is not None
        assert time.monotonic() - self._went_on < 20


def test_an_interrupt_that_python_drops_comes_again() -> None:
    work = Work(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), dropped_interrupts_return():
        work.do()
    work.assert_was_cut_short()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_the_demo(number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = Work(number)
    monkeypatch.setattr(demo_running._Demo, "run", lambda _demo: work.do())
    said = io.StringIO()
    assert demo.run(demo.Wishes(var=tmp_path / "demo"), console=Console(file=said)) == 0
    assert said.getvalue().endswith("Everything is stopped.\n")
    work.assert_was_cut_short()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_where_it_is_the_second_it_cuts_the_orderly_stop_of_up_short(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(number)

    def run(_up: object, stop: up._Stop) -> None:
        stop.in_order = True
        signal.raise_signal(number)
        work.do()

    monkeypatch.setattr(up._Up, "run", run)
    settings = load_settings({"ORDERSYNC_VAR": str(tmp_path), "ORDERSYNC_ENV_FILE": "/dev/null"})
    said = io.StringIO()
    up.run(up.Wishes(), settings, console=Console(file=said))
    assert said.getvalue() == "Everything is stopped.\n"
    work.assert_was_cut_short()
