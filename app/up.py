"""`ordersync up`: every process of an installation on this machine, on the current settings, started again when one ends."""

import logging
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

import structlog
from rich.console import Console

from app.bootstrap import open_program, panel_of, prepare_database
from app.celery_door import (
    CONCURRENCY,
    beat_command,
    flower_command,
    web_command,
    worker_command,
    worker_environment,
)
from app.errors import Misconfigured, UsageError
from app.runtime import (
    EmbeddedBroker,
    Ended,
    ExclusiveLock,
    NotStarted,
    ProcessGroup,
    Started,
    Supervisor,
    broker_url,
    dropped_interrupts_return,
    free_port,
    remove_broker_note,
    write_broker_note,
)
from app.settings import Settings

log = structlog.get_logger("ordersync.up")

_LOOK_SECONDS = 0.1
# What a worker needs to end once its last task has ended.
_WORKER_SPARE = 5.0
# What has ended so often that its pause has grown to this needs a person.
_WORRYING_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person asked of `up`."""

    concurrency: int = CONCURRENCY
    flower: bool = True
    flower_address: str = "127.0.0.1"
    flower_port: int = 5555
    web: bool = True
    web_address: str = "127.0.0.1"
    web_port: int = 8080


def run(wishes: Wishes, settings: Settings, *, console: Console) -> None:
    """Keep everything up until Ctrl-C or SIGTERM, then stop it in order. Leaves no process behind, however it ends.

    Raises `UsageError` where another `up` has the var folder, and `Misconfigured` for what keeps anything from starting.
    """
    with _only_one(settings.var), _asked_to_stop() as stop, dropped_interrupts_return():
        _Up(wishes, settings, console).run(stop)
    console.print("Everything is stopped.")


@contextmanager
def _only_one(var: Path) -> Iterator[None]:
    lock = ExclusiveLock(var / "up.lock")
    try:
        lock.acquire()
    except UsageError:
        raise UsageError(
            f"`ordersync up` runs already on {var}; stop it first, or set ORDERSYNC_VAR to another folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


class _Stop:
    """Whether we were asked to end. Asked again, or while there is nothing to stop in order yet, we end at once."""

    def __init__(self) -> None:
        self.in_order = False
        self.asked = False
        self._at_once = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if self._at_once:
            # It is being done.
            return
        self._at_once = self.asked or not self.in_order
        self.asked = True
        if self._at_once:
            raise KeyboardInterrupt


@contextmanager
def _asked_to_stop() -> Iterator[_Stop]:
    stop = _Stop()
    before = {
        number: signal.signal(number, stop)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        # Under nohup, or in the background of a script, a signal that is ignored stays ignored.
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield stop
    except KeyboardInterrupt:
        return
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Up:
    """One run of `up`."""

    def __init__(self, wishes: Wishes, settings: Settings, console: Console) -> None:
        self._wishes = wishes
        self._settings = settings
        self._console = console
        self._broker: EmbeddedBroker | None = None
        self._group = ProcessGroup(None)
        self._supervisor = Supervisor(report=_logged)

    def run(self, stop: _Stop) -> None:
        flower = self._wishes.flower and self._settings.flower_auth is not None
        if flower:
            self._check_flower()
        if self._wishes.web:
            self._check_web()
        prepare_database(self._settings)
        self._say("The database is up to date")
        try:
            url = self._start_broker()
            stop.in_order = True
            self._start_children(url, flower=flower)
            self._hint(flower=flower)
            while not stop.asked:
                time.sleep(_LOOK_SECONDS)
                self._supervisor.look()
            self._stop()
        finally:
            # Nothing is left but after an error or a second Ctrl-C.
            self._group.kill_all()
            self._group.stop()
            self._stop_broker(grace=1.0)

    def _check_flower(self) -> None:
        """Before anything is started: a Flower that cannot start would be started for ever."""
        self._settings.flower_login()
        address, port = self._wishes.flower_address, self._wishes.flower_port
        if free_port(port, host=address) != port:
            raise Misconfigured(
                f"Flower's port {port} is taken by another program: choose one with --flower-port, or use --no-flower."
            )

    def _check_web(self) -> None:
        address, port = self._wishes.web_address, self._wishes.web_port
        if free_port(port, host=address) != port:
            raise Misconfigured(
                f"The web server's port {port} is taken by another program: choose one with --web-port, or use --no-web."
            )

    def _start_broker(self) -> str:
        """The broker's address, which stays the same for as long as we run."""
        if self._settings.redis_url is not None:
            return broker_url(self._settings)
        broker = self._broker = EmbeddedBroker(self._settings.var / "broker")

        def start() -> int:
            write_broker_note(self._settings.var, broker.start())
            return broker.pid

        self._supervisor.start("broker", start=start, poll=broker.poll)
        return broker.url

    def _start_children(self, url: str, *, flower: bool) -> None:
        """Those that are started last are stopped first."""
        wishes = self._wishes
        if flower:
            self._start("flower", flower_command(address=wishes.flower_address, port=wishes.flower_port), url)
        grace = self._settings.soft_time_limit + _WORKER_SPARE
        self._start("worker", worker_command(concurrency=wishes.concurrency), url, grace=grace)
        self._start("beat", beat_command(), url)
        if wishes.web:
            self._start("web", web_command(address=wishes.web_address, port=wishes.web_port), url)

    def _start(self, name: str, command: Sequence[str], url: str, *, grace: float | None = None) -> None:
        environment = {**worker_environment(self._settings, url=url), "ORDERSYNC_PROCESS": name}
        if self._settings.flower_url is None:
            flower = f"http://{self._wishes.flower_address}:{self._wishes.flower_port}"
            environment["ORDERSYNC_FLOWER_URL"] = flower
        self._supervisor.start(
            name,
            start=partial(self._group.start, name, command, environment=environment, grace=grace),
            poll=lambda: self._group.poll().get(name),
        )

    def _stop(self) -> None:
        self._console.print(
            f"Stopping; the worker finishes its tasks, at most {self._settings.soft_time_limit:g} s. "
            "Ctrl-C once more ends at once.",
            highlight=False,
            soft_wrap=True,
        )
        for name in ("web", "beat", "worker", "flower"):
            if name in self._group.names:
                code = self._group.stop_one(name)
                log.info("process_stopped", child=name, **_ending(code))
        self._stop_broker(grace=10.0)

    def _stop_broker(self, *, grace: float) -> None:
        if self._broker is not None:
            remove_broker_note(self._settings.var)
            self._broker.stop(grace=grace)
            self._broker = None

    def _say(self, text: str) -> None:
        self._console.print(f"[green]✓[/green] {text}" if self._console.is_terminal else f"- {text}")

    def _first_step(self) -> str:
        """What a person does to get into the panel; nothing where somebody has an account already."""
        program = open_program(self._settings)
        try:
            has_accounts = bool(panel_of(program).store.users())
        finally:
            program.engine.dispose()
        return "" if has_accounts else "first account: ordersync user add NAME --role admin"

    def _hint(self, *, flower: bool) -> None:
        self._say(f"{', '.join(self._supervisor.names)} started")
        if self._wishes.flower and not flower:
            missing = "Flower is not started: it needs ORDERSYNC_FLOWER_AUTH, set to name:password (or --no-flower)."
            self._console.print(missing, style="yellow", soft_wrap=True)
        where = f"http://{self._wishes.flower_address}:{self._wishes.flower_port}"
        web = f"http://{self._wishes.web_address}:{self._wishes.web_port}"
        for hint in (
            "",
            *(
                [f"Flower (tasks and workers):  {where}   sign in with ORDERSYNC_FLOWER_AUTH"]
                if flower
                else []
            ),
            *(
                [f"The control panel:           {self._settings.web_url or web}   {self._first_step()}"]
                if self._wishes.web
                else []
            ),
            *([f"Webhooks are taken at:       {web}/hooks/"] if self._wishes.web else []),
            "How sites and orders stand:  ordersync status",
            "Is everything well?          ordersync doctor",
            "Ctrl-C stops everything.",
        ):
            # Whole lines, so that an address or a command can be copied.
            self._console.print(hint, markup=False, highlight=False, soft_wrap=True)


def _logged(event: Started | Ended | NotStarted) -> None:
    match event:
        case Started(name, pid):
            log.info("process_started", child=name, child_pid=pid)
        case Ended(name, code, pause):
            log.log(_level(pause), "process_ended", child=name, pause=pause, **_ending(code))
        case NotStarted(name, reason, pause):
            log.log(_level(pause), "process_not_started", child=name, pause=pause, reason=reason)


def _level(pause: float) -> int:
    return logging.ERROR if pause >= _WORRYING_PAUSE else logging.WARNING


def _ending(code: int) -> dict[str, int | str]:
    return {"code": code} if code >= 0 else {"signal": signal.Signals(-code).name}
