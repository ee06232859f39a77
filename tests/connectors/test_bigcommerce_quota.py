"""The store's quota of requests is kept to, on a clock that is moved by hand, and by several threads against the sandbox."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.bigcommerce import CONNECTOR
from app.connectors.bigcommerce.quota import report
from app.ports.connector import Account
from app.ports.limiters import Ceilings
from app.ports.sales_channel import Seen
from app.sandbox.bigcommerce import DEMO_STORE_HASH, DEMO_TOKEN, Store, create_app
from app.sandbox.server import serve
from app.transport import Answer, LocalLimiters
from tests.domain.profile import REPEATABLE


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def headers(*, left: int, quota: int = 150, reset: float = 30.0, window: float = 30.0) -> dict[str, str]:
    return {
        "X-Rate-Limit-Requests-Left": str(left),
        "X-Rate-Limit-Requests-Quota": str(quota),
        "X-Rate-Limit-Time-Reset-Ms": str(int(reset * 1000)),
        "X-Rate-Limit-Time-Window-Ms": str(int(window * 1000)),
    }


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Counted:
    """A limiter on a clock that is moved by hand, with what waits for it and what answers tell it."""

    def __init__(self, clock: Clock, *, reserve: int = 20) -> None:
        self.clock = clock
        limiters = LocalLimiters(clock=clock, jitter=lambda: 0.0)
        self.limiter = limiters.of(
            name="bgm", counted_by=("store",), ceilings=Ceilings(at_once=64, window=30.0, reserve=reserve)
        )

    def acquire(self, *, until: float) -> str:
        """A place, waited for until then at most; the wait that would be too long is raised."""
        while True:
            found = self.limiter.enter(lasts=1000.0)
            if isinstance(found, str):
                return found
            if self.clock.now + found.seconds > until:
                raise TooLong(found.seconds)
            self.clock.sleep(found.seconds)

    def answered(self, place: str, headers: dict[str, str], *, status: int = 200) -> float:
        """The call in that place is answered; seconds for which nothing more goes out."""
        changed = self.limiter.leave(place, report(Answer(status=status, headers=headers, body=b"")))
        return changed.seconds if changed else 0.0


class TooLong(Exception):
    @property
    def seconds(self) -> float:
        return float(self.args[0])


def quota_of(clock: Clock, *, reserve: int = 20) -> Counted:
    return Counted(clock, reserve=reserve)


def test_nothing_is_waited_for_before_the_first_answer(clock: Clock) -> None:
    quota_of(clock).acquire(until=clock.now)
    assert clock.slept == []


def test_the_reserve_is_left_to_others_until_the_window_ends(clock: Clock) -> None:
    quota = quota_of(clock)
    quota.answered(quota.acquire(until=clock.now), headers(left=21, reset=12.0))
    quota.answered(quota.acquire(until=clock.now), headers(left=20, reset=12.0))
    quota.acquire(until=clock.now + 30)
    assert clock.slept == [pytest.approx(12.05)]


def test_requests_in_flight_count_as_made(clock: Clock) -> None:
    quota = quota_of(clock)
    quota.answered(quota.acquire(until=clock.now), headers(left=22))
    quota.acquire(until=clock.now)
    quota.acquire(until=clock.now)
    with pytest.raises(TooLong) as error:
        quota.acquire(until=clock.now + 5)
    assert error.value.seconds == pytest.approx(30.05)


def test_answers_that_come_in_another_order_do_not_give_requests_back(clock: Clock) -> None:
    quota = quota_of(clock, reserve=5)
    first, second = quota.acquire(until=clock.now), quota.acquire(until=clock.now)
    quota.answered(first, headers(left=5, reset=9.9))
    quota.answered(second, headers(left=6, reset=10.0))
    with pytest.raises(TooLong):
        quota.acquire(until=clock.now + 1)
    clock.now += 11
    quota.answered(quota.acquire(until=clock.now), headers(left=149, reset=29.0))
    quota.acquire(until=clock.now)
    assert clock.slept == []


def test_a_wait_is_told_so_that_it_can_be_handed_on(clock: Clock) -> None:
    quota = quota_of(clock)
    quota.answered(quota.acquire(until=clock.now), headers(left=0, reset=20.0))
    with pytest.raises(TooLong) as error:
        quota.acquire(until=clock.now + 19)
    assert error.value.seconds == pytest.approx(20.05)
    assert clock.slept == []


def test_a_small_quota_still_lets_us_work(clock: Clock) -> None:
    quota = quota_of(clock, reserve=20)
    quota.answered(quota.acquire(until=clock.now), headers(left=9, quota=10))
    quota.acquire(until=clock.now)
    assert clock.slept == []


@pytest.mark.parametrize(
    ("given_headers", "wait"),
    [
        ({"X-Rate-Limit-Time-Reset-Ms": "3000"}, 3.05),
        ({"X-Retry-After": "7"}, 7.05),
        ({"X-Rate-Limit-Time-Reset-Ms": "3000", "X-Retry-After": "7"}, 7.05),
        ({"X-Rate-Limit-Time-Reset-Ms": "9000", "X-Retry-After": "7"}, 9.05),
        (headers(left=35, reset=4.0), 4.05),
    ],
)
def test_after_a_refusal_the_longer_of_the_two_headers_is_waited_for(
    clock: Clock, given_headers: dict[str, str], wait: float
) -> None:
    quota = quota_of(clock)
    assert refused(quota, given_headers) == pytest.approx(wait)
    quota.acquire(until=clock.now + 60)
    assert clock.slept == [pytest.approx(wait)]


def refused(quota: Counted, headers: dict[str, str]) -> float:
    """A call is refused; how long nothing more goes out."""
    return quota.answered(quota.acquire(until=quota.clock.now + 4000), headers, status=429)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Retry-After": "999999999"},
        {"Retry-After": "999999999"},
        {"X-Rate-Limit-Time-Reset-Ms": "999999999"},
    ],
)
def test_no_refusal_is_waited_for_longer_than_an_hour(clock: Clock, headers: dict[str, str]) -> None:
    assert refused(quota_of(clock), headers) == 3600


def test_the_plain_header_of_a_refusal_counts_where_it_is_the_longer(clock: Clock) -> None:
    headers = {"X-Rate-Limit-Time-Reset-Ms": "2000", "X-Retry-After": "7", "Retry-After": "20"}
    assert refused(quota_of(clock), headers) == pytest.approx(20.05)


def test_refusals_without_any_header_are_waited_for_longer_each_time(clock: Clock) -> None:
    quota = quota_of(clock)
    assert [refused(quota, {}) for _ in range(4)] == [15.0, 30.0, 60.0, 120.0]
    quota.answered(quota.acquire(until=clock.now + 4000), {})
    assert refused(quota, {"X-Retry-After": "soon"}) == 15.0


@pytest.mark.parametrize(
    "headers", [{"X-Retry-After": "0"}, {"Retry-After": "0"}, {"X-Rate-Limit-Time-Reset-Ms": "0"}]
)
def test_a_refusal_with_a_wait_of_nothing_is_one_without_a_wait(
    clock: Clock, headers: dict[str, str]
) -> None:
    assert refused(quota_of(clock), headers) == 15.0


@REPEATABLE
@given(st.lists(st.tuples(st.integers(0, 40), st.floats(0.001, 3.0)), min_size=1, max_size=60))
def test_one_after_another_never_takes_more_of_a_window_than_there_is(steps: list[tuple[int, float]]) -> None:
    """The store counts windows of 3 s from its first request; others use some of it between ours."""
    clock = Clock()
    quota = quota_of(clock, reserve=5)
    window_start, used, size = clock.now, 0, 50
    for others, pause in steps:
        clock.now += pause
        place = quota.acquire(until=clock.now + 100)
        if clock.now - window_start >= 3.0:
            window_start, used = clock.now, 0
        used += 1
        assert used <= size
        used = min(size - 5, used + others) if used < size - 5 else used
        quota.answered(
            place, headers(left=size - used, quota=size, reset=3.0 - (clock.now - window_start), window=3.0)
        )


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store(quota=40, window_seconds=0.6, first_id=100)
    yield made
    made.close()


def test_marking_in_parallel_keeps_within_the_quota_and_is_never_refused(store: Store) -> None:
    with serve(create_app(store)) as running:
        account = Account(
            name="bgm",
            url=f"{running.url}/stores/{DEMO_STORE_HASH}",
            allow_private=True,
            credentials={"token": DEMO_TOKEN},
            settings=CONNECTOR.read_settings({"quota_reserve": "8"}),
            http_timeout=20,
        )
        ids = [str(each) for each in store.generate(100)]
        channel = CONNECTOR.open(account)
        started = time.monotonic()
        outcomes = channel.acknowledge(ids)
    assert all(isinstance(each, Seen) and each.marked for each in outcomes.values())
    counted = store.counters()
    assert counted["refused"] == 0
    assert counted["most_in_window"] <= 40
    assert counted["by_route"]["PUT /v2/orders/{id}"] == 100
    assert counted["requests"] <= 106
    assert time.monotonic() - started < 20
