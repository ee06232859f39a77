"""Changing, switching off and removing shops and ERPs, as people and scripts do it."""

import json
import os
import pty
import subprocess
from datetime import datetime

import pytest

from tests.cli.conftest import (
    NEEDS_A_PERSON,
    ORDERSYNC,
    SECRETS,
    CommandLine,
    Synced,
    Systems,
    execute,
    plain_environment,
    sentence,
    stored,
)

MOTION = "UPDATE rm_thread SET state = 'active', next_at = '2026-01-01 00:00:00.000000' WHERE id <= 2"


def settings_of(ordersync: CommandLine, kind: str, name: str) -> dict[str, str]:
    found: dict[str, str] = ordersync.json(kind, "show", name)["settings"]
    return found


def test_a_setting_is_changed_and_the_others_stay(copied: CommandLine) -> None:
    before = settings_of(copied, "site", "bgm")
    changed = copied.json("site", "set", "bgm", "--set", "schedule=0 3 * * *", "--set", "decimals=3")
    assert {name: changed[name] for name in ("name", "changed", "unpaused", "released")} == {
        "name": "bgm",
        "changed": ["decimals", "schedule"],
        "unpaused": False,
        "released": 0,
    }
    assert datetime.fromisoformat(changed["next_run"]).hour == 3
    assert settings_of(copied, "site", "bgm") == {**before, "schedule": "0 3 * * *", "decimals": "3"}
    told = copied.good("site", "set", "bgm", "--set", "schedule=", "--set", "decimals=")
    assert sentence(told.stderr).startswith("The site bgm is changed: decimals, schedule. Next run: ")
    assert settings_of(copied, "site", "bgm") == before
    told = copied.good("erp", "set", "bc", "--set", "country.GB=UK", "--set", "account.fee=40601")
    assert sentence(told.stderr).startswith("The ERP bc is changed: account.fee, country.GB. Next run: ")
    assert settings_of(copied, "erp", "bc")["country.GB"] == "UK"
    told = copied.good("site", "set", "bgm", "--set", "decimals=2")
    assert sentence(told.stderr).startswith("Nothing of the site bgm is other than before. Next run: ")


@pytest.mark.parametrize(
    ("code", "arguments", "expected"),
    [
        (2, "site set bgm", "Say what to change: --url, --allow-private, --credential, --set or --erp."),
        (2, "erp set bc", "Say what to change: --url, --company, --allow-private, --credential or --set."),
        (2, "site set xyz --set decimals=3", "There is no site named 'xyz' (there are: bgm)."),
        (2, "erp set xyz --set t_late=900", "There is no ERP named 'xyz' (there are: bc)."),
        (2, "site set bgm --set decimals", "--set 'decimals' must look like name=value."),
        (2, "site set bgm --credential cs_x", "Each --credential must look like name=value."),
        (
            2,
            "site set bgm --set max_orders_per_run=many",
            "The setting max_orders_per_run='many' must be a whole number from 1 to 100000.",
        ),
        (2, "site set bgm --erp nav", "There is no ERP named 'nav' (there are: bc)."),
        (
            1,
            "site set bgm --no-allow-private",
            "127.0.0.1 is a private or local address; add --allow-private if that is meant.",
        ),
        (
            2,
            "erp set bc --company 1",
            (
                "The company of the ERP bc cannot change: it was sent 18 orders. Add the other company as an ERP of its own "
                "(ordersync erp add) and let sites go to it (ordersync site set SITE --erp NAME)."
            ),
        ),
        (
            1,
            "erp set bc --set t_late=100",
            "The ERP bc has t_late=100 s, which must be longer than ORDERSYNC_LEASE (300 s).",
        ),
    ],
)
def test_a_change_that_cannot_work_is_refused_and_changes_nothing(
    copied: CommandLine, code: int, arguments: str, expected: str
) -> None:
    before = stored(copied)
    assert copied.refused(code, *arguments.split()) == expected
    assert stored(copied) == before


@pytest.mark.parametrize("option", ["--prefix", "--platform"])
def test_prefix_and_platform_are_not_to_be_changed(copied: CommandLine, option: str) -> None:
    before = stored(copied)
    result = copied.run("site", "set", "bgm", option, "X")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "No such option" in result.stderr
    assert stored(copied) == before


def test_a_shop_with_orders_moves_when_it_is_said_to_be_the_same(synced: Synced, copied: CommandLine) -> None:
    before, new = stored(copied), synced.systems.shop.replace("127.0.0.1", "localhost")
    assert copied.refused(2, "site", "set", "bgm", "--url", new) == (
        f"The site bgm has 40 orders of the shop at {synced.systems.shop}. If {new} is that shop at a new address, add --moved; "
        "another shop is a site of its own (ordersync site add)."
    )
    assert stored(copied) == before
    assert copied.json("site", "set", "bgm", "--url", new, "--moved")["changed"] == ["url"]
    assert copied.json("site", "show", "bgm")["url"] == new


def test_a_wrong_key_is_put_right_and_the_orders_that_waited_for_it_go_on(
    ordersync: CommandLine, systems: Systems
) -> None:
    ordersync.good(*systems.erp_add, BC_SECRET="wrong")
    ordersync.good(*systems.site_add, BGM_SECRET="cs_wrong")
    assert ordersync.run("sync", "bgm", "--inline").exit_code == 1
    changed = ordersync.json(
        "site", "set", "bgm", "--credential", "secret=env:BGM_SECRET", BGM_SECRET="cs_sandbox"
    )
    assert (changed["changed"], changed["unpaused"]) == (["credential secret"], True)
    assert ordersync.json("status")["sites"][0]["paused"] is None
    report = ordersync.json("sync", "bgm", "--inline", code=NEEDS_A_PERSON)
    assert report["exported"] == 0
    assert report["held"] > 10
    waits = ordersync.json("held", "list")["waits_for"]
    assert [(each["kind"], each["orders"]) for each in waits] == [("settings", report["held"])]
    told = ordersync.good(
        "erp", "set", "bc", "--credential", "client_secret=env:BC_SECRET", BC_SECRET="sandbox-secret"
    )
    assert sentence(told.stderr).startswith(
        f"The ERP bc is changed: credential client_secret. It was paused and is tried again. {report['held']} held orders tried "
        "again. Next run: "
    )
    road = ordersync.json("queue")["road"]
    assert sum(each["due"] for each in road) == report["held"]
    ordersync.good(
        "kits", "import", "-", input="parent_sku,component_sku,quantity\nKIT-PARENT-123,COMP-A,3\n"
    )
    assert ordersync.json("sync", "bgm", "--inline", code=NEEDS_A_PERSON)["exported"] == 18


def test_no_secret_is_printed_when_something_is_changed_or_shown(copied: CommandLine) -> None:
    printed = [
        copied.good(*words).output
        for words in (
            [
                "-v",
                "site",
                "set",
                "bgm",
                "--credential",
                "secret=cs_sandbox",
                "--credential",
                "key=ck_sandbox",
            ],
            ["-v", "erp", "set", "bc", "--credential", "client_secret=sandbox-secret"],
            ["-v", "site", "show", "bgm"],
            ["-v", "erp", "show", "bc"],
            ["site", "show", "bgm", "--json"],
            ["erp", "show", "bc", "--json"],
            ["site", "remove", "bgm", "--yes"],
        )
    ]
    assert not [secret for secret in SECRETS if secret in "".join(printed)]


def test_a_site_is_shown_in_full_but_for_its_secrets(synced: Synced) -> None:
    page = synced.ordersync.json("site", "show", "bgm")
    assert {name: page[name] for name in ("name", "platform", "url", "prefix", "erp", "allow_private", "active")} == {
        "name": "bgm", "platform": "woocommerce", "url": synced.systems.shop, "prefix": "BGM", "erp": None,
        "allow_private": True, "active": True,
    }  # fmt: skip
    assert (page["credentials"], page["credentials_fault"]) == (["key", "secret"], None)
    assert page["orders"] == {"done": 18, "rejected": 21, "skipped": 1}
    assert (page["paused"], page["paused_until"]) == (None, None)
    assert page["last_run"] < page["next_run"]
    assert page["settings"]["max_orders_per_run"] == "500"
    assert page["settings"]["fractional_quantities"] == "false"
    shown = synced.ordersync.good("site", "show", "bgm").stdout
    assert "key, secret" in shown
    assert "18 done, 21 rejected, 1 skipped" in shown


def test_an_erp_is_shown_in_full_but_for_its_secrets(synced: Synced) -> None:
    page = synced.ordersync.json("erp", "show", "bc")
    assert page["credentials"] == ["client_id", "client_secret", "token_url"]
    assert page["orders"] == {"written": 18, "unfinished": 0, "sent": 18}
    assert page["sites"] == ["bgm"]
    assert (page["settings"]["account.fee"], page["settings"]["create_customers"]) == ("40600", "false")
    assert "18 written" in synced.ordersync.good("erp", "show", "bc").stdout
    assert synced.ordersync.refused(2, "erp", "show", "xyz") == "There is no ERP named 'xyz' (there are: bc)."


def test_credentials_of_another_key_are_said_to_be_closed(synced: Synced) -> None:
    key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
    page = synced.ordersync.json("site", "show", "bgm", ORDERSYNC_SECRET_KEY=key)
    assert page["credentials"] is None
    assert page["credentials_fault"] == (
        "The credentials of bgm were stored with another key; give the old one in ORDERSYNC_SECRET_KEY (new,old)."
    )
    assert (
        "stored with another key"
        in synced.ordersync.good("site", "show", "bgm", ORDERSYNC_SECRET_KEY=key).stdout
    )


def test_a_site_is_disabled_and_enabled_and_both_is_said(copied: CommandLine) -> None:
    execute(copied, MOTION)
    told = copied.good("site", "disable", "bgm")
    assert sentence(told.stderr) == (
        "The site bgm is disabled: no schedule reads it any more. What was read before still goes on: 2 orders in motion or held."
    )
    assert copied.json("site", "list")[0]["active"] is False
    assert copied.json("site", "disable", "bgm") == {"name": "bgm", "active": False, "unfinished": 2}
    assert sentence(copied.good("site", "enable", "bgm").stderr).startswith(
        "The site bgm is enabled. Next run: "
    )
    assert copied.json("site", "list")[0]["active"] is True


def test_a_site_with_orders_in_motion_is_not_removed(copied: CommandLine) -> None:
    execute(copied, MOTION)
    before = stored(copied)
    assert copied.refused(2, "site", "remove", "bgm", "--yes") == (
        "The site bgm has 2 orders in motion and 0 held. Stop its reading (ordersync site disable bgm) and remove it when they "
        "have come to an end; what they wait for: ordersync held list --site bgm."
    )
    assert stored(copied) == before


@pytest.mark.parametrize("kind", ["site bgm", "erp bc"])
def test_without_a_terminal_and_without_a_yes_nothing_is_removed(copied: CommandLine, kind: str) -> None:
    group, name = kind.split()
    if group == "erp":
        copied.good("site", "remove", "bgm", "--yes")
    before = stored(copied)
    assert copied.refused(2, group, "remove", name) == (
        "Removing asks for a confirmation, and there is no terminal to ask; add --yes."
    )
    assert stored(copied) == before


def at_a_terminal(ordersync: CommandLine, answer: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command whose standard input is a terminal at which somebody types this answer."""
    theirs, ours = pty.openpty()
    try:
        os.write(theirs, answer.encode())
        return subprocess.run(
            [ORDERSYNC, *arguments],
            stdin=ours,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=ordersync.var.parent,
            env={**plain_environment(), **ordersync.environment},
        )
    finally:
        os.close(theirs)
        os.close(ours)


@pytest.mark.slow
def test_at_a_terminal_a_person_is_asked(copied: CommandLine) -> None:
    question = (
        "Remove the site bgm? Its 40 orders (21 in error, which then stay so) can still be looked at, but it is in no list and "
        "no schedule any more, and its credentials are erased. [y/N]: "
    )
    before = stored(copied)
    declined = at_a_terminal(copied, "n\n", "site", "remove", "bgm")
    assert (declined.returncode, declined.stdout) == (1, "")
    assert declined.stderr == f"{question}The site bgm was not removed.\n"
    assert stored(copied) == before
    done = at_a_terminal(copied, "y\n", "site", "remove", "bgm")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        f"{question}The site bgm is removed. What it did can still be looked at; it comes back by ordersync site add with the "
        "same name, platform, url and prefix.\n"
    )
    assert copied.json("site", "list") == []


def test_a_removed_site_can_be_looked_at_and_comes_back(synced: Synced, copied: CommandLine) -> None:
    systems = synced.systems
    assert copied.json("site", "remove", "bgm", "--yes") == {"name": "bgm", "removed": "kept"}
    assert (copied.json("site", "list"), copied.json("status")["sites"]) == ([], [])
    assert len(copied.json("order", "list", "--site", "bgm")) == 40
    assert len(copied.json("errors", "list", "--site", "bgm")) == 21
    assert copied.json("runs", "list", "--site", "bgm")[0]["site"] == "bgm"
    assert copied.refused(2, "sync", "bgm", "--inline").startswith("There is no site named 'bgm'")
    other = [("eur" if word == "bgm" else "EUR" if word == "BGM" else word) for word in systems.site_add]
    before = stored(copied)
    assert copied.refused(2, *other, **systems.environment) == (
        "The site 'bgm', which was removed, had this address; under another name every order would be exported twice. It comes "
        "back by ordersync site add bgm with the prefix BGM."
    )
    assert stored(copied) == before
    copied.good(*systems.site_add, **systems.environment)
    report = copied.json("sync", "bgm", "--inline")
    assert (report["state"], report["exported"]) == ("finished", 0)


def test_a_site_and_an_erp_without_orders_are_gone_without_a_trace(
    ordersync: CommandLine, systems: Systems
) -> None:
    systems.connect(ordersync)
    assert ordersync.refused(2, "erp", "remove", "bc", "--yes") == (
        "The site bgm uses the ERP bc. Remove the site, or let it go to another ERP first: ordersync site set bgm --erp NAME."
    )
    assert sentence(ordersync.good("site", "remove", "bgm", "--yes").stderr) == "The site bgm is removed."
    assert ordersync.json("erp", "remove", "bc", "--yes") == {"name": "bc", "removed": "deleted"}
    assert (ordersync.json("site", "list"), ordersync.json("erp", "list")) == ([], [])
    systems.connect(ordersync)
    assert json.dumps(ordersync.json("erp", "list")).count('"bc"') == 1
