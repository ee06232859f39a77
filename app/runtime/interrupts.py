"""Ctrl-C that arrives whatever Python does at that moment."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_BROUGHT_BACK = 0.05


@contextmanager
def dropped_interrupts_return() -> Iterator[None]:
    """A KeyboardInterrupt that a signal's handler raised, and that Python dropped, is raised again a moment later.

    Python drops it, with a line on stderr, where the signal comes while it is in a finalizer or in what its garbage collector calls:
    whoever asked for the end would wait for ever. Main thread only; takes SIGALRM.
    """

    def dropped(what: "sys.UnraisableHookArgs") -> None:
        if issubclass(what.exc_type, KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, _BROUGHT_BACK)
        else:
            hook(what)

    hook, sys.unraisablehook = sys.unraisablehook, dropped
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = hook
