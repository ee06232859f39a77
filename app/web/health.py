"""`/healthz`: this process is alive. `/readyz`: what it takes for orders to move is there.

Both answer without a login, so `/readyz` tells words and no names, and looks once in some seconds at most however often it is asked:
nobody can keep the broker busy by asking. Open errors, alerts and a backlog are no matter of being ready; `/metrics` has them.
"""

import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

from flask import Flask, Response, jsonify

from app.bootstrap import Program, database_word
from app.web.people import Doors, People

OK = "ok"
AWAY = "away"
LATE = "late"
NONE = "none"
UNKNOWN = "unknown"

LOOK_SECONDS = 5.0
"""How long an answer holds."""

PATIENCE = 3.0
"""Seconds for one look: a database or a broker that needs longer is `late`."""

Words = Mapping[str, str]


def add(app: Flask, program: Program, people: People | None) -> None:
    """Add the pages. Without `people` nothing here sends to workers, and the database is all that it takes."""
    looks: dict[str, Callable[[], Words]] = {"database": lambda: {"database": database_word(program)}}
    if people is not None:
        doors = people.doors
        looks["broker"] = lambda: _processes(doors)
    readiness = Readiness(looks)

    @app.get("/healthz", provide_automatic_options=False)
    def healthz() -> Response:
        return Response("ok", content_type="text/plain; charset=utf-8")

    @app.get("/readyz", provide_automatic_options=False)
    def readyz() -> tuple[Response, int]:
        found = readiness.words()
        is_ready = bool(found) and set(found.values()) == {OK}
        status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return jsonify({"ready": is_ready, "checks": dict(found)}), status


def _processes(doors: Doors) -> Words:
    """The broker, and through it the worker and beat."""
    found = doors.processes()
    if found.fault:
        return {"broker": AWAY, "beat": UNKNOWN, "worker": UNKNOWN}
    return {"broker": OK, "beat": OK if found.beats else NONE, "worker": OK if found.workers else NONE}


class Readiness:
    """What was found when somebody looked last. Each of the `looks` tells words about one or several parts."""

    def __init__(
        self, looks: Mapping[str, Callable[[], Words]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._looks = {name: _Look(name, look) for name, look in looks.items()}
        self._clock = clock
        self._words: Words = {}
        self._looked_at: float | None = None
        self._looking = threading.Lock()

    def words(self) -> Words:
        """A word for each part, not much older than `LOOK_SECONDS`; nothing where the first look is still under way.

        One request looks and waits for it; those that come meanwhile are told what was found before.
        """
        if self._is_old() and self._looking.acquire(blocking=False):
            try:
                if self._is_old():
                    self._words = self._found()
                    self._looked_at = self._clock()
            finally:
                self._looking.release()
        return self._words

    def _is_old(self) -> bool:
        return self._looked_at is None or self._clock() - self._looked_at >= LOOK_SECONDS

    def _found(self) -> Words:
        until = time.monotonic() + PATIENCE
        for look in self._looks.values():
            look.begin()
        found: dict[str, str] = {}
        for look in self._looks.values():
            found.update(look.end(until - time.monotonic()))
        return found


class _Look:
    """One look, in a thread of its own so that nobody waits for it longer than they want. One that hangs is not begun again."""

    def __init__(self, name: str, look: Callable[[], Words]) -> None:
        self._name = name
        self._look = look
        self._found: Words = {}
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._found = {}
            self._thread = threading.Thread(target=self._run, name=f"look at {self._name}", daemon=True)
            self._thread.start()

    def end(self, seconds: float) -> Words:
        """What was found, at most so many seconds from now."""
        if self._thread is not None:
            self._thread.join(max(0.0, seconds))
        return self._found or {self._name: LATE}

    def _run(self) -> None:
        self._found = self._look()
