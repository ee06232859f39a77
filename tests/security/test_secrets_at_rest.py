"""Whoever gets the database, the files beside it, a list of processes or a trace does not get a credential."""

import json
import os
import stat
import subprocess
from pathlib import Path

import psutil
import pytest
from sqlalchemy import inspect

from app.bootstrap import open_program
from app.celery_door import beat_command, flower_command, web_command, worker_command
from app.db.tables import metadata
from app.runtime import free_port
from app.settings import load_settings
from app.sync.hook_keys import opened_secrets, stored_secrets
from app.sync.parts import site_named
from tests.fixtures.databases import FILE
from tests.pipeline.commands import command, environment
from tests.pipeline.world import MakeWorld, World, plain_order

CREDENTIALS = ("ck_sandbox", "cs_sandbox", "sandbox-client", "sandbox-secret")
HOOK_SECRET = "hook-secret-of-a-test"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    made = make_world(orders=[plain_order(1001)])
    stored = stored_secrets(made.parts, (HOOK_SECRET,))
    made.parts.store.keep_hooks(made.site_id, url="https://us.example.test/hooks/bgm", secrets=stored)
    made.run()
    assert opened_secrets(made.parts, site_named(made.parts, "bgm")) == (HOOK_SECRET,)
    return made


def seals_key(world: World) -> bytes:
    return world.parts.store.audit_key()  # type: ignore[attr-defined, no-any-return]


def test_no_row_of_any_table_and_no_byte_of_any_file_tells_a_credential(world: World) -> None:
    tables = inspect(world.engine).get_table_names()
    assert set(tables) >= set(metadata.tables)
    dump = json.dumps([world.rows(f"SELECT * FROM {name}") for name in tables], default=str)
    assert "BGM-1001" in dump
    folder = load_settings(environment(world)).var
    key = (folder / "secret.key").read_text(encoding="ascii").strip()
    sought = [*CREDENTIALS, HOOK_SECRET, key, seals_key(world).hex()]
    assert [each for each in sought if each in dump] == []
    files = [path for path in folder.rglob("*") if path.is_file()]
    embedded = {FILE} if world.engine.dialect.name == "sqlite" else set()
    assert {path.name for path in files} >= {"secret.key", *embedded}
    for path in files:
        found = [each for each in sought if each.encode() in path.read_bytes()]
        assert found == ([key] if path.name == "secret.key" else []), path
    assert stat.S_IMODE((folder / "secret.key").stat().st_mode) == 0o600


def test_no_command_that_looks_tells_a_credential(world: World) -> None:
    looks = [("site", "show", "bgm"), ("site", "list"), ("erp", "show", "bc"), ("erp", "list"), ("status",)]
    looks += [
        ("order", "show", "BGM-1001"),
        ("trace", "BGM-1001", "--full"),
        ("secrets", "show"),
        ("runs", "list"),
    ]
    said = "".join(command(world, *words, *more).output for words in looks for more in ((), ("--json",)))
    assert "bgm" in said
    assert [each for each in (*CREDENTIALS, HOOK_SECRET) if each in said] == []


@pytest.mark.slow
def test_no_process_of_ours_has_a_credential_on_its_command_line(tmp_path: Path) -> None:
    """A password in an address of the environment is seen by its own user alone; a command line is seen by everybody."""
    password = "password-of-a-test"
    url = f"redis://user:{password}@127.0.0.1:1/0"
    settings = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "ORDERSYNC_VAR": str(tmp_path),
        "ORDERSYNC_ENV_FILE": os.devnull,
        "REDIS_URL": url,
        "ORDERSYNC_FLOWER_AUTH": f"name:{password}",
    }
    open_program(load_settings(settings)).engine.dispose()
    for words in (
        worker_command(),
        beat_command(),
        flower_command(port=free_port(0)),
        web_command(port=free_port(0)),
    ):
        assert password not in " ".join(words)
        with subprocess.Popen(
            words,
            env=settings,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        ) as process:
            try:
                # Long enough for a process to put its name in the place of its command line.
                with pytest.raises(subprocess.TimeoutExpired):
                    process.wait(4)
                family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
                assert [each for each in family if password in " ".join(each.cmdline())] == []
            finally:
                process.kill()
