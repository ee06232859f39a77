"""Checks of what is on this machine: settings, key, folders."""

import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from app import secrets
from app.errors import Misconfigured
from app.settings import Settings, load_settings
from app.sync.findings import Finding, Report

_GIGABYTE = 1_000_000_000
_SCARCE, _TOO_SCARCE = 1 * _GIGABYTE, _GIGABYTE // 10
_MOUNTED_SECRETS = Path("/run/secrets")
_NAME = re.compile(r"\b(?:ORDERSYNC|DATABASE|REDIS)_[A-Z_]+\b")
_ADDRESSES = ("DATABASE", "REDIS", "ORDERSYNC_VAR", "ORDERSYNC_SECRET")
_LIMITS = (
    "ORDERSYNC_HTTP_TIMEOUT=60 ORDERSYNC_SOFT_TIME_LIMIT=240 ORDERSYNC_TIME_LIMIT=270 ORDERSYNC_LEASE=300"
)


def usable_settings(environment: Mapping[str, str]) -> tuple[Settings | None, Finding | None]:
    """The settings of this process, and what is wrong with them.

    Where only a limit or the like cannot be used, the others are still good, so that database and broker can be looked at with
    them; None where it is not known which database and broker are meant.
    """
    report = Report("settings")
    wrong: Finding | None = None
    unset: set[str] = set()
    while True:
        try:
            # Empty is unset, and what the environment says goes before the file.
            return load_settings({**environment, **dict.fromkeys(unset, "")}), wrong
        except Misconfigured as error:
            named = {name for name in _NAME.findall(error.reason) if not name.startswith(_ADDRESSES)}
            wrong = wrong or report.wrong(error.reason, do=_remedy(error.reason, environment))
            if not named - unset:
                return None, wrong
            unset |= named


def _remedy(reason: str, environment: Mapping[str, str]) -> str:
    names = _NAME.findall(reason)
    if not names:
        return f"cat {environment.get('ORDERSYNC_ENV_FILE') or '.env'}"
    return _LIMITS if names[0] in _LIMITS else f"{names[0]}=..."


def settings(found: Settings | None, wrong: Finding | None) -> Iterator[Finding]:
    """Whether they can be read and fit together."""
    report = Report("settings")
    if wrong is not None:
        yield wrong
    if found is None:
        return
    if found.clock_shift:
        yield report.warning(
            f"The clock is shifted by {found.clock_shift:g} s, which is for demonstrations.",
            do="unset ORDERSYNC_CLOCK_SHIFT",
        )
    elif wrong is None:
        limits = (found.http_timeout, found.soft_time_limit, found.time_limit, found.lease)
        chain = " < ".join(f"{each:g}" for each in limits)
        embedded = [
            name
            for name, is_embedded in (
                ("database", found.embedded_database),
                ("broker", found.embedded_broker),
            )
            if is_embedded
        ]
        note = f" Embedded, and so for one machine: {' and '.join(embedded)}." if embedded else ""
        yield report.ok(f"They fit together; the time limits are {chain} s.{note}")


def key(found: Settings, stored: Mapping[str, str] | None) -> Iterator[Finding]:
    """Whether there is a key, others cannot read it, and it opens the `stored` credentials, by name (None where not known)."""
    report = Report("key")
    file = found.secret_key_file
    if found.secret_key is None and not file.exists():
        if stored:
            yield report.wrong(
                f"There is no key, but credentials are stored: {file} is missing and ORDERSYNC_SECRET_KEY is not set.",
                do="ORDERSYNC_SECRET_KEY=...",
            )
        else:
            yield report.ok(f"There is none yet; it is made as {file} when it is needed.")
        return
    try:
        opened = secrets.load_key(given=found.secret_key, file=file)
    except Misconfigured as error:
        yield report.wrong(error.reason, do="ORDERSYNC_SECRET_KEY=...")
        return
    except OSError as error:
        yield report.wrong(f"{file} cannot be read ({error.strerror}).", do=f"chown $(id -u) {file}")
        return
    troubles = [*_readable_by_others(report, found), *_not_opened(report, opened, stored or {})]
    if troubles:
        yield from troubles
    elif stored is None:
        yield report.warning(
            "It is a key; whether it opens what is stored is not known without the database.",
            do="ordersync doctor key",
        )
    else:
        yield report.ok(f"It opens all stored credentials ({len(stored)}).")


def _readable_by_others(report: Report, found: Settings) -> Iterator[Finding]:
    file = found.secret_key_file
    # A secret that a container is given has modes of its own, and nobody else lives there.
    if found.secret_key is not None or file.is_relative_to(_MOUNTED_SECRETS):
        return
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        yield report.warning(f"Others on this machine may read {file}.", do=f"chmod 600 {file}")


def _not_opened(report: Report, opened: secrets.KeyRing, stored: Mapping[str, str]) -> Iterator[Finding]:
    for name, token in stored.items():
        try:
            secrets.decrypt(opened, token, name=name)
        except Misconfigured as error:
            yield report.wrong(error.reason, do="ORDERSYNC_SECRET_KEY=NEW,OLD")


def folder(found: Settings) -> Iterator[Finding]:
    """Whether there is a place to write to, with room in it."""
    report = Report("folder")
    place = _nearest(found.var)
    if not _is_writable(place):
        yield report.wrong(f"{found.var} cannot be written to.", do=f"chown -R $(id -u) {place}")
        return
    free = shutil.disk_usage(place).free
    sentence = f"{found.var} can be written to; {free / _GIGABYTE:.1f} GB are free."
    if free < _SCARCE:
        say = report.warning if free >= _TOO_SCARCE else report.wrong
        yield say(sentence, do=f"df -h {place}")
    else:
        yield report.ok(sentence)


def log(found: Settings) -> Iterator[Finding]:
    """Whether the log can be written."""
    report = Report("log")
    file = found.log_file
    if file is None:
        yield report.ok("ORDERSYNC_LOG_FILE=none: the console is all there is.")
        return
    place = file if file.exists() else _nearest(file.parent)
    if os.access(place, os.W_OK) and (place == file or _is_writable(place)):
        yield report.ok(f"{file} can be written.")
    else:
        yield report.wrong(f"{file} cannot be written.", do=f"chown -R $(id -u) {place}")


def flower(found: Settings) -> Iterator[Finding]:
    """Whether Flower has a login."""
    report = Report("flower")
    if found.flower_auth:
        yield report.ok("ORDERSYNC_FLOWER_AUTH is set.")
    else:
        yield report.ok("ORDERSYNC_FLOWER_AUTH is not set.", do="ORDERSYNC_FLOWER_AUTH=NAME:PASSWORD")


def _nearest(path: Path) -> Path:
    """The folder, or the first one above it that is there: what is missing is made when it is needed."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _is_writable(path: Path) -> bool:
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)
