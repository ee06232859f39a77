"""Opening a program: what a database's failure says, and what is left behind where opening fails."""

import os
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import DBAPIError

from app import bootstrap
from app.bootstrap import Program, open_program
from app.db.engine import open_engine
from app.errors import Misconfigured
from app.settings import load_settings


def test_a_failure_of_the_database_does_not_repeat_the_values(program: Program) -> None:
    with pytest.raises(DBAPIError) as failed, program.engine.begin() as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:name)"), {"name": "Jane Doe"})
    assert "Jane" not in str(failed.value)


@pytest.mark.parametrize("url", ["postgresql+psycopg://u@127.0.0.1/d", "mysql+pymysql://u@127.0.0.1/d"])
def test_no_other_database_repeats_them_either(url: str) -> None:
    engine = open_engine(url)
    assert engine.hide_parameters is True
    engine.dispose()


def test_a_program_that_cannot_be_opened_leaves_no_connection(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    disposed: list[Engine] = []

    def opening(url: str) -> Engine:
        engine = open_engine(url)
        event.listen(engine, "engine_disposed", disposed.append)
        return engine

    monkeypatch.setattr(bootstrap, "open_engine", opening)
    settings = load_settings(
        {"ORDERSYNC_VAR": str(program.settings.var), "ORDERSYNC_SECRET_KEY": "short"}, dotenv=Path(os.devnull)
    )
    with pytest.raises(Misconfigured, match="holds no Fernet key"):
        open_program(settings)
    assert len(disposed) == 1
