"""What other libraries log: ERROR is left where a person is needed, and lowered where the program goes on by itself."""

import logging
from typing import Any

import pytest
import redis
from billiard.einfo import ExceptionInfo
from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from celery.beat import SchedulingError
from kombu.exceptions import OperationalError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import OperationalError as DatabaseAway

from tests.logs.conftest import Log

AWAY = redis.ConnectionError("Error 111 connecting to 127.0.0.1:1. Connection refused.")


def without_client() -> AttributeError:
    client = None
    try:
        client.hostname  # type: ignore[attr-defined] # noqa: B018
    except AttributeError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("logger", "message", "arguments"),
    [
        (
            "celery.worker.consumer.consumer",
            "consumer: Cannot connect to %s: %s.\n%s\n",
            ("redis://", AWAY, ""),
        ),
        ("celery.beat", "beat: Connection error: %s. Trying again in %s seconds...", (AWAY, 2.0)),
        ("celery.beat", "Message Error: %s\n%s", (SchedulingError("Couldn't apply"), [])),
        ("celery.worker.request", "Task handler raised error: %r", (WorkerLostError("signal 9"),)),
        ("celery.worker.request", "Task handler raised error: %r", (TimeLimitExceeded(4),)),
        ("celery.worker.request", "Hard time limit (%ss) exceeded for %s[%s]", (4, "ordersync.export", "x")),
        ("multiprocessing", "Process %r pid:%r exited with %r", ("ForkPoolWorker-1", 7, "signal 9")),
        ("flower.events", "Failed to capture events: '%s', trying again in %s seconds.", (AWAY, 1)),
        ("celery.worker", "Unrecoverable error: %r", (OperationalError("gone"),)),
        ("celery.worker", "Unrecoverable error: %r", (without_client(),)),
        ("sqlalchemy.pool", "Exception during reset: %r", (DatabaseAway("x", None, Exception()),)),
    ],
)
def test_what_heals_by_itself_is_a_warning(
    log: Log, logger: str, message: str, arguments: tuple[object, ...]
) -> None:
    log.set_up()
    logging.getLogger(logger).critical(message, *arguments)
    assert log.only_line()["level"] == "warning"


@pytest.mark.parametrize(
    ("logger", "message", "arguments"),
    [
        ("celery.worker", "Unrecoverable error: %r", (redis.OutOfMemoryError("maxmemory"),)),
        ("celery.worker", "Unrecoverable error: %r", (AttributeError("something of ours"),)),
        ("celery.worker.consumer.consumer", "Received unregistered task of type %s.", ("ordersync.new",)),
        ("celery.app.trace", "Task %s raised unexpected: %r", ("x", IntegrityError("x", None, Exception()))),
        ("tornado.application", "Uncaught exception %s", ("GET /",)),
    ],
)
def test_what_needs_a_person_stays_an_error(
    log: Log, logger: str, message: str, arguments: tuple[object, ...]
) -> None:
    log.set_up()
    logging.getLogger(logger).error(message, *arguments)
    assert log.only_line()["level"] == "error"


def handed_on(error: Exception) -> Any:
    """An exception as the process pool hands it on."""
    try:
        raise error
    except type(error):
        return ExceptionInfo().exc_info


def test_the_exception_of_a_record_counts_as_its_arguments_do(log: Log) -> None:
    log.set_up()
    for error in (WorkerLostError("signal 9"), ValueError("ours")):
        logging.getLogger("celery.worker.request").error("It failed.", exc_info=handed_on(error))
    healed, ours = log.lines()
    assert (healed["level"], "exception" in healed) == ("warning", False)
    assert (ours["level"], ours["exception"].splitlines()[-1]) == ("error", "ValueError")


def test_celerys_chatter_for_each_task_is_left_out(log: Log) -> None:
    log.set_up()
    logging.getLogger("celery.app.trace").info(
        "Task %(name)s[%(id)s] succeeded in 0.1s", {"name": "x", "id": "y"}
    )
    logging.getLogger("celery.worker.strategy").info(
        "Task %(name)s[%(id)s] received", {"name": "x", "id": "y"}
    )
    logging.getLogger("celery.beat").info("Scheduler: Sending due task %s (%s)", "tick", "ordersync.tick")
    logging.getLogger("celery.worker.request").warning(
        "Soft time limit (%ss) exceeded for %s[%s]", 3, "ordersync.export", SoftTimeLimitExceeded()
    )
    logging.getLogger("celery.beat").info("beat: Starting...")
    logging.getLogger("celery.apps.worker").info("%s ready.", "celery@vm")
    assert [line["event"] for line in log.lines()] == ["beat: Starting...", "celery@vm ready."]


def test_our_own_events_keep_their_level(log: Log) -> None:
    log.set_up()
    logging.getLogger("ordersync.test").error("%r", WorkerLostError("x"))
    assert log.only_line()["level"] == "error"


def test_a_message_that_is_none_of_ours_is_not_quoted(log: Log) -> None:
    log.set_up()
    logger = logging.getLogger("celery.worker.consumer.consumer")
    body = b"Ada Hidden, 1 Secret Lane \xff"
    try:
        body.decode()
    except UnicodeDecodeError as error:
        said = "Can't decode message body: %r [type:%r encoding:%r headers:%s]\n\nbody: %s"
        logger.critical(said, error, "application/json", "binary", {"kwargsrepr": "Ada"}, repr(body))
    logger.warning("Received and deleted unknown message.  Wrong destination?!?\n\n was: %s", repr(body))
    logger.error("Received invalid task message: %s\nThe message has been ignored.", KeyError("Ada"))
    assert [line["event"] for line in log.lines()] == [
        "Can't decode message body (UnicodeDecodeError); it was dropped.",
        "Received and deleted unknown message.  Wrong destination?!?",
        "Received invalid task message (KeyError); it was dropped.",
    ]
    assert "Ada" not in log.file.read_text(encoding="ascii")
