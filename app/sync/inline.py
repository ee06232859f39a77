"""The road in this process, without a broker: for a first look, and for repairs where no worker runs."""

import heapq
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count

import structlog

from app.domain.road import LINKS, Link, Owed, Stage
from app.ports.deliveries import DueSite
from app.ports.store import Bell, UnreadRun
from app.sync import pipeline
from app.sync.hooks import read_due
from app.sync.parts import Parts
from app.sync.steps import StepResult
from app.sync.sweep import sweep

STEPS: Mapping[Link, Callable[..., StepResult]] = {
    Stage.NORMALIZE: pipeline.normalize,
    Stage.VERIFY_SKUS: pipeline.verify_skus,
    Stage.EXPAND_KITS: pipeline.expand_kits,
    Stage.APPLY_STORE_CREDIT: pipeline.apply_store_credit,
    Stage.WRITE: pipeline.write,
    Owed.ACKNOWLEDGE: pipeline.acknowledge,
    Owed.EXPORT: pipeline.export,
}
"""The use-case behind each link of the chain."""

assert tuple(STEPS) == LINKS  # noqa: S101 - a link without its step would be noticed only when an order stands there


_SWEEP_INTERVAL = 0.3


class InlineRoad:
    """Runs batches one after the other; those that wait come back when they are due."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._order = count()
        self._due: list[tuple[float, int, Bell]] = []

    def ring(self, bell: Bell, *, delay: float = 0.0) -> None:
        """Take a batch in, due in `delay` seconds."""
        heapq.heappush(self._due, (self._parts.ticks() + delay, next(self._order), bell))

    def run_due(self) -> bool:
        """Run everything that is due. Returns whether there was anything."""
        ran = False
        while self._due and self._due[0][0] <= self._parts.ticks():
            _, _, bell = heapq.heappop(self._due)
            self._run(bell)
            ran = True
        return ran

    def run_until_settled(
        self, run_id: int, *, progress: Callable[[Mapping[str, int]], None], patience: float
    ) -> bool:
        """Go on until no order of the run is in motion, and nothing else is due.

        Returns False where `patience` seconds were not enough for the run.
        """
        deadline = self._parts.ticks() + patience
        while True:
            self.run_due()
            rung = sweep(
                self._parts,
                ring=self.ring,
                interval=_SWEEP_INTERVAL,
                ring_run=self._read,
                ring_site=self.read_named,
            )
            run = self._parts.store.run(run_id)
            progress(run.counts)
            if run.finished_at is not None and not rung:
                return True
            if self._parts.ticks() > deadline:
                return run.finished_at is not None
            if not self.run_due():
                time.sleep(0.1)

    def read_named(self, site: DueSite) -> None:
        """Read the orders that a site's due deliveries name, and take them in."""
        read_due(self._parts, site_id=site.id, ring=self.ring)

    def _read(self, run: UnreadRun) -> None:
        pipeline.fetch(self._parts, site_id=run.site_id, run_id=run.run_id, ring=self.ring)

    def _run(self, bell: Bell) -> None:
        with structlog.contextvars.bound_contextvars(site=bell.site, run=bell.run_id, batch=bell.batch_id):
            for link in bell.links:
                result = STEPS[link](self._parts, batch_id=bell.batch_id)
                for batch_id in result.restarted:
                    self.ring(replace(bell, batch_id=batch_id, link=Stage.NORMALIZE))
                for batch_id, seconds in result.waiting:
                    self.ring(replace(bell, batch_id=batch_id, link=link), delay=seconds)
