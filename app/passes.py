"""SKU passes remembered in Redis for five minutes. A cache: where Redis is away, nothing is remembered and nothing fails."""

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.no_passes import NoPasses
from app.ports.erp import ErpItem, ItemKind
from app.runtime.broker_address import broker_address

__all__ = ["NoPasses", "RedisPasses", "connect"]

log = structlog.get_logger("ordersync.passes")

_SECONDS = 300


def connect(url: str) -> "redis.Redis":
    """A client for a broker's address, which may name a unix socket in kombu's way (`redis+socket:///path?virtual_host=0`).

    Raises `Misconfigured` for an address that cannot be used.
    """
    options: dict[str, Any] = {
        "socket_timeout": 2.0,
        "socket_connect_timeout": 2.0,
        "decode_responses": True,
        # A cache that is away is done without; asking again ten times, as the library would, costs more than it saves.
        "retry": Retry(NoBackoff(), 0),
    }
    address = broker_address(url)
    parts = urlsplit(address.url)
    if parts.scheme == "redis+socket":
        login = {
            name: unquote(value)
            for name, value in (("username", parts.username), ("password", parts.password))
            if value
        }
        database = parse_qs(parts.query).get("virtual_host", ["0"])[0]
        return redis.Redis(unix_socket_path=parts.path, db=int(database), **login, **options)
    return redis.Redis.from_url(address.url, **options, **(address.tls or {}))


class RedisPasses:
    """Implements `app.ports.passes.SkuPasses`."""

    def __init__(self, client: "redis.Redis", *, prefix: str = "ordersync:sku") -> None:
        self._client = client
        self._prefix = prefix

    def recent(self, erp_id: int, skus: Sequence[str]) -> Mapping[str, ErpItem]:
        """Those of these SKUs that passed in the ERP within the last five minutes, as it showed them."""
        if not skus:
            return {}
        try:
            values = self._client.mget([self._key(erp_id, sku) for sku in skus])
        except redis.RedisError as error:
            log.warning("cache_away", failure=type(error).__name__)
            return {}
        found = {sku: _item(sku, value) for sku, value in zip(skus, values, strict=True) if value is not None}
        return {sku: item for sku, item in found.items() if item is not None}

    def remember(self, erp_id: int, items: Iterable[ErpItem]) -> None:
        """These items passed now."""
        passed = list(items)
        if not passed:
            return
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for item in passed:
                    text = json.dumps({"name": item.name, "kind": item.kind})
                    pipe.set(self._key(erp_id, item.number), text, ex=_SECONDS)
                pipe.execute()
        except redis.RedisError as error:
            log.warning("cache_away", failure=type(error).__name__)

    def _key(self, erp_id: int, sku: str) -> str:
        return f"{self._prefix}:{erp_id}:{sku}"


def _item(sku: str, text: bytes | str) -> ErpItem | None:
    """The item that was remembered; None for what another version of the program wrote."""
    try:
        stored = json.loads(text, parse_float=Decimal)
        return ErpItem(number=sku, name=stored["name"], blocked=False, kind=ItemKind(stored["kind"]))
    except (KeyError, TypeError, ValueError):
        return None
