"""Flower, to look at tasks and workers and for nothing else: `python -m workers.flower`.

Flower's own command answers `/metrics` and `/healthcheck` to anybody and lets whoever signs in send tasks and stop workers. Here
every path asks for the login of ORDERSYNC_FLOWER_AUTH, and Flower's read-only mode refuses whatever would change something:
what is to be done is decided by the database and the command line, where it leaves a trace.
"""

import base64
import binascii
import hmac
import http.client
import signal
import sys
from typing import Any

import click
import tornado.web
from celery import Celery
from flower.app import Flower
from flower.options import options
from flower.urls import settings as flower_settings

from app.errors import Misconfigured, OrderSyncError
from app.logs import set_up_logging
from app.runtime import broker_url
from app.settings import load_settings
from workers.application import make_app

COLUMNS = "name,uuid,state,kwargs,received,started,runtime,worker,retries"
"""Of the tasks' page; a task's own page links to its chain's first task and to the one before it."""
# A task takes 6 kB of memory (measured). An installation at rest has 10,000 a day: the sweeper's and beat's ticks.
_MAX_TASKS = 20_000
_CHECK_SECONDS = 5.0


class _Refused(tornado.web.RequestHandler):
    def check_xsrf_cookie(self) -> None:
        """Nobody comes so far as to do anything."""

    def prepare(self) -> None:
        self.set_status(401)
        self.set_header("WWW-Authenticate", 'Basic realm="flower"')
        self.finish("Access denied")


class _GuardedFlower(Flower):  # type: ignore[misc] # Flower has no types.
    """Flower that lets nobody in without the login, whatever the path."""

    def find_handler(self, request: Any, **_: Any) -> Any:
        given = request.headers.get("Authorization", "")
        if not is_login(given, login=self.options.basic_auth[0]):
            return self.get_handler_delegate(request, _Refused)
        return super().find_handler(request)


def is_login(header: str, *, login: str) -> bool:
    """Whether this Authorization header carries the login (`name:password`)."""
    scheme, _, credentials = header.partition(" ")
    try:
        given = base64.b64decode(credentials.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(given, login.encode())


def serve(celery: Celery, *, login: str, address: str, port: int) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises `Misconfigured` where the port cannot be had."""
    # Flower's own command reads its options from the environment as well; here nothing there can open what is closed.
    options.basic_auth = [login]
    options.read_only = True
    options.address, options.port = address, port
    options.tasks_columns = COLUMNS
    options.max_tasks = _MAX_TASKS
    flower = _GuardedFlower(capp=celery, options=options, log_function=lambda _: None, **flower_settings)
    try:
        flower.start_http_server()
    except OSError as error:
        raise Misconfigured(f"Flower cannot listen on {address}:{port} ({error.strerror}).") from None
    for number in (signal.SIGTERM, signal.SIGINT):
        flower.io_loop.asyncio_loop.add_signal_handler(number, flower.stop)
    flower.start()


def answers(*, login: str, address: str, port: int) -> bool:
    """Whether a Flower there lets us in."""
    connection = http.client.HTTPConnection(address, port, timeout=_CHECK_SECONDS)
    credentials = base64.b64encode(login.encode()).decode()
    try:
        connection.request("GET", "/healthcheck", headers={"Authorization": f"Basic {credentials}"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@click.command()
@click.option("--address", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=5555, show_default=True, help="Where to listen.")
@click.option("--check", is_flag=True, help="Only see whether one answers there: exit code 0 or 1.")
def main(address: str, port: int, check: bool) -> None:  # noqa: FBT001 - click hands flags over as plain parameters
    """Tasks and workers in the browser, for those who know ORDERSYNC_FLOWER_AUTH (name:password)."""
    try:
        settings = load_settings()
        login = settings.flower_login()
        if check:
            sys.exit(not answers(login=login, address=address, port=port))
        set_up_logging(process="flower", settings=settings)
        celery = make_app(settings, url=broker_url(settings))
        serve(celery, login=login, address=address, port=port)
    except OrderSyncError as error:
        sys.exit(f"ordersync: {error.reason}")


if __name__ == "__main__":
    main()
