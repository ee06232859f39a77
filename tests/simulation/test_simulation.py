"""The simulation itself, quickly: `make simulate` runs as many seeds as one likes."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from unittest.mock import patch

import pytest
import structlog

from app.sync import pipeline
from tests.simulation import runs
from tests.simulation.mutants import MUTANTS
from tests.simulation.runs import Job, Sums, catch_mutant
from tests.simulation.simulation import Outcome, simulate
from tests.simulation.stores import OpenDatabase, memory, sqlite
from tests.simulation.variants import VARIANTS

_LOOKED_FOR_FROM = {
    "no-look": 6,
    "no-quarantine": 33,
    "short-t-late": 58,
    "no-fence": 3,
    "no-lease": 2,
    "cursor-first": 1,
    "mark-first": 0,
    "intent-last": 569,
    "intent-forgotten": 13,
    "silent-sweeper": 0,
    "nothing-counted": 66,
    "customer-at-once": 13,
    "window-not-early": 316,
    "429-not-sent": 13,
    "all-poison": 0,
    "item-refused": 2,
    "item-unknown": 2,
    "mark-claimed": 0,
    "never-asked": 50,
    "cancellation-dropped": 30,
}
"""Where to look first, so that the tests are quick: the seeds that showed the mutants when this was written. Whatever changes the course
of the runs moves them; `make simulate` says where they are now."""

_RULES = ("no-look", "all-poison", "item-refused")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("first", range(0, 160, 40))
def test_every_promise_is_kept_under_every_trouble(first: int) -> None:
    outcomes = [simulate(seed, open_database=memory) for seed in range(first, first + 40)]
    assert [(each.seed, each.wrong) for each in outcomes if each.wrong] == []
    assert sum(each.orders for each in outcomes) > 80
    met = sum((each.counts for each in outcomes[1:]), outcomes[0].counts)
    assert all(
        met[trouble] for trouble in ("crashes", "pauses", "lost answers", "late commits", "lost messages")
    )


def test_the_real_store_keeps_them_too() -> None:
    assert [simulate(seed, open_database=sqlite).wrong for seed in range(3)] == [[], [], []]


def test_the_sweeper_alone_brings_every_order_to_its_end() -> None:
    variant = VARIANTS["sweeper-alone"].variant
    outcomes = [simulate(seed, open_database=memory, variant=variant) for seed in range(25)]
    assert [(each.seed, each.wrong) for each in outcomes if each.wrong] == []
    assert sum(each.counts["lost messages"] for each in outcomes) > 100


@pytest.mark.parametrize("name", [each.name for each in MUTANTS])
def test_a_mutant_is_caught_and_the_seed_that_shows_it_is_good_without_it(name: str) -> None:
    catch = catch_mutant(name, _LOOKED_FOR_FROM[name])
    if catch.seed is None:
        catch = catch_mutant(name)
    assert catch.seed is not None, catch.found
    assert simulate(catch.seed, open_database=memory).wrong == []


def test_a_patch_that_no_longer_fits_the_code_is_no_catch() -> None:
    def misfit() -> AbstractContextManager[object]:
        return patch.object(pipeline, "judged", None)

    broken = tuple(replace(each, patch=misfit, caught_within=1) for each in MUTANTS if each.name in _RULES)
    with misfit():
        assert "error internal" in simulate(0, open_database=memory).wrong[0]
    with patch.object(runs, "MUTANTS", broken):
        assert [catch_mutant(name).seed for name in _RULES] == [None] * len(_RULES)


def test_the_same_seed_is_the_same_run_to_the_last_step() -> None:
    first, second = _traced(11), _traced(11)
    assert len(first) > 500
    assert first == second


def test_both_stores_go_through_the_same_run() -> None:
    ours, real = _traced(4), _traced(4, store=sqlite)
    assert len(ours) > 500
    assert ours == real


def _traced(seed: int, *, store: OpenDatabase = memory) -> list[str]:
    trace: list[str] = []
    simulate(seed, open_database=store, trace=trace.append)
    return trace


def test_a_broken_promise_is_bad_news_only_where_it_was_given() -> None:
    bad = Outcome(seed=3, orders=1, wrong=["duplicated: the ERP has 2 documents for NORTH-101"])
    promised, beyond = Sums(Job("memory", 0, 1)), Sums(Job("memory", 0, 1, "long-pauses"))
    for sums in (promised, beyond):
        sums.add([bad])
        assert sums.broken() == {"lost": 0, "duplicated": 1, "stuck": 0, "other": 0}
    assert (promised.is_good, beyond.is_good) == (False, True)
    assert "first bad seed 3" in promised.line()
