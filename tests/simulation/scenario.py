"""What happens in the shops while the middleware works: orders are placed, paid, changed and cancelled, and webhooks tell of it."""

from datetime import timedelta
from decimal import Decimal
from random import Random

from tests.fakes.sales_channel import FakeSalesChannel, fake_body
from tests.simulation.faults import Faults
from tests.simulation.gateways import PILL
from tests.simulation.middleware import BAD_ITEM, NEW_ITEM, World
from tests.simulation.processes import Receiver
from tests.simulation.scheduler import Scheduler

_ITEMS = ("COMP-A", "COMP-B", "KIT-1", "comp-c")
_LAG = 240.0
_PILLS = 0.01


class Scenario:
    """The life of every order of a run, drawn at the beginning. `totals` keeps every total that each order has ever had."""

    def __init__(self, scheduler: Scheduler, world: World, *, faults: Faults, lasts: float) -> None:
        self.totals: dict[str, set[Decimal]] = {}
        self.changed_at = 0.0
        self.receiver: Receiver | None = None
        self._scheduler = scheduler
        self._random: Random = scheduler.random
        self._world = world
        self._faults = faults
        self._lasts = lasts
        self._delivery = 0

    def plan(self, *, orders: int) -> None:
        """Draw what will happen, and when."""
        shops = list(self._world.shops)
        for number in range(orders):
            self._plan_order(self._random.choice(shops), str(101 + number))
        if self._random.random() < 0.3:
            self._at(lambda: self._world.books.add_item(NEW_ITEM))

    def _plan_order(self, shop: str, order_id: str) -> None:
        random = self._random
        skus = random.choices(_ITEMS, k=random.choice((1, 1, 2)))
        if random.random() < 0.08:
            skus.append(random.choice((NEW_ITEM, NEW_ITEM, BAD_ITEM)))
        begin = random.random() * self._lasts * 0.7
        status = "pending" if random.random() < 0.2 else "processing"
        email = f"buyer{random.randint(1, 3)}@example.test"
        self._scheduler.after(begin, lambda: self._place(shop, order_id, skus, status, email))
        if status == "pending":
            self._after(begin, lambda: self._change(shop, order_id, status="processing"))
        for _ in range(random.choice((0, 0, 1, 2))):
            self._after(begin, lambda: self._edit(shop, order_id))
        if random.random() < 0.15:
            self._after(begin, lambda: self._change(shop, order_id, status="cancelled"))
            if random.random() < 0.3:
                self._scheduler.after(self._lasts, lambda: self._change(shop, order_id, status="processing"))

    def _at(self, action: object) -> None:
        assert callable(action)
        self._scheduler.after(self._random.random() * self._lasts, action)

    def _after(self, begin: float, action: object) -> None:
        """Soon after the order was placed, or at any time later."""
        assert callable(action)
        span = self._random.choice((60.0, 600.0, self._lasts))
        self._scheduler.after(min(begin + 0.001 + self._random.random() * span, self._lasts), action)

    def _place(self, shop: str, order_id: str, skus: list[str], status: str, email: str) -> None:
        channel = self._channel(shop)
        lines = [(sku, self._random.randint(1, 3), self._amount()) for sku in skus]
        credit = "1.00" if self._random.random() < 0.2 else "0.00"
        body = fake_body(
            order_id=order_id,
            status=status,
            lines=lines,
            tax=self._amount() if self._random.random() < 0.5 else "0.00",
            store_credit=credit,
            email=email,
            note=PILL if self._random.random() < _PILLS else "",
            at=channel.now,
        )
        channel.put(body)
        self._noted(shop, order_id, "is placed")

    def _amount(self) -> str:
        return str(Decimal(self._random.randint(200, 9999)) / 100)

    def _edit(self, shop: str, order_id: str) -> None:
        channel = self._channel(shop)
        body = channel.orders[order_id]
        lines = [{**line, "amount": self._amount()} for line in body["lines"]]
        total = sum(
            (Decimal(line["amount"]) for line in lines), Decimal(body["tax"]) - Decimal(body["store_credit"])
        )
        channel.change(order_id, lines=lines, total=str(total))
        self._noted(shop, order_id, "is edited")

    def _change(self, shop: str, order_id: str, *, status: str) -> None:
        self._channel(shop).change(order_id, status=status)
        self._noted(shop, order_id, f"becomes {status}")

    def _channel(self, shop: str) -> FakeSalesChannel:
        channel = self._world.shops[shop]
        channel.now = self._world.time_at(shop)
        return channel

    def _noted(self, shop: str, order_id: str, what: str) -> None:
        """Keep its total, and let the shop tell of it: perhaps never, perhaps twice, perhaps late."""
        body = self._world.shops[shop].orders[order_id]
        total = Decimal(body["total"])
        self._world.note_change(order_id, status=body["status"])
        self.totals.setdefault(order_id, set()).add(total)
        self.changed_at = self._scheduler.seconds
        self._scheduler.tell(shop, f"order {order_id} {what}, total {total}")
        if self.receiver is None:
            return
        receiver, random = self.receiver, self._random
        self._delivery += 1
        delivery = f"d{self._delivery}"
        copies = 1 + (random.random() < self._faults.doubled_message)
        for _ in range(copies):
            if random.random() >= self._faults.lost_message:
                lag = 1.0 + random.random() * (_LAG if random.random() < 0.3 else 5.0)
                self._scheduler.after(lag, lambda: receiver.deliver(shop, delivery, order_id))

    def set_clock(self, shop: str, *, by: timedelta) -> None:
        """The shop's clock is set."""
        self._world.ahead[shop] += by
        self._scheduler.tell(shop, f"its clock is set by {by}")
