"""Changes of single fields laid over a JSON document, which itself stays as it was received."""

import hashlib
import json
import re
import uuid
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final


class Layer(StrEnum):
    """What a change is laid over: the body as the platform sent it, or the order made of it, in our own words."""

    BODY = "body"
    ORDER = "order"


class Absent(StrEnum):
    """Stands for a value where there is none."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT

Json = Any
"""A value of a JSON document; `ABSENT` where it says that there may be none."""


_DIGITS = 9
"""No list is longer than a number of so many digits."""


class NoSuchField(Exception):
    """The pointer names no field that could be changed; the text says why."""


class Conflict(Exception):
    """A field is neither as it was when it was changed, nor as it was changed to. `now` is what it is, `ABSENT` included."""

    def __init__(self, change: "Change", now: Json) -> None:
        super().__init__(change.pointer)
        self.change = change
        self.now = now


@dataclass(frozen=True, slots=True)
class Change:
    """One field (a JSON pointer, RFC 6901) with its value before and after; `before` may be `ABSENT`.

    `context` is what `context_of` gave when it was made: a place in a list names another thing when the list is another.
    """

    pointer: str
    before: Json
    after: Json
    context: str = ""


def value_at(document: Json, pointer: str) -> Json:
    """The value that a pointer names, `ABSENT` where its object has no such member. Raises `NoSuchField`."""
    place, name = _place(document, pointer)
    if isinstance(place, dict):
        return place.get(name, ABSENT)
    return place[_index(place, name, pointer)]


def context_of(document: Json, pointer: str) -> str:
    """A digest of what surrounds a field within its element of a list; empty where the pointer goes into no list's element.

    The field must be there, or its object.
    """
    *path, name = _names(pointer)
    place, element = deepcopy(document), None
    for each in path:
        if isinstance(place, list):
            place = place[_index(place, each, pointer)]
            element = place if element is None else element
        else:
            place = place[each]
    if element is None or not isinstance(place, dict):
        return ""
    place.pop(name, None)
    return hashlib.sha256(json.dumps(element, sort_keys=True, default=str).encode()).hexdigest()


def overlaid(document: Json, changes: Sequence[Change]) -> Json:
    """A copy of the document with these changes. Raises `Conflict` where a field has become something else since."""
    made = deepcopy(document)
    for change in changes:
        try:
            now = value_at(made, change.pointer)
            context = context_of(document, change.pointer)
        except NoSuchField:
            raise Conflict(change, ABSENT) from None
        if change.context not in {"", context}:
            raise Conflict(change, now)
        if _same(now, change.after):
            continue
        if not _same(now, change.before):
            raise Conflict(change, now)
        place, name = _place(made, change.pointer)
        if isinstance(place, dict):
            place[name] = change.after
        else:
            place[_index(place, name, change.pointer)] = change.after
    return made


def overlaid_text(text: str, changes: Sequence[Change]) -> str:
    """The same for JSON text; without changes the very text. Raises `Conflict`, and `ValueError` for what is no JSON."""
    if not changes:
        return text
    return dumped(overlaid(loaded(text), changes))


def loaded(text: str) -> Json:
    """JSON text as values; numbers keep their digits. Raises `ValueError` for what is no JSON."""
    return json.loads(text, parse_float=Decimal, parse_constant=_no_number)


def dumped(value: Json) -> str:
    """Values as JSON text; every number has the digits it was read with."""
    mark = uuid.uuid4().hex
    text = json.dumps(value, ensure_ascii=False, default=lambda number: f"{mark}{_digits(number)}")
    return re.sub(f'"{mark}([^"]*)"', r"\1", text)


def _digits(number: object) -> str:
    if isinstance(number, Decimal):
        return str(number)
    raise TypeError(type(number).__name__)


def _no_number(name: str) -> Json:
    raise ValueError(f"{name} is no number")


def leaves(document: Json, pointer: str = "") -> Iterator[tuple[str, Json]]:
    """Every field that is no object and no list, with its pointer, in the document's order."""
    match document:
        case dict():
            for name, value in document.items():
                yield from leaves(value, f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}")
        case list():
            for index, value in enumerate(document):
                yield from leaves(value, f"{pointer}/{index}")
        case _:
            yield pointer, document


def _same(one: Json, other: Json) -> bool:
    # In Python True is 1, and 1 is 1.0; in JSON only the last two are the same.
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _place(document: Json, pointer: str) -> tuple[Json, str]:
    if not pointer.startswith("/"):
        raise NoSuchField(f"{pointer!r} is no JSON pointer such as /bill/postcode")
    *path, name = _names(pointer)
    place = document
    for each in path:
        if isinstance(place, dict) and each in place:
            place = place[each]
        elif isinstance(place, list):
            place = place[_index(place, each, pointer)]
        else:
            raise NoSuchField(f"there is no {pointer}")
    if not isinstance(place, dict | list):
        raise NoSuchField(f"there is no {pointer}")
    return place, name


def _names(pointer: str) -> list[str]:
    return [each.replace("~1", "/").replace("~0", "~") for each in pointer[1:].split("/")]


def _index(place: list[Json], name: str, pointer: str) -> int:
    if not (name.isascii() and name.isdecimal() and len(name) <= _DIGITS and int(name) < len(place)):
        raise NoSuchField(f"there is no {pointer}")
    return int(name)
