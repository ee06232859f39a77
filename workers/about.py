"""What a worker says of itself when it is asked (`app.doctor`)."""

from typing import Any

from celery.worker.control import inspect_command

from app import __version__


@inspect_command()
def ordersync_about(state: Any, **_from_a_newer_sender: Any) -> dict[str, Any]:
    """The program's version, and the queues that this worker takes messages from."""
    consumer = state.consumer.task_consumer
    queues = [] if consumer is None else [queue.name for queue in consumer.queues]
    return {"version": __version__, "queues": sorted(queues)}
