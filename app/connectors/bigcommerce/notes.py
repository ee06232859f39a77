"""Our mark: one line of an order's staff notes, appended to what the staff wrote and recognised wherever it stands. Pure."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

_ADDRESS = re.compile(r"\] address (\d+)\s*\Z", re.ASCII)
_MOST_BYTES = 65_535
"""What the notes hold (contract, section 7), counted in bytes, which is never too many characters."""


def is_ours(line: str, *, note_text: str) -> bool:
    """Whether a line of the notes is our mark, whenever it was written."""
    return line.lstrip().startswith(f"{note_text} [")


def is_marked(notes: Any, *, note_text: str, group: int = 1, of: int = 1) -> bool:
    """Whether our mark stands in the notes: any, or, where the order is for several addresses, that of this one or of all."""
    if not isinstance(notes, str):
        return False
    ours = [line for line in notes.splitlines() if is_ours(line, note_text=note_text)]
    if of == 1:
        return bool(ours)
    told = [found[1] if (found := _ADDRESS.search(line)) else "" for line in ours]
    return "" in told or str(group) in told


def without_mark(notes: Any, *, note_text: str) -> str:
    """What the staff wrote: the notes without our line and without blanks around."""
    if not isinstance(notes, str):
        return ""
    return "\n".join(line for line in notes.splitlines() if not is_ours(line, note_text=note_text)).strip()


def with_mark(notes: Any, *, note_text: str, at: datetime, groups: Sequence[int] = ()) -> str | None:
    """The notes with our line appended (they are replaced as a whole), None where it does not fit. `at` is aware UTC.

    `groups`: one line for each of these addresses, where the order is for several.
    """
    before = notes if isinstance(notes, str) else ""
    line = f"{note_text} [{at:%Y-%m-%dT%H:%M:%SZ}]"
    lines = "\n".join(f"{line} address {group}" for group in groups) if groups else line
    joined = f"{before.rstrip()}\n{lines}" if before.strip() else lines
    return joined if len(joined.encode("utf-8", "replace")) <= _MOST_BYTES else None
