"""E-mail addresses in stored texts: JSON or plain, however they are escaped there and in whatever case."""

import json
import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal

# Bounded, as the parts of an address are, so that a long text without one is soon looked through.
_DOMAIN = r"[\w-]{1,63}(?:\.[\w-]{1,63}){0,30}"
_WHOLE = re.compile(rf"[\w.!#$%&'*+/?^`{{|}}~-]{{1,64}}@{_DOMAIN}")
_WITHIN = (_WHOLE, re.compile(rf"[\w.+-]{{1,64}}@{_DOMAIN}"))
_PLAIN = re.compile(r"[a-z0-9._@-]+")


def folded(email: str) -> str:
    """An address as it is compared: case does not count, nor how its accents are composed."""
    return unicodedata.normalize("NFC", email.strip().lower())


def strings_in(text: str) -> Iterator[str]:
    """The strings of a JSON text, names of fields as well, and those of JSON texts within; a text that is no JSON is itself one."""
    waiting: list[object] = [text]
    while waiting:
        match waiting.pop():
            case str() as found:
                inner = _loaded(found)
                if inner is None:
                    yield found
                else:
                    waiting.append(inner)
            case list() as values:
                waiting += values
            case _:
                pass


def _loaded(text: str) -> object:
    if not text.lstrip().startswith(("{", "[", '"')):
        return None
    try:
        found: object = json.loads(
            text, strict=False, parse_int=str, parse_float=Decimal, object_pairs_hook=_names_and_values
        )
    except (ValueError, ArithmeticError, RecursionError):
        return None
    return found


def _names_and_values(pairs: list[tuple[str, object]]) -> list[object]:
    """All of them: a field may be there twice."""
    return [each for pair in pairs for each in pair]


def stands_in(email: str, text: str) -> bool:
    """Whether this address stands in a stored text, and not only at the end or beginning of somebody else's."""
    wanted = folded(email)
    alone = re.compile(rf"(?<![\w.+-])(?<!\w'){re.escape(wanted)}(?![\w-]|\.\w)")
    for each in map(folded, strings_in(text)):
        if each == wanted or (not _WHOLE.fullmatch(each) and alone.search(each)):
            return True
    return False


def emails_in(text: str) -> set[str]:
    """What is an address in a stored text, or may be one, in lower case."""
    found: set[str] = set()
    for each in strings_in(text):
        if "@" not in each:
            continue
        lower = each.strip().lower()
        found.add(lower)
        if not _WHOLE.fullmatch(lower):
            found.update(match for pattern in _WITHIN for match in pattern.findall(lower))
    return found


def plain_part(email: str) -> str:
    """The longest part of an address that a database finds, in lower case, in each text in which the address stands.

    It is of characters that no writer of JSON escapes, but for one that escapes all.
    """
    return max(_PLAIN.findall(folded(email)), key=len, default="")


ESCAPED = tuple(rf"\u00{first}" for first in "234567")
"""How characters that need no escape begin in a JSON text where they are escaped nevertheless."""
