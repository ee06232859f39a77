"""Webhooks and their deliveries (contract section 11)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.sandbox.outbound import post

from .answers import ApiError, JsonObject, encode
from .hookbook import Hook, HookBook

RETRY_SECONDS = (60, 180, 300, 600, 900, 1800, 3600, 7200, 21600, 50400, 86400)


@dataclass(frozen=True)
class Message:
    """One event on its way to one hook; a repeat has the same id."""

    hook_id: int
    webhook_id: str
    scope: str
    body: bytes = field(repr=False)
    attempt: int = 0
    status: int = 0
    """The status of the answer; 0 for none."""


def sign(key: bytes, webhook_id: str, timestamp: str, body: bytes) -> str:
    """``webhook-signature``: ``v1,`` and base64(HMAC-SHA256) over ``id.timestamp.body``; keyed by the raw secret."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


class HookDesk:
    """The queue that delivers what happens to the hooks of the book, in order, from one background thread.

    ``retry_delays`` are the platform's, a thousand times faster; after the last one the hook is no longer active.
    """

    def __init__(
        self,
        store_hash: str,
        client_secret: str,
        clock: Callable[[], datetime],
        *,
        any_destination: Callable[[], bool],
    ) -> None:
        self.book = HookBook(store_hash, clock, any_destination=any_destination)
        self.clock = clock
        self.client_secret = client_secret
        self.retry_delays: tuple[float, ...] = tuple(seconds / 1000 for seconds in RETRY_SECONDS)
        self.timeout: float = 10.0
        self.duplicates: int = 0
        """How many times more than once each event is sent."""
        self.signed: bool = True
        self.tells_status: bool = True
        """``statusUpdated`` says which statuses; off, it is as thin as the others."""
        self.sent: list[Message] = []
        self._producer = f"stores/{store_hash}"
        self._store_id = str(int(hashlib.sha256(store_hash.encode()).hexdigest()[:6], 16))
        self._queue: list[tuple[float, int, Message]] = []
        self._held: list[Message] | None = None
        self._number = 0
        self._busy = self._closed = False
        self._wake = threading.Condition()
        self._worker: threading.Thread | None = None

    def announce(self, scope: str, data: JsonObject) -> None:
        """Queue an event for every active hook that wants it."""
        if not self.tells_status:
            data = {name: value for name, value in data.items() if name != "status"}
        body = {
            "scope": scope,
            "store_id": self._store_id,
            "data": data,
            "hash": hashlib.sha1(encode(data), usedforsecurity=False).hexdigest(),
            "created_at": int(self.clock().timestamp()),
            "producer": self._producer,
        }
        for hook in self.book.wanting(scope):
            message = Message(hook.id, f"msg_{secrets.token_hex(12)}", scope, encode(body))
            for _ in range(1 + self.duplicates):
                self._put(message, 0)

    def hold(self) -> None:
        """Keep back what happens from now on."""
        with self._wake:
            self._held = self._held or []

    def release(self, *, backwards: bool = False) -> None:
        """Send what was kept back, the last first if wanted."""
        with self._wake:
            held, self._held = self._held or [], None
        for message in reversed(held) if backwards else held:
            self._put(message, 0)

    def resend(self, webhook_id: str) -> None:
        """Send something again that was sent before, with the same id; ApiError when it never was."""
        found = next((one for one in self.sent if one.webhook_id == webhook_id), None)
        if found is None:
            raise ApiError(404, f"Nothing was sent with the id {webhook_id}.")
        self._put(replace(found, attempt=0, status=0), 0)

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

    def _put(self, message: Message, delay: float) -> None:
        with self._wake:
            if self._held is not None:
                self._held.append(message)
                return
            self._number += 1
            self._queue.append((time.monotonic() + delay, self._number, message))
            if self._worker is None and not self._closed:
                self._worker = threading.Thread(target=self._run, name="sandbox-hooks", daemon=True)
                self._worker.start()
            self._wake.notify_all()

    def _run(self) -> None:
        while (message := self._next_due()) is not None:
            hook = self.book.find(message.hook_id)
            if hook is not None and hook.is_active:
                self._deliver(hook, message)

    def _next_due(self) -> Message | None:
        """Wait for the next message that is due; None when the desk was closed."""
        with self._wake:
            self._busy = False
            self._wake.notify_all()
            while not self._closed:
                if not self._queue:
                    self._wake.wait()
                    continue
                first = min(self._queue, key=lambda item: item[:2])
                left = first[0] - time.monotonic()
                if left <= 0:
                    self._queue.remove(first)
                    self._busy = True
                    return first[2]
                self._wake.wait(left)
            return None

    def _deliver(self, hook: Hook, message: Message) -> None:
        timestamp = str(int(self.clock().timestamp()))
        headers = {"User-Agent": "BigCommerce-Sandbox", **hook.headers, "Content-Type": "application/json"}
        if self.signed:
            headers["webhook-id"], headers["webhook-timestamp"] = message.webhook_id, timestamp
            signature = sign(self.client_secret.encode(), message.webhook_id, timestamp, message.body)
            headers["webhook-signature"] = signature
        status = post(hook.destination, message.body, headers, timeout=self.timeout)
        with self._wake:
            self.sent.append(replace(message, status=status))
            del self.sent[:-10_000]
        if 200 <= status < 300:
            return
        if message.attempt < len(self.retry_delays):
            self._put(replace(message, attempt=message.attempt + 1), self.retry_delays[message.attempt])
        else:
            self.book.deactivate(hook.id)
