"""Ends process groups when the process that started this one is gone. Run as a script, standard library only.

It reads lines `+PID` and `-PID` from standard input: groups to guard and groups to forget. The end of the input without a
closing `.` line means that the writer was killed: every guarded group gets SIGTERM, and after the grace period SIGKILL.
Usage: `_guardian.py GRACE_SECONDS`.
"""

import os
import signal
import sys
import time


def _signal_group(group: int, number: int) -> bool:
    """Whether the group still existed."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        # macOS answers so for a group of zombies.
        return False
    return True


def main() -> None:
    """Guard until told to stop (`.`) or until the input ends."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    grace = float(sys.argv[1])
    guarded: list[int] = []
    for line in sys.stdin:
        if line.startswith("."):
            return
        group = int(line[1:])
        if line.startswith("+"):
            guarded.append(group)
        elif group in guarded:
            guarded.remove(group)
    left = [group for group in reversed(guarded) if _signal_group(group, signal.SIGTERM)]
    deadline = time.monotonic() + grace
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [group for group in left if _signal_group(group, 0)]
    for group in left:
        _signal_group(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
