"""What all tasks share: each line of the log knows whose work it tells of, and no failure's text leaves the process."""

import time
from typing import Any

import structlog
from celery import Task
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded
from kombu.exceptions import OperationalError

from app.bootstrap import DATABASE_AWAY, end_task, measure_task, program_of_process
from app.errors import Misconfigured, OrderSyncError

log = structlog.get_logger("ordersync.task")


_NOT_ENDED: tuple[type[Exception], ...] = (*DATABASE_AWAY, OrderSyncError)


class TaskEnded(Exception):
    """A task was ended by a failure. It names the failure's class and nothing else: Flower shows this text."""


class OrdersWait(Exception):
    """Why a task is tried again. Flower shows its text; which order waits for what is in the database."""


class LoggedTask(Task):  # type: ignore[misc] # Celery has no types.
    """Binds what a task's lines belong to, and tells of its failures in our own words: Celery's quote them.

    A task returns nothing, or a sentence that says why it did not do what it was sent for. Where somebody watches it, the run
    `watched_run` ends with it.
    """

    throws = (TaskEnded,)

    def __call__(self, *arguments: Any, watched_run: int | None = None, **keywords: Any) -> None:
        """Run the task. Raises `TaskEnded` for every failure; it has been logged then."""
        context = {
            "task": self.name,
            "task_id": self.request.id,
            "site": keywords.get("site"),
            "erp": keywords.get("erp"),
            "run": keywords.get("run_id") or watched_run,
            "batch": keywords.get("batch_id"),
        }
        known = {name: value for name, value in context.items() if value}
        with structlog.contextvars.bound_contextvars(**known):
            began = time.monotonic()
            try:
                reason = self.run(*arguments, **keywords) or ""
                if watched_run is not None:
                    end_task(program_of_process().parts, watched_run, reason=reason)
            except (Ignore, Reject, Retry):
                raise
            except SoftTimeLimitExceeded as error:
                # What it had begun is under lease until then; the sweeper rings it again.
                log.warning("task_out_of_time")
                failure = type(error).__name__
            except (*DATABASE_AWAY, OperationalError) as error:
                failure = type(error).__name__
                log.warning("task_interrupted", failure=failure)
            except Misconfigured as error:
                # The program cannot be opened with its settings. Those of sites and ERPs are the use-cases' to tell.
                failure = type(error).__name__
                log.error("program_misconfigured", reason=error.reason)  # noqa: TRY400 - the reason says all
            except Exception as error:
                failure = type(error).__name__
                log.exception("task_failed", failure=failure)
            else:
                return
            finally:
                _measure(self.name, time.monotonic() - began)
            if watched_run is not None:
                _end_failed(watched_run, failure)
        # Outside of the handler, so that the failure itself is no part of what Celery sends.
        raise TaskEnded(failure)


def _measure(name: str, seconds: float) -> None:
    try:
        measure_task(name, seconds)
    except Exception as error:  # noqa: BLE001 - its time may be up this very moment, and what is done stays done
        log.warning("not_measured", failure=type(error).__name__)


def _end_failed(run_id: int, failure: str) -> None:
    """Whoever watches the task is told that it failed; where even that fails, the sweeper gives the run up later."""
    reason = f"It failed ({failure}); the worker's log says more."
    try:
        end_task(program_of_process().parts, run_id, reason=reason)
    except _NOT_ENDED as error:
        log.warning("run_not_ended", failure=type(error).__name__)
