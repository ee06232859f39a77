"""The Celery application of this process's settings: `celery -A workers.app worker`, `... beat`; Flower is `workers.flower`."""

import os
import sys

import click
from celery import Celery

from app.errors import OrderSyncError
from app.logs import process_name, set_up_logging
from app.runtime import broker_url
from app.settings import load_settings
from workers.application import make_app

# What a worker makes (database, logs) is for its own user only.
os.umask(0o077)


def _app() -> Celery:
    command = click.get_current_context(silent=True)
    if command is not None and command.invoked_subcommand == "flower":
        raise SystemExit(
            "ordersync: `celery flower` would show its numbers to anybody and let anybody with the login send tasks; "
            "start it with `python -m workers.flower`."
        )
    try:
        settings = load_settings()
        # At import and not by Celery's signal for it, which Flower never sends.
        process = process_name(sys.argv[1:], named=os.environ.get("ORDERSYNC_PROCESS"))
        set_up_logging(process=process, settings=settings)
        return make_app(settings, url=broker_url(settings))
    except OrderSyncError as error:
        # Celery would show a traceback where a sentence says what to do.
        raise SystemExit(f"ordersync: {error.reason}") from None


app = _app()
