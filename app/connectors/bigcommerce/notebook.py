"""What a survey writes down while it measures."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.ports.survey import Finding, Suggestion

_SHOWN = 5


@dataclass(slots=True)
class Notebook:
    """The findings in the order they were made, and the settings that follow from them."""

    findings: list[Finding] = field(default_factory=list)
    settings: dict[str, Suggestion] = field(default_factory=dict)

    def note(self, what: str, found: str, *, trouble: bool = False) -> None:
        """One more finding."""
        self.findings.append(Finding(what=what, found=found, trouble=trouble))


def named(order_ids: Sequence[str]) -> str:
    """The first of these orders in brackets, nothing where there are none."""
    if not order_ids:
        return ""
    return f" ({', '.join(order_ids[:_SHOWN])}{', ...' if len(order_ids) > _SHOWN else ''})"


def counted(counter: Counter[str]) -> str:
    """The most frequent values with their numbers."""
    return ", ".join(f"{name} {count}" for name, count in counter.most_common(12))
