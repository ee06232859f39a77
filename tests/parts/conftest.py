"""A program on a migrated SQLite file of the test's own, opened as every door opens it."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.bootstrap import Program, open_program, prepare_database
from app.settings import load_settings
from app.sync.configure import Asked, add_erp, add_site

COMPANY = "7dbba574-5f6f-4d2a-9a3c-2f6b0c1d9e01"
PUBLIC = "93.184.216.34"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the schema and nothing in it, to be copied."""
    var = tmp_path_factory.mktemp("template")
    prepare_database(load_settings({"ORDERSYNC_VAR": str(var)}, dotenv=Path(os.devnull)))
    return var / "ordersync.db"


@pytest.fixture
def open_with(tmp_path: Path, migrated: Path) -> Iterator[Callable[..., Program]]:
    """Opens a program with settings of the environment; each further one on the same database."""
    opened: list[Program] = []
    (tmp_path / "var").mkdir()
    shutil.copy(migrated, tmp_path / "var" / "ordersync.db")

    def make(**environment: str) -> Program:
        settings = load_settings(
            {"ORDERSYNC_VAR": str(tmp_path / "var"), **environment}, dotenv=Path(os.devnull)
        )
        opened.append(open_program(settings))
        return opened[-1]

    yield make
    for each in opened:
        each.engine.dispose()


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
