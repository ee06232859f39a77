"""What stands between the code and the world: every call of the store and of a peer is a point where anything may happen."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from app.domain.order import Order
from app.domain.reading import Position
from app.errors import OrderSyncError, Retry, Unknown
from app.ports.erp import Draft, ErpCustomer, ErpDocument, ErpItem, Exchange, Plan, PlannedLine, Told
from app.ports.examination import Examination
from app.ports.sales_channel import Figure, Gone, Listed, Page, Probe, SalesChannel, Seen
from app.ports.survey import Survey
from app.sync.parts import Limits
from tests.fakes.erp import FakeErp
from tests.fakes.sales_channel import FakeSalesChannel
from tests.simulation.faults import CALM, Faults
from tests.simulation.scheduler import Process, Scheduler

T = TypeVar("T")

_SHORT, _MEDIUM = 5.0, 200.0
_QUICK = 0.02
_LATENCY = 1.5
_DEAF = 0.5

_TENDER = frozenset(
    f"{side} {name}"
    for name in (
        "intend",
        "customer_link",
        "create_documents",
        "create_customer",
        "settle_steps",
        "find_documents",
    )
    for side in ("before", "after")
)
_TENDER_SHARE = 6.0
"""Around a write trouble comes more often: there it does the most harm, and most of a run is elsewhere."""

PILL = "poison pill"
"""What makes an order kill each process that normalizes it."""


class Away(Exception):
    """The database did not answer: what was asked of it is done, or not."""


class TimeUp(Exception):
    """The soft time limit of a task."""


class Actor:
    """One process of ours as its peers see it: whose task began when, how long it was stopped, and which clock it has.

    `watch` is told of each call of a peer before it begins, by name, with what it is about.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        name: str,
        *,
        limits: Limits,
        counts: Counter[str],
        watch: Callable[["Actor", str, Sequence[str]], None],
    ) -> None:
        self.scheduler = scheduler
        self.name = name
        self.faults: Faults = CALM
        self.limits = limits
        self.counts = counts
        self.watch = watch
        self.task = ""
        self.skew = scheduler.random.uniform(-3600.0, 3600.0)
        self._process: Process | None = None
        self._started = self._paused = 0.0
        self._is_told = self._is_deaf = False

    def begin(self, process: Process, *, task: str) -> None:
        """A task begins."""
        self.task = task
        self._process = process
        self._started = self.scheduler.seconds
        self._paused = 0.0
        self._is_told = self._is_deaf = False

    def ticks(self) -> float:
        """The process's own clock; it is never the right time."""
        return self.scheduler.seconds + self.skew

    @property
    def elapsed(self) -> float:
        """For how long the task has been running."""
        return self.scheduler.seconds - self._started

    def sleep(self, seconds: float) -> None:
        """Wait, while others run."""
        if self._process is not None:
            self._process.sleep(seconds)

    def check(self) -> None:
        """Raises `Crash` in a process that is dead: nothing that it does comes to anything."""
        if self._process is not None:
            self._process.check()

    def chance(self, share: float) -> bool:
        """Whether it happens this time."""
        return share > 0.0 and self.scheduler.random.random() < share

    def point(self, where: str) -> None:
        """Anything may happen here: nothing, another's turn, a stop, the end."""
        process, faults = self._process, self.faults
        if process is None:
            return
        process.check()
        roll = self.scheduler.random.random()
        share = _TENDER_SHARE if where in _TENDER else 1.0
        if roll < faults.crash * share:
            self.die(where)
        roll -= faults.crash * share
        if roll < faults.pause * share:
            self._pause(process, where)
        elif roll - faults.pause * share < faults.switch:
            process.sleep(self.scheduler.random.random() * _QUICK)
        self._mind_the_time(process)

    def _pause(self, process: Process, where: str) -> None:
        random = self.scheduler.random
        longest = random.choice((_SHORT, _MEDIUM, self.faults.longest_pause))
        seconds = min(random.uniform(0.0, longest), self.faults.longest_pause - self._paused)
        if seconds <= 0.0:
            return
        self.counts["pauses"] += 1
        self._paused += seconds
        # A process that is stopped together with the one that minds its time is not stopped by that one.
        self._is_deaf = self._is_deaf or random.random() < _DEAF
        self.scheduler.tell(self.name, f"is stopped {where} for {seconds:.1f} s")
        process.sleep(seconds)

    def _mind_the_time(self, process: Process) -> None:
        if self._is_deaf or self.elapsed <= self.limits.soft_time_limit:
            return
        if self.elapsed > self.limits.time_limit:
            self.counts["killed by the time limit"] += 1
            process.kill()
        if not self._is_told:
            self._is_told = True
            self.counts["out of time"] += 1
            raise TimeUp

    def die(self, why: str) -> None:
        """The process ends here."""
        assert self._process is not None
        self.counts["crashes"] += 1
        self.scheduler.tell(self.name, f"is killed {why}")
        self._process.kill()


class StoreGateway:
    """The store as one process calls it."""

    def __init__(self, actor: Actor, store: object) -> None:
        self._actor = actor
        self._store = store

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        actor = self._actor

        def call(*args: Any, **kwargs: Any) -> Any:
            actor.point(f"before {name}")
            if actor.chance(actor.faults.away):
                actor.counts["database away"] += 1
                raise Away(name)
            found = method(*args, **kwargs)
            if actor.scheduler.tracing and name != "now":
                actor.scheduler.tell(actor.name, f"{name} {_brief(args, kwargs)} -> {_short(found)}")
            actor.point(f"after {name}")
            if actor.chance(actor.faults.away):
                actor.counts["database away"] += 1
                raise Away(name)
            return found

        self.__dict__[name] = call
        return call


def _brief(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    named = (
        f"{key}={_short(value)}" for key, value in kwargs.items() if key not in {"token", "lease_seconds"}
    )
    return ", ".join([*map(_short, args), *named])


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 160 else f"{text[:157]}..."


class _Peer:
    """What calls of peers have in common."""

    def __init__(self, actor: Actor) -> None:
        self._actor = actor

    def _read(self, name: str, about: Sequence[str], work: Callable[[], T]) -> T:
        actor = self._actor
        actor.point(f"before {name}")
        actor.watch(actor, name, about)
        actor.sleep(actor.scheduler.random.random() * _LATENCY)
        if actor.chance(actor.faults.unread):
            actor.counts["unread answers"] += 1
            actor.scheduler.tell(actor.name, f"{name} fails")
            if actor.chance(0.5):
                actor.sleep(actor.limits.http_timeout)
            raise Retry(f"{name} failed.", after=actor.scheduler.random.choice((None, 1.0, 30.0)))
        found = work()
        actor.scheduler.tell(actor.name, f"{name} {', '.join(about)} -> {_short(found)}")
        actor.sleep(actor.scheduler.random.random() * _LATENCY)
        actor.point(f"after {name}")
        return found

    def _fate(self) -> str:
        """What becomes of a call that writes."""
        faults = self._actor.faults
        roll = self._actor.scheduler.random.random()
        for fate in ("refused", "lost", "torn", "dropped", "late"):
            share = getattr(faults, fate)
            if roll < share:
                return fate
            roll -= share
        return "done"

    def _write(self, name: str, about: Sequence[str]) -> str:
        """Send it; returns its fate."""
        actor = self._actor
        actor.point(f"before {name}")
        actor.watch(actor, name, about)
        fate = self._fate()
        actor.sleep(actor.scheduler.random.random() * _LATENCY)
        actor.scheduler.tell(actor.name, f"{name} {', '.join(about)}: {fate}")
        return fate

    def _answer(self, name: str, fate: str) -> None:
        """The answer is on its way, or the client waits for it in vain."""
        actor = self._actor
        if fate in {"done", "refused"}:
            actor.sleep(actor.scheduler.random.random() * _LATENCY)
        else:
            actor.counts["lost answers"] += 1
            actor.sleep(actor.limits.http_timeout if actor.chance(0.5) else _LATENCY)
        actor.point(f"after {name}")


class ShopGateway(_Peer):
    """A shop as one process calls it."""

    def __init__(self, actor: Actor, shop: FakeSalesChannel, clock: Callable[[], datetime]) -> None:
        super().__init__(actor)
        self._shop = shop
        self._clock = clock
        self._there: SalesChannel = shop

    def _of_now(self) -> SalesChannel:
        self._shop.now = self._clock()
        return self._there

    def changed(self, position: Position, *, page_size: int) -> Page:
        return self._read(
            "changed", (str(position.since),), lambda: self._of_now().changed(position, page_size=page_size)
        )

    def read(self, platform_order_ids: Sequence[str]) -> Mapping[str, Seen | Gone]:
        return self._read("read", platform_order_ids, lambda: self._of_now().read(platform_order_ids))

    def acknowledge(self, platform_order_ids: Sequence[str]) -> Mapping[str, Seen | OrderSyncError]:
        fate = self._write("acknowledge", platform_order_ids)
        ids = list(platform_order_ids)
        if fate == "torn":
            ids = ids[: len(ids) // 2]
        elif fate == "late":
            # A mark that is set late is set for ever: it can be set now as well.
            fate = "lost"
        found: Mapping[str, Seen | OrderSyncError] = {}
        if fate in {"done", "lost", "torn"}:
            found = self._of_now().acknowledge(ids)
        self._answer("acknowledge", fate)
        if fate == "refused":
            raise Retry("No connection to the shop.")
        if fate == "torn":
            return {each: found.get(each) or Unknown("The shop did not say.") for each in platform_order_ids}
        if fate != "done":
            raise Unknown("The shop did not answer.")
        return found

    def complete(self, bodies: Sequence[str]) -> Sequence[str | OrderSyncError]:
        return self._shop.complete(bodies)

    def normalize(self, body: str, *, prefix: str) -> Order:
        if PILL in body:
            self._actor.die("of an order that kills whoever reads it")
        return self._shop.normalize(body, prefix=prefix)

    def worth(self, body: str) -> Any:
        return self._shop.worth(body)

    def figures(self, body: str, *, prefix: str) -> tuple[Figure, ...]:
        return self._shop.figures(body, prefix=prefix)

    def probe(self) -> Probe:
        return self._read("probe", (), lambda: self._of_now().probe())

    def examine(self) -> Examination:
        return self._there.examine()

    def census(self, *, since: datetime | None, until: datetime) -> Iterator[tuple[Listed, ...]]:
        return self._there.census(since=since, until=until)

    def survey(self, *, orders: int) -> Survey:
        return self._there.survey(orders=orders)


class ErpGateway(_Peer):
    """The ERP as one process calls it. It refuses no second document and no second customer."""

    def __init__(self, actor: Actor, books: FakeErp) -> None:
        super().__init__(actor)
        self._books = books

    @property
    def slice_size(self) -> int:
        return self._books.slice_size

    def find_items(self, numbers: Sequence[str]) -> Mapping[str, ErpItem]:
        return self._read("find_items", numbers, lambda: self._books.find_items(numbers))

    def changed_items(self, since: datetime | None) -> Iterator[tuple[ErpItem, ...]]:
        yield from self._read("changed_items", (), lambda: tuple(self._books.changed_items(since)))

    def find_customers(self, emails: Sequence[str]) -> Mapping[str, tuple[ErpCustomer, ...]]:
        return self._read("find_customers", emails, lambda: self._books.find_customers(emails))

    def find_documents(self, external_numbers: Sequence[str]) -> Mapping[str, tuple[ErpDocument, ...]]:
        return self._read(
            "find_documents", external_numbers, lambda: self._books.find_documents(external_numbers)
        )

    def create_customer(self, order: Order, *, in_time: Callable[[], bool], told: Told) -> ErpCustomer:
        def write() -> ErpCustomer:
            return self._books.create_customer(order, in_time=lambda: True, told=_ignored)

        if not in_time():
            raise Retry("There was no time left to write this; it was not tried.")

        fate = self._write("create_customer", (order.bill.email,))
        made = write() if fate in {"done", "lost"} else None
        if fate in {"late", "torn"}:
            self._later(write)
        self._answer("create_customer", fate)
        if fate == "refused":
            raise Retry("No connection to the ERP.")
        if made is None or fate != "done":
            raise Unknown("The ERP did not answer.")
        told(order.number.upper(), Exchange("customer", "", made.number))
        return made

    def create_documents(
        self, drafts: Sequence[Draft], *, in_time: Callable[[], bool], told: Told
    ) -> Mapping[str, ErpDocument | OrderSyncError]:
        if not in_time():
            return {each.external_number: Retry("It was not tried.") for each in drafts}
        fate = self._write("create_documents", [each.external_number for each in drafts])
        found: Mapping[str, ErpDocument | OrderSyncError] = {}
        if fate in {"done", "lost"}:
            found = self._created(drafts)
        elif fate == "torn":
            self._created(drafts[: len(drafts) // 2])
            for each in drafts[len(drafts) // 2 :]:
                self._later(lambda each=each: self._created([each]))  # type: ignore[misc]
        elif fate == "late":
            for each in drafts:
                self._later(lambda each=each: self._created([each]))  # type: ignore[misc]
        self._answer("create_documents", fate)
        if fate == "refused":
            return {each.external_number: Retry("No connection to the ERP.") for each in drafts}
        if fate != "done":
            return {each.external_number: Unknown("The ERP did not answer.") for each in drafts}
        for each in drafts:
            told(each.external_number, Exchange("order", "", ""))
        return found

    def _created(self, drafts: Sequence[Draft]) -> Mapping[str, ErpDocument | OrderSyncError]:
        return self._books.create_documents(drafts, in_time=_always, told=_ignored)

    def _later(self, write: Callable[[], object]) -> None:
        """The ERP goes on with it when the client has given up already."""
        actor = self._actor
        actor.counts["late commits"] += 1
        delay = actor.scheduler.random.uniform(0.0, actor.faults.latest_commit)

        def commit() -> None:
            actor.scheduler.tell("erp", "commits late what nobody waits for any more")
            with suppress(Unknown):
                write()

        actor.scheduler.after(delay, commit)

    def plan(self, draft: Draft) -> Plan:
        return self._books.plan(draft)

    def sent_lines(self, request: str, *, currency: str) -> tuple[PlannedLine, ...]:
        return self._books.sent_lines(request, currency=currency)

    def examine(self, *, customer: str) -> Examination:
        return self._books.examine(customer=customer)


def _always() -> bool:
    return True


def _ignored(_number: str, _exchange: Exchange) -> None:
    pass
