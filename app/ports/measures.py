"""What is measured: counted by every process while it works, and asked of the database when somebody wants to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 240.0)
"""Seconds that tasks are counted by; what took longer than the last stands by itself."""


@dataclass(frozen=True, slots=True)
class Took:
    """How long one kind of task took: how many ended within each of `BOUNDS` (each counted once), how many later, all seconds."""

    counts: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Counted:
    """What all processes counted. `dropped` is what could not be kept in the meantime; `fault` says why nothing can be told."""

    tasks: Mapping[str, Took] = field(default_factory=dict)
    dropped: int = 0
    fault: str = ""


class Measures(Protocol):
    """Where a process puts what it counts. Never fails and never waits long; what cannot be kept is dropped, and that is counted."""

    def took(self, task: str, seconds: float) -> None:
        """A task has ended, well or not."""
        ...


@dataclass(frozen=True, slots=True)
class OpenErrors:
    """The open errors of one kind at one site in one currency (empty where the order's value is not known)."""

    site: str
    kind: str
    currency: str
    errors: int
    money: Decimal


@dataclass(frozen=True, slots=True)
class LastCertificate:
    """The latest comparison of a site."""

    site_id: int
    complete: bool
    made_at: datetime


class MeasureStore(Protocol):
    """Figures over many rows, each in one question."""

    def open_errors(self) -> tuple[OpenErrors, ...]:
        """All open errors, added up."""
        ...

    def last_certificates(self) -> tuple[LastCertificate, ...]:
        """Of each site that was ever compared."""
        ...

    def alert_counts(self) -> Mapping[str, int]:
        """How many alerts of each kind are open; kinds without any are left out."""
        ...
