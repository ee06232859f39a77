"""Upkeep as tasks: beat's tick, the sweeper, and the item sync."""

from typing import Any

from celery import shared_task

from app.bootstrap import due_now, program_of_process, sweep, sync_items
from tasks.road import fetch, ring


@shared_task(name="ordersync.tick")
def tick(**_from_a_newer_sender: Any) -> None:
    """Start what is due: sites to be read, items to be read."""
    due = due_now()
    for site_id in due.site_ids:
        fetch.delay(site_id=site_id)
    for erp_id in due.erp_ids:
        items.delay(erp_id=erp_id)


@shared_task(name="ordersync.sweep")
def sweep_due(**_from_a_newer_sender: Any) -> None:
    """Ring what is due and was not rung lately."""
    program = program_of_process()
    sweep(program.parts, ring=ring, interval=program.settings.sweep_seconds, ring_run=_ring_run)


def _ring_run(run_id: int, site_id: int) -> None:
    fetch.delay(site_id=site_id, run_id=run_id)


@shared_task(name="ordersync.sync_items")
def items(*, erp_id: int, **_from_a_newer_sender: Any) -> None:
    """Read the ERP's changed items."""
    sync_items(program_of_process().parts, erp_id=erp_id)
