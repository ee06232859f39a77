"""A whole middleware on real processes: worker and broker, with the sandbox shop and ERP beside them."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from app.bootstrap import Program, open_program, sync_items
from app.celery_door import CONCURRENCY, Workers, worker_command
from app.demo import clock_shift
from app.ports.store import Run
from app.runtime import ProcessGroup
from app.sandbox.erp import COMPANY_ID, Erp, demo_fill
from app.sandbox.erp import create_app as erp_app
from app.sandbox.server import RunningServer, serve
from app.sandbox.shop import Shop, recorded_orders
from app.sandbox.shop import create_app as shop_app
from app.settings import load_settings
from app.sync.configure import Asked, add_erp, add_site
from app.sync.items import import_kits
from tests.fixtures.databases import Database, Databases

ROOT = Path(__file__).parents[2]
LIMITS = {
    "ORDERSYNC_HTTP_TIMEOUT": "0.8",
    "ORDERSYNC_SOFT_TIME_LIMIT": "2.6",
    "ORDERSYNC_TIME_LIMIT": "3.2",
    "ORDERSYNC_LEASE": "3.6",
    "ORDERSYNC_SWEEP_SECONDS": "0.3",
}
ACCOUNTS = {"shipping": "40400", "tax": "40500", "fee": "40600", "gift_card": "40700", "rounding": "40900"}


@dataclass
class Middleware:
    """One middleware with its peers, and what a test does with it."""

    program: Program
    workers: Workers
    group: ProcessGroup
    environment: dict[str, str]
    shop: Shop
    erp: Erp
    erp_url: str
    servers: list[RunningServer]
    broker: str
    site_id: int

    def start_worker(self, application: str = "workers.app", *, concurrency: int = CONCURRENCY) -> None:
        command = worker_command(concurrency=concurrency)
        command[command.index("workers.app")] = application
        self.group.start("worker", command, environment=self.environment, cwd=ROOT)
        self.workers.wait_until_they_answer(seconds=30)

    def slow_down(self, *, milliseconds: int) -> None:
        """Let every call to shop and ERP take longer, so that there is a middle to be killed in."""
        for server in self.servers:
            server.latency_ms = milliseconds

    def start_run(self) -> int:
        run_id = self.program.parts.store.open_run(kind="orders", site_id=self.site_id)
        self.workers.send("fetch", site_id=self.site_id, run_id=run_id, site="bgm")
        return run_id

    def wait(self, run_id: int, *, seconds: float = 240, each_look: Callable[[], None] = lambda: None) -> Run:
        """Until the run has ended, with beat's sweeper rung from here."""
        deadline = time.monotonic() + seconds
        swept = 0.0
        while True:
            if time.monotonic() > swept + 0.3:
                self.workers.send("sweep")
                swept = time.monotonic()
            run = self.program.parts.store.run(run_id)
            if run.finished_at is not None:
                return run
            assert time.monotonic() < deadline, f"still in motion: {dict(run.counts)}"
            each_look()
            time.sleep(0.02)

    def documents(self) -> list[dict[str, Any]]:
        """What the ERP holds."""
        found: list[dict[str, Any]] = requests.get(f"{self.erp_url}/_sandbox/documents", timeout=10).json()[
            "documents"
        ]
        return found


def as_it_is(app: Any) -> Any:
    return app


@contextmanager
def running_middleware(
    tmp_path: Path,
    broker: str,
    database: Database,
    *,
    shop: Shop,
    behind: Callable[[Any], Any] = as_it_is,
) -> Iterator[Middleware]:
    """A middleware in `tmp_path`, with what stands between it and its peers' applications."""
    erp = Erp()
    demo_fill(erp)
    environment = {
        "ORDERSYNC_VAR": str(tmp_path / "var"),
        "ORDERSYNC_ENV_FILE": "/dev/null",
        "REDIS_URL": broker,
        **database.environment,
        # Outside of the ERP's maintenance window, whatever the hour of the week.
        "ORDERSYNC_CLOCK_SHIFT": str(clock_shift(datetime.now(UTC)).total_seconds()),
        **LIMITS,
    }
    settings = load_settings(environment)
    with ExitStack() as stack:
        servers = [stack.enter_context(serve(behind(made))) for made in (shop_app(shop), erp_app(erp))]
        shop_url, erp_url = (server.url for server in servers)
        group = stack.enter_context(ProcessGroup(tmp_path / "log", grace=3.0))
        program = open_program(settings, url=broker)
        stack.callback(program.engine.dispose)
        parts = program.parts
        erp_id = add_erp(
            parts,
            Asked(
                name="bc",
                platform="business_central",
                url=f"{erp_url}/api/v2.0",
                allow_private=True,
                credentials={
                    "token_url": f"{erp_url}/sandbox/oauth2/v2.0/token",
                    "client_id": "sandbox-client",
                    "client_secret": "sandbox-secret",
                },
                settings={
                    "t_late": "4",
                    "create_customers": "true",
                    **{f"account.{name}": number for name, number in ACCOUNTS.items()},
                },
            ),
            company=COMPANY_ID,
        )
        site_id = add_site(
            parts,
            Asked(
                name="bgm",
                platform="woocommerce",
                url=shop_url,
                allow_private=True,
                credentials={"key": "ck_sandbox", "secret": "cs_sandbox"},
                settings={"max_orders_per_run": "1000"},
            ),
            prefix="BGM",
            erp=None,
        )
        import_kits(
            parts,
            lines=io.StringIO(
                "parent_sku,component_sku,quantity\nKIT-PARENT-123,COMP-A,3\nKIT-PARENT-123,COMP-B,1\n"
            ),
        )
        sync_items(parts, erp_id=erp_id)
        workers = Workers(settings, url=broker)
        yield Middleware(program, workers, group, environment, shop, erp, erp_url, servers, broker, site_id)


@pytest.fixture
def road_database(databases: Databases, tmp_path: Path) -> Iterator[Database]:
    """Where the middleware's embedded one would be."""
    with databases.migrated(tmp_path / "var") as database:
        yield database


@pytest.fixture
def middleware(tmp_path: Path, empty_broker_url: str, road_database: Database) -> Iterator[Middleware]:
    with running_middleware(tmp_path, empty_broker_url, road_database, shop=Shop(recorded_orders())) as found:
        yield found
