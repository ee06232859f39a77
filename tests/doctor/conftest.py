"""An installation that a test breaks in one place, and what the doctor says of it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from app import cli
from app.bootstrap import Program, open_program, sync_items
from app.demo import clock_shift
from app.doctor import Ended, Finding, examine
from app.runtime import EmbeddedBroker
from app.sandbox.erp import COMPANY_ID, Erp, demo_fill
from app.sandbox.erp import create_app as erp_app
from app.sandbox.server import RunningServer, serve
from app.sandbox.shop import ApiKey, Shop
from app.sandbox.shop import create_app as shop_app
from app.settings import load_settings
from app.sync.configure import Asked, add_erp, add_site
from tests.fixtures.databases import Databases

ACCOUNTS = {"shipping": "40400", "tax": "40500", "fee": "40600", "gift_card": "40700", "rounding": "40900"}


@dataclass
class Installation:
    """Settings, and a database and a broker where a test wants them."""

    environment: dict[str, str]

    @property
    def var(self) -> Path:
        return Path(self.environment["ORDERSYNC_VAR"])

    def but(self, **environment: str) -> "Installation":
        """The same with other settings."""
        return Installation({**self.environment, **environment})

    def look(self, *names: str, only_here: bool = False, seconds: float = 5.0) -> list[Finding]:
        """What the doctor finds, in the order in which the checks end."""
        events = examine(names, environment=self.environment, only_here=only_here, seconds=seconds)
        return [finding for event in events if isinstance(event, Ended) for finding in event.findings]

    def one(self, name: str, *, only_here: bool = False, seconds: float = 5.0) -> tuple[str, str, str]:
        """The one finding of one check: how bad it is, what was found, and what to type."""
        (finding,) = self.look(name, only_here=only_here, seconds=seconds)
        assert finding.check == name
        return finding.level, finding.found, finding.do

    def type(self, *arguments: str) -> Result:
        """`ordersync` with these arguments, in this process."""
        before = structlog.get_config()
        try:
            return CliRunner().invoke(cli.main, arguments, env=self.environment)
        finally:
            # The command's log writes to a stream that is closed now.
            structlog.configure(**before)

    @contextmanager
    def opened(self) -> Iterator[Program]:
        program = open_program(load_settings(self.environment))
        try:
            yield program
        finally:
            program.engine.dispose()


def environment_of(var: Path, **more: str) -> dict[str, str]:
    return {"ORDERSYNC_VAR": str(var), "ORDERSYNC_ENV_FILE": os.devnull, **more}


@pytest.fixture
def fresh(tmp_path: Path) -> Installation:
    """Nothing is there yet, the folder not either."""
    return Installation(environment_of(tmp_path / "var"))


@pytest.fixture
def installation(tmp_path: Path, databases: Databases) -> Iterator[Installation]:
    """A migrated database, its clock out of the ERP's maintenance window whatever the hour of the week."""
    var = tmp_path / "var"
    shift = str(clock_shift(datetime.now(UTC)).total_seconds())
    with databases.migrated(var) as database:
        yield Installation(environment_of(var, ORDERSYNC_CLOCK_SHIFT=shift, **database.environment))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A broker of the test's own, to be set wrongly."""
    with EmbeddedBroker(tmp_path / "broker") as started:
        yield started


@dataclass
class Peers:
    """A running sandbox shop and ERP, and the middleware that they are connected to as `bgm` and `bc`."""

    installation: Installation
    shop: Shop
    erp: Erp
    shop_server: RunningServer
    erp_server: RunningServer

    def connect(
        self,
        *,
        key: Sequence[str] = ("ck_sandbox", "cs_sandbox"),
        client_secret: str = "sandbox-secret",
        company: str = COMPANY_ID,
        shop_url: str = "",
        site: dict[str, str] | None = None,
        erp: dict[str, str] | None = None,
        items: bool = False,
    ) -> None:
        """What a person types once, rightly unless said otherwise."""
        accounts = {f"account.{name}": number for name, number in ACCOUNTS.items()}
        with self.installation.opened() as program:
            erp_id = add_erp(
                program.parts,
                Asked(
                    name="bc",
                    platform="business_central",
                    url=f"{self.erp_server.url}/api/v2.0",
                    allow_private=True,
                    credentials={
                        "token_url": f"{self.erp_server.url}/sandbox/oauth2/v2.0/token",
                        "client_id": "sandbox-client",
                        "client_secret": client_secret,
                    },
                    settings={"default_customer": "WEB-CASH", **accounts, **(erp or {})},
                ),
                company=company,
            )
            add_site(
                program.parts,
                Asked(
                    name="bgm",
                    platform="woocommerce",
                    url=shop_url or self.shop_server.url,
                    allow_private=True,
                    credentials={"key": key[0], "secret": key[1]},
                    settings=site or {},
                ),
                prefix="BGM",
                erp=None,
            )
            if items:
                sync_items(program.parts, erp_id=erp_id)


@pytest.fixture
def peers(installation: Installation) -> Iterator[Peers]:
    shop, erp = Shop(), Erp()
    shop.keyring.add(ApiKey("ck_read", "cs_read", "read"))
    demo_fill(erp)
    with ExitStack() as stack:
        servers = [stack.enter_context(serve(made)) for made in (shop_app(shop), erp_app(erp))]
        stack.callback(shop.close)
        yield Peers(installation, shop, erp, *servers)
