"""What ends is started again after a pause that grows, and nothing of one holds up another."""

from dataclasses import dataclass, field

import pytest

from app.errors import Misconfigured
from app.runtime import Ended, NotStarted, Started, Supervisor


@dataclass
class Process:
    """A process that ends when it is told to."""

    code: int | None = None
    starts: int = 0
    refuses: list[Exception] = field(default_factory=list)

    def start(self) -> int:
        if self.refuses:
            raise self.refuses.pop()
        self.code = None
        self.starts += 1
        return self.starts

    def poll(self) -> int | None:
        return self.code


class World:
    """A supervisor with a clock of its own, and what it reported."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.said: list[Started | Ended | NotStarted] = []
        self.supervisor = Supervisor(report=self.said.append, ticks=lambda: self.now)

    def add(self, name: str) -> Process:
        process = Process()
        self.supervisor.start(name, start=process.start, poll=process.poll)
        self.said.clear()
        return process

    def look(self, *, after: float = 0.0) -> list[Started | Ended | NotStarted]:
        """What is new when the supervisor looks so many seconds later."""
        self.now += after
        self.said.clear()
        self.supervisor.look()
        return list(self.said)


@pytest.fixture
def world() -> World:
    return World()


def test_what_runs_is_left_alone(world: World) -> None:
    process = world.add("worker")
    assert world.look(after=10_000) == []
    assert process.starts == 1


def test_what_ends_is_started_again_after_a_second_whatever_its_code(world: World) -> None:
    process = world.add("worker")
    for number, code in enumerate((0, 1, -9), start=2):
        process.code = code
        assert world.look(after=60) == [Ended("worker", code, 1.0)]
        assert world.look(after=0.9) == []
        assert process.starts == number - 1
        assert world.look(after=0.1) == [Started("worker", number)]
        assert process.starts == number


def test_the_pause_doubles_to_a_minute_and_begins_anew_after_a_minute_up(world: World) -> None:
    process = world.add("worker")
    pauses = []
    for _ in range(9):
        process.code = 1
        (ended,) = world.look(after=59.9)
        assert isinstance(ended, Ended)
        pauses.append(ended.pause)
        assert world.look(after=ended.pause - 0.1) == []
        (started,) = world.look(after=0.1)
        assert isinstance(started, Started)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    process.code = 1
    assert world.look(after=60) == [Ended("worker", 1, 1.0)]


@pytest.mark.parametrize("failure", [Misconfigured("No broker."), OSError("No broker.")])
def test_what_cannot_be_started_again_is_tried_again_with_growing_pauses(
    world: World, failure: Exception
) -> None:
    process = world.add("broker")
    process.code = -9
    process.refuses = [failure, failure]
    assert world.look() == [Ended("broker", -9, 1.0)]
    assert world.look(after=1) == [NotStarted("broker", "No broker.", 2.0)]
    assert world.look(after=1.9) == []
    assert world.look(after=0.1) == [NotStarted("broker", "No broker.", 4.0)]
    assert world.look(after=4) == [Started("broker", 2)]


def test_the_pause_of_one_does_not_hold_up_another(world: World) -> None:
    failing, other = world.add("flower"), world.add("worker")
    for _ in range(6):
        failing.code = 1
        world.look()
        world.look(after=60)
    failing.code = other.code = 1
    assert world.look() == [Ended("flower", 1, 60.0), Ended("worker", 1, 1.0)]
    assert world.look(after=1) == [Started("worker", 2)]


def test_a_first_start_that_fails_is_raised_and_not_tried_again(world: World) -> None:
    process = Process(refuses=[Misconfigured("No broker.")])
    with pytest.raises(Misconfigured):
        world.supervisor.start("broker", start=process.start, poll=process.poll)
    assert (world.look(after=100), world.supervisor.names) == ([], [])
