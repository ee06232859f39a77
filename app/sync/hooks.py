"""Webhooks in: a delivery is verified, stored as the job of reading the order that it names, and the order is read.

Nothing that a delivery says of an order is believed (contract logistics, section 6): it goes down the same road as one that
polling has found. Polling stays the truth; a webhook makes it fast.
"""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

import structlog

from app.errors import Hold, Misconfigured, OrderSyncError, UsageError
from app.ports.deliveries import DeliveryDone, DeliveryOutcome, DeliveryWaiting, DueSite, OwedDelivery
from app.ports.hooks import Delivery, HookKeys, Received, Refused
from app.ports.sales_channel import Gone, Seen
from app.ports.store import Site
from app.sync.fetch import Ring
from app.sync.hook_keys import opened_secrets
from app.sync.named import read_named
from app.sync.owed import check_reachable, in_time
from app.sync.parts import Parts, maintenance_until, paused_sentence, site_with_id
from app.sync.policy import HOLD_MAINTENANCE, HOLD_SETTINGS, Later, Person, after
from app.sync.telling import pause_site

log = structlog.get_logger("ordersync.hooks")

_LONGEST_ID = 128
_LONGEST_WORD = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender is told, and the site whose deliveries are to be read now, None where nothing new has come."""

    status: HTTPStatus
    due: DueSite | None = None


def receive(parts: Parts, *, site_name: str, topic: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """Take a delivery. `headers` have lower-case names, `topic` is the last part of the address, `body` is raw.

    200 says that it is stored, or was before; 401 that it is not believed, in the same way whether there is such a site or not.
    """
    received = Received(topic=topic, headers=headers, body=body)
    site = next((each for each in parts.store.sites() if each.name == site_name and each.hook_url), None)
    if site is None:
        return _refused(parts, received, site="", reason="there is no such site, or it has no webhooks")
    try:
        delivery = _believed(parts, site, received)
    except Refused as refused:
        return _refused(parts, received, site=site.name, reason=refused.reason)
    if not delivery.delivery_id:
        return Answer(HTTPStatus.OK)
    fresh = parts.store.take_delivery(site.id, delivery)
    log.info(
        "delivery",
        site=site.name,
        topic=delivery.topic,
        delivery=delivery.delivery_id,
        names=delivery.platform_order_id,
        repeat=not fresh,
    )
    owed = fresh and delivery.platform_order_id
    return Answer(HTTPStatus.OK, due=DueSite(id=site.id, name=site.name) if owed else None)


def _refused(parts: Parts, received: Received, *, site: str, reason: str) -> Answer:
    """The name of the site is told where it is one of ours: anybody may send anything."""
    if _is_ping(parts, received):
        return Answer(HTTPStatus.OK)
    log.warning("delivery_refused", site=site or None, reason=reason)
    return Answer(HTTPStatus.UNAUTHORIZED)


def _believed(parts: Parts, site: Site, received: Received) -> Delivery:
    hooks = parts.peers.connector(site.platform).hooks
    if hooks is None:
        raise Refused("its platform has no webhooks")
    keys = HookKeys(
        secrets=opened_secrets(parts, site),
        credentials=parts.peers.decrypt(site.credentials, name=site.name),
    )
    delivery = hooks.read(received, keys, parts.store.now())
    if (
        len(delivery.delivery_id) > _LONGEST_ID
        or max(len(delivery.topic), len(delivery.platform_order_id)) > _LONGEST_WORD
    ):
        raise Refused("its id, its topic or the id of its order is too long")
    return delivery


def _is_ping(parts: Parts, received: Received) -> bool:
    """Whether a platform of ours sends this without a signature, and it says nothing.

    It is answered for every name, so that its answer does not tell which sites there are.
    """
    for platform in {site.platform for site in parts.store.sites()}:
        hooks = parts.peers.connector(platform).hooks
        if hooks is None:
            continue
        try:
            # Keys that sign nothing of anybody's.
            found = hooks.read(
                received, HookKeys(secrets=(), credentials=defaultdict(str)), parts.store.now()
            )
        except Refused:
            continue
        if not found.delivery_id:
            return True
    return False


def read_due(parts: Parts, *, site_id: int, ring: Ring) -> bool:
    """Read the orders that due deliveries of a site name. Returns whether its time was up before it had read all of them.

    Never raises for a failure of the platform: they are read later, by the policy.
    """
    try:
        site = site_with_id(parts, site_id)
    except UsageError:
        # A message that was under way when its site was removed.
        return False
    started = parts.ticks()
    while in_time(parts, started):
        token = str(uuid.uuid4())
        owed = parts.store.claim_deliveries(site.id, token=token, lease_seconds=parts.limits.lease)
        if not owed:
            return False
        outcomes = _read(parts, site, owed, ring=ring)
        parts.store.settle_deliveries(token=token, outcomes=outcomes)
        waiting = sum(isinstance(each, DeliveryWaiting) for each in outcomes)
        log.info("deliveries_read", site=site.name, deliveries=len(owed), waiting=waiting)
    return True


def _read(parts: Parts, site: Site, owed: Sequence[OwedDelivery], *, ring: Ring) -> list[DeliveryOutcome]:
    if not (site.is_active and site.orders_sync):
        reason = "The site is disabled; when it is enabled, polling finds the order."
        return [DeliveryDone(id=each.id, outcome=reason) for each in owed]
    wanted = list(dict.fromkeys(each.platform_order_id for each in owed))
    try:
        _check_open(parts, site)
        _, found = read_named(parts, site, wanted, ring=ring)
    except OrderSyncError as error:
        if isinstance(error, Misconfigured):
            pause_site(parts, site, error)
        else:
            log.warning("orders_not_read", site=site.name, orders=len(wanted), failure=type(error).__name__)
        now = parts.store.now()
        return [_failed(parts, each, error, now=now) for each in owed]
    return [DeliveryDone(id=each.id, outcome=_told(found.get(each.platform_order_id))) for each in owed]


def _check_open(parts: Parts, site: Site) -> None:
    """Raises `Hold` while the site is left alone."""
    now = parts.store.now()
    until = maintenance_until(parts, site)
    if until is not None:
        raise Hold(paused_sentence(now, until), kind=HOLD_MAINTENANCE, until=until)
    # Read anew: it may have been paused since the task began.
    paused = site_with_id(parts, site.id)
    check_reachable(parts, paused)
    if paused.paused_until is not None and paused.paused_until > now:
        raise Hold(
            f"The site is paused: {paused.paused_reason}", kind=HOLD_SETTINGS, until=paused.paused_until
        )


def _failed(parts: Parts, delivery: OwedDelivery, error: OrderSyncError, *, now: datetime) -> DeliveryOutcome:
    match after(
        error,
        attempts=delivery.attempts,
        waiting_since=delivery.received_at,
        now=now,
        spread=parts.spread,
    ):
        case Later(at=at, reason=reason):
            return DeliveryWaiting(id=delivery.id, outcome=reason, next_at=at)
        case Person(reason=reason):
            # Polling finds what was not read.
            return DeliveryDone(id=delivery.id, outcome=reason)


def _told(found: Seen | Gone | None) -> str:
    match found:
        case Seen(eligible=True):
            return "Its order was read."
        case Seen(status=status):
            return f"Its order was read; its status {status!r} is none that this site takes."
        case _:
            return "Its order is no longer on the platform."
