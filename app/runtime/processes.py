"""Named child processes with an order: started one by one, stopped in reverse, none left behind."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from app.errors import Misconfigured, UsageError
from app.runtime.locks import exclusive_lock
from app.runtime.tether import Guardian, start_tethered

__all__ = ["ProcessGroup", "exclusive_lock", "free_port"]

_POLL_SECONDS = 0.02
# How long a killed process group may take to vanish. It is the kernel's work and takes milliseconds; in a container whose first
# process reaps no orphans the dead ones stay for ever, and there is nothing to wait for.
_VANISH_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class _Child:
    process: "subprocess.Popen[bytes]"
    grace: float
    again: Callable[[], int]


class ProcessGroup:
    """Child processes by name; a context manager whose end stops them all.

    Each child leads a session of its own, so the terminal's Ctrl-C reaches only us, and writes to `<log_dir>/<name>.log`, or
    where we write ourselves without a `log_dir`. When we are killed, the children and their own children end as well.
    """

    def __init__(self, log_dir: Path | None, *, grace: float = 10.0) -> None:
        self._log_dir = log_dir
        self._grace = grace
        self._children: dict[str, _Child] = {}
        self._guardian: Guardian | None = None

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace: float | None = None,
    ) -> int:
        """Start `command` as `name` and return its process id. To be called by the main thread.

        `environment` is added to ours; `grace` is how long this child may take to end when asked. Raises `Misconfigured`
        when there is no such program and `UsageError` when a child of that name still runs.
        """
        known = self._children.get(name)
        if known is not None:
            if known.process.poll() is None:
                raise UsageError(f"The process {name} is running already.")
            self.stop_one(name)
        program = shutil.which(command[0])
        if program is None:
            raise Misconfigured(f"The process {name} cannot be started: there is no program {command[0]}.")
        if self._guardian is None:
            self._guardian = Guardian()
        with self._output(name) as output:
            process = start_tethered(
                [str(Path(program).absolute()), *command[1:]],
                # When we are killed there is nobody to wait for a kind ending; the guardian takes care of grandchildren.
                death_signal=signal.SIGKILL,
                cwd=(cwd or Path.cwd()),
                output=output,
                environment={**os.environ, **(environment or {})},
            )
        again = partial(self.start, name, command, environment=environment, cwd=cwd, grace=grace)
        self._children[name] = _Child(process, self._grace if grace is None else grace, again)
        self._guardian.watch(process.pid)
        return process.pid

    @contextmanager
    def _output(self, name: str) -> Iterator[IO[bytes] | None]:
        if self._log_dir is None:
            yield None
            return
        self._log_dir.mkdir(parents=True, exist_ok=True)
        with self.log_path(name).open("ab") as log:
            yield log

    def restart(self, name: str) -> int:
        """Start a child again as it was started, ending it and what it left behind first; its new process id."""
        again = self._child(name).again
        self.stop_one(name)
        return again()

    @property
    def names(self) -> list[str]:
        """Whom `stop()` would stop."""
        return list(self._children)

    def pid(self, name: str) -> int:
        """The process id of a child that was started."""
        return self._child(name).process.pid

    def log_path(self, name: str) -> Path:
        """The file that a child writes to."""
        if self._log_dir is None:
            raise UsageError(f"The process {name} writes where we write.")
        return self._log_dir / f"{name}.log"

    def poll(self) -> dict[str, int]:
        """The children that have ended by themselves, with their exit codes (minus the signal's number for a kill)."""
        codes = {name: child.process.poll() for name, child in self._children.items()}
        return {name: code for name, code in codes.items() if code is not None}

    def kill(self, name: str) -> None:
        """SIGKILL a child and everything it has started, at once."""
        child = self._child(name)
        _signal_group(child.process.pid, signal.SIGKILL)
        self._settle(name, child)

    def kill_all(self) -> None:
        """SIGKILL every child and everything they have started, at once."""
        for name in list(self._children):
            self.kill(name)

    def stop_one(self, name: str) -> int:
        """Ask one child to end, make it end after its grace period, end what it left behind, and return its exit code."""
        child = self._child(name)
        if child.process.poll() is None:
            # Only the child itself is asked: a Celery worker lets its pool finish, which a signal to the pool would cut short.
            child.process.terminate()
            try:
                child.process.wait(timeout=child.grace)
            except subprocess.TimeoutExpired:
                _signal_group(child.process.pid, signal.SIGKILL)
        return self._settle(name, child)

    def stop(self) -> None:
        """Stop every child, the last started first. Promised to do nothing when none runs."""
        for name in reversed(list(self._children)):
            self.stop_one(name)
        if self._guardian is not None:
            self._guardian.close()
            self._guardian = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _child(self, name: str) -> _Child:
        child = self._children.get(name)
        if child is None:
            raise UsageError(f"There is no process {name}.")
        return child

    def _settle(self, name: str, child: _Child) -> int:
        """Reap the child, and kill what is left of its process group."""
        code = child.process.wait()
        deadline = time.monotonic() + _VANISH_SECONDS
        while _signal_group(child.process.pid, signal.SIGKILL) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if self._guardian is not None:
            self._guardian.release(child.process.pid)
        del self._children[name]
        return code


def _signal_group(group: int, number: signal.Signals) -> bool:
    """Whether there was anybody in the process group."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # macOS answers so for a group in which only dead processes are left.
        return False
    return True


def free_port(preferred: int, host: str = "127.0.0.1") -> int:
    """`preferred` where nobody listens on it, else a port the system picks. It is free now; nothing keeps it free."""
    if preferred and not _is_taken(preferred, host=host):
        return preferred
    with socket.socket(_family(host)) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_taken(port: int, *, host: str) -> bool:
    with socket.socket(_family(host)) as probe:
        # A port is taken by a listener, not by the closing connections of a former one.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    with socket.socket(_family(host)) as probe:
        probe.settimeout(0.2)
        # macOS lets us bind beside a listener on all addresses; knocking tells.
        return probe.connect_ex((host, port)) == 0


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
