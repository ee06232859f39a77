"""The monthly review of the error desk: what came in, what was resolved and how, and what is left."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from app.errors import UsageError
from app.sync.parts import Parts

log = structlog.get_logger("ordersync.sync")

_OLDEST = 10


def error_report(parts: Parts, *, month: str = "") -> dict[str, Any]:
    """The report on a month such as 2026-10, by default on the one that ended last. Raises `UsageError`.

    What is open is what was open when the month ended; in the month that goes on, what is open now. Durations are seconds.
    """
    now = parts.store.now()
    since = _month(month) if month else _first(_first(now) - timedelta(days=1))
    if since > now:
        raise UsageError(f"The month {month} has not begun.")
    until = min(_first(since + timedelta(days=31)), now)
    found = parts.store.error_report(since=since, until=until, oldest=_OLDEST)
    return {
        "month": f"{since:%Y-%m}",
        "since": since,
        "until": until,
        "opened": sum(each.opened for each in found.counted),
        "resolved": sum(each.resolved for each in found.counted),
        "still_open": sum(each.still_open for each in found.counted),
        "by_site_and_kind": [asdict(each) for each in found.counted],
        "median_seconds": found.median_seconds,
        "longest_seconds": found.longest_seconds,
        "resolutions": dict(found.resolutions),
        "at_risk": dict(found.at_risk),
        "oldest": [
            {**asdict(each), "age_seconds": round((until - each.opened_at).total_seconds())}
            for each in found.oldest
        ],
    }


def tell_of_errors(parts: Parts, *, month: str = "") -> None:
    """One line in the log with the month's counts. Reasons may quote people and stay in the database."""
    report = error_report(parts, month=month)
    log.info(
        "error_report",
        **{name: report[name] for name in ("month", "opened", "resolved", "still_open")},
        kinds=_open_by_kind(report),
        see=f"ordersync errors report --month {report['month']}",
    )


def _open_by_kind(report: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in report["by_site_and_kind"]:
        if each["still_open"]:
            found[each["kind"]] = found.get(each["kind"], 0) + each["still_open"]
    return found


def _first(moment: datetime) -> datetime:
    """The moment at which the month began."""
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _month(text: str) -> datetime:
    try:
        return datetime.strptime(text.strip(), "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"The month {text!r} must look like 2026-10.") from None
