"""What a long day does to it: `make soak`. Small backlogs and a large one are drained one after the other by the same processes.

Prints how fast each was drained and how large the worker's processes were all the while, their recycling switched off; the last line
is one JSON object. Ends with 1 where an order does not arrive; a figure that misses its aim fails nothing.
"""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import structlog
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from app.celery_door import Workers
from app.errors import OrderSyncError
from app.runtime import exclusive_lock
from tests.bench.endtoend import Incomplete
from tests.bench.processes import family
from tests.bench.world import World, now, open_world

_MEGABYTE = 1024 * 1024
_LOOK_SECONDS = 1.0
_PATIENCE = 300.0
"""Seconds in which not one more order is written or exported: something is stuck."""
_SAMPLES = 10
_SMALL_ONES = 3
"""A small backlog is drained in seconds, which say little of one run: the one in the middle counts."""
_CORES = 2
_COUNTS = {
    "written": text("SELECT COUNT(*) FROM rm_order WHERE site_id = :site"),
    "exported": text("SELECT COUNT(*) FROM rm_order WHERE site_id = :site AND imported = 1"),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """The memory (RSS, megabytes) of the worker's main process and of its children together, after so many orders."""

    written: int
    exported: int
    main_mb: float
    children_mb: float
    pids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Drained:
    """How a backlog was drained."""

    orders: int
    seconds: float
    written_seconds: float
    samples: tuple[Sample, ...]

    @property
    def rate(self) -> float:
        """Orders per second, from the sending of `fetch` until the ERP has the last."""
        return self.orders / self.seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 1 failed."""
    options = _options(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:_CORES])
    console = Console()
    var: Path = options.var.resolve()
    try:
        with (
            exclusive_lock(var.parent / f"{var.name}.lock"),
            open_world(var / "world", database=options.database) as world,
            world.workers(application="tests.bench.unrecycled") as workers,
        ):
            # The first run of all pays for what every process does once.
            _drain(world, workers, console, orders=options.small, buyers="warm")
            smalls = [
                _drain(world, workers, console, orders=options.small, buyers=f"small{nth}")
                for nth in range(_SMALL_ONES)
            ]
            large = _drain(world, workers, console, orders=options.orders, buyers="large")
    except OrderSyncError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _show(large, console)
    small = sorted(smalls, key=lambda each: each.rate)[_SMALL_ONES // 2]
    sys.stdout.write(json.dumps(_report(small, large, database=options.database)) + "\n")
    return 0


def _drain(world: World, workers: Workers, console: Console, *, orders: int, buyers: str) -> Drained:
    """One backlog, from the sending of `fetch` to its last document."""
    with world.site(orders=orders, buyers=buyers) as (site_id, _shop):
        run_id = world.program.parts.store.open_run(kind="orders", site_id=site_id)
        started = moved_at = now()
        written_at: float | None = None
        samples = [_sample(world, 0, 0)]
        workers.send("fetch", site_id=site_id, run_id=run_id)
        written = exported = 0
        while exported < orders:
            time.sleep(min(_LOOK_SECONDS, 0.0001 * orders))
            found = _counts(world, site_id)
            if found["written"] >= orders and written_at is None:
                written_at = now()
            if found["written"] + found["exported"] > written + exported:
                written, exported, moved_at = found["written"], found["exported"], now()
            elif now() - moved_at > _PATIENCE:
                raise Incomplete(f"{exported} of {orders} orders arrived; see {world.settings.var / 'log'}.")
            # A worker exports what it has written when nothing more is to be read: a backlog goes through it stage by stage.
            if written + exported >= len(samples) * 2 * orders / _SAMPLES:
                samples.append(_sample(world, written, exported))
                console.print(
                    f"of {orders} orders {written} written and {exported} exported, {now() - started:.0f} s: main process "
                    f"{samples[-1].main_mb:.0f} MB, its children {samples[-1].children_mb:.0f} MB",
                    highlight=False,
                )
        return Drained(orders, now() - started, (written_at or now()) - started, tuple(samples))


def _counts(world: World, site_id: int) -> dict[str, int]:
    with world.program.engine.connect() as connection:
        return {
            name: connection.execute(query, {"site": site_id}).scalar_one() for name, query in _COUNTS.items()
        }


def _sample(world: World, written: int, exported: int) -> Sample:
    main = world.group.pid("worker")
    sizes = {pid: _resident(process) for pid, process in family(main).items()}
    children = sum(size for pid, size in sizes.items() if pid != main)
    return Sample(written, exported, round(sizes.get(main, 0.0), 1), round(children, 1), frozenset(sizes))


def _resident(process: psutil.Process) -> float:
    try:
        resident: float = process.memory_info().rss / _MEGABYTE
    except psutil.Error:
        return 0.0
    return resident


def _report(small: Drained, large: Drained, *, database: str) -> Mapping[str, Any]:
    return {
        "database": database,
        "small": {
            "orders": small.orders,
            "orders_per_s": round(small.rate, 1),
            "seconds": round(small.seconds, 2),
        },
        "large": {
            "orders": large.orders,
            "orders_per_s": round(large.rate, 1),
            "seconds": round(large.seconds, 2),
            "written_seconds": round(large.written_seconds, 2),
        },
        "ratio": round(large.rate / small.rate, 3),
        "memory": [
            {
                "written": sample.written,
                "exported": sample.exported,
                "main_mb": sample.main_mb,
                "children_mb": sample.children_mb,
            }
            for sample in large.samples
        ],
        # A process that took another's place would have begun small again.
        "replaced": len(
            frozenset().union(*(sample.pids for sample in large.samples)) - large.samples[0].pids
        ),
        # What was loaded for the first orders is no growth: it is looked at from the first tenth on.
        "growth": round(_size(large.samples[-1]) / _size(large.samples[1]) - 1, 4),
    }


def _size(sample: Sample) -> float:
    return sample.main_mb + sample.children_mb


def _show(drained: Drained, console: Console) -> None:
    table = Table(
        "written",
        "exported",
        "main process MB",
        "children MB",
        title="The worker's memory (RSS), no process replaced",
    )
    for sample in drained.samples:
        table.add_row(
            f"{sample.written:,}",
            f"{sample.exported:,}",
            f"{sample.main_mb:.1f}",
            f"{sample.children_mb:.1f}",
        )
    console.print(table)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000, help="in the large backlog (100000)")
    parser.add_argument("--small", type=int, default=1_000, help="in the small one (1000)")
    parser.add_argument("--database", default="sqlite", help="sqlite, postgres, or the URL of an empty one")
    parser.add_argument("--var", type=Path, default=Path("var/soak"), help="its folder (var/soak)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
