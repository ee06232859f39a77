"""Worker and beat, alive and dead, as real processes."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.celery_door import worker_command
from app.doctor.processes import judged_workers
from app.heartbeats import Heartbeat, alive, host
from app.passes import connect
from app.runtime import EmbeddedBroker, ProcessGroup
from tests.doctor.conftest import Installation, Peers
from workers.application import QUEUES

# About processes.
pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
CELERY = [sys.executable, "-m", "celery", "-A", "workers.app"]


def test_nobody_there_is_wrong(fresh: Installation, broker: EmbeddedBroker) -> None:
    there = fresh.but(REDIS_URL=broker.url)
    assert there.one("worker") == (
        "wrong",
        "No worker answers.",
        "ordersync up  # or: celery -A workers.app worker",
    )
    assert there.one("beat") == (
        "wrong",
        "No beat has sent anything lately; nothing is read and nothing is swept.",
        "ordersync up  # or: celery -A workers.app beat",
    )
    assert there.one("beat", only_here=True)[1] == (
        f"No beat has sent anything lately on {host()}; nothing is read and nothing is swept."
    )


def until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass
class Running:
    """A worker and a beat on a whole installation."""

    installation: Installation
    group: ProcessGroup
    broker: EmbeddedBroker

    def level(self, name: str) -> str:
        return self.installation.one(name)[0]

    def wait_for_worker(self) -> None:
        """Until it listens to what it may be asked."""
        with connect(self.broker.url) as client:
            until(lambda: client.exists("_kombu.binding.celery.pidbox") == 1)

    def start_beat(self, name: str = "beat") -> None:
        schedule = str(self.installation.var / f"{name}-schedule")
        command = [*CELERY, "beat", "--loglevel=WARNING", "-s", schedule]
        self.group.start(name, command, environment=self.installation.environment, cwd=ROOT)

    def start_worker(self, *options: str) -> None:
        command = [*worker_command(), "--pool=solo", *options]
        self.group.start("worker", command, environment=self.installation.environment, cwd=ROOT)


@pytest.fixture
def running(peers: Peers, broker: EmbeddedBroker, tmp_path: Path) -> Iterator[Running]:
    installation = peers.installation.but(REDIS_URL=broker.url, ORDERSYNC_SWEEP_SECONDS="0.3")
    peers.installation = installation
    peers.connect(items=True)
    with ProcessGroup(tmp_path / "log", grace=3.0) as group:
        yield Running(installation, group, broker)


def test_an_installation_that_runs_is_well_and_one_whose_processes_were_killed_is_not(
    running: Running,
) -> None:
    running.start_beat()
    running.start_worker()
    running.wait_for_worker()
    assert running.installation.one("worker", only_here=True) == ("ok", f"1 worker: celery@{host()}.", "")
    until(lambda: running.level("beat") == "ok")
    pid = running.group.pid("beat")
    level, found, _ = running.installation.one("beat", only_here=True)
    assert (level, found.partition(", ")[0]) == ("ok", f"1 beat: {host()} (process {pid}")

    # The whole of it, as a person and a script see it.
    result = running.installation.type("doctor")
    assert (result.exit_code, "wrong" in result.output) == (0, False), result.output
    assert "bgm" in result.output

    running.start_beat("second")
    with connect(running.broker.url) as client:
        until(lambda: len(alive(client, process="beat")) == 2)
    _, found, _ = running.installation.one("beat")
    assert found.startswith("2 beats: ")
    assert found.endswith(" More than one does no harm.")

    # One that is stopped in order takes its sign away; that of one that is killed runs out.
    running.group.stop_one("second")
    running.group.kill("beat")
    running.group.kill("worker")
    with connect(running.broker.url) as client:
        (sign,) = alive(client, process="beat")
        key = f"ordersync:alive:beat:{sign.host}:{sign.pid}"
        assert (sign.pid, 50_000 < client.pttl(key) <= 60_000) == (pid, True)
        client.pexpire(key, 1)
    result = running.installation.type("doctor", "worker", "beat", "--here", "--json")
    assert result.exit_code == 1
    assert [each["found"] for each in json.loads(result.stdout)] == [
        f"No worker answers on {host()}.",
        f"No beat has sent anything lately on {host()}; nothing is read and nothing is swept.",
    ]


def test_a_queue_that_nobody_takes_from_is_named(running: Running) -> None:
    running.start_worker("-Q", "beat,orders,owed")
    running.wait_for_worker()
    assert running.installation.one("worker") == (
        "wrong",
        "No worker takes messages from the queue upkeep.",
        "celery -A workers.app worker -Q upkeep",
    )


@pytest.mark.parametrize(
    ("answers", "level", "sentence"),
    [
        ({"celery@a": {"version": "0.0.1", "queues": list(QUEUES)}}, "warning", "celery@a (0.0.1)."),
        ({"celery@a": {"error": "KeyError('ordersync_about')"}}, "warning", "celery@a (an older one)."),
    ],
)
def test_workers_of_another_version_are_named(answers: dict[str, Any], level: str, sentence: str) -> None:
    (finding,) = judged_workers(answers, here=False)
    assert finding.level == level
    assert finding.found.endswith(sentence)


# Signs of life


def test_a_sign_tells_host_process_and_time(broker: EmbeddedBroker) -> None:
    heart = Heartbeat(broker.url, process="beat", pause=100.0)
    with connect(broker.url) as client:
        assert alive(client, process="beat") == ()
        heart.beat()
        (sign,) = alive(client, process="beat", on=host())
        assert (sign.host, sign.pid) == (host(), os.getpid())
        assert abs((datetime.now(UTC) - sign.at).total_seconds()) < 5
        assert alive(client, process="beat", on="another") == alive(client, process="panel") == ()
        assert 299_000 < client.pttl(f"ordersync:alive:beat:{host()}:{os.getpid()}") <= 300_000
        heart.end()
        assert alive(client, process="beat") == ()


def test_a_process_whose_broker_is_away_leaves_no_sign_and_goes_on(tmp_path: Path) -> None:
    heart = Heartbeat(f"redis+socket://{tmp_path}/none.sock?virtual_host=0", process="beat", pause=1.0)
    heart.beat()
    heart.end()


def test_a_beat_goes_on_while_the_broker_is_away_and_leaves_signs_when_it_is_back(
    running: Running,
) -> None:
    running.start_beat()
    with connect(running.broker.url) as client:
        until(lambda: bool(alive(client, process="beat")))
        (sign,) = alive(client, process="beat")
        # Nothing is taken, so that nothing is sent.
        client.config_set("maxmemory", 1)
        client.delete(f"ordersync:alive:beat:{sign.host}:{sign.pid}")
        time.sleep(1.0)
        assert alive(client, process="beat") == ()
        client.config_set("maxmemory", 0)
        until(lambda: [each.pid for each in alive(client, process="beat")] == [sign.pid])
