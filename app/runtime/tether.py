"""Children that end with us even when we are killed and can clean up nothing ourselves.

On Linux the kernel signals a child when its parent dies. Everywhere a `Guardian` does so for whole process groups: it holds the
reading end of a pipe that the system closes at our death, however we die.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_HERE = Path(__file__).resolve().parent
_ISOLATED_PYTHON = [sys.executable, "-I", "-S"]


def start_tethered(
    command: Sequence[str],
    *,
    death_signal: signal.Signals,
    cwd: Path,
    output: IO[bytes] | None,
    environment: Mapping[str, str] | None = None,
    user_id: int | None = None,
    pass_descriptors: Sequence[int] = (),
) -> "subprocess.Popen[bytes]":
    """Start `command` in a session of its own, so that the terminal's Ctrl-C reaches only us.

    What it says goes to `output`, or where ours goes. On Linux it gets `death_signal` when we die; the kernel's setting follows
    the thread that made the child, so only the main thread may call this. `user_id` (root only) is the user and group it runs as.
    """
    if threading.current_thread() is not threading.main_thread():
        message = "Child processes are started by the main thread only: on Linux they end with the thread that started them."
        raise RuntimeError(message)
    drop_to: int | None = user_id
    wrapped = list(command)
    if os.uname().sysname == "Linux":
        # The launcher changes the user itself, since a change of user clears what it asks of the kernel.
        user = -1 if user_id is None else user_id
        launcher = [str(_HERE / "_launch.py"), str(os.getpid()), str(int(death_signal)), str(user)]
        wrapped = [*_ISOLATED_PYTHON, *launcher, *command]
        drop_to = None
    return subprocess.Popen(
        wrapped,
        cwd=cwd,
        env=None if environment is None else dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        start_new_session=True,
        pass_fds=tuple(pass_descriptors),
        user=drop_to,
        group=drop_to,
        extra_groups=None if drop_to is None else [],
    )


class Guardian:
    """A tiny process that ends the process groups it guards when we die without having said goodbye."""

    def __init__(self, *, grace: float = 3.0) -> None:
        self._process = subprocess.Popen(
            [*_ISOLATED_PYTHON, str(_HERE / "_guardian.py"), str(grace)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )

    @property
    def pid(self) -> int:
        """The guardian's own process id."""
        return self._process.pid

    def watch(self, group: int) -> None:
        """Guard this process group from now on."""
        self._say(f"+{group}")

    def release(self, group: int) -> None:
        """Guard it no more: it was stopped and its number may soon name another process."""
        self._say(f"-{group}")

    def close(self) -> None:
        """End the guardian; what it guarded is left alone."""
        self._say(".")
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _say(self, line: str) -> None:
        if self._process.stdin is None:
            return
        try:
            self._process.stdin.write(f"{line}\n".encode())
        except (BrokenPipeError, ValueError):
            # Somebody killed the guardian. Our own stop() still ends every child; only our being killed would not.
            return
