"""What the store keeps of webhook deliveries, and of what a person should be told about a site."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlertKind(StrEnum):
    """What an alert is about; of each kind a site has at most one that is open.

    `WEBHOOK_SILENT`: orders come by polling that no webhook announced. `WEBHOOK_DISABLED`: the platform had stopped sending.
    `NOT_COMPLETE`: the nightly comparison found what is missing, doubled or different.
    """

    WEBHOOK_SILENT = "webhook_silent"
    WEBHOOK_DISABLED = "webhook_disabled"
    NOT_COMPLETE = "not_complete"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert that is open. `reason` is one sentence, or more."""

    site_id: int
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
