"""`reconcile` and `site probe`, as people and scripts use them."""

import pytest

from tests.cli.conftest import CommandLine, Synced, execute, sentence
from tests.fixtures.databases import seen_by


def certificates(ordersync: CommandLine) -> list[int]:
    """Whether each certificate that was made says that all is complete."""
    query = "SELECT complete FROM rm_certificate ORDER BY id"
    return [row["complete"] for row in seen_by(ordersync.environment, query)]


def test_a_certificate_is_made_and_told_in_a_sentence(copied: CommandLine, synced: Synced) -> None:
    del synced
    found = copied.json("reconcile", "bgm")
    assert (found["complete"], found["findings"], found["healed"]) == (True, [], [])
    assert found["counts"]["eligible"] == found["counts"]["stored"]
    assert {each["state"] for each in found["not_exported"]} >= {"rejected"}
    assert all(each["reason"] for each in found["not_exported"])
    told = copied.good("reconcile", "bgm")
    assert sentence(told.stdout).startswith("Complete up to ")
    assert "Stored, not exported" in told.stdout
    assert certificates(copied) == [1, 1]


def test_what_is_missing_ends_with_code_3_until_it_is_read_again(copied: CommandLine) -> None:
    execute(copied, "DELETE FROM rm_inbox WHERE platform_order_id = '152'")
    for arguments in (("reconcile", "bgm"), ("reconcile", "bgm", "--json")):
        result = copied.run(*arguments)
        assert result.exit_code == 3
        assert "no_body" in result.stdout
        assert "BGM-152" in result.stdout
    healed = copied.json("reconcile", "bgm", "--heal")
    assert healed["complete"]
    assert [(each["kind"], each["order"]) for each in healed["healed"]] == [("no_body", "BGM-152")]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nobody"], "There is no site named 'nobody'"),
        (["bgm", "--from", "yesterday"], "--from 'yesterday' must be a date or a time"),
        (["bgm", "--from", "2026-03-02", "--to", "2026-03-01"], "--from must be earlier than --to"),
    ],
)
def test_wrong_use_is_told_and_nothing_is_compared(
    copied: CommandLine, arguments: list[str], reason: str
) -> None:
    assert copied.refused(2, "reconcile", *arguments).startswith(reason)
    assert certificates(copied) == []


def test_a_probe_measures_the_shop_and_fits_the_settings_to_it(copied: CommandLine) -> None:
    before = copied.json("site", "show", "bgm")["settings"]
    dry = copied.json("site", "probe", "bgm", "--dry-run")
    found = {each["what"]: each for each in dry["findings"]}
    assert found["Key"]["found"] == "The key may read and write."
    assert found["Date filter"]["found"].startswith(
        "In UTC it works, and leaves out orders of the very second"
    )
    assert found["Order of rows"]["found"].startswith("Ascending by modified time and then by id")
    assert "order tables" in found["Pages"]["found"]
    assert not found["Date filter"]["trouble"]
    assert (dry["changed"], copied.json("site", "show", "bgm")["settings"]) == ([], before)
    told = copied.good("site", "probe", "bgm")
    after = copied.json("site", "show", "bgm")["settings"]
    assert {key for key in after if after[key] != before[key]} == set(dry["settings"])
    assert "Time zone" in told.stdout
