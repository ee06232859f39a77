"""The promises, told as stories over fakes and a clock that is moved by hand: nothing lost, nothing done twice."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

import pytest

from app.db.engine import open_engine
from app.db.store import SqlStore
from app.domain.order import Order
from app.domain.road import Owed
from app.passes import NoPasses
from app.ports.connector import Connector
from app.ports.erp import Erp, ErpCustomer
from app.ports.hooks import HookDesk
from app.ports.sales_channel import SalesChannel
from app.ports.store import Bell, ErpRow, NewErp, NewSite, Site
from app.sync import pipeline
from app.sync.inline import STEPS
from app.sync.options import read_erp_settings, read_site_settings
from app.sync.parts import Limits, Parts
from app.sync.policy import ENOUGH_WAITING, RUNG_AMONG_MANY
from app.sync.sweep import sweep
from tests.contracts.erp import Trouble
from tests.fakes.erp import FakeErp
from tests.fakes.sales_channel import START, FakeSalesChannel, fake_body
from tests.fixtures.databases import Database

LATE = timedelta(minutes=20)
LEASE = 300.0
FAKE = Connector(
    platform="fake", title="The fake", port="erp", open=lambda _: None, read_settings=dict, credentials=()
)


class Killed(BaseException):
    """What a process does not survive."""


class FakePeers:
    """One shop and one ERP for everybody."""

    def __init__(self, shop: FakeSalesChannel, erp: FakeErp) -> None:
        self._shop = shop
        self._erp = erp

    def channel(self, site: Site) -> SalesChannel:
        return self._shop

    def erp(self, row: ErpRow) -> Erp:
        return self._erp

    def hook_desk(self, site: Site) -> HookDesk:
        raise AssertionError("it has no webhooks")

    def connector(self, platform: str) -> Connector:
        return FAKE

    def encrypt(self, credentials: dict[str, str]) -> str:
        raise AssertionError("nothing is added here")

    def decrypt(self, stored: str, *, name: str) -> dict[str, str]:
        raise AssertionError("nothing is opened here")

    def check_address(self, url: str, *, allow_private: bool) -> None:
        raise AssertionError("nothing is added here")

    def check_late(self, name: str, seconds: float) -> None:
        raise AssertionError("nothing is added here")


class World:
    """One middleware over a fake shop and a fake ERP; time stands still unless it is moved."""

    def __init__(self, url: str, **erp_settings: str) -> None:
        self._open(url, FakeSalesChannel())
        self._connect(erp_settings)

    @classmethod
    def on(cls, url: str, shop: FakeSalesChannel) -> Self:
        """On a database that has its site and its ERP already, with another shop."""
        world = cls.__new__(cls)
        world._open(url, shop)
        world.erp_id = world.store.erps()[0].id
        world.site_id = world.store.sites()[0].id
        return world

    def _open(self, url: str, shop: FakeSalesChannel) -> None:
        self.now = START
        self.engine = open_engine(url)
        self.shop = shop
        self.erp = FakeErp(clock=lambda: self.now)
        self.erp.add_item("COMP-A")
        self.store = SqlStore(self.engine, clock=lambda: self.now, audit_key=lambda: b"key")
        limits = Limits(http_timeout=60, soft_time_limit=240, time_limit=270, lease=LEASE)
        self.parts = Parts(
            store=self.store,
            peers=FakePeers(self.shop, self.erp),
            passes=NoPasses(),
            limits=limits,
            spread=lambda seconds: seconds / 2,
            ticks=self.ticks,
        )

    def _connect(self, erp_settings: Mapping[str, str]) -> None:
        settings = read_erp_settings(erp_settings, platform=dict, late=LATE)
        self.erp_id = self.store.add_erp(
            NewErp("erp", "fake", "http://erp", "", allow_private=True, settings=settings, credentials="")
        )
        self.site_id = self.store.add_site(
            NewSite(
                name="shop",
                platform="fake",
                url="http://shop",
                prefix="BGM",
                erp_id=self.erp_id,
                allow_private=True,
                settings=read_site_settings({}, platform=dict),
                credentials="",
                order_next_run=START,
            )
        )

    def ticks(self) -> float:
        return (self.now - START).total_seconds()

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)
        self.shop.now = self.now

    def fetch(self) -> list[Bell]:
        bells: list[Bell] = []
        run_id = self.store.open_run(kind="orders", site_id=self.site_id)
        pipeline.fetch(self.parts, site_id=self.site_id, run_id=run_id, ring=bells.append)
        return bells

    def walk(self, bells: Sequence[Bell], *, until: Owed | None = None) -> None:
        """Take batches along the road from where they are rung, up to and without the link `until`."""
        for bell in bells:
            for link in bell.links:
                if link is until:
                    break
                STEPS[link](self.parts, batch_id=bell.batch_id)

    def sweep(self) -> None:
        """Everything due is rung and walked."""
        bells: list[Bell] = []
        sweep(self.parts, ring=bells.append, interval=0.0)
        self.walk(bells)

    def states(self) -> dict[str, str]:
        found = self.store.order_summaries(site=None, state=None, limit=100)
        return {each.platform_order_id: each.state.value for each in found}

    def step(self, kind: Owed, order_id: str = "1") -> Mapping[str, Any]:
        details = self.store.order_details(order_id)
        assert details is not None
        found: Mapping[str, Any] = next(each for each in details["steps"] if each["kind"] == kind)
        return found


@pytest.fixture
def world(database: Database) -> Iterator[World]:
    made = World(database.url, default_customer="WEB")
    yield made
    made.engine.dispose()


def test_while_many_messages_wait_a_sweep_rings_little_and_still_comes_by_everything(world: World) -> None:
    """A backlog of a day has its messages in the queue: ringing it with every sweep would double and treble the work."""
    for number in range(RUNG_AMONG_MANY + 50):
        world.shop.put(fake_body(order_id=str(number)))
    # One run takes a hundred.
    world.fetch()
    world.advance(seconds=1)
    world.fetch()

    def swept(*, waiting: int) -> list[int]:
        bells: list[Bell] = []
        sweep(world.parts, ring=bells.append, interval=10, waiting=waiting)
        return sorted(bell.batch_id for bell in bells)

    world.advance(minutes=1)
    first = swept(waiting=ENOUGH_WAITING)
    second = swept(waiting=ENOUGH_WAITING)
    assert (len(first), len(second)) == (1, 1)
    assert swept(waiting=ENOUGH_WAITING) == []
    world.advance(minutes=1)
    assert swept(waiting=ENOUGH_WAITING - 1) == sorted(first + second)


def test_an_order_that_was_closed_and_is_wanted_again_is_exported_once(world: World) -> None:
    world.shop.put(fake_body(order_id="1"))
    bells = world.fetch()
    world.walk(bells, until=Owed.ACKNOWLEDGE)
    world.advance(seconds=10)
    world.shop.change("1", status="on-hold")
    world.walk(bells)
    assert world.states() == {"1": "closed"}
    world.advance(seconds=10)
    world.shop.change("1", status="processing")
    world.walk(world.fetch())
    assert world.states() == {"1": "done"}
    assert [each.external_number for each in world.erp.documents] == ["BGM-1"]
    assert world.shop.acknowledged == ["1"]


def test_a_write_in_doubt_is_sent_again_only_after_the_erp_can_no_longer_commit_it(world: World) -> None:
    world.shop.put(fake_body(order_id="1"))
    world.erp.write_troubles = [Trouble.LATE]
    world.walk(world.fetch())
    assert world.step(Owed.EXPORT)["state"] == "in_doubt"
    begun = world.now
    while world.now < begun + LATE - timedelta(minutes=3):
        world.advance(minutes=2)
        world.sweep()
        assert world.erp.calls["create_documents"] == 1
    world.erp.commit_late_writes()
    world.advance(minutes=2)
    world.sweep()
    assert world.states() == {"1": "done"}
    assert len(world.erp.documents) == 1


def test_days_of_failed_look_ups_and_a_new_version_do_not_make_it_forget_a_write_in_doubt(
    world: World,
) -> None:
    world.shop.put(fake_body(order_id="1"))
    world.erp.write_troubles = [Trouble.LATE]
    world.walk(world.fetch())
    world.advance(minutes=2)
    world.erp.read_troubles = [Trouble.REFUSED_CONNECTION] * 50
    for _ in range(50):
        world.advance(hours=2)
        world.sweep()
    assert world.step(Owed.EXPORT)["state"] == "in_doubt"
    world.shop.edit("1")
    world.walk(world.fetch())
    world.erp.commit_late_writes()
    world.advance(hours=1)
    world.sweep()
    assert world.states() == {"1": "done"}
    assert len(world.erp.documents) == 1


def test_an_order_cancelled_while_its_write_was_in_doubt_is_not_sent_again(world: World) -> None:
    world.shop.put(fake_body(order_id="1"))
    world.erp.write_troubles = [Trouble.LATE]
    world.walk(world.fetch())
    world.shop.cancel("1")
    world.advance(seconds=LATE.total_seconds() + 60)
    world.sweep()
    world.advance(seconds=1)
    world.sweep()
    assert world.states() == {"1": "closed"}
    assert world.erp.documents == []


def test_a_change_that_arrived_while_nothing_was_sent_after_all_is_what_gets_exported(world: World) -> None:
    world.shop.put(fake_body(order_id="1"))
    bells = world.fetch()
    world.walk(bells, until=Owed.EXPORT)
    create = world.erp.create_documents

    def refused_while_the_customer_edits(drafts: Sequence[Any], **more: Any) -> Any:
        world.advance(seconds=1)
        world.shop.change("1", lines=[{"sku": "COMP-A", "quantity": 2, "amount": "24.00"}], total="24.00")
        world.fetch()
        world.erp.write_troubles = [Trouble.REFUSED_CONNECTION]
        world.erp.create_documents = create  # type: ignore[method-assign]
        return create(drafts, **more)

    world.erp.create_documents = refused_while_the_customer_edits  # type: ignore[method-assign]
    world.walk(bells)
    world.sweep()
    assert world.states() == {"1": "done"}
    assert [str(each.total) for each in world.erp.documents] == ["24.00"]


def test_a_customer_committed_after_the_look_up_is_not_created_a_second_time(database: Database) -> None:
    world = World(database.url)
    world.shop.put(fake_body(order_id="1"))
    world.erp.write_troubles = [Trouble.LATE]
    world.walk(world.fetch())
    assert world.erp.customers == []
    world.advance(seconds=LATE.total_seconds() - 10)
    look = world.erp.find_customers

    def late_after_the_look(emails: Sequence[str]) -> Mapping[str, tuple[ErpCustomer, ...]]:
        found = look(emails)
        world.erp.commit_late_writes()
        world.advance(seconds=20)
        return found

    world.erp.find_customers = late_after_the_look  # type: ignore[method-assign]
    world.sweep()
    world.erp.find_customers = look  # type: ignore[method-assign]
    world.advance(minutes=5)
    world.sweep()
    assert len(world.erp.customers) == 1
    assert world.states() == {"1": "done"}
    world.engine.dispose()


def test_an_order_that_kills_its_process_is_found_alone_and_the_others_go_on(world: World) -> None:
    for number in range(1, 6):
        world.shop.put(fake_body(order_id=str(number)))
    normalize = world.shop.normalize

    def deadly(body: str, *, prefix: str) -> Order:
        if '"id": "3"' in body:
            raise Killed
        return normalize(body, prefix=prefix)

    world.shop.normalize = deadly  # type: ignore[method-assign]
    bells = world.fetch()
    for _ in range(12):
        try:
            world.walk(bells)
            world.sweep()
        except Killed:
            world.advance(seconds=LEASE + 1)
    states = world.states()
    assert states.pop("3") == "rejected"
    assert set(states.values()) == {"done"}
    details = world.store.order_details("3")
    assert details is not None
    assert [each["kind"] for each in details["errors"]] == ["crash"]


def test_no_call_to_the_erp_begins_when_it_could_run_into_the_maintenance_window(database: Database) -> None:
    world = World(database.url, default_customer="WEB", windows="tue 12:03 60")
    world.shop.put(fake_body(order_id="1"))
    world.fetch()
    assert world.states() == {}
    assert world.erp.calls == {}
    world.advance(minutes=63)
    bells = world.fetch()
    world.walk(bells)
    assert world.states() == {"1": "done"}
    world.engine.dispose()
