"""The sweeper: what is due and was not rung lately is rung again, and runs that have come to their end are closed."""

from collections.abc import Callable

import structlog

from app.ports.store import Run
from app.sync.fetch import Ring
from app.sync.parts import Parts
from app.sync.policy import SWEEPS_BEFORE_RINGING_AGAIN

log = structlog.get_logger("ordersync.sweep")

_MOST = 2_000
_GIVE_UP_READING = 3600.0

RingRun = Callable[[int, int], None]
"""Tells the workers that a site (the second id) is to be read for a run (the first)."""


def sweep(parts: Parts, *, ring: Ring, interval: float, ring_run: RingRun | None = None) -> int:
    """Ring everything due that nobody was told of lately. Returns how many batches were rung.

    `interval` is the number of seconds between two sweeps. This alone moves every order to its end, and every run that was
    begun, should every other message be lost.
    """
    quiet = interval * SWEEPS_BEFORE_RINGING_AGAIN
    if ring_run is not None:
        for run_id, site_id in parts.store.unread_runs(rung_before=quiet):
            ring_run(run_id, site_id)
    bells = parts.store.due(rung_before=quiet, limit=_MOST)
    for bell in bells:
        ring(bell)
    close_runs(parts)
    return len(bells)


def close_runs(parts: Parts) -> tuple[Run, ...]:
    """End the runs none of whose orders is in motion, each with one summary line."""
    ended = parts.store.close_runs(cut_off_after=_GIVE_UP_READING)
    for run in ended:
        seconds = round((run.finished_at - run.started_at).total_seconds(), 1) if run.finished_at else 0.0
        log.info("Summary", run=run.id, site=run.site_id, seconds=seconds, **run.counts)
    return ended
