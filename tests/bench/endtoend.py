"""A run of orders through Celery: from the sending of `fetch` until the ERP has the last of them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.bootstrap import close_runs
from app.celery_door import Workers
from app.errors import OrderSyncError
from tests.bench import calls
from tests.bench.peers import Peer
from tests.bench.processes import CpuMeter, machine_seconds
from tests.bench.world import World, now

_LOOK_SECONDS = 0.2
_LOOK_CLOSELY_SECONDS = 0.05
_NEARLY = 0.9
_PATIENCE = 600.0


class Incomplete(OrderSyncError):
    """Not every order of a run came to its end, so that there is nothing to report."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one run took. `written_seconds`: until all were read, checked and in the database. CPU seconds by process.

    `others_cores`: how many cores the machine spent on what is no part of this, which makes every other figure worse.
    """

    orders: int
    seconds: float
    written_seconds: float
    cpu: Mapping[str, float]
    others_cores: float
    shop_calls: Mapping[str, Mapping[str, int]]
    erp_calls: Mapping[str, Mapping[str, int]]

    @property
    def rate(self) -> float:
        """Orders per second."""
        return self.orders / self.seconds

    def as_json(self) -> dict[str, Any]:
        return {
            "orders_per_s": round(self.rate, 1),
            "seconds": round(self.seconds, 2),
            "written_seconds": round(self.written_seconds, 2),
            "cpu_seconds": dict(self.cpu),
            "others_cores": round(self.others_cores, 2),
        }


def run_orders(
    world: World,
    workers: Workers,
    *,
    orders: int,
    buyers: str,
    latency_ms: int = 0,
    progress: Callable[[Mapping[str, int]], None],
) -> RunResult:
    """One run over a new shop of `orders` orders. Raises `Incomplete` where one of them does not reach the ERP."""
    with world.site(orders=orders, buyers=buyers) as (site_id, shop):
        for peer in (shop, world.erp):
            peer.slow_down(latency_ms=latency_ms)
            peer.forget_requests()
        try:
            return _timed(world, workers, site_id, shop, orders=orders, progress=progress)
        finally:
            world.erp.slow_down(latency_ms=0)
            close_runs(world.program.parts)


def _timed(
    world: World,
    workers: Workers,
    site_id: int,
    shop: Peer,
    *,
    orders: int,
    progress: Callable[[Mapping[str, int]], None],
) -> RunResult:
    store = world.program.parts.store
    run_id = store.open_run(kind="orders", site_id=site_id)
    meter, busy, looking = CpuMeter(world.roots(shop)), machine_seconds(), time.process_time()
    started = now()
    written_at = None
    workers.send("fetch", site_id=site_id, run_id=run_id)
    while True:
        counts = store.run(run_id).counts
        seen = now()
        if written_at is None and counts["written"] >= orders:
            written_at = seen
        if counts["exported"] >= orders:
            break
        stopped = sum(counts[name] for name in ("held", "rejected", "skipped", "closed"))
        if stopped or seen - started > _PATIENCE:
            raise Incomplete(
                f"{counts['exported']} of {orders} orders were exported ({dict(counts)}); see {world.settings.var / 'log'}."
            )
        progress(counts)
        # Looking costs a little of what is measured; where a number is about to be reached it is worth it.
        near = any(_NEARLY * orders <= counts[name] < orders for name in ("written", "exported"))
        time.sleep(_LOOK_CLOSELY_SECONDS if near else _LOOK_SECONDS)
    cpu = meter.seconds()
    others = machine_seconds() - busy - sum(cpu.values()) - (time.process_time() - looking)
    return RunResult(
        orders=orders,
        seconds=seen - started,
        written_seconds=(written_at or seen) - started,
        cpu=cpu,
        others_cores=max(0.0, others / (seen - started)),
        shop_calls=calls.shop_counts(shop.requests()),
        erp_calls=calls.erp_counts(world.erp.requests()),
    )
