"""A WooCommerce shop's webhooks: how a delivery is checked, and how they are registered (contract woocommerce, section 9)."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Any

from app.connectors.woocommerce.answers import problem_of
from app.connectors.woocommerce.bodies import identifier, listed, single
from app.connectors.woocommerce.calls import Calls, readable
from app.connectors.woocommerce.settings import Settings
from app.errors import Misconfigured, Retry, Unknown
from app.ports.connector import Account
from app.ports.hooks import Delivery, Hook, HookKeys, Hooks, Received, Refused
from app.transport import Answer, parse_json

TOPICS = ("order.created", "order.updated", "order.deleted", "order.restored")

_PING = re.compile(rb"webhook_id=[0-9]{1,18}")
_OURS = "x-wc-webhook-"
_DELIVERY_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_PER_PAGE = 100
_MOST_PAGES = 50


def read(received: Received, keys: HookKeys, _now: datetime) -> Delivery:
    """Check a delivery. The ping that a new webhook sends is neither signed nor named; its delivery id is empty.

    A delivery has no time, so that an old one passes as well; it is only ever a reason to read its order again.
    """
    if _is_ping(received):
        return Delivery(delivery_id="", topic=received.topic, platform_order_id="")
    given = received.headers.get(f"{_OURS}signature", "").encode("utf-8", "replace")
    if not any(hmac.compare_digest(_signature(secret, received.body), given) for secret in keys.secrets):
        raise Refused("its signature is missing or wrong")
    topic = received.headers.get(f"{_OURS}topic", "")
    if topic not in TOPICS:
        raise Refused("its topic is none of orders")
    delivery_id = received.headers.get(f"{_OURS}delivery-id", "")
    if not _DELIVERY_ID.fullmatch(delivery_id):
        raise Refused("it has no delivery id")
    return Delivery(delivery_id=delivery_id, topic=topic, platform_order_id=_order_id(received.body))


def _is_ping(received: Received) -> bool:
    kind = received.headers.get("content-type", "").partition(";")[0].strip().lower()
    named = any(name.startswith(_OURS) for name in received.headers)
    form = kind == "application/x-www-form-urlencoded"
    return form and not named and _PING.fullmatch(received.body) is not None


def _signature(secret: str, body: bytes) -> bytes:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest())


def _order_id(body: bytes) -> str:
    """The order's id; empty for the error that stands in the place of an order that was deleted before the delivery was built."""
    try:
        return identifier(parse_json(body.decode("utf-8", errors="replace"))) or ""
    except ValueError:
        return ""


class WebhookDesk:
    """The webhooks of one shop. Implements `HookDesk`."""

    def __init__(self, account: Account) -> None:
        self._calls = Calls(account, settings=Settings.stored(account.settings))

    def installed(self, *, prefix: str) -> tuple[Hook, ...]:
        """Those whose address begins with `prefix`; the shop shows all there are."""
        return tuple(hook for hook in self._all() if hook.url.startswith(prefix))

    def install(self, *, topic: str, url: str, secret: str) -> Hook:
        """A new webhook; the shop pings it at once, and it is active whether that arrives or not."""
        body = {
            "name": f"Order Sync {topic}",
            "topic": topic,
            "delivery_url": url,
            "secret": secret,
            "status": "active",
        }
        return _one(self._written("POST", "/webhooks", body=body))

    def renew(self, hook: Hook, *, secret: str) -> Hook:
        """The same webhook, active, with this secret."""
        body = {"status": "active", "secret": secret}
        answer = self._written("PUT", f"/webhooks/{hook.id}", body=body)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise Unknown(f"The shop has no webhook {hook.id} any more.")
        return _one(answer)

    def remove(self, hook: Hook) -> None:
        """Take it away; one that is gone already is no failure."""
        self._written("DELETE", f"/webhooks/{hook.id}", parameters={"force": "true"})

    def _all(self) -> Iterator[Hook]:
        for page in range(1, _MOST_PAGES + 1):
            parameters = {"per_page": str(_PER_PAGE), "page": str(page), "status": "all"}
            answer = self._calls.get("/webhooks", parameters)
            rows = readable(listed, answer)
            yield from (_hook(given) for _, given in rows)
            pages = answer.headers.get("X-WP-TotalPages", "")
            if len(rows) < _PER_PAGE or (pages.isdecimal() and page >= int(pages)):
                return
        raise Retry(f"The shop lists more than {_PER_PAGE * _MOST_PAGES} webhooks.")

    def _written(self, method: str, path: str, **given: Any) -> Answer:
        good = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
        answer = self._calls.written(method, path, good=good, **given)
        problem = problem_of(answer)
        if answer.status == HTTPStatus.BAD_REQUEST:
            raise Misconfigured(f"The shop refuses the webhook ({problem.message or 'no reason given'}).")
        if (
            answer.status == HTTPStatus.NOT_FOUND
            and problem.code != "woocommerce_rest_shop_webhook_invalid_id"
        ):
            raise Misconfigured(
                "This address answers, but has no WooCommerce webhooks; check that WooCommerce is active.",
                mend=("url",),
            )
        return answer


def _one(answer: Answer) -> Hook:
    """The webhook in the answer to a write, which was carried out even where it cannot be read."""
    try:
        return _hook(single(answer))
    except (ValueError, Retry) as error:
        raise Unknown(str(error)) from None


def _hook(given: Any) -> Hook:
    found = identifier(given)
    if found is None:
        raise Retry("The shop's answer holds something that is no webhook with an id.")
    topic, url = (str(given.get(name, "")) for name in ("topic", "delivery_url"))
    return Hook(id=found, topic=topic, url=url, active=given.get("status") == "active")


HOOKS = Hooks(topics=TOPICS, read=read, open=WebhookDesk)
