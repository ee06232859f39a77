"""One run: a seed in, what was found to be wrong out. Everything in it follows from the seed."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from unittest.mock import patch
from uuid import UUID

from tests.fakes.sales_channel import FakeSalesChannel
from tests.simulation.checker import Checker
from tests.simulation.due import sweep_due, tick_due
from tests.simulation.faults import CALM, WORST, Faults, drawn
from tests.simulation.gateways import Actor
from tests.simulation.middleware import LIMITS, T_LATE, Passes, World, connect, parts_of
from tests.simulation.observer import Observer
from tests.simulation.processes import Beat, Broker, Receiver, Worker, as_tasks
from tests.simulation.scenario import Scenario
from tests.simulation.scheduler import EPOCH, Scheduler
from tests.simulation.stores import Database, OpenDatabase

_WORKERS = 3
_TROUBLED = 2400.0
_BEFORE_THE_WINDOW = datetime(2026, 11, 29, 18, 40, tzinfo=EPOCH.tzinfo)
_READ_TWICE = 1500.0
_READ_FAR_BACK = 2.5 * 3600
_LOOK = 900.0
_PATIENCE = 4 * 3600.0
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Variant:
    """What is simulated: the setting T_LATE, the worst that may happen, and whether the ERP itself refuses duplicates.

    `sweeper_alone`: every message is lost but those that the sweeper and the clock send. As it stands without changes, a
    variant is what the program promises to survive.
    """

    late: float = T_LATE
    worst: Faults = WORST
    unique: bool = False
    sweeper_alone: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of a run. `counts` are the troubles that it met, `wrong` one sentence for each promise that was broken."""

    seed: int
    orders: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def simulate(
    seed: int,
    *,
    open_database: OpenDatabase,
    variant: Variant = Variant(),
    trace: Callable[[str], None] | None = None,
) -> Outcome:
    """Run one seed: trouble for a while, then calm until nothing moves any more, then the reckoning."""
    return _Run(seed, open_database=open_database, variant=variant, trace=trace).outcome()


class _Run:
    def __init__(
        self, seed: int, *, open_database: OpenDatabase, variant: Variant, trace: Callable[[str], None] | None
    ) -> None:
        self._seed = seed
        self._variant = variant
        self.scheduler = Scheduler(seed, trace=trace)
        self._random = self.scheduler.random
        self._tokens = Random(seed)
        if self._random.random() < 0.25:
            self.scheduler.begin = _BEFORE_THE_WINDOW + timedelta(seconds=self._random.uniform(-900.0, 900.0))
        self._database: Database = open_database(self.scheduler.now)
        self._world = World(self.scheduler.now)
        self._counts: Counter[str] = Counter()
        self._faults = drawn(self._random, worst=variant.worst)
        self._checker = Checker(
            self._world,
            self._database.rows,
            woken_late=variant.worst.longest_pause > variant.late,
            now=self.scheduler.now,
            tell=lambda sentence: self.scheduler.tell("checker", sentence),
        )
        self._broker = Broker(self.scheduler, sweeper_alone=variant.sweeper_alone)
        self._actors: list[Actor] = []
        self._scenario = Scenario(self.scheduler, self._world, faults=self._faults, lasts=_TROUBLED)

    def outcome(self) -> Outcome:
        """Run it all."""
        orders = self._set_up()
        with as_tasks(self.scheduler), patch("uuid.uuid4", self._token):
            self.scheduler.run(until=_TROUBLED)
            # Nobody's finally has a say in it: what is unfinished at any moment can be found again.
            self._checker.next_times()
            for actor in self._actors:
                actor.faults = CALM
            for beat in self._beats:
                beat.longest_sleep = _LOOK
            self._come_to_rest()
        self._counts += self._checker.to_a_person()
        self._counts["steps"] = self.scheduler.steps
        return Outcome(self._seed, orders, self._counts, self._checker.wrong)

    def _token(self) -> UUID:
        """A token that the seed gives, so that a trace can be read beside another."""
        return UUID(int=self._tokens.getrandbits(128), version=4)

    def _come_to_rest(self) -> None:
        """Until nothing moves and every promise is kept. What is not kept by the end of all patience is broken."""
        # Two readings of the schedule; where a clock was set, the look far back as well, which is taken once an hour.
        read_on = _READ_TWICE if self._checker.checks_cursor else _READ_FAR_BACK
        quiet_at = max(_TROUBLED, self._scenario.changed_at) + read_on
        while True:
            self.scheduler.run(until=max(quiet_at, self.scheduler.seconds + _LOOK))
            found = self._checker.at_rest(self._scenario.totals)
            if self._broker.is_quiet and not found:
                return
            if self.scheduler.seconds > _TROUBLED + _PATIENCE:
                break
        for kind, sentence in found:
            self._checker.fail(kind, sentence)

    def _set_up(self) -> int:
        random = self._random
        names = ("north", "south")[: 1 + (random.random() < 0.25)]
        for name in names:
            self._world.shops[name] = FakeSalesChannel()
            self._world.ahead[name] = timedelta(
                seconds=random.choice((0.0, 1.0, random.uniform(-3600.0, 3600.0)))
            )
        self._world.books.unique = self._variant.unique
        connect(self._database.store, self._world, late=self._variant.late, most=random.choice((1, 100, 100)))
        store = Observer(self._database.store, self._database.rows, self._checker, now=self.scheduler.now)
        passes = Passes(self.scheduler.now)
        for number in range(1, _WORKERS + 1):
            actor = self._actor(f"worker-{number}")
            self._broker.workers.append(
                Worker(actor, parts_of(actor, store, self._world, passes), self._broker)
            )
        self._beats = [Beat(self.scheduler, self._broker, due=self._due_in) for _ in range(2)]
        for beat in self._beats:
            beat.start()
        if random.random() < 0.7:
            actor = self._actor("web")
            parts = parts_of(actor, store, self._world, passes)
            self._scenario.receiver = Receiver(actor, parts, self._broker)
        orders = random.randint(2, 5)
        self._scenario.plan(orders=orders)
        if random.random() < 0.15:
            self._checker.checks_cursor = False
            shop, by = random.choice(names), random.choice((_HOUR, -_HOUR))
            self.scheduler.after(random.random() * _TROUBLED, lambda: self._scenario.set_clock(shop, by=by))
        return orders

    def _actor(self, name: str) -> Actor:
        actor = Actor(self.scheduler, name, limits=LIMITS, counts=self._counts, watch=self._checker.watch)
        actor.faults = self._faults
        self._actors.append(actor)
        return actor

    def _due_in(self) -> dict[str, float | None]:
        now = self.scheduler.now()
        rows = self._database.rows
        sweep_at = sweep_due(rows)
        return {
            "sweep": None if sweep_at is None else (sweep_at - now).total_seconds(),
            "tick": (tick_due(rows, now) - now).total_seconds(),
        }
