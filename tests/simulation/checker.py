"""What must be true: at every moment of a run, and when it has come to rest. It believes the shops, the ERP and the rows alone."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from app.domain.road import STEP_UNFINISHED, UNFINISHED, Stage, State
from app.domain.windows import closed_until
from tests.simulation.gateways import Actor
from tests.simulation.middleware import WINDOW, World
from tests.simulation.processes import SWEEP_SECONDS
from tests.simulation.stores import Row, Rows

_ERP_CALLS = {"find_items", "changed_items", "find_customers", "find_documents", "create_customer", "create_documents"}
_TO_A_PERSON = {"bad_sku", "crash"}
"""The only errors that a run can bring about: an item that is not sold, and a row whose process was killed again and again."""

_QUIET = timedelta(seconds=3 * SWEEP_SECONDS)


class Checker:
    """Collects what was found to be wrong, each sentence once."""

    def __init__(self, world: World, rows: Rows, *, now: Callable[[], datetime], tell: Callable[[str], None]) -> None:
        self.wrong: list[str] = []
        self.checks_cursor = True
        self._world = world
        self._rows = rows
        self._now = now
        self._tell = tell

    def fail(self, kind: str, sentence: str) -> None:
        """Something is wrong; `kind` is its one word."""
        found = f"{kind}: {sentence}"
        if found not in self.wrong:
            self.wrong.append(found)
            self._tell(f"WRONG {found}")

    # At every moment.

    def watch(self, actor: Actor, name: str, about: Sequence[str]) -> None:
        """A call of a peer begins."""
        if name in _ERP_CALLS:
            # One who is woken up after all limits knows nothing of the time; the limits are what bounds that.
            in_time = actor.elapsed <= actor.limits.soft_time_limit
            if in_time and closed_until(self._now(), windows=(WINDOW,)) is not None:
                self.fail("window", f"{actor.name} called {name} within the ERP's maintenance at {self._now()}")
        elif name == "acknowledge":
            written = {row["platform_order_id"] for row in self._rows("rm_order")}
            for each in about:
                if each not in written:
                    self.fail("marked early", f"order {each} was marked in its shop before it was written")

    def page_stored(self, site_id: int) -> None:
        """No cursor stands beyond an order that is not stored as it is shown."""
        if not self.checks_cursor:
            return
        site = next(row for row in self._rows("rm_sites") if row["id"] == site_id)
        if site["cursor_modified"] is None:
            return
        threads = {row["platform_order_id"]: row for row in self._rows("rm_thread") if row["site_id"] == site_id}
        shop = self._world.shops[site["name"]]
        for order_id in shop.orders:
            seen = shop._seen(order_id)
            assert seen.modified_at is not None
            if not seen.eligible or seen.modified_at > site["cursor_modified"]:
                continue
            thread = threads.get(order_id)
            if thread is None or thread["content_hash"] != seen.content_hash:
                self.fail("cursor", f"the cursor stands at {site['cursor_modified']}, beyond the order {order_id}")

    # At rest.

    def unfinished(self) -> list[Row]:
        """The orders that are on their way: all that are neither at an end nor wait for an item that the ERP does not have."""
        return [
            row
            for row in self._rows("rm_thread")
            if row["state"] in UNFINISHED and not (row["state"] == State.HELD and row["hold_kind"] == "sku")
        ]

    def at_rest(self, totals: Mapping[str, set[Decimal]]) -> None:
        """Every promise, once nothing moves any more."""
        threads = {row["platform_order_id"]: row for row in self._rows("rm_thread")}
        if len(threads) != len(self._rows("rm_thread")):
            self.fail("rows", "an order has two rows")
        for name, shop in self._world.shops.items():
            for order_id, body in shop.orders.items():
                self._order(f"{name.upper()}-{order_id}", body, threads.get(order_id), totals[order_id])
        self._money()
        self._customers()
        self.next_times()

    def _order(self, number: str, body: Mapping[str, Any], thread: Row | None, totals: set[Decimal]) -> None:
        documents = [each for each in self._world.books.documents if each.external_number == number]
        eligible = body["status"] == "processing"
        if len(documents) > 1:
            self.fail("duplicated", f"the ERP has {len(documents)} documents for {number}")
        if thread is None:
            if eligible:
                self.fail("lost", f"{number} was never stored")
            return
        if documents:
            self._document(number, documents[0].total, body, thread, totals)
        written = any(row["thread_id"] == thread["id"] for row in self._rows("rm_order"))
        if body["marked"] and not written:
            self.fail("marked early", f"{number} is marked in its shop and was never written")
        errors = [
            row for row in self._rows("rm_error_orders") if row["thread_id"] == thread["id"] and row["open_key"]
        ]
        for error in errors:
            if error["kind"] not in _TO_A_PERSON:
                self.fail("error", f"{number}: {error['kind']}: {error['reason']}")
        match State(thread["state"]):
            case State.DONE:
                if not documents:
                    self.fail("lost", f"{number} counts as done, and the ERP has no document")
            case State.REJECTED:
                if len(errors) != 1:
                    self.fail("lost", f"{number} is rejected and has {len(errors)} open errors")
            case State.CLOSED:
                if eligible:
                    self.fail("lost", f"{number} is closed although its shop wants it")
            case State.HELD if thread["hold_kind"] == "sku":
                pass
            case state:
                self.fail("stuck", f"{number} is {state} at {thread['stage']}: {thread['reason']}")

    def _document(
        self, number: str, total: Decimal, body: Mapping[str, Any], thread: Row, totals: set[Decimal]
    ) -> None:
        eligible = body["status"] == "processing"
        right = {Decimal(body["total"])} if eligible and thread["amended_version"] is None else totals
        if total not in right:
            self.fail("total", f"{number} comes to {total} in the ERP, and to {sorted(right)} in its shop")
        if thread["state"] != State.DONE:
            self.fail("stuck", f"{number} has a document and is {thread['state']}: {thread['reason']}")

    def _money(self) -> None:
        ours = sum((row["total"] for row in self._rows("rm_order") if row["imported"] == 1), Decimal(0))
        theirs = sum((each.total for each in self._world.books.documents), Decimal(0))
        if ours != theirs:
            self.fail("cents", f"the orders that were exported come to {ours}, the ERP's documents to {theirs}")

    def _customers(self) -> None:
        emails = [each.email for each in self._world.books.customers]
        for email in sorted({each for each in emails if emails.count(each) > 1}):
            self.fail("customer", f"the ERP has {emails.count(email)} customers for {email}")

    def next_times(self) -> None:
        """Whatever is unfinished has a next time."""
        for row in self._rows("rm_thread"):
            if row["state"] in UNFINISHED and row["next_at"] is None:
                self.fail("stuck", f"order {row['platform_order_id']} is unfinished and has no next time")
        for row in self._rows("rm_step"):
            if row["state"] in STEP_UNFINISHED and row["next_at"] is None:
                self.fail("stuck", f"the {row['kind']} of the order {row['thread_id']} is unfinished and has no next time")


def next_due(rows: Rows) -> datetime | None:
    """When the sweeper or a tick will next have anything to do."""
    moments: list[datetime] = []

    def add(at: datetime | None, row: Row) -> None:
        if at is not None:
            rung = row.get("rung_at")
            later = (row["lease_until"], None if rung is None else rung + _QUIET)
            moments.append(max(at, *(each for each in later if each is not None), at))

    on_road: set[int] = set()
    for row in rows("rm_thread"):
        if row["state"] in UNFINISHED:
            if row["stage"] == Stage.DELIVER:
                on_road.add(row["id"])
            else:
                add(row["next_at"], row)
    for row in rows("rm_step"):
        if row["thread_id"] in on_road and row["state"] in STEP_UNFINISHED:
            add(row["next_at"], row)
    for row in rows("rm_delivery"):
        add(row["next_at"], row)
    sites = {row["id"]: row for row in rows("rm_sites")}
    for row in rows("rm_run"):
        if row["kind"] == "orders" and row["read_at"] is None and row["finished_at"] is None:
            add(row["started_at"], {**row, "lease_until": sites[row["site_id"]]["lease_until"]})
    for row in sites.values():
        moments.append(max(row["order_next_run"], row["lease_until"] or row["order_next_run"], row["paused_until"] or row["order_next_run"]))
    for row in rows("rm_erps"):
        moments.append(max(row["items_next_run"], row["paused_until"] or row["items_next_run"]))
    return min(moments, default=None)


