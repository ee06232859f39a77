"""What the store keeps of webhook deliveries, and of what a person should be told about a site."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlertKind(StrEnum):
    """What an alert is about; of each kind a site has at most one that is open.

    `WEBHOOK_SILENT`: orders come by polling that no webhook announced. `WEBHOOK_DISABLED`: the platform had stopped sending.
    `NOT_COMPLETE`: the nightly comparison found what is missing, doubled or different. All others are watched each minute:
    `NOT_FRESH`: a site was not read for too long. `UNUSUALLY_QUIET`: far fewer orders came than at this hour of other weeks.
    `PAUSED`: a site or an ERP is left alone because its settings or credentials do not work. `BREAKER_OPEN`: an account is not
    called because it failed again and again. `STUCK`: something is due and nobody comes for it. `OPEN_ERRORS` and
    `MONEY_AT_RISK`: more orders wait for a person than a person has said, or more money.
    """

    WEBHOOK_SILENT = "webhook_silent"
    WEBHOOK_DISABLED = "webhook_disabled"
    NOT_COMPLETE = "not_complete"
    NOT_FRESH = "not_fresh"
    UNUSUALLY_QUIET = "unusually_quiet"
    PAUSED = "paused"
    BREAKER_OPEN = "breaker_open"
    STUCK = "stuck"
    OPEN_ERRORS = "open_errors"
    MONEY_AT_RISK = "money_at_risk"


EVENTS = (AlertKind.WEBHOOK_SILENT, AlertKind.WEBHOOK_DISABLED, AlertKind.NOT_COMPLETE)
"""What other parts of the program open and close; all other kinds are watched."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert that is open. `reason` is one sentence, or more. It is about a site, or about something else (None)."""

    site_id: int | None
    kind: AlertKind
    reason: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class DueSite:
    """A site with deliveries whose orders are to be read."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class OwedDelivery:
    """A delivery under lease: the order that it names is to be read. `attempts` counts this one."""

    id: int
    platform_order_id: str
    received_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class DeliveryDone:
    """Nothing is left to be done for this delivery; `outcome` is one sentence."""

    id: int
    outcome: str


@dataclass(frozen=True, slots=True)
class DeliveryWaiting:
    """The order could not be read now; it is read from `next_at` on. `outcome` is one sentence."""

    id: int
    outcome: str
    next_at: datetime


DeliveryOutcome = DeliveryDone | DeliveryWaiting
