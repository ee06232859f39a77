"""What must be true: at every moment of a run, and when it has come to rest. It believes the shops, the ERP and the rows alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.domain.road import STEP_UNFINISHED, UNFINISHED, Owed, State
from app.domain.windows import closed_until
from tests.simulation.gateways import Actor
from tests.simulation.middleware import WINDOW, World
from tests.simulation.stores import Row, Rows

_ERP_CALLS = {
    "find_items",
    "changed_items",
    "find_customers",
    "find_documents",
    "create_customer",
    "create_documents",
}
_TO_A_PERSON = {"bad_sku", "crash"}
"""The only errors that a run can bring about: an item that is not sold, and a row whose process was killed again and again."""


class Checker:
    """Collects what was found to be wrong, each sentence once."""

    def __init__(
        self, world: World, rows: Rows, *, now: Callable[[], datetime], tell: Callable[[str], None]
    ) -> None:
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
                self.fail(
                    "window", f"{actor.name} called {name} within the ERP's maintenance at {self._now()}"
                )
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
        threads = {
            row["platform_order_id"]: row for row in self._rows("rm_thread") if row["site_id"] == site_id
        }
        shop = self._world.shops[site["name"]]
        for order_id in shop.orders:
            seen = shop._seen(order_id)
            assert seen.modified_at is not None
            cursor = (site["cursor_modified"], int(site["cursor_order_id"] or 0))
            if not seen.eligible or (seen.modified_at, int(order_id)) > cursor:
                continue
            thread = threads.get(order_id)
            if thread is None or thread["content_hash"] != seen.content_hash:
                self.fail(
                    "cursor", f"the cursor stands at {site['cursor_modified']}, beyond the order {order_id}"
                )

    def next_times(self) -> None:
        """Whatever is unfinished has a next time."""
        for row in self._rows("rm_thread"):
            if row["state"] in UNFINISHED and row["next_at"] is None:
                self.fail("stuck", f"order {row['platform_order_id']} is unfinished and has no next time")
        for row in self._rows("rm_step"):
            if row["state"] in STEP_UNFINISHED and row["next_at"] is None:
                self.fail("stuck", f"the {row['kind']} of the order {row['thread_id']} has no next time")

    # At rest.

    def at_rest(self, totals: Mapping[str, set[Decimal]]) -> list[tuple[str, str]]:
        """Which promises are not kept as things stand: kinds and sentences."""
        rows = _AtRest(self._world, self._rows, totals)
        return list(rows.wrong())


class _AtRest:
    """The rows, the shops and the books at one moment."""

    def __init__(self, world: World, rows: Rows, totals: Mapping[str, set[Decimal]]) -> None:
        self._world = world
        self._totals = totals
        self._threads = rows("rm_thread")
        self._orders = {row["thread_id"]: row for row in rows("rm_order")}
        self._errors = [row for row in rows("rm_error_orders") if row["open_key"]]

    def wrong(self) -> Iterator[tuple[str, str]]:
        """What is wrong."""
        threads = {row["platform_order_id"]: row for row in self._threads}
        if len(threads) != len(self._threads):
            yield "rows", "an order has two rows"
        for name, shop in self._world.shops.items():
            for order_id, body in shop.orders.items():
                yield from self._order(f"{name.upper()}-{order_id}", body, threads.get(order_id))
        yield from self._money()
        emails = [each.email for each in self._world.books.customers]
        for email in sorted({each for each in emails if emails.count(each) > 1}):
            yield "customer", f"the ERP has {emails.count(email)} customers for {email}"

    def _order(self, number: str, body: Mapping[str, Any], thread: Row | None) -> Iterator[tuple[str, str]]:
        documents = [each for each in self._world.books.documents if each.external_number == number]
        eligible = body["status"] == "processing"
        if len(documents) > 1:
            yield "duplicated", f"the ERP has {len(documents)} documents for {number}"
        if thread is None:
            if eligible:
                yield "lost", f"{number} was never stored"
            return
        if documents:
            yield from self._document(number, documents[0].total, body, thread)
        if body["marked"] and thread["id"] not in self._orders:
            yield "marked early", f"{number} is marked in its shop and was never written"
        yield from self._end(number, thread, is_there=bool(documents), is_wanted=eligible)

    def _end(self, number: str, thread: Row, *, is_there: bool, is_wanted: bool) -> Iterator[tuple[str, str]]:
        """Whether an order has come to the end that it should."""
        errors = [row for row in self._errors if row["thread_id"] == thread["id"]]
        for error in errors:
            if error["kind"] not in _TO_A_PERSON:
                yield "error", f"{number}: {error['kind']}: {error['reason']}"
        match State(thread["state"]):
            case State.DONE:
                if not is_there:
                    yield "lost", f"{number} counts as done, and the ERP has no document"
            case State.REJECTED:
                if not errors:
                    yield "lost", f"{number} is rejected and has no open error"
            case State.CLOSED:
                if is_wanted:
                    yield "lost", f"{number} is closed although its shop wants it"
            case State.HELD if thread["hold_kind"] == "sku" and thread["next_at"] is not None:
                pass
            case state:
                yield "stuck", f"{number} is {state} at {thread['stage']}: {thread['reason']}"

    def _document(
        self, number: str, total: Decimal, body: Mapping[str, Any], thread: Row
    ) -> Iterator[tuple[str, str]]:
        is_current = body["status"] == "processing" and thread["amended_version"] is None
        right = {Decimal(body["total"])} if is_current else self._totals[body["id"]]
        if total not in right:
            yield "total", f"{number} comes to {total} in the ERP, and to {sorted(right)} in its shop"
        # One that was exported may still need a person because it cannot be marked.
        unmarked = [
            row
            for row in self._errors
            if (row["thread_id"], row["stage"]) == (thread["id"], Owed.ACKNOWLEDGE)
        ]
        if thread["state"] != State.DONE and not unmarked:
            yield "stuck", f"{number} has a document and is {thread['state']}: {thread['reason']}"

    def _money(self) -> Iterator[tuple[str, str]]:
        ours = sum((row["total"] for row in self._orders.values() if row["imported"] == 1), Decimal(0))
        theirs = sum((each.total for each in self._world.books.documents), Decimal(0))
        if ours != theirs:
            yield "cents", f"the orders that were exported come to {ours}, the ERP's documents to {theirs}"
