"""The middleware under simulation: its real use-cases, put together with connectors of the fakes instead of real ones."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any, cast

from app.domain.kits import Component
from app.domain.order import Order
from app.domain.windows import Window
from app.errors import OrderSyncError, Unknown
from app.ports.connector import Account, Connector
from app.ports.erp import Draft, Erp, ErpCustomer, ErpDocument, ErpItem, Told
from app.ports.hooks import Delivery, HookDesk, HookKeys, Hooks, Received
from app.ports.sales_channel import SalesChannel
from app.ports.store import ErpRow, NewErp, NewSite, Site, Store
from app.sync.options import read_erp_settings, read_site_settings
from app.sync.parts import Limits, Parts
from tests.fakes.erp import FakeErp
from tests.fakes.sales_channel import FakeSalesChannel
from tests.simulation.gateways import Actor, ErpGateway, ShopGateway, StoreGateway

LIMITS = Limits(http_timeout=60.0, soft_time_limit=240.0, time_limit=270.0, lease=300.0)
"""The program's own defaults."""

T_LATE = 1200.0
"""Business Central's: the 600 s that it may still commit, a pause of ours, and a margin."""

WINDOW = Window(weekday=6, start=time(19, 0), length=timedelta(hours=1))
SHOP, ERP = "a_shop", "an_erp"
NEW_ITEM, BAD_ITEM = "NEW-1", "BAD-9"
"""An item that is sold later, if at all, and one that never is."""

_FRESH = timedelta(minutes=5)
_FAR = timedelta(days=3650)


def _no_account(_account: Account) -> Any:
    raise AssertionError("peers are not opened by their connectors here")


def _read_delivery(received: Received, _keys: HookKeys, _now: datetime) -> Delivery:
    given = json.loads(received.body)
    return Delivery(delivery_id=given["delivery"], topic=received.topic, platform_order_id=given["order"])


def _as_they_are(given: Mapping[str, str]) -> dict[str, Any]:
    return dict(given)


CONNECTORS = {
    SHOP: Connector(
        platform=SHOP,
        title="A Shop",
        port="sales_channel",
        open=_no_account,
        read_settings=_as_they_are,
        credentials=(),
        hooks=Hooks(topics=("order",), read=_read_delivery, open=_no_account),
    ),
    ERP: Connector(
        platform=ERP,
        title="An ERP",
        port="erp",
        open=_no_account,
        read_settings=_as_they_are,
        credentials=(),
        windows=(WINDOW,),
        late=timedelta(seconds=T_LATE),
    ),
}


class Passes:
    """Recent passes of SKUs, as Redis would remember them: shared by all processes."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._found: dict[tuple[int, str], tuple[datetime, ErpItem]] = {}

    def recent(self, erp_id: int, skus: Sequence[str]) -> Mapping[str, ErpItem]:
        since = self._clock() - _FRESH
        known = {sku: self._found[erp_id, sku] for sku in skus if (erp_id, sku) in self._found}
        return {sku: item for sku, (at, item) in known.items() if at > since}

    def remember(self, erp_id: int, items: Iterable[ErpItem]) -> None:
        now = self._clock()
        self._found |= {(erp_id, item.number): (now, item) for item in items}


class Books(FakeErp):
    """The ERP's books. With `unique` it refuses a second document of a number, and a second customer of an address."""

    unique = False

    def create_customer(self, order: Order, *, in_time: Callable[[], bool], told: Told) -> ErpCustomer:
        email = order.bill.email.lower()
        if self.unique and any(each.email.lower() == email for each in self.customers):
            raise Unknown("There is such a customer already.")
        return super().create_customer(order, in_time=in_time, told=told)

    def _write(self, draft: Draft) -> ErpDocument | OrderSyncError:
        if self.unique and self._with_number(draft.external_number):
            return Unknown("There is such a document already.")
        return super()._write(draft)


class World:
    """What lies outside: the shops by their names, by how much their clocks go before ours, and the ERP's books.

    `changed_at` is when each order was changed last, and `cancelled_at` since when those that are cancelled are, by our clock.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.shops: dict[str, FakeSalesChannel] = {}
        self.ahead: dict[str, timedelta] = {}
        self.changed_at: dict[str, datetime] = {}
        self.cancelled_at: dict[str, datetime] = {}
        self.books = Books(clock=clock)
        self._clock = clock

    def note_change(self, order_id: str, *, status: str) -> None:
        """An order was changed just now."""
        now = self._clock()
        self.changed_at[order_id] = now
        if status == "cancelled":
            self.cancelled_at.setdefault(order_id, now)
        else:
            self.cancelled_at.pop(order_id, None)

    def time_at(self, shop: str) -> datetime:
        """What the shop's clock shows, which tells whole seconds."""
        return (self._clock() + self.ahead[shop]).replace(microsecond=0)


class SimulatedPeers:
    """Implements `Peers` for one process."""

    def __init__(self, actor: Actor, world: World) -> None:
        self._actor = actor
        self._world = world

    def channel(self, site: Site) -> SalesChannel:
        shop = self._world.shops[site.name]
        return ShopGateway(self._actor, shop, lambda: self._world.time_at(site.name))

    def erp(self, row: ErpRow) -> Erp:
        return ErpGateway(self._actor, self._world.books)

    def hook_desk(self, site: Site) -> HookDesk:
        raise AssertionError("nobody sets webhooks up here")

    def connector(self, platform: str) -> Connector:
        return CONNECTORS[platform]

    def encrypt(self, credentials: dict[str, str]) -> str:
        return json.dumps(credentials)

    def decrypt(self, stored: str, *, name: str) -> dict[str, str]:
        found: dict[str, str] = json.loads(stored)
        return found

    def check_address(self, url: str, *, allow_private: bool) -> None:
        pass

    def check_late(self, name: str, seconds: float) -> None:
        pass


def parts_of(actor: Actor, store: object, world: World, passes: Passes) -> Parts:
    """The parts of one process, each call of which is a point."""
    random = actor.scheduler.random
    return Parts(
        store=cast("Store", StoreGateway(actor, store)),
        peers=SimulatedPeers(actor, world),
        passes=passes,
        limits=actor.limits,
        spread=lambda seconds: random.random() * seconds,
        ticks=actor.ticks,
    )


def connect(store: Store, world: World, *, late: float, most: int) -> None:
    """The rows of the ERP, its items and kits, and of every shop of the world."""
    late_setting = {"t_late": str(late), "items_schedule": "25 * * * *"}
    erp_id = store.add_erp(
        NewErp(
            name="erp",
            platform=ERP,
            url="https://erp.example.test",
            company="",
            allow_private=False,
            settings=read_erp_settings(late_setting, platform=_as_they_are, late=timedelta(seconds=T_LATE)),
            credentials="{}",
        )
    )
    for name in world.shops:
        site_id = store.add_site(
            NewSite(
                name=name,
                platform=SHOP,
                url=f"https://{name}.example.test",
                prefix=name.upper(),
                erp_id=erp_id,
                allow_private=False,
                settings=read_site_settings(
                    {"schedule": "*/10 * * * *", "max_orders_per_run": str(most)}, platform=_as_they_are
                ),
                credentials="{}",
                order_next_run=store.now(),
            )
        )
        store.keep_hooks(site_id, url=f"https://hooks.example.test/{name}", secrets="{}")
        store.plan_reconciliation(site_id, at=store.now() + _FAR)
    for sku in ("COMP-A", "COMP-B", "COMP-C"):
        world.books.add_item(sku)
    world.books.add_item("KIT-1")
    store.save_items(erp_id, tuple(world.books.items.values()), source="erp", cursor=None)
    store.save_kits(
        {
            "KIT-1": (
                Component(sku="COMP-B", quantity=Decimal(2)),
                Component(sku="COMP-C", quantity=Decimal(1)),
            )
        }
    )
