"""The form by which a person changes fields of an order that stands in error: which fields, by what names, in which order."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import quote_plus

from app.domain.overlay import Json
from app.errors import UsageError
from app.ports.desk import DeskOrder, ErrorOrder
from app.sync.panel.desk import error_with_order
from app.sync.panel.parts import Panel
from app.sync.repair import Field, Repaired, check_open, fields, repair

_ROOM = 200_000
"""How many characters of fields a form sends at most; each is sent as it was shown too, and half a million are taken."""

_ABOUT = "What the error is about"
_FIRST = (_ABOUT, "Billing address", "Shipping address", "Payment", "Note", "Line")
_ELSE = "Everything else"
_BILL = re.compile(r"bill(ing)?(_?address(es)?)?", re.IGNORECASE)
_SHIP = re.compile(r"ship(ping)?(_?address(es)?)?", re.IGNORECASE)
_LINES = frozenset({"lines", "line_items", "items", "products"})
_OF_LINE = 3
"""A line's own fields: the list, its number, the field's name."""

_LONG = 80
_LONGEST_REASON = 2000
_SPELT = {"sku": "SKU", "email": "E-mail", "id": "Id", "url": "URL", "postcode": "Postcode"}


class ChangedMeanwhile(UsageError):
    """The order is no longer at the revision that the person saw. Nothing was stored."""


@dataclass(frozen=True, slots=True)
class FormField:
    """A field as a form shows it. `text` is its value now; `kind` is `text`, `area` for what has lines, or `flag`."""

    pointer: str
    label: str
    text: str
    kind: str
    failing: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together."""

    title: str
    fields: tuple[FormField, ...]

    @property
    def failing(self) -> bool:
        """Whether the error is about one of them."""
        return any(each.failing for each in self.fields)


@dataclass(frozen=True, slots=True)
class RepairForm:
    """What may be changed of an order: the groups that people look at first, the rest, and how many did not fit in."""

    error: ErrorOrder
    order: DeskOrder
    groups: tuple[Group, ...]
    rest: tuple[FormField, ...]
    left_out: int

    @property
    def pointers(self) -> frozenset[str]:
        """The fields that the form has."""
        return frozenset(
            field.pointer for group in (*self.groups, Group("", self.rest)) for field in group.fields
        )


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person has typed: the changed fields only, why, and the revision of the order that they saw."""

    values: Mapping[str, str]
    reason: str
    revision: int
    by: str


def repair_form(panel: Panel, error_id: int) -> RepairForm:
    """The form for the order of this error. Raises `NoSuchError`, and `UsageError` for what cannot be repaired."""
    error, order = error_with_order(panel, error_id)
    check_open(order)
    groups, rest, left_out = _arranged(fields(panel.parts, order))
    return RepairForm(error=error, order=order, groups=groups, rest=rest, left_out=left_out)


def mend(panel: Panel, error_id: int, wishes: Wishes, *, dry_run: bool) -> Repaired:
    """Change these fields, or only look what would come of it.

    Raises as `repair` does, and `ChangedMeanwhile` where the order is at another revision.
    """
    _, order = error_with_order(panel, error_id)
    if order.revision != wishes.revision:
        raise ChangedMeanwhile(
            f"The order {order.name} has been changed since this form was opened; nothing was stored. What was typed is kept "
            "here, beside what the fields hold now: look at it, and send it again."
        )
    if not wishes.values:
        raise UsageError("No field was changed, so there is nothing to be repaired.")
    if len(wishes.reason) > _LONGEST_REASON:
        raise UsageError(f"A reason may have {_LONGEST_REASON} characters at most.")
    return repair(
        panel.parts,
        order,
        wishes.values,
        reason=wishes.reason.strip(),
        by=wishes.by,
        revision=wishes.revision,
        dry_run=dry_run,
    )


def withdraw(panel: Panel, error_id: int, pointer: str, *, revision: int, by: str) -> Repaired:
    """Let a repaired field be as it was received again. Raises as `repair` does."""
    _, order = error_with_order(panel, error_id)
    return repair(
        panel.parts, order, {}, withdraw=[pointer], reason="", by=by, revision=revision, dry_run=False
    )


def changed(typed: Mapping[str, str], shown: Mapping[str, str]) -> dict[str, str]:
    """The fields whose text is another than the one that was shown; line ends are those of a form, or ours."""
    return {
        pointer: _lines(text)
        for pointer, text in typed.items()
        if _lines(text) != _lines(shown.get(pointer, ""))
    }


def _lines(text: str) -> str:
    """The text with line ends of one kind: browsers send others than they were given."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


# How the fields are arranged.


def _arranged(found: Sequence[Field]) -> tuple[tuple[Group, ...], tuple[FormField, ...], int]:
    placed = [(_title(each), each) for each in found]
    placed.sort(key=lambda pair: _rank(pair[0]))
    failing = {title for title, each in placed if each.failing}
    # Stable: the group that the error is about comes first, all others stay as they are.
    placed.sort(key=lambda pair: pair[0] not in failing)
    fitting = _fitting([each for _, each in placed])
    left_out = len(placed) - fitting
    names = _names_of_lines(found)
    groups: list[Group] = []
    rest: tuple[FormField, ...] = ()
    for title, members in groupby(placed[:fitting], key=lambda pair: pair[0]):
        made = tuple(_form_field(each) for _, each in members)
        if title == _ELSE:
            rest = made
        else:
            groups.append(Group(f"{title}: {names[title]}" if names.get(title) else title, made))
    return tuple(groups), rest, left_out


def _fitting(found: Sequence[Field]) -> int:
    """How many of these fields one form can send."""
    room = _ROOM
    for number, each in enumerate(found):
        room -= len(quote_plus(each.pointer)) + len(quote_plus(text_of(each.value))) + len("old%3A=&")
        if room < 0:
            return number
    return len(found)


def _title(field: Field) -> str:
    *path, name = [each.replace("~1", "/").replace("~0", "~") for each in field.pointer[1:].split("/")]
    if any(_BILL.fullmatch(each) for each in path):
        return "Billing address"
    if any(_SHIP.fullmatch(each) for each in path):
        return "Shipping address"
    if len(path) + 1 == _OF_LINE and path[0] in _LINES and path[1].isdecimal():
        return f"Line {int(path[1]) + 1}"
    if (path or [name])[0].lower().startswith(("payment", "transaction")):
        return "Payment"
    if name == "customer_note":
        return "Note"
    return _ABOUT if field.failing else _ELSE


def _rank(title: str) -> tuple[int, int]:
    word, _, number = title.partition(" ")
    if word == "Line":
        return (_FIRST.index(word), int(number))
    return (_FIRST.index(title) if title in _FIRST else len(_FIRST), 0)


def _names_of_lines(found: Sequence[Field]) -> dict[str, str]:
    return {
        _title(each): str(each.value)[:_LONG]
        for each in found
        if each.pointer.endswith("/name") and _title(each).startswith("Line ")
    }


def _form_field(field: Field) -> FormField:
    text = text_of(field.value)
    # An input of one line loses line ends of any kind.
    is_long = len(text) > _LONG or "\n" in text or "\r" in text
    kind = "flag" if isinstance(field.value, bool) else "area" if is_long else "text"
    return FormField(
        pointer=field.pointer, label=_label(field.pointer), text=text, kind=kind, failing=field.failing
    )


def text_of(value: Json) -> str:
    """A value as a form holds it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case _:
            return str(value).replace("\r\n", "\n")


def _label(pointer: str) -> str:
    names = [each.replace("~1", "/").replace("~0", "~") for each in pointer[1:].split("/")]
    name = names[-1]
    if name.isdecimal() and len(names) > 1:
        return f"{_words(names[-2])} {int(name) + 1}"
    return _words(name)


def _words(name: str) -> str:
    if name in _SPELT:
        return _SPELT[name]
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", name).replace("_", " ").strip()
    return (spaced[:1].upper() + spaced[1:]) or name
