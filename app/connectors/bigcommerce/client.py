"""A BigCommerce store as a sales channel: each ability of the port in its own module, and what they share."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from app.connectors.bigcommerce.bodies import listed
from app.connectors.bigcommerce.calls import Calls
from app.connectors.bigcommerce.census import census
from app.connectors.bigcommerce.examination import COUNT, counted, examine
from app.connectors.bigcommerce.figures import figures, worth
from app.connectors.bigcommerce.mapping import normalize
from app.connectors.bigcommerce.marking import Marking, system_time
from app.connectors.bigcommerce.parts import complete
from app.connectors.bigcommerce.reading import ByTime, changed, read
from app.connectors.bigcommerce.settings import Settings
from app.connectors.bigcommerce.sighting import Sighter
from app.connectors.bigcommerce.statuses import choose, number_of
from app.connectors.bigcommerce.survey import survey
from app.domain.order import Order
from app.domain.reading import Position
from app.errors import OrderSyncError
from app.ports.connector import Account
from app.ports.examination import Examination
from app.ports.sales_channel import Figure, Gone, Listed, Page, Probe, Seen
from app.ports.survey import Survey
from app.transport.addresses import is_loopback


class BigCommerce:
    """One store. Implements `SalesChannel`; not shared between threads, though it uses several of its own."""

    def __init__(
        self,
        account: Account,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = system_time,
    ) -> None:
        self._settings = Settings.stored(account.settings)
        self._is_near = is_loopback(account.url)
        self._now = now
        self._known: Sighter | None = None
        self._by_time = ByTime()
        self._calls = Calls(
            account,
            ceilings=self._settings.ceilings,
            parallel=self._settings.parallel,
            clock=clock,
            sleep=sleep,
        )

    def changed(self, position: Position, *, page_size: int) -> Page:
        """Orders with one of the site's statuses, modified at or after `position.since`; see the port."""
        self._calls.begin()
        return changed(
            self._calls,
            self._sighter(),
            position,
            by_time=self._by_time,
            page_size=page_size,
            watch_acknowledged=self._settings.watch_acknowledged,
        )

    def read(self, platform_order_ids: Sequence[str]) -> Mapping[str, Seen | Gone]:
        """How these orders stand now, whatever their status."""
        if not platform_order_ids:
            return {}
        self._calls.begin()
        return read(self._calls, self._sighter(), list(dict.fromkeys(platform_order_ids)))

    def acknowledge(self, platform_order_ids: Sequence[str]) -> Mapping[str, Seen | OrderSyncError]:
        """Set the status and append our line to the staff notes; see `Marking`."""
        if not platform_order_ids:
            return {}
        self._calls.begin()
        marking = Marking(self._calls, self._sighter(), settings=self._settings, now=self._now)
        return marking.acknowledge(list(dict.fromkeys(platform_order_ids)))

    def complete(self, bodies: Sequence[str]) -> Sequence[str | OrderSyncError]:
        """These bodies with lines beyond the fiftieth, coupons and transactions, where they are needed."""
        return complete(self._calls, bodies, settings=self._settings)

    def normalize(self, body: str, *, prefix: str) -> Order:
        """The order in `body` in our own words. Pure. Raises `Reject` with every fault named."""
        return normalize(body, prefix=prefix, settings=self._settings)

    def worth(self, body: str) -> tuple[Decimal, str] | None:
        """The platform's own total and currency, None where they cannot be read."""
        return worth(body)

    def figures(self, body: str, *, prefix: str) -> tuple[Figure, ...]:
        """Where the amounts of `normalize(body)` come from. Pure. Raises `Reject` like that."""
        return figures(body, prefix=prefix, settings=self._settings)

    def probe(self) -> Probe:
        """The store's own count of its orders."""
        self._calls.begin()
        answer = self._calls.get(COUNT)
        return Probe(orders=counted(answer), answered_at=answer.answered_at)

    def examine(self) -> Examination:
        """What can be proved without changing anything, that the token may write among it."""
        self._calls.begin()
        return examine(self._calls, settings=self._settings, is_near=self._is_near)

    def census(self, *, since: datetime | None, until: datetime) -> Iterator[tuple[Listed, ...]]:
        """Every eligible order created from `since` to `until`, status by status, in the order of their ids."""
        self._calls.begin()
        yield from census(self._calls, self._sighter(), settings=self._settings, since=since, until=until)

    def survey(self, *, orders: int) -> Survey:
        """What this very store does where the documentation leaves it open."""
        self._calls.begin()
        return survey(self._calls, self._sighter(), settings=self._settings, count=orders)

    def _sighter(self) -> Sighter:
        """With the ids of the statuses; labels are looked up once, and refused unless they name exactly one."""
        if self._known is None:
            chosen = self._settings
            words = (*chosen.statuses, chosen.ack_status)
            labels = any(number_of(word) is None for word in words)
            rows = listed(self._calls.get("/v2/order_statuses")) if labels else None
            found = choose(statuses=chosen.statuses, ack_status=chosen.ack_status, listed=rows)
            self._known = Sighter(settings=chosen, read=found.read, acknowledged=found.acknowledged)
        return self._known
