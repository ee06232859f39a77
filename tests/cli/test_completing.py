"""The shell completes commands, options and names: in this process, and as bash asks for it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import ORDERSYNC, CommandLine, Synced, execute, make_command_line, plain_environment
from tests.fixtures.databases import Databases

# About the shell.
pytestmark = pytest.mark.once


def completed(ordersync: CommandLine, line: str, **environment: str) -> list[str]:
    """What is offered at the end of this line. In a test, click takes the program's name for `main`."""
    asked = {
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
        "_MAIN_COMPLETE": "bash_complete",
    }
    result = ordersync.run(**asked, **environment)
    assert (result.exit_code, result.stderr) == (0, "")
    return [each.removeprefix("plain,") for each in result.stdout.split()]


@pytest.fixture(scope="session")
def named(
    synced: Synced, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CommandLine]:
    """A middleware with the sites bgm and berlin, and the ERPs bc and nav."""
    folder = tmp_path_factory.mktemp("named")
    with databases.copied(synced.database, folder / "var") as database:
        ordersync = make_command_line(folder, database)
        shutil.copy(synced.ordersync.var / "secret.key", ordersync.var)
        shop = [
            "--platform",
            "woocommerce",
            "--url",
            "http://127.0.0.1:1",
            "--allow-private",
            "--prefix",
            "BER",
        ]
        ordersync.good("site", "add", "berlin", *shop)
        central = ["--platform", "business_central", "--url", "http://127.0.0.1:2", "--allow-private"]
        ordersync.good("erp", "add", "nav", *central)
        yield ordersync


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ordersync sync ", ["berlin", "bgm"]),
        ("ordersync sync bg", ["bgm"]),
        ("ordersync site set be", ["berlin"]),
        ("ordersync site enable ", ["berlin", "bgm"]),
        ("ordersync site disable ", ["berlin", "bgm"]),
        ("ordersync site remove ", ["berlin", "bgm"]),
        ("ordersync site show x", []),
        ("ordersync erp set ", ["bc", "nav"]),
        ("ordersync erp remove n", ["nav"]),
        ("ordersync erp show b", ["bc"]),
        ("ordersync items sync --erp ", ["bc", "nav"]),
        ("ordersync site set bgm --erp n", ["nav"]),
        ("ordersync order list --site b", ["berlin", "bgm"]),
        ("ordersync runs list --site ber", ["berlin"]),
        ("ordersync held list --site ber", ["berlin"]),
        ("ordersync errors list --site ber", ["berlin"]),
        ("ordersync order list --state re", ["rejected"]),
        ("ordersync errors list --stage v", ["verify_skus"]),
        ("ordersync completion ", ["bash", "zsh", "fish"]),
        ("ordersync site hooks check b", ["berlin", "bgm"]),
        ("ordersync site hooks install ", ["berlin", "bgm"]),
        ("ordersync site hooks remove x", []),
        ("ordersync site hooks ", ["check", "install", "remove"]),
        ("ordersync site se", ["set"]),
        ("ordersync task run s", ["sweep", "sync_items"]),
        ("ordersync task run reconcile b", ["berlin", "bgm"]),
        ("ordersync task run export b", []),
        ("ordersync task run export --site be", ["berlin"]),
        ("ordersync task run sync_items --erp ", ["bc", "nav"]),
        ("ordersync errors list --kind ba", ["balance", "bad_sku"]),
        ("ordersync errors list --sort m", ["money"]),
        ("ordersync errors show BGM-15", ["BGM-157", "BGM-158"]),
        ("ordersync export csv e", ["errors"]),
    ],
)
def test_names_of_sites_erps_and_states_are_completed(
    named: CommandLine, line: str, expected: list[str]
) -> None:
    assert completed(named, line) == expected


def test_a_removed_site_is_not_offered(copied: CommandLine) -> None:
    assert completed(copied, "ordersync sync ") == ["bgm"]
    copied.good("site", "remove", "bgm", "--yes")
    assert completed(copied, "ordersync sync ") == []


def test_completing_makes_no_database_and_no_key(tmp_path: Path) -> None:
    ordersync = CommandLine({"ORDERSYNC_VAR": str(tmp_path / "var"), "ORDERSYNC_ENV_FILE": os.devnull})
    assert completed(ordersync, "ordersync sync ") == []
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize(
    "environment",
    [
        {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
        {"DATABASE_URL": "mysql://nobody@127.0.0.1:1/none"},
        {"DATABASE_URL": "nonsense"},
        {"ORDERSYNC_LEASE": "soon"},
    ],
)
def test_where_the_database_cannot_be_asked_nothing_is_offered_and_nothing_said(
    ordersync: CommandLine, environment: dict[str, str]
) -> None:
    assert completed(ordersync, "ordersync sync ", **environment) == []


def test_a_database_of_another_schema_offers_nothing(ordersync: CommandLine) -> None:
    execute(ordersync, "ALTER TABLE rm_sites DROP COLUMN removed_at")
    assert completed(ordersync, "ordersync sync ") == []


@pytest.mark.parametrize(
    ("shell", "telling"),
    [
        ("bash", "complete -o nosort -F _ordersync_completion ordersync"),
        ("zsh", "#compdef ordersync"),
        ("fish", "complete --no-files --command ordersync"),
    ],
)
def test_the_script_for_a_shell_is_printed(ordersync: CommandLine, shell: str, telling: str) -> None:
    printed = ordersync.good("completion", shell).stdout
    assert telling in printed
    assert f"_ORDERSYNC_COMPLETE={shell}_complete" in printed


def test_another_shell_is_wrong_use(ordersync: CommandLine) -> None:
    assert ordersync.run("completion", "tcsh").exit_code == 2


@pytest.mark.slow
def test_a_real_bash_completes_names_after_the_script_was_read(named: CommandLine) -> None:
    """The script is evaluated and its function called with what bash gives it when the tab key is pressed."""
    script = (
        'eval "$(ordersync completion bash)"; COMP_WORDS=(ordersync site set b); COMP_CWORD=3;'
        ' _ordersync_completion ordersync; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={
            **plain_environment(),
            **named.environment,
            "PATH": f"{Path(ORDERSYNC).parent}:{os.environ['PATH']}",
        },
    )
    assert (done.stdout.split(), done.stderr) == (["berlin", "bgm"], "")
