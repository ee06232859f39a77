"""The pages of runs: what came of each, what the log says of it, and how one is started."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.logs.reading import MOST_LINES, lines_of_run
from app.ports.accounts import Role
from app.sync.panel import running
from app.web import People, create_app
from tests.fixtures.databases import execute
from tests.pipeline.world import MakeWorld, plain_order
from tests.web.many_orders import fill
from tests.web.office import Browser, Office
from tests.web.test_overview import mixed, statements

HOSTILE = "<script>alert(1)</script>"
NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def test_a_run_is_listed_with_what_came_of_its_orders(make_world: MakeWorld) -> None:
    office = mixed(make_world)
    (run,) = running.runs(office.panel, site="bgm", kind="orders", before=None)["runs"]
    told = ("site", "state", "fetched", "exported", "held", "rejected", "moving")
    assert [run[name] for name in told] == ["bgm", "finished", 6, 2, 1, 3, 0]
    page = office.signed_in(Role.VIEWER).page("/runs")
    assert 'href="/runs/1"' in page
    assert "the reading of a site" in page


def test_a_runs_page_names_every_order_that_did_not_go_through_and_why(make_world: MakeWorld) -> None:
    office = mixed(make_world)
    page = office.signed_in(Role.VIEWER).page("/runs/1")
    for number in (3, 4, 5, 6):
        assert f'href="/orders/BGM-{number}"' in page
    for number in (1, 2):
        assert f'href="/orders/BGM-{number}"' not in page
    assert "NO-SUCH" in page
    assert "hx-trigger" not in page


def test_what_a_shop_wrote_is_shown_as_text(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(1, currency="USD", status="processing", number=HOSTILE)])
    world.run()
    execute(
        world.engine, "UPDATE rm_thread SET state = 'rejected', reason = :reason", reason=f"{HOSTILE}\x1b[31m"
    )
    page = Office(world).signed_in(Role.VIEWER).page("/runs/1")
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") == 2
    assert "\x1b" not in page


def test_a_run_that_is_moving_renews_itself(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(1)])
    world.fetch()
    office = Office(world)
    page = office.signed_in(Role.VIEWER).page("/runs/1")
    assert 'id="run" hx-get="/runs/1?"' in page
    assert "1 in motion" in page
    assert "moving" in office.signed_in(Role.VIEWER).page("/runs")


def test_runs_are_told_apart_by_site_and_kind(make_world: MakeWorld) -> None:
    office = mixed(make_world)
    browser, store = office.signed_in(Role.VIEWER), office.panel.store
    store.open_run(kind="task")
    found = {
        kind: [run["id"] for run in running.runs(office.panel, site=None, kind=kind, before=None)["runs"]]
        for kind in (None, "orders", "task", "resume")
    }
    assert found == {None: [2, 1], "orders": [1], "task": [2], "resume": []}
    assert "of no single site" in browser.page("/runs/2")
    assert "There is no such run." in " ".join(browser.page("/runs?kind=resume").split())
    assert "There is no kind of run &#39;x&#34;&lt;&#39;" in browser.page("/runs?kind=x%22%3C")
    assert "There is no site named &#39;nowhere&#39;" in browser.page("/runs?site=nowhere")


def test_many_runs_are_read_page_by_page(make_world: MakeWorld) -> None:
    office = Office(make_world())
    for _ in range(running.ROWS + 3):
        office.panel.store.open_run(kind="task")
    browser = office.signed_in(Role.VIEWER)
    first = browser.page("/runs")
    assert 'href="/runs?before=4" rel="next"' in first
    second = browser.page("/runs?before=4")
    assert [f'href="/runs/{number}"' in second for number in (4, 3, 2, 1)] == [False, True, True, True]
    assert 'rel="next"' not in second


def test_the_orders_of_a_large_run_are_read_page_by_page(make_world: MakeWorld) -> None:
    world = make_world()
    fill(
        world.engine,
        site_id=world.site_id,
        erp_id=world.erp_id,
        orders=200,
        errors=120,
        now=world.clock.now(),
    )
    office = Office(world)
    seen: list[str] = []
    after = 0
    while True:
        found = running.run_page(office.panel, 1, after=after)
        assert found is not None
        seen += [each["key"] for each in found["orders"]]
        if found["after"] is None:
            break
        after = found["after"]
    stopped = world.rows(
        "SELECT order_number FROM rm_thread WHERE state NOT IN ('done', 'active') ORDER BY id"
    )
    assert seen == [row["order_number"] for row in stopped]
    assert 'rel="next"' in office.signed_in(Role.VIEWER).page("/runs/1")


@pytest.mark.parametrize(
    "path",
    [
        "/runs/0",
        "/runs/99",
        "/runs/2147483648",
        "/runs/99999999999999999999",
        "/runs/x",
        "/runs/-1",
        "/runs?before=x",
        "/runs?before=99999999999999999999",
        "/runs?before=%C2%B2",
        "/runs?before=",
        "/runs/1?after=4294967296",
    ],
)
def test_what_is_no_run_is_not_found(make_world: MakeWorld, path: str) -> None:
    assert mixed(make_world).signed_in(Role.VIEWER).get(path).status_code == 404


def test_the_lists_take_as_many_statements_for_many_runs_as_for_one(make_world: MakeWorld) -> None:
    found = []
    for runs in (1, 30):
        world = make_world()
        for number in range(runs):
            run_id = world.parts.store.open_run(kind="orders", site_id=world.site_id)
            fill(world.engine, site_id=world.site_id, erp_id=world.erp_id, orders=1, errors=0)
            execute(
                world.engine, "UPDATE rm_thread SET run_id = :run WHERE id = :id", run=run_id, id=number + 1
            )
        office = Office(world)
        found.append(statements(world.engine, office, "/runs"))
    assert found[0] == found[1]


# Starting a run.


def test_an_operator_starts_a_run_and_the_workers_are_told(office: Office) -> None:
    answer = office.signed_in(Role.OPERATOR).post("/runs", site="bgm")
    assert "Run 1 was started." in answer.text
    assert office.doors.sent == [("fetch", {"site_id": office.world.site_id, "run_id": 1, "site": "bgm"})]
    (row,) = office.world.rows("SELECT kind, site_id, state, read_at FROM rm_run")
    assert row == {"kind": "orders", "site_id": office.world.site_id, "state": "running", "read_at": None}
    action = office.panel.store.actions(before=None, limit=5)[0]
    assert (action.by, action.action, action.detail, action.outcome) == (
        "operator1",
        "run.start",
        {"site": "bgm"},
        "done",
    )


def test_where_no_broker_takes_it_the_run_is_stored_and_the_page_says_so(office: Office) -> None:
    office.doors.is_there = False
    answer = office.signed_in(Role.OPERATOR).post("/runs", site="bgm")
    assert answer.status_code == 200
    assert "Run 1 is stored, but the broker did not take its message" in " ".join(answer.text.split())
    assert [run.run_id for run in office.panel.store.unread_runs(rung_before=0)] == [1]


def test_a_viewer_starts_nothing_and_sees_no_button(office: Office) -> None:
    viewer = office.signed_in(Role.VIEWER)
    assert "Run now" not in viewer.page("/runs")
    assert "Run now" in office.signed_in(Role.OPERATOR).page("/runs")
    assert viewer.post("/runs", site="bgm").status_code == 403
    assert (office.doors.sent, office.world.rows("SELECT * FROM rm_run")) == ([], [])


@pytest.mark.parametrize("site", ["", "nowhere", HOSTILE, "x" * 5_000])
def test_a_site_that_is_not_there_is_not_read(office: Office, site: str) -> None:
    answer = office.signed_in(Role.OPERATOR).post("/runs", site=site)
    assert answer.status_code == 422
    assert HOSTILE not in answer.text
    assert (office.doors.sent, office.world.rows("SELECT * FROM rm_run")) == ([], [])


# The log.


def line(run: int, *, event: str = "step", at: datetime = NOON, **more: object) -> str:
    stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = {
        "timestamp": stamp,
        "level": "info",
        "logger": "ordersync.road",
        "event": event,
        "process": "worker",
        "pid": 7,
    }
    return json.dumps({**said, "site": "bgm", "run": run, **more}) + "\n"


def test_the_log_is_searched_for_the_lines_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "ordersync.log"
    path.write_text(
        line(12, event="first", claimed=3)
        + line(1, event="another's")
        + line(2, event="quotes", reason='"run": 12')
        + "a line cut off by a full disk, run=123\n"
        + "2026-11-25 [info] text of a console run=12 site=bgm\n"
        + line(12, event="last", exception="Traceback\nValueError")
    )
    part = lines_of_run(path, 12, since=NOON, files=10)
    assert [(each.event, each.process) for each in part.lines] == [
        ("first", "worker 7"),
        ("", ""),
        ("last", "worker 7"),
    ]
    assert [each.detail for each in part.lines] == [
        "site=bgm claimed=3",
        "2026-11-25 [info] text of a console run=12 site=bgm",
        "site=bgm\nTraceback\nValueError",
    ]
    assert part.whole


def test_older_parts_of_the_log_belong_to_it_and_reading_ends_before_the_run_began(tmp_path: Path) -> None:
    path = tmp_path / "ordersync.log"
    (tmp_path / "ordersync.log.2").write_text(line(12, event="too old", at=NOON - timedelta(hours=1)))
    (tmp_path / "ordersync.log.1").write_text(line(3, at=NOON - timedelta(hours=1)) + line(12, event="older"))
    path.write_text(line(12, event="newer").rstrip("\n"))
    part = lines_of_run(path, 12, since=NOON, files=10)
    assert ([each.event for each in part.lines], part.whole) == (["older", "newer"], True)
    assert [each.event for each in lines_of_run(path, 12, since=NOON, files=1).lines] == ["newer"]


def test_no_more_is_read_of_a_long_log_than_its_last_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ordersync.log"
    path.write_text("".join(line(12, event=f"e{number}") for number in range(1_000)))
    part = lines_of_run(path, 12, since=NOON, files=10)
    assert (len(part.lines), part.lines[-1].event, part.whole) == (MOST_LINES, "e999", False)
    monkeypatch.setattr("app.logs.reading.MOST_BYTES", 2_000)
    part = lines_of_run(path, 12, since=NOON, files=10)
    assert (part.lines[-1].event, part.whole) == ("e999", False)
    assert 5 < len(part.lines) < 15
    monkeypatch.setattr("app.logs.reading.MOST_SECONDS", -1.0)
    assert lines_of_run(path, 12, since=NOON, files=10).lines == ()


def with_log(office: Office, path: Path | None) -> Browser:
    """The panel of an installation whose log file is this one, or none."""
    settings = replace(office.world.settings, log_file=path)
    people = People(panel=office.panel, doors=office.doors, key=b"k" * 32, settings=settings)
    office.app = create_app(office.program, ring=lambda _site: None, people=people)
    return office.signed_in(Role.VIEWER)


def test_a_runs_page_shows_its_lines_as_text(office: Office, tmp_path: Path) -> None:
    office.world.run()
    path = tmp_path / "a.log"
    path.write_text(line(1, event="fetch_ended", at=office.world.clock.now(), note=HOSTILE))
    page = with_log(office, path).page("/runs/1")
    assert "fetch_ended" in page
    assert HOSTILE not in page
    assert "note=&lt;script&gt;" in page


def test_where_there_is_no_log_to_be_read_the_page_says_where_the_lines_are(
    office: Office, tmp_path: Path
) -> None:
    office.world.run()
    assert "docker compose logs worker | grep run=1" in with_log(office, None).page("/runs/1")
    missing = with_log(office, tmp_path / "missing.log").page("/runs/1")
    assert "missing.log cannot be read: the file is not there." in missing
    folder = with_log(office, tmp_path).page("/runs/1")
    assert "cannot be read: Is a directory." in folder
