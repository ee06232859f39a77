"""What a long, read-only look at one site found out about how it behaves."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was measured. `what` is a short label, `found` one sentence with the figures it rests on.

    `trouble`: a person should look at it.
    """

    what: str
    found: str
    trouble: bool = False


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A setting that fits what was found better than a default would: its value as a person would type it, and why."""

    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Survey:
    """All that was found, in the order it was measured, and the settings that follow from it by their names."""

    findings: tuple[Finding, ...]
    settings: Mapping[str, Suggestion] = field(default_factory=dict)
