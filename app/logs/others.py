"""What other libraries log, by our rule: ERROR is for what needs a person, and what we say better ourselves is left out."""

import logging

from app.logs.traces import unwrapped

QUIET = {
    # Their lines for each task; ours for each step say more.
    "celery.app.trace": logging.WARNING,
    "celery.worker.strategy": logging.WARNING,
    "multiprocessing": logging.WARNING,
    # What it loads and looks at in each process; that it changes the schema it says on another.
    "alembic.runtime.plugins": logging.WARNING,
    "urllib3": logging.WARNING,
    # Flower asks the workers at its start, before any is up; its page shows who answers.
    "flower.inspector": logging.ERROR,
    "sqlalchemy": logging.WARNING,
    "asyncio": logging.WARNING,
    # Warnings of Python are for whoever develops; the tests take each of them for a failure.
    "py.warnings": logging.ERROR,
}
"""The level from which on each of these loggers counts at all."""

_LEFT_OUT = (
    "Context impl %s.",  # alembic.runtime.migration, for every look at the schema's version.
    "Will assume %s DDL.",
    "Registered tasks:",  # flower.command
    "Scheduler: Sending due task",  # celery.beat, for every tick and sweep.
    "Soft time limit (%ss) exceeded",  # celery.worker.request; `task_out_of_time` says it with the site and the batch.
)

_HEALING = frozenset(
    {
        # The broker or the database is away: the connection is tried again, and so is what was to be done.
        "ConnectionError",
        "OperationalError",
        "SchedulingError",
        "TimeoutError",
        # A worker's child was killed or had to be: the sweeper rings its orders again, and counts how often that happens.
        "RestartFreqExceeded",
        # Met in Celery's own code, after ours had ended.
        "SoftTimeLimitExceeded",
        "Terminated",
        "TimeLimitExceeded",
        "WorkerLostError",
    }
)
"""Classes of failures after which the program goes on by itself."""

_HEALING_TEXTS = (
    "Hard time limit (%ss) exceeded",
    "Process %r pid:%r exited with %r",
)


_QUOTING = ("Can't decode message body", "Received invalid task message")
"""Of celery.worker.consumer, which then shows a failure that holds the whole of a message that is none of ours."""


class OthersFilter(logging.Filter):
    """Leaves out, and lowers to WARNING, what other libraries log; our own events pass as they are."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record counts; its level is changed in place."""
        if record.name.startswith("ordersync"):
            return True
        text = str(record.msg)
        if text.startswith(_LEFT_OUT):
            return False
        quoting = next(filter(text.startswith, _QUOTING), None)
        if quoting is not None and record.args:
            record.msg, record.args = f"{quoting}{_class_of_first(record)}; it was dropped.", ()
        if record.levelno >= logging.ERROR and (text.startswith(_HEALING_TEXTS) or _heals(record)):
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def _class_of_first(record: logging.LogRecord) -> str:
    first = record.args[0] if isinstance(record.args, tuple) and record.args else None
    return f" ({type(first).__name__})" if isinstance(first, BaseException) else ""


def _heals(record: logging.LogRecord) -> bool:
    """Whether the record is about a failure after which the program goes on by itself."""
    given = record.args if isinstance(record.args, tuple) else ()
    error = record.exc_info[1] if record.exc_info else None
    return any(_is_healing(each) for each in (*given, error) if isinstance(each, BaseException))


def _is_healing(given: BaseException) -> bool:
    error = unwrapped(given)
    # By name: importing every library that defines one of them would cost each command a fifth of a second.
    if any(each.__name__ in _HEALING for each in type(error).__mro__):
        return True
    # Celery 5.7 leaves its worker this way when the broker goes away at a bad moment; what supervises it starts another.
    return isinstance(error, AttributeError) and error.name == "hostname" and error.obj is None
