"""Webhooks: how a platform tells us that an order should be read again, and how it is asked to.

A delivery is a hint that names an order. Nothing it says of the order is believed: the order is read from the platform.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.ports.connector import Account


class Refused(Exception):
    """The delivery is not to be believed: unsigned, wrongly signed, too old, or not of the form that the platform sends.

    `reason` is for our log; the sender is told nothing but 401.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery as it came in. `headers` have lower-case names; `topic` is the last part of the address it was sent to."""

    topic: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HookKeys:
    """What a delivery is checked against: our own secrets (the newest first; two while one replaces the other), and the
    site's credentials.
    """

    secrets: tuple[str, ...]
    credentials: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that is to be believed as a hint.

    `delivery_id` is the same when the same delivery is sent again. `platform_order_id` is empty where there is no order to
    be read (a ping, or what concerns no order): it is answered and forgotten.
    """

    delivery_id: str
    topic: str
    platform_order_id: str


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook as the platform has it. `active`: the platform still sends it."""

    id: str
    topic: str
    url: str
    active: bool


class HookDesk(Protocol):
    """The webhooks of one site at its platform. Raises `Retry`, `Misconfigured` or `Unknown` (writes only)."""

    def installed(self, *, prefix: str) -> tuple[Hook, ...]:
        """Those whose address begins with `prefix`; whether others are shown is the platform's affair."""
        ...

    def install(self, *, topic: str, url: str, secret: str) -> Hook:
        """A new webhook. The platform may send a ping to `url` before this returns."""
        ...

    def renew(self, hook: Hook, *, secret: str) -> Hook:
        """The same webhook, active, with this secret."""
        ...

    def remove(self, hook: Hook) -> None:
        """Take it away; one that is gone already is no failure."""
        ...


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a connector knows of webhooks. `topics` are those that are needed, in the platform's own words.

    `read` is pure: it checks a delivery before anything of it is parsed and raises `Refused`; the time is aware UTC.
    `needs_tls`: the platform sends to https addresses only.
    """

    topics: tuple[str, ...]
    read: Callable[[Received, HookKeys, datetime], Delivery]
    open: Callable[[Account], HookDesk]
    needs_tls: bool = False
