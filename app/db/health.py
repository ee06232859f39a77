"""What can be told of a database without changing it: product, schema, isolation, clock, whether it takes writes, what waits."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.db.engine import open_engine
from app.db.migrate import Schema, schema_of
from app.db.store.base import clock_of, lease_free
from app.db.store.owed import due_steps
from app.db.tables import runs, steps, threads
from app.domain.road import UNFINISHED, Owed, Stage
from app.errors import Misconfigured

_ANSWER_SECONDS = 4
_BUSY_SECONDS = 2.0
_PRODUCTS = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}
_NO_ROWS_ID = -1


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a database found. `ahead` is its clock less this machine's, in seconds.

    `refused` says why a write is not taken, empty where it is; writes are only tried where the schema is this program's.
    """

    product: str
    version: tuple[int, ...]
    schema: Schema
    revision: str
    head: str
    isolation: str
    ahead: float
    refused: str

    @property
    def name(self) -> str:
        """Product and version, as people write them."""
        return f"{self.product} {'.'.join(map(str, self.version))}"


def is_missing(url: str) -> bool:
    """Whether the address names an SQLite file that is not there: looking would make it."""
    try:
        parsed = make_url(url)
    except SQLAlchemyError:
        return False
    return parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists()


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """An engine that does not wait long. Raises `Misconfigured`, also for what fails while it is used, without any password."""
    try:
        shown = make_url(url).render_as_string(hide_password=True)
        engine = open_engine(url, busy_seconds=_BUSY_SECONDS, answer_seconds=_ANSWER_SECONDS)
    except (SQLAlchemyError, ImportError):
        raise Misconfigured("DATABASE_URL is no address of a database.") from None
    try:
        yield engine
    except SQLAlchemyError as error:
        raise Misconfigured(f"The database {shown} cannot be used: {_words(error)}.") from None
    finally:
        engine.dispose()


def look(engine: Engine) -> Look:
    """Look at the database; a row is inserted and rolled back. Raises SQLAlchemy's errors where it gives no answer."""
    with engine.connect().execution_options(read_only=True) as connection:
        ahead = _ahead(connection)
        schema, revision, head = schema_of(connection)
        dialect: Any = connection.dialect
        product = _PRODUCTS["mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name]
        is_sqlite = dialect.name == "sqlite"
        isolation: str = _pragmas(connection) if is_sqlite else connection.get_isolation_level()
    return Look(
        product=product,
        version=tuple(part for part in dialect.server_version_info or () if isinstance(part, int)),
        schema=schema,
        revision=revision,
        head=head,
        isolation=isolation,
        ahead=0.0 if is_sqlite else ahead,
        refused=_refused(engine) if schema is Schema.CURRENT else "",
    )


def has_our_schema(engine: Engine) -> bool:
    """Whether the database has the schema of this program."""
    with engine.connect().execution_options(read_only=True) as connection:
        return schema_of(connection)[0] is Schema.CURRENT


def oldest_due(engine: Engine, *, now: datetime) -> tuple[int, datetime | None]:
    """How many orders and owed steps are due at `now` and in nobody's hands, and since when the oldest of them is."""
    waiting = select(func.count(), func.min(threads.c.next_at)).where(
        threads.c.state.in_(UNFINISHED),
        threads.c.stage != Stage.DELIVER,
        threads.c.next_at <= now,
        lease_free(threads, now),
    )
    owed = [
        due_steps(kind, now).with_only_columns(func.count(steps.c.id), func.min(steps.c.next_at))
        for kind in Owed
    ]
    with engine.connect().execution_options(read_only=True) as connection:
        found = [connection.execute(query).one() for query in (waiting, *owed)]
    return sum(row[0] for row in found), min((row[1] for row in found if row[1] is not None), default=None)


def failing_since(engine: Engine, *, site_id: int) -> datetime | None:
    """When the first run of this site began that failed with no good one after it; None where the latest did not fail."""
    of_site = (runs.c.site_id == site_id) & (runs.c.kind == "orders")
    good = select(func.coalesce(func.max(runs.c.id), 0)).where(of_site, runs.c.state == "finished")
    query = select(func.min(runs.c.started_at)).where(
        of_site, runs.c.state == "failed", runs.c.id > good.scalar_subquery()
    )
    with engine.connect().execution_options(read_only=True) as connection:
        found: datetime | None = connection.execute(query).scalar_one()
    return found


def _ahead(connection: Connection) -> float:
    connection.execute(select(1))
    asked, started = datetime.now(UTC), time.monotonic()
    there = clock_of(connection)
    # Half of the way there and back.
    return (there - asked).total_seconds() - (time.monotonic() - started) / 2


def _pragmas(connection: Connection) -> str:
    names = ("journal_mode", "synchronous", "foreign_keys")
    found = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in names)
    return ", ".join(f"{name}={value}" for name, value in zip(names, found, strict=True))


def _refused(engine: Engine) -> str:
    row = {"id": _NO_ROWS_ID, "kind": "doctor", "state": "running", "counts": {}}
    try:
        with engine.connect() as connection, connection.begin() as transaction:
            connection.execute(insert(runs).values(**row, started_at=clock_of(connection)))
            transaction.rollback()
    except DBAPIError as error:
        return _words(error)
    return ""


def _words(error: SQLAlchemyError) -> str:
    """The first line of what the driver says; the statement and its values are left out."""
    said = error.orig if isinstance(error, DBAPIError) else error
    # MariaDB's driver gives a number and a text.
    text = said.args[-1] if said is not None and said.args else said
    lines = str(text).strip().splitlines()
    return (lines[0] if lines else type(said).__name__).rstrip(".")
