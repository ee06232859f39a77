"""The sweeper: what is due and was not rung lately is rung again, and runs that have come to their end are closed."""

from collections.abc import Callable

from app.ports.deliveries import DueSite
from app.ports.store import Run, UnreadRun
from app.sync.fetch import Ring
from app.sync.parts import Parts
from app.sync.policy import DELIVERIES_KEPT, ENOUGH_WAITING, RUNG_AMONG_MANY, SWEEPS_BEFORE_RINGING_AGAIN
from app.sync.telling import tell_summary

_MOST = 2_000
_GIVE_UP_READING = 3600.0
_CHUNK, _CHUNKS = 500, 200

RingRun = Callable[[UnreadRun], None]
"""Tells the workers that a site is to be read for a run."""

RingSite = Callable[[DueSite], None]
"""Tells the workers that a site has deliveries whose orders are to be read."""


def sweep(
    parts: Parts,
    *,
    ring: Ring,
    interval: float,
    ring_run: RingRun | None = None,
    ring_site: RingSite | None = None,
    waiting: int = 0,
) -> int:
    """Ring everything due that nobody was told of lately. Returns how many batches, and sites with deliveries, were rung.

    `interval` is the number of seconds between two sweeps, `waiting` how many messages wait for a worker: a backlog of a day
    would be rung again and again otherwise. This alone moves every order to its end, and every run that was begun, should
    every other message be lost.
    """
    quiet = interval * SWEEPS_BEFORE_RINGING_AGAIN
    if ring_run is not None:
        for run in parts.store.unread_runs(rung_before=quiet):
            ring_run(run)
    named = 0
    if ring_site is not None:
        for site in parts.store.due_deliveries(rung_before=quiet):
            ring_site(site)
            named += 1
    parts.store.release_known()
    limit = _MOST if waiting < ENOUGH_WAITING else RUNG_AMONG_MANY
    bells = parts.store.due(rung_before=quiet, limit=limit)
    for bell in bells:
        ring(bell)
    close_runs(parts)
    return len(bells) + named


def drop_old_deliveries(parts: Parts) -> int:
    """Forget the deliveries that nobody sends again any more, a few at a time. Returns how many there were."""
    before = parts.store.now() - DELIVERIES_KEPT
    dropped = 0
    for _ in range(_CHUNKS):
        found = parts.store.drop_deliveries(before=before, most=_CHUNK)
        dropped += found
        if found < _CHUNK:
            break
    return dropped


def close_runs(parts: Parts) -> tuple[Run, ...]:
    """End the runs none of whose orders is in motion, each with one summary line."""
    ended = parts.store.close_runs(cut_off_after=_GIVE_UP_READING)
    if ended:
        names = {site.id: site.name for site in parts.store.sites()}
        for run in ended:
            # A site may be removed between the two questions.
            tell_summary(run, site=names.get(run.site_id or 0, ""))
    return ended
