"""The orders in an answer, each with its own raw text. What cannot be read raises `ValueError`, whose text says why."""

import re
from typing import Any

from app.transport import Answer, elements, parse_json

_UPDATED = re.compile(r'\s*\{\s*"update"\s*:\s*')


def identifier(given: Any) -> str | None:
    """The id of an order or of a batch's item, None where there is none."""
    found = given.get("id") if isinstance(given, dict) else None
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else None


def listed(answer: Answer) -> list[tuple[str, Any]]:
    """The elements of a list, each with its raw text."""
    return _elements(answer, answer.text)


def single(answer: Answer) -> Any:
    """The one value that was answered."""
    try:
        return parse_json(_text(answer))
    except ValueError:
        raise ValueError(_why(answer)) from None


def updated(answer: Answer) -> dict[str, tuple[str, dict[str, Any]]]:
    """The items of a batch's answer by id, each with its raw text; those without an id are left out."""
    text = answer.text.rstrip().removesuffix("}")
    opening = _UPDATED.match(text)
    items = _elements(answer, text[opening.end() :] if opening else "")
    by_id = {identifier(given): (body, given) for body, given in items}
    return {found: item for found, item in by_id.items() if found is not None}


def _elements(answer: Answer, text: str) -> list[tuple[str, Any]]:
    try:
        _text(answer)
        return elements(text)
    except ValueError:
        raise ValueError(_why(answer)) from None


def _text(answer: Answer) -> str:
    if not answer.is_json:
        raise ValueError("not JSON")
    return answer.text


def _why(answer: Answer) -> str:
    if not answer.is_json:
        return f"The shop answered {answer.content_type or 'nothing with a content type'} where JSON was asked for."
    if answer.text.lstrip().startswith("<"):
        return "The shop's answer has text before its JSON, such as a warning of PHP's; display_errors should be off."
    return "The shop's answer is not the JSON that was asked for."
