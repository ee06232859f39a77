"""`ordersync doctor` as it is typed."""

import json
from typing import Any

import pytest
from rich.console import Console

from app.cli import health
from app.doctor.checks import Begun, Check, Ended, run
from app.sync.findings import Finding, Level, Report, set_command, worst
from tests.doctor.conftest import Installation, Peers


def test_json_is_one_line_and_the_exit_code_tells(installation: Installation) -> None:
    result = installation.type("doctor", "flower", "folder", "--json")
    assert result.exit_code == 0
    (line, rest) = result.stdout.split("\n")
    found: list[dict[str, Any]] = json.loads(line)
    assert rest == ""
    assert [sorted(each) for each in found] == [["check", "do", "found", "state"]] * 2
    assert [(each["check"], each["state"]) for each in found] == [("folder", "ok"), ("flower", "ok")]

    result = installation.type("doctor", "folder", "broker", "--json")
    assert result.exit_code == 1
    assert [(each["check"], each["state"]) for each in json.loads(result.stdout)] == [
        ("folder", "ok"),
        ("broker", "wrong"),
    ]


def test_warnings_are_allowed(fresh: Installation) -> None:
    result = fresh.type("doctor", "database", "--json")
    assert (result.exit_code, json.loads(result.stdout)[0]["state"]) == (0, "warning")


def test_a_table_says_what_to_type(fresh: Installation) -> None:
    result = fresh.type("doctor", "database", "settings")
    assert result.exit_code == 0
    assert "> ordersync migrate" in result.output
    assert result.output.index("settings") < result.output.index("database")


def test_on_a_terminal_what_is_still_looked_at_is_shown(
    fresh: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Console(force_terminal=True, width=100, record=True)
    monkeypatch.setattr(health, "OUT", terminal)
    assert fresh.type("doctor", "database", "folder").exit_code == 0
    assert "ordersync migrate" in terminal.export_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["dtabase"], "There is no check named 'dtabase'; there are: settings, key, folder, log, database, broker, worker, beat,"),
        (["--here"], "--here looks for processes; name them, as in `ordersync doctor worker --here`."),
        (["database", "--here"], "--here looks for processes; name them, as in `ordersync doctor worker --here`."),
        (["site:bgn"], "There is no site named 'bgn' (there are: bgm)."),
        (["erp:x", "database"], "There is no erp named 'x' (there are: bc)."),
    ],
)  # fmt: skip
def test_wrong_use_is_named(peers: Peers, arguments: list[str], sentence: str) -> None:
    peers.connect()
    result = peers.installation.type("doctor", *arguments)
    assert result.exit_code == 2
    assert sentence in " ".join(result.output.split())


def test_each_check_begins_at_once_and_none_hides_another() -> None:
    report = Report("other")

    def broken() -> list[Finding]:
        raise IndexError("list index out of range")

    events = list(
        run(
            [
                Check("broken", broken),
                Check("leads on", lambda: [Check("other", lambda: [report.ok("Well.")])]),
                Check(
                    "ends", lambda: iter([Report("ends").wrong("No.", do="yes"), Report("ends").ok("Yes.")])
                ),
            ],
            seconds=2.0,
        )
    )
    assert events[:3] == [Begun("broken"), Begun("leads on"), Begun("ends")]
    ended = {each.check: each.findings for each in events if isinstance(each, Ended)}
    assert [(each.level, each.found, each.do) for each in ended["broken"]] == [
        (
            "wrong",
            "The check itself failed (IndexError: list index out of range).",
            "ordersync -v doctor broken",
        )
    ]
    assert ended["leads on"] == ()
    assert ended["other"] == (report.ok("Well."),)
    assert [each.level for each in ended["ends"]] == ["wrong", "ok"]


def test_the_worst_is_what_counts() -> None:
    report = Report("x")
    assert worst([]) is Level.OK
    assert worst([report.ok("."), report.warning(".", do="")]) is Level.WARNING
    assert worst([report.wrong(".", do=""), report.warning(".", do="")]) is Level.WRONG


def test_secrets_go_by_the_environment() -> None:
    assert set_command("site", "my-shop", ("url", "credential key", "set statuses")) == (
        "MY_SHOP_KEY=... ordersync site set my-shop --url ... --credential key=env:MY_SHOP_KEY --set statuses=..."
    )
