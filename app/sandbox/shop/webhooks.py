"""Webhooks and their deliveries (contract section 9)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import string
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from app.sandbox.outbound import post

from .answers import ApiError, JsonObject, ParamErrors, enum_text
from .orders import Sequence

USER_AGENT = "WooCommerce/11.0.1 Hookshot (WordPress/7.1)"
FAILURES_UNTIL_DISABLED = 6
STATUSES = ["active", "paused", "disabled"]
_RESOURCES = ("coupon", "customer", "order", "product")
_EVENTS = ("created", "updated", "deleted", "restored")
_LETTERS = string.ascii_letters + string.digits + "!@#$%^&*()"


@dataclass
class Webhook:
    """One webhook of the shop; the secret is never returned."""

    id: int
    name: str
    topic: str
    delivery_url: str
    secret: str = field(repr=False)
    status: str = "active"
    created: str = ""
    modified: str = ""
    failures: int = 0
    pending_ping: bool = True


@dataclass(frozen=True)
class Delivery:
    """What was sent and how it ended, for the control door."""

    webhook_id: int
    topic: str
    resource_id: int
    """The order; 0 for a ping."""
    status: int
    """The answer's status; 0 if there was none."""


def sign(secret: str, body: bytes) -> str:
    """``X-WC-Webhook-Signature``: base64(HMAC-SHA256(secret, raw body))."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def check_topic(topic: object) -> str:
    """A topic of the list WooCommerce knows."""
    resource, _, event = str(topic or "").partition(".")
    if (resource in _RESOURCES and event in _EVENTS) or (resource == "action" and event):
        return f"{resource}.{event}"
    message = "Webhook topic is required and must be valid."
    raise ApiError(400, "woocommerce_rest_shop_webhook_invalid_topic", message)


def check_url(url: object) -> str:
    """A delivery URL: http or https."""
    parts = urlsplit(str(url or ""))
    if parts.scheme in ("http", "https") and parts.hostname:
        return str(url)
    message = "Webhook delivery URL must be a valid URL starting with http:// or https://."
    raise ApiError(400, "woocommerce_rest_shop_webhook_invalid_delivery_url", message)


def check_status(status: object) -> str:
    """A webhook status."""
    errors = ParamErrors()
    if status not in STATUSES:
        errors.add("status", "rest_not_in_enum", f"status is not one of {enum_text(STATUSES)}.")
    errors.raise_if_any()
    return str(status)


class WebhookDesk:
    """The shop's webhooks, and the background queue that delivers them.

    The body is built when it is delivered: several updates before that are one delivery with the last
    state. A failed delivery is never sent again; 6 failures in a row disable the webhook.
    """

    def __init__(self, build: Callable[[int], bytes], source: Callable[[], str]) -> None:
        self.delay: float = 0.05
        self.timeout: float = 60.0
        self.deliveries: list[Delivery] = []
        self._build = build
        self._source = source
        self._ids = Sequence()
        self._webhooks: dict[int, Webhook] = {}
        self._queue: dict[tuple[int, int], tuple[float, str]] = {}
        self._busy = False
        self._closed = False
        self._wake = threading.Condition()
        self._worker: threading.Thread | None = None

    def all(self) -> list[Webhook]:
        """All webhooks, newest first."""
        with self._wake:
            return sorted(self._webhooks.values(), key=lambda one: -one.id)

    def get(self, webhook_id: int) -> Webhook:
        """One webhook, or the 404."""
        with self._wake:
            webhook = self._webhooks.get(webhook_id)
        if webhook is None:
            raise ApiError(404, "woocommerce_rest_shop_webhook_invalid_id", "Invalid ID.")
        return webhook

    def create(self, data: JsonObject, now: str) -> Webhook:
        """A new webhook; it is active, and pinged at once, whether the ping arrives or not."""
        topic, url = check_topic(data.get("topic")), check_url(data.get("delivery_url"))
        status = check_status(data.get("status", "active"))
        secret = str(data.get("secret") or "") or "".join(secrets.choice(_LETTERS) for _ in range(50))
        name = str(data.get("name") or f"Webhook created on {now}")
        webhook = Webhook(self._ids.next(), name, topic, url, secret, status, now, now)
        with self._wake:
            self._webhooks[webhook.id] = webhook
            if status == "active":
                self._put(webhook.id, 0, "", 0)
        return webhook

    def update(self, webhook_id: int, data: JsonObject, now: str) -> Webhook:
        """Change a webhook; making it active again forgets its failures."""
        webhook = self.get(webhook_id)
        if "topic" in data:
            webhook.topic = check_topic(data["topic"])
        if "delivery_url" in data:
            webhook.delivery_url = check_url(data["delivery_url"])
        if "status" in data:
            webhook.status = check_status(data["status"])
            webhook.failures = 0
        webhook.secret = str(data.get("secret") or webhook.secret)
        webhook.name = str(data.get("name") or webhook.name)
        webhook.modified = now
        return webhook

    def delete(self, webhook_id: int) -> Webhook:
        """Remove a webhook for good."""
        webhook = self.get(webhook_id)
        with self._wake:
            self._webhooks.pop(webhook_id, None)
        return webhook

    def announce(self, order_id: int, *events: str) -> None:
        """Queue a delivery to every active webhook of these order events."""
        topics = {f"order.{event}" for event in events}
        with self._wake:
            for webhook in self._webhooks.values():
                if webhook.status == "active" and webhook.topic in topics:
                    self._put(webhook.id, order_id, webhook.topic, self.delay)

    def _put(self, webhook_id: int, order_id: int, topic: str, delay: float) -> None:
        self._queue.setdefault((webhook_id, order_id), (time.monotonic() + delay, topic))
        if self._worker is None and not self._closed:
            self._worker = threading.Thread(target=self._run, name="sandbox-webhooks", daemon=True)
            self._worker.start()
        self._wake.notify_all()

    def wait_idle(self, timeout: float = 10.0) -> bool:
        """Wait until all that is queued has been sent; False when the time is over first."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._queue and not self._busy, timeout)

    def close(self) -> None:
        """Stop delivering; what is queued is forgotten."""
        with self._wake:
            self._closed = True
            self._queue.clear()
            self._wake.notify_all()

    def _run(self) -> None:
        while (task := self._next_due()) is not None:
            (webhook_id, order_id), topic = task
            webhook = self._webhooks.get(webhook_id)
            if webhook is not None and webhook.status == "active":
                self._deliver(webhook, order_id, topic)

    def _next_due(self) -> tuple[tuple[int, int], str] | None:
        """Wait for the next delivery that is due; None when the desk was closed."""
        with self._wake:
            self._busy = False
            self._wake.notify_all()
            while not self._closed:
                if not self._queue:
                    self._wake.wait()
                    continue
                key, (due, topic) = min(self._queue.items(), key=lambda item: item[1][0])
                left = due - time.monotonic()
                if left <= 0:
                    del self._queue[key]
                    self._busy = True
                    return key, topic
                self._wake.wait(left)
            return None

    def _deliver(self, webhook: Webhook, order_id: int, topic: str) -> None:
        """Ping first if no ping has arrived yet, then send the order."""
        if webhook.pending_ping:
            form = f"webhook_id={webhook.id}".encode()
            status = self._post(webhook, form, {"Content-Type": "application/x-www-form-urlencoded"})
            webhook.pending_ping = not 200 <= status < 303
            self._note(Delivery(webhook.id, "", 0, status))
        if not order_id:
            return
        event = topic.partition(".")[2]
        body = b'{"id":%d}' % order_id if event == "deleted" else self._build(order_id)
        headers = {
            "Content-Type": "application/json",
            "X-WC-Webhook-Source": f"{self._source()}/",
            "X-WC-Webhook-Topic": topic,
            "X-WC-Webhook-Resource": "order",
            "X-WC-Webhook-Event": event,
            "X-WC-Webhook-Signature": sign(webhook.secret, body),
            "X-WC-Webhook-ID": str(webhook.id),
            "X-WC-Webhook-Delivery-ID": secrets.token_hex(16),
        }
        status = self._post(webhook, body, headers)
        self._note(Delivery(webhook.id, topic, order_id, status))
        if 200 <= status < 303:
            webhook.failures = 0
            return
        webhook.failures += 1
        if webhook.failures >= FAILURES_UNTIL_DISABLED:
            webhook.status = "disabled"

    def _note(self, delivery: Delivery) -> None:
        with self._wake:
            self.deliveries.append(delivery)
            del self.deliveries[:-10_000]

    def _post(self, webhook: Webhook, body: bytes, headers: dict[str, str]) -> int:
        """The status of the answer, 0 for none; redirects are not followed."""
        sent = {"User-Agent": USER_AGENT, **headers}
        return post(webhook.delivery_url, body, sent, timeout=self.timeout)
