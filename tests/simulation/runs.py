"""Many seeds at once, on several processes; and the hunt for each mutant."""

import gc
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.pool import Pool
from typing import Any

import structlog

from tests.simulation.mutants import MUTANTS
from tests.simulation.simulation import Outcome, simulate
from tests.simulation.stores import OPEN
from tests.simulation.variants import PROMISED, VARIANTS

_PART = 25
_TOLD_EVERY = 20.0
_LOST = ("lost", "cursor")
_DOUBLED = ("duplicated", "customer", "rows")

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Job:
    """Which seeds are run, on which store, under which circumstances."""

    store: str
    first: int
    seeds: int
    variant: str = PROMISED

    def __str__(self) -> str:
        return f"{self.store}, {self.variant}"

    def parts(self) -> Iterator["Job"]:
        """The same in pieces."""
        end = self.first + self.seeds
        for begin in range(self.first, end, _PART):
            yield Job(self.store, begin, min(_PART, end - begin), self.variant)


@dataclass(slots=True)
class Sums:
    """What came of a job. `bad` are the seeds with a broken promise, and its sentences."""

    job: Job
    seeds: int = 0
    orders: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[int, list[str]]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether every promise was kept, or none was given."""
        return not self.bad or not VARIANTS[self.job.variant].promised

    def add(self, outcomes: list[Outcome]) -> None:
        """Count these in."""
        for each in outcomes:
            self.seeds += 1
            self.orders += each.orders
            self.counts += each.counts
            if each.wrong:
                self.bad.append((each.seed, each.wrong))

    def kinds(self) -> Counter[str]:
        """In how many seeds each kind of promise was broken."""
        return Counter(
            kind
            for _, sentences in self.bad
            for kind in {sentence.partition(":")[0] for sentence in sentences}
        )

    def broken(self) -> dict[str, int]:
        """The same, gathered: lost, duplicated, stuck, and whatever else."""
        kinds = self.kinds()
        lost, doubled = (sum(kinds.pop(each, 0) for each in named) for named in (_LOST, _DOUBLED))
        return {"lost": lost, "duplicated": doubled, "stuck": kinds.pop("stuck", 0), "other": kinds.total()}

    def line(self) -> str:
        """The closing line."""
        told = {"seeds": self.seeds, "orders": self.orders, **self._troubles(), **self.broken()}
        text = ", ".join(f"{name} {number}" for name, number in told.items())
        first = f"; first bad seed {min(seed for seed, _ in self.bad)}" if self.bad else ""
        beyond = "" if VARIANTS[self.job.variant].promised else " (beyond what is promised)"
        return f"[{self.job}]{beyond} {text}, {self.seconds:.0f} seconds{first}"

    def as_json(self) -> dict[str, Any]:
        """The same for a script."""
        return {
            "store": self.job.store,
            "variant": self.job.variant,
            "promised": VARIANTS[self.job.variant].promised,
            "seeds": self.seeds,
            "orders": self.orders,
            **self._troubles(),
            **self.broken(),
            "bad_seeds": [seed for seed, _ in self.bad],
            "seconds": round(self.seconds, 1),
        }

    def _troubles(self) -> dict[str, int]:
        names = (
            "crashes",
            "pauses",
            "lost answers",
            "late commits",
            "lost messages",
            "database away",
            "orders of unsold items",
            "documents of closed orders",
            "orders cut off",
        )
        return {name.replace(" ", "_"): self.counts[name] for name in names}


@dataclass(frozen=True, slots=True)
class Catch:
    """The first seed at which a mutant was noticed, and by what; None where it was not."""

    name: str
    seed: int | None
    found: str


def open_pool(processes: int) -> Pool:
    """So many processes that run seeds."""
    return get_context("spawn").Pool(processes, initializer=_prepare)


def run_seeds(job: Job, *, pool: Pool, tell: Tell) -> Sums:
    """Run them all, and tell from time to time how far it is."""
    sums, began = Sums(job), time.monotonic()
    told_at = began
    for outcomes in pool.imap(_run, job.parts()):
        sums.add(outcomes)
        if time.monotonic() - told_at > _TOLD_EVERY:
            told_at = time.monotonic()
            tell(f"[{job}] {sums.seeds} of {job.seeds} seeds, {len(sums.bad)} bad")
    sums.seconds = time.monotonic() - began
    return sums


def catch_mutants(*, pool: Pool, tell: Tell) -> list[Catch]:
    """Look for each mutant until it is noticed, or its seeds are used up."""
    found = []
    for catch in pool.imap(catch_mutant, [each.name for each in MUTANTS]):
        tell(f"[mutants] {catch.name}: {'not caught' if catch.seed is None else f'seed {catch.seed}'}")
        found.append(catch)
    return found


def catch_mutant(name: str, first: int = 0) -> Catch:
    """Look for one, from this seed on."""
    mutant = next(each for each in MUTANTS if each.name == name)
    with mutant.patch():
        for seed in range(first, mutant.caught_within):
            outcome = simulate(seed, open_database=mutant.open_database, variant=mutant.variant)
            for sentence in outcome.wrong:
                if sentence.partition(":")[0] in mutant.found:
                    return Catch(name, seed, sentence)
    return Catch(name, None, mutant.says)


def _prepare() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    # What a run leaves behind is collected between the runs: it goes round in circles, and there is much of it.
    gc.disable()


def _run(job: Job) -> list[Outcome]:
    variant = VARIANTS[job.variant].variant
    found = [
        simulate(seed, open_database=OPEN[job.store], variant=variant)
        for seed in range(job.first, job.first + job.seeds)
    ]
    gc.collect()
    return found
