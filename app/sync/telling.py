"""What the log is told of runs, pauses and orders that stop: ids, counts and kinds. Reasons may quote people and stay in the database."""

from collections.abc import Iterable, Mapping

import structlog

from app.domain.road import Link
from app.errors import Misconfigured
from app.ports.store import ErpRow, Failed, Run, Site, StepOutcome, ThreadOutcome
from app.sync.parts import Parts
from app.sync.policy import pause_until

log = structlog.get_logger("ordersync.sync")

KIND_CRASH = "crash"


def tell_summary(run: Run, *, site: str) -> None:
    """The one line that a run ends with."""
    seconds = round((run.finished_at - run.started_at).total_seconds(), 1) if run.finished_at else 0.0
    log.info("Summary", run=run.id, site=site, state=run.state, seconds=seconds, **run.counts)


def tell_rejected(
    link: Link, outcomes: Iterable[ThreadOutcome | StepOutcome], *, numbers: Mapping[int, str]
) -> int:
    """One line for each order that needs a person; `numbers` are order numbers by the outcomes' ids. Returns how many.

    INFO: an order that is refused is the road's everyday end. Its person finds it in `rm_error_orders`, not here. One that
    ended its process again and again is a fault of ours.
    """
    failed = [each for each in outcomes if isinstance(each, Failed)]
    for each in failed:
        tell = log.error if each.kind == KIND_CRASH else log.info
        tell("order_rejected", order=numbers[each.id], link=str(link), kind=each.kind, field=each.field)
    return len(failed)


def pause_site(parts: Parts, site: Site, error: Misconfigured) -> None:
    """Leave a site whose settings cannot work alone for a while: an ERROR when that begins, a warning as long as it lasts."""
    begins = parts.store.pause_site(site.id, until=pause_until(parts.store.now()), reason=error.reason)
    (log.error if begins else log.warning)("site_paused", site=site.name, see="ordersync status")


def pause_erp(parts: Parts, row: ErpRow, error: Misconfigured) -> None:
    """The same for an ERP."""
    begins = parts.store.pause_erp(row.id, until=pause_until(parts.store.now()), reason=error.reason)
    (log.error if begins else log.warning)("erp_paused", erp=row.name, see="ordersync status")
