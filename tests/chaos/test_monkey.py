"""What the killer of the chaos runs counts as a kill."""

import os
import signal
import subprocess
import sys
import time

import psutil

from tests.chaos.monkey import sent


def test_only_a_process_that_lives_is_hit() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        assert sent([process.pid], signal.SIGKILL) == [process.pid]
        _wait_until_dead(process.pid)
        # Nobody has waited for it yet.
        assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
        assert sent([process.pid], signal.SIGKILL) == []
    assert sent([process.pid], signal.SIGKILL) == []


def _wait_until_dead(pid: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.01)
    raise AssertionError(f"The process {pid} lives on.")
