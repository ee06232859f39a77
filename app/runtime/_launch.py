"""Becomes another program that the kernel signals when the process that started it dies. Linux only, run as a script.

Usage: `_launch.py PARENT_PID SIGNAL USER_ID COMMAND...`; a USER_ID of -1 keeps the user. It is a program of its own, because code
between fork and exec in a process with threads (`preexec_fn`) can deadlock.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Drop to the user, bind to the parent, become the command. Exits 127 with a sentence when the command cannot run."""
    parent, death_signal, user = (int(argument) for argument in sys.argv[1:4])
    command = sys.argv[4:]
    if user >= 0:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    # After the change of user, which clears the setting.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        # The parent died before the setting was made: no signal will come.
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 - replacing this process without a shell is its whole purpose.
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be run: {error.strerror}.\n")
        sys.exit(127)


if __name__ == "__main__":
    main()
