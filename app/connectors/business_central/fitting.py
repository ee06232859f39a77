"""Texts and codes that fit their field: free text is cut, codes are refused (contract section 7, rule 10)."""

import re

from app.errors import Reject

NAME = 100
ADDRESS_1 = 100
ADDRESS_2 = 50
CITY = 30
STATE = 30
POSTCODE = 20
COUNTRY = 10
PHONE = 30
EMAIL = 80
DESCRIPTION = 100
NUMBER = 20
CURRENCY = 10
EXTERNAL_NUMBER = 35

_PHONE_ILLEGAL = re.compile(r"[^0-9 +()/.]")


def text(value: str, length: int) -> str:
    """Free text on one line, cut to `length`. The ERP counts UTF-16 units: an emoji is two of them."""
    line = " ".join("".join(each if each.isprintable() else " " for each in value).split())
    return _units(line)[: 2 * length].decode("utf-16-le", "ignore").rstrip()


def code(value: str, length: int, *, what: str, kind: str = "validation", shown: bool = True) -> str:
    """A code, number or e-mail address without outer blanks. What belongs to a person is not `shown` in the sentence.

    Raises `Reject` where it cannot stand in its field: cut, it would name another.
    """
    stripped = value.strip()
    if stripped and not is_writable(stripped, length):
        named = f"{what} {stripped!r}" if shown else what
        raise Reject(f"{named} does not fit: Business Central takes {length} characters.", kind=kind)
    return stripped


def is_writable(value: str, length: int) -> bool:
    """Whether a field of `length` can hold this code at all; what it cannot hold cannot exist there."""
    return bool(value) and value.isprintable() and len(_units(value)) <= 2 * length


def phone(value: str) -> str:
    """The legal characters of a phone number, as Business Central's own shop connector keeps them."""
    return text(_PHONE_ILLEGAL.sub(" ", value), PHONE)


def _units(value: str) -> bytes:
    return value.encode("utf-16-le", "replace")
