"""The road as tasks: fetch rings batches, and each batch goes through a chain of one task for each link.

A chain carries the batch's id and nothing else. Any of its messages may be lost, late or doubled without harm: a task works
on what the database says is due, and the sweeper rings again what nobody came for.
"""

from typing import Any

import structlog
from celery import Task, chain, shared_task, signature
from kombu.exceptions import OperationalError

from app.bootstrap import Bell, Link, Owed, Stage, holds_up, inline, pipeline, program_of_process

log = structlog.get_logger("ordersync.road")


def ring(bell: Bell, *, countdown: float | None = None) -> None:
    """Send the chain that takes a batch from a link to the road's end, to start in `countdown` seconds."""
    first, *rest = (
        signature(f"ordersync.{link}", kwargs={"batch_id": bell.batch_id}, immutable=True)
        for link in bell.links
    )
    try:
        chain(first.set(countdown=countdown), *rest).apply_async()
    except OperationalError as error:
        # The broker is away. What is stored stays due, and the sweeper rings it when the broker is back.
        log.warning("not_rung", batch=bell.batch_id, link=str(bell.link), failure=type(error).__name__)


@shared_task(name="ordersync.fetch")
def fetch(*, site_id: int, run_id: int | None = None, **_from_a_newer_sender: Any) -> None:
    """Read one site's orders and ring their batches."""
    result = pipeline.fetch(program_of_process().parts, site_id=site_id, run_id=run_id, ring=ring)
    if result.state == "unfinished":
        fetch.delay(site_id=site_id, run_id=result.run_id)


def _step(task: Task, link: Link, batch_id: int) -> None:
    result = inline.STEPS[link](program_of_process().parts, batch_id=batch_id)
    for restarted in result.restarted:
        ring(Bell(batch_id=restarted, link=Stage.NORMALIZE))
    for waiting, seconds in result.waiting:
        if holds_up(link) and not result.passed and waiting == batch_id:
            # Nothing went on, so the links behind wait with this one.
            raise task.retry(countdown=seconds)
        # The chain goes on with the others; those that wait get the rest of the road as a chain of their own.
        ring(Bell(batch_id=waiting, link=link), countdown=seconds)


@shared_task(name="ordersync.normalize", bind=True, max_retries=None)
def normalize(self: Task, *, batch_id: int, **_from_a_newer_sender: Any) -> None:
    """From the platform's words to ours."""
    _step(self, Stage.NORMALIZE, batch_id)


@shared_task(name="ordersync.verify_skus", bind=True, max_retries=None)
def verify_skus(self: Task, *, batch_id: int, **_from_a_newer_sender: Any) -> None:
    """Three tiers of SKU verification."""
    _step(self, Stage.VERIFY_SKUS, batch_id)


@shared_task(name="ordersync.expand_kits", bind=True, max_retries=None)
def expand_kits(self: Task, *, batch_id: int, **_from_a_newer_sender: Any) -> None:
    """Kits get their components."""
    _step(self, Stage.EXPAND_KITS, batch_id)


@shared_task(name="ordersync.apply_store_credit", bind=True, max_retries=None)
def apply_store_credit(self: Task, *, batch_id: int, **_from_a_newer_sender: Any) -> None:
    """Store credit is spread over the lines."""
    _step(self, Stage.APPLY_STORE_CREDIT, batch_id)


@shared_task(name="ordersync.write", bind=True, max_retries=None)
def write(self: Task, *, batch_id: int, **_from_a_newer_sender: Any) -> None:
    """The order's rows and owed steps."""
    _step(self, Stage.WRITE, batch_id)


@shared_task(name="ordersync.acknowledge", bind=True, max_retries=None)
def acknowledge(self: Task, *, batch_id: int, **_from_a_newer_sender: Any) -> None:
    """The platform is told."""
    _step(self, Owed.ACKNOWLEDGE, batch_id)


@shared_task(name="ordersync.export", bind=True, max_retries=None)
def export(self: Task, *, batch_id: int, **_from_a_newer_sender: Any) -> None:
    """The ERP gets its document."""
    _step(self, Owed.EXPORT, batch_id)
