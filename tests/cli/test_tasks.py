"""Tasks by hand, as far as no worker is needed: what there is, what is sent, and what is refused."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from app import celery_tasks
from app.celery_tasks import known_tasks
from app.passes import connect
from app.settings import load_settings
from tests.cli.conftest import CommandLine, execute, sentence, stored

AT_EXPORT = (
    (
        "UPDATE rm_thread SET state = 'held', hold_kind = 'maintenance', stage = 'deliver', reason = 'Closed.',"
        " next_at = '2199-01-01 00:00:00.000000' WHERE id IN ({ids})"
    ),
    (
        "UPDATE rm_step SET state = 'owed', next_at = '2199-01-01 00:00:00.000000', done_at = NULL"
        " WHERE kind = 'export' AND thread_id IN ({ids})"
    ),
)


@pytest.fixture
def waiting(copied: CommandLine) -> tuple[str, str]:
    """The numbers of two orders whose export waits."""
    done = sorted(each["order"] for each in copied.json("order", "list", "--state", "done"))[:2]
    found = {number: copied.json("order", "show", number)["thread"]["id"] for number in done}
    ids = ", ".join(str(each) for each in found.values())
    execute(copied, *(statement.format(ids=ids) for statement in AT_EXPORT))
    return (done[0], done[1])


def messages(broker: str) -> list[tuple[str, dict[str, Any], list[str]]]:
    """What waits in the broker: the task, its arguments, and the tasks that follow in its chain."""
    found = []
    with connect(broker) as client:
        for queue in ("beat", "orders", "owed", "upkeep"):
            for raw in client.lrange(queue, 0, -1):
                message = json.loads(raw)
                _, keywords, embedded = json.loads(base64.b64decode(message["body"]))
                chain = [each["task"] for each in reversed(embedded["chain"] or [])]
                found.append((message["headers"]["task"], keywords, chain))
    return found


def test_every_task_is_listed_with_what_it_does_and_takes(ordersync: CommandLine) -> None:
    tasks = {each["task"]: each for each in ordersync.json("task", "list")}
    assert {"fetch", "export", "sweep", "sync_items", "report_errors"} <= set(tasks)
    assert tasks["fetch"] == {
        "task": "fetch", "does": "Read one site's orders and ring their batches.", "takes": "SITE",
    }  # fmt: skip
    assert tasks["export"]["takes"] == "--site SITE | --batch N | ORDER..."
    assert tasks["sync_items"]["takes"] == "[--erp ERP]"
    assert tasks["report_errors"]["takes"] == "[--arg month=TEXT]"
    assert all(each["does"].endswith(".") for each in tasks.values())
    assert "fetch" in ordersync.good("task", "list").stdout


def test_no_task_of_the_workers_is_missing(tmp_path: Path) -> None:
    settings = load_settings({"ORDERSYNC_VAR": str(tmp_path)}, dotenv=Path("/dev/null"))
    sources = [
        path.read_text(encoding="utf-8") for path in (Path(__file__).parents[2] / "tasks").glob("*.py")
    ]
    named = {name for source in sources for name in re.findall(r'name="ordersync\.(\w+)"', source)}
    assert set(known_tasks(settings)) == named != set()


def test_a_link_is_rung_for_the_orders_that_stand_there_and_the_others_are_named(
    copied: CommandLine, waiting: tuple[str, str], empty_broker_url: str
) -> None:
    found = copied.json("task", "run", "export", *waiting, "BGM-158", REDIS_URL=empty_broker_url)
    assert found == {
        "task": "export", "run": 2, "orders": 2, "answered": False,
        "elsewhere": [{"order": "BGM-158", "where": "is rejected and needs a person (ordersync errors show)"}],
    }  # fmt: skip
    ((task, keywords, chain),) = messages(empty_broker_url)
    batch_id = copied.json("order", "show", waiting[0])["thread"]["batch_id"]
    assert (task, keywords, chain) == (
        "ordersync.export", {"batch_id": batch_id, "site": "bgm", "run_id": 2}, [],
    )  # fmt: skip
    threads = [copied.json("order", "show", number)["thread"] for number in waiting]
    assert {(each["state"], each["run_id"]) for each in threads} == {("active", 2)}
    page = copied.json("runs", "show", "2")
    assert (page["kind"], page["state"], page["site"], page["fetched"]) == ("task", "moving", "bgm", 2)
    assert "task" in copied.good("runs", "list").stdout


def test_a_person_is_told_what_was_sent_and_that_nobody_works(
    copied: CommandLine, waiting: tuple[str, str], empty_broker_url: str
) -> None:
    told = sentence(copied.good("task", "run", "export", "--site", "bgm", REDIS_URL=empty_broker_url).stderr)
    assert told == (
        "Sent export for 2 orders; see `ordersync runs show 2`. No worker answers: the message waits in the broker and is worked "
        "on when one runs (`ordersync up`)."
    )


def test_a_link_before_the_end_is_rung_with_the_rest_of_the_road(
    copied: CommandLine, empty_broker_url: str
) -> None:
    execute(
        copied,
        "UPDATE rm_thread SET state = 'active', stage = 'write', next_at = '2199-01-01 00:00:00.000000' WHERE id = 1",
    )
    copied.json("task", "run", "write", "--batch", "1", REDIS_URL=empty_broker_url)
    ((task, _, chain),) = messages(empty_broker_url)
    assert (task, chain) == ("ordersync.write", ["ordersync.acknowledge", "ordersync.export"])


def test_upkeep_is_sent_with_the_ids_of_what_was_named(copied: CommandLine, empty_broker_url: str) -> None:
    for words, expected in (
        (["sync_items"], {"erp_id": 1, "erp": "bc"}),
        (["sync_items", "--erp", "bc"], {"erp_id": 1, "erp": "bc"}),
        (["read_named", "bgm"], {"site_id": 1, "site": "bgm"}),
        (["sweep"], {}),
        (["report_errors", "--arg", "month=2026-10"], {"month": "2026-10"}),
    ):
        found = copied.json("task", "run", *words, REDIS_URL=empty_broker_url)
        (sent,) = [each for each in messages(empty_broker_url) if each[1].get("watched_run") == found["run"]]
        assert sent[:2] == (f"ordersync.{words[0]}", {**expected, "watched_run": found["run"]})


def test_a_reading_by_hand_is_a_run_of_its_own_kind(copied: CommandLine, empty_broker_url: str) -> None:
    found = copied.json("task", "run", "fetch", "bgm", REDIS_URL=empty_broker_url)
    ((task, keywords, _),) = messages(empty_broker_url)
    assert (task, keywords) == (
        "ordersync.fetch", {"site_id": 1, "site": "bgm", "run_id": found["run"]},
    )  # fmt: skip
    assert copied.json("runs", "show", str(found["run"]))["kind"] == "orders"


@pytest.mark.parametrize(
    ("code", "words", "why"),
    [
        (
            2,
            ["nonsense"],
            "There is no task 'nonsense' (there are: acknowledge, apply_store_credit, archive, check_hooks, ",
        ),
        (2, ["export"], "Say which orders: --site SITE, --batch N, or the numbers of orders."),
        (
            2,
            ["export", "BGM-158", "--site", "bgm"],
            "Say which orders: --site SITE, --batch N, or the numbers",
        ),
        (2, ["export", "--site", "xyz"], "There is no site named 'xyz' (there are: bgm)."),
        (2, ["export", "BGM-158", "--erp", "bc"], "The task export takes no ERP."),
        (1, ["export", "BGM-0"], "There is no order 'BGM-0'; nothing was done."),
        (1, ["export", "--site", "bgm"], "Nothing was done: no order of the site bgm stands at export."),
        (1, ["export", "--batch", "99"], "Nothing was done: no order of the batch 99 stands at export."),
        (
            1,
            ["write", "--batch", "1"],
            "Nothing was done: no order of the batch 1 stands at write (39 orders: ",
        ),
        (
            1,
            ["verify", "BGM-158"],
            "Nothing was done: BGM-158 is rejected and needs a person (ordersync errors",
        ),
        (2, ["fetch"], "Say which site: `ordersync task run fetch SITE`."),
        (2, ["fetch", "xyz"], "There is no site named 'xyz' (there are: bgm)."),
        (2, ["check_hooks", "bgm"], "The site bgm has no webhooks (`ordersync site hooks install`)."),
        (2, ["sync_items", "--erp", "xyz"], "There is no ERP named 'xyz' (there are: bc)."),
        (2, ["sync_items", "bgm"], "The task sync_items takes no site and no orders."),
        (2, ["sweep", "--batch", "1"], "The task sweep takes no batch."),
        (2, ["sweep", "--arg", "site_id=1"], "The task sweep takes no argument 'site_id' (there are: none);"),
        (2, ["sweep", "--arg", "fast"], "--arg 'fast' must look like name=value."),
    ],
)
def test_what_cannot_be_started_is_refused_and_nothing_is_opened(
    copied: CommandLine, empty_broker_url: str, code: int, words: list[str], why: str
) -> None:
    before = stored(copied)
    for wait in ([], ["--wait"]):
        said = copied.refused(code, "task", "run", *words, *wait, REDIS_URL=empty_broker_url)
        assert said.startswith(why)
    assert stored(copied) == before
    assert len(copied.json("runs", "list")) == 1
    assert messages(empty_broker_url) == []


def test_without_a_broker_nothing_is_changed(copied: CommandLine, waiting: tuple[str, str]) -> None:
    before = stored(copied)
    assert copied.refused(1, "task", "run", "export", *waiting) == (
        "No broker: set REDIS_URL, or start everything that is needed with `ordersync up`."
    )
    away = copied.refused(1, "task", "run", "sweep", REDIS_URL="redis://127.0.0.1:1/0")
    assert away == (
        "The broker does not answer (OperationalError); nothing was sent. See `ordersync doctor broker`."
    )
    assert stored(copied) == before
    assert len(copied.json("runs", "list")) == 1


def test_arguments_of_each_kind_are_read_and_checked() -> None:
    class Made:
        def run(self, *, often: int, much: float = 1.0, sure: bool = False, word: str | None = None) -> None:
            """Do as told.

            And more.
            """

    made = celery_tasks._task("ordersync.made", Made())
    assert (made.name, made.does) == ("made", "Do as told.")
    assert made.takes == ("--arg often=NUMBER [--arg much=NUMBER] [--arg sure=YES OR NO] [--arg word=TEXT]")
    read = {each.name: each.read for each in made.parameters}
    assert (read["often"]("3"), read["much"]("2.5"), read["sure"]("Yes"), read["word"]("x")) == (
        3,
        2.5,
        True,
        "x",
    )
    for name, text in (("often", "2.5"), ("much", "lots"), ("sure", "maybe")):
        with pytest.raises(ValueError, match=text):
            read[name](text)
