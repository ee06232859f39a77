"""Everything a measurement runs on: a database, a broker, an ERP, the program's parts, and workers when they are wanted."""

import io
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil
from sqlalchemy import Engine, make_url, text

from app.bootstrap import Program, open_program, prepare_database, sync_items
from app.celery_door import Workers, worker_command
from app.demo import clock_shift
from app.errors import UsageError
from app.runtime import EmbeddedBroker, ProcessGroup
from app.settings import Settings, load_settings
from app.sync.configure import Asked, add_erp, add_site
from app.sync.items import import_kits
from tests.bench.peers import COMPANY, KITS, Peer, start_erp, start_shop
from tests.bench.processes import family
from tests.fixtures.postgres import running_postgres

MOST_ORDERS = 10_000
POSTGRES = "postgres"
_ACCOUNTS = {"shipping": "40400", "tax": "40500", "fee": "40600", "gift_card": "40700", "rounding": "40900"}
ONCE_A_YEAR = "0 0 1 1 *"
"""Nothing is due by itself while it is measured."""
_UNSET = (
    "ORDERSYNC_HTTP_TIMEOUT",
    "ORDERSYNC_SOFT_TIME_LIMIT",
    "ORDERSYNC_TIME_LIMIT",
    "ORDERSYNC_LEASE",
    "ORDERSYNC_SWEEP_SECONDS",
    "ORDERSYNC_SECRET_KEY",
    "ORDERSYNC_SECRET_KEY_FILE",
    "DATABASE_URL",
    "REDIS_URL",
)
"""Whatever the person has set: the program's own values are measured."""


@dataclass(slots=True)
class World:
    """One set-up. Each run of orders is a site of its own with a shop of its own; ERP, database and workers stay."""

    settings: Settings
    url: str
    program: Program
    group: ProcessGroup
    erp: Peer
    environment: Mapping[str, str]
    broker_pid: int
    database_pid: int | None
    _shops: int = field(default=0)

    @contextmanager
    def shop(self, *, orders: int, buyers: str, known: bool = False) -> Iterator[Peer]:
        """A new shop with this many orders, which ends with the block. `known`: the ERP gets its buyers as customers."""
        self._shops += 1
        domain = f"{buyers}.example.test"
        shop = start_shop(self.group, name=f"shop{self._shops}", orders=orders, mail_domain=domain)
        if known:
            numbers = range(1, orders + 1)
            people = [{"displayName": "A Buyer", "email": f"buyer{number}@{domain}"} for number in numbers]
            self.erp.tell("POST", "customers", people)
        try:
            yield shop
        finally:
            self.group.stop_one(shop.name)

    @contextmanager
    def site(self, *, orders: int, buyers: str) -> Iterator[tuple[int, Peer]]:
        """A new site and its shop."""
        with self.shop(orders=orders, buyers=buyers) as shop:
            yield self._add_site(shop, orders=orders), shop

    def _add_site(self, shop: Peer, *, orders: int) -> int:
        return add_site(
            self.program.parts,
            Asked(
                name=shop.name,
                platform="woocommerce",
                url=shop.url,
                allow_private=True,
                credentials={"key": "ck_sandbox", "secret": "cs_sandbox"},
                settings={"max_orders_per_run": str(orders), "schedule": ONCE_A_YEAR},
            ),
            prefix=f"B{self._shops}",
            erp=None,
        )

    @contextmanager
    def workers(self, *, application: str = "workers.app") -> Iterator[Workers]:
        """A worker with its children and a beat, up and answering."""
        command = worker_command()
        command[command.index("workers.app")] = application
        celery = [sys.executable, "-m", "celery", "-A", "workers.app"]
        schedule = str(self.settings.var / "beat-schedule")
        self.group.start("worker", command, environment=self.environment)
        self.group.start(
            "beat", [*celery, "beat", "--loglevel=WARNING", "-s", schedule], environment=self.environment
        )
        try:
            workers = Workers(self.settings, url=self.url)
            workers.wait_until_they_answer()
            yield workers
        finally:
            self.group.stop_one("beat")
            self.group.stop_one("worker")

    def roots(self, shop: Peer) -> dict[str, int]:
        """Process ids by name, of what is at work in a run through Celery."""
        found = {"shop": shop.pid, "erp": self.erp.pid, "broker": self.broker_pid}
        if self.database_pid is not None:
            found["database"] = self.database_pid
        return found | {name: self.group.pid(name) for name in ("worker", "beat")}

    def processes(self) -> dict[str, psutil.Process]:
        """Worker, its children and beat, by the names they have in the report."""
        worker = self.group.pid("worker")
        of_worker = family(worker)
        children = [of_worker[pid] for pid in sorted(of_worker) if pid != worker]
        found = {f"child {number}": child for number, child in enumerate(children, start=1)}
        beat = self.group.pid("beat")
        both = {"worker": of_worker.get(worker), **found, "beat": family(beat).get(beat)}
        return {name: process for name, process in both.items() if process is not None}


@contextmanager
def open_world(var: Path, *, database: str) -> Iterator[World]:
    """A set-up in the folder `var`, which is wiped, with the ERP connected and its items and kits known."""
    shutil.rmtree(var, ignore_errors=True)
    var.mkdir(parents=True)
    with ExitStack() as stack:
        shift = clock_shift(datetime.now(UTC))
        environment = dict.fromkeys(_UNSET, "") | {
            "ORDERSYNC_VAR": str(var),
            "ORDERSYNC_ENV_FILE": os.devnull,
            "ORDERSYNC_CLOCK_SHIFT": str(shift.total_seconds()),
        }
        address = stack.enter_context(_database(database))
        if address is not None:
            environment["DATABASE_URL"] = address
        settings = load_settings(environment)
        prepare_database(settings)
        broker = stack.enter_context(EmbeddedBroker(var / "broker"))
        group = stack.enter_context(ProcessGroup(var / "log"))
        program = open_program(settings, url=broker.url)
        stack.callback(program.engine.dispose)
        erp = start_erp(group, name="erp")
        world = World(
            settings=settings,
            url=broker.url,
            program=program,
            group=group,
            erp=erp,
            environment=environment | {"DATABASE_URL": settings.database_url, "REDIS_URL": broker.url},
            broker_pid=broker.pid,
            database_pid=_server_of(program.engine) if database == POSTGRES else None,
        )
        _connect(program, erp)
        yield world


@contextmanager
def _database(wanted: str) -> Iterator[str | None]:
    """The address of an empty database: None for our own SQLite file, a PostgreSQL of our own, or the one that was named."""
    if wanted == "sqlite":
        yield None
    elif wanted == POSTGRES:
        with running_postgres() as server:
            yield server.url("postgres")
    elif "://" in wanted:
        yield make_url(wanted).render_as_string(hide_password=False)
    else:
        raise UsageError(
            f"There is no database {wanted!r}: it is sqlite, postgres, or the URL of an empty one."
        )


def _server_of(engine: Engine) -> int:
    """The process id of the PostgreSQL on this machine that serves us."""
    with engine.connect() as connection:
        serving: int = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    return psutil.Process(serving).ppid()


def _connect(program: Program, erp: Peer) -> None:
    """What a person does once for a real ERP, with the sandbox's keys."""
    erp_id = add_erp(
        program.parts,
        Asked(
            name="bc",
            platform="business_central",
            url=f"{erp.url}/api/v2.0",
            allow_private=True,
            credentials={
                "token_url": f"{erp.url}/sandbox/oauth2/v2.0/token",
                "client_id": "sandbox-client",
                "client_secret": "sandbox-secret",
            },
            settings={
                "default_customer": "WEB-CASH",
                "create_customers": "true",
                "items_schedule": ONCE_A_YEAR,
                **{f"account.{name}": number for name, number in _ACCOUNTS.items()},
                # Every new customer is a call, and Business Central takes 6,000 of them in five minutes: that is not what is measured.
                "calls_per_5_minutes": "100000",
            },
        ),
        company=COMPANY,
    )
    import_kits(program.parts, lines=io.StringIO(KITS))
    result = sync_items(program.parts, erp_id=erp_id)
    assert result.state == "done", result.reason


def now() -> float:
    """Seconds on the clock that all measurements use."""
    return time.perf_counter()
