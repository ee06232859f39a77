"""The sweeper: what is due and was not rung lately is rung again, and runs that have come to their end are closed."""

import structlog

from app.ports.store import Run
from app.sync.fetch import Ring
from app.sync.parts import Parts
from app.sync.policy import SWEEPS_BEFORE_RINGING_AGAIN

log = structlog.get_logger("ordersync.sweep")

_MOST = 2_000


def sweep(parts: Parts, *, ring: Ring, interval: float) -> int:
    """Ring every batch with rows due that nobody was told of lately. Returns how many were rung.

    `interval` is the number of seconds between two sweeps. This alone moves every order to its end, should every other message be lost.
    """
    bells = parts.store.due(rung_before=interval * SWEEPS_BEFORE_RINGING_AGAIN, limit=_MOST)
    for bell in bells:
        ring(bell)
    close_runs(parts)
    return len(bells)


def close_runs(parts: Parts) -> tuple[Run, ...]:
    """End the runs none of whose orders is in motion, each with one summary line."""
    ended = parts.store.close_runs()
    for run in ended:
        seconds = round((run.finished_at - run.started_at).total_seconds(), 1) if run.finished_at else 0.0
        log.info("Summary", run=run.id, site=run.site_id, seconds=seconds, **run.counts)
    return ended
