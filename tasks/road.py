"""The road as tasks: fetch rings batches, and each batch goes through a chain of one task for each link.

A chain carries the batch's id, and for whoever reads the log or Flower the site's name and the run. Any of its messages may be
lost, late or doubled without harm: a task works on what the database says is due, and the sweeper rings again what nobody came for.
"""

from typing import Any

import structlog
from celery import Task, shared_task
from kombu.exceptions import OperationalError

from app.bootstrap import Bell, Link, Owed, Stage, holds_up, inline, pipeline, program_of_process, read_due
from tasks.chains import road_chain
from tasks.logged import LoggedTask, OrdersWait

log = structlog.get_logger("ordersync.road")


def ring(bell: Bell, *, countdown: float | None = None) -> None:
    """Send the chain that takes a batch from a link to the road's end, to start in `countdown` seconds."""
    try:
        road_chain(bell, countdown=countdown).apply_async()
    except OperationalError as error:
        # The broker is away. What is stored stays due, and the sweeper rings it when the broker is back.
        log.warning("not_rung", link=str(bell.link), batch=bell.batch_id, failure=type(error).__name__)


@shared_task(name="ordersync.fetch", base=LoggedTask)
def fetch(*, site_id: int, run_id: int | None = None, site: str = "", **_from_a_newer_sender: Any) -> None:
    """Read one site's orders and ring their batches."""
    result = pipeline.fetch(program_of_process().parts, site_id=site_id, run_id=run_id, ring=ring)
    if result.state == "unfinished":
        again = {"site_id": site_id, "run_id": result.run_id, "site": site}
        fetch.apply_async(kwargs=again, countdown=result.again_in)


@shared_task(name="ordersync.read_named", base=LoggedTask)
def read_named(*, site_id: int, site: str = "", **_from_a_newer_sender: Any) -> None:
    """Read the orders that a site's webhooks have named and ring their batches."""
    if read_due(program_of_process().parts, site_id=site_id, ring=ring):
        read_named.delay(site_id=site_id, site=site)


def _step(
    task: Task,
    link: Link,
    batch_id: int,
    *,
    site: str = "",
    run_id: int | None = None,
    **_from_a_newer_sender: Any,
) -> None:
    result = inline.STEPS[link](program_of_process().parts, batch_id=batch_id)
    for restarted in result.restarted:
        ring(Bell(batch_id=restarted, link=Stage.NORMALIZE, site=site, run_id=run_id))
    for waiting, seconds in result.waiting:
        if holds_up(link) and not result.passed and waiting == batch_id:
            # Nothing went on, so the links behind wait with this one.
            raise task.retry(countdown=seconds, exc=OrdersWait("No order of the batch can go on yet."))
        # The chain goes on with the others; those that wait get the rest of the road as a chain of their own.
        ring(Bell(batch_id=waiting, link=link, site=site, run_id=run_id), countdown=seconds)
    if holds_up(link) and not result.passed:
        # What is further on has a chain of its own, or the sweeper rings it. A batch that was rung twice costs one task, not seven.
        task.request.chain = None


@shared_task(name="ordersync.normalize", base=LoggedTask, bind=True, max_retries=None)
def normalize(self: Task, *, batch_id: int, **names: Any) -> None:
    """From the platform's words to ours."""
    _step(self, Stage.NORMALIZE, batch_id, **names)


@shared_task(name="ordersync.verify_skus", base=LoggedTask, bind=True, max_retries=None)
def verify_skus(self: Task, *, batch_id: int, **names: Any) -> None:
    """Three tiers of SKU verification."""
    _step(self, Stage.VERIFY_SKUS, batch_id, **names)


@shared_task(name="ordersync.expand_kits", base=LoggedTask, bind=True, max_retries=None)
def expand_kits(self: Task, *, batch_id: int, **names: Any) -> None:
    """Kits get their components."""
    _step(self, Stage.EXPAND_KITS, batch_id, **names)


@shared_task(name="ordersync.apply_store_credit", base=LoggedTask, bind=True, max_retries=None)
def apply_store_credit(self: Task, *, batch_id: int, **names: Any) -> None:
    """Store credit is spread over the lines."""
    _step(self, Stage.APPLY_STORE_CREDIT, batch_id, **names)


@shared_task(name="ordersync.write", base=LoggedTask, bind=True, max_retries=None)
def write(self: Task, *, batch_id: int, **names: Any) -> None:
    """The order's rows and owed steps."""
    _step(self, Stage.WRITE, batch_id, **names)


@shared_task(name="ordersync.acknowledge", base=LoggedTask, bind=True, max_retries=None)
def acknowledge(self: Task, *, batch_id: int, **names: Any) -> None:
    """The platform is told."""
    _step(self, Owed.ACKNOWLEDGE, batch_id, **names)


@shared_task(name="ordersync.export", base=LoggedTask, bind=True, max_retries=None)
def export(self: Task, *, batch_id: int, **names: Any) -> None:
    """The ERP gets its document."""
    _step(self, Owed.EXPORT, batch_id, **names)
