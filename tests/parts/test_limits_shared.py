"""One account's limits among several processes on a real server, which is killed and stopped under them."""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app import limits
from app.limits import RedisLimiters
from app.passes import connect
from app.ports.limiters import Ceilings, Limiter, Report, Verdict, Wait, Why
from app.runtime import EmbeddedBroker
from app.transport.limits import FAILURES_TO_OPEN

GOOD = Report(Verdict.GOOD)
FAILED = Report(Verdict.FAILED, fault="it answered 503")
ROOT = Path(__file__).parents[2]

_CALLER = """
import sys, time
from app.limits import RedisLimiters
from app.passes import connect
from app.ports.limiters import Ceilings, Report, Verdict
url, prefix, seconds, call = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
limiter = RedisLimiters(connect(url), prefix=prefix).of(
    name="bc", counted_by=("erp",), ceilings=Ceilings(at_once=3, requests=20, window=1.0)
)
print("ready", flush=True)
sys.stdin.readline()
ends = time.time() + seconds
while time.time() < ends:
    asked = time.time()
    place = limiter.enter(lasts=1.0)
    if isinstance(place, str):
        began = time.time()
        time.sleep(call)
        print(asked, began, time.time(), flush=True)
        limiter.leave(place, Report(Verdict.GOOD))
    else:
        time.sleep(min(place.seconds, 0.005))
"""


def callers(
    url: str, prefix: str, *, count: int, seconds: float, call: float
) -> list["subprocess.Popen[str]"]:
    """Processes that call as often as they may, once they are told to begin."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _CALLER, url, prefix, str(seconds), str(call)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in started:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    return started


def test_several_processes_together_keep_to_the_rate_and_to_the_running_calls(empty_broker_url: str) -> None:
    processes = callers(empty_broker_url, f"test:{uuid.uuid4()}", count=4, seconds=3.5, call=0.01)
    calls: list[tuple[float, ...]] = []
    for each in processes:
        out, _ = each.communicate(timeout=60)
        calls += [tuple(map(float, line.split())) for line in out.splitlines()]
    # A process may lose the processor at any time: a call was allowed somewhere between the asking and its beginning.
    for asked, began, _ in calls:
        assert sum(asked <= other and allowed < asked + 1.0 for other, allowed, _ in calls) <= 20
        assert sum(other <= began < ended for _, other, ended in calls) <= 3
    assert len(calls) >= 50  # Of at most 80: it is used, and not merely kept to.


def limiters_on(url: str, prefix: str, **more: object) -> RedisLimiters:
    """As another process has them, with a connection of its own."""
    return RedisLimiters(connect(url), prefix=prefix, jitter=lambda: 0.0, **more)  # type: ignore[arg-type] # clock and now


def of(limiters: RedisLimiters, *, at_once: int = 8) -> Limiter:
    return limiters.of(name="bc", counted_by=("erp",), ceilings=Ceilings(at_once=at_once))


def entered(limiter: Limiter, *, lasts: float = 5.0) -> str:
    place = limiter.enter(lasts=lasts)
    assert isinstance(place, str), place
    return place


def test_what_one_process_is_asked_to_wait_holds_for_all_of_them(empty_broker_url: str) -> None:
    prefix = f"test:{uuid.uuid4()}"
    one, other = (of(limiters_on(empty_broker_url, prefix)) for _ in range(2))
    one.leave(entered(one), Report(Verdict.REFUSED, wait=1.5))
    wait = other.enter(lasts=5.0)
    assert isinstance(wait, Wait)
    assert wait.why is Why.SLOWED
    assert wait.seconds == pytest.approx(1.5, abs=0.75)
    time.sleep(wait.seconds + 0.01)
    entered(other)


def test_a_process_that_is_killed_amid_its_call_gives_its_place_back_in_time(empty_broker_url: str) -> None:
    prefix = f"test:{uuid.uuid4()}"
    (holder,) = callers(empty_broker_url, prefix, count=1, seconds=60.0, call=60.0)
    limiter = of(limiters_on(empty_broker_url, prefix), at_once=1)
    deadline = time.monotonic() + 10
    while isinstance(limiter.enter(lasts=0.0), str) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate(timeout=10)
    wait = limiter.enter(lasts=5.0)
    assert isinstance(wait, Wait)
    assert wait.why is Why.RUNNING
    time.sleep(1.1)
    entered(limiter)


def test_exactly_one_of_many_finds_out_whether_the_account_works_again(empty_broker_url: str) -> None:
    prefix, now = f"test:{uuid.uuid4()}", [1_700_000_000.0]
    many = [of(limiters_on(empty_broker_url, prefix, now=lambda: now[0]), at_once=100) for _ in range(12)]
    for limiter in many[:FAILURES_TO_OPEN]:
        limiter.leave(entered(limiter), FAILED)
    assert [type(limiter.enter(lasts=5.0)) for limiter in many] == [Wait] * 12
    now[0] += 15.01
    found = at_the_same_time(many)
    (probe,) = [each for each in found if isinstance(each, str)]
    many[0].leave(probe, GOOD)
    assert all(isinstance(each, str) for each in at_the_same_time(many))


def at_the_same_time(limiters: Sequence[Limiter]) -> list[str | Wait]:
    found: list[str | Wait] = []
    begin = threading.Barrier(len(limiters))

    def ask(limiter: Limiter) -> None:
        begin.wait()
        found.append(limiter.enter(lasts=5.0))

    threads = [threading.Thread(target=ask, args=(limiter,)) for limiter in limiters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path / "broker") as broker:
        yield broker


def test_without_the_server_each_process_takes_a_quarter_and_comes_back_to_it(
    own_broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_AWAY", 0.3)
    shared = limiters_on(own_broker.url, "test")
    limiter = of(shared, at_once=8)
    places = [entered(limiter) for _ in range(8)]
    os.kill(own_broker.pid, signal.SIGKILL)
    with capture_logs() as lines:
        started = time.monotonic()
        # What began before is over; it is told to nobody, and harms nobody.
        limiter.leave(places.pop(), GOOD)
        assert [type(limiter.enter(lasts=5.0)) for _ in range(3)] == [str, str, Wait]
        assert time.monotonic() - started < 2.0
        assert [usage.shared for usage in shared.usage()] == [False]
    assert [line["event"] for line in lines] == ["limits_not_shared"]
    while own_broker.poll() is None:
        time.sleep(0.01)
    own_broker.start()
    time.sleep(0.35)
    with connect(own_broker.url) as client:
        client.flushall()
    assert [type(limiter.enter(lasts=5.0)) for _ in range(9)] == [str] * 8 + [Wait]
    assert [(usage.shared, usage.running) for usage in shared.usage()] == [(True, 8)]


@pytest.mark.parametrize("refusal", ["a user without scripts", "a replica"])
def test_where_the_scripts_are_refused_the_figures_are_this_process_s_and_nothing_is_forgotten_for_all(
    own_broker: EmbeddedBroker, refusal: str
) -> None:
    url = own_broker.url
    with connect(url) as client:
        if refusal == "a replica":
            client.replicaof("127.0.0.1", "1")
        else:
            client.execute_command("ACL", "SETUSER", "u", "on", ">p", "~*", "&*", "+@all", "-@scripting")
            url = url.replace("//", "//u:p@", 1)
    shared = limiters_on(url, "test")
    limiter = of(shared, at_once=8)
    assert [type(limiter.enter(lasts=5.0)) for _ in range(3)] == [str, str, Wait]
    assert [(usage.shared, usage.running) for usage in shared.usage()] == [(False, 2)]
    fresh = limiters_on(url, "test")
    of(fresh)
    assert [usage.shared for usage in fresh.usage()] == [False]
    assert not fresh.forget("bc")


def test_what_a_process_was_asked_to_wait_holds_for_it_when_the_server_is_gone(
    own_broker: EmbeddedBroker,
) -> None:
    one, other, third = (of(limiters_on(own_broker.url, "test")) for _ in range(3))
    one.leave(entered(one), Report(Verdict.REFUSED, wait=60.0))
    assert isinstance(other.enter(lasts=5.0), Wait)
    own_broker.stop()
    assert [type(each.enter(lasts=5.0)) for each in (one, other, third)] == [Wait, Wait, str]


def test_a_server_that_hangs_is_found_out_once_and_not_at_each_call(own_broker: EmbeddedBroker) -> None:
    limiter = of(limiters_on(own_broker.url, "test"))
    limiter.leave(entered(limiter), GOOD)
    os.kill(own_broker.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        place = entered(limiter)
        assert time.monotonic() - started < 10.0
        started = time.monotonic()
        limiter.leave(place, GOOD)
        for _ in range(100):
            limiter.leave(entered(limiter), GOOD)
        assert time.monotonic() - started < 5.0
    finally:
        os.kill(own_broker.pid, signal.SIGCONT)
