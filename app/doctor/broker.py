"""Checks of the broker: whether it answers, keeps what it is given, and drops nothing."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import redis

from app.errors import Misconfigured
from app.limits import RedisLimiters
from app.passes import connect
from app.runtime import broker_url
from app.settings import Settings
from app.sync.findings import Finding, Report

UP = "ordersync up"

_OLDEST_REDIS = (6, 2)
"""kombu uses ZRANGE BYSCORE REV, which came with 6.2. Valkey began beyond it."""

_PORT = 6379
_ADDRESS = "REDIS_URL=redis://NAME:PASSWORD@HOST:PORT/0"
_AUTHORITY = "REDIS_URL=rediss://NAME:PASSWORD@HOST:PORT/0?ssl_ca_certs=/PATH/ca.pem"
_FILLING, _FULL = 0.6, 0.9
_RIGHTS = "'~*' '&*' +@all -@dangerous -@admin +info"
_ALSO = "  # and the same in its configuration file, or it is forgotten when it ends"


class NoBroker(Exception):
    """There is nobody to ask through; says why, as the end of a sentence."""


@contextmanager
def answering(settings: Settings) -> Iterator[tuple[str, "redis.Redis"]]:
    """The address of a broker that answers, and a client. Raises `NoBroker`, also for what fails while it is used."""
    try:
        url = broker_url(settings)
        with connect(url) as client:
            client.ping()
            yield url, client
    except Misconfigured:
        why = "there is no broker" if settings.embedded_broker else "the address of the broker cannot be used"
        raise NoBroker(why) from None
    except (redis.RedisError, OSError, ValueError) as error:
        raise NoBroker(f"the broker gives no answer ({type(error).__name__})") from None


def broker(settings: Settings) -> Iterator[Finding]:
    """Product and version, persistence, what happens when memory runs out, and how much of it is used."""
    report = Report("broker")
    try:
        url = broker_url(settings)
    except Misconfigured as error:
        yield report.wrong(error.reason, do=UP if settings.embedded_broker else _ADDRESS)
        return
    try:
        with connect(url) as client:
            client.ping()
            told: Mapping[str, Any] = client.info()
            may_script = _may_script(client)
    except redis.exceptions.NoPermissionError:
        yield report.warning(
            "It answers, but what it is and how it is set cannot be read: INFO is forbidden to this user.",
            do="ACL SETUSER ... +info",
        )
    except redis.exceptions.AuthenticationError:
        yield report.wrong(f"{_place(url)} refuses our name or password.", do=_ADDRESS)
    except (redis.RedisError, OSError, ValueError) as error:
        refused = _refused_certificate(error)
        if refused:
            yield report.wrong(
                f"The certificate of {_place(url)[0].lower()}{_place(url)[1:]} is refused ({refused}).",
                do=_AUTHORITY,
            )
            return
        do = UP if settings.embedded_broker else "REDIS_URL=redis://HOST:PORT/0"
        yield report.wrong(f"{_place(url)} gives no answer ({type(error).__name__}).", do=do)
    else:
        yield from judged(told, tool=_tool(url), may_script=may_script)


def _refused_certificate(error: BaseException | None) -> str:
    """Why the broker's certificate is not believed, empty where it is not about that."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return ""


def _may_script(client: "redis.Redis") -> bool:
    """Whether this user may do what the limits need. Raises `redis.RedisError` for a broker that is away."""
    try:
        RedisLimiters(client).try_scripts()
    except redis.exceptions.NoPermissionError:
        return False
    except redis.ResponseError as error:
        # A command within the script; what a replica or a full memory refuses is found by INFO.
        return "ACL" not in str(error)
    return True


def judged(told: Mapping[str, Any], *, tool: str, may_script: bool = True) -> Iterator[Finding]:
    """What the broker's own account (INFO) means. `tool` is the command line that reaches it."""
    report = Report("broker")
    product = "Valkey" if "valkey_version" in told else "Redis"
    text = str(told.get("valkey_version") or told.get("redis_version") or "")
    version = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    troubles: list[Finding] = []
    if product == "Redis" and version < _OLDEST_REDIS:
        troubles.append(
            report.wrong(
                f"Redis {text} is too old; 6.2 or later is needed, or Valkey.",
                do="REDIS_URL=redis://HOST:PORT/0",
            )
        )
    if told.get("role", "master") != "master":
        troubles.append(
            report.wrong(
                "It is a replica, which takes no messages.",
                do="REDIS_URL=redis://HOST:PORT/0  # of the primary",
            )
        )
    if not may_script:
        troubles.append(
            report.warning(
                "Scripts are forbidden to this user, so limits are not shared: each process counts calls for itself.",
                do=f"{tool} ACL SETUSER ... {_RIGHTS}{_ALSO}",
            )
        )
    troubles += [
        *_eviction(report, told, tool),
        *_persistence(report, told, tool),
        *_memory(report, told, tool),
    ]
    yield from troubles or [
        report.ok(
            f"{product} {text} keeps its messages on disk and drops none; {told.get('used_memory_human', '?')} are used."
        )
    ]


def _eviction(report: Report, told: Mapping[str, Any], tool: str) -> Iterator[Finding]:
    policy = told.get("maxmemory_policy")
    if policy is None:
        yield report.warning(
            "What it does when memory runs out cannot be read.", do=f"{tool} CONFIG GET maxmemory-policy"
        )
    elif policy != "noeviction":
        yield report.wrong(
            f"When memory runs out it drops messages (maxmemory-policy {policy}).",
            do=f"{tool} CONFIG SET maxmemory-policy noeviction{_ALSO}",
        )


def _persistence(report: Report, told: Mapping[str, Any], tool: str) -> Iterator[Finding]:
    is_kept = told.get("aof_enabled")
    if is_kept is None:
        yield report.warning(
            "Whether it keeps messages on disk cannot be read.", do=f"{tool} CONFIG GET appendonly"
        )
    elif not is_kept:
        yield report.warning(
            "It keeps no append-only file: messages are lost when it ends, and orders wait until they are rung again.",
            do=f"{tool} CONFIG SET appendonly yes{_ALSO}",
        )
    elif told.get("aof_last_write_status", "ok") != "ok":
        yield report.wrong("It cannot write its append-only file.", do="df -h  # where the broker runs")


def _memory(report: Report, told: Mapping[str, Any], tool: str) -> Iterator[Finding]:
    used, most = int(told.get("used_memory", 0)), int(told.get("maxmemory", 0))
    if not most or used < most * _FILLING:
        return
    say = report.warning if used < most * _FULL else report.wrong
    yield say(
        f"{used / most:.0%} of its memory is used; when it is full no message is taken and workers end.",
        do=f"{tool} CONFIG SET maxmemory {2 * most}{_ALSO}",
    )


def _place(url: str) -> str:
    """Where the broker is, without name and password."""
    parts = urlsplit(url)
    if "socket" in parts.scheme:
        return f"The broker at {parts.path}"
    try:
        port = parts.port or _PORT
    except ValueError:
        # The part of a password that has a slash in it.
        return "The broker in REDIS_URL"
    return f"The broker at {parts.hostname}:{port}"


def _tool(url: str) -> str:
    """The command line that reaches the broker; a password is asked for by `--askpass`."""
    parts = urlsplit(url)
    if "socket" in parts.scheme:
        return f"valkey-cli -s {parts.path}"
    user = f" --user {parts.username}" if parts.username else ""
    login = f"{user} --askpass" if parts.password else ""
    tls = " --tls" if parts.scheme == "rediss" else ""
    return f"redis-cli -h {parts.hostname} -p {parts.port or _PORT}{tls}{login}"
