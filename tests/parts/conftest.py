"""A program on a migrated database of the test's own, opened as every door opens it."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from app.bootstrap import Program, open_program
from app.settings import load_settings
from app.sync.configure import Asked, add_erp, add_site
from tests.fixtures.databases import Databases

COMPANY = "7dbba574-5f6f-4d2a-9a3c-2f6b0c1d9e01"
PUBLIC = "93.184.216.34"


@pytest.fixture
def open_with(tmp_path: Path, databases: Databases) -> Iterator[Callable[..., Program]]:
    """Opens a program with settings of the environment; each further one on the same database."""
    with ExitStack() as stack:
        database = stack.enter_context(databases.migrated(tmp_path / "var"))

        def make(**environment: str) -> Program:
            given = {"ORDERSYNC_VAR": str(tmp_path / "var"), **database.environment, **environment}
            opened = open_program(load_settings(given, dotenv=Path(os.devnull)))
            stack.callback(opened.engine.dispose)
            return opened

        yield make


@pytest.fixture
def program(open_with: Callable[..., Program]) -> Program:
    return open_with()


@pytest.fixture(autouse=True)
def names_of_example_test_are_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is looked up outside of this machine."""
    ask: Callable[..., object] = socket.getaddrinfo

    def answer(host: str, port: int, *more: object, **options: object) -> object:
        if host.endswith(".example.test"):
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (PUBLIC, port))]
        return ask(host, port, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", answer)


def asked(**changes: object) -> Asked:
    """A shop as a person adds it."""
    given: dict[str, Any] = {
        "name": "bgm",
        "platform": "woocommerce",
        "url": "https://shop.example.test",
        "allow_private": False,
        "credentials": {"key": "ck_readable", "secret": "cs_readable"},
        "settings": {},
    }
    return Asked(**{**given, **changes})


def asked_erp(**changes: object) -> Asked:
    """An ERP as a person adds it."""
    given = {
        "name": "bc",
        "platform": "business_central",
        "url": "https://erp.example.test/api/v2.0",
        "credentials": {
            "token_url": "https://login.example.test/token",
            "client_id": "id_readable",
            "client_secret": "bc_readable",
        },
    }
    return asked(**{**given, **changes})


def with_site(program: Program, **changes: object) -> int:
    return add_site(program.parts, asked(**changes), prefix="BGM", erp=None)


def with_erp(program: Program, **changes: object) -> int:
    return add_erp(program.parts, asked_erp(**changes), company=COMPANY)
