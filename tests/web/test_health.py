"""Whether the process is alive, and whether it can do its work."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.celery_door import BrokerDoors, Processes
from app.db.engine import open_engine
from app.heartbeats import Heartbeat, Sign
from app.runtime import free_port
from app.web import Doors, People, create_app
from app.web.health import LOOK_SECONDS, PATIENCE, Readiness
from tests.web.office import Office

ALIVE = Processes(workers=("celery@a",), beats=(Sign("a", 1, datetime.now(UTC)),))
ALL_WELL = {"database": "ok", "broker": "ok", "beat": "ok", "worker": "ok"}


def asked(app: Flask) -> tuple[int, dict[str, Any]]:
    answer = app.test_client().get("/readyz")
    return answer.status_code, answer.get_json()


def app_of(office: Office, *, doors: Doors | None = None, database: str = "") -> Flask:
    """The application with another database, or another way to the broker, than the office's."""
    program = office.program
    if database:
        program = replace(program, engine=open_engine(database))
    people = People(
        panel=office.panel, doors=doors or office.doors, key=b"k" * 32, settings=office.world.settings
    )
    return create_app(program, ring=lambda _site: None, people=people)


def test_a_process_that_answers_is_alive_whatever_else_is_the_matter(office: Office) -> None:
    office.doors.alive = Processes(fault="The broker does not answer.")
    answer = office.app.test_client().get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")


def test_all_is_well(office: Office) -> None:
    office.doors.alive = ALIVE
    assert asked(office.app) == (200, {"ready": True, "checks": ALL_WELL})


@pytest.mark.parametrize(
    ("_case", "alive", "words"),
    [
        ("no worker", replace(ALIVE, workers=()), {"worker": "none"}),
        ("no beat", replace(ALIVE, beats=()), {"beat": "none"}),
        (
            "no broker",
            Processes(fault="The broker at 10.0.0.7 does not answer."),
            {"broker": "away", "beat": "unknown", "worker": "unknown"},
        ),
    ],
)
def test_what_is_missing_is_told_in_a_word_and_without_an_address(
    office: Office, _case: str, alive: Processes, words: dict[str, str]
) -> None:
    office.doors.alive = alive
    assert asked(office.app) == (503, {"ready": False, "checks": {**ALL_WELL, **words}})


def test_a_broker_that_is_not_there_is_found_out(office: Office) -> None:
    settings = replace(office.world.settings, redis_url=f"redis://127.0.0.1:{free_port(0)}/0")
    began = time.monotonic()
    status, told = asked(app_of(office, doors=BrokerDoors(settings)))
    assert time.monotonic() - began < PATIENCE + 1
    assert (status, told["checks"]["broker"]) == (503, "away")


def test_a_broker_without_workers_is_found_out(office: Office, empty_broker_url: str) -> None:
    settings = replace(office.world.settings, redis_url=empty_broker_url)
    Heartbeat(empty_broker_url, process="beat", pause=5.0).beat()
    assert asked(app_of(office, doors=BrokerDoors(settings))) == (
        503,
        {"ready": False, "checks": {**ALL_WELL, "worker": "none"}},
    )


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:////nowhere/at/all.db",
        "postgresql+psycopg://nobody@127.0.0.1:1/none",
        "mysql+pymysql://nobody@127.0.0.1:1/none",
    ],
)
def test_a_database_that_is_away_is_told(office: Office, address: str) -> None:
    office.doors.alive = ALIVE
    assert asked(app_of(office, database=address)) == (
        503,
        {"ready": False, "checks": {**ALL_WELL, "database": "away"}},
    )


def test_a_database_of_another_version_is_told(office: Office) -> None:
    office.doors.alive = ALIVE
    with office.world.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    status, told = asked(office.app)
    assert (status, told["checks"]["database"]) == (503, "schema")


def test_what_only_takes_webhooks_needs_the_database_alone(office: Office) -> None:
    app = create_app(office.program, ring=lambda _site: None)
    assert asked(app) == (200, {"ready": True, "checks": {"database": "ok"}})


def test_nobody_has_to_sign_in_and_nothing_is_kept(office: Office) -> None:
    answer = office.app.test_client().get("/readyz", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    assert office.app.test_client().post("/readyz").status_code in {400, 404}


# How often is looked.


class Looks:
    """Counts how often somebody looks, on a clock that is moved by hand."""

    def __init__(self, look: Callable[[], dict[str, str]] = lambda: {"broker": "ok"}) -> None:
        self.count = 0
        self.now = 0.0
        self._look = look
        self.readiness = Readiness({"broker": self.look}, clock=lambda: self.now)

    def look(self) -> dict[str, str]:
        self.count += 1
        return self._look()


def test_however_often_it_is_asked_somebody_looks_once_in_five_seconds() -> None:
    looks = Looks()
    for _ in range(100):
        assert looks.readiness.words() == {"broker": "ok"}
    assert looks.count == 1
    looks.now += LOOK_SECONDS
    looks.readiness.words()
    assert looks.count == 2


def test_who_asks_while_somebody_looks_is_told_at_once_what_was_found_before() -> None:
    released, looking = threading.Event(), threading.Event()

    def look() -> dict[str, str]:
        looking.set()
        released.wait(5)
        return {"broker": "ok"}

    looks = Looks(look)
    threads = [threading.Thread(target=looks.readiness.words) for _ in range(8)]
    for each in threads:
        each.start()
    looking.wait(5)
    began = time.monotonic()
    assert looks.readiness.words() == {}
    assert time.monotonic() - began < 0.5
    released.set()
    for each in threads:
        each.join()
    assert looks.readiness.words() == {"broker": "ok"}
    assert looks.count == 1


def test_a_look_that_hangs_is_late_and_is_not_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.health.PATIENCE", 0.1)
    released = threading.Event()

    def look() -> dict[str, str]:
        released.wait(10)
        return {"broker": "ok"}

    looks = Looks(look)
    for _ in range(3):
        assert looks.readiness.words() == {"broker": "late"}
        looks.now += LOOK_SECONDS
    assert looks.count == 1
    released.set()
