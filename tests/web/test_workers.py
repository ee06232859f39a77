"""The page of workers: who is alive, and what to type where nobody is."""

from dataclasses import replace
from datetime import UTC, datetime

from app.celery_door import Processes
from app.heartbeats import Sign
from app.ports.accounts import Role
from app.web import People, create_app
from tests.pipeline.world import MakeWorld, plain_order
from tests.web.office import Office


def test_the_page_is_there_at_once_and_asks_the_workers_afterwards(office: Office) -> None:
    page = office.signed_in(Role.VIEWER).page("/workers")
    assert 'hx-get="/workers/alive" hx-select="#alive"' in page
    assert 'hx-trigger="load"' in page
    assert "Queue orders" in page
    assert "Nothing is on the road." in page


def test_workers_that_answer_and_beats_that_live_are_named(office: Office) -> None:
    at = datetime(2026, 11, 25, 11, 59, tzinfo=UTC)
    office.doors.alive = Processes(workers=("celery@a", "celery@<b>"), beats=(Sign(host="a", pid=42, at=at),))
    page = office.signed_in(Role.VIEWER).page("/workers/alive")
    for words in ("celery@a", "celery@&lt;b&gt;", "a, process 42", "2026-11-25 11:59"):
        assert words in page, words
    assert "No worker answers" not in page
    assert 'hx-trigger="every 15s"' in page


def test_where_nobody_is_the_page_says_what_to_type(office: Office) -> None:
    page = office.signed_in(Role.VIEWER).page("/workers/alive")
    assert "No worker answers" in page
    assert "celery -A workers.app worker" in page
    assert "No beat has sent anything lately" in page
    assert "celery -A workers.app beat" in page


def test_where_the_broker_is_away_nobody_can_be_asked(office: Office) -> None:
    office.doors.alive = Processes(fault="The broker does not answer (ConnectionError).")
    office.doors.waiting = {
        "queues": {},
        "unacknowledged": 0,
        "fault": "it does not answer (ConnectionError).",
    }
    viewer = office.signed_in(Role.VIEWER)
    assert "Nobody can be asked: The broker does not answer" in viewer.page("/workers/alive")
    assert "The broker is away" in viewer.page("/workers")


def test_a_step_that_nobody_comes_for_is_named(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(1)])
    world.fetch()
    world.clock.advance(600)
    page = Office(world).signed_in(Role.VIEWER).page("/workers")
    assert "At normalize something has been due for more than five minutes" in page


def test_flower_is_linked_where_it_is_with_the_word_that_it_has_a_password_of_its_own(office: Office) -> None:
    page = office.signed_in(Role.VIEWER).page("/workers")
    assert 'href="http://127.0.0.1:5555" target="_blank" rel="noopener noreferrer"' in page
    assert "ORDERSYNC_FLOWER_AUTH" in page
    settings = replace(office.world.settings, flower_url="https://flower.example")
    people = People(panel=office.panel, doors=office.doors, key=b"k" * 32, settings=settings)
    office.app = create_app(office.program, ring=lambda _site: None, people=people)
    assert 'href="https://flower.example" target="_blank"' in office.signed_in(Role.VIEWER).page("/workers")
