"""Which broker a process uses: the configured one, or the embedded one."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import Misconfigured
from app.runtime.broker_address import broker_address
from app.runtime.embedded import broker_for, find_running_broker
from app.settings import Settings


def broker_url(settings: Settings) -> str:
    """The broker's address: the configured one, else that of the embedded broker that runs.

    Raises `Misconfigured` where there is none, or one that cannot be used.
    """
    url = settings.redis_url or find_running_broker(settings.var)
    if url is None:
        raise Misconfigured(
            "No broker: set REDIS_URL, or start everything that is needed with `ordersync up`."
        )
    broker_address(url)
    return url


@contextmanager
def some_broker(settings: Settings) -> Iterator[str]:
    """The broker's address; the embedded one is started for the time being where none is configured and none runs."""
    if settings.redis_url is not None:
        yield broker_url(settings)
        return
    with broker_for(settings.var) as url:
        yield url
