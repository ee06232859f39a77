"""What is stored holds people's addresses and a key: it is for its own user only."""

from pathlib import Path

from tests.cli.conftest import CommandLine, make_command_line


def test_whatever_a_command_makes_is_for_its_own_user_only(tmp_path: Path) -> None:
    ordersync: CommandLine = make_command_line(tmp_path, None)
    ordersync.var.rmdir()
    for command in (["migrate"], ["site", "list"]):
        assert ordersync.process(*command).returncode == 0
    made = [ordersync.var, *ordersync.var.rglob("*")]
    assert {path.name for path in made} >= {"ordersync.db", "secret.key", "order-sync.log"}
    assert {path.name: oct(path.stat().st_mode & 0o077) for path in made} == {
        path.name: "0o0" for path in made
    }
