"""The installation looked at: `ordersync doctor`. Nothing is changed by it.

Each check is a name and a function; another one is another line in `_checks`. Sites and ERPs become checks of their own once
the database has said which there are.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Engine

from app import secrets
from app.bootstrap import Parts, parts_on
from app.doctor import broker, database, here, processes
from app.doctor.checks import SECONDS, Begun, Check, Ended, run
from app.errors import Misconfigured, UsageError
from app.passes import NoPasses
from app.settings import Settings
from app.sync.doctor import look_at_erp, look_at_site
from app.sync.findings import Finding, Level, Report, worst

__all__ = ["Begun", "Ended", "Finding", "Level", "examine", "worst"]

_ONE_CALL = 4.0
"""Seconds that one call to a shop or an ERP may take, so that its own account of the failure comes before our time is up."""

_CONNECTED = ("site", "erp")
_PROCESSES = ("worker", "beat")


def examine(
    names: Sequence[str] = (),
    *,
    environment: Mapping[str, str],
    only_here: bool = False,
    seconds: float = SECONDS,
) -> Iterator[Begun | Ended]:
    """Make the checks of these names (all, where there are none), telling of each as it begins and ends.

    `site` and `erp` stand for all of them, `site:bgm` for one. `only_here` looks for worker and beat on this host alone. Raises
    `UsageError` for a name that there is not.
    """
    settings, wrong = here.usable_settings(environment)
    checks = _checks(settings, wrong, names=names, only_here=only_here)
    known = [check.name for check in checks]
    for name in names:
        if settings is not None and name not in known and name.partition(":")[0] not in _CONNECTED:
            choices = ", ".join([*known[:-1], *(f"{kind}, {kind}:NAME" for kind in _CONNECTED)])
            raise UsageError(f"There is no check named {name!r}; there are: {choices}.")
    if only_here and not set(names) & set(_PROCESSES):
        raise UsageError("--here looks for processes; name them, as in `ordersync doctor worker --here`.")
    wanted = [check for check in checks if _is_wanted(check.name, names) or settings is None]
    return run(wanted, seconds=seconds)


def _checks(
    settings: Settings | None, wrong: Finding | None, *, names: Sequence[str], only_here: bool
) -> list[Check]:
    """Every check there is, in the order in which a person reads them."""
    first = Check("settings", partial(here.settings, settings, wrong))
    if settings is None:
        return [first]
    return [
        first,
        Check("key", partial(_key, settings)),
        Check("folder", partial(here.folder, settings)),
        Check("log", partial(here.log, settings)),
        Check("database", partial(database.database, settings)),
        Check("broker", partial(broker.broker, settings)),
        Check("worker", partial(processes.worker, settings, here=only_here)),
        Check("beat", partial(processes.beat, settings, here=only_here)),
        Check("work", partial(_work, settings)),
        Check("flower", partial(here.flower, settings)),
        # The last one: it leads to a check for each site and each ERP.
        Check("connected", partial(_connected, settings, names)),
    ]


def _is_wanted(name: str, names: Sequence[str]) -> bool:
    if not names or name in names:
        return True
    return name == "connected" and any(each.partition(":")[0] in _CONNECTED for each in names)


def _key(settings: Settings) -> Iterator[Finding]:
    stored: dict[str, str] | None = None
    try:
        with database.filled(settings) as engine:
            store = _parts(settings, engine).store
            stored = {
                **{f"the site {site.name}": site.credentials for site in store.sites()},
                **{f"the ERP {row.name}": row.credentials for row in store.erps()},
                **{
                    f"the webhooks of {site.name}": site.hook_secrets
                    for site in store.sites()
                    if site.hook_secrets
                },
            }
    except Misconfigured:
        # What is wrong with the database is another check's to say.
        pass
    yield from here.key(settings, stored)


def _work(settings: Settings) -> Iterator[Finding | Check]:
    def look(engine: Engine) -> Iterator[Finding]:
        return database.work(settings, engine, _parts(settings, engine))

    return _looked_up("work", settings, look)


def _connected(settings: Settings, names: Sequence[str]) -> Iterator[Finding | Check]:
    """A check for each site and ERP that is wanted."""

    def look(engine: Engine) -> Iterator[Finding | Check]:
        store = _parts(settings, engine).store
        yield from _wanted("erp", [row.name for row in store.erps()])
        yield from _wanted("site", [site.name for site in store.sites()])

    def _wanted(kind: str, there: list[str]) -> Iterator[Finding | Check]:
        asked = [name.partition(":")[2] for name in names if name.startswith(f"{kind}:")]
        unknown = [name for name in asked if name not in there]
        if unknown:
            known = ", ".join(there) or "none yet"
            raise UsageError(f"There is no {kind} named {unknown[0]!r} (there are: {known}).")
        if not names or kind in names:
            if not there:
                yield Report(kind).warning(f"No {kind} is connected yet.", do=f"ordersync {kind} add ...")
            asked = there
        for name in dict.fromkeys(asked):
            yield Check(f"{kind}:{name}", partial(_peer, settings, kind, name))

    return _looked_up("connected", settings, look)


def _peer(settings: Settings, kind: str, name: str) -> Iterator[Finding | Check]:
    check = f"{kind}:{name}"

    def look(engine: Engine) -> Iterator[Finding]:
        try:
            key = _stored_key(settings)
        except Misconfigured as error:
            yield Report(check).wrong(error.reason, do="ordersync doctor key")
            return
        parts = _parts(settings, engine, key=key)
        clock = partial(datetime.now, UTC)
        if kind == "site":
            site = next(each for each in parts.store.sites() if each.name == name)
            since = database.failing_since(engine, site.id)
            yield from look_at_site(parts, site, clock=clock, failing_since=since)
        else:
            row = next(each for each in parts.store.erps() if each.name == name)
            yield from look_at_erp(parts, row, clock=clock)

    return _looked_up(check, settings, look)


def _looked_up(
    check: str, settings: Settings, look: Callable[[Engine], Iterator[Finding | Check]]
) -> Iterator[Finding | Check]:
    """What `look` finds in the database, or that there is nothing to be looked at."""
    report = Report(check)
    if database.is_missing(settings):
        yield report.warning("There is no database yet to look it up in.", do="ordersync migrate")
        return
    try:
        with database.filled(settings) as engine:
            found = tuple(look(engine))
    except Misconfigured as error:
        found = (report.wrong(f"It cannot be looked up. {error.reason}", do="ordersync doctor database"),)
    yield from found


def _parts(settings: Settings, engine: Engine, *, key: secrets.KeyRing | None = None) -> Parts:
    """The parts for looking: calls are short, nothing is remembered. Without a key no site and no ERP can be opened."""
    patient = replace(settings, http_timeout=min(settings.http_timeout, _ONE_CALL))
    opener = key or secrets.KeyRing([secrets.SecretKey.new()])
    return parts_on(patient, engine, key=opener, passes=NoPasses(), audit_key=bytes)


def _stored_key(settings: Settings) -> secrets.KeyRing:
    """The key that there is; none is made. Raises `Misconfigured`."""
    if settings.secret_key is None and not settings.secret_key_file.exists():
        raise Misconfigured("There is no key that opens its credentials.")
    return secrets.load_key(given=settings.secret_key, file=settings.secret_key_file)
