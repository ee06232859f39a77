"""Webhooks of a BigCommerce store: which deliveries are to be believed as hints, and the store's own list of its hooks."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from standardwebhooks import Webhook

from app.connectors.bigcommerce.answers import read_failure, what_came
from app.connectors.bigcommerce.bodies import data
from app.connectors.bigcommerce.calls import Calls
from app.connectors.bigcommerce.settings import Settings
from app.errors import Misconfigured, OrderSyncError, Retry, Unknown
from app.ports.connector import Account
from app.ports.hooks import Delivery, Hook, HookKeys, Hooks, Received, Refused
from app.transport import Answer, NoAnswer, parse_json

SECRET_HEADER = "X-Order-Sync-Secret"  # noqa: S105 - the header's name
TOPICS = (
    "store/order/created",
    "store/order/updated",
    "store/order/statusUpdated",
    "store/order/archived",
)
_TOLERANCE = timedelta(minutes=5)
_PATH = "/v3/hooks"
_LIMIT = 250
_MOST_PAGES = 40


def read(received: Received, keys: HookKeys, now: datetime) -> Delivery:
    """A delivery that carries our secret and, where it is signed, a signature of its raw body that is right and fresh.

    An older page of the documentation knows our header only, so an unsigned delivery is believed by that alone (contract, section 11).
    """
    try:
        return _read(received, keys, now)
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a stranger's bytes lead to is no reason to answer anything but 401.
        raise Refused(f"it could not be read ({type(error).__name__})") from None


def _read(received: Received, keys: HookKeys, now: datetime) -> Delivery:
    given = received.headers.get(SECRET_HEADER.lower(), "")
    # All are compared, so that the time taken does not tell which one came close.
    right = [_same(given, secret) for secret in keys.secrets if secret]
    if not any(right):
        raise Refused("it does not carry the secret that we gave with the webhook")
    signature = received.headers.get("webhook-signature")
    if signature is not None:
        _check_signature(
            received, signature, client_secret=keys.credentials.get("client_secret", ""), now=now
        )
    body = parse_json(received.body.decode())
    if not isinstance(body, dict):
        raise Refused("its body is no JSON object")
    scope = str(body.get("scope", ""))
    delivery_id = received.headers.get("webhook-id", "") or _by_content(scope, body, received.body)
    return Delivery(
        delivery_id=delivery_id, topic=scope, platform_order_id=_order_id(scope, body.get("data"))
    )


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _check_signature(received: Received, signature: str, *, client_secret: str, now: datetime) -> None:
    """Standard Webhooks: HMAC-SHA256 over id, timestamp and raw body, the key being the client secret's bytes."""
    if not client_secret:
        return  # It cannot be verified; our own secret was right.
    message_id = received.headers.get("webhook-id", "")
    stamp = received.headers.get("webhook-timestamp", "")
    if not message_id or not (stamp.isascii() and stamp.isdigit()):
        raise Refused("it is signed, but has no id or timestamp")
    sent_at = datetime.fromtimestamp(int(stamp), UTC)
    if abs(now - sent_at) > _TOLERANCE:
        raise Refused("it is older than five minutes, or from the future")
    key = base64.b64encode(client_secret.encode()).decode()
    wanted = Webhook(key).sign(message_id, sent_at, received.body.decode())
    # One good signature is enough: there are two while their secret is replaced.
    right = [_same(each, wanted) for each in signature.split(" ")]
    if not any(right):
        raise Refused("its signature is not that of its body; check the credential client_secret")


def _by_content(scope: str, body: Mapping[str, Any], raw: bytes) -> str:
    # Their hash covers the payload, which some events share: only together with the scope and the order it tells them apart.
    told = f"{scope} {body.get('hash') or hashlib.sha256(raw).hexdigest()} {body.get('created_at', '')}"
    return hashlib.sha256(told.encode()).hexdigest()


def _order_id(scope: str, found: Any) -> str:
    """The order that is to be read again, whatever the event says of it; empty where it is about none."""
    if "/order/" not in scope or not isinstance(found, dict):
        return ""
    value = found.get("order_id", found.get("id") if found.get("type") == "order" else None)
    text = str(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    return text if text.isascii() and text.isdigit() and 0 < int(text) < 2**31 else ""


class Desk:
    """The webhooks of one store, as far as its token shows them: those made with it. Implements `HookDesk`."""

    def __init__(self, account: Account) -> None:
        # Few and asked for by a person, they may use what is held back from the reading of orders.
        ceilings = replace(Settings.stored(account.settings).ceilings, reserve=0)
        self._calls = Calls(account, ceilings=ceilings, parallel=1)

    def installed(self, *, prefix: str) -> tuple[Hook, ...]:
        """Those whose address begins with `prefix`."""
        self._calls.begin()
        found: dict[str, Hook] = {}
        for page in range(1, _MOST_PAGES + 1):
            rows = data(self._calls.get(_PATH, {"limit": str(_LIMIT), "page": str(page)}, about="webhooks"))
            if not isinstance(rows, list):
                raise Retry("The store's webhooks are no list.")
            fresh = {hook.id: hook for hook in map(_hook, rows)}
            if len(rows) < _LIMIT or fresh.keys() <= found.keys():
                found |= fresh
                break
            found |= fresh
        return tuple(hook for hook in found.values() if hook.url.startswith(prefix))

    def install(self, *, topic: str, url: str, secret: str) -> Hook:
        """A new webhook; the store begins to send within a minute."""
        self._calls.begin()
        body = {"scope": topic, "destination": url, "is_active": True, "headers": {SECRET_HEADER: secret}}
        return _hook(self._write("POST", _PATH, body))

    def renew(self, hook: Hook, *, secret: str) -> Hook:
        """Active again, with this secret."""
        self._calls.begin()
        body = {
            "scope": hook.topic,
            "destination": hook.url,
            "is_active": True,
            "headers": {SECRET_HEADER: secret},
        }
        return _hook(self._write("PUT", f"{_PATH}/{hook.id}", body))

    def remove(self, hook: Hook) -> None:
        """Take it away; one that is gone already is no failure."""
        self._calls.begin()
        answer = self._sent("DELETE", f"{_PATH}/{hook.id}", None)
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND):
            raise _failure(answer)

    def _write(self, method: str, path: str, body: dict[str, Any]) -> Any:
        answer = self._sent(method, path, body)
        if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise _failure(answer)
        try:
            return data(answer)
        except Retry as error:
            raise Unknown(error.reason) from None

    def _sent(self, method: str, path: str, body: dict[str, Any] | None) -> Answer:
        try:
            return self._calls.request(method, path, json=body)
        except NoAnswer as error:
            raise Unknown(f"The store gave no whole answer to a change of its webhooks ({error}).") from None


def _failure(answer: Answer) -> OrderSyncError:
    """What a change of the hooks that was not made comes to."""
    if answer.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.CONFLICT):
        return Misconfigured(
            f"The store does not take the webhook ({what_came(answer)}); its address must be https on port 443, reachable from"
            " outside, with a certificate of a public authority."
        )
    failure = read_failure(answer, about="webhooks")
    if isinstance(failure, Misconfigured):
        return failure
    return Unknown(f"The store answered a change of its webhooks with {what_came(answer)}.")


def _hook(given: Any) -> Hook:
    if (
        not isinstance(given, dict)
        or isinstance(given.get("id"), bool)
        or not isinstance(given.get("id"), int)
    ):
        raise Unknown("The store's answer names no webhook.")
    return Hook(
        id=str(given["id"]),
        topic=str(given.get("scope", "")),
        url=str(given.get("destination", "")),
        active=given.get("is_active") is True,
    )


HOOKS = Hooks(topics=TOPICS, read=read, open=Desk, needs_tls=True)
