"""A BigCommerce store: which requests a hundred of its orders take, and whether its quota is kept while they are marked."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from app.celery_door import Workers
from app.sync.configure import Asked, add_site
from tests.bench.endtoend import Incomplete
from tests.bench.peers import Peer, start_store
from tests.bench.world import MOST_ORDERS, ONCE_A_YEAR, World, now

QUOTA = 150
WINDOW_SECONDS = 3.0
"""The quota of the smallest plan, in a tenth of its time."""
PAYMENTS = {
    "payments named in the order": {},
    "payments to be asked for": {"payment_method": "Credit Card", "payment_provider_id": ""},
}
_PATIENCE = 300.0
_UPDATE = "PUT /v2/orders/{id}"


def measure_quota(
    world: World, workers: Workers, *, orders: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """One run of so many orders for each way of paying. Raises `Incomplete` where one of them does not reach the ERP."""
    found = {}
    for number, (name, overrides) in enumerate(PAYMENTS.items(), start=1):
        with _store(world, name=f"store{number}", orders=orders, overrides=overrides) as (site_id, store):

            def tell(at: str, of: str = name) -> None:
                progress(f"{of}, {at}")

            seconds = _run(world, workers, site_id, orders=orders, progress=tell)
            found[name] = _row(store.tell("GET", "counters"), orders=orders, seconds=seconds)
    return found


@contextmanager
def _store(
    world: World, *, name: str, orders: int, overrides: Mapping[str, Any]
) -> Iterator[tuple[int, Peer]]:
    store = start_store(
        world.group, name=name, orders=orders, quota=QUOTA, window_seconds=WINDOW_SECONDS, overrides=overrides
    )
    site_id = add_site(
        world.program.parts,
        Asked(
            name=name,
            platform="bigcommerce",
            url=f"{store.url}/stores/sandbox1",
            allow_private=True,
            credentials={"token": "bc_sandbox_token"},
            settings={"max_orders_per_run": str(MOST_ORDERS), "schedule": ONCE_A_YEAR},
        ),
        prefix=name.upper(),
        erp=None,
    )
    store.tell("DELETE", "counters")
    try:
        yield site_id, store
    finally:
        world.group.stop_one(store.name)


def _run(
    world: World, workers: Workers, site_id: int, *, orders: int, progress: Callable[[str], None]
) -> float:
    """Seconds until every order is marked and exported; waits for a new window of the quota are among them."""
    parts = world.program.parts
    run_id = parts.store.open_run(kind="orders", site_id=site_id)
    started = now()
    workers.send("fetch", site_id=site_id, run_id=run_id)
    while True:
        counts = parts.store.run(run_id).counts
        if counts["exported"] >= orders and counts["acknowledged"] >= orders:
            return now() - started
        stopped = sum(counts[name] for name in ("rejected", "skipped", "closed"))
        if stopped or now() - started > _PATIENCE:
            raise Incomplete(
                f"{counts['exported']} of {orders} orders were exported ({dict(counts)}); see {world.settings.var / 'log'}."
            )
        progress(f"{counts['acknowledged']} marked")
        time.sleep(0.2)


def _row(counters: Mapping[str, Any], *, orders: int, seconds: float) -> dict[str, Any]:
    hundreds = orders / 100
    by_route: Mapping[str, int] = counters["by_route"]
    updates = by_route.get(_UPDATE, 0)
    return {
        "orders": orders,
        "seconds": round(seconds, 2),
        "updates_per_100": round(updates / hundreds, 2),
        "others_per_100": round((counters["requests"] - updates) / hundreds, 2),
        "by_route_per_100": {name: round(count / hundreds, 2) for name, count in sorted(by_route.items())},
        "refused": counters["refused"],
        "most_in_window": counters["most_in_window"],
        "quota": counters["quota"],
        "window_seconds": WINDOW_SECONDS,
    }
