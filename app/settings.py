"""Settings of one process, read from the environment and one `.env` file. Unset means embedded, under `var/`.

Order of precedence: environment, then `.env` in the working directory, then the defaults here.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from app.errors import Misconfigured

_DEFAULT_LIMITS = {
    "ORDERSYNC_HTTP_TIMEOUT": 60.0,
    "ORDERSYNC_SOFT_TIME_LIMIT": 240.0,
    "ORDERSYNC_TIME_LIMIT": 270.0,
    "ORDERSYNC_LEASE": 300.0,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a process needs to know before it opens anything. Durations are seconds, but for `archive_days`.

    Orders that are done and unchanged for so many days go to the archive; 0 is never. `web_url` and `flower_url` are where people
    reach the panel and Flower; without the first the panel lets people in from this machine only.
    """

    var: Path
    database_url: str
    redis_url: str | None
    secret_key: str | None
    secret_key_file: Path
    clock_shift: float
    http_timeout: float
    soft_time_limit: float
    time_limit: float
    lease: float
    sweep_seconds: float
    flower_auth: str | None
    log_file: Path | None
    log_format: str
    log_level: str
    log_bytes: int
    log_files: int
    archive_days: int = 90
    web_url: str | None = None
    flower_url: str | None = None

    @property
    def embedded_database(self) -> bool:
        """Whether the database is our own SQLite file under `var`."""
        return self.database_url.startswith("sqlite")

    @property
    def embedded_broker(self) -> bool:
        """Whether no broker is configured, so that the embedded Valkey serves."""
        return self.redis_url is None

    def flower_login(self) -> str:
        """`name:password` for whoever may look at Flower. Raises `Misconfigured` where there is none to be used."""
        if self.flower_auth is None:
            raise Misconfigured(
                "Flower needs a login: set ORDERSYNC_FLOWER_AUTH to name:password, or ORDERSYNC_FLOWER_AUTH_FILE to a file with it."
            )
        name, _, password = self.flower_auth.partition(":")
        if not name or not password or not self.flower_auth.isascii():
            raise Misconfigured("ORDERSYNC_FLOWER_AUTH must be name:password, of plain ASCII characters.")
        return self.flower_auth

    def check_time_limits(self) -> None:
        """HTTP timeout < soft limit < hard limit < lease, or `Misconfigured` with the numbers.

        A lease that ends before its process is stopped lets two processes work on one order. The last link of the chain,
        lease < T_LATE, belongs to each ERP and is checked where the ERP is opened.
        """
        chain = [
            ("ORDERSYNC_HTTP_TIMEOUT", self.http_timeout),
            ("ORDERSYNC_SOFT_TIME_LIMIT", self.soft_time_limit),
            ("ORDERSYNC_TIME_LIMIT", self.time_limit),
            ("ORDERSYNC_LEASE", self.lease),
        ]
        for (low_name, low), (high_name, high) in pairwise(chain):
            if not 0 < low < high:
                message = f"{low_name} ({low:g} s) must be above zero and below {high_name} ({high:g} s)."
                raise Misconfigured(message)


def _dotenv(path: Path) -> dict[str, str]:
    """The `NAME=value` lines of a `.env` file; blank lines and `#` comments are passed over."""
    if not path.is_file():
        return {}
    values: dict[str, str] = {}
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        line = raw.strip().removeprefix("export ").strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            message = f"{path}, line {number}: expected NAME=value."
            raise Misconfigured(message)
        values[name.strip()] = value.strip().strip("'\"")
    return values


def _number(values: Mapping[str, str], name: str, default: float) -> float:
    text = values.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        message = f"{name} is {text!r}; it must be a number of seconds."
        raise Misconfigured(message)
    return value


def _count(values: Mapping[str, str], name: str, default: int, *, least: int, most: int | None = None) -> int:
    text = values.get(name, "") or str(default)
    value = int(text) if text.isascii() and text.isdigit() else -1
    if value < least or (most is not None and value > most):
        span = f"from {least} up" if most is None else f"from {least} to {most}"
        raise Misconfigured(f"{name} is {text!r}; it must be a whole number {span}.")
    return value


def _word(values: Mapping[str, str], name: str, words: tuple[str, ...]) -> str:
    """One of these words; the first one where none is given."""
    text = values.get(name, "").strip() or words[0]
    found = next((word for word in words if word.lower() == text.lower()), None)
    if found is None:
        raise Misconfigured(f"{name} is {text!r}; it must be one of: {', '.join(words)}.")
    return found


def load_settings(environment: Mapping[str, str] | None = None, *, dotenv: Path | None = None) -> Settings:
    """The settings of this process. Raises `Misconfigured` with one sentence where a value cannot be used."""
    source = os.environ if environment is None else environment
    values = {**_dotenv(dotenv or Path(source.get("ORDERSYNC_ENV_FILE", ".env"))), **source}
    var = Path(values.get("ORDERSYNC_VAR") or "var").resolve()
    limits = {name: _number(values, name, default) for name, default in _DEFAULT_LIMITS.items()}
    settings = Settings(
        var=var,
        database_url=_database_url(_secret(values, "DATABASE_URL") or f"sqlite:///{var / 'ordersync.db'}"),
        redis_url=_secret(values, "REDIS_URL"),
        secret_key=values.get("ORDERSYNC_SECRET_KEY") or None,
        secret_key_file=Path(values.get("ORDERSYNC_SECRET_KEY_FILE") or var / "secret.key"),
        clock_shift=_number(values, "ORDERSYNC_CLOCK_SHIFT", 0.0),
        http_timeout=limits["ORDERSYNC_HTTP_TIMEOUT"],
        soft_time_limit=limits["ORDERSYNC_SOFT_TIME_LIMIT"],
        time_limit=limits["ORDERSYNC_TIME_LIMIT"],
        lease=limits["ORDERSYNC_LEASE"],
        sweep_seconds=_number(values, "ORDERSYNC_SWEEP_SECONDS", 10.0),
        flower_auth=_secret(values, "ORDERSYNC_FLOWER_AUTH"),
        log_file=_log_file(values.get("ORDERSYNC_LOG_FILE", ""), var),
        log_format=_word(values, "ORDERSYNC_LOG_FORMAT", ("text", "json")),
        log_level=_word(values, "ORDERSYNC_LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
        log_bytes=_count(values, "ORDERSYNC_LOG_BYTES", 10_000_000, least=10_000),
        log_files=_count(values, "ORDERSYNC_LOG_FILES", 10, least=2),
        archive_days=_count(values, "ORDERSYNC_ARCHIVE_DAYS", 90, least=0, most=36_500),
        web_url=_address(values, "ORDERSYNC_WEB_URL"),
        flower_url=_address(values, "ORDERSYNC_FLOWER_URL"),
    )
    settings.check_time_limits()
    if settings.sweep_seconds <= 0:
        message = f"ORDERSYNC_SWEEP_SECONDS ({settings.sweep_seconds:g} s) must be above zero."
        raise Misconfigured(message)
    return settings


def _secret(values: Mapping[str, str], name: str) -> str | None:
    """The value, else the contents of the file that `<name>_FILE` names: containers are handed secrets as files."""
    file = values.get(f"{name}_FILE")
    if values.get(name) or not file:
        return values.get(name) or None
    try:
        text = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        message = f"{name}_FILE names {file}, which cannot be read ({why})."
        raise Misconfigured(message) from None
    if not text:
        message = f"{name}_FILE names {file}, which is empty."
        raise Misconfigured(message)
    return text


def _address(values: Mapping[str, str], name: str) -> str | None:
    """Scheme, host and port of a web address, without a slash at its end."""
    text = values.get(name, "").strip().rstrip("/")
    if not text:
        return None
    if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", text):
        raise Misconfigured(f"{name} is {text!r}; it must be an address such as https://orders.example.com.")
    return text


def _log_file(text: str, var: Path) -> Path | None:
    """Where the log goes besides the console; `none` for containers, whose console is collected."""
    if text.strip().lower() == "none":
        return None
    return Path(text).resolve() if text else var / "log" / "order-sync.log"


def _database_url(url: str) -> str:
    """Name the driver that is installed: plain `postgres://` and `mysql://` addresses are what hosts hand out."""
    for plain, driver in (
        ("postgres://", "postgresql+psycopg://"),
        ("postgresql://", "postgresql+psycopg://"),
        ("mysql://", "mysql+pymysql://"),
        ("mariadb://", "mariadb+pymysql://"),
    ):
        if url.startswith(plain):
            return driver + url.removeprefix(plain)
    return url
