"""One order with everything that is stored of it, and letting it go on."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from app.domain.road import State
from app.errors import OrderSyncError
from app.ports.audit import Received
from app.ports.erp import PlannedLine
from app.ports.searching import FoundOrder, OrderRows, Search
from app.ports.store import Bell
from app.sync.panel.parts import Panel
from app.sync.pretty import pretty
from app.sync.resume import How, Result, resume, retry
from app.sync.trace import Life, Moment, life_of

_ORDER = "sales order"
"""What the ERP's connector calls the request that writes an order."""

_MOST_COMPARED = 5_000
"""Lines of a body, beyond which a comparison takes too long for a page."""


@dataclass(frozen=True, slots=True)
class ErpLines:
    """The lines of the request that wrote the order last, as it was sent; `why_not` says why there are none to be shown."""

    lines: tuple[PlannedLine, ...] = ()
    why_not: str = ""

    @property
    def net(self) -> Decimal:
        """What they come to."""
        return sum((each.net for each in self.lines), Decimal(0))


@dataclass(frozen=True, slots=True)
class OrderPage:
    """An order's rows, its life, and what the ERP got of it."""

    key: str
    rows: OrderRows
    life: Life
    erp: ErpLines

    @property
    def is_moving(self) -> bool:
        """Whether something will happen to it soon."""
        return bool(self.rows.thread["state"] == State.ACTIVE)

    @property
    def is_stopped(self) -> bool:
        """Whether a person can let it go on from where it stopped."""
        return not self.is_over and (
            self.rows.thread["state"] == State.REJECTED or any(each["open_key"] for each in self.rows.errors)
        )

    @property
    def is_held(self) -> bool:
        """Whether it waits, and nothing else is wrong with it."""
        return bool(self.rows.thread["state"] == State.HELD) and not self.is_stopped

    @property
    def is_over(self) -> bool:
        """Whether nothing can be done for it any more."""
        return bool(self.rows.thread["archived_at"] or self.rows.thread["erased_at"])

    @property
    def assignees(self) -> list[str]:
        """Who has its open errors."""
        return sorted(
            {each["assignee"] for each in self.rows.errors if each["open_key"] and each["assignee"]}
        )


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an order as it was received, and what it changed of the one before; empty where nothing can be compared."""

    received: Received
    latest: int
    changes: tuple[str, ...]


def orders_of(panel: Panel, key: str, *, site: str | None = None) -> tuple[FoundOrder, ...]:
    """The orders that a key names: by number, or else by the platform's id, or else by what else names them; of this site."""
    found = panel.store.orders_with_key(key, Search(site=site))
    by_number = tuple(each for each in found if each.order_number == key)
    return by_number or tuple(each for each in found if each.platform_order_id == key) or found


def order_page(panel: Panel, order: FoundOrder) -> OrderPage:
    """All that is stored of an order, but the bodies that were received."""
    rows = panel.store.order_rows(order.id)
    life = life_of(panel.parts, order.id)
    return OrderPage(order.key, rows, life, _erp_lines(panel, rows, life))


def _erp_lines(panel: Panel, rows: OrderRows, life: Life) -> ErpLines:
    requests = [
        each["request"]
        for moment in life.moments
        for each in moment.sent
        if each.get("what") == _ORDER and each.get("request")
    ]
    if rows.order is None or not requests:
        return ErpLines()
    erp_id = rows.order["erp_id"]
    row = next((each for each in panel.store.erps() if each.id == erp_id), None)
    if row is None:
        return ErpLines(
            why_not="The ERP that it went to is not connected any more, so its lines there cannot be told."
        )
    try:
        erp = panel.parts.peers.erp(row)
        return ErpLines(tuple(erp.sent_lines(str(requests[-1]), currency=rows.order["currency"])))
    except OrderSyncError as error:
        return ErpLines(why_not=f"What was sent to the ERP cannot be told: {error.reason}")


def sent_at(panel: Panel, order: FoundOrder, number: int) -> Moment | None:
    """The event of this number with the requests that were made for it and their answers; None where there were none."""
    moments = life_of(panel.parts, order.id).moments
    return next((each for each in moments if each.number == number and each.sent), None)


def version_of(panel: Panel, order: FoundOrder, version: int) -> Version | None:
    """One version of an order as the platform showed it, beside the one before; None where it was never received."""
    received = {each.version: each for each in panel.store.history_of(order.id).received}
    if version not in received:
        return None
    before = max((each for each in received if each < version), default=None)
    found = received[version]
    changes = () if before is None else _changes(received[before].body, found.body)
    return Version(found, max(received), changes)


def _changes(before: str, after: str) -> tuple[str, ...]:
    old, new = (pretty(each).splitlines() for each in (before, after))
    if not before or not after or max(len(old), len(new)) > _MOST_COMPARED:
        return ()
    return tuple(difflib.unified_diff(old, new, lineterm="", n=2))[2:]


def let_go_on(
    panel: Panel, order: FoundOrder, *, by: str, held: bool, ring: Callable[[Bell], bool]
) -> tuple[Result, bool]:
    """Let an order go on from where it stopped, with `held` also where it waits. What came of it, and whether a worker was told."""
    unheard: list[Bell] = []

    def told(bell: Bell) -> None:
        if not ring(bell):
            unheard.append(bell)

    orders = panel.store.desk_orders([order.id])
    way = retry if held else resume
    (result,) = way(panel.parts, orders, How(by=by, held=held), ring=told)
    return result, not unheard
