"""One account's limits and its breaker: alone and shared by the same rules, on a clock that is moved by hand."""

import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.limits import RedisLimiters
from app.passes import connect
from app.ports.limiters import (
    Breaker,
    Ceilings,
    Change,
    Changed,
    Limiter,
    Limiters,
    Quota,
    Report,
    Verdict,
    Wait,
    Why,
)
from app.transport.limits import FAILURES_TO_OPEN, LocalLimiters
from tests.domain.profile import REPEATABLE

GOOD, NONE = Report(Verdict.GOOD), Report(Verdict.NONE)
FAILED = Report(Verdict.FAILED, fault="it answered 503")
ROOMY = Ceilings(at_once=1000)


class Clock:
    """Time that passes only by hand. It begins where a server's clock is, so that figures have as many digits."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """Limiters of one kind, and the time by which they go."""

    clock: Clock
    limiters: Limiters

    def of(self, ceilings: Ceilings = ROOMY, *, user: str = "ada", name: str = "bc") -> Limiter:
        return self.limiters.of(name=name, counted_by=("https://erp.example", user), ceilings=ceilings)


def alone() -> Bench:
    clock = Clock()
    return Bench(clock, LocalLimiters(clock=clock, jitter=lambda: 0.0))


def shared(url: str, *, jitter: Callable[[], float] = lambda: 0.0) -> Bench:
    clock = Clock()
    limiters = RedisLimiters(connect(url), prefix=f"test:{uuid.uuid4()}", now=clock, jitter=jitter)
    return Bench(clock, limiters)


@pytest.fixture(params=["alone", "shared"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return alone() if request.param == "alone" else shared(request.getfixturevalue("broker_url"))


def entered(limiter: Limiter, *, lasts: float = 60.0) -> str:
    place = limiter.enter(lasts=lasts)
    assert isinstance(place, str), place
    return place


def refused(limiter: Limiter) -> Wait:
    wait = limiter.enter(lasts=60.0)
    assert isinstance(wait, Wait)
    return wait


def about(seconds: float) -> Any:
    """So many seconds, but for what a server's clock has no digits for."""
    return pytest.approx(seconds, abs=1e-3)


def fail(limiter: Limiter, times: int = FAILURES_TO_OPEN, report: Report = FAILED) -> Changed | None:
    changed = None
    for _ in range(times):
        changed = limiter.leave(entered(limiter), report)
    return changed


def test_no_more_calls_run_at_once_than_the_account_takes(bench: Bench) -> None:
    limiter = bench.of(Ceilings(at_once=2))
    first, _ = entered(limiter), entered(limiter)
    assert refused(limiter).why is Why.RUNNING
    limiter.leave(first, GOOD)
    entered(limiter)


def test_the_place_of_a_process_that_was_killed_ends_by_itself(bench: Bench) -> None:
    limiter = bench.of(Ceilings(at_once=1))
    entered(limiter, lasts=65.0)
    bench.clock.now += 64.9
    assert refused(limiter).why is Why.RUNNING
    bench.clock.now += 0.2
    entered(limiter)


def test_requests_of_a_window_are_used_up_and_come_back_when_it_has_moved_on(bench: Bench) -> None:
    limiter = bench.of(Ceilings(at_once=100, requests=6, window=300.0))
    for _ in range(6):
        limiter.leave(entered(limiter), GOOD)
    wait = refused(limiter)
    assert wait.why is Why.WINDOW
    assert 300.0 <= wait.seconds <= 315.0
    bench.clock.now += wait.seconds - 0.01
    assert refused(limiter).why is Why.WINDOW
    bench.clock.now += 0.02
    entered(limiter)


def test_what_a_peer_asks_for_holds_for_every_call(bench: Bench) -> None:
    limiter, other = bench.of(), bench.of()
    limiter.leave(entered(limiter), Report(Verdict.REFUSED, wait=30.0))
    assert refused(other) == Wait(Why.SLOWED, about(30.0))
    bench.clock.now += 30.01
    entered(other)


def test_a_failure_that_names_a_time_is_waited_for_as_well(bench: Bench) -> None:
    limiter = bench.of()
    limiter.leave(entered(limiter), replace(FAILED, wait=600.0))
    assert refused(limiter).seconds == pytest.approx(600.0)


def test_refusals_that_name_no_time_are_waited_for_longer_each_time(bench: Bench) -> None:
    limiter = bench.of()
    waits = []
    for _ in range(7):
        changed = limiter.leave(entered(limiter), Report(Verdict.REFUSED))
        assert changed is not None
        waits.append(changed.seconds)
        bench.clock.now += changed.seconds + 0.01
    assert waits == [15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 600.0]
    limiter.leave(entered(limiter), GOOD)
    assert limiter.leave(entered(limiter), Report(Verdict.REFUSED)) == Changed(Change.SLOWED, 15.0)


def test_a_back_off_is_spread_so_that_those_refused_together_do_not_come_back_together() -> None:
    limiters = LocalLimiters(jitter=random.Random(7).random)
    found = []
    for number in range(50):
        limiter = limiters.of(name="bc", counted_by=(str(number),), ceilings=ROOMY)
        changed = limiter.leave("", Report(Verdict.REFUSED))
        assert changed is not None
        found.append(changed.seconds)
    assert 15.0 <= min(found) < 16.0
    assert 18.0 < max(found) <= 18.75


@pytest.mark.parametrize("back", [7200.0, 365 * 86400.0])
def test_a_server_whose_clock_is_set_back_silences_no_account(broker_url: str, *, back: float) -> None:
    bench = shared(broker_url)
    counted = bench.of(Ceilings(at_once=100, requests=3, window=300.0), user="counted")
    used, slowed, failed = bench.of(user="used"), bench.of(user="slowed"), bench.of(user="failed")
    killed = bench.of(Ceilings(at_once=1), user="killed")
    for _ in range(3):
        counted.leave(entered(counted), GOOD)
    used.leave(entered(used), Report(Verdict.GOOD, quota=Quota(9, 0, 30.0, 30.0)))
    slowed.leave(entered(slowed), Report(Verdict.REFUSED, wait=3600.0))
    fail(failed)
    entered(killed)
    limiters = [counted, used, slowed, failed, killed]
    assert [refused(each).why for each in limiters] == [
        Why.WINDOW, Why.WINDOW, Why.SLOWED, Why.OPEN, Why.RUNNING
    ]  # fmt: skip
    bench.clock.now -= back
    for usage in bench.limiters.usage():
        assert (usage.running, usage.slowed_for, usage.next_try_in) == (0, 0.0, 0.0)
        assert usage.breaker_since == usage.fault_ago == 0.0
    places = [entered(each) for each in limiters]
    assert refused(failed).why is Why.OPEN  # One call alone finds out, as after any other opening.
    assert refused(killed).why is Why.RUNNING
    assert slowed.leave(places[2], Report(Verdict.REFUSED, wait=30.0)) == Changed(Change.SLOWED, about(30.0))
    assert refused(slowed).seconds == about(30.0)
    assert failed.leave(places[3], GOOD) == Changed(Change.CLOSED, 0.0)


def test_a_probe_that_was_cut_off_before_the_clock_was_set_back_is_made_again(broker_url: str) -> None:
    bench = shared(broker_url)
    limiter = bench.of()
    fail(limiter)
    bench.clock.now += 15.1
    entered(limiter)
    assert refused(limiter).why is Why.OPEN
    bench.clock.now -= 7200.0
    entered(limiter)


def test_an_account_that_is_forgotten_is_called_at_once_and_its_running_calls_still_count(
    bench: Bench,
) -> None:
    limiter, other = bench.of(Ceilings(at_once=2, requests=9)), bench.of(user="eve", name="other")
    running = entered(limiter)
    fail(limiter, report=replace(FAILED, wait=300.0), times=1)
    fail(other)
    bench.limiters.forget("bc")
    (usage, kept) = bench.limiters.usage()
    assert (usage.used, usage.running, usage.failures, usage.slowed_for, usage.fault) == (0, 1, 0, 0.0, "")
    assert kept.breaker is Breaker.OPEN
    entered(limiter)
    assert refused(limiter).why is Why.RUNNING
    limiter.leave(running, GOOD)
    assert refused(other).why is Why.OPEN


def test_who_calls_another_account_now_calls_the_old_one_no_longer(bench: Bench) -> None:
    bench.of(name="bc-de")
    bench.of(name="bc-at")
    assert [usage.names for usage in bench.limiters.usage()] == [("bc-at", "bc-de")]
    bench.of(user="eve", name="bc-de")
    assert [usage.names for usage in bench.limiters.usage()] == [("bc-at",), ("bc-de",)]
    bench.of(user="eve", name="bc-at")
    assert [usage.names for usage in bench.limiters.usage()] == [("bc-at", "bc-de")]


def test_two_companies_of_one_user_share_and_two_users_do_not(bench: Bench) -> None:
    one, other = Ceilings(at_once=1), Ceilings(at_once=1)
    entered(bench.of(one, name="bc-de"))
    assert refused(bench.of(other, name="bc-at")).why is Why.RUNNING
    entered(bench.of(one, user="eve"))
    named = {usage.names: usage.running for usage in bench.limiters.usage()}
    assert named == {("bc",): 1, ("bc-at", "bc-de"): 1}


def test_the_breaker_opens_after_failures_in_a_row_and_nothing_is_sent_then(bench: Bench) -> None:
    limiter = bench.of()
    assert fail(limiter, FAILURES_TO_OPEN - 1) is None
    assert fail(limiter, 1) == Changed(Change.OPENED, about(15.0))
    assert refused(limiter) == Wait(Why.OPEN, about(15.0), "it answered 503")


@pytest.mark.parametrize("between", [GOOD, Report(Verdict.GOOD, quota=Quota(9, 9, 1.0, 1.0))])
def test_failures_that_are_not_in_a_row_open_nothing(bench: Bench, between: Report) -> None:
    limiter = bench.of()
    for _ in range(3):
        fail(limiter, FAILURES_TO_OPEN - 1)
        limiter.leave(entered(limiter), between)
    entered(limiter)


def test_refusals_for_asking_too_often_are_no_failures(bench: Bench) -> None:
    limiter = bench.of()
    for _ in range(2 * FAILURES_TO_OPEN):
        limiter.leave(entered(limiter), Report(Verdict.REFUSED, wait=0.0))
    entered(limiter)


def test_one_call_finds_out_and_its_success_lets_all_through(bench: Bench) -> None:
    limiter = bench.of()
    fail(limiter)
    bench.clock.now += 15.01
    probe = entered(limiter)
    assert refused(limiter).why is Why.OPEN
    (usage,) = bench.limiters.usage()
    assert (usage.breaker, usage.failures, usage.fault) == (Breaker.PROBING, 5, "it answered 503")
    assert limiter.leave(probe, GOOD) == Changed(Change.CLOSED, about(15.01))
    entered(limiter)
    entered(limiter)


def test_a_probe_that_fails_opens_it_for_longer_up_to_a_limit(bench: Bench) -> None:
    limiter = bench.of()
    changed = fail(limiter)
    spans = []
    for _ in range(8):
        assert changed is not None
        spans.append(changed.seconds)
        bench.clock.now += changed.seconds + 0.01
        changed = limiter.leave(entered(limiter), FAILED)
    assert spans == [15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0]


def test_a_probe_whose_process_died_blocks_nobody_for_ever(bench: Bench) -> None:
    limiter = bench.of()
    fail(limiter)
    bench.clock.now += 15.01
    entered(limiter, lasts=60.0)
    bench.clock.now += 59.9
    assert refused(limiter).why is Why.OPEN
    bench.clock.now += 0.2
    probe = entered(limiter)
    limiter.leave(probe, GOOD)
    entered(limiter)


def test_a_probe_that_was_not_sent_leaves_its_turn_to_the_next(bench: Bench) -> None:
    limiter = bench.of()
    fail(limiter)
    bench.clock.now += 15.01
    limiter.leave(entered(limiter), NONE)
    entered(limiter)


def test_a_probe_that_is_told_to_ask_less_often_has_found_the_account_alive(bench: Bench) -> None:
    limiter = bench.of()
    fail(limiter)
    bench.clock.now += 15.01
    changed = limiter.leave(entered(limiter), Report(Verdict.REFUSED, wait=1.0))
    assert changed is not None
    assert changed.change is Change.CLOSED
    assert refused(limiter).why is Why.SLOWED


def test_calls_that_began_before_it_opened_open_it_no_further(bench: Bench) -> None:
    limiter = bench.of()
    late = [entered(limiter) for _ in range(3)]
    fail(limiter)
    assert [limiter.leave(each, FAILED) for each in late] == [None] * 3
    bench.clock.now += 15.01
    entered(limiter)


def test_an_account_is_shown_as_it_stands(bench: Bench) -> None:
    ceilings = Ceilings(at_once=5, requests=6000, window=300.0)
    limiter = bench.of(ceilings)
    for _ in range(3):
        limiter.leave(entered(limiter), GOOD)
    entered(limiter)
    limiter.leave(entered(limiter), Report(Verdict.REFUSED, wait=20.0))
    bench.clock.now += 5
    (usage,) = bench.limiters.usage()
    assert (usage.names, usage.ceilings) == (("bc",), ceilings)
    assert (usage.used, usage.left, usage.running) == (5, 5995, 1)
    assert usage.slowed_for == pytest.approx(15.0)
    assert (usage.breaker, usage.failures, usage.fault) == (Breaker.CLOSED, 0, "")


def test_what_the_store_itself_tells_of_its_window_is_shown(bench: Bench) -> None:
    limiter = bench.of(Ceilings(at_once=5, window=30.0, reserve=20))
    told = Quota(size=150, left=40, resets_in=12.0, window=30.0)
    limiter.leave(entered(limiter), Report(Verdict.GOOD, quota=told))
    (usage,) = bench.limiters.usage()
    assert (usage.used, usage.left) == (110, 40)


STEPS = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([0.25, 1.0, 7.5, 16.0, 40.0, 310.0])),
    st.tuples(st.just("enter"), st.integers(0, 1)),
    st.tuples(
        st.just("leave"),
        st.integers(0, 5),
        st.one_of(
            st.just(GOOD),
            st.just(NONE),
            st.just(FAILED),
            st.builds(Report, st.just(Verdict.REFUSED), wait=st.sampled_from([None, 0.5, 20.0])),
            st.builds(Report, st.just(Verdict.FAILED), wait=st.sampled_from([3.0]), fault=st.just("x")),
            st.builds(
                Report,
                st.just(Verdict.GOOD),
                quota=st.builds(
                    Quota,
                    size=st.sampled_from([6, 40]),
                    left=st.integers(0, 6),
                    resets_in=st.sampled_from([2.0, 10.0]),
                    window=st.just(10.0),
                ),
            ),
        ),
    ),
)


@given(steps=st.lists(STEPS, max_size=60), failing=st.booleans())
@settings(REPEATABLE, deadline=None)
def test_the_rules_are_the_same_alone_and_shared(
    broker_url: str, steps: Sequence[tuple[Any, ...]], failing: bool
) -> None:
    benches = alone(), shared(broker_url)
    kinds = (
        Ceilings(at_once=3, requests=7, window=20.0, reserve=2),
        Ceilings(at_once=6, requests=0, window=20.0, reserve=4),
    )
    limiters = [[bench.of(each) for each in kinds] for bench in benches]
    running: list[tuple[str, str]] = []
    if failing:
        for bench in benches:
            fail(bench.of(ROOMY), FAILURES_TO_OPEN - 1)
    for step in steps:
        match step:
            case ("pass", seconds):
                for bench in benches:
                    bench.clock.now += seconds
            case ("enter", which):
                mine, theirs = (each[which].enter(lasts=10.0) for each in limiters)
                if isinstance(mine, Wait):
                    assert isinstance(theirs, Wait)
                    assert (theirs.why, theirs.fault) == (mine.why, mine.fault)
                    assert theirs.seconds == pytest.approx(mine.seconds, abs=1e-4)
                else:
                    assert isinstance(theirs, str)
                    running.append((mine, theirs))
            case ("leave", which, report) if running:
                pair = running.pop(which % len(running))
                mine_changed, theirs_changed = (
                    each[0].leave(place, report) for each, place in zip(limiters, pair, strict=True)
                )
                assert (theirs_changed is None) == (mine_changed is None)
                if mine_changed is not None and theirs_changed is not None:
                    assert theirs_changed.change is mine_changed.change
                    assert theirs_changed.seconds == pytest.approx(mine_changed.seconds, abs=1e-4)
        mine_usage, theirs_usage = (bench.limiters.usage()[0] for bench in benches)
        assert (theirs_usage.used, theirs_usage.left, theirs_usage.running, theirs_usage.breaker) == (
            mine_usage.used,
            mine_usage.left,
            mine_usage.running,
            mine_usage.breaker,
        )


@given(
    pauses=st.lists(st.floats(0.0, 4.0), min_size=1, max_size=200),
    most=st.integers(1, 12),
)
@REPEATABLE
def test_no_span_of_a_windows_length_ever_has_more_requests_than_it_takes(
    pauses: list[float], most: int
) -> None:
    bench = alone()
    limiter = bench.of(Ceilings(at_once=1000, requests=most, window=10.0))
    sent: list[float] = []
    for pause in pauses:
        bench.clock.now += pause
        if isinstance(limiter.enter(lasts=60.0), str):
            sent.append(bench.clock.now)
    for first in sent:
        assert sum(first <= at < first + 10.0 for at in sent) <= most


def test_nothing_of_the_credentials_is_stored(empty_broker_url: str) -> None:
    with connect(empty_broker_url) as client:
        limiter = RedisLimiters(client).of(
            name="bc", counted_by=("https://erp.example", "client-4711"), ceilings=ROOMY
        )
        # Both are made anew where nothing runs any more, or all was forgotten.
        limiter.leave(entered(limiter), GOOD)
        entered(limiter)
        keys = [str(key) for key in client.scan_iter()]
        everything = str([client.dump(key) if "running" in key else client.hgetall(key) for key in keys])
        assert len(keys) == 2
        assert all(0 < client.ttl(key) <= 86_400 for key in keys)
        client.flushdb()
        limiter.leave("long gone", FAILED)
        (key,) = client.scan_iter()
        assert 0 < client.ttl(key) <= 86_400
    assert "4711" not in everything + str(keys)


def test_the_scripts_answer_a_server_that_has_forgotten_them(empty_broker_url: str) -> None:
    with connect(empty_broker_url) as client:
        limiter = RedisLimiters(client).of(name="bc", counted_by=("x",), ceilings=ROOMY)
        entered(limiter)
        client.script_flush()
        limiter.leave(entered(limiter), GOOD)


def test_whatever_the_server_refuses_each_process_then_counts_for_itself(empty_broker_url: str) -> None:
    with connect(empty_broker_url) as client:
        limiters = RedisLimiters(client)
        limiter = limiters.of(name="bc", counted_by=("x",), ceilings=Ceilings(at_once=4))
        entered(limiter)
        for key in client.scan_iter():
            client.delete(key)
            client.set(key, "something else")
        entered(limiter)
        assert refused(limiter).why is Why.RUNNING
        assert [usage.shared for usage in limiters.usage()] == [False]
