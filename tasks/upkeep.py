"""Upkeep as tasks: beat's tick, the sweeper, the item sync, and what is done about webhooks once a day."""

from contextlib import suppress
from typing import Any

from celery import Celery, Task, shared_task
from kombu.exceptions import OperationalError

from app.bootstrap import (
    DueSite,
    UnreadRun,
    archive_old_orders,
    check_hooks_due,
    drop_ended,
    drop_old_deliveries,
    due_now,
    program_of_process,
    recheck,
    reconcile_nightly,
    sweep,
    sync_items,
    tell_of_errors,
    watch_alerts,
)
from tasks.logged import LoggedTask
from tasks.road import fetch, read_named, ring


@shared_task(name="ordersync.tick", base=LoggedTask)
def tick(**_from_a_newer_sender: Any) -> None:
    """Start what is due: sites to be read, items to be read, webhooks to be looked after."""
    due = due_now()
    for site in due.sites:
        fetch.delay(site_id=site.id, site=site.name)
    for erp in due.erps:
        items.delay(erp_id=erp.id, erp=erp.name)
    for site in due.reconcile:
        reconcile.delay(site_id=site.id, site=site.name)
    for site in due.hooks:
        check_hooks.delay(site_id=site.id, site=site.name)


@shared_task(name="ordersync.sweep", base=LoggedTask, bind=True)
def sweep_due(self: Task, **_from_a_newer_sender: Any) -> None:
    """Ring what is due and was not rung lately."""
    program = program_of_process()
    sweep(
        program.parts,
        ring=ring,
        interval=program.settings.sweep_seconds,
        ring_run=_ring_run,
        ring_site=_ring_site,
        waiting=_waiting(self.app),
    )


def _waiting(app: Celery) -> int:
    """How many messages of orders wait for a worker."""
    found = 0
    with app.pool.acquire(block=True) as connection:
        for name in ("orders", "owed"):
            # A queue without messages is not there; and while the broker is away, none wait.
            with suppress(*connection.channel_errors, *connection.connection_errors, OperationalError):
                queue = connection.default_channel.queue_declare(queue=name, passive=True)
                found += queue.message_count
    return found


def _ring_run(run: UnreadRun) -> None:
    fetch.delay(site_id=run.site_id, run_id=run.run_id, site=run.site)


def _ring_site(site: DueSite) -> None:
    read_named.delay(site_id=site.id, site=site.name)


@shared_task(name="ordersync.sync_items", base=LoggedTask)
def items(*, erp_id: int, **_from_a_newer_sender: Any) -> str:
    """Read the ERP's changed items."""
    return sync_items(program_of_process().parts, erp_id=erp_id).reason


@shared_task(name="ordersync.reconcile", base=LoggedTask)
def reconcile(*, site_id: int, **_from_a_newer_sender: Any) -> str:
    """Compare a site's last days with its platform and its ERP."""
    return reconcile_nightly(program_of_process().parts, site_id=site_id, ring=ring)


@shared_task(name="ordersync.check_hooks", base=LoggedTask)
def check_hooks(*, site_id: int, **_from_a_newer_sender: Any) -> str:
    """See that a site's platform still sends its webhooks."""
    return check_hooks_due(program_of_process().parts, site_id=site_id)


@shared_task(name="ordersync.recheck", base=LoggedTask)
def recheck_errors(**_from_a_newer_sender: Any) -> None:
    """See whether what the ERP made impossible has been put right there, and let those orders go on."""
    recheck(program_of_process().parts, ring=ring)


@shared_task(name="ordersync.drop_deliveries", base=LoggedTask)
def drop_deliveries(**_from_a_newer_sender: Any) -> None:
    """Forget what webhooks brought long ago, and the sessions, links and kept answers that have ended."""
    drop_old_deliveries(program_of_process().parts)
    drop_ended()


@shared_task(name="ordersync.report_errors", base=LoggedTask)
def report_errors(*, month: str = "", **_from_a_newer_sender: Any) -> None:
    """Tell the log how many errors a month brought, by default the one that ended last."""
    tell_of_errors(program_of_process().parts, month=month)


@shared_task(name="ordersync.watch", base=LoggedTask)
def watch(**_from_a_newer_sender: Any) -> None:
    """Look whether something is amiss, and tell people when it begins and when it is over."""
    watch_alerts()


@shared_task(name="ordersync.archive", base=LoggedTask)
def archive(**_from_a_newer_sender: Any) -> None:
    """Move orders that have long been done to the archive."""
    archive_old_orders()
