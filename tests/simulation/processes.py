"""The processes: workers that run the real tasks' bodies, two beats, the webhook receiver; and the broker, which may lose anything."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import tasks.road
from app.domain.road import Link
from app.errors import OrderSyncError
from app.ports.store import Bell
from app.sync import pipeline
from app.sync.hooks import read_due, receive
from app.sync.items import sync_items
from app.sync.parts import Parts
from app.sync.schedule import tick
from app.sync.sweep import sweep
from tests.simulation.gateways import Actor, Away, TimeUp
from tests.simulation.scheduler import Process, Scheduler

SWEEP_SECONDS = 10.0
_LONGEST_RESTART = 20.0
_LATE_MESSAGE = 300.0
_AGAIN = 60.0
_TRIES = 3
_CLOCKWORK = ("sweep", "tick")


@dataclass(frozen=True, slots=True)
class Message:
    """What is asked of a worker: a task's name and its arguments, and for a chain the links that follow."""

    task: str
    arguments: dict[str, Any] = field(default_factory=dict)
    links: tuple[Link, ...] = ()

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value}" for name, value in self.arguments.items())
        return f"{self.links[0] if self.links else self.task}({told})"


class _Retried(Exception):
    """Celery's own: the task is to run again in so many seconds."""

    def __init__(self, countdown: float) -> None:
        super().__init__()
        self.countdown = countdown


class _Task:
    """What a task's body asks of Celery. `request.chain` is what follows; the body may drop it."""

    def __init__(self, chain: Sequence[Link]) -> None:
        self.request = SimpleNamespace(chain=chain)

    def retry(self, *, countdown: float, exc: Exception) -> Exception:
        raise _Retried(countdown) from exc


class Broker:
    """Brings messages to workers: lost, twice or late, as chance has it."""

    def __init__(self, scheduler: Scheduler, *, sweeper_alone: bool = False) -> None:
        self.sweeper_alone = sweeper_alone
        self.waiting: list[Message] = []
        self.workers: list[Worker] = []
        self.under_way = 0
        self._scheduler = scheduler

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits, is under way, or is worked on."""
        return not (self.waiting or self.under_way) and all(each.is_free for each in self.workers)

    def send(self, message: Message, *, by: Actor | None = None, countdown: float = 0.0) -> None:
        """Take a message; `by` is who sends it, None for a beat's own clockwork."""
        copies = 1
        delay = countdown
        if by is not None:
            by.check()
            faults = by.faults
            if by.chance(faults.lost_message) or (self.sweeper_alone and by.task not in _CLOCKWORK):
                by.counts["lost messages"] += 1
                self._scheduler.tell(by.name, f"sends {message}, which is lost")
                return
            copies += by.chance(faults.doubled_message)
            if by.chance(faults.late_message):
                delay += self._scheduler.random.random() * _LATE_MESSAGE
            self._scheduler.tell(by.name, f"sends {message}{' twice' if copies > 1 else ''}")
        for _ in range(copies):
            self.under_way += 1
            self._scheduler.after(delay, lambda: self._arrive(message))

    def _arrive(self, message: Message) -> None:
        self.under_way -= 1
        self.waiting.append(message)
        self.serve()

    def serve(self) -> None:
        """Give what waits to workers that are free."""
        while self.waiting:
            free = [each for each in self.workers if each.is_free]
            if not free:
                return
            self._scheduler.random.choice(free).take(self.waiting.pop(0))


class Worker:
    """A worker with one process. It acknowledges a message before it works on it, so what a killed one had in hand is lost."""

    def __init__(self, actor: Actor, parts: Parts, broker: Broker) -> None:
        self.is_free = True
        self._actor = actor
        self.parts = parts
        self._broker = broker

    def take(self, message: Message) -> None:
        """Run a task."""
        self.is_free = False

        def body(process: Process) -> None:
            self._actor.begin(process, task=message.task)
            self._actor.scheduler.tell(self._actor.name, f"begins {message}")
            self._run(message)

        Process(self._actor.scheduler, self._actor.name, body, self._ended, owner=self).start()

    def _ended(self, killed: bool) -> None:
        scheduler = self._actor.scheduler
        scheduler.after(scheduler.random.uniform(0.5, _LONGEST_RESTART) if killed else 0.0, self._come_back)

    def _come_back(self) -> None:
        self.is_free = True
        self._broker.serve()

    def _run(self, message: Message) -> None:
        actor = self._actor
        try:
            actor.point("at the task's begin")
            behind = self._body(message)
            actor.point("before the next link is sent")
        except _Retried as retried:
            self._broker.send(message, by=actor, countdown=retried.countdown)
        except (Away, TimeUp) as error:
            actor.scheduler.tell(actor.name, f"fails: {type(error).__name__}")
        else:
            if behind:
                self._broker.send(Message("step", message.arguments, tuple(behind)), by=actor)

    def _body(self, message: Message) -> Sequence[Link] | None:
        """The tasks' bodies, as `tasks` has them. Returns the links that follow."""
        parts, arguments = self.parts, message.arguments
        match message.task:
            case "step":
                task = _Task(message.links[1:])
                tasks.road._step(task, message.links[0], **arguments)
                behind: Sequence[Link] | None = task.request.chain
                return behind
            case "fetch":
                result = pipeline.fetch(parts, **arguments, ring=self.ring)
                if result.state == "unfinished":
                    again = Message("fetch", {**arguments, "run_id": result.run_id})
                    self._broker.send(again, by=self._actor, countdown=result.again_in)
            case "read_named":
                if read_due(parts, **arguments, ring=self.ring):
                    self._send("read_named", **arguments)
            case "sweep":
                sweep(
                    parts,
                    ring=self.ring,
                    interval=SWEEP_SECONDS,
                    ring_run=lambda run: self._send("fetch", site_id=run.site_id, run_id=run.run_id),
                    ring_site=lambda site: self._send("read_named", site_id=site.id),
                )
            case "tick":
                self._start_what_is_due()
            case _:
                sync_items(parts, **arguments)
        return None

    def _start_what_is_due(self) -> None:
        due = tick(self.parts)
        for site in due.sites:
            self._send("fetch", site_id=site.id)
        for erp in due.erps:
            self._send("items", erp_id=erp.id)

    def _send(self, task: str, **arguments: Any) -> None:
        self._broker.send(Message(task, arguments), by=self._actor)

    def ring(self, bell: Bell, *, countdown: float | None = None) -> None:
        """Send the chain of a batch."""
        arguments = {"batch_id": bell.batch_id, "site": bell.site, "run_id": bell.run_id}
        self._broker.send(Message("step", arguments, bell.links), by=self._actor, countdown=countdown or 0.0)


@contextmanager
def as_tasks(scheduler: Scheduler) -> Iterator[None]:
    """While this lasts, the bodies of the road's tasks find the program and the bell of the worker whose turn it is."""

    def worker() -> Worker:
        assert scheduler.current is not None
        assert isinstance(scheduler.current.owner, Worker)
        return scheduler.current.owner

    def program() -> SimpleNamespace:
        return SimpleNamespace(parts=worker().parts)

    def ring(bell: Bell, *, countdown: float | None = None) -> None:
        worker().ring(bell, countdown=countdown)

    road = vars(tasks.road)
    before = {name: road[name] for name in ("program_of_process", "ring")}
    road |= {"program_of_process": program, "ring": ring}
    try:
        yield
    finally:
        road |= before


class Beat:
    """One of two beats. It sleeps while the database has nothing that is due, which spares the run a million empty ticks.

    `due` tells for each of its tasks in how many seconds there will be anything to do, None for never.
    """

    def __init__(
        self, scheduler: Scheduler, broker: Broker, *, due: Callable[[], Mapping[str, float | None]]
    ) -> None:
        self.longest_sleep = _AGAIN
        self._scheduler = scheduler
        self._broker = broker
        self._due = due

    def start(self) -> None:
        """Begin at some moment of the first ten seconds."""
        self._scheduler.after(self._scheduler.random.random() * SWEEP_SECONDS, self._tick)

    def _tick(self) -> None:
        waits = {task: wait for task, wait in self._due().items() if wait is not None}
        asked = {each.task for each in self._broker.waiting}
        for task, wait in waits.items():
            # Ticks expire, so they do not pile up.
            if wait <= 0.0 and task not in asked:
                self._broker.send(Message(task))
        asleep = max(SWEEP_SECONDS, min(self.longest_sleep, *waits.values(), self.longest_sleep))
        self._scheduler.after(asleep, self._tick)


class Receiver:
    """The process that takes webhooks. A shop that gets no 200 sends the delivery again, a few times."""

    def __init__(self, actor: Actor, parts: Parts, broker: Broker) -> None:
        self._actor = actor
        self._parts = parts
        self._broker = broker
        self._busy = False
        self._waiting: list[tuple[str, str, str, int]] = []

    def deliver(self, site: str, delivery: str, order_id: str, *, tries: int = _TRIES) -> None:
        """A delivery comes in."""
        self._waiting.append((site, delivery, order_id, tries))
        self._serve()

    def _serve(self) -> None:
        if self._busy or not self._waiting:
            return
        self._busy = True
        site, delivery, order_id, tries = self._waiting.pop(0)
        answered = False

        def body(process: Process) -> None:
            nonlocal answered
            self._actor.begin(process, task="receive")
            answered = self._receive(site, delivery, order_id)

        def ended(_killed: bool) -> None:
            scheduler = self._actor.scheduler
            if not answered and tries > 1:
                scheduler.after(_AGAIN, lambda: self.deliver(site, delivery, order_id, tries=tries - 1))
            self._busy = False
            scheduler.after(0.1, self._serve)

        Process(self._actor.scheduler, self._actor.name, body, ended).start()

    def _receive(self, site: str, delivery: str, order_id: str) -> bool:
        body = json.dumps({"delivery": delivery, "order": order_id}).encode()
        try:
            answer = receive(self._parts, site_name=site, topic="order", headers={}, body=body)
        except (Away, TimeUp, OrderSyncError):
            return False
        if answer.due is not None:
            self._broker.send(Message("read_named", {"site_id": answer.due.id}), by=self._actor)
        return answer.status is HTTPStatus.OK
