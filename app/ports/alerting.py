"""Alerts with their rules, and who is told of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo

from app.ports.deliveries import AlertKind


class Severity(StrEnum):
    """How urgent a person finds it; the words begin what is told."""

    WARNING = "warning"
    CRITICAL = "critical"


class What(StrEnum):
    """What is told of an alert."""

    BEGUN = "begun"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Rule:
    """When an alert of this kind begins and who sleeps meanwhile.

    `threshold` and `currency` mean what the kind says. People are told once it has held for `for_minutes`, and it is over once it
    was not seen for as long. Between `quiet_from` and `quiet_to` (`22:00`, in `quiet_zone`) nobody is told; empty for no such hours.
    """

    kind: AlertKind
    enabled: bool = True
    threshold: Decimal | None = None
    currency: str = ""
    for_minutes: int = 0
    severity: Severity = Severity.WARNING
    quiet_from: str = ""
    quiet_to: str = ""
    quiet_zone: str = ""

    def is_quiet(self, now: datetime) -> bool:
        """Whether nobody is told at this moment. It goes by the clock on the wall, also on days on which that is set."""
        if not self.quiet_from or not self.quiet_to:
            return False
        wall = now.astimezone(ZoneInfo(self.quiet_zone or "UTC")).time()
        begin, end = time.fromisoformat(self.quiet_from), time.fromisoformat(self.quiet_to)
        return begin <= wall < end if begin <= end else wall >= begin or wall < end


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that a rule sees now. It is about a site, or else about `subject`, where it is about anything less than all."""

    kind: AlertKind
    reason: str
    site_id: int | None = None
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look at all rules changed."""

    opened: tuple["AlertRow", ...] = ()
    closed: tuple["AlertRow", ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """Who was told what of an alert, or is to be: `next_at` is None once it was told (`told_at`) or given up."""

    alert_id: int
    target: str
    what: What
    told_at: datetime | None
    next_at: datetime | None
    attempts: int
    outcome: str


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert. `subject` is its site's name where it is about a site. `clear_since`: it is not seen since then, but not over yet."""

    id: int
    site_id: int | None
    kind: AlertKind
    subject: str
    reason: str
    opened_at: datetime
    closed_at: datetime | None
    clear_since: datetime | None
    told_at: datetime | None
    told_over_at: datetime | None


@dataclass(frozen=True, slots=True)
class Target:
    """Whom alerts are told. `url` is as stored: encrypted. `kinds` are those it is told of, empty for all."""

    id: int
    name: str
    url: str
    hint: str
    enabled: bool
    kinds: tuple[AlertKind, ...]
    created_at: datetime
    created_by: str

    def wants(self, kind: AlertKind) -> bool:
        """Whether it is told of this kind."""
        return self.enabled and (not self.kinds or kind in self.kinds)


@dataclass(frozen=True, slots=True)
class OwedNotice:
    """A notice under lease, with its alert as it is now, and the target. `attempts` counts this one."""

    id: int
    alert: AlertRow
    target: Target
    what: What
    made_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class SiteReading:
    """When a site was connected, and when its last complete reading ended; None for never."""

    created_at: datetime
    read_at: datetime | None


class AlertingStore(Protocol):
    """Alerts with their rules, and who is told of them."""

    def alert_rules(self) -> Mapping[AlertKind, Rule]:
        """The rules that people have changed."""
        ...

    def save_alert_rule(self, rule: Rule) -> None: ...
    def observe(
        self,
        seen: Sequence[Condition],
        *,
        kinds: Collection[AlertKind],
        clear_minutes: Mapping[AlertKind, int],
    ) -> Changes:
        """Open an alert for each condition that has none, and end those of these kinds not seen for their `clear_minutes`."""
        ...

    def end_alerts(self, kinds: Collection[AlertKind]) -> Changes:
        """End the open alerts of these kinds at once; nobody is told that they are over."""
        ...

    def owe_notices(self, rules: Mapping[AlertKind, Rule], *, quiet: Collection[AlertKind]) -> int:
        """Put down who is to be told of what has begun, and of what is over; but for `quiet` kinds. Returns how many notices."""
        ...

    def claim_notice(
        self, *, quiet: Collection[AlertKind], without: Collection[int], token: str, lease_seconds: float
    ) -> OwedNotice | None:
        """The oldest due notice that is not for one of the targets `without`, under lease; None where there is none."""
        ...

    def settle_notice(
        self, notice_id: int, *, token: str, is_told: bool, next_at: datetime | None, outcome: str
    ) -> bool:
        """Store what became of it. False where it is no longer under this token."""
        ...

    def alert_rows(self, *, is_open: bool, before: int | None = None, limit: int) -> tuple[AlertRow, ...]:
        """Open alerts, or those that are over, the latest first, with ids below `before`."""
        ...

    def alert_notices(self, alert_ids: Sequence[int]) -> Mapping[int, tuple[Notice, ...]]:
        """Who was told of each of these alerts."""
        ...

    def alert_targets(self) -> tuple[Target, ...]:
        """Every target, by name."""
        ...

    def add_alert_target(
        self, name: str, *, url: str, hint: str, kinds: Sequence[AlertKind], by: str
    ) -> int | None:
        """The id of the new target; None where the name is taken."""
        ...

    def change_alert_target(
        self, target_id: int, *, enabled: bool | None = None, kinds: Sequence[AlertKind] | None = None
    ) -> None:
        """One that is disabled is told nothing, not even what it is owed."""
        ...

    def remove_alert_target(self, target_id: int) -> None:
        """Forget it; what it was told stays listed."""
        ...

    def readings(self) -> Mapping[int, SiteReading]:
        """How each connected site was read last, by the site's id."""
        ...

    def new_orders(self, spans: Sequence[tuple[datetime, datetime]]) -> Mapping[int, tuple[int, ...]]:
        """How many orders were first seen in each of these spans of time, by the site's id; a site without any is left out."""
        ...
