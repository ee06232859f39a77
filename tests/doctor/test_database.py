"""The database check against real databases: un-migrated, too new, read-only, away, silent."""

import shutil
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, text

import app.db.migrate
from app.bootstrap import pipeline
from app.db.engine import open_engine
from app.db.health import Look, look
from app.db.migrate import Schema, migrate
from app.doctor.database import judged
from app.settings import load_settings
from tests.doctor.conftest import Installation, Peers
from tests.fixtures.databases import Databases, open_on
from tests.fixtures.postgres import PostgresServer

HEAD = ScriptDirectory.from_config(app.db.migrate._config()).get_current_head() or ""


def executed(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def url_of(installation: Installation) -> str:
    return load_settings(installation.environment).database_url


@pytest.mark.only_on("sqlite")
def test_an_sqlite_database_that_is_as_it_must_be(installation: Installation) -> None:
    level, found, do = installation.one("database")
    assert (level, do) == ("ok", "")
    assert found.startswith("SQLite 3.")
    assert found.endswith(
        f" at revision {HEAD}, journal_mode=wal, synchronous=2, foreign_keys=1; a write was tried and taken back."
    )


def test_a_database_that_is_not_there_yet_is_warned_of(fresh: Installation) -> None:
    file = fresh.var / "ordersync.db"
    assert fresh.one("database") == (
        "warning",
        f"There is no database yet; it is made as {file}.",
        "ordersync migrate",
    )
    for name in ("work", "connected"):
        (finding,) = fresh.look("site" if name == "connected" else name)
        assert (finding.check, finding.level, finding.do) == (name, "warning", "ordersync migrate")


def test_an_embedded_database_without_tables_is_only_warned_of(fresh: Installation) -> None:
    fresh.var.mkdir()
    executed(url_of(fresh), "SELECT 1")
    level, found, do = fresh.one("database")
    assert (level, do) == ("warning", "ordersync migrate")
    assert found.endswith(" answers, but has no tables yet.")
    assert fresh.one("work") == (
        "wrong",
        "It cannot be looked up. The database's schema is not this program's.",
        "ordersync doctor database",
    )


def test_a_database_of_a_newer_program_is_told_apart(installation: Installation) -> None:
    executed(url_of(installation), "UPDATE alembic_version SET version_num = '9999'")
    assert installation.one("database") == (
        "wrong",
        f"Its schema 9999 was made by a newer program; this one knows {HEAD} and must not run on it.",
        "ordersync --version  # on every host: all run the newest",
    )


def test_a_database_of_an_older_program_wants_to_be_migrated(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = tmp_path / "migrations"
    shutil.copytree(Path(app.db.migrate.__file__).parent / "migrations", newer)
    (newer / "versions" / "9999_next.py").write_text(
        f'revision = "9999"\ndown_revision = "{HEAD}"\n', encoding="utf-8"
    )

    def config() -> Config:
        made = Config()
        made.set_main_option("script_location", str(newer))
        return made

    monkeypatch.setattr(app.db.migrate, "_config", config)
    assert installation.one("database") == (
        # The embedded one is brought forward when it is opened.
        "wrong" if "DATABASE_URL" in installation.environment else "warning",
        f"Its schema is {HEAD}, and this program's is 9999.",
        "ordersync migrate",
    )


@pytest.mark.only_on("sqlite")
def test_a_database_that_another_process_has_locked_takes_no_writes(installation: Installation) -> None:
    engine = open_engine(url_of(installation))
    with engine.begin():
        assert installation.one("database") == (
            "wrong",
            "It takes no writes: database is locked.",
            "ordersync doctor database folder  # a moment later",
        )
    engine.dispose()


def test_an_address_that_is_none_is_wrong(fresh: Installation) -> None:
    for url in ("nonsense", "oracle://db.example/x"):
        assert fresh.but(DATABASE_URL=url).one("database")[:2] == (
            "wrong",
            "DATABASE_URL is no address of a database.",
        )


@pytest.mark.parametrize(
    ("product", "version", "level", "sentence"),
    [
        ("PostgreSQL", (18, 1), "ok", ""),
        ("PostgreSQL", (13, 9), "warning", "PostgreSQL 13.9 was never tested; PostgreSQL 14 or later is what it should be."),
        ("PostgreSQL", (9, 6), "wrong", "PostgreSQL 9.6 is too old: PostgreSQL 10 or later is needed (the driver needs it)."),
        ("MariaDB", (10, 11, 19), "ok", ""),
        ("MariaDB", (10, 5, 1), "wrong", "MariaDB 10.5.1 is too old: MariaDB 10.6 or later is needed (SKIP LOCKED came with it)."),
        ("MySQL", (8, 4, 0), "warning", "MySQL 8.4.0 was never tested; MariaDB was."),
    ],
)  # fmt: skip
def test_versions_are_told_apart(product: str, version: tuple[int, ...], level: str, sentence: str) -> None:
    seen = Look(product, version, Schema.CURRENT, HEAD, HEAD, "READ COMMITTED", 0.0, "")
    (finding,) = judged(seen, embedded=False)
    assert finding.level == level
    assert finding.found == (sentence or finding.found)


def test_a_clock_that_is_off_is_warned_of() -> None:
    seen = Look("PostgreSQL", (18, 1), Schema.CURRENT, HEAD, HEAD, "READ COMMITTED", -7.4, "")
    (finding,) = judged(seen, embedded=False)
    assert (finding.level, finding.found) == (
        "warning",
        "Its clock is 7 s behind this machine's; leases go by the one, schedules by the other.",
    )


def test_a_server_that_is_away_hides_nothing_else_and_no_password_is_shown(fresh: Installation) -> None:
    away = fresh.but(
        DATABASE_URL="postgresql://ada:hunter2@127.0.0.1:9/orders", REDIS_URL="redis://127.0.0.1:9"
    )
    found = {each.check: each for each in away.look()}
    assert found["database"].level == "wrong"
    assert found["database"].found.startswith(
        "The database postgresql+psycopg://ada:***@127.0.0.1:9/orders cannot be used: "
    )
    assert "hunter2" not in str(found)
    assert found["broker"].found == "The broker at 127.0.0.1:9 gives no answer (ConnectionError)."
    assert {name: each.level for name, each in found.items()} == {
        "settings": "ok", "key": "ok", "folder": "ok", "log": "ok", "flower": "ok",
        "database": "wrong", "broker": "wrong", "worker": "wrong", "beat": "wrong", "work": "wrong", "connected": "wrong",
    }  # fmt: skip


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield server.getsockname()[1]


def test_a_server_that_says_nothing_is_not_waited_for(fresh: Installation, silent: int) -> None:
    quiet = fresh.but(
        DATABASE_URL=f"postgresql://127.0.0.1:{silent}/x", REDIS_URL=f"redis://127.0.0.1:{silent}"
    )
    found = {
        each.check: each for each in quiet.look("database", "broker", "beat", "work", "folder", seconds=2)
    }
    assert [found[name].found for name in ("database", "broker", "beat", "work")] == [
        "There was no answer within 2 s."
    ] * 4
    assert found["folder"].level == "ok"
    assert found["work"].do == "ordersync doctor work"


# Work


def test_nothing_waits_in_a_new_installation(installation: Installation) -> None:
    assert installation.one("work") == ("ok", "Nothing waits that should have been taken up by now.", "")


@pytest.mark.parametrize(("minutes", "level"), [(0.5, "ok"), (5, "warning"), (30, "wrong")])
def test_orders_that_nobody_takes_up_are_found(peers: Peers, minutes: float, level: str) -> None:
    peers.connect()
    peers.shop.generate(3)
    with peers.installation.opened() as program:
        store = program.parts.store
        run_id = store.open_run(kind="orders", site_id=1)
        pipeline.fetch(program.parts, site_id=1, run_id=run_id, ring=lambda _: None)
        since = store.now() - timedelta(minutes=minutes)
    executed(url_of(peers.installation), f"UPDATE rm_thread SET next_at = '{since:%Y-%m-%d %H:%M:%S.%f}'")
    found = peers.installation.one("work")
    assert found[0] == level
    if level != "ok":
        assert found[1:] == (
            f"3 orders and steps are due and in nobody's hands, the oldest for {minutes} min.",
            "ordersync doctor worker beat",
        )


def test_a_site_that_nobody_reads_is_found_unless_something_keeps_it(peers: Peers) -> None:
    peers.connect()
    with peers.installation.opened() as program:
        now = program.parts.store.now()
    due = now - timedelta(minutes=50)
    executed(url_of(peers.installation), f"UPDATE rm_sites SET order_next_run = '{due:%Y-%m-%d %H:%M:%S.%f}'")
    assert peers.installation.one("work") == (
        "wrong",
        "The site bgm should have been read 50 min ago.",
        "ordersync doctor worker beat",
    )
    with peers.installation.opened() as program:
        program.parts.store.pause_site(1, until=now + timedelta(minutes=5), reason="Refused.")
    assert peers.installation.one("work")[0] == "ok"


# Servers


@pytest.fixture
def migrated_postgres(postgres_url: str) -> str:
    engine = open_engine(postgres_url)
    migrate(engine)
    engine.dispose()
    return postgres_url


@pytest.mark.xdist_group("postgres")
def test_postgresql_without_tables_and_with_them(fresh: Installation, postgres_url: str) -> None:
    there = fresh.but(DATABASE_URL=postgres_url)
    level, found, do = there.one("database")
    assert (level, do) == ("wrong", "ordersync migrate")
    assert found.endswith(" answers, but has no tables yet.")
    engine: Engine = open_engine(postgres_url)
    migrate(engine)
    engine.dispose()
    level, found, do = there.one("database")
    assert (level, do) == ("ok", "")
    assert found.startswith("PostgreSQL ")
    assert found.endswith(f" at revision {HEAD}, READ COMMITTED; a write was tried and taken back.")
    executed(
        postgres_url,
        "INSERT INTO rm_run (kind, state, reason, counts, started_at) VALUES ('a', 'b', '', '{}', now())",
    )
    engine = open_engine(postgres_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*), max(id) FROM rm_run")).one() == (1, 1)
    engine.dispose()


@pytest.mark.xdist_group("postgres")
def test_postgresql_with_another_isolation_or_read_only(
    fresh: Installation, migrated_postgres: str, postgres_server: PostgresServer
) -> None:
    name = migrated_postgres.rpartition("/")[2]
    there = fresh.but(DATABASE_URL=migrated_postgres)
    postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_isolation TO 'serializable'")
    assert there.one("database") == (
        "wrong",
        "Transactions run in SERIALIZABLE, and must run in READ COMMITTED.",
        "ALTER ROLE CURRENT_USER SET default_transaction_isolation TO 'read committed';",
    )
    postgres_server.execute(f"ALTER DATABASE {name} RESET default_transaction_isolation")
    postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only TO on")
    assert there.one("database") == (
        "wrong",
        "It takes no writes: cannot execute INSERT in a read-only transaction.",
        "DATABASE_URL=...  # of a server that takes writes",
    )


@pytest.mark.xdist_group("postgres")
def test_the_clock_of_a_server_on_this_machine_is_not_off(migrated_postgres: str) -> None:
    engine = open_engine(migrated_postgres)
    seen = look(engine)
    engine.dispose()
    assert abs(seen.ahead) < 5


@pytest.mark.only_on("mariadb")
def test_mariadb_without_tables_and_with_them(
    fresh: Installation, databases: Databases, tmp_path: Path
) -> None:
    with databases.bare(tmp_path) as database, open_on(database.url) as engine:
        there = fresh.but(DATABASE_URL=database.url)
        assert there.one("database")[0] == "wrong"
        migrate(engine)
        seen = look(engine)
        assert (seen.product, seen.isolation, seen.refused) == ("MariaDB", "READ COMMITTED", "")
        assert abs(seen.ahead) < 5
        assert there.one("database")[0] == "ok"
