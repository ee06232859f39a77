"""A schedule in words, where it is one of those that most people write."""

import re
from datetime import datetime

from app.sync.schedule import next_time

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_NAMES = {name[:3].lower(): number for number, name in enumerate(_DAYS)}
_EVERY = re.compile(r"\*/([1-9][0-9]?)")


def in_words(cron: str) -> str:
    """What five fields of cron syntax mean; the fields themselves where no few words say it."""
    minute, hour, day, month, weekday = cron.lower().split()
    days = _weekdays(weekday) if (day, month) == ("*", "*") else None
    if days is not None:
        clock = _clock(minute, hour)
        if clock:
            return f"{clock}{days or (' every day' if clock.startswith('at') else '')}"
    return f"by the schedule {cron}"


def next_times(cron: str, *, after: datetime, count: int = 3) -> tuple[datetime, ...]:
    """The first moments of the schedule after `after`."""
    found: list[datetime] = []
    for _ in range(count):
        after = next_time(cron, after=after)
        found.append(after)
    return tuple(found)


def _clock(minute: str, hour: str) -> str:
    if hour == "*" and (minute == "*" or _EVERY.fullmatch(minute)):
        return _every_minutes(minute)
    if not minute.isdecimal():
        return ""
    past = int(minute)
    when = f"{past} min past" if past else "on the hour"
    hours = _EVERY.fullmatch(hour)
    if hour in {"*", "*/1"}:
        return f"every hour, {when}"
    if hours is not None:
        return f"every {hours[1]} hours, {when}" if 24 % int(hours[1]) == 0 else ""
    parts = hour.split(",")
    at = ", ".join(f"{int(each):02d}:{past:02d}" for each in parts if each.isdecimal())
    return f"at {at} UTC" if all(map(str.isdecimal, parts)) else ""


def _every_minutes(minute: str) -> str:
    every = _EVERY.fullmatch(minute)
    step = 1 if every is None else int(every[1])
    if 60 % step:
        return ""
    return "every minute" if step == 1 else f"every {step} minutes"


def _weekdays(text: str) -> str | None:
    """The days as they stand behind the time; nothing where it is every day, None where they are hard to say."""
    if text == "*":
        return ""
    if text in {"1-5", "mon-fri"}:
        return " from Monday to Friday"
    numbers = [_NAMES.get(each, int(each) if each.isdecimal() else -1) for each in text.split(",")]
    if any(not 0 <= each <= len(_DAYS) for each in numbers):
        return None
    return " on " + ", ".join(_DAYS[each % len(_DAYS)] for each in numbers)
