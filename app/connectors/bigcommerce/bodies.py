"""What stands in an answer: orders with their own raw text, lists, objects. Raises `Retry` for what cannot be read."""

from decimal import Decimal
from http import HTTPStatus
from typing import Any

from app.errors import Retry
from app.transport import Answer, elements, parse_json


def identifier(given: Any) -> str | None:
    """The id of an order, None where there is none."""
    found = given.get("id") if isinstance(given, dict) else None
    return str(found) if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None


def orders(answer: Answer) -> list[tuple[str, str, dict[str, Any]]]:
    """The orders of a list, each as its id, its raw text and its parsed value; 204 and an empty list are both none."""
    found = []
    for body, given in _elements(answer):
        order_id = identifier(given)
        if order_id is None:
            raise Retry("The store's list holds something that is no order with an id.")
        found.append((order_id, body, given))
    return found


def listed(answer: Answer) -> list[Any]:
    """The elements of a V2 list."""
    return [given for _, given in _elements(answer)]


def single(answer: Answer) -> Any:
    """The one value that was answered."""
    _check_json(answer)
    try:
        return parse_json(answer.text)
    except ValueError:
        raise Retry(_why(answer)) from None


def data(answer: Answer) -> Any:
    """What stands under `data` in a V3 answer; an empty list for 204."""
    if answer.status == HTTPStatus.NO_CONTENT:
        return []
    given = single(answer)
    if not isinstance(given, dict) or "data" not in given:
        raise Retry("The store's answer has no data where some was asked for.")
    return given["data"]


def plain(value: Any) -> Any:
    """A foreign value with its fractions as text: they come back from storage as they went in."""
    match value:
        case Decimal():
            return str(value)
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case list():
            return [plain(each) for each in value]
        case _:
            return value


def _elements(answer: Answer) -> list[tuple[str, Any]]:
    if answer.status == HTTPStatus.NO_CONTENT:
        return []
    _check_json(answer)
    try:
        return elements(answer.text)
    except ValueError:
        raise Retry(_why(answer)) from None


def _check_json(answer: Answer) -> None:
    if not answer.is_json:
        raise Retry(_why(answer))


def _why(answer: Answer) -> str:
    if not answer.is_json:
        return f"The store answered {answer.content_type or 'nothing with a content type'} where JSON was asked for."
    return "The store's answer is not the JSON that was asked for."
