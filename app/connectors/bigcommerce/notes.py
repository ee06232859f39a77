"""Our mark: one line of an order's staff notes, appended to what the staff wrote and recognised wherever it stands. Pure."""

from datetime import datetime
from typing import Any

_MOST_BYTES = 65_535
"""What the notes hold (contract, section 7), counted in bytes, which is never too many characters."""


def is_ours(line: str, *, note_text: str) -> bool:
    """Whether a line of the notes is our mark, whenever it was written."""
    return line.lstrip().startswith(f"{note_text} [")


def is_marked(notes: Any, *, note_text: str) -> bool:
    """Whether our mark stands in the notes."""
    return isinstance(notes, str) and any(is_ours(line, note_text=note_text) for line in notes.splitlines())


def without_mark(notes: Any, *, note_text: str) -> str:
    """What the staff wrote: the notes without our line and without blanks around."""
    if not isinstance(notes, str):
        return ""
    return "\n".join(line for line in notes.splitlines() if not is_ours(line, note_text=note_text)).strip()


def with_mark(notes: Any, *, note_text: str, at: datetime) -> str | None:
    """The notes with our line appended (they are replaced as a whole), None where it does not fit. `at` is aware UTC."""
    before = notes if isinstance(notes, str) else ""
    line = f"{note_text} [{at:%Y-%m-%dT%H:%M:%SZ}]"
    joined = f"{before.rstrip()}\n{line}" if before.strip() else line
    return joined if len(joined.encode("utf-8", "replace")) <= _MOST_BYTES else None
