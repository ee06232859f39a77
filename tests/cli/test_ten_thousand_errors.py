"""Ten thousand open errors: lists, sums and tables stay quick and small, on each database, as a person waits for them."""

import json
import resource
from pathlib import Path

import pytest

from app.bootstrap import Program, open_program, prepare_database
from app.settings import load_settings
from app.sync.configure import Asked, add_erp, add_site
from tests.cli.conftest import CommandLine, make_command_line
from tests.db.many_errors import fill
from tests.fixtures.postgres import PostgresServer

pytestmark = pytest.mark.slow

ERRORS = 10_000


def connect(program: Program) -> int:
    """A shop and an ERP that nobody calls."""
    parts = program.parts
    url = "http://127.0.0.1:1"
    account = {"token_url": url, "client_id": "x", "client_secret": "x"}
    central = Asked(
        name="bc", platform="business_central", url=url, allow_private=True, credentials=account, settings={}
    )
    add_erp(parts, central, company="c")
    keys = {"key": "ck_x", "secret": "cs_x"}
    shop = Asked(
        name="bgm", platform="woocommerce", url=url, allow_private=True, credentials=keys, settings={}
    )
    return add_site(parts, shop, prefix="BGM", erp=None)


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgres", marks=pytest.mark.xdist_group("postgres"))],
)
def crowded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    ordersync = make_command_line(tmp_path_factory.mktemp("crowded"), None)
    if request.param == "postgres":
        # The server goes away with all that is in it.
        server: PostgresServer = request.getfixturevalue("postgres_server")
        server.execute('CREATE DATABASE "crowded"')
        ordersync.environment["DATABASE_URL"] = server.url("crowded")
    settings = load_settings(ordersync.environment, dotenv=Path("/dev/null"))
    prepare_database(settings)
    program = open_program(settings)
    fill(program.engine, site_id=connect(program), errors=ERRORS)
    program.engine.dispose()
    return ordersync


def timed(ordersync: CommandLine, *words: str) -> tuple[float, str]:
    """The seconds of a processor that the quicker of two processes took, however busy the machine is, and what it printed."""
    found = []
    for _ in range(2):
        begun = _of_processes()
        done = ordersync.process(*words)
        found.append((_of_processes() - begun, done.stdout))
        assert done.returncode == 0, done.stderr
    return min(found)


def _of_processes() -> float:
    """The seconds of a processor that the processes took that this one has started and seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_ten_thousand_errors_are_listed_in_less_than_a_second(crowded: CommandLine) -> None:
    start, _ = timed(crowded, "--version")
    figures = {"start of the process": start}
    for name, words in (
        ("errors list", ["list"]),
        ("errors list --sort money", ["list", "--sort", "money"]),
        ("errors list --text 'SKU NEW-7 '", ["list", "--text", "SKU NEW-7 "]),
        ("errors show", ["show", "BGM-9999"]),
        ("errors report", ["report"]),
        ("errors list --json (all)", ["list", "--json"]),
    ):
        figures[name], printed = timed(crowded, "errors", *words)
        if name == "errors list":
            assert f"1 to 100 of {ERRORS} errors; at risk: " in " ".join(printed.split())
            assert figures[name] - start < 1.0
        if "--json" in words:
            assert len(json.loads(printed)) == ERRORS
    figures["export csv errors"], table = timed(crowded, "export", "csv", "errors")
    assert table.count("\n") == ERRORS + 1
    print({name: round(seconds, 2) for name, seconds in figures.items()})  # noqa: T201 - figures for the handbook


def test_the_dearest_come_first_and_the_sum_is_exact(crowded: CommandLine) -> None:
    everything = crowded.json("errors", "list")
    by_money = crowded.json("errors", "list", "--sort", "money", "--limit", "50")
    values = sorted((float(each["value"]) for each in everything), reverse=True)
    assert [float(each["value"]) for each in by_money] == values[:50]
    report = crowded.json("errors", "report", "--month", f"{crowded.json('status')['now'][:7]}")
    assert report["still_open"] == ERRORS
    cents = {
        currency: sum(
            round(float(each["value"]) * 100) for each in everything if each["currency"] == currency
        )
        for currency in ("EUR", "USD")
    }
    assert {name: round(float(amount) * 100) for name, amount in report["at_risk"].items()} == cents
