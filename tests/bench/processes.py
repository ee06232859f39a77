"""What processes cost: CPU seconds to the microsecond, and memory at its peak."""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import psutil

_SAMPLE_SECONDS = 0.1
_WHOLE_EVERY = 10
"""Looking for new children, and letting the kernel sum up the shares of shared pages, is done in one sample of so many."""
_CALM_SECONDS = 2.0
_CALM_CORES = 0.2
_MEGABYTE = 1024 * 1024
_NOT_BUSY = frozenset({"idle", "iowait", "guest", "guest_nice"})
"""Guests are counted among the others already."""


def cpu_seconds(pid: int) -> float:
    """CPU seconds of a living process and its threads; 0 for one that has ended."""
    if sys.platform == "linux":
        # The process's own clock (clock_getcpuclockid(3)): the counters in /proc are cut to hundredths.
        try:
            return time.clock_gettime((~pid << 3) | 2)
        except OSError:
            return 0.0
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def family(pid: int) -> dict[int, psutil.Process]:
    """A process and all that it has started."""
    try:
        parent = psutil.Process(pid)
        return {each.pid: each for each in (parent, *parent.children(recursive=True))}
    except psutil.NoSuchProcess:
        return {}


def machine_seconds() -> float:
    """CPU seconds that the machine was busy with anything, or withheld from it by its host, since it started."""
    times = psutil.cpu_times()._asdict()
    return float(sum(seconds for name, seconds in times.items() if name not in _NOT_BUSY))


def wait_for_calm(*, seconds: float) -> bool:
    """Wait, for so many seconds at most, until the machine has next to nothing to do. Returns whether it has."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = machine_seconds()
        time.sleep(_CALM_SECONDS)
        if machine_seconds() - before < _CALM_CORES * _CALM_SECONDS:
            return True
    return False


class CpuMeter:
    """CPU seconds of named groups of processes since the meter was made, those that join later included."""

    def __init__(self, roots: Mapping[str, int]) -> None:
        self._roots = dict(roots)
        self._before = {name: self._now(pid) for name, pid in self._roots.items()}

    def seconds(self) -> dict[str, float]:
        """By name."""
        return {
            name: round(
                sum(now - self._before[name].get(each, 0.0) for each, now in self._now(pid).items()), 4
            )
            for name, pid in self._roots.items()
        }

    @staticmethod
    def _now(pid: int) -> dict[int, float]:
        return {each: cpu_seconds(each) for each in family(pid)}


class MemoryMeter:
    """Looks at the memory of processes, ten times a second while its block lasts, and keeps the peaks.

    `named` gives the processes of this moment by name. RSS counts a shared page in full for each process, PSS its share of it, USS
    only what is its own.
    """

    def __init__(self, named: Callable[[], Mapping[str, psutil.Process]]) -> None:
        self.peaks: dict[str, dict[str, float]] = {}
        self._named = named
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        count = 0
        named: Mapping[str, psutil.Process] = {}
        while not self._stop.wait(_SAMPLE_SECONDS):
            whole = count % _WHOLE_EVERY == 0
            named = self._named() if whole else named
            self._look(named, with_shares=whole)
            count += 1

    def _look(self, named: Mapping[str, psutil.Process], *, with_shares: bool) -> None:
        total: dict[str, float] = {}
        for name, process in named.items():
            for kind, size in _sizes(process, with_shares=with_shares).items():
                self._keep(name, kind, size)
                total[kind] = total.get(kind, 0.0) + size
        for kind, size in total.items():
            self._keep("sum", kind, size)

    def _keep(self, name: str, kind: str, size: float) -> None:
        peaks = self.peaks.setdefault(name, {})
        peaks[kind] = max(peaks.get(kind, 0.0), round(size, 1))


def _sizes(process: psutil.Process, *, with_shares: bool) -> dict[str, float]:
    """Megabytes by kind; those that this system tells."""
    try:
        found = process.memory_full_info() if with_shares else process.memory_info()
    except psutil.Error:
        return {}
    return {
        f"{kind}_mb": getattr(found, kind) / _MEGABYTE
        for kind in ("rss", "pss", "uss")
        if hasattr(found, kind)
    }
