"""The hooks of a store, as ``/v3/hooks`` keeps them (contract section 11)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from .answers import ApiError, JsonObject

_SCOPE = re.compile(
    r"store/order/(\*|created|updated|archived|statusUpdated|message/created|refund/created"
    r"|transaction/(created|updated)|metafield/\*)|store/shipment/(\*|created|updated|deleted)"
)
_MOST_OF_A_SCOPE = 10
_FIELDS = frozenset({"scope", "destination", "is_active", "headers", "events_history_enabled"})


@dataclass
class Hook:
    """One hook of one API account."""

    id: int
    client_id: str
    created_at: int
    updated_at: int
    scope: str
    destination: str
    is_active: bool
    headers: dict[str, str]

    def wants(self, scope: str) -> bool:
        """Whether the hook is for an event; ``*`` stands for all of its resource."""
        return self.scope == scope or (self.scope.endswith("/*") and scope.startswith(self.scope[:-1]))


def _refusal(name: str, message: str) -> ApiError:
    return ApiError(422, "The hook cannot be kept as it is.", {name: message})


class HookBook:
    """Every hook of the store; an API account sees its own only."""

    def __init__(
        self, store_hash: str, clock: Callable[[], datetime], *, any_destination: Callable[[], bool]
    ) -> None:
        self._store_hash = store_hash
        self._clock = clock
        self._any_destination = any_destination
        self._hooks: dict[int, Hook] = {}
        self._next_id = 1
        self._lock = threading.Lock()

    def find(self, hook_id: int) -> Hook | None:
        """A hook of anybody."""
        return self._hooks.get(hook_id)

    def wanting(self, scope: str) -> list[Hook]:
        """The active hooks for an event."""
        with self._lock:
            return [hook for hook in self._hooks.values() if hook.is_active and hook.wants(scope)]

    def deactivate(self, hook_id: int) -> None:
        """What happens to a hook that did not answer for too long."""
        with self._lock:
            hook = self._hooks.get(hook_id)
            if hook is not None:
                hook.is_active, hook.updated_at = False, self._now()

    def of(self, client_id: str) -> list[Hook]:
        """The hooks of an account, by id."""
        with self._lock:
            return [hook for hook in self._hooks.values() if hook.client_id == client_id]

    def get(self, client_id: str, hook_id: int) -> Hook:
        """One hook of an account, or the 404."""
        hook = self._hooks.get(hook_id)
        if hook is None or hook.client_id != client_id:
            raise ApiError(404, "There is no such hook.")
        return hook

    def create(self, client_id: str, data: Any) -> Hook:
        """A new hook: one of a kind for each destination, ten for each scope."""
        fields = self._checked(data)
        for name in ("scope", "destination"):
            if name not in fields:
                raise _refusal(name, "is required")
        with self._lock:
            self._check_room(client_id, fields["scope"], fields["destination"], None)
            hook = Hook(
                self._next_id,
                client_id,
                self._now(),
                self._now(),
                fields["scope"],
                fields["destination"],
                fields.get("is_active", True),
                dict(fields.get("headers") or {}),
            )
            self._next_id += 1
            self._hooks[hook.id] = hook
        return hook

    def update(self, client_id: str, hook_id: int, data: Any) -> Hook:
        """Change a hook; an inactive one can be made active again."""
        hook, fields = self.get(client_id, hook_id), self._checked(data)
        with self._lock:
            scope, destination = fields.get("scope", hook.scope), fields.get("destination", hook.destination)
            self._check_room(client_id, scope, destination, hook_id)
            hook.scope, hook.destination, hook.updated_at = scope, destination, self._now()
            hook.is_active = fields.get("is_active", hook.is_active)
            if "headers" in fields:
                hook.headers = dict(fields["headers"] or {})
        return hook

    def delete(self, client_id: str, hook_id: int) -> Hook:
        """Remove a hook."""
        hook = self.get(client_id, hook_id)
        with self._lock:
            self._hooks.pop(hook_id, None)
        return hook

    def shown(self, hook: Hook) -> JsonObject:
        """A hook as the API answers it."""
        return {
            "id": hook.id,
            "client_id": hook.client_id,
            "store_hash": self._store_hash,
            "created_at": hook.created_at,
            "updated_at": hook.updated_at,
            "scope": hook.scope,
            "destination": hook.destination,
            "is_active": hook.is_active,
            "headers": dict(hook.headers),
        }

    def _now(self) -> int:
        return int(self._clock().timestamp())

    def _checked(self, data: Any) -> JsonObject:
        if not isinstance(data, dict):
            raise ApiError(422, "The body is not a JSON object.", {})
        for name in data:
            if name not in _FIELDS:
                raise _refusal(name, "is not known")
        if "scope" in data and not _SCOPE.fullmatch(str(data["scope"])):
            raise _refusal("scope", "is not a scope")
        if "destination" in data:
            self._check_destination(str(data["destination"]))
        if not isinstance(data.get("is_active", True), bool):
            raise _refusal("is_active", "must be true or false")
        headers = data.get("headers") or {}
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            raise _refusal("headers", "must be an object of texts")
        return data

    def _check_destination(self, destination: str) -> None:
        """Https on port 443, unless the store's switch lets any through."""
        try:
            parts = urlsplit(destination)
            port = parts.port
        except ValueError:
            raise _refusal("destination", "must be a URL") from None
        sound = parts.scheme == "https" and port in (None, 443)
        if self._any_destination():
            sound = parts.scheme in ("http", "https")
        if not (sound and parts.hostname):
            raise _refusal("destination", "must be an https URL on port 443")

    def _check_room(self, client_id: str, scope: str, destination: str, own_id: int | None) -> None:
        same = [
            hook
            for hook in self._hooks.values()
            if hook.client_id == client_id and hook.scope == scope and hook.id != own_id
        ]
        if any(hook.destination == destination for hook in same):
            raise ApiError(409, "There is a hook of this scope for this destination.")
        if len(same) >= _MOST_OF_A_SCOPE:
            raise _refusal("scope", f"has {_MOST_OF_A_SCOPE} hooks, which is the most")
