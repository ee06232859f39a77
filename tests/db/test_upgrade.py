"""A database of the first schema, with orders in every state, comes to this program's schema and goes on.

`upgrade/0001.sql` is what the program of that revision left on a Sunday evening, when every process of it died; how each row
came to be is told by `upgrade/write_0001.py`. Here the same shop and ERP wait on Monday morning.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text

from app import secrets
from app.bootstrap import Program, open_program, pipeline, sync_items
from app.db.engine import open_engine
from app.db.migrate import is_current, migrate
from app.db.tables import metadata
from app.errors import Misconfigured
from app.sandbox.erp import CLIENT_ID, CLIENT_SECRET, TENANT, Erp, demo_fill
from app.sandbox.erp import create_app as erp_app
from app.sandbox.erp.records import put
from app.sandbox.server import serve
from app.sandbox.shop import Shop
from app.sandbox.shop import create_app as shop_app
from app.settings import load_settings
from app.sync.reconfigure import Wanted, set_erp, set_site
from app.sync.schedule import tick
from app.sync.sweep import sweep
from tests.fixtures.databases import Databases
from tests.pipeline.world import Clock, Json, World, plain_order

FIXTURE = Path(__file__).parent / "upgrade" / "0001.sql"
SQL = FIXTURE.read_text(encoding="utf-8")
KEY = SQL.splitlines()[0].removeprefix("-- ")
MONDAY = datetime(2026, 11, 30, 5, 0, tzinfo=UTC)

IN_MOTION = [*range(110, 133)]
"""Orders that were anywhere on the road, waiting, held, leased by a dead process, or sent without an answer."""
EXPORTED_BEFORE = [100, 101, 102, 125]
"""Their documents are in the ERP; that of 125 only waits for its mark."""
ARRIVED = [121, 123]
"""Sent without an answer, and the ERP has the document."""
NEW = 140
"""Placed while nothing ran."""
CANCELLED = 107
"""Cancelled in the shop after it was read, which is why it was closed."""
ENDED = {103: "skipped", 104: "rejected", 105: "rejected", 106: "rejected", 107: "closed"}
OF_TWO = [102, 124]
"""Edited after they were marked and sent: two widgets instead of one."""
MARKED = 103
"""Marked by another system before it was first seen."""


def load(engine: Engine) -> None:
    """Bring an empty database to the first schema and fill it, by plain SQL alone."""
    migrate(engine, revision="0001")
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        if engine.dialect.name in {"mysql", "mariadb"}:
            cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES,NO_BACKSLASH_ESCAPES')")
        statements = re.split(r";\n(?=INSERT|\Z)", SQL.split("\n", 1)[1])
        for statement in filter(None, statements):
            cursor.execute(statement)
        if engine.dialect.name == "postgresql":
            for table in set(re.findall(r"^INSERT INTO (\w+) ", SQL, flags=re.MULTILINE)):
                cursor.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
                )
        cursor.close()
    # The connection's way of reading SQL goes with it.
    engine.dispose()


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


class Morning:
    """The program on the upgraded database, beside the shop and the ERP as they were left."""

    def __init__(self, program: Program, shop: Shop, erp: Erp, urls: tuple[str, str], eur: str) -> None:
        self.program = program
        self.eur_url = eur
        self.clock = Clock(MONDAY, frozen=True)
        self.world = World(program, self.clock, shop=shop, erp=erp, urls=urls)
        self.parts = self.world.parts
        self.store = self.parts.store

    def read(self, run_id: int | None, site_id: int) -> None:
        pipeline.fetch(self.parts, site_id=site_id, run_id=run_id, ring=self.world.road.ring)

    def go_on(self) -> None:
        """What beat and workers do, until nothing is in motion: ticks, sweeps, and the road; waits are leapt over."""
        for _ in range(200):
            due = tick(self.parts)
            for row in due.erps:
                sync_items(self.parts, erp_id=row.id)
            for site in due.sites:
                self.read(None, site.id)
            while self.world.road.run_due():
                pass
            if sweep(
                self.parts,
                ring=self.world.road.ring,
                interval=0.0,
                ring_run=lambda run: self.read(run.run_id, run.site_id),
            ):
                continue
            times = [
                max(row["next_at"], row["lease_until"] or row["next_at"])
                for table, states in (
                    ("rm_thread", "'active', 'held'"),
                    ("rm_step", "'owed', 'sending', 'in_doubt'"),
                )
                for row in self.times(table, states)
            ]
            if not times:
                return
            self.clock.move_to(max(self.clock.now(), min(times)) + timedelta(milliseconds=10))
        raise AssertionError(self.world.states())

    def times(self, table: str, states: str) -> list[Json]:
        rows = self.world.rows(f"SELECT next_at, lease_until FROM {table} WHERE state IN ({states})")
        return [{name: _utc(value) for name, value in row.items()} for row in rows]


def _utc(value: Any) -> datetime | None:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return None if moment is None else moment.replace(tzinfo=UTC)


def bodies(engine: Engine) -> list[Json]:
    """What the shop showed last of every order."""
    query = text("SELECT platform_order_id, body FROM rm_inbox WHERE site_id = 1 ORDER BY version")
    with engine.connect() as connection:
        latest = {row.platform_order_id: row.body for row in connection.execute(query)}
    found = [json.loads(body) for body in latest.values()]
    return [body | {"status": "cancelled"} if body["id"] == CANCELLED else body for body in found]


@contextmanager
def morning(engine: Engine, url: str, folder: Path) -> Iterator[Morning]:
    """The upgraded database with its peers; nothing has been done yet."""
    shop, eur, erp = Shop(bodies(engine)), Shop([plain_order(501)]), Erp()
    shop.add_orders([plain_order(NEW) | {"date_modified_gmt": shop.now()}])
    demo_fill(erp)
    with erp.lock:
        put(erp.books, "items", {"number": "BIG-1"})
    settings = load_settings(
        {
            "ORDERSYNC_VAR": str(folder),
            "ORDERSYNC_ENV_FILE": os.devnull,
            "ORDERSYNC_SECRET_KEY": KEY,
            "DATABASE_URL": url,
            "ORDERSYNC_HTTP_TIMEOUT": "2",
            "ORDERSYNC_SOFT_TIME_LIMIT": "3",
            "ORDERSYNC_TIME_LIMIT": "4",
            "ORDERSYNC_LEASE": "4.5",
        }
    )
    with ExitStack() as stack:
        servers = [stack.enter_context(serve(made)) for made in (shop_app(shop), erp_app(erp), shop_app(eur))]
        program = open_program(settings)
        stack.callback(program.engine.dispose)
        for each in (shop, eur):
            stack.callback(each.close)
        found = Morning(program, shop, erp, (servers[0].url, servers[1].url), servers[2].url)
        for order_id in ARRIVED:
            found.world.put_document(f"BGM-{order_id}")
        yield found


class UpgradeContract:
    """What every database promises. A subclass gives `url`: the address of a database without tables."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def engine(self, url: str) -> Iterator[Engine]:
        with opened(url) as engine:
            load(engine)
            yield engine

    def test_the_program_says_that_it_is_not_current_and_then_that_it_is(
        self, engine: Engine, url: str, tmp_path: Path
    ) -> None:
        assert not is_current(engine)
        if engine.dialect.name != "sqlite":
            with pytest.raises(Misconfigured) as refused:
                open_program(
                    load_settings(
                        {"ORDERSYNC_VAR": str(tmp_path), "DATABASE_URL": url}, dotenv=Path(os.devnull)
                    )
                )
            assert refused.value.reason == (
                "The database's schema is not this program's; run `ordersync migrate`."
            )
        migrate(engine)
        assert is_current(engine)

    def test_nothing_that_was_stored_is_changed_by_the_upgrade(self, engine: Engine) -> None:
        before = _everything(engine)
        migrate(engine)
        after = _everything(engine)
        assert {name: len(rows) for name, rows in after.items() if name in before or rows} == {
            name: len(rows) for name, rows in before.items()
        }
        assert sum(map(len, before.values())) > 300
        for name, rows in before.items():
            known = set(rows[0]) if rows else set()
            assert [{key: row[key] for key in known} for row in after[name]] == rows

    def test_a_migration_that_was_cut_off_goes_on(self, engine: Engine) -> None:
        with engine.begin() as connection:
            kind = {"mysql": "DATETIME(6)", "mariadb": "DATETIME(6)", "postgresql": "TIMESTAMP"}
            connection.execute(
                text(f"ALTER TABLE rm_erps ADD COLUMN removed_at {kind.get(engine.dialect.name, 'DATETIME')}")
            )
        migrate(engine)
        assert is_current(engine)
        assert "removed_at" in {column["name"] for column in inspect(engine).get_columns("rm_sites")}

    def test_a_database_of_a_newer_program_is_refused_and_left_alone(self, engine: Engine) -> None:
        """There is no way back but a backup: no command takes a schema back, and none is guessed."""
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        before = _everything(engine)
        assert not is_current(engine)
        with pytest.raises(Misconfigured) as refused:
            migrate(engine)
        assert refused.value.reason == (
            "The database has the schema 9999 of a newer program; install that program again, or restore a backup from before it."
        )
        assert _everything(engine) == before

    def test_credentials_still_open_with_their_key_and_with_no_other(
        self, engine: Engine, url: str, tmp_path: Path
    ) -> None:
        migrate(engine)
        key = secrets.load_key(given=KEY, file=tmp_path / "none")
        other = secrets.load_key(given=None, file=tmp_path / "other.key")
        with engine.connect() as connection:
            stored = {
                row.name: row.credentials
                for table in ("rm_erps", "rm_sites")
                for row in connection.execute(text(f"SELECT name, credentials FROM {table}"))
            }
        opened = {name: secrets.decrypt(key, each, name=name) for name, each in stored.items()}
        assert opened["bgm"] == {"key": "ck_sandbox", "secret": "cs_sandbox"}
        assert opened["eur"] == {"key": "ck_sandbox", "secret": "cs_that_is_wrong"}
        assert (opened["bc"]["client_id"], opened["bc"]["client_secret"]) == (CLIENT_ID, CLIENT_SECRET)
        for name, each in stored.items():
            with pytest.raises(
                Misconfigured, match=f"The credentials of {name} were stored with another key"
            ):
                secrets.decrypt(other, each, name=name)

    def test_every_order_that_was_in_motion_reaches_its_right_end_once(
        self, engine: Engine, url: str, tmp_path: Path
    ) -> None:
        migrate(engine)
        with morning(engine, url, tmp_path) as found:
            world = found.world
            before = world.states()
            assert {
                order_id: state for order_id, (state, _, _) in before.items() if order_id in ENDED
            } == ENDED
            (erp,) = found.store.erps()
            (eur,) = (site for site in found.store.sites() if site.name == "eur")
            assert "refuses the client" in (erp.paused_reason or "")
            assert "secret is wrong" in (eur.paused_reason or "")

            # Shop and ERP have moved; of the credentials only what names an address is given anew.
            token_url = f"{world.erp_url}/{TENANT}/oauth2/v2.0/token"
            moved = Wanted(url=f"{world.erp_url}/api/v2.0", credentials={"token_url": token_url}, moved=True)
            assert set_erp(found.parts, "bc", moved, company=None).unpaused
            assert set_site(found.parts, "bgm", Wanted(url=world.shop_url, moved=True), erp=None).what == (
                "url",
            )
            mended = Wanted(url=found.eur_url, credentials={"secret": "cs_sandbox"})
            assert set_site(found.parts, "eur", mended, erp=None).unpaused
            to_mark = _unmarked(world)
            found.go_on()

            exported = sorted([*IN_MOTION, NEW])
            ends = {order_id: state for order_id, (state, _, _) in world.states().items()}
            assert ends == {
                **dict.fromkeys([*EXPORTED_BEFORE, *exported, 501], "done"),
                **ENDED,
            }
            # What was exported before the upgrade was written to the ERP of that time, and not to this one again.
            sent_now = sorted(set(exported) - set(EXPORTED_BEFORE))
            assert world.document_numbers() == sorted(
                [*(f"BGM-{order_id}" for order_id in sent_now), "EUR-501"]
            )
            assert world.marked() == {MARKED, *OF_TWO, *to_mark, NEW}
            self.everything_is_explained(world, before)

    def everything_is_explained(self, world: World, before: dict[int, tuple[str, str, str]]) -> None:
        """To the cent, with one document each, and with the errors that were open and no others."""
        assert set(before) <= set(world.states())
        documents = {each["externalDocumentNumber"]: each for each in world.documents()}
        rows = world.rows("SELECT * FROM rm_order WHERE imported = 1")
        assert len(rows) == len(IN_MOTION) + 4 - 1 + 2
        for row in rows:
            total = Decimal(str(row["total"]))
            assert total == Decimal(str(row["erp_total"])), row["order_number"]
            assert row["erp_document_number"]
            if row["external_number"] in documents:
                assert documents[row["external_number"]]["totalAmountIncludingTax"] == total
        # Nothing had come of what was sent for 124, so its new version was exported; 102 was exported as it was before.
        for order_id, expected in zip(OF_TWO, ("19.99", "39.98"), strict=True):
            (row,) = world.rows("SELECT total FROM rm_order WHERE order_number = :n", n=f"BGM-{order_id}")
            assert Decimal(str(row["total"])) == Decimal(expected)
        amended = world.rows("SELECT platform_order_id FROM rm_thread WHERE amended_version IS NOT NULL")
        assert [row["platform_order_id"] for row in amended] == ["102"]
        assert sorted(world.errors()) == [104, 105, 106]
        assert world.rows("SELECT id FROM rm_run WHERE finished_at IS NULL") == []
        for table in ("rm_sites", "rm_erps"):
            assert world.rows(f"SELECT name FROM {table} WHERE paused_reason IS NOT NULL") == []


def _unmarked(world: World) -> set[int]:
    """The orders that are to be exported, or are, and of which the platform has not been told."""
    rows = world.rows("SELECT platform_order_id FROM rm_order WHERE acknowledged_at IS NOT NULL")
    return {*IN_MOTION, *EXPORTED_BEFORE} - {int(row["platform_order_id"]) for row in rows}


def _everything(engine: Engine) -> dict[str, list[Json]]:
    with engine.connect() as connection:
        return {
            table.name: [
                dict(row)
                for row in connection.execute(text(f"SELECT * FROM {table.name} ORDER BY id")).mappings()
            ]
            for table in metadata.sorted_tables
            if inspect(connection).has_table(table.name)
        }


class TestUpgrade(UpgradeContract):
    @pytest.fixture
    def url(self, databases: Databases, tmp_path: Path) -> Iterator[str]:
        with databases.bare(tmp_path) as bare:
            yield bare.url

    @pytest.mark.only_on("sqlite")
    def test_the_embedded_database_is_brought_forward_when_it_is_opened(
        self, engine: Engine, url: str, tmp_path: Path
    ) -> None:
        settings = load_settings(
            {"ORDERSYNC_VAR": str(tmp_path), "DATABASE_URL": url}, dotenv=Path(os.devnull)
        )
        program = open_program(settings)
        assert is_current(program.engine)
        assert [site.name for site in program.parts.store.sites()] == ["bgm", "eur"]
        program.engine.dispose()


@pytest.mark.xdist_group("postgres")
class TestUpgradeOnPostgres(UpgradeContract):
    @pytest.fixture
    def url(self, postgres_url: str) -> str:
        return postgres_url
