"""Texts for files that a spreadsheet may open, in which what could be a formula gets an apostrophe before it."""

import re

# What some spreadsheets skip before a formula, and where some of them begin a new cell, which may be quoted.
_BLANK = r"\s\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
_END = r"[;\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]"
_SIGN = "[=+\\-@\uff1d\uff0b\uff0d\uff20]"
# Apostrophes that are there already count as one of ours would: so it is always known which one to take away.
_FIRST = re.compile(rf"[{_BLANK}']*{_SIGN}")
_LATER = re.compile(rf"(?<={_END})((?:(?!{_END})[{_BLANK}\"])*)('*)(?={_SIGN})")
_GUARDED = re.compile(rf"(?<={_END})((?:(?!{_END})[{_BLANK}\"])*)'('*)(?={_SIGN})")


def guarded(text: str, *, with_blanks: bool = False) -> str:
    """A text that no spreadsheet runs: an apostrophe stands before what could be a formula.

    So it does where some spreadsheets take a cell apart: after a semicolon, a TAB or a line end. With `with_blanks` also before a
    text with outer blanks, which reading would else take away.
    """
    begins = _FIRST.match(text) or (with_blanks and _has_outer_blanks(text))
    return _LATER.sub(r"\1'\2", f"'{text}" if begins else text)


def unguarded(text: str) -> str:
    """What `guarded(..., with_blanks=True)` was given; a text of anybody else's without its outer blanks."""
    text = _GUARDED.sub(r"\1\2", text)
    rest = text[1:]
    if text.startswith("'") and (_FIRST.match(rest) or _has_outer_blanks(rest)):
        return rest
    return text.strip()


def _has_outer_blanks(text: str) -> bool:
    inner = text.lstrip("'")
    return inner != inner.strip()
