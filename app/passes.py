"""SKU passes remembered in Redis for five minutes. A cache: where Redis is away, nothing is remembered and nothing fails."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger("ordersync.passes")

_SECONDS = 300


def connect(url: str) -> "redis.Redis":
    """A client for a broker's address, which may name a unix socket in kombu's way (`redis+socket:///path?virtual_host=0`)."""
    options: dict[str, Any] = {
        "socket_timeout": 2.0,
        "socket_connect_timeout": 2.0,
        "decode_responses": True,
        # A cache that is away is done without; asking again ten times, as the library would, costs more than it saves.
        "retry": Retry(NoBackoff(), 0),
    }
    parts = urlsplit(url)
    if parts.scheme == "redis+socket":
        database = parse_qs(parts.query).get("virtual_host", ["0"])[0]
        return redis.Redis(unix_socket_path=parts.path, db=int(database), password=parts.password, **options)
    return redis.Redis.from_url(url, **options)


class RedisPasses:
    """Implements `app.ports.passes.SkuPasses`."""

    def __init__(self, client: "redis.Redis", *, prefix: str = "ordersync:sku") -> None:
        self._client = client
        self._prefix = prefix

    def recent(self, erp_id: int, skus: Sequence[str]) -> frozenset[str]:
        """Those of these SKUs that passed in the ERP within the last five minutes."""
        if not skus:
            return frozenset()
        try:
            values = self._client.mget([self._key(erp_id, sku) for sku in skus])
        except redis.RedisError as error:
            log.warning("cache_away", failure=type(error).__name__)
            return frozenset()
        return frozenset(sku for sku, value in zip(skus, values, strict=True) if value is not None)

    def remember(self, erp_id: int, skus: Sequence[str]) -> None:
        """These SKUs passed now."""
        if not skus:
            return
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for sku in skus:
                    pipe.set(self._key(erp_id, sku), "1", ex=_SECONDS)
                pipe.execute()
        except redis.RedisError as error:
            log.warning("cache_away", failure=type(error).__name__)

    def _key(self, erp_id: int, sku: str) -> str:
        return f"{self._prefix}:{erp_id}:{sku}"


class NoPasses:
    """Remembers nothing: for processes without a broker."""

    def recent(self, erp_id: int, skus: Sequence[str]) -> frozenset[str]:  # noqa: ARG002 - the port's signature
        """Nothing."""
        return frozenset()

    def remember(self, erp_id: int, skus: Sequence[str]) -> None:
        """Nothing."""
