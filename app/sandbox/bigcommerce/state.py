"""The store itself: its orders and what can happen to them. No HTTP in here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from app.sandbox.faults import Faults, read_fault

from .about import about_store
from .access import DEMO_CLIENT_SECRET, DEMO_STORE_HASH, DEMO_TOKENS, Keyring, Token
from .answers import ApiError, JsonObject, encode, not_found
from .build import build_order
from .dates import rfc_text, utc_now, whole_second
from .demo import demo_orders
from .faults import KINDS, LoggedRequest, RequestLog
from .generate import MAIL_DOMAIN, descriptions
from .hooks import HookDesk
from .limits import RateLimit
from .money import decimal
from .payments import give_back
from .records import Ids, Order, copied
from .shipments import ship
from .statuses import Labels
from .switches import Switches
from .totals import TotalRules
from .views import Views
from .writing import change, check_change, force


class Store:
    """A BigCommerce store in memory; every method may be called from any thread.

    ``clock`` gives the moment for everything the store writes, ``monotonic`` the seconds of the quota's window.
    Any field of :class:`Switches` may be given by name.
    """

    def __init__(
        self,
        orders: Iterable[JsonObject] = (),
        *,
        clock: Callable[[], datetime] = utc_now,
        store_hash: str = DEMO_STORE_HASH,
        tokens: Iterable[Token] = DEMO_TOKENS,
        client_secret: str = DEMO_CLIENT_SECRET,
        timezone: str = "America/Chicago",
        currency: str = "USD",
        quota: int = 150,
        window_seconds: float = 30.0,
        monotonic: Callable[[], float] = time.monotonic,
        first_id: int = 100,
        **switches: bool,
    ) -> None:
        self.clock = clock
        self.store_hash = store_hash
        self.timezone = timezone
        self.currency = currency
        self.switches = Switches(**switches)
        self.keyring = Keyring(tokens)
        self.labels = Labels()
        self.views = Views(store_hash, self.labels)
        self.limit = RateLimit(quota, window_seconds, monotonic)
        self.faults = Faults()
        self.log = RequestLog()
        self.stopping = threading.Event()
        self.hooks = HookDesk(
            store_hash, client_secret, self.now, any_destination=lambda: self.switches.allow_http_hooks
        )
        self.ids = Ids(first_id)
        self._orders: dict[int, Order] = {}
        self._lock = threading.RLock()
        for one in orders:
            self.add_order(one)

    def __len__(self) -> int:
        return len(self._orders)

    def now(self) -> datetime:
        """The store's moment, cut to the second."""
        return whole_second(self.clock())

    @property
    def rules(self) -> TotalRules:
        """How totals are made at present."""
        return TotalRules(self.switches.tender_in_total, self.switches.fees_in_total)

    @property
    def requests(self) -> list[LoggedRequest]:
        """The requests so far, control doors left out, oldest first."""
        return self.log.all()

    def counters(self) -> JsonObject:
        """How many requests came in, by route and by status, were refused by the quota, and came in the fullest window."""
        found = {
            "requests": len(self.requests),
            "refused": self.limit.refused,
            "by_route": self.log.by_route(),
            "by_status": self.log.by_status(),
        }
        return {**found, "most_in_window": self.limit.most_in_window, "quota": self.limit.quota}

    def add_fault(
        self, kind: str, *, method: str = "*", path: str = "", query: str = "", times: int = 1, skip: int = 0,
        seconds: float = 30,
    ) -> None:  # fmt: skip
        """Set a fault for the next ``times`` requests of a method whose path and query the patterns are found in.

        ``times`` below 0 is for ever; ``skip`` lets that many pass first; ``seconds`` is how long the slow ones take.
        """
        match = {"method": method, "path": path, "query": query}
        data = {"kind": kind, "match": match, "times": times, "skip": skip, "seconds": seconds}
        self.faults.add(read_fault(data, KINDS))

    def close(self) -> None:
        """Stop the background thread and every fault that is still sleeping."""
        self.stopping.set()
        self.hooks.close()

    # Reading

    def all_orders(self) -> list[Order]:
        """Every order there is, by id."""
        with self._lock:
            return [self._orders[order_id] for order_id in sorted(self._orders)]

    def read(self, make: Callable[[], Any]) -> bytes:
        """What ``make`` makes, as bytes, while nothing can change."""
        with self._lock:
            return encode(make())

    def find(self, order_id: int) -> Order:
        """An order, archived or not, or the 404."""
        found = self._orders.get(order_id)
        if found is None:
            raise not_found()
        return found

    def order(self, order_id: int) -> JsonObject:
        """A copy of one order's body, as GET answers it without side-loads."""
        with self._lock:
            found: JsonObject = copied(self.views.order(self.find(order_id)))
            return found

    def overview(self) -> list[JsonObject]:
        """Every order's id, status, modified date and staff notes, for the control door."""
        return [
            {
                "id": order.id,
                "status_id": order.status_id,
                "status": self.labels.of(order.status_id),
                "date_modified": rfc_text(order.modified),
                "is_deleted": order.body["is_deleted"],
                "total_inc_tax": order.body["total_inc_tax"],
                "staff_notes": order.body["staff_notes"],
            }
            for order in self.all_orders()
        ]

    # Writing

    def add_order(self, description: JsonObject | None = None, *, announce: bool = False) -> int:
        """Put an order into the store, as :mod:`app.sandbox.bigcommerce.build` describes it; returns its id."""
        with self._lock:
            order = build_order(
                description or {}, ids=self.ids, now=self.now(), currency=self.currency, rules=self.rules
            )
            self._orders[order.id] = order
            self.ids.seen("order", order.id)
        if announce:
            self._announce(order.id, "created")
        return order.id

    def add_demo_orders(self) -> list[int]:
        """Put the orders of the demo in."""
        return [self.add_order(one) for one in demo_orders().values()]

    def generate(
        self,
        count: int,
        lines: int = 2,
        skus: Iterable[str] = (),
        *,
        spread_seconds: float = 0,
        mail_domain: str = MAIL_DOMAIN,
        announce: bool = False,
        overrides: JsonObject | None = None,
    ) -> list[int]:
        """Make valid, paid orders that await fulfilment; their dates end now and cover ``spread_seconds``.

        Every order has a buyer of its own. ``overrides`` are fields of a description that all of them get.
        """
        with self._lock:
            now, step = self.clock(), spread_seconds / max(count - 1, 1)
            moments = [now - timedelta(seconds=step * (count - 1 - place)) for place in range(count)]
            made = descriptions(self.ids, moments, lines=lines, skus=list(skus), mail_domain=mail_domain)
            ids = [self.add_order({**one, **(overrides or {})}) for one in made]
        if announce:
            for order_id in ids:
                self._announce(order_id, "created")
        return ids

    def put(self, order_id: int, data: Any) -> JsonObject:
        """PUT an order: the date moves even when nothing changes, and webhooks fire."""
        with self._lock:
            order = self.find(order_id)
            fields, before = check_change(order, data), order.status_id
            change(order, fields, ids=self.ids, now=self.now(), rules=self.rules)
            order.modified = self.now()
            shown: JsonObject = copied(self.views.order(order))
        self._announce_change(order_id, before)
        return shown

    def update(
        self, order_id: int, changes: JsonObject, *, announce: bool = True, moves_date: bool = True
    ) -> None:
        """Change any field as somebody in the control panel, or a test, does; nothing is checked or worked out."""
        with self._lock:
            order = self.find(order_id)
            before = order.status_id
            force(order, changes, self.now())
            if moves_date and "date_modified" not in changes:
                order.modified = self.now()
        if announce:
            self._announce_change(order_id, before)

    def touch(self, order_id: int, modified: datetime | str | None = None, *, announce: bool = False) -> None:
        """Move the modified date, to now where no moment is named, and nothing else."""
        changes = {} if modified is None else {"date_modified": modified}
        self.update(order_id, changes, announce=announce)

    def archive(self, order_id: int) -> None:
        """DELETE an order: it stays, ``is_deleted``."""
        with self._lock:
            order = self.find(order_id)
            order.body["is_deleted"], order.modified = True, self.now()
        self._announce(order_id, "archived")

    def remove(self, order_id: int) -> None:
        """Take an order away for good: 404 from then on."""
        with self._lock:
            self.find(order_id)
            del self._orders[order_id]

    def revoke(self, token: str) -> None:
        """Delete the API account of a token, and its hooks with it."""
        account = self.keyring.known(token).client_id
        for hook in self.hooks.book.of(account):
            self.hooks.book.delete(account, hook.id)
        self.keyring.revoke(token)

    def ship(self, order_id: int, data: Any) -> JsonObject:
        """POST a shipment. **Not idempotent**: the same body makes a second one."""
        with self._lock:
            order = self.find(order_id)
            before, now = order.status_id, self.now()
            shipment = ship(
                order, data, ids=self.ids, now=now, moves_status=self.switches.shipment_moves_status
            )
            order.modified = now
        self.hooks.announce(
            "store/shipment/created", {"type": "shipment", "id": shipment["id"], "orderId": order_id}
        )
        self._announce_change(order_id, before)
        return shipment

    def delete_shipment(self, order_id: int, shipment_id: int) -> None:
        """DELETE a shipment: what was shipped stays shipped."""
        with self._lock:
            order = self.find(order_id)
            left = [row for row in order.shipments if row["id"] != shipment_id]
            if len(left) == len(order.shipments):
                raise not_found()
            order.shipments, order.modified = left, self.now()
        about = {"type": "shipment", "id": shipment_id, "orderId": order_id}
        self.hooks.announce("store/shipment/deleted", about)

    def add_metafield(self, order: Order, row: JsonObject, *, most: int) -> JsonObject:
        """POST a metafield: 409 for a namespace and key that the account has used already."""
        with self._lock:
            own = [one for one in order.metafields if one["owner_client_id"] == row["owner_client_id"]]
            if any((one["namespace"], one["key"]) == (row["namespace"], row["key"]) for one in own):
                raise ApiError(409, "There is a metafield of this namespace and key.")
            if len(own) >= most:
                raise ApiError(422, f"There are {most} metafields already.", {})
            kept = {"id": self.ids.next("metafield"), **row}
            order.metafields.append(kept)
            return kept

    def refund(self, order_id: int, amount: str | Decimal | None = None, *, reason: str = "") -> JsonObject:
        """Give money back, all of it where no amount is named: a refund, a transaction, and the status."""
        with self._lock:
            order = self.find(order_id)
            before, now = order.status_id, self.now()
            given = decimal(order.body["total_inc_tax"] if amount is None else amount)
            row = give_back(order, given, ids=self.ids, now=now, reason=reason)
            order.modified = now
        about = {"type": "order", "id": order_id, "refund": {"refund_id": row["id"]}}
        self.hooks.announce("store/order/refund/created", about)
        self._announce_change(order_id, before)
        return row

    def _announce(self, order_id: int, event: str) -> None:
        self.hooks.announce(f"store/order/{event}", {"type": "order", "id": order_id})

    def _announce_change(self, order_id: int, before: int) -> None:
        self._announce(order_id, "updated")
        order = self._orders.get(order_id)
        if order is not None and order.status_id != before:
            status = {"previous_status_id": before, "new_status_id": order.status_id}
            self.hooks.announce(
                "store/order/statusUpdated", {"type": "order", "id": order_id, "status": status}
            )

    def about(self) -> JsonObject:
        """What ``/store`` answers."""
        return about_store(self.store_hash, ZoneInfo(self.timezone), self.currency, self.now())
