"""What must be true: at every moment of a run, and when it has come to rest. It believes the shops, the ERP and the rows alone."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from app.domain.order import sku_key
from app.domain.road import STEP_UNFINISHED, UNFINISHED, Owed, State, StepState
from app.domain.windows import closed_until
from app.sync.policy import MAX_UNSETTLED
from tests.simulation.gateways import PILL, Actor
from tests.simulation.middleware import BAD_ITEM, NEW_ITEM, WINDOW, World
from tests.simulation.stores import Row, Rows

_ERP_CALLS = {
    "find_items",
    "changed_items",
    "find_customers",
    "find_documents",
    "create_customer",
    "create_documents",
}
_UNSOLD = {NEW_ITEM, BAD_ITEM}
_PARTS = {"KIT-1": {"COMP-B", "COMP-C"}}
_JUST_ASKED = 2.0
"""For so many seconds the answer to a mark counts as an answer to how the order stands."""

_TOLD_AS = {"bad_sku": "orders of unsold items", "crash": "orders cut off"}
_LONGEST_HOLD = timedelta(seconds=1000)
"""The longest pause between two attempts at an order that waits for an item, with its spread."""


class Checker:
    """Collects what was found to be wrong, each sentence once.

    `cut_off` is how often in a row at most each order was claimed and its claim came to nothing, as the observer has seen it.
    `woken_late`: a process may stand still between its last look at the time and the ERP for longer than T_LATE. Then a document of
    an order that was cancelled meanwhile is counted and no more: nobody but the ERP could refuse it, and the night's comparison tells.
    """

    def __init__(
        self,
        world: World,
        rows: Rows,
        *,
        woken_late: bool,
        now: Callable[[], datetime],
        tell: Callable[[str], None],
    ) -> None:
        self.wrong: list[str] = []
        self.checks_cursor = True
        self.cut_off: Counter[int] = Counter()
        self._world = world
        self._rows = rows
        self._woken_late = woken_late
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
            if name == "create_documents":
                self._still_wanted(actor, about)
        elif name == "acknowledge":
            written = {row["platform_order_id"] for row in self._rows("rm_order")}
            for each in about:
                if each not in written:
                    self.fail("marked early", f"order {each} was marked in its shop before it was written")

    def _still_wanted(self, actor: Actor, numbers: Sequence[str]) -> None:
        """What is sent was wanted when its task began at the latest: it asks for each order before it sends anything."""
        began = self._now() - timedelta(seconds=actor.elapsed + _JUST_ASKED)
        for number in numbers:
            cancelled_at = self._world.cancelled_at.get(number.rpartition("-")[2])
            if cancelled_at is not None and cancelled_at < began:
                self.fail("unwanted", f"{number} was cancelled at {cancelled_at} and sent at {self._now()}")

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
        return list(self._rest(totals).wrong())

    def to_a_person(self) -> Counter[str]:
        """How many orders are a person's, by what for; poison pills are left out."""
        return self._rest({}).to_a_person()

    def _rest(self, totals: Mapping[str, set[Decimal]]) -> "_AtRest":
        return _AtRest(
            self._world,
            self._rows,
            totals,
            cut_off=self.cut_off,
            woken_late=self._woken_late,
            now=self._now(),
        )


class _AtRest:
    """The rows, the shops and the books at one moment."""

    def __init__(
        self,
        world: World,
        rows: Rows,
        totals: Mapping[str, set[Decimal]],
        *,
        cut_off: Mapping[int, int],
        woken_late: bool,
        now: datetime,
    ) -> None:
        self._world = world
        self._woken_late = woken_late
        self._totals = totals
        self._cut_off = cut_off
        self._now = now
        self._items = {row["sku"] for row in rows("rm_items")}
        self._sites = {row["name"]: row["id"] for row in rows("rm_sites")}
        self._stored = {
            (row["site_id"], row["platform_order_id"]): row["content_hash"]
            for row in sorted(rows("rm_inbox"), key=lambda row: int(row["version"]))
        }
        self._told = {
            (row["site_id"], row["platform_order_id"], row["received_at"]) for row in rows("rm_delivery")
        }
        self._marks = {
            row["thread_id"]: row["state"] for row in rows("rm_step") if row["kind"] == Owed.ACKNOWLEDGE
        }
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
                yield from self._version(name, order_id, threads.get(order_id))
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
        if documents and not self._sent_after_its_end(thread):
            yield from self._document(number, documents[0].total, body, thread)
        if body["marked"] and thread["id"] not in self._orders:
            yield "marked early", f"{number} is marked in its shop and was never written"
        # An order that was cancelled is owed no mark any more; one that cannot be marked is a person's, and not done.
        mark = self._marks.get(thread["id"])
        is_done = thread["state"] == State.DONE and mark != StepState.CLOSED
        if (is_done or mark == StepState.DONE) and not body["marked"]:
            yield "not marked", f"{number} counts as marked and is not marked in its shop"
        yield from self._end(number, thread, body, is_there=bool(documents))

    def _version(self, shop: str, order_id: str, thread: Row | None) -> Iterator[tuple[str, str]]:
        """Whether what is stored last of an order is what its shop shows.

        Two exceptions. What is closed has its end, whatever it says by now. And a reading lists no order that is not wanted: of
        one that is not asked about any more, only a delivery can tell.
        """
        seen, site_id = self._world.shops[shop]._seen(order_id), self._sites[shop]
        if thread is None or self._stored.get((site_id, order_id)) == seen.content_hash:
            return
        changed_at = self._world.changed_at[order_id]
        told = any(
            (site, order) == (site_id, order_id) and at >= changed_at for site, order, at in self._told
        )
        if seen.eligible or (told and thread["state"] != State.CLOSED):
            yield "old version", f"{shop}'s order {order_id} is {seen.status} and was changed at {changed_at}"

    def _end(
        self, number: str, thread: Row, body: Mapping[str, Any], *, is_there: bool
    ) -> Iterator[tuple[str, str]]:
        """Whether an order has come to the end that it should."""
        errors = [row for row in self._errors if row["thread_id"] == thread["id"]]
        for error in errors:
            if not self._is_excused(error, body):
                yield f"error {error['kind']}", f"{number}: {error['reason']}"
        match State(thread["state"]):
            case State.DONE:
                if not is_there:
                    yield "lost", f"{number} counts as done, and the ERP has no document"
            case State.REJECTED:
                if not errors:
                    yield "lost", f"{number} is rejected and has no open error"
            case State.CLOSED:
                if body["status"] == "processing":
                    yield "lost", f"{number} is closed although its shop wants it"
            case State.HELD if self._waits_for_an_item(thread, body):
                pass
            case state:
                yield "stuck", f"{number} is {state} at {thread['stage']}: {thread['reason']}"

    def _is_excused(self, error: Row, body: Mapping[str, Any]) -> bool:
        """Whether this is one of the errors that a run can bring about.

        An item that is not sold, or was not yet; and an order whose claims came to nothing so often that it may be the cause.
        """
        match error["kind"]:
            case "bad_sku":
                return bool(_skus(body) & _UNSOLD)
            case "crash":
                return PILL in body["note"] or self._cut_off.get(error["thread_id"], 0) >= MAX_UNSETTLED
        return False

    def _waits_for_an_item(self, thread: Row, body: Mapping[str, Any]) -> bool:
        """Whether it is held for an item that is really not known yet, and is soon tried again."""
        if thread["hold_kind"] != "sku" or thread["next_at"] is None:
            return False
        return bool(_skus(body) - self._items) and thread["next_at"] <= self._now + _LONGEST_HOLD

    def to_a_person(self) -> Counter[str]:
        """See `Checker`."""
        bodies = {key: body for shop in self._world.shops.values() for key, body in shop.orders.items()}
        kinds = {
            (row["thread_id"], row["kind"])
            for row in self._errors
            if PILL not in bodies[row["platform_order_id"]]["note"]
        }
        told = Counter(_TOLD_AS[kind] for _, kind in kinds if kind in _TOLD_AS)
        told["documents of closed orders"] = len(self._of_closed_orders())
        return +told

    def _sent_after_its_end(self, thread: Row) -> bool:
        """Whether a document of it, if there is one, is one that the circumstances excuse."""
        return self._woken_late and thread["state"] == State.CLOSED

    def _of_closed_orders(self) -> list[Decimal]:
        """The totals of the documents that the circumstances excuse."""
        names = {site_id: name.upper() for name, site_id in self._sites.items()}
        closed = {
            f"{names[row['site_id']]}-{row['platform_order_id']}"
            for row in self._threads
            if self._sent_after_its_end(row)
        }
        return [each.total for each in self._world.books.documents if each.external_number in closed]

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
        theirs -= sum(self._of_closed_orders(), Decimal(0))
        if ours != theirs:
            yield "cents", f"the orders that were exported come to {ours}, the ERP's documents to {theirs}"


def _skus(body: Mapping[str, Any]) -> set[str]:
    found = {sku_key(line["sku"]) for line in body["lines"]}
    return found.union(*(_PARTS.get(sku, ()) for sku in found))
