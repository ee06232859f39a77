"""Checks of the database: what it is, whether its schema is this program's, and whether work rots in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from app.bootstrap import Parts
from app.db import health
from app.db.migrate import Schema
from app.errors import Misconfigured
from app.settings import Settings
from app.sync.doctor import overdue_sites
from app.sync.findings import Finding, Report

_SKEW_WARNS = 2.0
_SQLITE_PRAGMAS = "journal_mode=wal, synchronous=2, foreign_keys=1"
_SWEEPS_WARN, _SWEEPS_ARE_WRONG = 6, 60
_AT_LEAST = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class _Support:
    """Below `works_from` a statement of ours is refused; below `tested_from` nobody has tried. `why` goes with the first."""

    works_from: tuple[int, ...]
    tested_from: tuple[int, ...]
    why: str


_SUPPORT = {
    # psycopg 3 speaks with PostgreSQL 10 and later; before 14 its makers mend nothing any more.
    "PostgreSQL": _Support((10,), (14,), "the driver needs it"),
    "MariaDB": _Support((10, 6), (10, 6), "SKIP LOCKED came with it"),
    "MySQL": _Support((8, 0, 1), (999,), "SKIP LOCKED came with it"),
    # Migrations drop columns, which SQLite learnt with 3.35.
    "SQLite": _Support((3, 24), (3, 35), "upserts came with it"),
}


def database(settings: Settings) -> Iterator[Finding]:
    """Product and version, schema, isolation, clock, and whether it takes writes."""
    report = Report("database")
    if is_missing(settings):
        yield report.warning(
            f"There is no database yet; it is made as {settings.database_url.removeprefix('sqlite:///')}.",
            do="ordersync migrate",
        )
        return
    try:
        with health.opened(settings.database_url) as engine:
            found = health.look(engine)
    except Misconfigured as error:
        yield report.wrong(error.reason, do="DATABASE_URL=postgresql://NAME:PASSWORD@HOST/DATABASE")
        return
    yield from judged(found, embedded=settings.embedded_database)


def judged(found: health.Look, *, embedded: bool) -> Iterator[Finding]:
    """What a look at a database means."""
    report = Report("database")
    troubles = [
        *_version(report, found),
        *_schema(report, found, embedded=embedded),
        *_isolation(report, found),
        *_clock(report, found),
    ]
    if found.refused:
        is_file = found.product == "SQLite"
        do = (
            "ordersync doctor database folder  # a moment later"
            if is_file
            else "DATABASE_URL=...  # of a server that takes writes"
        )
        troubles.append(report.wrong(f"It takes no writes: {found.refused}.", do=do))
    state = f"{found.name} at revision {found.revision}, {found.isolation}"
    yield from troubles or [report.ok(f"{state}; a write was tried and taken back.")]


def _version(report: Report, found: health.Look) -> Iterator[Finding]:
    support = _SUPPORT[found.product]
    works, tested = (".".join(map(str, each)) for each in (support.works_from, support.tested_from))
    if found.version < support.works_from:
        yield report.wrong(
            f"{found.name} is too old: {found.product} {works} or later is needed ({support.why}).",
            do="DATABASE_URL=...",
        )
    elif found.product == "MySQL":
        yield report.warning(f"{found.name} was never tested; MariaDB was.", do="DATABASE_URL=mariadb://...")
    elif found.version < support.tested_from:
        yield report.warning(
            f"{found.name} was never tested; {found.product} {tested} or later is what it should be.",
            do="DATABASE_URL=...",
        )


def _schema(report: Report, found: health.Look, *, embedded: bool) -> Iterator[Finding]:
    migrate = "ordersync migrate"
    # An embedded database is brought up to date by the next command that opens it.
    late = report.warning if embedded else report.wrong
    match found.schema:
        case Schema.ABSENT:
            yield late(f"{found.name} answers, but has no tables yet.", do=migrate)
        case Schema.OLDER:
            yield late(f"Its schema is {found.revision}, and this program's is {found.head}.", do=migrate)
        case Schema.NEWER:
            yield report.wrong(
                f"Its schema {found.revision} was made by a newer program; this one knows {found.head} and must not run on it.",
                do="ordersync --version  # on every host: all run the newest",
            )
        case Schema.CURRENT:
            return


def _isolation(report: Report, found: health.Look) -> Iterator[Finding]:
    wanted = _SQLITE_PRAGMAS if found.product == "SQLite" else "READ COMMITTED"
    if found.isolation == wanted:
        return
    do = {
        "PostgreSQL": "ALTER ROLE CURRENT_USER SET default_transaction_isolation TO 'read committed';",
        "SQLite": "ORDERSYNC_VAR=...  # a folder on a disk of this machine",
    }.get(found.product, "SET GLOBAL TRANSACTION ISOLATION LEVEL READ COMMITTED;")
    yield report.wrong(f"Transactions run in {found.isolation}, and must run in {wanted}.", do=do)


def _clock(report: Report, found: health.Look) -> Iterator[Finding]:
    if abs(found.ahead) > _SKEW_WARNS:
        word = "ahead of" if found.ahead > 0 else "behind"
        yield report.warning(
            f"Its clock is {abs(found.ahead):.0f} s {word} this machine's; leases go by the one, schedules by the other.",
            do="timedatectl set-ntp true  # here, or there if this machine's clock is right",
        )


def is_missing(settings: Settings) -> bool:
    """Whether the database is a file that is not there yet."""
    return health.is_missing(settings.database_url)


@contextmanager
def filled(settings: Settings) -> Iterator[Engine]:
    """The database, where it has this program's schema. Raises `Misconfigured`, and makes nothing."""
    if is_missing(settings):
        raise Misconfigured("There is no database yet.")
    with health.opened(settings.database_url) as engine:
        if not health.has_our_schema(engine):
            raise Misconfigured("The database's schema is not this program's.")
        yield engine


def failing_since(engine: Engine, site_id: int) -> datetime | None:
    """When the runs of this site began to fail, where they do."""
    return health.failing_since(engine, site_id=site_id)


def work(settings: Settings, engine: Engine, parts: Parts) -> Iterator[Finding]:
    """Whether anything waits that should long have been taken up."""
    report, do = Report("work"), "ordersync doctor worker beat"
    count, since = health.oldest_due(engine, now=parts.store.now())
    waited = timedelta(0) if since is None else parts.store.now() - since
    sweep = timedelta(seconds=settings.sweep_seconds)
    troubles = [
        report.wrong(f"The site {name} should have been read {_span(late)} ago.", do=do)
        for name, late in overdue_sites(parts)
    ]
    if waited > max(_AT_LEAST, sweep * _SWEEPS_WARN):
        is_rotting = waited > max(_AT_LEAST * 10, sweep * _SWEEPS_ARE_WRONG)
        say = report.wrong if is_rotting else report.warning
        oldest = f"the oldest for {_span(waited)}"
        troubles.append(say(f"{count} orders and steps are due and in nobody's hands, {oldest}.", do=do))
    yield from troubles or [report.ok("Nothing waits that should have been taken up by now.")]


def _span(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
