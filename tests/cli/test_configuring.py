"""Adding and listing shops, ERPs, items and kits, as scripts do it."""

import json
import sqlite3
from pathlib import Path

import pytest

from app.sandbox.erp import COMPANY_ID
from tests.cli.conftest import NEEDS_A_PERSON, SECRETS, CommandLine, Systems, make_command_line, sentence


def test_migrate_makes_the_embedded_database_and_may_be_repeated(tmp_path: Path) -> None:
    ordersync = make_command_line(tmp_path, None)
    for _ in range(2):
        result = ordersync.good("migrate")
        assert (result.stdout, sentence(result.stderr)) == ("", "The database is up to date.")
    with sqlite3.connect(ordersync.var / "ordersync.db") as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert {
        "rm_sites",
        "rm_items",
        "rm_kits",
        "rm_order",
        "rm_address",
        "rm_lineitems",
        "rm_error_orders",
    } < tables


def test_a_shop_and_an_erp_are_added_in_the_documented_form(ordersync: CommandLine, systems: Systems) -> None:
    added = [ordersync.good(*form, **systems.environment) for form in (systems.erp_add, systems.site_add)]
    assert [sentence(each.stderr) for each in added] == [
        "The ERP bc is added. Read its items now with: ordersync items sync",
        "The site bgm is added. Read it now with: ordersync sync bgm",
    ]
    (site,) = ordersync.json("site", "list")
    assert {name: site[name] for name in ("name", "platform", "url", "prefix", "active", "last_run")} == {
        "name": "bgm",
        "platform": "woocommerce",
        "url": systems.shop,
        "prefix": "BGM",
        "active": True,
        "last_run": None,
    }
    assert site["settings"]["max_orders_per_run"] == 500
    assert site["next_run"].endswith(":00:00+00:00")
    (erp,) = ordersync.json("erp", "list")
    assert {name: erp[name] for name in ("name", "platform", "url", "company", "items_last_run")} == {
        "name": "bc",
        "platform": "business_central",
        "url": f"{systems.erp}/api/v2.0",
        "company": COMPANY_ID,
        "items_last_run": None,
    }
    assert (erp["settings"]["account.shipping"], erp["settings"]["default_customer"]) == ("40400", "WEB-CASH")
    assert erp["settings"]["create_customers"] is False
    assert systems.asked() == []


def test_no_secret_is_ever_printed(ordersync: CommandLine, systems: Systems) -> None:
    printed = [
        ordersync.good(*arguments, **systems.environment).output
        for arguments in (
            ["-v", *systems.erp_add],
            ["-v", *systems.site_add],
            *(["-v", *words] for words in (["site", "list"], ["erp", "list"], ["status"], ["items", "sync"])),
            *([*words, "--json"] for words in (["site", "list"], ["erp", "list"], ["status"])),
        )
    ]
    assert not [secret for secret in SECRETS if secret in "".join(printed)]


def test_a_credential_may_come_from_a_file(ordersync: CommandLine, systems: Systems, tmp_path: Path) -> None:
    file = tmp_path / "bgm.secret"
    file.write_text("cs_sandbox\n", encoding="utf-8")
    ordersync.good(*systems.erp_add, **systems.environment)
    ordersync.good(*[word.replace("env:BGM_SECRET", f"file:{file}") for word in systems.site_add])
    assert ordersync.json("sync", "bgm", "--inline", code=NEEDS_A_PERSON)["state"] == "finished"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "secret=env:BGM_SECRET",
            "secret=env:NOT_SET_ANYWHERE",
            "The credential secret is to come from the environment variable NOT_SET_ANYWHERE, which is not set.",
        ),
        (
            "secret=env:BGM_SECRET",
            "secret=file:/no/such/file",
            "The credential secret cannot be read from /no/such/file (No such file or directory).",
        ),
        (
            "max_orders_per_run=500",
            "max_orders_per_run",
            "--set 'max_orders_per_run' must look like name=value.",
        ),
        (
            "max_orders_per_run=500",
            "max_orders_per_run=many",
            "The setting max_orders_per_run='many' must be a whole number from 1 to 100000.",
        ),
        (
            "woocommerce",
            "magento",
            "There is no platform 'magento'; there are: bigcommerce, business_central, woocommerce.",
        ),
        ("BGM", "bgm!", "The prefix 'bgm!' must be 1 to 16 capital letters and digits, such as BGM."),
    ],
)
def test_wrong_use_ends_with_two_and_one_sentence_and_stores_nothing(
    ordersync: CommandLine, systems: Systems, old: str, new: str, expected: str
) -> None:
    arguments = [new if word == old else word for word in systems.site_add]
    assert ordersync.refused(2, *arguments, **systems.environment) == expected
    assert ordersync.json("site", "list") == []


def test_a_secret_typed_without_its_name_is_not_repeated(ordersync: CommandLine, systems: Systems) -> None:
    arguments = [word.replace("key=ck_sandbox", "ck_sandbox") for word in systems.site_add]
    expected = "Each --credential must look like name=value."
    assert ordersync.refused(2, *arguments, **systems.environment) == expected
    assert ordersync.json("site", "list") == []


def test_a_credential_file_that_is_no_text_is_refused(
    ordersync: CommandLine, systems: Systems, tmp_path: Path
) -> None:
    file = tmp_path / "bgm.secret"
    file.write_bytes(b"\xff\xfe\x00")
    arguments = [word.replace("env:BGM_SECRET", f"file:{file}") for word in systems.site_add]
    assert ordersync.refused(2, *arguments) == (
        f"The credential secret cannot be read from {file} (it is no text in UTF-8)."
    )
    assert ordersync.json("site", "list") == []


def test_a_private_address_that_is_not_allowed_is_refused(ordersync: CommandLine, systems: Systems) -> None:
    arguments = [word for word in systems.site_add if word != "--allow-private"]
    assert ordersync.refused(1, *arguments, **systems.environment) == (
        "127.0.0.1 is a private or local address; add --allow-private if that is meant."
    )
    assert ordersync.json("site", "list") == []


@pytest.mark.parametrize(
    "arguments", [["site", "add"], ["sync"], ["nonsense"], ["order", "list", "--state", "lost"]]
)
def test_what_click_refuses_ends_with_two(ordersync: CommandLine, arguments: list[str]) -> None:
    result = ordersync.run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error:" in result.stderr


def test_wrong_settings_of_the_environment_end_with_one_and_a_sentence(ordersync: CommandLine) -> None:
    assert ordersync.refused(1, "status", ORDERSYNC_LEASE="soon") == (
        "ORDERSYNC_LEASE is 'soon'; it must be a number of seconds."
    )


def test_items_are_read_from_the_erp(ordersync: CommandLine, systems: Systems) -> None:
    ordersync.good(*systems.erp_add, **systems.environment)
    first, second = ordersync.json("items", "sync"), ordersync.json("items", "sync", "--erp", "bc")
    assert (first["state"], first["read"], first["new"], first["reason"]) == ("done", 15, 15, "")
    assert (second["state"], second["new"]) == ("done", 0)
    assert ordersync.json("erp", "list")[0]["items_last_run"] is not None


def test_an_item_sync_that_fails_ends_with_one_and_says_why(ordersync: CommandLine, systems: Systems) -> None:
    ordersync.good(*systems.erp_add, BC_SECRET="wrong")
    reason = "The sign-in service refuses the client (401 invalid_client); check token_url, client_id, client_secret and scope."
    told = ordersync.run("items", "sync")
    assert (told.exit_code, told.stdout) == (1, "")
    assert told.stderr.splitlines()[-1] == f"ordersync: {reason}"
    assert told.stderr.count("ordersync: ") == 1
    result = ordersync.run("items", "sync", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (
        1,
        {"state": "failed", "read": 0, "new": 0, "released": 0, "reason": reason},
    )


def test_items_without_an_erp_are_wrong_use(ordersync: CommandLine) -> None:
    assert ordersync.refused(2, "items", "sync") == "Say which ERP with --erp (there are: none yet)."
    assert ordersync.refused(2, "items", "import", "-", input="sku\nA-1\n") == (
        "Say which ERP with --erp (there are: none yet)."
    )


def test_items_are_imported_from_a_file(ordersync: CommandLine, systems: Systems, tmp_path: Path) -> None:
    ordersync.good(*systems.erp_add, **systems.environment)
    file = tmp_path / "items.csv"
    file.write_bytes("\ufeffsku,name,status\r\nA-1,Örtel,\r\nB-1,,not_allowed\r\n".encode())
    result = ordersync.good("items", "import", str(file))
    assert sentence(result.stderr) == "Imported; 2 items are new."
    bad = tmp_path / "bad.csv"
    bad.write_text("sku,status\nC-1,\nD-1,what\n", encoding="utf-8")
    assert ordersync.refused(2, "items", "import", str(bad)) == (
        "Line 3: the status 'what' must be `allowed` or `not_allowed`."
    )


def test_a_file_in_another_encoding_is_refused_with_a_sentence(
    ordersync: CommandLine, systems: Systems, tmp_path: Path
) -> None:
    ordersync.good(*systems.erp_add, **systems.environment)
    file = tmp_path / "latin.csv"
    file.write_bytes("sku,name\nA-1,Örtel\n".encode("latin-1"))
    expected = "The file must be text in UTF-8."
    assert ordersync.refused(2, "items", "import", str(file)) == expected
    kits = tmp_path / "kits.csv"
    kits.write_bytes("parent_sku,component_sku,quantity\nÖ,A,1\n".encode("latin-1"))
    assert ordersync.refused(2, "kits", "import", str(kits)) == expected
    assert ordersync.json("kits", "list") == []


def test_kits_are_imported_and_listed(ordersync: CommandLine) -> None:
    result = ordersync.good(
        "kits", "import", "-", input="parent_sku,component_sku,quantity\nkit,a,2\nkit,b,0.5\n"
    )
    assert result.stderr == "1 kit imported.\n"
    assert ordersync.json("kits", "list") == [
        {"parent_sku": "KIT", "component_sku": "A", "quantity": "2"},
        {"parent_sku": "KIT", "component_sku": "B", "quantity": "0.5"},
    ]
    assert "KIT" in ordersync.good("kits", "list").stdout


def test_a_circular_kit_is_wrong_use_and_not_stored(ordersync: CommandLine) -> None:
    text = "parent_sku,component_sku,quantity\nA,B,1\nB,A,1\n"
    assert (
        ordersync.refused(2, "kits", "import", "-", input=text)
        == "The kit definition is circular: A > B > A."
    )
    assert ordersync.json("kits", "list") == []


@pytest.mark.parametrize("sku", ["SCREW[/5]", "BOLT[#5]", "A[@B]"])
def test_brackets_in_a_sku_are_shown_as_they_are(ordersync: CommandLine, sku: str) -> None:
    ordersync.good("kits", "import", "-", input=f"parent_sku,component_sku,quantity\n{sku},X,1\n")
    assert sku in ordersync.good("kits", "list").stdout
