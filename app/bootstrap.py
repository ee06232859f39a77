"""The composition root: settings in, use-cases with real parts out. The only module that sees everything."""

import contextlib
import importlib
import os
import pkgutil
import random
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import structlog
from sqlalchemy import Engine, exc, make_url
from sqlalchemy.exc import SQLAlchemyError

import app.connectors
from app import secrets
from app.db import keys
from app.db.engine import open_engine
from app.db.health import has_our_schema
from app.db.migrate import is_current, migrate
from app.db.store import SqlStore
from app.domain.road import Link, Owed, Stage, holds_up
from app.errors import Misconfigured, OrderSyncError, Retry, UsageError
from app.no_passes import NoPasses
from app.notifier import AppriseNotifier
from app.passwords import Argon2Passwords
from app.ports.connector import Account, Connector, OpenErp, OpenSalesChannel
from app.ports.deliveries import DueSite
from app.ports.erp import Erp
from app.ports.hooks import HookDesk
from app.ports.limiters import Limiters
from app.ports.measures import Measures
from app.ports.panel import PanelStore
from app.ports.passes import SkuPasses
from app.ports.sales_channel import SalesChannel
from app.ports.store import Bell, ErpRow, Site, UnreadRun
from app.runtime import broker_url
from app.secrets import KeyRing
from app.settings import Settings, load_settings
from app.sync import inline, pipeline
from app.sync.archive import archive_nightly
from app.sync.audit import Seals
from app.sync.by_hand import end_task
from app.sync.error_report import tell_of_errors
from app.sync.hook_setup import check_due as check_hooks_due
from app.sync.hooks import read_due
from app.sync.items import sync_items
from app.sync.nightly import reconcile_nightly
from app.sync.panel import Panel
from app.sync.panel.watching import watch
from app.sync.parts import Limits, Parts
from app.sync.recheck import recheck
from app.sync.schedule import Due, tick
from app.sync.steps import StepResult
from app.sync.sweep import close_runs, drop_old_deliveries, sweep
from app.transport import LocalLimiters
from app.transport.addresses import allowed_addresses, check_address, is_loopback, port_of

__all__ = [
    "DATABASE_AWAY",
    "Bell",
    "DueSite",
    "Link",
    "Owed",
    "Parts",
    "Settings",
    "Stage",
    "StepResult",
    "UnreadRun",
    "check_hooks_due",
    "close_runs",
    "drop_old_deliveries",
    "end_task",
    "holds_up",
    "inline",
    "load_settings",
    "pipeline",
    "read_due",
    "recheck",
    "reconcile_nightly",
    "sweep",
    "sync_items",
    "tell_of_errors",
]

T = TypeVar("T")

log = structlog.get_logger("ordersync.program")

_AUDIT = "audit"
"""The name under which the key of the audit trail's seals is kept."""

_WEB = "web"
"""The name under which the key is kept that signs browsers' cookies."""

DATABASE_AWAY: tuple[type[Exception], ...] = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError)
"""What a database raises that cannot be reached, is too busy or broke off: the same may work a moment later."""


@cache
def connectors() -> Mapping[str, Connector]:
    """Every connector there is, by platform, found by looking into `app.connectors`."""
    found: dict[str, Connector] = {}
    for module in pkgutil.iter_modules(app.connectors.__path__):
        connector: Connector = importlib.import_module(f"app.connectors.{module.name}").CONNECTOR
        found[connector.platform] = connector
    return found


class OpenPeers:
    """Opens configured sites and ERPs, each once for as long as its settings stay the same."""

    def __init__(
        self, settings: Settings, key: KeyRing, *, limiters: Callable[[], Limiters] = LocalLimiters
    ) -> None:
        self._settings = settings
        self._key = key
        self.limiters: Callable[[], Limiters] = cache(limiters)
        """Made when the first account is called: most commands only look into the database."""
        self._opened: dict[tuple[str, int], tuple[Any, Any]] = {}

    def connector(self, platform: str) -> Connector:
        """The connector of this platform. Raises `UsageError` naming those there are."""
        if platform not in connectors():
            raise UsageError(
                f"There is no platform {platform!r}; there are: {', '.join(sorted(connectors()))}."
            )
        return connectors()[platform]

    def channel(self, site: Site) -> SalesChannel:
        """The open sales channel of a site."""
        open_channel = cast("OpenSalesChannel", self.connector(site.platform).open)
        return cast("SalesChannel", self._open("site", site, open_channel))

    def hook_desk(self, site: Site) -> HookDesk:
        """The webhooks of a site at its platform. Raises `UsageError` where it has none."""
        connector = self.connector(site.platform)
        if connector.hooks is None:
            raise UsageError(f"{connector.title} has no webhooks.")
        return cast("HookDesk", self._open("hooks", site, connector.hooks.open))

    def erp(self, row: ErpRow) -> Erp:
        """The open ERP."""
        self.check_late(row.name, row.settings["t_late"])
        open_erp = cast("OpenErp", self.connector(row.platform).open)
        return cast("Erp", self._open("erp", row, open_erp, company=row.company))

    def _open(
        self, kind: str, row: Site | ErpRow, opener: Callable[[Account], Any], *, company: str = ""
    ) -> Any:  # noqa: ANN401 - each port has its own type
        stamp = (row.url, row.credentials, row.settings, row.allow_private, company)
        held = self._opened.get((kind, row.id))
        if held is not None and held[0] == stamp:
            return held[1]
        credentials = secrets.decrypt(self._key, row.credentials, name=row.name)
        self._check_shift(row.url, *(value for name, value in credentials.items() if name.endswith("_url")))
        opened = opener(
            Account(
                name=row.name,
                url=row.url,
                allow_private=row.allow_private,
                credentials=credentials,
                settings=row.settings,
                http_timeout=self._settings.http_timeout,
                company=company,
                limiters=self.limiters(),
            )
        )
        self._opened[kind, row.id] = (stamp, opened)
        return opened

    def _check_shift(self, *urls: str) -> None:
        if self._settings.clock_shift and not all(is_loopback(url) for url in urls):
            raise Misconfigured(
                "ORDERSYNC_CLOCK_SHIFT is for demonstrations on this machine; it is refused for any peer that is not."
            )

    def encrypt(self, credentials: dict[str, str]) -> str:
        """Credentials as they are stored."""
        return secrets.encrypt(self._key, credentials)

    def decrypt(self, stored: str, *, name: str) -> dict[str, str]:
        """Stored credentials of the site or ERP of this name."""
        return secrets.decrypt(self._key, stored, name=name)

    def check_address(self, url: str, *, allow_private: bool) -> None:
        """Refuse an address that may not be called; a name that does not resolve now may do so later.

        Plain http is for systems that may be private. One that was added before this rule is still called; the doctor warns of it.
        """
        check_address(url, allow_private=allow_private)
        with contextlib.suppress(Retry):
            allowed_addresses(*port_of(url), allow_private=allow_private)
        if not allow_private and not url.lower().startswith("https://"):
            raise Misconfigured(
                "The address must begin with https://: customers' addresses and the credentials go there. Plain http is for "
                "systems that are added with --allow-private."
            )

    def check_late(self, name: str, seconds: float) -> None:
        """T_LATE must be longer than the lease: else a write in doubt is sent again while its first attempt still runs."""
        if seconds <= self._settings.lease:
            raise Misconfigured(
                f"The ERP {name} has t_late={seconds:g} s, which must be longer than ORDERSYNC_LEASE ({self._settings.lease:g} s).",
                mend=("set t_late",),
            )


@dataclass(frozen=True, slots=True)
class Program:
    """One opened program: its settings, its database, and the parts its use-cases work with.

    `limiters` gives the limiters that its peers are called with; `measures` is where a worker puts what it counts.
    """

    settings: Settings
    engine: Engine
    parts: Parts
    limiters: Callable[[], Limiters] = LocalLimiters
    measures: Measures | None = None


def open_program(settings: Settings, *, url: str | None = None, by: str = "") -> Program:
    """Open the database and, with a broker's address, the cache. `by` is how this process is named in the audit trail.

    Raises `Misconfigured` where the schema is not this program's.
    """
    if settings.embedded_database:
        settings.var.mkdir(parents=True, exist_ok=True)
    engine = open_engine(settings.database_url)
    try:
        return _opened(settings, engine, url=url, by=by)
    except BaseException:
        engine.dispose()
        raise


def _opened(settings: Settings, engine: Engine, *, url: str | None, by: str) -> Program:
    if not is_current(engine):
        if not settings.embedded_database:
            raise Misconfigured("The database's schema is not this program's; run `ordersync migrate`.")
        migrate(engine)
    passes = NoPasses() if url is None else _redis_passes(url)
    key = secrets.load_key(given=settings.secret_key, file=settings.secret_key_file)
    audit_key = _audit_key(engine, key)
    limiters = cache(lambda: _limiters(settings, url))
    parts = parts_on(settings, engine, key=key, passes=passes, audit_key=audit_key, by=by, limiters=limiters)
    measures = None if url is None else _redis_measures(url)
    return Program(settings=settings, engine=engine, parts=parts, limiters=limiters, measures=measures)


def _redis_passes(url: str) -> SkuPasses:
    from app.passes import RedisPasses, connect  # noqa: PLC0415 - its client takes longer to import than a list to be shown

    return RedisPasses(connect(url))


def _redis_measures(url: str) -> Measures:
    from app.measures import RedisMeasures  # noqa: PLC0415 - as above
    from app.passes import connect  # noqa: PLC0415

    return RedisMeasures(connect(url))


def _limiters(settings: Settings, url: str | None) -> Limiters:
    """Those of all processes, also for a command that works beside them; its own where there is no broker."""
    try:
        found = url or broker_url(settings)
    except Misconfigured:
        return LocalLimiters()
    from app.limits import RedisLimiters  # noqa: PLC0415 - as above
    from app.passes import connect  # noqa: PLC0415

    return RedisLimiters(connect(found))


def parts_on(
    settings: Settings,
    engine: Engine,
    *,
    key: KeyRing,
    passes: SkuPasses,
    audit_key: Callable[[], bytes],
    by: str = "",
    limiters: Callable[[], Limiters] = LocalLimiters,
) -> Parts:
    """The parts that use-cases work with, on an open database; `by` is how the audit trail names this process."""
    limits = Limits(
        http_timeout=settings.http_timeout,
        soft_time_limit=settings.soft_time_limit,
        time_limit=settings.time_limit,
        lease=settings.lease,
    )
    return Parts(
        store=SqlStore(
            engine,
            audit_key=audit_key,
            by=by or "worker",
            shift=timedelta(seconds=settings.clock_shift),
        ),
        peers=OpenPeers(settings, key, limiters=limiters),
        passes=passes,
        limits=limits,
        spread=lambda seconds: random.uniform(0.0, seconds),  # noqa: S311 - spreads load, guards nothing
        ticks=time.monotonic,
    )


def _audit_key(engine: Engine, key: KeyRing) -> Callable[[], bytes]:
    """Gives the key of the audit trail's seals. Raises `Misconfigured`, when it is first needed, where it cannot be opened."""
    # Stored now: it is first needed in the midst of a transaction.
    stored = _stored_audit_key(engine, key)
    return cache(lambda: secrets.audit_key(key, stored).key)


def _stored_audit_key(engine: Engine, key: KeyRing) -> str:
    return keys.kept(engine, _AUDIT, make=lambda last: secrets.new_audit_key(key, after_event=last))


def panel_of(program: Program) -> Panel:
    """What people's doors work with."""
    store = cast("PanelStore", program.parts.store)
    return Panel(
        parts=program.parts,
        store=store,
        passwords=Argon2Passwords(),
        limiters=program.limiters,
        notifier=AppriseNotifier(),
    )


def web_key_of(program: Program) -> bytes:
    """The key that signs browsers' cookies, the same for every web process. Raises `Misconfigured` where the secret key is another."""
    key = _secret_key(program)
    stored = keys.kept(program.engine, _WEB, make=lambda _last: secrets.new_web_key(key))
    return secrets.web_key(key, stored)


def audit_key_of(program: Program) -> Seals:
    """What the audit trail is proved with. Raises `Misconfigured` where the secret key is not the one it was stored with."""
    key = _secret_key(program)
    found = secrets.audit_key(key, _stored_audit_key(program.engine, key))
    return Seals(key=found.key, after_event=found.after_event)


def new_audit_key_of(program: Program) -> None:
    """Begin the seals of the audit trail anew; the events so far can no longer be proved.

    Processes that run go on with the key they have until they are started again.
    """
    key = _secret_key(program)
    keys.replace(program.engine, _AUDIT, make=lambda last: secrets.new_audit_key(key, after_event=last))


def _secret_key(program: Program) -> KeyRing:
    return secrets.load_key(given=program.settings.secret_key, file=program.settings.secret_key_file)


def prepare_database(settings: Settings) -> None:
    """Bring the database to the schema of this program."""
    if settings.embedded_database:
        settings.var.mkdir(parents=True, exist_ok=True)
    # A change of a large table takes as long as it takes.
    engine = open_engine(settings.database_url, answer_seconds=None)
    try:
        migrate(engine)
    finally:
        engine.dispose()


@dataclass(frozen=True, slots=True)
class Names:
    """The names of what is connected."""

    sites: tuple[str, ...] = ()
    erps: tuple[str, ...] = ()


def connected_names() -> Names:
    """For completion: what is connected, by this process's settings. Nothing where the database cannot be asked quickly."""
    return asked_quickly(_names) or Names()


def _names(store: SqlStore) -> Names:
    return Names(
        sites=tuple(each.name for each in store.sites()), erps=tuple(each.name for each in store.erps())
    )


def asked_quickly(question: Callable[[SqlStore], T]) -> T | None:
    """For completion: what the store answers, by this process's settings. None where the database cannot be asked quickly.

    Makes no database, no key and no migration, and waits no longer than a person who has pressed a key.
    """
    try:
        settings = load_settings()
        url = make_url(settings.database_url)
        if settings.embedded_database:
            if not Path(url.database or "").is_file():
                return None
        else:
            url = url.update_query_dict({"connect_timeout": "2"})
        engine = open_engine(url.render_as_string(hide_password=False), busy_seconds=1.0)
        try:
            return question(SqlStore(engine, audit_key=bytes))
        finally:
            engine.dispose()
    except (OrderSyncError, OSError, SQLAlchemyError):
        return None


_of_process: dict[int, Program] = {}


def program_of_process() -> Program:
    """The program of this worker process, opened after the fork that made it."""
    found = _of_process.get(os.getpid())
    if found is None:
        settings = load_settings()
        found = open_program(settings, url=broker_url(settings), by=f"worker@{socket.gethostname()}")
        _of_process.clear()
        _of_process[os.getpid()] = found
    return found


def archive_old_orders() -> None:
    """What the nightly archive task does."""
    program = program_of_process()
    archive_nightly(program.parts, days=program.settings.archive_days)


def measure_task(name: str, seconds: float) -> None:
    """Count a task that has ended in this worker process. Nothing is counted of one for which the program could not be opened."""
    program = _of_process.get(os.getpid())
    if program is not None and program.measures is not None:
        program.measures.took(name.removeprefix("ordersync."), seconds)


def drop_ended() -> None:
    """Forget sessions, links and kept answers that have ended."""
    panel_of(program_of_process()).store.drop_ended()


def database_word(program: Program) -> str:
    """How the database is, in a word: `ok`, `away`, or `schema` where that is not this program's."""
    try:
        return "ok" if has_our_schema(program.engine) else "schema"
    except SQLAlchemyError as error:
        # No driver's own words: they may hold an address.
        log.warning("database_away", failure=type(error).__name__)
        return "away"


def watch_alerts() -> None:
    """What beat's look at the alerts does."""
    program = program_of_process()
    watch(panel_of(program), web_url=program.settings.web_url)


def due_now() -> Due:
    """What beat's tick starts."""
    return tick(program_of_process().parts)
