"""Which measurements there are, and how they follow one another in one run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from app.celery_door import Workers
from app.errors import UsageError
from tests.bench import calls
from tests.bench.bounds import measure_bounds
from tests.bench.endtoend import RunResult, run_orders
from tests.bench.naive import move_orders
from tests.bench.peers import LINES
from tests.bench.processes import MemoryMeter, wait_for_calm
from tests.bench.quota import measure_quota
from tests.bench.stages import measure_stages
from tests.bench.wire import PAGE, Wire
from tests.bench.world import World, now

PARTS = ("zero", "latency", "calls", "memory", "quota", "stages", "naive", "bounds")
_THROUGH_CELERY = frozenset({"zero", "latency", "calls", "memory"})
_NAIVE_SECONDS = 30.0
"""About how long the naive script may take at each latency: it is slow, and exactly as slow for every order."""
_NAIVE_CALLS = LINES + 5
"""For each order: its lines' SKUs, the customer, two documents, the insert and the mark."""
_NAIVE_CALL_MS = 5.0
_NAIVE_MOST = 200
_QUOTA_MOST = 500


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person asked of the bench."""

    orders: int
    repeat: int
    latencies: tuple[int, ...]
    only: frozenset[str]
    calm: float

    @classmethod
    def read(cls, *, orders: int, repeat: int, latencies: str, only: str, calm: float) -> "Wishes":
        """Raises `UsageError` with one sentence."""
        chosen = frozenset(filter(None, only.split(","))) or frozenset(PARTS)
        unknown = sorted(chosen - set(PARTS))
        if unknown:
            raise UsageError(f"There is no measurement {unknown[0]!r}; there are: {', '.join(PARTS)}.")
        if orders < 1 or repeat < 1:
            raise UsageError("--orders and --repeat must be above zero.")
        try:
            found = tuple(int(each) for each in latencies.split(",") if each)
        except ValueError:
            raise UsageError("--latencies are whole milliseconds, such as 50,200.") from None
        return cls(orders, repeat, tuple(each for each in found if each > 0), chosen, calm)


def measure(world: World, wishes: Wishes, *, console: Console) -> dict[str, Any]:
    """Everything that was asked for, as JSON."""
    found: dict[str, Any] = {}
    bench = _Bench(world, wishes, console)
    if wishes.only & _THROUGH_CELERY:
        found |= bench.through_celery()
    if "quota" in wishes.only:
        found["quota"] = bench.quota()
    if "stages" in wishes.only:
        found["stages"] = bench.stages()
    if "naive" in wishes.only:
        found["naive"] = bench.naive(found)
    if "bounds" in wishes.only:
        found["bounds"] = bench.bounds()
    return found


class _Bench:
    def __init__(self, world: World, wishes: Wishes, console: Console) -> None:
        self._world = world
        self._wishes = wishes
        self._console = console

    def through_celery(self) -> dict[str, Any]:
        """With every customer new, with all of them known, and known at each latency."""
        wishes = self._wishes
        repeat = wishes.repeat if "zero" in wishes.only else 1
        found: dict[str, Any] = {}
        with self._world.workers() as workers, MemoryMeter(self._world.processes) as memory:
            new, known = [], []
            for turn in range(1, repeat + 1):
                buyers = f"turn{turn}"
                new.append(self._run(workers, buyers, f"every customer new, {turn} of {repeat}"))
                # Another shop with the same buyers: its orders find their links and customers.
                known.append(self._run(workers, buyers, f"customers known, {turn} of {repeat}"))
            if "zero" in wishes.only:
                found["zero"] = {"new": _several(new), "known": _several(known)}
            if "calls" in wishes.only:
                found["calls"] = {"new": _calls(new[-1]), "known": _calls(known[-1])}
            if "latency" in wishes.only:
                found["latency"] = {
                    str(latency): _several(
                        [
                            self._run(
                                workers,
                                "turn1",
                                f"customers known, {latency} ms per request, {turn} of {wishes.repeat}",
                                latency_ms=latency,
                            )
                            for turn in range(1, wishes.repeat + 1)
                        ]
                    )
                    for latency in wishes.latencies
                }
        if "memory" in wishes.only:
            found["memory"] = memory.peaks
        return found

    def quota(self) -> dict[str, Any]:
        """A BigCommerce store whose orders are marked one by one."""
        orders = min(self._wishes.orders, _QUOTA_MOST)
        with self._world.workers() as workers:
            self._wait_for_calm()
            with self._console.status(f"{orders} orders of a BigCommerce store ...") as status:
                rows = measure_quota(
                    self._world,
                    workers,
                    orders=orders,
                    progress=lambda text: status.update(
                        f"{orders} orders of a BigCommerce store, {text} ..."
                    ),
                )
        self._say(f"{orders} orders of a BigCommerce store, for each way of paying")
        return rows

    def stages(self) -> dict[str, Any]:
        """With the customers known; the export also with every customer new."""
        orders = self._wishes.orders
        self._wait_for_calm()
        rows = {}
        for kind in ("new", "known"):
            with self._console.status(f"Stage by stage, customers {kind} ...") as status:
                rows[kind] = measure_stages(
                    self._world,
                    orders=orders,
                    buyers="stages",
                    progress=lambda text: status.update(f"Stage by stage, {text} ..."),
                )
        self._say(f"{orders} orders stage by stage, in one process")
        return rows["known"] | {"export, every customer new": rows["new"]["export"]}

    def naive(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """At each latency, beside our own rate at the same one."""
        rows: dict[str, Any] = {}
        for latency in (0, *self._wishes.latencies):
            row = self._naive(latency)
            ours = found.get("latency", {}).get(str(latency)) or found.get("zero", {}).get("known")
            if ours is not None and (latency == 0 or str(latency) in found.get("latency", {})):
                row["order_sync_orders_per_s"] = ours["median"]
                row["ratio"] = round(ours["median"] / row["orders_per_s"], 1)
            rows[str(latency)] = row
        return rows

    def _naive(self, latency: int) -> dict[str, Any]:
        each = _NAIVE_CALLS * (latency + _NAIVE_CALL_MS) / 1000
        orders = max(1, min(self._wishes.orders, _NAIVE_MOST, int(_NAIVE_SECONDS / each)))
        with self._world.shop(orders=orders, buyers=f"naive{latency}", known=True) as shop:
            wire = Wire(shop=shop, erp=self._world.erp)
            for peer in (shop, self._world.erp):
                peer.slow_down(latency_ms=latency)
            try:
                with self._console.status(f"The naive script, {orders} orders at {latency} ms ..."):
                    started = now()
                    moved = move_orders(wire, prefix=f"N{latency}")
                    spent = now() - started
            finally:
                self._world.erp.slow_down(latency_ms=0)
                wire.close()
        assert (moved, wire.calls) == (orders, orders * _NAIVE_CALLS + -(-orders // PAGE))
        rate = orders / spent
        self._say(f"The naive script at {latency} ms per request: {rate:.2f} orders/s")
        return {
            "orders": orders,
            "orders_per_s": round(rate, 2),
            "calls_per_order": round(wire.calls / orders, 2),
        }

    def bounds(self) -> dict[str, Any]:
        """What is unavoidable."""
        if "stages" not in self._wishes.only and not self._wishes.only & _THROUGH_CELERY:
            # Rows to insert again.
            measure_stages(
                self._world, orders=self._wishes.orders, buyers="bounds", progress=lambda _text: None
            )
        self._wait_for_calm()
        with self._console.status("Lower bounds ..."):
            rows = measure_bounds(self._world, orders=self._wishes.orders)
        self._say("The same JSON parsed, the same rows inserted, the sandboxes asked with nothing else to do")
        return rows

    def _run(self, workers: Workers, buyers: str, text: str, *, latency_ms: int = 0) -> RunResult:
        orders = self._wishes.orders
        self._wait_for_calm()
        with self._console.status(f"{orders} orders, {text} ...") as status:

            def progress(counts: Mapping[str, int]) -> None:
                status.update(f"{orders} orders, {text}: {counts['exported']} exported")

            result = run_orders(
                self._world, workers, orders=orders, buyers=buyers, latency_ms=latency_ms, progress=progress
            )
        self._say(f"{orders} orders, {text}: {result.rate:.0f} orders/s")
        return result

    def _wait_for_calm(self) -> None:
        if self._wishes.calm:
            with self._console.status("Waiting until the machine has nothing else to do ..."):
                if not wait_for_calm(seconds=self._wishes.calm):
                    self._say(
                        "The machine is busy with other things; what follows is slower than it could be"
                    )

    def _say(self, text: str) -> None:
        self._console.print(f"- {text}", highlight=False)


def _several(results: Sequence[RunResult]) -> dict[str, Any]:
    """The best and the median of several runs, and each of them."""
    rates = sorted(result.rate for result in results)
    written = sorted(result.written_seconds for result in results)
    middle = len(results) // 2
    return {
        "orders": results[0].orders,
        "best": round(rates[-1], 1),
        "median": round(rates[(len(rates) - 1) // 2], 1),
        "written_seconds_best": round(written[0], 2),
        "written_seconds_median": round(written[middle], 2),
        "runs": [result.as_json() for result in results],
    }


def _calls(result: RunResult) -> dict[str, Any]:
    """The counts of one run, and for each hundred orders."""
    hundreds = result.orders / 100
    peers = {"shop": result.shop_calls, "erp": result.erp_calls}
    per_hundred = {
        name: {
            purpose: {kind: round(count / hundreds, 2) for kind, count in row.items()}
            for purpose, row in peer.items()
        }
        for name, peer in peers.items()
    }
    apart = round(calls.apart_from_writing(*peers.values()) / hundreds, 2)
    return {**per_hundred, "apart_from_writing": apart}
