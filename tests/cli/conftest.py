"""The command line as scripts use it: in this process, or as processes of its own, beside a sandbox shop and ERP."""

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import structlog
from click.testing import CliRunner, Result

from app import cli
from app.bootstrap import Program, open_program
from app.demo import clock_shift
from app.sandbox.erp import COMPANY_ID, Erp, demo_fill
from app.sandbox.erp import create_app as erp_app
from app.sandbox.server import serve
from app.sandbox.shop import Shop, recorded_orders
from app.sandbox.shop import create_app as shop_app
from app.settings import Settings, load_settings
from tests.fixtures.databases import Database, Databases, open_on, seen_by

ORDERSYNC = str(Path(sys.executable).with_name("ordersync"))
KITS = "parent_sku,component_sku,quantity\nKIT-PARENT-123,COMP-A,3\nKIT-PARENT-123,COMP-B,1\n"
NEEDS_A_PERSON = 3
"""The exit code of a command that is done, with orders that need a person: twenty-one of the recorded ones do."""
SECRETS = ("ck_sandbox", "cs_sandbox", "sandbox-client", "sandbox-secret")


def sentence(text: str) -> str:
    """What was printed, without the line breaks of a narrow terminal."""
    return " ".join(text.split())


@dataclass
class CommandLine:
    """`ordersync` on a database of its own."""

    environment: dict[str, str]

    @property
    def var(self) -> Path:
        return Path(self.environment["ORDERSYNC_VAR"])

    def run(self, *arguments: str, input: str | None = None, **environment: str) -> Result:  # noqa: A002 - click's name
        """Run a command in this process."""
        opened: list[Program] = []

        def opening(settings: Settings, **more: Any) -> Program:
            opened.append(open_program(settings, **more))
            return opened[-1]

        root = logging.getLogger()
        before, handlers, level = structlog.get_config(), list(root.handlers), root.level
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("app.cli.root.open_program", opening)
            try:
                return CliRunner().invoke(
                    cli.main, arguments, input=input, env={**self.environment, **environment}
                )
            finally:
                for each in opened:
                    each.engine.dispose()
                # The command's log writes to a stream that is closed now, and to a folder that goes away.
                structlog.configure(**before)
                for handler in [each for each in root.handlers if each not in handlers]:
                    handler.close()
                root.handlers[:] = handlers
                root.setLevel(level)

    def good(self, *arguments: str, input: str | None = None, **environment: str) -> Result:  # noqa: A002 - click's name
        """Run a command that must succeed."""
        result = self.run(*arguments, input=input, **environment)
        assert (result.exit_code, result.exception) == (0, None), result.output
        return result

    def json(self, *arguments: str, code: int = 0, **environment: str) -> Any:
        """What a command prints with `--json`, which must be one line."""
        result = self.run(*arguments, "--json", **environment)
        assert result.exit_code == code, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        (line, rest) = result.stdout.split("\n")
        assert rest == ""
        return json.loads(line)

    def refused(self, code: int, *arguments: str, input: str | None = None, **environment: str) -> str:  # noqa: A002 - click's name
        """The one sentence that a command fails with."""
        result = self.run(*arguments, input=input, **environment)
        assert result.exit_code == code, result.output
        assert isinstance(result.exception, SystemExit)
        assert result.stdout == ""
        found = sentence(result.stderr)
        assert found.startswith("ordersync: ")
        assert found.endswith(".")
        return found.removeprefix("ordersync: ")

    def process(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command as a process of its own."""
        return subprocess.run(
            [ORDERSYNC, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.var.parent,
            env={**plain_environment(), **self.environment},
        )


def plain_environment() -> dict[str, str]:
    """This process's environment without any setting of the program."""
    ours = ("ORDERSYNC_", "DATABASE_URL", "REDIS_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def make_command_line(folder: Path, database: Database | None, **environment: str) -> CommandLine:
    """On this database in `folder/var`; with None, on the embedded one, which is not there yet."""
    var = folder / "var"
    var.mkdir(parents=True, exist_ok=True)
    # Whole days, so that the tests run at every hour of the week, also within the ERP's maintenance window.
    shift = str(clock_shift(datetime.now(UTC)).total_seconds())
    given = {"ORDERSYNC_VAR": str(var), "ORDERSYNC_ENV_FILE": os.devnull, "ORDERSYNC_CLOCK_SHIFT": shift}
    return CommandLine({**given, **(database.environment if database else {}), **environment})


@pytest.fixture
def ordersync(tmp_path: Path, databases: Databases) -> Iterator[CommandLine]:
    with databases.migrated(tmp_path / "var") as database:
        yield make_command_line(tmp_path, database)


@dataclass
class Systems:
    """A running sandbox shop and ERP."""

    shop: str
    erp: str
    environment: Mapping[str, str] = field(
        default_factory=lambda: {"BGM_SECRET": "cs_sandbox", "BC_SECRET": "sandbox-secret"}
    )

    @property
    def site_add(self) -> list[str]:
        return [
            *("site", "add", "bgm", "--platform", "woocommerce", "--url", self.shop, "--allow-private"),
            *("--prefix", "BGM", "--credential", "key=ck_sandbox", "--credential", "secret=env:BGM_SECRET"),
            *("--set", "max_orders_per_run=500"),
        ]

    @property
    def erp_add(self) -> list[str]:
        return [
            *("erp", "add", "bc", "--platform", "business_central", "--url", f"{self.erp}/api/v2.0"),
            *("--allow-private", "--company", COMPANY_ID),
            *("--credential", f"token_url={self.erp}/sandbox/oauth2/v2.0/token"),
            *("--credential", "client_id=sandbox-client", "--credential", "client_secret=env:BC_SECRET"),
            *("--set", "account.shipping=40400", "--set", "account.tax=40500", "--set", "account.fee=40600"),
            *("--set", "account.gift_card=40700", "--set", "account.rounding=40900"),
            *("--set", "default_customer=WEB-CASH"),
        ]

    def connect(self, ordersync: CommandLine) -> None:
        """What a person types once."""
        ordersync.good(*self.erp_add, **self.environment)
        ordersync.good(*self.site_add, **self.environment)
        ordersync.good("kits", "import", "-", input=KITS)

    def asked(self) -> list[Any]:
        """Every request that shop and ERP have seen."""
        found: list[object] = []
        for url in (self.shop, self.erp):
            with urlopen(f"{url}/_sandbox/requests", timeout=5) as answer:
                seen = json.load(answer)
            found += seen if isinstance(seen, list) else seen["value"]
        return found


@contextmanager
def running_systems() -> Iterator[Systems]:
    erp = Erp()
    demo_fill(erp)
    with ExitStack() as stack:
        shop_server, erp_server = (
            stack.enter_context(serve(made)) for made in (shop_app(Shop(recorded_orders())), erp_app(erp))
        )
        yield Systems(shop_server.url, erp_server.url)


@pytest.fixture
def systems() -> Iterator[Systems]:
    with running_systems() as found:
        yield found


@dataclass
class Synced:
    """A middleware after one run in this process, and what that run printed."""

    ordersync: CommandLine
    report: dict[str, Any]
    systems: Systems
    database: Database


@pytest.fixture(scope="session")
def synced(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Synced]:
    """For tests that only look."""
    folder = tmp_path_factory.mktemp("synced")
    with databases.migrated(folder / "var") as database, running_systems() as found:
        ordersync = make_command_line(folder, database)
        found.connect(ordersync)
        report = ordersync.json("sync", "bgm", "--inline", code=NEEDS_A_PERSON)
        yield Synced(ordersync, report, found, database)


@pytest.fixture
def copied(synced: Synced, databases: Databases, tmp_path: Path) -> Iterator[CommandLine]:
    """The same middleware in a folder of its own, for tests that change it."""
    var = tmp_path / "copied"
    shutil.copytree(synced.ordersync.var, var)
    with databases.copied(synced.database, var) as database:
        yield CommandLine({**synced.ordersync.environment, "ORDERSYNC_VAR": str(var), **database.environment})


def stored(ordersync: CommandLine) -> list[dict[str, Any]]:
    """All that is stored of sites, ERPs and orders."""
    tables = ("rm_sites", "rm_erps", "rm_thread", "rm_step", "rm_error_orders")
    return [
        row
        for table in tables
        for row in seen_by(ordersync.environment, f"SELECT * FROM {table} ORDER BY id")
    ]


def execute(ordersync: CommandLine, *statements: str) -> None:
    """What an operator does by SQL."""
    url = load_settings(ordersync.environment, dotenv=Path(os.devnull)).database_url
    with open_on(url) as engine, engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
