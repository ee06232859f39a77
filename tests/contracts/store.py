"""What the store promises on every database. A database's tests inherit `StoreContract` and give it a harness."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Protocol, TypeVar

import pytest

from app.domain.kits import Component
from app.domain.order import Address, Line, LineType, Order, Payment, Verdict
from app.domain.reading import Bookmark, Cursor
from app.domain.road import Owed, Stage, State, StepState
from app.errors import UsageError
from app.ports.erp import ErpDocument, ErpItem, ItemKind
from app.ports.sales_channel import Seen
from app.ports.store import (
    Bell,
    Claimed,
    Closed,
    Failed,
    NewErp,
    NewSite,
    OwedStep,
    Passed,
    Sighting,
    Site,
    StepDone,
    Store,
    Stored,
    Waiting,
)

START = datetime(2026, 3, 17, 12, 0, 0, tzinfo=UTC)
MODIFIED = datetime(2026, 3, 17, 11, 30, 0, tzinfo=UTC)
LEASE = 60.0
BEFORE_DELIVERY = tuple(stage for stage in Stage if stage is not Stage.DELIVER)
T = TypeVar("T")


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


class Harness(Protocol):
    """A migrated, empty database, with two stores on it that share `clock` and no connections."""

    clock: Clock
    store: Store
    other: Store
    unshifted: Store
    """A store that goes by the database's own clock."""

    def query(self, sql: str) -> list[tuple[Any, ...]]: ...

    def execute(self, sql: str) -> None: ...


def at_once(*calls: Callable[[], T]) -> list[T]:
    """The results of calls that begin at the same moment, each in a thread of its own."""
    barrier = threading.Barrier(len(calls))

    def begin(call: Callable[[], T]) -> T:
        barrier.wait(timeout=30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result(timeout=60) for each in [pool.submit(begin, call) for call in calls]]


def seen(
    order_id: str = "1", *, shows: str = "first", at: datetime | None = MODIFIED, status: str = "processing"
) -> Seen:
    """An order as the platform shows it; `shows` stands for its content."""
    return Seen(
        platform_order_id=order_id,
        body=f'{{"id": {order_id}, "shows": "{shows}"}}',
        content_hash=shows,
        status=status,
        modified_raw="" if at is None else at.isoformat(),
        modified_at=at,
        created_at=MODIFIED,
        gross=Decimal("119.00"),
        eligible=True,
        marked=False,
    )


def order(order_id: str = "1", *, number: str | None = None, lines: Sequence[Line] | None = None) -> Order:
    """A small balanced order."""
    address = Address(
        first_name="Zoë",
        last_name="O'Neil",
        address1="1 Main St",
        city="Los Angeles",
        state="CA",
        postcode="90012",
        country="US",
        email="zoe@example.test",
        phone="+1 555 0100",
    )
    return Order(
        number=f"BGM-{order_id}" if number is None else number,
        platform_order_id=order_id,
        currency="USD",
        total=Decimal("119.00"),
        created_at=MODIFIED,
        created_raw="2026-03-17T11:30:00",
        bill=address,
        ship=replace(address, company="Dépôt"),
        payment=Payment(method="stripe", title="Card", transaction_id="ch_1", paid_at=MODIFIED, stripe=True),
        lines=tuple(lines) if lines is not None else (product(), tax()),
        status="processing",
        customer_note="Ring twice 🔔",
    )


def product(**changed: Any) -> Line:
    line = Line(
        position=1,
        type=LineType.PRODUCT,
        name="A thing",
        sku="COMP-A",
        amount=Decimal("100.00"),
        listed=Decimal("110.00"),
        verdict=Verdict.PASSED,
        verified_at=MODIFIED,
    )
    return replace(line, **changed)


def tax() -> Line:
    return Line(position=2, type=LineType.TAX, name="Tax", amount=Decimal("19.00"))


def document(order_id: str = "1", *, total: str = "119.00") -> ErpDocument:
    return ErpDocument(
        id=f"id-{order_id}",
        number=f"S-{order_id}",
        external_number=f"BGM-{order_id}",
        customer_number="C0001",
        total=Decimal(total),
        currency="USD",
    )


class World:
    """A harness with one ERP and one site, and the moves that most tests make."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.store = harness.store
        self.other = harness.other
        self.clock = harness.clock
        self.erp_id = self.store.add_erp(_new_erp("bc"))
        self.site_id = self.store.add_site(_new_site("bgm", prefix="BGM", erp_id=self.erp_id))
        self.run_id = self.store.open_run(kind="orders", site_id=self.site_id)
        self._tokens = itertools.count(1)

    def token(self) -> str:
        return f"token-{next(self._tokens)}"

    def site(self) -> Site:
        return next(each for each in self.store.sites() if each.id == self.site_id)

    def details(self, order_id: str = "1") -> Mapping[str, Any]:
        found = self.store.order_details(order_id)
        assert found is not None
        return found

    def thread(self, order_id: str = "1") -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.details(order_id)["thread"]
        return found

    def step(self, kind: Owed, order_id: str = "1") -> Mapping[str, Any]:
        return next(each for each in self.details(order_id)["steps"] if each["kind"] == kind)

    def open_errors(self, order_id: str = "1") -> list[Mapping[str, Any]]:
        return [each for each in self.details(order_id)["errors"] if each["open_key"] is not None]

    def read(
        self,
        *rows: Seen | Sighting,
        read_at: datetime | None = None,
        limit: int = 100,
        cursors: Mapping[int, Cursor | None] | None = None,
        bookmark: Bookmark | None = None,
        wide: bool = False,
    ) -> Stored:
        """Store a page under the site's lease and give the lease back."""
        token = self.store.claim_site(self.site_id, lease_seconds=LEASE)
        assert token is not None
        try:
            return self.store.store_page(
                site_id=self.site_id,
                token=token,
                run_id=self.run_id,
                sightings=[row if isinstance(row, Sighting) else Sighting(seen=row) for row in rows],
                read_at=self.clock() if read_at is None else read_at,
                limit=limit,
                cursor_after=dict.fromkeys(range(len(rows) + 1)) if cursors is None else cursors,
                bookmark=bookmark,
                wide=wide,
            )
        finally:
            self.store.release_site(self.site_id, token, next_run=None)

    def batch(self, *order_ids: str) -> int:
        """New orders, at the start of the road."""
        stored = self.read(*(seen(each) for each in order_ids))
        assert stored.batch_id is not None
        return stored.batch_id

    def claim(self, stage: Stage, batch_id: int, *, store: Store | None = None) -> tuple[Claimed, ...]:
        """Claim under a token that nobody asks for."""
        by = self.store if store is None else store
        return by.claim(stage, batch_id=batch_id, token=self.token(), lease_seconds=LEASE)

    def pass_stage(self, stage: Stage, batch_id: int) -> None:
        token = self.token()
        claimed = self.store.claim(stage, batch_id=batch_id, token=token, lease_seconds=LEASE)
        passed = [Passed(thread_id=each.thread_id, order=order(each.platform_order_id)) for each in claimed]
        if stage is Stage.WRITE:
            self.store.write(
                batch_id=batch_id, token=token, erp_ids={self.site_id: self.erp_id}, outcomes=passed
            )
        else:
            self.store.settle(stage, batch_id=batch_id, token=token, outcomes=passed)

    def at(self, stage: Stage, *order_ids: str) -> int:
        """New orders that stand at `stage`."""
        batch_id = self.batch(*order_ids)
        self.bring_to(stage, batch_id)
        return batch_id

    def bring_to(self, stage: Stage, batch_id: int) -> None:
        for passed in BEFORE_DELIVERY[: tuple(Stage).index(stage)]:
            self.pass_stage(passed, batch_id)

    def write(self, batch_id: int, *orders: Order) -> None:
        """Claim at `write` and write these orders; claimed ones that are not among them are let go."""
        token = self.token()
        claimed = self.store.claim(Stage.WRITE, batch_id=batch_id, token=token, lease_seconds=LEASE)
        by_id = {each.platform_order_id: each.thread_id for each in claimed}
        outcomes = [Passed(thread_id=by_id[each.platform_order_id], order=each) for each in orders]
        self.store.write(
            batch_id=batch_id, token=token, erp_ids={self.site_id: self.erp_id}, outcomes=outcomes
        )

    def claim_steps(
        self, kind: Owed, batch_id: int, *, limit: int = 100, store: Store | None = None
    ) -> tuple[str, tuple[OwedStep, ...]]:
        token = self.token()
        by = self.store if store is None else store
        return token, by.claim_steps(kind, batch_id=batch_id, token=token, lease_seconds=LEASE, limit=limit)

    def acknowledge(self, batch_id: int) -> None:
        token, owed = self.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        outcomes = [StepDone(step_id=each.step_id) for each in owed]
        self.store.settle_steps(Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, outcomes=outcomes)

    def export(self, batch_id: int) -> None:
        token, owed = self.claim_steps(Owed.EXPORT, batch_id)
        self.store.intend([each.step_id for each in owed], token=token)
        outcomes = [
            StepDone(step_id=each.step_id, document=document(each.platform_order_id)) for each in owed
        ]
        self.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=outcomes)

    def sent(self, order_id: str = "1") -> tuple[int, str, OwedStep]:
        """A written and acknowledged order whose export is intended: batch, token, step."""
        batch_id = self.at(Stage.DELIVER, order_id)
        self.acknowledge(batch_id)
        token, (step,) = self.claim_steps(Owed.EXPORT, batch_id)
        assert self.store.intend([step.step_id], token=token) == (step.step_id,)
        return batch_id, token, step

    def again(self, *rows: Seen) -> frozenset[str]:
        """What `new_versions` restarts."""
        return self.store.new_versions(self.site_id, rows, read_at=self.clock()).platform_order_ids


def _new_erp(name: str) -> NewErp:
    return NewErp(
        name=name,
        platform="business_central",
        url="https://bc.example.test",
        company="7dbba574",
        allow_private=False,
        settings={"tax": {"mode": "line"}},
        credentials="secret ciphertext",
    )


def _new_site(name: str, *, prefix: str, erp_id: int | None) -> NewSite:
    return NewSite(
        name=name,
        platform="woocommerce",
        url="https://shop.example.test",
        prefix=prefix,
        erp_id=erp_id,
        allow_private=True,
        settings={"statuses": ["processing"]},
        credentials="secret ciphertext",
        order_next_run=START,
    )


_BROKEN_RULES = {
    "an unfinished order without a next time": (
        "SELECT platform_order_id FROM rm_thread WHERE state IN ('active', 'held') AND next_at IS NULL"
    ),
    "an unfinished step without a next time": (
        "SELECT id FROM rm_step WHERE state IN ('owed', 'sending', 'in_doubt') AND next_at IS NULL"
    ),
    "an order that is restarted although its document may exist": (
        "SELECT t.platform_order_id FROM rm_thread t JOIN rm_step s ON s.thread_id = t.id "
        "WHERE t.stage <> 'deliver' AND s.kind = 'export' AND s.state IN ('sending', 'in_doubt', 'done')"
    ),
    "an end without a reason": (
        "SELECT platform_order_id FROM rm_thread WHERE state IN ('rejected', 'skipped', 'closed') AND reason = ''"
    ),
    "an error at which nobody is asked to look": (
        "SELECT thread_id FROM rm_error_orders WHERE (open_key IS NULL) <> (resolved_at IS NOT NULL)"
    ),
}


class StoreContract:
    """The promises of `app.ports.store.Store`. What must hold at every moment is looked up after every test."""

    @pytest.fixture
    def harness(self) -> Harness:
        raise NotImplementedError

    @pytest.fixture
    def world(self, harness: Harness) -> Iterator[World]:
        yield World(harness)
        for rule, sql in _BROKEN_RULES.items():
            assert harness.query(sql) == [], rule

    # Configuration.

    def test_a_site_and_an_erp_come_back_as_they_were_stored(self, world: World) -> None:
        site, (erp,) = world.site(), world.store.erps()
        assert (site.name, site.prefix, site.erp_id) == ("bgm", "BGM", world.erp_id)
        assert (site.is_active, site.orders_sync, site.allow_private) == (True, True, True)
        assert (site.settings, site.credentials) == ({"statuses": ["processing"]}, "secret ciphertext")
        assert (site.order_next_run, site.order_last_run, site.cursor) == (START, None, None)
        assert (erp.name, erp.company, erp.settings) == ("bc", "7dbba574", {"tax": {"mode": "line"}})
        assert (erp.is_active, erp.allow_private, erp.items_next_run) == (True, False, START)

    @pytest.mark.parametrize(("name", "prefix"), [("bgm", "OTHER"), ("other", "BGM")])
    def test_a_name_or_prefix_that_is_taken_is_refused(self, world: World, name: str, prefix: str) -> None:
        with pytest.raises(UsageError):
            world.store.add_site(_new_site(name, prefix=prefix, erp_id=world.erp_id))
        assert [site.name for site in world.store.sites()] == ["bgm"]

    def test_a_pause_is_kept_with_its_reason_and_taken_off_again(self, world: World) -> None:
        until = START + timedelta(minutes=5)
        world.store.pause_site(world.site_id, until=until, reason="401\x00 \ud800 from the shop" + "!" * 2000)
        world.store.pause_erp(world.erp_id, until=until, reason="No such company.")
        reason = world.site().paused_reason
        assert reason is not None
        assert reason.startswith("401 ? from the shop")
        assert len(reason) == 1000
        assert (world.site().paused_until, world.store.erps()[0].paused_until) == (until, until)
        world.store.pause_site(world.site_id, until=None, reason=None)
        assert (world.site().paused_until, world.site().paused_reason) == (None, None)

    def test_a_pause_begins_once_however_many_find_the_reason_for_it(self, world: World) -> None:
        until = START + timedelta(minutes=5)
        for pause, row_id in (("pause_site", world.site_id), ("pause_erp", world.erp_id)):
            stores = (world.store, world.other) * 2
            found = at_once(
                *(
                    partial(getattr(store, pause), row_id, until=until, reason="Wrong key.")
                    for store in stores
                )
            )
            assert sorted(found) == [False, False, False, True]
            assert getattr(world.store, pause)(row_id, until=None, reason=None) is False
            assert getattr(world.store, pause)(row_id, until=until, reason="Wrong key.") is True

    # Items and kits.

    def test_an_item_sync_adds_and_renews_and_keeps_a_persons_refusal(self, world: World) -> None:
        items = [
            ErpItem(number=number, name=number.lower(), blocked=False, kind=ItemKind.INVENTORY)
            for number in ("A", "B")
        ]
        assert not world.store.has_items(world.erp_id)
        assert world.store.save_items(world.erp_id, items[:1], source="erp", cursor=START) == 1
        world.store.set_item_status(world.erp_id, {"A": ("Ä", "not_allowed")}, source="person")
        assert world.store.save_items(world.erp_id, items, source="erp", cursor=None) == 1
        statuses = world.store.item_statuses(world.erp_id, ["A", "B", "C", "a"])
        assert statuses == {"A": "not_allowed", "B": "allowed"}
        assert world.store.erps()[0].items_cursor == START
        assert world.store.has_items(world.erp_id)

    def test_only_one_caller_gets_the_item_sync(self, world: World) -> None:
        tokens = at_once(
            *(
                lambda store=store: store.claim_items_sync(world.erp_id, lease_seconds=LEASE)
                for store in (world.store, world.other) * 2
            )
        )
        (token,) = [each for each in tokens if each is not None]
        world.store.release_items_sync(world.erp_id, "somebody else's", next_run=START)
        assert world.store.claim_items_sync(world.erp_id, lease_seconds=LEASE) is None
        world.store.release_items_sync(world.erp_id, token, next_run=START + timedelta(hours=1))
        assert world.store.erps()[0].items_next_run == START + timedelta(hours=1)
        assert world.store.claim_items_sync(world.erp_id, lease_seconds=LEASE) is not None

    def test_saving_kits_replaces_the_parents_it_names_and_no_others(self, world: World) -> None:
        one, two = Component(sku="A", quantity=Decimal(1)), Component(sku="B", quantity=Decimal("0.33333"))
        world.store.save_kits({"KIT-1": (one, two), "KIT-2": (one,)})
        world.store.save_kits({"KIT-1": (two,)})
        assert world.store.kits() == {"KIT-1": (two,), "KIT-2": (one,)}

    def test_orders_held_for_a_reason_become_due_when_it_is_gone(self, world: World) -> None:
        batch_id = world.batch("1", "2")
        token = world.token()
        claimed = world.store.claim(Stage.NORMALIZE, batch_id=batch_id, token=token, lease_seconds=LEASE)
        later = world.clock() + timedelta(hours=1)
        outcomes = [
            Waiting(id=each.thread_id, reason="Not yet.", next_at=later, hold_kind=kind)
            for each, kind in zip(claimed, ("sku", "settings"), strict=True)
        ]
        world.store.settle(Stage.NORMALIZE, batch_id=batch_id, token=token, outcomes=outcomes)
        assert world.store.release_held(hold_kind="sku", erp_id=world.erp_id) == 1
        assert [each.platform_order_id for each in world.claim(Stage.NORMALIZE, batch_id)] == ["1"]

    # Reading.

    def test_only_one_of_many_fetches_gets_the_site(self, world: World) -> None:
        tokens = at_once(
            *(
                lambda store=store: store.claim_site(world.site_id, lease_seconds=LEASE)
                for store in (world.store, world.other) * 3
            )
        )
        assert len([each for each in tokens if each is not None]) == 1

    def test_an_expired_site_lease_is_taken_over_and_its_old_token_changes_nothing(
        self, world: World
    ) -> None:
        old = world.store.claim_site(world.site_id, lease_seconds=LEASE)
        assert old is not None
        world.clock.advance(LEASE - 1)
        assert world.other.claim_site(world.site_id, lease_seconds=LEASE) is None
        world.clock.advance(1)
        new = world.other.claim_site(world.site_id, lease_seconds=LEASE)
        assert new is not None
        world.store.release_site(world.site_id, old, next_run=START + timedelta(hours=1))
        assert (world.site().order_next_run, world.site().order_last_run) == (START, None)
        assert world.store.claim_site(world.site_id, lease_seconds=LEASE) is None
        world.other.release_site(world.site_id, new, next_run=START + timedelta(hours=2))
        site = world.site()
        assert (site.order_next_run, site.order_last_run) == (START + timedelta(hours=2), world.clock())

    @pytest.mark.parametrize("_case", ["expired and taken over", "never held"])
    def test_a_page_under_a_lost_lease_is_not_stored(self, world: World, _case: str) -> None:
        token = "never held"
        if _case != token:
            token = str(world.store.claim_site(world.site_id, lease_seconds=LEASE))
            world.clock.advance(LEASE + 1)
            assert world.other.claim_site(world.site_id, lease_seconds=LEASE) is not None
        stored = world.store.store_page(
            site_id=world.site_id,
            token=token,
            run_id=world.run_id,
            sightings=[Sighting(seen=seen())],
            read_at=world.clock(),
            limit=100,
            cursor_after={0: None, 1: Cursor(modified_at=MODIFIED, platform_order_id="1")},
        )
        assert stored == Stored(batch_id=None, lost_lease=True)
        assert world.store.order_details("1") is None
        assert world.site().cursor is None

    def test_a_page_stores_bodies_orders_and_the_cursor(self, world: World) -> None:
        cursors = {
            count: Cursor(modified_at=MODIFIED + timedelta(seconds=count), platform_order_id=str(count))
            for count in range(3)
        }
        stored = world.read(seen("1"), seen("2"), cursors=cursors)
        assert (stored.new, stored.known, stored.skipped, stored.full) == (2, 0, 0, False)
        assert stored.batch_id is not None
        assert world.site().cursor == cursors[2]
        bodies = [each.body for each in world.claim(Stage.NORMALIZE, stored.batch_id)]
        assert bodies == [seen("1").body, seen("2").body]

    @pytest.mark.parametrize("_case", ["at the second order", "at the cursor"])
    def test_a_failure_in_the_middle_of_a_page_leaves_neither_bodies_nor_cursor(
        self, world: World, _case: str
    ) -> None:
        world.read(seen("0"), cursors={0: None, 1: Cursor(modified_at=START, platform_order_id="0")})
        second = seen("2")
        cursors: dict[int, Cursor | None] = {}
        if _case == "at the second order":
            second = replace(second, body=None)  # type: ignore[arg-type]
            cursors = dict.fromkeys(
                range(3), Cursor(modified_at=START + timedelta(hours=1), platform_order_id="9")
            )
        with pytest.raises(Exception, match=r"(?i)null|NoneType|^3$"):
            world.read(seen("1"), second, seen("0", shows="changed"), cursors={**cursors})
        assert world.store.order_details("1") is None
        assert world.store.order_details("2") is None
        assert len(world.details("0")["versions"]) == 1
        assert world.site().cursor == Cursor(modified_at=START, platform_order_id="0")
        assert world.harness.query("SELECT COUNT(*) FROM rm_inbox") == [(1,)]

    def test_the_limit_counts_unseen_orders_only_and_the_cursor_stands_at_the_last_stored(
        self, world: World
    ) -> None:
        world.read(seen("1"), seen("2"))
        cursors: dict[int, Cursor | None] = {
            count: Cursor(modified_at=MODIFIED + timedelta(seconds=count), platform_order_id="x")
            for count in range(7)
        }
        page = [seen("1"), seen("3"), seen("2", shows="changed"), seen("4"), seen("5"), seen("6")]
        stored = world.read(*page, limit=2, cursors=cursors)
        assert (stored.new, stored.known, stored.again, stored.full) == (2, 1, 1, True)
        assert world.site().cursor == cursors[4]
        assert world.store.order_details("5") is None
        stored = world.read(*page, limit=2, cursors=cursors)
        assert (stored.new, stored.known, stored.full) == (2, 4, False)
        assert world.site().cursor == cursors[6]

    def test_an_order_shown_twice_on_one_page_is_stored_once(self, world: World) -> None:
        stored = world.read(seen("1"), seen("1", shows="later"), limit=1)
        assert (stored.new, stored.full) == (1, False)
        assert world.thread()["content_hash"] == "later"
        assert len(world.details()["versions"]) == 1

    def test_what_shows_nothing_new_is_known_whatever_its_time(self, world: World) -> None:
        world.read(seen())
        echo = seen(at=MODIFIED + timedelta(minutes=5))
        stored = world.read(echo)
        assert (stored.known, stored.again, stored.batch_id) == (1, 0, None)
        assert world.again(echo) == frozenset()
        assert (world.thread()["version"], len(world.details()["versions"])) == (1, 1)

    def test_a_read_that_is_older_than_what_is_stored_is_dropped(self, world: World) -> None:
        world.read(seen(shows="new"))
        stored = world.read(seen(shows="old", at=MODIFIED - timedelta(seconds=1)))
        assert (stored.known, stored.again) == (1, 0)
        assert world.thread()["content_hash"] == "new"

    @pytest.mark.parametrize(("later_by", "taken"), [(-1, False), (0, True), (1, True)])
    def test_within_one_second_of_the_platform_the_later_read_counts(
        self, world: World, later_by: int, taken: bool
    ) -> None:
        world.read(seen(shows="first"), read_at=START)
        stored = world.read(seen(shows="second"), read_at=START + timedelta(seconds=later_by))
        assert stored.again == int(taken)
        assert world.thread()["content_hash"] == ("second" if taken else "first")

    def test_a_time_that_cannot_be_read_does_not_drop_a_version(self, world: World) -> None:
        world.read(seen(at=None))
        assert world.read(seen(shows="second", at=None)).again == 1
        assert world.read(seen(shows="third")).again == 1
        assert [each["version"] for each in world.details()["versions"]] == [1, 2, 3]

    def test_a_return_to_an_earlier_content_is_a_new_version(self, world: World) -> None:
        for count, shows in enumerate(("a", "b", "a")):
            world.read(seen(shows=shows, at=MODIFIED + timedelta(seconds=count)))
        assert world.thread()["version"] == 3

    @pytest.mark.parametrize("stage", BEFORE_DELIVERY)
    def test_a_new_version_restarts_an_order_that_is_being_worked_on(
        self, world: World, stage: Stage
    ) -> None:
        batch_id = world.at(stage, "1")
        token = world.token()
        (claimed,) = world.store.claim(stage, batch_id=batch_id, token=token, lease_seconds=LEASE)
        fence = world.thread()["fence"]
        stored = world.read(seen(shows="second", at=START))
        assert (stored.again, stored.new) == (1, 0)
        thread = world.thread()
        assert (thread["stage"], thread["state"], thread["version"]) == (Stage.NORMALIZE, State.ACTIVE, 2)
        assert thread["fence"] > fence
        assert (thread["lease_token"], thread["lease_until"], thread["document"]) == (None, None, None)
        outcome = Passed(thread_id=claimed.thread_id, order=order())
        if stage is Stage.WRITE:
            settled = world.store.write(
                batch_id=batch_id, token=token, erp_ids={world.site_id: world.erp_id}, outcomes=[outcome]
            )
        else:
            settled = world.store.settle(stage, batch_id=batch_id, token=token, outcomes=[outcome])
        assert settled.passed == 0
        assert world.thread() == thread
        assert world.details()["order"] is None
        assert stored.batch_id is not None
        (again,) = world.claim(Stage.NORMALIZE, stored.batch_id)
        assert (again.body, again.attempts, again.unsettled) == (seen(shows="second").body, 1, 1)

    def test_a_new_version_restarts_a_rejected_order_and_closes_its_error(self, world: World) -> None:
        batch_id = world.batch("1")
        self._fail(world, Stage.NORMALIZE, batch_id)
        assert len(world.open_errors()) == 1
        world.read(seen(shows="second", at=START))
        assert (world.thread()["state"], world.open_errors()) == (State.ACTIVE, [])
        (error,) = world.details()["errors"]
        assert (error["resolved_at"], error["resolution"]) == (world.clock(), "a new version arrived")

    def _fail(
        self, world: World, stage: Stage, batch_id: int, *, reason: str = "No lines.", kind: str = "empty"
    ) -> None:
        token = world.token()
        claimed = world.store.claim(stage, batch_id=batch_id, token=token, lease_seconds=LEASE)
        outcomes = [Failed(id=each.thread_id, reason=reason, kind=kind, field="/lines") for each in claimed]
        world.store.settle(stage, batch_id=batch_id, token=token, outcomes=outcomes)

    def test_before_the_intent_a_new_version_takes_the_order_away_from_its_exporter(
        self, world: World
    ) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        world.acknowledge(batch_id)
        token, (step,) = world.claim_steps(Owed.EXPORT, batch_id)
        assert world.again(seen(shows="second", at=START)) == {"1"}
        assert world.store.intend([step.step_id], token=token) == ()
        world.store.settle_steps(
            Owed.EXPORT,
            batch_id=batch_id,
            token=token,
            outcomes=[StepDone(step_id=step.step_id, document=document())],
            closed=[Closed(thread_id=step.thread_id, reason="Cancelled.")],
        )
        thread = world.thread()
        assert (thread["stage"], thread["state"]) == (Stage.NORMALIZE, State.ACTIVE)
        assert (world.step(Owed.EXPORT)["state"], world.details()["order"]["imported"]) == (StepState.OWED, 0)
        world.bring_to(Stage.DELIVER, thread["batch_id"])
        assert world.details()["order"]["version"] == 2
        # The mark of the first version stands; only the export is still owed.
        assert world.claim_steps(Owed.ACKNOWLEDGE, thread["batch_id"])[1] == ()
        world.export(thread["batch_id"])
        assert world.thread()["state"] == State.DONE

    @pytest.mark.parametrize("state", [StepState.SENDING, StepState.IN_DOUBT, StepState.DONE])
    def test_after_the_intent_a_new_version_waits_as_an_amendment(
        self, world: World, state: StepState
    ) -> None:
        batch_id, token, step = world.sent()
        outcome: StepDone | Waiting = StepDone(step_id=step.step_id, document=document())
        doubt = Waiting(id=step.step_id, reason="?", next_at=world.clock(), state=StepState.IN_DOUBT)
        if state is not StepState.SENDING:
            settling = outcome if state is StepState.DONE else doubt
            world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[settling])
        stored = world.read(seen(shows="second", at=START))
        assert (stored.amended, stored.again, stored.batch_id) == (1, 0, None)
        thread = world.thread()
        assert (thread["stage"], thread["version"], thread["amended_version"]) == (Stage.DELIVER, 1, 2)
        assert world.again(seen(shows="third", at=START)) == frozenset()
        assert world.thread()["amended_version"] == 3
        if state is StepState.SENDING:
            settled = world.store.settle_steps(
                Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[outcome]
            )
            assert settled.passed == 1
        assert [each["version"] for each in world.details()["versions"]] == [1, 2, 3]

    def test_a_skipped_order_is_stored_with_its_reason_and_is_not_run(self, world: World) -> None:
        stored = world.read(Sighting(seen=seen(), skip="It is a test order."), seen("2"))
        assert (stored.new, stored.skipped) == (2, 1)
        thread = world.thread()
        assert (thread["state"], thread["reason"]) == (State.SKIPPED, "It is a test order.")
        assert stored.batch_id is not None
        assert [each.platform_order_id for each in world.claim(Stage.NORMALIZE, stored.batch_id)] == ["2"]
        assert world.read(Sighting(seen=seen("3"), skip="Again.")).batch_id is None

    @pytest.mark.parametrize(("skip", "state"), [("Still one.", State.SKIPPED), (None, State.ACTIVE)])
    def test_a_new_version_of_a_skipped_order_is_judged_anew(
        self, world: World, skip: str | None, state: State
    ) -> None:
        world.read(Sighting(seen=seen(), skip="It is a test order."))
        world.read(Sighting(seen=seen(shows="second", at=START), skip=skip))
        thread = world.thread()
        assert (thread["state"], thread["reason"]) == (state, skip or "")

    def test_orders_never_seen_are_no_new_versions(self, world: World) -> None:
        assert world.again(seen("7")) == frozenset()
        assert world.store.order_details("7") is None

    def test_odd_characters_and_lengths_of_a_platforms_words_do_not_stop_a_page(self, world: World) -> None:
        odd = replace(seen(status="on\x00-hold\ud800" + "x" * 100), modified_raw="\x00" + "9" * 100)
        assert world.read(Sighting(seen=odd, skip="No\x00 \udfff" + "!" * 2000), seen("2")).new == 2
        (version,) = world.details()["versions"]
        assert version["status"].startswith("on-hold?xxx")
        assert len(world.thread()["reason"]) == 1000

    def test_waiting_orders_join_the_run_that_reads_their_site(self, world: World) -> None:
        batch_id = world.at(Stage.VERIFY_SKUS, "1")
        token = world.token()
        (claimed,) = world.store.claim(Stage.VERIFY_SKUS, batch_id=batch_id, token=token, lease_seconds=LEASE)
        later = world.clock() + timedelta(hours=1)
        waiting = Waiting(id=claimed.thread_id, reason="Not yet.", next_at=later, hold_kind="sku")
        world.store.settle(Stage.VERIFY_SKUS, batch_id=batch_id, token=token, outcomes=[waiting])
        run_id = world.store.open_run(kind="orders", site_id=world.site_id)
        bells = world.store.adopt_waiting(world.site_id, run_id=run_id)
        assert bells == (Bell(batch_id=batch_id, link=Stage.VERIFY_SKUS),)
        assert world.thread()["run_id"] == run_id
        (again,) = world.claim(Stage.VERIFY_SKUS, batch_id)
        assert again.waiting_since == world.clock()

    # The road.

    def test_claims_made_at_the_same_moment_share_no_order_and_leave_none(self, world: World) -> None:
        batches = [world.batch(*(f"{batch}0{each}" for each in range(4))) for batch in range(1, 7)]

        def claim_all(store: Store) -> list[str]:
            mine = []
            for batch_id in random.sample(batches, len(batches)):
                mine += [
                    each.platform_order_id for each in world.claim(Stage.NORMALIZE, batch_id, store=store)
                ]
            return mine

        found = at_once(*(lambda store=store: claim_all(store) for store in (world.store, world.other) * 3))
        assert sorted(itertools.chain(*found)) == sorted(
            f"{batch}0{each}" for batch in range(1, 7) for each in range(4)
        )

    @pytest.mark.parametrize("stage", BEFORE_DELIVERY)
    def test_a_claim_takes_the_due_orders_of_its_batch_and_stage_and_no_others(
        self, world: World, stage: Stage
    ) -> None:
        batch_id = world.at(stage, "1")
        elsewhere = world.batch("2")
        for other in BEFORE_DELIVERY:
            if other is not stage:
                assert world.claim(other, batch_id) == ()
        (claimed,) = world.claim(stage, batch_id)
        assert claimed.platform_order_id == "1"
        assert (claimed.site_id, claimed.attempts, claimed.unsettled) == (world.site_id, 1, 1)
        assert (claimed.body is None, claimed.document is None) == (
            (False, True) if stage is Stage.NORMALIZE else (True, False)
        )
        assert len(world.claim(Stage.NORMALIZE, elsewhere)) == 1

    def test_a_lease_ends_and_a_settle_under_its_old_token_changes_nothing(self, world: World) -> None:
        batch_id = world.batch("1")
        (first,) = world.store.claim(Stage.NORMALIZE, batch_id=batch_id, token="stalled", lease_seconds=LEASE)
        world.clock.advance(LEASE - 1)
        assert world.claim(Stage.NORMALIZE, batch_id, store=world.other) == ()
        world.clock.advance(1)
        (second,) = world.other.claim(Stage.NORMALIZE, batch_id=batch_id, token="awake", lease_seconds=LEASE)
        assert (first.unsettled, second.unsettled, second.attempts) == (1, 2, 2)
        before = world.thread()
        for outcome in (
            Passed(thread_id=first.thread_id, order=order()),
            Waiting(id=first.thread_id, reason="Not yet.", next_at=world.clock()),
            Failed(id=first.thread_id, reason="No.", kind="data"),
        ):
            settled = world.store.settle(
                Stage.NORMALIZE, batch_id=batch_id, token="stalled", outcomes=[outcome]
            )
            assert (settled.passed, settled.waiting, settled.waiting_batch) == (0, 0, None)
        assert (world.thread(), world.open_errors()) == (before, [])
        passed = Passed(thread_id=second.thread_id, order=order())
        assert (
            world.other.settle(Stage.NORMALIZE, batch_id=batch_id, token="awake", outcomes=[passed]).passed
            == 1
        )

    def test_leases_go_by_the_databases_own_clock(self, world: World) -> None:
        store = world.harness.unshifted
        assert abs(store.now() - datetime.now(UTC)) < timedelta(seconds=5)
        held, short = world.batch("1"), world.batch("2")
        world.clock.advance(10_000_000_000)
        assert len(store.claim(Stage.NORMALIZE, batch_id=held, token="one", lease_seconds=600)) == 1
        assert store.claim(Stage.NORMALIZE, batch_id=held, token="two", lease_seconds=600) == ()
        assert len(store.claim(Stage.NORMALIZE, batch_id=short, token="one", lease_seconds=0.2)) == 1
        time.sleep(0.25)
        assert len(store.claim(Stage.NORMALIZE, batch_id=short, token="two", lease_seconds=600)) == 1

    def test_attempts_and_claims_without_an_outcome_are_counted_apart(self, world: World) -> None:
        batch_id = world.batch("1")
        for count in (1, 2):
            (claimed,) = world.claim(Stage.NORMALIZE, batch_id)
            assert (claimed.attempts, claimed.unsettled) == (count, count)
            world.clock.advance(LEASE)
        token = world.token()
        (claimed,) = world.store.claim(Stage.NORMALIZE, batch_id=batch_id, token=token, lease_seconds=LEASE)
        waiting = Waiting(id=claimed.thread_id, reason="Busy.", next_at=world.clock())
        world.store.settle(Stage.NORMALIZE, batch_id=batch_id, token=token, outcomes=[waiting])
        token = world.token()
        (claimed,) = world.store.claim(Stage.NORMALIZE, batch_id=batch_id, token=token, lease_seconds=LEASE)
        assert (claimed.attempts, claimed.unsettled) == (4, 1)
        passed = Passed(thread_id=claimed.thread_id, order=order())
        world.store.settle(Stage.NORMALIZE, batch_id=batch_id, token=token, outcomes=[passed])
        (claimed,) = world.claim(Stage.VERIFY_SKUS, batch_id)
        assert (claimed.attempts, claimed.unsettled, claimed.waiting_since) == (1, 1, None)

    @pytest.mark.parametrize("stage", BEFORE_DELIVERY[:-1])
    def test_each_outcome_leaves_its_order_as_it_says(self, world: World, stage: Stage) -> None:
        batch_id = world.at(stage, "1", "2", "3", "4")
        token = world.token()
        claimed = world.store.claim(stage, batch_id=batch_id, token=token, lease_seconds=LEASE)
        ids = [each.thread_id for each in claimed]
        soon, later = world.clock() + timedelta(seconds=5), world.clock() + timedelta(hours=1)
        settled = world.store.settle(
            stage,
            batch_id=batch_id,
            token=token,
            outcomes=[
                Passed(thread_id=ids[0], order=order("1")),
                Waiting(id=ids[1], reason="Busy.", next_at=soon),
                Waiting(id=ids[2], reason="Not in the middleware.", next_at=later, hold_kind="sku"),
                Failed(id=ids[3], reason="Blocked.", kind="sku", field="/lines/0/sku", order=order("4")),
            ],
        )
        assert (settled.passed, settled.waiting, settled.due_at) == (1, 2, soon)
        threads = [world.thread(each) for each in "1234"]
        assert [each["state"] for each in threads] == [
            State.ACTIVE,
            State.ACTIVE,
            State.HELD,
            State.REJECTED,
        ]
        assert [each["next_at"] for each in threads] == [world.clock(), soon, later, None]
        assert [each["reason"] for each in threads] == ["", "Busy.", "Not in the middleware.", "Blocked."]
        assert [each["stage"] == stage for each in threads] == [False, True, True, True]
        assert {each["lease_token"] for each in threads} == {None}
        assert {each["unsettled"] for each in threads} == {0}
        (error,) = world.open_errors("4")
        assert (error["stage"], error["kind"], error["field"]) == (stage, "sku", "/lines/0/sku")
        assert (error["order_number"], error["value"], error["currency"]) == (
            "BGM-4",
            Decimal("119.00"),
            "USD",
        )
        assert error["document"] is not None

    @pytest.mark.parametrize(
        ("_case", "passing", "failing", "moves"),
        [
            ("all wait", 0, 0, False),
            ("others fail", 0, 1, False),
            ("others pass", 1, 0, True),
            ("others pass and fail", 1, 1, True),
        ],
    )
    def test_waiting_orders_move_to_a_child_batch_only_when_others_passed(
        self, world: World, _case: str, passing: int, failing: int, moves: bool
    ) -> None:
        batch_id = world.batch("1", "2", "3", "4")
        token = world.token()
        claimed = world.store.claim(Stage.NORMALIZE, batch_id=batch_id, token=token, lease_seconds=LEASE)
        soon = world.clock() + timedelta(seconds=5)
        settled = world.store.settle(
            Stage.NORMALIZE,
            batch_id=batch_id,
            token=token,
            outcomes=[
                Passed(thread_id=each.thread_id, order=order(each.platform_order_id))
                if place < passing
                else Failed(id=each.thread_id, reason="No.", kind="data")
                if place < passing + failing
                else Waiting(id=each.thread_id, reason="Busy.", next_at=soon)
                for place, each in enumerate(claimed)
            ],
        )
        assert settled.waiting_batch is not None
        assert (settled.waiting_batch != batch_id) == moves
        assert world.claim(Stage.NORMALIZE, settled.waiting_batch) == ()
        world.clock.advance(5)
        waiting = 4 - passing - failing
        assert len(world.claim(Stage.NORMALIZE, settled.waiting_batch)) == waiting
        assert len(world.claim(Stage.VERIFY_SKUS, batch_id)) == passing

    def test_an_order_remembers_since_when_it_waits(self, world: World) -> None:
        batch_id = world.batch("1")
        first = world.clock()
        for _ in range(3):
            token = world.token()
            (claimed,) = world.store.claim(
                Stage.NORMALIZE, batch_id=batch_id, token=token, lease_seconds=LEASE
            )
            assert claimed.waiting_since in {None, first}
            waiting = Waiting(
                id=claimed.thread_id, reason="Busy.", next_at=world.clock() + timedelta(hours=1)
            )
            world.store.settle(Stage.NORMALIZE, batch_id=batch_id, token=token, outcomes=[waiting])
            world.clock.advance(3600)
        assert world.thread()["waiting_since"] == first

    def test_an_order_that_cannot_be_stored_as_it_is_stops_no_other(self, world: World) -> None:
        batch_id = world.batch("1", "2", "3")
        token = world.token()
        claimed = world.store.claim(Stage.NORMALIZE, batch_id=batch_id, token=token, lease_seconds=LEASE)
        odd = replace(order("1", number="BGM-\x001\ud800"), customer_note="a\x00b\ud800c")
        long = order("2", number="BGM-" + "2" * 100)
        huge = replace(order("3"), total=Decimal("1e20"))
        settled = world.store.settle(
            Stage.NORMALIZE,
            batch_id=batch_id,
            token=token,
            outcomes=[
                Passed(thread_id=claimed[0].thread_id, order=odd),
                Passed(thread_id=claimed[1].thread_id, order=long),
                Failed(
                    id=claimed[2].thread_id,
                    reason="\x00\ud800",
                    kind="data",
                    field="/" + "f" * 300,
                    order=replace(huge, number=long.number),
                ),
            ],
        )
        assert settled.passed == 2
        assert world.thread("1")["order_number"] == "BGM-1?"
        assert world.thread("2")["order_number"] == long.number[:80]
        (error,) = world.open_errors("3")
        assert (error["value"], error["reason"], error["order_number"]) == (None, "?", long.number[:80])

    def test_one_error_is_open_for_an_order_and_stage_however_often_it_fails(self, world: World) -> None:
        batch_id = world.batch("1")
        for count in range(3):
            self._fail(world, Stage.NORMALIZE, batch_id, reason=f"No lines, {count}.")
            world.harness.execute("UPDATE rm_thread SET state = 'active', next_at = created_at")
        (error,) = world.details()["errors"]
        assert (error["reason"], error["open_key"]) == ("No lines, 2.", f"{world.thread()['id']}:normalize")
        world.pass_stage(Stage.NORMALIZE, batch_id)
        self._fail(world, Stage.VERIFY_SKUS, batch_id, reason="Blocked.")
        assert [each["stage"] for each in world.open_errors()] == [Stage.NORMALIZE, Stage.VERIFY_SKUS]

    def test_two_workers_that_fail_the_same_order_at_once_leave_one_open_error(self, world: World) -> None:
        for count in range(8):
            order_id = str(count)
            batch_id = world.batch(order_id)
            (first,) = world.store.claim(
                Stage.NORMALIZE, batch_id=batch_id, token=f"old-{count}", lease_seconds=LEASE
            )
            world.clock.advance(LEASE)
            failed = Failed(id=first.thread_id, reason="No lines.", kind="data")

            def settle(store: Store, token: str, batch_id: int = batch_id, failed: Failed = failed) -> None:
                store.settle(Stage.NORMALIZE, batch_id=batch_id, token=token, outcomes=[failed])

            def take_over(
                store: Store, token: str, batch_id: int = batch_id, failed: Failed = failed
            ) -> None:
                if store.claim(Stage.NORMALIZE, batch_id=batch_id, token=token, lease_seconds=LEASE):
                    store.settle(Stage.NORMALIZE, batch_id=batch_id, token=token, outcomes=[failed])

            at_once(
                lambda token=f"old-{count}": settle(world.store, token),  # type: ignore[misc]
                lambda token=f"new-{count}": take_over(world.other, token),  # type: ignore[misc]
            )
            assert len(world.details(order_id)["errors"]) == 1
            assert world.thread(order_id)["state"] == State.REJECTED

    # Writing.

    def test_a_written_order_comes_back_to_the_last_digit_and_character(self, world: World) -> None:
        lines = [
            product(
                amount=Decimal("12487490.01"),
                quantity=Decimal("0.33333"),
                listed=None,
                credit=Decimal("1190.01"),
                name="Ünï 'quoted' \"twice\" \\ 🔔",
                detail="Größe: 5",
            ),
            Line(
                position=2,
                type=LineType.COMPONENT,
                name="Part",
                sku="PART",
                quantity=Decimal("99999999999999.99999"),
                amount=Decimal(0),
                parent=1,
            ),
            Line(position=3, type=LineType.TAX, name="Tax", amount=Decimal("0.10")),
            Line(
                position=4,
                type=LineType.STORE_CREDIT,
                name="Credit",
                amount=Decimal(0),
                nominal=Decimal("1190.01"),
            ),
        ]
        given = replace(order(lines=lines), total=Decimal("12486300.10"))
        world.write(world.at(Stage.WRITE, "1"), given)
        found = world.details()
        header = found["order"]
        assert (header["order_number"], header["external_number"]) == ("BGM-1", "BGM-1")
        assert (header["total"], header["subtotal"]) == (Decimal("12486300.10"), Decimal("12487490.01"))
        assert (header["tax_total"], header["store_credit"]) == (Decimal("0.10"), Decimal("1190.01"))
        assert (header["imported"], header["stripe"], header["klarna"]) == (0, True, False)
        assert (header["order_date"], header["paid_at"]) == (MODIFIED, MODIFIED)
        assert header["customer_note"] == "Ring twice 🔔"
        assert [each["kind"] for each in found["addresses"]] == ["bill", "ship"]
        assert [each["company"] for each in found["addresses"]] == ["", "Dépôt"]
        for line, row in zip(given.lines, found["lines"], strict=True):
            for name in ("position", "parent", "sku", "name", "quantity", "listed", "amount", "credit"):
                assert row[name] == getattr(line, name), name
            assert (row["line_type"], row["nominal"], row["imported"]) == (int(line.type), line.nominal, 0)
            assert (row["verdict"], row["verified_at"]) == (line.verdict, line.verified_at)
        assert [(each["kind"], each["state"]) for each in found["steps"]] == [
            ("acknowledge", "owed"),
            ("export", "owed"),
        ]
        _, (owed,) = world.claim_steps(Owed.ACKNOWLEDGE, world.thread()["batch_id"])
        assert owed.order == given

    def test_writing_an_order_twice_gives_the_same_rows_once(self, world: World) -> None:
        batch_id = world.at(Stage.WRITE, "1", "2")
        world.write(batch_id, order("1"), order("2"))
        before = world.details()
        world.harness.execute("UPDATE rm_thread SET stage = 'write' WHERE platform_order_id = '1'")
        world.clock.advance(60)
        world.write(batch_id, order("1"))
        after = world.details()
        for name in ("addresses", "lines", "steps"):
            assert len(after[name]) == len(before[name])
        changing = {"id", "order_id", "updated_at"}
        for name in ("addresses", "lines"):
            for old, new in zip(before[name], after[name], strict=True):
                assert {key: new[key] for key in new if key not in changing} == {
                    key: old[key] for key in old if key not in changing
                }
        assert after["order"]["id"] == before["order"]["id"]
        assert after["order"]["created_at"] == before["order"]["created_at"]
        assert world.harness.query("SELECT COUNT(*) FROM rm_order") == [(2,)]

    def test_writing_a_changed_order_replaces_its_lines(self, world: World) -> None:
        batch_id = world.at(Stage.WRITE, "1")
        world.write(batch_id, order("1"))
        world.again(seen(shows="second", at=START))
        batch_id = world.thread()["batch_id"]
        world.bring_to(Stage.WRITE, batch_id)
        world.write(batch_id, replace(order("1", lines=[product(sku="NEW")]), total=Decimal("100.00")))
        found = world.details()
        assert [each["sku"] for each in found["lines"]] == ["NEW"]
        assert (found["order"]["total"], found["order"]["version"]) == (Decimal("100.00"), 2)

    @pytest.mark.parametrize("_case", ["of an earlier batch", "of the same batch", "in another case"])
    def test_an_order_number_that_another_order_has_fails_that_order_only(
        self, world: World, _case: str
    ) -> None:
        number = "bgm-1" if _case == "in another case" else "BGM-1"
        if _case == "of an earlier batch":
            world.at(Stage.DELIVER, "1")
            batch_id = world.at(Stage.WRITE, "2", "3")
            world.write(batch_id, order("2", number=number), order("3"))
        else:
            batch_id = world.at(Stage.WRITE, "1", "2", "3")
            world.write(batch_id, order("1"), order("2", number=number), order("3"))
        assert [world.thread(each)["stage"] for each in "123"] == [Stage.DELIVER, Stage.WRITE, Stage.DELIVER]
        assert world.thread("2")["state"] == State.REJECTED
        (error,) = world.open_errors("2")
        assert error["reason"] == f"The order number {number} already belongs to the platform's order 1."
        found = world.harness.query("SELECT platform_order_id FROM rm_order ORDER BY platform_order_id")
        assert found == [("1",), ("3",)]

    @pytest.mark.parametrize(
        ("_case", "broken", "column"),
        [
            ("a long street", {"ship": Address(address1="x" * 256)}, "address1"),
            ("a long postcode", {"bill": Address(postcode="9" * 65)}, "postcode"),
            ("a long order number", {"number": "BGM-" + "1" * 100}, "order_number"),
            ("a long SKU", {"lines": (product(sku="S" * 256),)}, "sku"),
            ("a fine quantity", {"lines": (product(quantity=Decimal("0.123456")),)}, "quantity"),
            ("a huge quantity", {"lines": (product(quantity=Decimal("1e15")),)}, "quantity"),
            ("a huge amount", {"lines": (product(amount=Decimal("1e15")),)}, "amount"),
            ("a huge total", {"total": Decimal("1e15")}, "total"),
        ],
    )
    def test_what_does_not_fit_its_column_fails_that_order_only(
        self, world: World, _case: str, broken: dict[str, Any], column: str
    ) -> None:
        batch_id = world.at(Stage.WRITE, "1", "2")
        world.write(batch_id, replace(order("1"), **broken), order("2"))
        assert (world.thread("1")["state"], world.details("1")["order"]) == (State.REJECTED, None)
        assert [each["field"] for each in world.open_errors("1")] == [column]
        assert world.thread("2")["stage"] == Stage.DELIVER

    def test_nul_and_lone_surrogates_are_stored_harmlessly(self, world: World) -> None:
        batch_id = world.at(Stage.WRITE, "1")
        odd = replace(
            order(lines=[product(name="A\x00B\ud83d", detail="\x00"), tax()]),
            customer_note="a\x00b\ud800c",
            meta=(("\x00", "\udfff"),),
        )
        world.write(batch_id, odd)
        found = world.details()
        assert (found["lines"][0]["name"], found["order"]["customer_note"]) == ("AB?", "ab?c")
        _, (owed,) = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        assert owed.order.number == "BGM-1"

    def test_orders_written_at_the_same_moment_are_all_written_once(self, world: World) -> None:
        batches = [world.at(Stage.WRITE, *(f"{batch}{each}" for each in range(3))) for batch in range(1, 5)]

        def write(store: Store, batch_id: int) -> None:
            token = f"write-{batch_id}-{id(store)}"
            claimed = store.claim(Stage.WRITE, batch_id=batch_id, token=token, lease_seconds=LEASE)
            outcomes = [
                Passed(thread_id=each.thread_id, order=order(each.platform_order_id)) for each in claimed
            ]
            erp_ids = {world.site_id: world.erp_id}
            store.write(batch_id=batch_id, token=token, erp_ids=erp_ids, outcomes=outcomes)

        at_once(
            *(
                lambda store=store, batch_id=batch_id: write(store, batch_id)
                for batch_id in batches
                for store in (world.store, world.other)
            )
        )
        assert world.harness.query("SELECT COUNT(*) FROM rm_order") == [(12,)]
        assert world.harness.query("SELECT COUNT(*) FROM rm_lineitems") == [(24,)]
        assert world.harness.query("SELECT COUNT(*) FROM rm_step") == [(24,)]

    # Owed steps.

    def test_claims_of_steps_made_at_the_same_moment_share_none_and_leave_none(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, *(str(each) for each in range(30)))

        def claim_all(store: Store, name: str) -> list[int]:
            mine: list[int] = []
            for count in itertools.count():
                found = store.claim_steps(
                    Owed.ACKNOWLEDGE,
                    batch_id=batch_id,
                    token=f"{name}-{count}",
                    lease_seconds=LEASE,
                    limit=4,
                )
                if not found:
                    return mine
                assert len(found) <= 4
                mine += [each.thread_id for each in found]
            return mine

        stores = (world.store, world.other) * 3
        found = at_once(
            *(
                lambda store=store, name=str(place): claim_all(store, name)
                for place, store in enumerate(stores)
            )
        )
        # A claim passes over rows that another holds at that moment; one of the others has them.
        claimed = list(itertools.chain(*found)) + claim_all(world.store, "last")
        assert len(claimed) == len(set(claimed)) == 30

    def test_an_export_waits_for_the_first_try_of_its_acknowledgement(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1", "2")
        assert world.claim_steps(Owed.EXPORT, batch_id)[1] == ()
        token, owed = world.claim_steps(Owed.ACKNOWLEDGE, batch_id, limit=1)
        waiting = Waiting(id=owed[0].step_id, reason="Busy.", next_at=world.clock() + timedelta(hours=1))
        world.store.settle_steps(Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, outcomes=[waiting])
        _, exports = world.claim_steps(Owed.EXPORT, batch_id)
        assert [each.platform_order_id for each in exports] == ["1"]
        assert (exports[0].external_number, exports[0].acknowledged_at) == ("BGM-1", None)
        assert exports[0].order == order("1")

    def test_an_order_is_done_when_both_of_its_steps_are(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        world.acknowledge(batch_id)
        found = world.details()
        assert found["order"]["acknowledged_at"] == world.clock()
        assert (found["order"]["imported"], found["thread"]["state"]) == (0, State.ACTIVE)
        world.export(batch_id)
        found = world.details()
        assert (found["thread"]["state"], found["thread"]["reason"]) == (State.DONE, "")
        assert (found["order"]["imported"], found["order"]["exported_at"]) == (1, world.clock())
        assert (found["order"]["erp_document_id"], found["order"]["erp_document_number"]) == ("id-1", "S-1")
        assert (found["order"]["erp_customer_number"], found["order"]["erp_total"]) == (
            "C0001",
            Decimal("119.00"),
        )
        assert {each["imported"] for each in found["lines"]} == {1}
        assert {each["state"] for each in found["steps"]} == {StepState.DONE}
        assert world.claim_steps(Owed.EXPORT, batch_id)[1] == ()

    def test_a_waiting_step_keeps_its_order_unfinished_and_moves_when_others_are_done(
        self, world: World
    ) -> None:
        batch_id = world.at(Stage.DELIVER, "1", "2")
        world.acknowledge(batch_id)
        token, (one, two) = world.claim_steps(Owed.EXPORT, batch_id)
        world.store.intend([one.step_id, two.step_id], token=token)
        soon = world.clock() + timedelta(seconds=5)
        settled = world.store.settle_steps(
            Owed.EXPORT,
            batch_id=batch_id,
            token=token,
            outcomes=[
                StepDone(step_id=one.step_id, document=document("1")),
                Waiting(id=two.step_id, reason="No answer.", next_at=soon, state=StepState.IN_DOUBT),
            ],
        )
        assert (settled.passed, settled.waiting, settled.due_at) == (1, 1, soon)
        assert settled.waiting_batch not in {None, batch_id}
        thread, step = world.thread("2"), world.step(Owed.EXPORT, "2")
        assert (thread["state"], thread["reason"], thread["next_at"]) == (State.ACTIVE, "No answer.", soon)
        assert (step["state"], step["intent_at"]) == (StepState.IN_DOUBT, world.clock())
        assert settled.waiting_batch is not None
        assert world.claim_steps(Owed.EXPORT, settled.waiting_batch)[1] == ()
        world.clock.advance(5)
        _, (again,) = world.claim_steps(Owed.EXPORT, settled.waiting_batch)
        assert (again.state, again.attempts, again.unsettled) == (StepState.IN_DOUBT, 2, 1)
        assert again.waiting_since == world.clock() - timedelta(seconds=5)

    def test_steps_that_all_wait_stay_in_their_batch(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        token, (step,) = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        until = world.clock() + timedelta(hours=9)
        waiting = Waiting(id=step.step_id, reason="The window.", next_at=until, hold_kind="maintenance")
        settled = world.store.settle_steps(
            Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, outcomes=[waiting]
        )
        assert settled.waiting_batch == batch_id
        thread = world.thread()
        assert (thread["state"], thread["hold_kind"]) == (State.HELD, "maintenance")

    def test_a_failed_acknowledgement_does_not_block_the_export_but_needs_a_person(
        self, world: World
    ) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        token, (step,) = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        refused = Failed(id=step.step_id, reason="The platform refuses the mark.", kind="refused")
        world.store.settle_steps(Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, outcomes=[refused])
        assert world.thread()["state"] == State.ACTIVE
        world.export(batch_id)
        found = world.details()
        assert (found["order"]["imported"], found["order"]["acknowledged_at"]) == (1, None)
        assert (found["thread"]["state"], found["thread"]["reason"]) == (
            State.REJECTED,
            "The platform refuses the mark.",
        )
        (error,) = world.open_errors()
        assert (error["stage"], error["kind"]) == (Owed.ACKNOWLEDGE, "refused")

    def test_a_failed_export_leaves_the_order_pending_with_its_own_reason(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        token, (mark,) = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        busy = Waiting(
            id=mark.step_id, reason="The shop is busy.", next_at=world.clock() + timedelta(minutes=1)
        )
        world.store.settle_steps(Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, outcomes=[busy])
        token, (step,) = world.claim_steps(Owed.EXPORT, batch_id)
        failed = Failed(id=step.step_id, reason="The customer is blocked.", kind="customer")
        world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[failed])
        assert world.thread()["state"] == State.ACTIVE
        token, again = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        assert again == ()
        world.clock.advance(60)
        token, (mark,) = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        world.store.settle_steps(
            Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, outcomes=[replace(busy, next_at=world.clock())]
        )
        world.acknowledge(batch_id)
        found = world.details()
        assert (found["thread"]["state"], found["thread"]["reason"]) == (
            State.REJECTED,
            "The customer is blocked.",
        )
        assert (found["order"]["imported"], world.step(Owed.EXPORT)["state"]) == (0, StepState.FAILED)

    def test_a_found_document_with_a_difference_keeps_the_link_and_opens_an_error(self, world: World) -> None:
        batch_id, token, step = world.sent()
        found = document(total="119.01")
        reason = "The ERP's document S-1 comes to 119.01."
        failed = Failed(id=step.step_id, reason=reason, kind="totals", order=step.order, document=found)
        world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[failed])
        header = world.details()["order"]
        assert (header["imported"], header["erp_document_number"]) == (1, "S-1")
        assert header["erp_total"] == Decimal("119.01")
        assert world.step(Owed.EXPORT)["state"] == StepState.DONE
        thread = world.thread()
        assert (thread["state"], thread["reason"]) == (State.REJECTED, reason)
        assert [each["kind"] for each in world.open_errors()] == ["totals"]
        assert world.claim_steps(Owed.EXPORT, batch_id)[1] == ()
        assert world.read(seen(shows="second", at=START)).amended == 1

    def test_one_error_is_open_for_an_owed_step_however_often_it_fails(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        for count in range(3):
            token, (step,) = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
            failed = Failed(id=step.step_id, reason=f"Refused, {count}.", kind="refused")
            world.store.settle_steps(Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, outcomes=[failed])
            world.harness.execute(
                "UPDATE rm_step SET state = 'owed', "
                "next_at = (SELECT created_at FROM rm_thread WHERE rm_thread.id = rm_step.thread_id)"
            )
        assert [each["reason"] for each in world.details()["errors"]] == ["Refused, 2."]

    def test_a_closed_order_is_closed_without_export(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1", "2")
        token, (one, two) = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        world.store.settle_steps(
            Owed.ACKNOWLEDGE,
            batch_id=batch_id,
            token=token,
            outcomes=[StepDone(step_id=two.step_id)],
            closed=[Closed(thread_id=one.thread_id, reason="It is cancelled.")],
        )
        found = world.details("1")
        assert (found["thread"]["state"], found["thread"]["reason"]) == (State.CLOSED, "It is cancelled.")
        assert (found["order"]["imported"], found["thread"]["next_at"]) == (2, None)
        assert {each["state"] for each in found["steps"]} == {StepState.CLOSED}
        assert [each.platform_order_id for each in world.claim_steps(Owed.EXPORT, batch_id)[1]] == ["2"]
        assert world.read(seen("1", shows="second", at=START)).again == 1
        world.bring_to(Stage.DELIVER, world.thread("1")["batch_id"])
        assert world.details("1")["order"]["imported"] == 0

    def test_an_order_that_is_marked_and_closed_at_once_is_closed(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        token, (step,) = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        world.store.settle_steps(
            Owed.ACKNOWLEDGE,
            batch_id=batch_id,
            token=token,
            outcomes=[StepDone(step_id=step.step_id)],
            closed=[Closed(thread_id=step.thread_id, reason="It was cancelled meanwhile.")],
        )
        found = world.details()
        assert (found["thread"]["state"], found["thread"]["reason"]) == (
            State.CLOSED,
            "It was cancelled meanwhile.",
        )
        assert (found["order"]["imported"], world.step(Owed.ACKNOWLEDGE)["state"]) == (2, StepState.DONE)
        assert world.step(Owed.EXPORT)["state"] == StepState.CLOSED

    def test_an_order_whose_document_may_be_on_its_way_is_not_closed(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        token, (mark,) = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        busy = Waiting(id=mark.step_id, reason="Busy.", next_at=world.clock() + timedelta(seconds=1))
        world.store.settle_steps(Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, outcomes=[busy])
        exporter, (step,) = world.claim_steps(Owed.EXPORT, batch_id)
        world.store.intend([step.step_id], token=exporter)
        world.clock.advance(1)
        token, (mark,) = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        closed = Closed(thread_id=mark.thread_id, reason="It is cancelled.")
        world.store.settle_steps(
            Owed.ACKNOWLEDGE, batch_id=batch_id, token=token, outcomes=[], closed=[closed]
        )
        assert world.step(Owed.ACKNOWLEDGE)["state"] == StepState.CLOSED
        assert world.thread()["state"] == State.ACTIVE
        done = StepDone(step_id=step.step_id, document=document())
        settled = world.store.settle_steps(Owed.EXPORT, batch_id=batch_id, token=exporter, outcomes=[done])
        assert settled.passed == 1
        found = world.details()
        assert (found["order"]["imported"], found["order"]["erp_document_number"]) == (1, "S-1")
        assert found["thread"]["state"] == State.DONE

    def test_under_an_old_token_steps_are_neither_intended_nor_settled_nor_closed(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        world.acknowledge(batch_id)
        old, (step,) = world.claim_steps(Owed.EXPORT, batch_id)
        world.clock.advance(LEASE)
        new, (again,) = world.claim_steps(Owed.EXPORT, batch_id, store=world.other)
        assert (again.attempts, again.unsettled) == (2, 2)
        before = world.details()
        assert world.store.intend([step.step_id], token=old) == ()
        for outcome in (
            StepDone(step_id=step.step_id, document=document()),
            Waiting(id=step.step_id, reason="Busy.", next_at=world.clock()),
            Failed(id=step.step_id, reason="No.", kind="data"),
        ):
            world.store.settle_steps(
                Owed.EXPORT,
                batch_id=batch_id,
                token=old,
                outcomes=[outcome],
                closed=[Closed(thread_id=step.thread_id, reason="No.")],
            )
        assert world.details() == before
        assert world.other.intend([step.step_id], token=new) == (step.step_id,)

    def test_an_intent_is_stored_for_those_under_the_token_only(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1", "2", "3")
        world.acknowledge(batch_id)
        token, (one, two, three) = world.claim_steps(Owed.EXPORT, batch_id)
        world.again(seen("2", shows="second", at=START))
        world.clock.advance(7)
        sent = world.store.intend([one.step_id, two.step_id], token=token)
        assert sent == (one.step_id,)
        assert (world.step(Owed.EXPORT, "1")["intent_at"], world.step(Owed.EXPORT, "1")["state"]) == (
            world.clock(),
            StepState.SENDING,
        )
        assert world.step(Owed.EXPORT, "3")["state"] == StepState.OWED
        assert three.intent_at is None

    def test_an_order_is_never_both_sent_and_restarted(self, world: World) -> None:
        rounds = 24
        batch_id = world.at(Stage.DELIVER, *(str(each) for each in range(rounds)))
        world.acknowledge(batch_id)
        both = []
        for each in range(rounds):
            token, (step,) = world.claim_steps(Owed.EXPORT, batch_id, limit=1)
            changed = seen(step.platform_order_id, shows="second", at=START)

            def send(step: OwedStep = step, token: str = token, ahead: bool = each % 3 == 0) -> bool:
                time.sleep(0 if ahead else random.uniform(0, 0.004))
                return bool(world.store.intend([step.step_id], token=token))

            def restart(changed: Seen = changed) -> bool:
                found = world.other.new_versions(world.site_id, [changed], read_at=world.clock())
                return bool(found.platform_order_ids)

            sent, restarted = at_once(send, restart)
            assert sent != restarted
            both.append(sent)
            thread = world.thread(step.platform_order_id)
            assert (thread["amended_version"], thread["version"]) == ((2, 1) if sent else (None, 2))
        assert len(both) == rounds

    def test_closing_and_restarting_at_once_never_loses_the_new_version(self, world: World) -> None:
        rounds = 12
        batch_id = world.at(Stage.DELIVER, *(str(each) for each in range(rounds)))
        world.acknowledge(batch_id)
        for _ in range(rounds):
            token, (step,) = world.claim_steps(Owed.EXPORT, batch_id, limit=1)
            changed = seen(step.platform_order_id, shows="second", at=START)
            closed = Closed(thread_id=step.thread_id, reason="It is cancelled.")
            at_once(
                lambda token=token, closed=closed: world.store.settle_steps(  # type: ignore[misc]
                    Owed.EXPORT, batch_id=batch_id, token=token, outcomes=[], closed=[closed]
                ),
                lambda changed=changed: world.other.new_versions(  # type: ignore[misc]
                    world.site_id, [changed], read_at=world.clock()
                ),
            )
            thread = world.thread(step.platform_order_id)
            assert (thread["state"], thread["stage"]) == (State.ACTIVE, Stage.NORMALIZE)

    @pytest.mark.parametrize("kind", Owed)
    def test_a_step_that_is_given_back_untried_was_not_attempted(self, world: World, kind: Owed) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        if kind is Owed.EXPORT:
            world.acknowledge(batch_id)
        for reason, attempts in (("", 0), ("", 0), ("Busy.", 1), ("", 1), ("Busy.", 2)):
            token, (step,) = world.claim_steps(kind, batch_id)
            assert step.attempts == (attempts if reason else attempts + 1)
            settled = world.store.settle_steps(
                kind,
                batch_id=batch_id,
                token=token,
                outcomes=[Waiting(id=step.step_id, reason=reason, next_at=world.clock())],
            )
            assert settled.waiting == 1
            assert world.step(kind, "1")["attempts"] == attempts

    def test_both_steps_settled_at_the_same_moment_end_the_order(self, world: World) -> None:
        rounds = 12
        batch_id = world.at(Stage.DELIVER, *(str(each) for each in range(rounds)))
        token, marks = world.claim_steps(Owed.ACKNOWLEDGE, batch_id)
        world.store.settle_steps(
            Owed.ACKNOWLEDGE,
            batch_id=batch_id,
            token=token,
            outcomes=[Waiting(id=each.step_id, reason="Busy.", next_at=world.clock()) for each in marks],
        )
        for _ in range(rounds):
            marker, (mark,) = world.claim_steps(Owed.ACKNOWLEDGE, batch_id, limit=1)
            exporter, (step,) = world.claim_steps(Owed.EXPORT, batch_id, limit=1)
            assert mark.thread_id == step.thread_id
            done = StepDone(step_id=step.step_id, document=document(step.platform_order_id))
            at_once(
                lambda marker=marker, mark=mark: world.store.settle_steps(  # type: ignore[misc]
                    Owed.ACKNOWLEDGE,
                    batch_id=batch_id,
                    token=marker,
                    outcomes=[StepDone(step_id=mark.step_id)],
                ),
                lambda exporter=exporter, done=done: world.other.settle_steps(  # type: ignore[misc]
                    Owed.EXPORT, batch_id=batch_id, token=exporter, outcomes=[done]
                ),
            )
            assert world.thread(step.platform_order_id)["state"] == State.DONE

    # Customers.

    def test_exactly_one_of_many_callers_may_create_a_customer(self, world: World) -> None:
        for count in range(6):
            email = f"zoe{count}@example.test"
            links = at_once(
                *(
                    lambda store=store, email=email: store.customer_link(world.erp_id, email, intend=True)
                    for store in (world.store, world.other) * 3
                )
            )
            assert [each is None for each in links] == [False] * 6
            assert sorted(each.mine for each in links if each) == [False] * 5 + [True]
            assert {each.intent_at for each in links if each} == {world.clock()}

    def test_a_customer_link_is_intended_then_confirmed(self, world: World) -> None:
        email = "zoe@example.test"
        assert world.store.customer_link(world.erp_id, email, intend=False) is None
        world.store.customer_link(world.erp_id, email, intend=True)
        world.store.confirm_customer(world.erp_id, email, number="C0001")
        link = world.store.customer_link(world.erp_id, email, intend=True)
        assert link is not None
        assert (link.number, link.mine) == ("C0001", False)
        world.store.drop_customer_intent(world.erp_id, email, intent_at=link.intent_at)
        assert world.store.customer_link(world.erp_id, email, intend=False) == link
        world.store.confirm_customer(world.erp_id, "found@example.test", number="C0002")
        found = world.store.customer_link(world.erp_id, "found@example.test", intend=True)
        assert found is not None
        assert (found.number, found.mine) == ("C0002", False)

    def test_an_intent_is_dropped_and_a_later_one_is_not(self, world: World) -> None:
        email = "zoe@example.test"
        first = world.store.customer_link(world.erp_id, email, intend=True)
        assert first is not None
        world.store.drop_customer_intent(world.erp_id, email, intent_at=first.intent_at)
        world.clock.advance(0.000001)
        second = world.store.customer_link(world.erp_id, email, intend=True)
        assert second is not None
        assert second.mine
        world.store.drop_customer_intent(world.erp_id, email, intent_at=first.intent_at)
        assert world.store.customer_link(world.erp_id, email, intend=False) is not None

    # Upkeep.

    def test_what_is_due_is_rung_and_not_again_too_soon(self, world: World) -> None:
        batch_id = world.batch("1")
        assert world.store.due(rung_before=10, limit=100) == ()
        world.clock.advance(10)
        bell = Bell(batch_id=batch_id, link=Stage.NORMALIZE)
        assert world.store.due(rung_before=10, limit=100) == (bell,)
        world.clock.advance(9)
        assert world.other.due(rung_before=10, limit=100) == ()
        world.clock.advance(1)
        assert world.other.due(rung_before=10, limit=100) == (bell,)

    def test_a_bell_names_the_site_and_the_run_its_orders_have_in_common(self, world: World) -> None:
        world.batch("1")
        world.clock.advance(10)
        (bell,) = world.store.due(rung_before=10, limit=100)
        assert (bell.site, bell.run_id) == ("bgm", world.run_id)
        first = world.run_id
        world.run_id = world.store.open_run(kind="orders", site_id=world.site_id)
        world.batch("2")
        world.clock.advance(10)
        (bell,) = world.store.due(rung_before=10, limit=100)
        assert first != world.run_id
        assert (bell.site, bell.run_id) == ("bgm", None)

    def test_an_owed_steps_bell_names_them_too(self, world: World) -> None:
        world.at(Stage.DELIVER, "1")
        world.clock.advance(10)
        (bell,) = world.store.due(rung_before=10, limit=100)
        assert (bell.link, bell.site, bell.run_id) == (Owed.ACKNOWLEDGE, "bgm", world.run_id)

    def test_what_is_leased_waiting_or_ended_is_not_rung(self, world: World) -> None:
        leased, waiting, rejected = world.batch("1"), world.batch("2"), world.batch("3")
        world.read(Sighting(seen=seen("4"), skip="A test order."))
        token = world.token()
        (claimed,) = world.store.claim(Stage.NORMALIZE, batch_id=waiting, token=token, lease_seconds=LEASE)
        later = Waiting(id=claimed.thread_id, reason="Busy.", next_at=world.clock() + timedelta(hours=1))
        world.store.settle(Stage.NORMALIZE, batch_id=waiting, token=token, outcomes=[later])
        self._fail(world, Stage.NORMALIZE, rejected)
        world.claim(Stage.NORMALIZE, leased)
        world.clock.advance(30)
        assert world.store.due(rung_before=10, limit=100) == ()
        world.clock.advance(30)
        assert [each.batch_id for each in world.store.due(rung_before=10, limit=100)] == [leased]
        world.clock.advance(3600)
        assert len(world.store.due(rung_before=10, limit=100)) == 1

    def test_batches_that_wait_at_one_place_are_gathered_into_one(self, world: World) -> None:
        batches = [world.batch("1"), world.batch("2", "3"), world.batch("4")]
        elsewhere = world.at(Stage.WRITE, "5", "6")
        world.clock.advance(60)
        bells = world.store.due(rung_before=10, limit=100)
        assert sorted(each.link for each in bells) == [Stage.NORMALIZE, Stage.WRITE]
        by_link = {each.link: each.batch_id for each in bells}
        assert by_link[Stage.NORMALIZE] not in batches
        assert by_link[Stage.WRITE] == elsewhere
        assert len(world.claim(Stage.NORMALIZE, by_link[Stage.NORMALIZE])) == 4

    def test_many_due_orders_are_rung_as_few_batches(self, world: World) -> None:
        for start in range(0, 120, 60):
            world.batch(*(str(each) for each in range(start, start + 60)))
        world.clock.advance(60)
        bells = world.store.due(rung_before=10, limit=1000)
        assert [len(world.claim(Stage.NORMALIZE, each.batch_id)) for each in bells] == [100, 20]

    def test_owed_steps_are_rung_once_for_their_batch(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1", "2")
        world.clock.advance(60)
        assert world.store.due(rung_before=10, limit=100) == (Bell(batch_id=batch_id, link=Owed.ACKNOWLEDGE),)
        world.acknowledge(batch_id)
        world.clock.advance(60)
        assert world.store.due(rung_before=10, limit=100) == (Bell(batch_id=batch_id, link=Owed.EXPORT),)
        world.export(batch_id)
        world.clock.advance(60)
        assert world.store.due(rung_before=10, limit=100) == ()

    def test_two_sweepers_at_once_ring_nothing_twice(self, world: World) -> None:
        batches = [world.batch(str(each)) for each in range(3)]
        delivered = world.at(Stage.DELIVER, "8", "9")
        world.clock.advance(60)
        found = at_once(
            *(
                lambda store=store: store.due(rung_before=10, limit=100)
                for store in (world.store, world.other) * 2
            )
        )
        bells = list(itertools.chain(*found))
        assert [each.batch_id for each in bells if each.link == Owed.ACKNOWLEDGE] == [delivered]
        rung = [each.batch_id for each in bells if each.link == Stage.NORMALIZE]
        assert len(rung) == len(set(rung))
        claimed = [each for batch_id in {*rung, *batches} for each in world.claim(Stage.NORMALIZE, batch_id)]
        assert sorted(each.platform_order_id for each in claimed) == ["0", "1", "2"]

    # Runs and looking.

    def test_a_run_ends_when_it_is_read_and_none_of_its_orders_moves(self, world: World) -> None:
        batch_id = world.batch("1", "2", "3")
        world.read(Sighting(seen=seen("4"), skip="A test order."))
        world.bring_to(Stage.DELIVER, batch_id)
        world.acknowledge(batch_id)
        token, (one, two, three) = world.claim_steps(Owed.EXPORT, batch_id)
        assert world.store.close_runs(cut_off_after=LEASE) == ()
        world.store.finish_reading(world.run_id, state=None, reason="")
        assert world.store.close_runs(cut_off_after=LEASE) == ()
        later = world.clock() + timedelta(hours=9)
        world.store.settle_steps(
            Owed.EXPORT,
            batch_id=batch_id,
            token=token,
            outcomes=[
                StepDone(step_id=one.step_id, document=document("1")),
                Failed(id=two.step_id, reason="The customer is blocked.", kind="customer"),
                Waiting(id=three.step_id, reason="The window.", next_at=later, hold_kind="maintenance"),
            ],
        )
        running = world.store.run(world.run_id)
        assert (running.state, running.finished_at) == ("running", None)
        world.clock.advance(5)
        (ended,) = world.store.close_runs(cut_off_after=LEASE)
        assert (ended.id, ended.state, ended.finished_at) == (world.run_id, "finished", world.clock())
        assert ended.counts == {
            "fetched": 4,
            "written": 3,
            "acknowledged": 3,
            "exported": 1,
            "held": 1,
            "rejected": 1,
            "skipped": 1,
            "closed": 0,
            "moving": 0,
        }
        assert world.store.run(world.run_id) == ended
        assert running.counts == ended.counts
        assert world.store.close_runs(cut_off_after=LEASE) == ()

    def test_two_sweepers_at_once_end_a_run_once(self, world: World) -> None:
        world.store.finish_reading(world.run_id, state=None, reason="")
        found = at_once(
            *(partial(store.close_runs, cut_off_after=LEASE) for store in (world.store, world.other) * 2)
        )
        assert [each.id for each in itertools.chain(*found)] == [world.run_id]

    def test_a_run_that_cannot_read_ends_at_once_with_its_reason(self, world: World) -> None:
        reason = "\x00\udfff The shop answers with HTML." + "x" * 2000
        ended = world.store.finish_reading(world.run_id, state="failed", reason=reason)
        run = world.store.run(world.run_id)
        assert run == ended
        assert world.store.finish_reading(world.run_id, state="failed", reason=reason) is None
        assert (run.state, run.finished_at) == ("failed", world.clock())
        assert run.reason.startswith("? The shop answers with HTML.")
        assert world.store.close_runs(cut_off_after=LEASE) == ()

    def test_an_order_is_found_by_its_number_and_by_the_platforms_id(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        world.acknowledge(batch_id)
        world.export(batch_id)
        found = world.details("BGM-1")
        assert found == world.details("1")
        assert found["thread"]["site"] == "bgm"
        events = [(each["stage"], each["event"]) for each in found["events"]]
        assert events == [
            ("fetch", "fetched"),
            *((stage, "passed") for stage in BEFORE_DELIVERY),
            ("acknowledge", "acknowledged"),
            ("export", "sending"),
            ("export", "exported"),
        ]
        assert world.store.order_details("BGM-2") is None

    def test_summaries_show_the_latest_orders_first(self, world: World) -> None:
        batch_id = world.at(Stage.DELIVER, "1")
        world.acknowledge(batch_id)
        world.export(batch_id)
        world.read(Sighting(seen=seen("2"), skip="A test order."))
        newest, oldest = world.store.order_summaries(site=None, state=None, limit=10)
        assert (newest.platform_order_id, newest.state, newest.reason) == (
            "2",
            State.SKIPPED,
            "A test order.",
        )
        assert (oldest.order_number, oldest.total, oldest.currency) == ("BGM-1", Decimal("119.00"), "USD")
        assert (oldest.acknowledged, oldest.erp_document) == (True, "S-1")
        assert len(world.store.order_summaries(site="bgm", state=State.DONE, limit=10)) == 1
        assert world.store.order_summaries(site="other", state=None, limit=10) == ()
        assert len(world.store.order_summaries(site=None, state=None, limit=1)) == 1

    def test_totals_count_states_by_site_and_what_is_open(self, world: World) -> None:
        world.at(Stage.DELIVER, "1")
        rejected = world.batch("2")
        self._fail(world, Stage.NORMALIZE, rejected, kind="data")
        assert world.store.totals() == {
            "sites": {"bgm": {"active": 1, "rejected": 1}},
            "pending": 1,
            "errors": {"data": 1},
        }

    # The operators' own queries.

    def test_operators_count_pending_orders(self, world: World) -> None:
        first = world.at(Stage.DELIVER, "1")
        world.at(Stage.DELIVER, "2")
        world.acknowledge(first)
        world.export(first)
        query = "SELECT COUNT(*) AS pending FROM rm_order WHERE imported = 0;"
        assert world.harness.query(query) == [(1,)]

    def test_operators_ask_when_sites_were_last_run(self, world: World) -> None:
        other = world.store.add_site(_new_site("off", prefix="OFF", erp_id=world.erp_id))
        world.harness.execute(f"UPDATE rm_sites SET is_active = 0 WHERE id = {other}")
        assert [site.is_active for site in world.store.sites()] == [True, False]
        found = world.harness.query("SELECT name FROM rm_sites WHERE is_active = 1 AND orders_sync = 1;")
        assert found == [("bgm",)]
