"""The settings every site and every ERP has, whatever its system: read from strings, stored as JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadDateError, croniter

from app.errors import UsageError

_LONGEST_WINDOW = 6 * 24 * 60
_WORDS_WITHOUT_ZONE = 3
_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class SiteOptions:
    """How a site is read. `schedule` is cron syntax in UTC."""

    schedule: str
    max_orders_per_run: int
    min_order_date: datetime | None
    skip_test_orders: bool
    take_marked: bool
    overlap: timedelta
    reconcile_schedule: str
    reconcile_days: int
    reconcile_heals: bool
    hold_age: timedelta


@dataclass(frozen=True, slots=True)
class ErpOptions:
    """How an ERP is written to. `late` is T_LATE."""

    late: timedelta
    default_customer: str
    create_customers: bool
    total_tolerance: Decimal
    items_schedule: str


def site_options(settings: Mapping[str, Any]) -> SiteOptions:
    """The options stored with a site."""
    minimum = settings["min_order_date"]
    return SiteOptions(
        schedule=settings["schedule"],
        max_orders_per_run=settings["max_orders_per_run"],
        min_order_date=None if minimum is None else datetime.fromisoformat(minimum),
        skip_test_orders=settings["skip_test_orders"],
        take_marked=settings["take_marked"],
        overlap=timedelta(seconds=settings["overlap"]),
        # Sites of an earlier version have none of these stored.
        reconcile_schedule=settings.get("reconcile_schedule", _LATER["reconcile_schedule"][1]),
        reconcile_days=settings.get("reconcile_days", int(_LATER["reconcile_days"][1])),
        reconcile_heals=settings.get("reconcile_heals", True),
        hold_age=timedelta(hours=settings.get("hold_hours", int(_LATER["hold_hours"][1]))),
    )


def erp_options(settings: Mapping[str, Any]) -> ErpOptions:
    """The options stored with an ERP."""
    return ErpOptions(
        late=timedelta(seconds=settings["t_late"]),
        default_customer=settings["default_customer"],
        create_customers=settings["create_customers"],
        total_tolerance=Decimal(settings["total_tolerance"]),
        items_schedule=settings["items_schedule"],
    )


Reader = Callable[[str], Any]


def boolean(text: str) -> bool:
    """yes/no, true/false, 1/0, on/off."""
    match text.strip().lower():
        case "1" | "true" | "yes" | "on":
            return True
        case "0" | "false" | "no" | "off":
            return False
        case _:
            raise ValueError("must be true or false")


def _at_least(minimum: int, maximum: int) -> Reader:
    def read(text: str) -> int:
        if not text.strip().isdecimal() or not minimum <= int(text) <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return int(text)

    return read


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 7 * 86400:
        raise ValueError("must be a number of seconds above zero")
    return value


def _date(text: str) -> str | None:
    if not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError("must be a date such as 2026-11-01 (UTC)") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def cron(text: str) -> str:
    """Five fields of cron syntax that come round some day."""
    if len(text.split()) != 5 or not croniter.is_valid(text):  # noqa: PLR2004 - minute hour day month weekday
        raise ValueError('must be cron syntax with five fields, such as "0 * * * *" (UTC)')
    try:
        croniter(text, _SOME_DAY).get_next(datetime)
    except CroniterBadDateError:
        raise ValueError("must name a day that there is") from None
    return text


def _money(text: str) -> str:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        raise ValueError("must be an amount that is not below zero")
    return str(value)


def _windows(text: str) -> list[dict[str, Any]]:
    """`sun 22:00 120 Europe/Berlin` (day, start, minutes, zone), several separated by semicolons."""
    found: list[dict[str, Any]] = []
    for part in filter(None, (each.strip() for each in text.split(";"))):
        try:
            words = part.split()
            day, start, minutes, name = words if len(words) > _WORDS_WITHOUT_ZONE else [*words, "UTC"]
            weekday = DAYS.index(day[:3].lower())
            datetime.strptime(start, "%H:%M")  # noqa: DTZ007 - a time of day, not a moment
            ZoneInfo(name)
            length = int(minutes)
        except (ValueError, ZoneInfoNotFoundError):
            raise ValueError(
                'must look like "sun 22:00 120 Europe/Berlin" (day, start, minutes, zone)'
            ) from None
        if not 0 < length < _LONGEST_WINDOW:
            raise ValueError("must last from one minute to less than six days")
        found.append({"weekday": weekday, "start": start, "minutes": length, "zone": name})
    return found


def _minutes(text: str) -> int | None:
    if not text.strip():
        return None
    if not text.strip().isdecimal() or not 1 <= int(text) <= _LONGEST_WINDOW:
        raise ValueError(f"must be a whole number of minutes from 1 to {_LONGEST_WINDOW}, or empty")
    return int(text)


_LATER: dict[str, tuple[Reader, str]] = {
    "fresh_minutes": (_minutes, ""),
    "hold_hours": (_at_least(1, 24 * 365), "48"),
    "reconcile_schedule": (cron, "30 2 * * *"),
    "reconcile_days": (_at_least(1, 3650), "14"),
    "reconcile_heals": (boolean, "true"),
}

_SITE: dict[str, tuple[Reader, str]] = {
    "schedule": (cron, "0 * * * *"),
    "max_orders_per_run": (_at_least(1, 100_000), "100"),
    "min_order_date": (_date, ""),
    "skip_test_orders": (boolean, "true"),
    "take_marked": (boolean, "false"),
    "overlap": (_seconds, "300"),
    **_LATER,
}


def _erp_readers(late: timedelta) -> dict[str, tuple[Reader, str]]:
    return {
        "t_late": (_seconds, str(late.total_seconds())),
        "default_customer": (str.strip, ""),
        "create_customers": (boolean, ""),
        "total_tolerance": (_money, "0.00"),
        "items_schedule": (cron, "*/15 * * * *"),
        "windows": (_windows, ""),
    }


COMMON = frozenset((*_SITE, *_erp_readers(timedelta())))
"""The settings that are the same for every system; all others are their connector's own."""


def read_site_settings(
    given: Mapping[str, str], *, platform: Callable[[Mapping[str, str]], dict[str, Any]]
) -> dict[str, Any]:
    """All settings of a site from strings, defaults filled in. `platform` reads the connector's own. Raises `UsageError`."""
    common, own = _split(given, _SITE)
    return {**platform(own), **_read(common, _SITE)}


def read_erp_settings(
    given: Mapping[str, str], *, platform: Callable[[Mapping[str, str]], dict[str, Any]], late: timedelta
) -> dict[str, Any]:
    """All settings of an ERP from strings, defaults filled in. Raises `UsageError`.

    `create_customers` defaults to whether there is no default customer.
    """
    readers = _erp_readers(late)
    common, own = _split(given, readers)
    common.setdefault("create_customers", "false" if common.get("default_customer", "").strip() else "true")
    return {**platform(own), **_read(common, readers)}


def _split(
    given: Mapping[str, str], readers: Mapping[str, tuple[Reader, str]]
) -> tuple[dict[str, str], dict[str, str]]:
    common = {key: value for key, value in given.items() if key in readers}
    return common, {key: value for key, value in given.items() if key not in readers}


def _read(given: Mapping[str, str], readers: Mapping[str, tuple[Reader, str]]) -> dict[str, Any]:
    found = {}
    for key, (reader, default) in readers.items():
        text = given.get(key, default)
        try:
            found[key] = reader(text)
        except ValueError as error:
            raise UsageError(f"The setting {key}={text!r} {error}.") from None
    return found
