"""`ordersync alerts`: rules and targets from the command line."""

import json

import pytest

from tests.cli.conftest import CommandLine, sentence
from tests.fakes.sinks import HookServer, serving


def test_rules_are_listed_and_changed(ordersync: CommandLine) -> None:
    rules = {each["rule"]: each for each in ordersync.json("alerts", "rules")}
    assert rules["money_at_risk"]["threshold"] == "10000.00"
    changed = ordersync.json(
        "alerts", "set", "money_at_risk", "--threshold", "500.5", "--currency", "eur", "--for-minutes", "15",
        "--quiet", "22:00-06:00", "--zone", "Europe/Berlin", "--severity", "critical",
    )  # fmt: skip
    assert changed == {
        "rule": "money_at_risk", "enabled": True, "threshold": "500.50", "currency": "EUR", "for_minutes": "15",
        "severity": "critical", "quiet_from": "22:00", "quiet_to": "06:00", "quiet_zone": "Europe/Berlin",
    }  # fmt: skip
    ordersync.good("alerts", "set", "money_at_risk", "--off", "--quiet", "")
    rules = {each["rule"]: each for each in ordersync.json("alerts", "rules")}
    assert (rules["money_at_risk"]["enabled"], rules["money_at_risk"]["quiet_from"]) == (False, "")
    assert ordersync.json("alerts", "list") == []
    assert "stuck" in ordersync.good("alerts", "rules").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", "stuck"), "Say what is to change"),
        (("set", "stuck", "--threshold", "5"), "has no threshold"),
        (("set", "stuck", "--quiet", "22:00"), "Quiet hours have a begin and an end"),
        (("target", "test", "nobody"), "There is no target 'nobody' (there are: none yet"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    ordersync: CommandLine, words: tuple[str, ...], said: str
) -> None:
    assert said in sentence(ordersync.refused(2, "alerts", *words))


def test_a_target_is_added_by_standard_input_tested_changed_and_removed(ordersync: CommandLine) -> None:
    with serving(HookServer()) as hook:
        words = ("alerts", "target", "add", "ops", "--url-stdin", "--kind", "stuck", "--json")
        added = ordersync.good(*words, input=f"{hook.url}\n").stdout
        assert json.loads(added) == {"name": "ops", "where": "JSON: json://127.0.0.1"}
        ordersync.good("alerts", "target", "test", "ops")
        assert hook.titles() == ["Order Sync: a test"]
        hook.status = 500
        refused = ordersync.refused(1, "alerts", "target", "test", "ops")
        assert "Failed to send JSON" in refused
        assert "hook-password" not in refused
        ordersync.good("alerts", "target", "set", "ops", "--off", "--everything")
        (target,) = ordersync.json("alerts", "target", "list")
        assert (target["told_of"], target["enabled"]) == ("everything", False)
        assert "hook-password" not in ordersync.good("alerts", "target", "list").stdout
        ordersync.good("alerts", "target", "remove", "ops", "--yes")
        assert ordersync.json("alerts", "target", "list") == []
