"""Runs a command and stops this process with SIGKILL before or after the n-th call of one function, as a crash would."""

import importlib
import itertools
import os
import signal
import sys
from typing import Any

from app.cli import run

place, number, when = sys.argv[1], int(sys.argv[2]), sys.argv[3]
module, _, name = place.rpartition(".")
owner: Any = importlib.import_module(module.partition(":")[0])
for step in filter(None, module.partition(":")[2].split(".")):
    owner = getattr(owner, step)
original = getattr(owner, name)
calls = itertools.count(1)


def stopping(*arguments: Any, **options: Any) -> Any:
    call = next(calls)
    if call == number and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*arguments, **options)
    if call == number and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return result


setattr(owner, name, stopping)
sys.argv = ["ordersync", *sys.argv[4:]]
run()
