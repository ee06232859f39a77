"""What is typed into a filter, or sent in a webhook, is looked for and never run: nothing is found, changed or left behind by it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.db.tables import metadata
from tests.fixtures.databases import Databases
from tests.pipeline.commands import command
from tests.pipeline.test_webhooks import Hooked, web
from tests.pipeline.world import MakeWorld, World, opened_world, plain_order

PAYLOADS = (
    "'",
    '"',
    "' OR '1'='1",
    "' OR 1=1 -- ",
    '" OR ""="',
    "') OR ('1'='1",
    "1 OR 1=1",
    "1; DROP TABLE rm_order; --",
    "'; UPDATE rm_order SET total = 0; --",
    "' UNION SELECT credentials FROM rm_sites --",
    "1) UNION SELECT credentials FROM rm_sites --",
    "(CASE WHEN 1=1 THEN 1 ELSE 0 END)",
    "total DESC; DELETE FROM rm_event",
    "\\' OR 1=1 -- ",
    "%",
    "%%",
    "_",
    "_%",
    "BGM-100_",
    "%' ESCAPE '!",
    ":name",
    "%(name)s",
    "{0}",
    "$1",
    "\x1b[2J",
    "\u02bc OR 1=1",
)
LISTS = (
    ("errors", "list", "--site"),
    ("errors", "list", "--kind"),
    ("errors", "list", "--assignee"),
    ("errors", "list", "--text"),
    ("errors", "list", "--since"),
    ("errors", "list", "--sort"),
    ("errors", "list", "--stage"),
    ("errors", "list", "--limit"),
    ("errors", "list", "--offset"),
    ("errors", "report", "--month"),
    ("held", "list", "--site"),
    ("order", "list", "--site"),
    ("order", "list", "--state"),
    ("order", "list", "--limit"),
    ("runs", "list", "--site"),
    ("runs", "list", "--limit"),
)
KEYS = (
    ("errors", "show"),
    ("order", "show"),
    ("explain",),
    ("trace",),
    ("audit", "verify"),
    ("runs", "show"),
    ("site", "show"),
    ("erp", "show"),
    ("errors", "replay"),
    ("errors", "resume"),
    ("errors", "skip", "--reason=no"),
    ("errors", "assign", "--to=pat"),
    ("errors", "comment", "--", "KEY"),
    ("held", "release"),
    ("privacy", "erase", "--yes"),
    ("privacy", "erase", "--yes", "--email"),
    ("reconcile",),
    ("sync",),
    ("site", "disable"),
    ("site", "remove", "--yes"),
)
_FOUND_NOTHING = (0, 1, 2)


@pytest.fixture(scope="module")
def world(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all of these tests: each sees that it has changed nothing."""
    bad = plain_order(1002)
    bad["line_items"][0]["sku"] = "NOT-THERE"
    folder = tmp_path_factory.mktemp("world")
    with opened_world(databases, folder / "var", orders=[plain_order(1001), bad]) as made:
        made.run()
        assert made.ends() == {1001: "done", 1002: "rejected"}
        yield made


def everything(world: World) -> dict[str, list[dict[str, Any]]]:
    return {table.name: world.rows(f"SELECT * FROM {table.name}") for table in metadata.sorted_tables}


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_a_filter_finds_what_is_named_so_and_nothing_else(world: World, words: tuple[str, ...]) -> None:
    before = everything(world)
    for payload in PAYLOADS:
        result = command(world, *words[:-1], f"{words[-1]}={payload}", "--json")
        assert result.exit_code in _FOUND_NOTHING, (payload, result.output)
        assert result.exception is None or isinstance(result.exception, SystemExit), (
            payload,
            result.exception,
        )
        if result.exit_code == 0:
            found = json.loads(result.stdout.splitlines()[-1])
            assert not rows_of(found), (payload, found)
    assert everything(world) == before


def rows_of(found: Any) -> Any:
    """The rows that a list has found; a page of figures has them under a name."""
    return found if isinstance(found, list) else found.get("errors")


def test_the_same_filters_find_what_is_there(world: World) -> None:
    for words in (
        ("--site=bgm",),
        ("--text=BGM-1002",),
        ("--kind=bad_sku",),
        ("--text=1002", "--reverse"),
    ):
        result = command(world, "errors", "list", *words, "--json")
        assert len(json.loads(result.stdout.splitlines()[-1])) == 1, words


@pytest.mark.parametrize("words", KEYS, ids=" ".join)
def test_a_key_names_what_has_that_name_and_nothing_else(world: World, words: tuple[str, ...]) -> None:
    before = everything(world)
    for payload in PAYLOADS:
        given = [payload if word == "KEY" else word for word in words]
        last = (
            ["text"] if "KEY" in words else ["--", payload] if not words[-1].endswith("email") else [payload]
        )
        result = command(world, *given, *last)
        assert result.exit_code in {1, 2}, (payload, result.output)
        assert isinstance(result.exception, SystemExit), (payload, result.exception)
        assert "Traceback" not in result.output
    assert everything(world) == before


@pytest.mark.parametrize("what", ["errors", "orders"])
@pytest.mark.parametrize("option", ["--site", "--kind", "--assignee", "--text", "--state", "--since"])
def test_a_table_for_spreadsheets_has_the_header_alone(
    world: World, tmp_path: Path, what: str, option: str
) -> None:
    before = everything(world)
    for payload in PAYLOADS:
        result = command(world, "export", "csv", what, f"{option}={payload}")
        assert result.exit_code in _FOUND_NOTHING, (payload, result.output)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        if result.exit_code == 0:
            assert len([line for line in result.stdout.splitlines() if line.startswith('"')]) == 1, payload
    assert everything(world) == before


def test_a_webhook_with_such_words_is_refused_or_names_no_order(make_world: MakeWorld) -> None:
    world = make_world(orders=[])
    with web(world) as base:
        hooked = Hooked(world, base)
        hooked.install()
        hooked.sent()
        before = everything(world)
        for payload in PAYLOADS:
            quoted = "".join(f"%{byte:02x}" for byte in payload.encode())
            assert hooked.deliver(b'{"id":1}', site=quoted).status_code in {401, 404}
            printable = payload.encode("ascii", "replace").decode().replace("\x1b", "?")
            assert hooked.deliver(b'{"id":1}', topic=printable).status_code == 401
            assert hooked.deliver(b'{"id":1}', secret=payload).status_code == 401
        assert everything(world) == before
        for number, payload in enumerate(PAYLOADS):
            body = json.dumps({"id": payload}).encode()
            assert hooked.deliver(body, delivery_id=f"d{number}").status_code == 200
        assert {each[0] for each in hooked.rows()} == {""}
