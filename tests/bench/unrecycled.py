"""A worker whose processes are never replaced, so that whatever they do not give back is seen."""

from workers.app import app

app.conf.update(worker_max_tasks_per_child=None, worker_max_memory_per_child=None)

__all__ = ["app"]
