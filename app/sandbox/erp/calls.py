"""One request and one answer, free of any web framework, so that `$batch` and HTTP share the same road."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.sandbox.erp.errors import Refusal

JSON_TYPE = "application/json; odata.metadata=minimal; odata.streaming=true"


@dataclass(frozen=True, slots=True)
class Call:
    """A request below the service root. Header names are lower-case; `body` is bytes, or JSON in a batch."""

    method: str
    path: str
    raw_query: str
    headers: Mapping[str, str]
    body: Any
    root: str

    def preference(self, name: str) -> str | None:
        """The value of one `Prefer` entry, empty for one without a value, None where it is not asked for."""
        for part in self.headers.get("prefer", "").split(","):
            key, _, value = part.strip().partition("=")
            if key.lower().removeprefix("odata.") == name:
                return value.strip('"')
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `body` is JSON, or text as it is; `truncated` cuts the connection half-way through."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    truncated: bool = False


class Dropped(Exception):
    """The socket is closed without an answer, `seconds` from now."""

    def __init__(self, seconds: float = 0) -> None:
        super().__init__("the connection was closed without an answer")
        self.seconds = seconds


def refused(refusal: Refusal) -> Answer:
    """A refusal as an answer."""
    return Answer(refusal.status, refusal.body(), refusal.headers)
