"""How long the panel's pages, the API and the metrics take on the server: `make bench-pages`.

On a PostgreSQL (or the database that `--database` names, which must be empty) with a hundred thousand orders and ten thousand open
errors. Each page is asked for several times, without a network; the median counts, and the number of statements is told beside it.
The last line is one JSON object. A page that misses its aim fails nothing; one that is not answered does.
"""

import argparse
import json
import logging
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from flask.testing import FlaskClient
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, event, text

from app.bootstrap import Program, open_program, panel_of, prepare_database
from app.celery_door import Processes
from app.ports.accounts import Role, Scope
from app.settings import load_settings
from app.sync.configure import Asked, add_erp, add_site
from app.sync.panel import accounts
from app.web import People, create_app
from tests.fixtures.postgres import running_postgres
from tests.web.many_orders import fill
from tests.web.office import Doors

AIM_MS = 200.0
_TIMES = 7
_OK = 200


@dataclass(frozen=True, slots=True)
class Timed:
    """One address: the median of its milliseconds, the longest, how many statements it took and how many bytes it is."""

    path: str
    status: int
    median_ms: float
    longest_ms: float
    statements: int
    bytes: int


def main(arguments: Sequence[str] | None = None) -> int:
    """0 done, 1 where a page is not answered."""
    parser = argparse.ArgumentParser(
        prog="make bench-pages", description=__doc__.partition("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--errors", type=int, default=10_000)
    parser.add_argument(
        "--database", default="", help="an empty database; without it a PostgreSQL of our own, or `sqlite`"
    )
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as folder, _database(options.database, Path(folder)) as url:
        timed = _measured(url, Path(folder), orders=options.orders, errors=options.errors, console=console)
    table = Table(
        "Address",
        "ms (median)",
        "ms (longest)",
        "Statements",
        "kB",
        title=f"{options.orders:,} orders, {options.errors:,} errors",
    )
    for each in timed:
        style = "" if each.median_ms <= AIM_MS and each.status == _OK else "red"
        name = each.path if each.status == _OK else f"{each.path} ({each.status})"
        cells = (
            f"{each.median_ms:.0f}",
            f"{each.longest_ms:.0f}",
            str(each.statements),
            f"{each.bytes / 1000:.0f}",
        )
        table.add_row(name, *cells, style=style)
    console.print(table)
    slow = [each.path for each in timed if each.median_ms > AIM_MS]
    sys.stdout.write(
        json.dumps({"aim_ms": AIM_MS, "slower": slow, "pages": [asdict(each) for each in timed]}) + "\n"
    )
    return 0 if all(each.status == _OK for each in timed) else 1


@contextmanager
def _database(named: str, folder: Path) -> Iterator[str]:
    if named == "sqlite":
        yield f"sqlite:///{folder / 'ordersync.db'}"
    elif named:
        yield named
    else:
        with running_postgres() as server:
            server.execute('CREATE DATABASE "pages"')
            yield server.url("pages")


def _measured(url: str, folder: Path, *, orders: int, errors: int, console: Console) -> list[Timed]:
    settings = load_settings(
        {
            "DATABASE_URL": url,
            "ORDERSYNC_VAR": str(folder),
            "ORDERSYNC_ENV_FILE": "/dev/null",
            "ORDERSYNC_LOG_FILE": "none",
        }
    )
    prepare_database(settings)
    program = open_program(settings)
    site_id, erp_id = _connected(program)
    begun = time.monotonic()
    fill(program.engine, site_id=site_id, erp_id=erp_id, orders=orders, errors=errors)
    with program.engine.connect() as connection:
        if program.engine.dialect.name == "postgresql":
            # As its own upkeep does sooner or later.
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
    console.print(
        f"{orders:,} orders were written in {time.monotonic() - begun:.0f} s on {program.engine.dialect.name}."
    )
    panel = panel_of(program)
    accounts.add_user(panel, name="bench", role=Role.ADMIN, password=secrets.token_hex(), by="bench")
    people = People(panel=panel, doors=Doors(alive=Processes()), key=secrets.token_bytes(), settings=settings)
    app = create_app(program, ring=lambda _site: None, people=people)
    client = app.test_client()
    client.post(f"/login/{accounts.make_link(panel, 'bench')}")
    who = accounts.sign_in_by_link(panel, accounts.make_link(panel, "bench"))
    with client.session_transaction() as session:
        session["key"] = who.key
    token = accounts.make_token(panel, name="bench", scopes=Scope, days=1, by="bench")
    found = [_timed(client, program.engine, each, token=token) for each in _addresses(program)]
    program.engine.dispose()
    return found


def _connected(program: Program) -> tuple[int, int]:
    """A shop and an ERP that nobody calls."""
    url = "http://127.0.0.1:1"
    account = {"token_url": url, "client_id": "x", "client_secret": "x"}
    central = Asked(
        name="bc", platform="business_central", url=url, allow_private=True, credentials=account, settings={}
    )
    erp_id = add_erp(program.parts, central, company="c")
    keys = {"key": "ck_x", "secret": "cs_x"}
    shop = Asked(
        name="bgm", platform="woocommerce", url=url, allow_private=True, credentials=keys, settings={}
    )
    return add_site(program.parts, shop, prefix="BGM", erp=None), erp_id


def _addresses(program: Program) -> list[str]:
    with program.engine.connect() as connection:
        exported = connection.execute(
            text("SELECT MAX(order_number) FROM rm_order WHERE imported = 1")
        ).scalar_one()
        error = connection.execute(
            text("SELECT MAX(id) FROM rm_error_orders WHERE open_key IS NOT NULL")
        ).scalar_one()
        buyer = connection.execute(
            text("SELECT bill_email, bill_last_name FROM rm_order ORDER BY id")
        ).first()
        sku = connection.execute(
            text("SELECT sku FROM rm_lineitems WHERE sku IS NOT NULL ORDER BY id")
        ).scalar()
    assert buyer is not None
    return [
        "/",
        "/desk",
        "/desk?kind=bad_sku&sort=money",
        "/desk?text=NEW-1",
        "/desk/held",
        f"/desk/{error}",
        "/orders",
        "/orders?state=rejected",
        "/orders?q=BGM-999&every=1",
        f"/orders?q={buyer.bill_email}",
        f"/orders?q={buyer.bill_last_name}",
        f"/orders?q={sku}",
        "/orders?q=nobody-has-this",
        f"/orders/{exported}",
        "/systems",
        "/systems/sites/bgm",
        "/systems/erps/bc",
        "/items",
        "/limits",
        "/runs",
        "/workers",
        "/alerts",
        "/users",
        "/users/actions",
        "/account",
        "/api/v1/orders?limit=200",
        "/api/v1/errors?limit=200",
        "/api/v1/sites",
        "/api/v1/runs",
        "/metrics",
        "/readyz",
    ]


def _timed(client: FlaskClient, engine: Engine, path: str, *, token: str) -> Timed:
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    headers = {"Authorization": f"Bearer {token}"} if path.startswith(("/api", "/metrics")) else {}
    seconds = []
    size = 0
    answer = client.get(path, headers=headers)
    for _ in range(_TIMES):
        statements = 0
        event.listen(engine, "before_cursor_execute", count)
        begun = time.perf_counter()
        answer = client.get(path, headers=headers)
        size = len(answer.get_data())
        seconds.append(time.perf_counter() - begun)
        event.remove(engine, "before_cursor_execute", count)
    status = _OK if path == "/readyz" else answer.status_code
    return Timed(path, status, statistics.median(seconds) * 1000, max(seconds) * 1000, statements, size)


if __name__ == "__main__":
    sys.exit(main())
