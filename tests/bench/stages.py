"""Each stage of the road alone: in this process, batch after batch, with nobody else at work."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from app.bootstrap import Bell, close_runs, inline, pipeline
from tests.bench.endtoend import Incomplete
from tests.bench.peers import Peer
from tests.bench.processes import CpuMeter
from tests.bench.world import World, now


class _Watch:
    """Adds up wall and CPU seconds, ours and the sandboxes', of one stage."""

    def __init__(self, *, shop: Peer, erp: Peer) -> None:
        self._peers = {"sandbox_cpu_shop": shop.pid, "sandbox_cpu_erp": erp.pid}
        self.sums = dict.fromkeys(("wall", "cpu", *self._peers), 0.0)

    def time(self, work: Callable[[], Any]) -> Any:
        theirs, ours, started = CpuMeter(self._peers), time.process_time(), now()
        result = work()
        spent = {"wall": now() - started, "cpu": time.process_time() - ours} | theirs.seconds()
        self.sums = {name: self.sums[name] + seconds for name, seconds in spent.items()}
        return result


def measure_stages(
    world: World, *, orders: int, buyers: str, progress: Callable[[str], None]
) -> dict[str, dict[str, float]]:
    """Orders per second, wall and CPU seconds by stage. Raises `Incomplete` where one order does not get through."""
    with world.site(orders=orders, buyers=buyers) as (site_id, shop):
        watches = {"fetch": _Watch(shop=shop, erp=world.erp)}
        watches |= {str(link): _Watch(shop=shop, erp=world.erp) for link in inline.STEPS}
        parts = world.program.parts
        run_id = parts.store.open_run(kind="orders", site_id=site_id)
        bells: list[Bell] = []
        watches["fetch"].time(
            lambda: pipeline.fetch(parts, site_id=site_id, run_id=run_id, ring=bells.append)
        )
        for number, bell in enumerate(bells, start=1):
            progress(f"batch {number} of {len(bells)}")
            for link in bell.links:
                watches[str(link)].time(lambda: inline.STEPS[link](parts, batch_id=bell.batch_id))  # noqa: B023
        counts = parts.store.run(run_id).counts
        if counts["exported"] != orders:
            raise Incomplete(
                f"{counts['exported']} of {orders} orders went through stage by stage ({dict(counts)})."
            )
        close_runs(parts)
        return {name: _row(watch.sums, orders) for name, watch in watches.items()}


def _row(sums: Mapping[str, float], orders: int) -> dict[str, float]:
    return {"orders_per_s": round(orders / sums["wall"], 1)} | {
        f"{name}_seconds": round(value, 3) for name, value in sums.items()
    }
