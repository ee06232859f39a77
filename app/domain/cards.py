"""Numbers of payment cards in what a platform sends: nothing of ours needs them, so they are never stored.

A shop's form or plugin may put one into a note or a meta value, and a customer may type one into a message. Looked for is what
has the length, the beginning and the check digit of a card (ISO/IEC 7812) in those fields alone: order numbers, transaction ids,
SKUs and barcodes are left as they are.
"""

import re

_FIELDS = re.compile(
    r'("(?:value|display_value|customer_note|customer_message|staff_notes)"\s*:\s*")((?:[^"\\]|\\.)*)"'
)
_NUMBER = re.compile(r"[2-6]\d{3}(?:\d{11,12}|[ -]\d{4}[ -]\d{4}[ -]\d{4}|[ -]\d{6}[ -]\d{5})(?!\d|\.\d)")
"""Fifteen or sixteen digits, together or in the groups in which they stand on a card."""
_ISSUERS = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|6(?:011|5\d\d)\d{12}"
)
_SHOWN = 4


def masked(body: str) -> str:
    """The JSON text with all but the last four digits of card numbers replaced by asterisks; else the very text."""
    if _NUMBER.search(body) is None:
        return body
    return _FIELDS.sub(lambda field: f'{field[1]}{_NUMBER.sub(_mask, field[2])}"', body)


def _mask(found: re.Match[str]) -> str:
    digits = [each for each in found[0] if each.isdigit()]
    before = found.string[: found.start()][-1:]
    if (
        before.isdigit()
        or before == "."
        or not _ISSUERS.fullmatch("".join(digits))
        or not _has_check_digit(digits)
    ):
        return found[0]
    hidden = len(digits) - _SHOWN
    seen = 0
    shown = []
    for each in found[0]:
        seen += each.isdigit()
        shown.append("*" if each.isdigit() and seen <= hidden else each)
    return "".join(shown)


def _has_check_digit(digits: list[str]) -> bool:
    """Luhn's formula: every second digit from the right is doubled."""
    total = 0
    for place, each in enumerate(reversed(digits)):
        value = int(each) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value  # noqa: PLR2004 - the sum of its two digits
    return total % 10 == 0
