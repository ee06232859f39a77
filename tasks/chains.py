"""The chain that takes a batch along the road, for whoever rings it: a worker, the sweeper, a person."""

from typing import Any

from celery import Celery, chain, signature

from app.bootstrap import Bell


def road_chain(bell: Bell, *, countdown: float | None = None, app: Celery | None = None) -> Any:
    """The chain from the bell's link to the road's end, to start in `countdown` seconds; by default of this process's application.

    Its messages carry ids, and for readers the site's name and the run.
    """
    names = {"site": bell.site, "run_id": bell.run_id}
    keywords = {"batch_id": bell.batch_id, **{name: value for name, value in names.items() if value}}
    first, *rest = (
        # Nobody asks for a result; subscribing to one would fail in ways of its own while the broker is away.
        signature(f"ordersync.{link}", kwargs=dict(keywords), immutable=True, app=app).set(ignore_result=True)
        for link in bell.links
    )
    return chain(first.set(countdown=countdown), *rest, app=app)
