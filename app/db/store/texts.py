"""How a word is looked for in a text, whatever its case, on databases that know the other case of ASCII's letters alone."""

from sqlalchemy import ColumnElement, func, or_

from app.db.types import storable


def holds(column: ColumnElement[str], word: str) -> ColumnElement[bool]:
    """Whether a word stands in a text, whatever its case: of letters beyond ASCII as it is typed, small, large, or as names are."""
    small = func.lower(column)
    return or_(*(small.contains(each, autoescape=True) for each in _small_cases(storable(word))))


def _small_cases(word: str) -> list[str]:
    """A word in the cases it may have once the letters of ASCII are small."""
    ways = (word.lower(), word.upper(), word.title(), word)
    return list(dict.fromkeys("".join(c.lower() if c.isascii() else c for c in each) for each in ways))
