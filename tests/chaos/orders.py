"""What happens in the shops: orders of many shapes, some of them bad, some edited or cancelled after a while."""

import copy
import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.sandbox.shop import Shop, recorded_orders
from tests.chaos.peers import Peers

Json = dict[str, Any]

SKUS = ("WID-001", "COMP-A", "COMP-B", "THIRD-3", "HOSE-3", "TS-1", "KIT-PARENT-123")
_UNKNOWN = "NOBODY-SELLS-THIS"
_RECORDED = {
    each: next(body for body in recorded_orders() if body["id"] == each) for each in (146, 152, 159, 169, 188)
}
"""Recorded orders by id, as shapes: tax upon tax, kits, notes on lines, two coupons, a coupon of the storefront."""


class Buyers:
    """Fewer people than orders, the same in both shops, so that the ERP is asked for the same customer again and again."""

    def __init__(self, chance: random.Random, *, people: int) -> None:
        self._chance = chance
        self._people = max(1, people)

    def email(self) -> str:
        """Somebody's address, now and then in capitals."""
        address = f"buyer{self._chance.randint(1, self._people)}@chaos.example.test"
        return address.upper() if self._chance.random() < 0.05 else address


class Traffic:
    """The orders of one run. `counts` says how many there were of each shape and how many were changed."""

    def __init__(self, peers: Peers, *, chance: random.Random, orders: int) -> None:
        self.counts: Counter[str] = Counter()
        self.placed = 0
        self.changeable: list[tuple[str, int]] = []
        self._priced: set[int] = set()
        """Orders of the second shop whose amounts may be changed: the sums of the others are not as simple."""
        self._peers = peers
        self._chance = chance
        self._buyers = Buyers(chance, people=orders // 2)
        self._template = Shop((), clock=peers.clock)
        self._late = 0

    def place(self) -> None:
        """One more order, in one of the shops; its webhook is lost now and then."""
        shop = self._chance.choices(("woo", "big"), weights=(3, 1))[0]
        announced = self._chance.random() > 0.15
        door = f"orders?announce={int(announced)}"
        peer = self._peers.woo if shop == "woo" else self._peers.big
        shape, body = self._woo() if shop == "woo" else self._big()
        (order_id,) = peer.tell("POST", door, body)["ids"]
        self.counts[f"{shop}:{shape}"] += 1
        self.placed += 1
        if shape not in {"unknown_sku", "wrong_total"}:
            self.changeable.append((shop, order_id))
            if shop == "big" and shape in {"plain", "later_sku"}:
                self._priced.add(order_id)

    def change(self) -> str:
        """Somebody changes one of the last hundred orders, or cancels it. Says which, or nothing where there is none."""
        if not self.changeable:
            return ""
        shop, order_id = self._chance.choice(self.changeable[-100:])
        if self._chance.random() < 0.3:
            self.changeable.remove((shop, order_id))
            self.counts["cancelled"] += 1
            if shop == "woo":
                self._peers.edit_woo(order_id, {"status": "cancelled"})
            else:
                self._peers.edit_big(order_id, {"status_id": 5})
            return f"cancelled {shop} {order_id}"
        self.counts["edited"] += 1
        if shop == "woo":
            fee = {"name": "Rush handling", "total": f"{self._chance.randint(1, 900) / 100:.2f}"}
            self._peers.edit_woo(order_id, {"fee_lines": [fee]})
        elif order_id in self._priced and self._chance.random() < 0.6:
            self.counts["amounts"] += 1
            self._peers.take_off_big(order_id, Decimal(self._chance.randint(1, 99)) / 100)
        else:
            self._peers.edit_big(order_id, {"customer_message": f"Changed {self.counts['edited']} times."})
        return f"edited {shop} {order_id}"

    def shuffle_hooks(self) -> None:
        """Webhooks of one shop come twice or not, late, and in the wrong order; those of the other later or sooner."""
        self._peers.big.tell("PUT", "webhooks", {"duplicates": self._chance.choice((0, 0, 1, 2))})
        if self._chance.random() < 0.5:
            self._peers.big.tell("PUT", "webhooks", {"hold": True})
        else:
            self._peers.big.tell("PUT", "webhooks", {"release": "backwards"})
        self._peers.woo.tell("PUT", "settings", {"webhook_delay": self._chance.choice((0.0, 0.05, 0.5, 2.0))})

    def let_hooks_go(self) -> None:
        """Everything that was kept back is sent."""
        self._peers.big.tell("PUT", "webhooks", {"duplicates": 0, "release": "backwards"})

    def _shape(self) -> str:
        drawn = self._chance.random()
        for shape, share in (("unknown_sku", 0.02), ("wrong_total", 0.01), ("later_sku", 0.02)):
            if drawn < share:
                return shape
            drawn -= share
        return "plain" if drawn < 0.6 else "other"

    def _new_item(self) -> str:
        """An item that the ERP has from now on, and that the middleware has not read yet."""
        self._late += 1
        sku = f"LATER-{self._late}"
        self._peers.erp.tell("POST", "items", {"number": sku, "displayName": f"Later item {self._late}"})
        return sku

    def _woo(self) -> tuple[str, Json]:
        shape = self._shape()
        lines = self._chance.randint(1, 4)
        first = self._chance.randrange(len(SKUS))
        skus = [SKUS[(first + step) % len(SKUS)] for step in range(lines)]
        (order_id,) = self._template.generate(1, lines, skus)
        body = self._template.order(order_id)
        if shape == "other":
            place = self._chance.choice(list(_RECORDED))
            body = _as_new(_RECORDED[place], order_id, at=self._peers.clock())
            shape = f"recorded_{place}"
        # The template keeps no order, else it would grow with the run.
        self._template.delete(order_id, force=True)
        body["billing"]["email"] = self._buyers.email()
        first_line = body["line_items"][0]
        if shape == "unknown_sku":
            first_line["sku"] = _UNKNOWN
        elif shape == "later_sku":
            first_line["sku"] = self._new_item()
        elif shape == "wrong_total":
            body["total"] = f"{float(body['total']) + 1.01:.2f}"
        return shape, body

    def _big(self) -> tuple[str, Json]:
        shape = self._shape()
        products: list[Json] = [
            {"sku": self._chance.choice(SKUS), "quantity": self._chance.randint(1, 4)}
            for _ in range(self._chance.randint(1, 3))
        ]
        body: Json = {
            "products": products,
            "billing_address": {"email": self._buyers.email()},
            "shipping_cost": self._chance.choice(("0.00", "5.00", "7.95")),
        }
        if shape == "other":
            shape, change = self._chance.choice(_BIG_SHAPES)
            change(body)
        elif shape == "unknown_sku":
            products[0] |= {"sku": _UNKNOWN, "price": "12.00"}
        elif shape == "later_sku":
            products[0] |= {"sku": self._new_item(), "price": "9.50"}
        elif shape == "wrong_total":
            body["total_inc_tax"] = "1234.5600"
        return shape, body


def _as_new(recorded: Json, order_id: int, *, at: datetime) -> Json:
    """A recorded order as if it came in at this moment."""
    body = copy.deepcopy(recorded)
    now = at.strftime("%Y-%m-%dT%H:%M:%S")
    body |= {
        "id": order_id,
        "number": str(order_id),
        "order_key": f"wc_order_chaos{order_id}",
        "meta_data": [],
    }
    for name in ("created", "modified", "paid"):
        body |= {f"date_{name}": now, f"date_{name}_gmt": now}
    body["status"] = "processing"
    return body


def _discount(body: Json) -> None:
    body["discount_amount"] = "1.50"


def _coupon(body: Json) -> None:
    body["coupons"] = [{"code": "TEN", "discount": "2.49", "amount": 10, "type": 1}]


def _inclusive(body: Json) -> None:
    body |= {"is_tax_inclusive_pricing": True, "tax_rate": "0.2"}


def _handling(body: Json) -> None:
    body["handling_cost"] = "2.50"
    body["products"][0]["wrapping"] = {"cost": "3.00", "name": "Stars", "message": "For you"}


_BIG_SHAPES: tuple[tuple[str, Callable[[Json], None]], ...] = (
    ("discount", _discount),
    ("coupon", _coupon),
    ("tax_inclusive", _inclusive),
    ("handling", _handling),
)
