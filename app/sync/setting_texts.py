"""Stored settings as a person would type them: to be shown, and to change one of them and keep the others."""

from collections.abc import Callable, Mapping
from typing import Any

from app.errors import UsageError
from app.ports.connector import plain_text
from app.sync.options import COMMON, DAYS

Platform = Callable[[str, Any], str]
"""A connector's way from a key and its stored value to a text."""


def texts(stored: Mapping[str, Any], *, defaults: Mapping[str, Any], platform: Platform) -> dict[str, str]:
    """Every stored setting as a person would type it. Read again, together, they give what is stored.

    An empty text stands for the default; where the default is not empty, nothing at all is typed as a comma or a blank.
    """
    found = {key: _text(key, value, platform) for key, value in stored.items()}
    for key, text in found.items():
        if not text and key in defaults and _text(key, defaults[key], platform):
            found[key] = "," if isinstance(stored[key], list) else " "
    return found


def retyped(
    stored: Mapping[str, Any],
    changes: Mapping[str, str],
    *,
    defaults: Mapping[str, Any],
    platform: Platform,
) -> dict[str, str]:
    """What a person would type to have the stored settings with these changes; an empty text sets back to the default.

    Raises `UsageError` for one that is set back although there is none.
    """
    known = {**defaults, **stored}
    unknown = [key for key, text in changes.items() if not text and key not in known]
    if unknown:
        raise UsageError(
            f"There is no setting {unknown[0]} to be set back; there are: {', '.join(sorted(known))}."
        )
    typed = {**texts(stored, defaults=defaults, platform=platform), **changes}
    return {key: text for key, text in typed.items() if text or key not in changes}


def _text(key: str, value: Any, platform: Platform) -> str:  # noqa: ANN401 - a stored setting is any JSON value
    if key == "windows":
        return "; ".join(
            f"{DAYS[each['weekday']]} {each['start']} {each['minutes']} {each['zone']}" for each in value
        )
    return plain_text(key, value) if key in COMMON else platform(key, value)
