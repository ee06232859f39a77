"""When there is anything to do for what beat sends: it sleeps until then, which leaves out nothing but empty ticks."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from app.domain.road import STEP_UNFINISHED, UNFINISHED, Stage
from app.domain.windows import closed_until
from tests.simulation.middleware import LIMITS, WINDOW
from tests.simulation.processes import SWEEP_SECONDS
from tests.simulation.stores import Row, Rows

_QUIET = timedelta(seconds=3 * SWEEP_SECONDS)


def sweep_due(rows: Rows) -> datetime | None:
    """When the sweeper will next have anything to ring."""
    return min((*_due_on_the_road(rows), *_due_to_be_read(rows)), default=None)


def tick_due(rows: Rows, now: datetime) -> datetime:
    """When a tick will next have anything to start. In a window it would start what ends at once."""
    opens = closed_until(now, windows=(WINDOW,), early=timedelta(seconds=LIMITS.soft_time_limit)) or now
    sites = [
        max(row["order_next_run"], row["lease_until"] or opens, row["paused_until"] or opens)
        for row in rows("rm_sites")
    ]
    erps = [max(row["items_next_run"], row["paused_until"] or opens) for row in rows("rm_erps")]
    first: datetime = min(*sites, *erps)
    return max(opens, first)


def _due_on_the_road(rows: Rows) -> Iterator[datetime]:
    delivered: set[int] = set()
    for row in rows("rm_thread"):
        if row["state"] in UNFINISHED and row["stage"] == Stage.DELIVER:
            delivered.add(row["id"])
        elif row["state"] in UNFINISHED:
            yield _free(row)
    for row in rows("rm_step"):
        if row["thread_id"] in delivered and row["state"] in STEP_UNFINISHED:
            yield _free(row)


def _due_to_be_read(rows: Rows) -> Iterator[datetime]:
    for row in rows("rm_delivery"):
        if row["next_at"] is not None:
            yield _free(row)
    leases = {row["id"]: row["lease_until"] for row in rows("rm_sites")}
    for row in rows("rm_run"):
        if row["kind"] == "orders" and row["read_at"] is None and row["finished_at"] is None:
            rung_at = row["rung_at"] or row["started_at"]
            yield max(rung_at + _QUIET, leases[row["site_id"]] or rung_at)


def _free(row: Row) -> datetime:
    """When a row is due, nobody works on it, and it may be rung again."""
    at: datetime = row["next_at"]
    rung_at: datetime | None = row["rung_at"]
    return max(at, row["lease_until"] or at, at if rung_at is None else rung_at + _QUIET)
