"""Flower does not start without a login, nor in Celery's own way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.runtime import free_port
from app.sandbox.server import serve
from app.sandbox.shop import Shop
from app.sandbox.shop import create_app as shop_app
from tests.cli.conftest import plain_environment
from workers.flower import is_login


def run(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *command],
        env={**plain_environment(), "ORDERSYNC_ENV_FILE": os.devnull, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        (
            "",
            "Flower needs a login: set ORDERSYNC_FLOWER_AUTH to name:password, or ORDERSYNC_FLOWER_AUTH_FILE to a file with it.",
        ),
        ("secret-without-name", "ORDERSYNC_FLOWER_AUTH must be name:password, of plain ASCII characters."),
    ],
)
def test_without_a_login_it_says_so_and_ends(login: str, expected: str) -> None:
    done = run("workers.flower", ORDERSYNC_FLOWER_AUTH=login, REDIS_URL="redis://127.0.0.1:1/0")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"ordersync: {expected}\n")


def test_a_port_that_is_taken_is_named() -> None:
    with serve(shop_app(Shop(()))) as another:
        done = run(
            *("workers.flower", f"--port={another.port}"),
            ORDERSYNC_FLOWER_AUTH="name:password",
            REDIS_URL="redis://127.0.0.1:1/0",
        )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"ordersync: Flower cannot listen on 127.0.0.1:{another.port} (Address already in use).\n"
    )


def test_a_check_of_what_is_not_there_fails_and_says_nothing() -> None:
    done = run("workers.flower", "--check", f"--port={free_port(0)}", ORDERSYNC_FLOWER_AUTH="name:password")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_celerys_own_flower_is_refused(tmp_path: Path) -> None:
    done = run(
        *("celery", "-A", "workers.app", "flower", f"--port={free_port(0)}"),
        ORDERSYNC_VAR=str(tmp_path),
        FLOWER_BASIC_AUTH="name:password",
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("ordersync: `celery flower` would show its numbers to anybody")
    assert done.stderr.endswith("start it with `python -m workers.flower`.\n")


@pytest.mark.parametrize("command", ["worker", "beat"])
def test_without_a_broker_celerys_processes_end_with_a_sentence(tmp_path: Path, command: str) -> None:
    done = run("celery", "-A", "workers.app", command, ORDERSYNC_VAR=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "ordersync: No broker: set REDIS_URL, or start everything that is needed with `ordersync up`.\n"
    )


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Basic bmFtZTpwYXNzd29yZA==", True),
        ("basic   bmFtZTpwYXNzd29yZA==", True),
        ("", False),
        ("Basic", False),
        ("Basic ", False),
        ("Basic bmFtZTpwYXNzd29yZA", False),
        ("Basic bmFtZTpwYXNzd29yZA==, Basic bmFtZTpwYXNzd29yZA==", False),
        ("Basic bmFtZTpwYXNzd29yZAA=", False),
        ("Basic größe", False),
        ("Bearer bmFtZTpwYXNzd29yZA==", False),
        ("name:password", False),
    ],
)
def test_only_the_whole_login_lets_anybody_in(header: str, expected: bool) -> None:
    assert is_login(header, login="name:password") is expected
