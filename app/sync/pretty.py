"""JSON texts as people read them."""

import json
import re

_MARK = "\0{}\0"
_MARKED = re.compile(r'"\\u0000([-+.0-9Ee]+)\\u0000"')
"""Numbers pass through JSON as texts that are marked, for as numbers they would lose their form."""


def pretty(text: str) -> str:
    """JSON with indents, its numbers as they were written (10.00 stays 10.00); other text as it is."""
    try:
        found = json.loads(text, parse_float=_MARK.format, parse_int=_MARK.format)
        return _MARKED.sub(r"\1", json.dumps(found, indent=2, ensure_ascii=False))
    except (ValueError, RecursionError):
        return text
