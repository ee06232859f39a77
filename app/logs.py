"""Logging by structlog: constant event names with fields. Ids, counts and reasons; never bodies, names, addresses or secrets."""

import logging
import sys

import structlog


def set_up_logging(*, level: int = logging.INFO) -> None:
    """Write events of at least `level` to standard error, for a person where that is a terminal."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
