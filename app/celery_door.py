"""The way from the doors (command line, demo) to the workers: send a task, ask whether a worker answers, wait for a run."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis
import structlog
from kombu.exceptions import OperationalError

from app.bootstrap import Bell, Program, close_runs
from app.errors import Misconfigured
from app.heartbeats import Sign, alive
from app.measures import RedisMeasures
from app.passes import connect
from app.ports.deliveries import DueSite
from app.ports.measures import Counted
from app.ports.store import Run
from app.runtime import ProcessGroup, broker_url, some_broker
from app.settings import Settings
from tasks.chains import road_chain
from workers.application import make_app

log = structlog.get_logger("ordersync.door")

CONCURRENCY = 4
"""Pool processes of a worker. They wait for shop and ERP most of the time, so there are more of them than cores."""

_ASK_SECONDS = 1.0
_START_SECONDS = 60.0
_LOOK_SECONDS = 0.2
_SWEEP_SECONDS = 5.0
_CELERY = [sys.executable, "-m", "celery", "--quiet", "-A", "workers.app"]


class Workers:
    """Sends tasks through the broker and sees whether anybody works on them."""

    def __init__(self, settings: Settings, *, url: str) -> None:
        self._settings = settings
        self._url = url
        self._app = make_app(settings, url=url)

    def send(self, task: str, **arguments: Any) -> None:  # noqa: ANN401 - a task's own arguments
        """Send a task by its name; ids and names of sites only."""
        # Nobody asks for a result; subscribing to one would fail in ways of its own while the broker is away.
        self._app.send_task(f"ordersync.{task}", kwargs=arguments, ignore_result=True)

    def ring(self, bell: Bell, countdown: float | None = None) -> bool:
        """Send the chain that takes a batch from a link to the road's end, to start in `countdown` seconds.

        Returns whether the broker took it. Where it did not, nothing is lost: what is stored stays due, and the sweeper rings.
        """
        try:
            road_chain(bell, countdown=countdown, app=self._app).apply_async()
        except OperationalError as error:
            log.warning("not_rung", link=str(bell.link), batch=bell.batch_id, failure=type(error).__name__)
            return False
        return True

    def answer(self) -> bool:
        """Whether any worker answers within a second. Raises `Misconfigured` where the broker does not."""
        try:
            return bool(self._app.control.ping(timeout=_ASK_SECONDS, limit=1))
        except OperationalError as error:
            raise Misconfigured(
                f"The broker does not answer ({type(error).__name__}); nothing was sent. See `ordersync doctor broker`."
            ) from None

    def nodes(self) -> tuple[str, ...]:
        """The worker nodes that answer within a second, by name."""
        found = self._app.control.ping(timeout=_ASK_SECONDS)
        return tuple(sorted({name for each in found for name in each}))

    def wait_until_they_answer(self, *, seconds: float = _START_SECONDS) -> None:
        """Return when a worker answers. Raises `Misconfigured` where none does."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.answer():
                return
        raise Misconfigured(
            f"No worker answered within {seconds:g} seconds; see {self._settings.var / 'log' / 'worker.log'}."
        )

    @contextmanager
    def some(self) -> Iterator[bool]:
        """Workers that answer: those that run, or one of our own for the time being. Gives whether it is our own."""
        if self.answer():
            yield False
            return
        with ProcessGroup(self._settings.var / "log") as group:
            group.start(
                "worker", worker_command(), environment=worker_environment(self._settings, url=self._url)
            )
            self.wait_until_they_answer()
            yield True


@contextmanager
def answering_workers(settings: Settings) -> Iterator[tuple[Workers, bool]]:
    """Workers that answer, and whether they, or the broker, are there for the time being only."""
    with some_broker(settings) as url:
        workers = Workers(settings, url=url)
        with workers.some() as own:
            yield workers, own


class DeliveryBell:
    """Tells the workers that a site has deliveries whose orders are to be read.

    Never raises: while the broker is away, the sweeper rings for what is stored.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._workers: Workers | None = None

    def __call__(self, site: DueSite) -> None:
        """Send the task."""
        try:
            if self._workers is None:
                self._workers = Workers(self._settings, url=broker_url(self._settings))
            self._workers.send("read_named", site_id=site.id, site=site.name)
        except (Misconfigured, OperationalError) as error:
            log.warning("not_rung", site=site.name, failure=type(error).__name__)


@dataclass(frozen=True, slots=True)
class Processes:
    """The worker nodes that answer, by name, and the beats that live; `fault` says why nobody could be asked."""

    workers: tuple[str, ...] = ()
    beats: tuple[Sign, ...] = ()
    fault: str = ""


class BrokerDoors:
    """What the web asks of broker and workers. Never raises: while the broker is away, what is stored stays due."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._workers: Workers | None = None

    def _open(self) -> Workers:
        if self._workers is None:
            self._workers = Workers(self._settings, url=broker_url(self._settings))
        return self._workers

    def ring(self, bell: Bell) -> bool:
        """Tell the workers of a batch. Returns whether the broker took it."""
        try:
            return self._open().ring(bell)
        except (Misconfigured, OperationalError) as error:
            log.warning("not_rung", batch=bell.batch_id, failure=type(error).__name__)
            return False

    def send(self, task: str, **arguments: Any) -> bool:  # noqa: ANN401 - a task's own arguments
        """Send a task by its name; ids and names of sites only. Returns whether the broker took it."""
        try:
            self._open().send(task, **arguments)
        except (Misconfigured, OperationalError) as error:
            log.warning("not_sent", task=task, failure=type(error).__name__)
            return False
        return True

    def queues(self) -> dict[str, Any]:
        """As `broker_queues`."""
        return broker_queues(self._settings)

    def counted(self) -> Counted:
        """What all workers have counted."""
        try:
            with connect(broker_url(self._settings)) as client:
                return RedisMeasures(client).counted()
        except Misconfigured as error:
            return Counted(fault=error.reason)
        except redis.RedisError as error:
            return Counted(fault=f"The broker does not answer ({type(error).__name__}).")

    def processes(self) -> Processes:
        """Who is alive: worker nodes that answer within a second, and the beats that sent something lately."""
        try:
            url = broker_url(self._settings)
            with connect(url) as client:
                beats = alive(client, process="beat")
            answers = self._open().nodes()
        except Misconfigured as error:
            return Processes(fault=error.reason)
        except (redis.RedisError, OperationalError) as error:
            return Processes(fault=f"The broker does not answer ({type(error).__name__}).")
        return Processes(workers=answers, beats=beats)


def broker_queues(settings: Settings) -> dict[str, Any]:
    """How many messages wait in each queue, and how many were taken and not acknowledged; or why the broker cannot be asked."""
    queues: dict[str, int] = {}
    try:
        url = broker_url(settings)
        names = [queue.name for queue in make_app(settings, url=url).conf.task_queues]
        with connect(url) as client:
            queues = {name: int(client.llen(name)) for name in names}
            return {"queues": queues, "unacknowledged": int(client.hlen("unacked")), "fault": ""}
    except Misconfigured as error:
        fault = error.reason
    except redis.RedisError as error:
        fault = f"it does not answer ({type(error).__name__})."
    return {"queues": {}, "unacknowledged": 0, "fault": fault}


def worker_command(*, concurrency: int = CONCURRENCY) -> list[str]:
    """The worker's command line, in `docker-compose.yml` and `Procfile` as well; so are the next two."""
    options = [f"--concurrency={concurrency}", "--without-gossip", "--without-mingle"]
    return [*_CELERY, "worker", *options]


def beat_command() -> list[str]:
    """Beat's command line."""
    return [*_CELERY, "beat"]


def flower_command(*, address: str = "127.0.0.1", port: int = 5555) -> list[str]:
    """Flower's command line; it finds its login in the settings."""
    return [sys.executable, "-m", "workers.flower", f"--address={address}", f"--port={port}"]


def web_command(*, address: str = "127.0.0.1", port: int = 8080) -> list[str]:
    """The web server's command line; deployments say `ordersync web` for its first three words."""
    return [sys.executable, "-m", "app.cli", "web", f"--address={address}", f"--port={port}"]


def worker_environment(settings: Settings, *, url: str) -> dict[str, str]:
    """What a child must be told so that it works on the same database and broker as we do."""
    return {"DATABASE_URL": settings.database_url, "REDIS_URL": url, "ORDERSYNC_VAR": str(settings.var)}


def wait_for_run(
    program: Program,
    workers: Workers,
    run_id: int,
    *,
    patience: float,
    progress: Callable[[Mapping[str, int]], None],
    own_beat: bool = False,
    each_look: Callable[[], None] = lambda: None,
) -> tuple[Run, bool]:
    """Look at the run until none of its orders is in motion, or for `patience` seconds. Gives the run and whether it settled.

    The database is watched, not Celery's results: they may be lost. With `own_beat` the sweeper is rung from here.
    """
    started = time.monotonic()
    swept = started
    while True:
        each_look()
        run = program.parts.store.run(run_id)
        if run.finished_at is None and run.is_read and not run.counts["moving"]:
            # Ended here rather than by the next sweep; not asked at every look, since it takes the database's write lock.
            close_runs(program.parts)
            run = program.parts.store.run(run_id)
        progress(run.counts)
        if run.finished_at is not None:
            return run, True
        now = time.monotonic()
        if now - started > patience:
            return run, False
        if own_beat and now - swept > _SWEEP_SECONDS:
            workers.send("sweep")
            swept = now
        time.sleep(_LOOK_SECONDS)
