"""What can be told without asking anybody: settings, key, folders."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.fernet import Fernet

from tests.doctor.conftest import Installation, Peers

# About files.
pytestmark = pytest.mark.once

LIMITS = (
    "ORDERSYNC_HTTP_TIMEOUT=60 ORDERSYNC_SOFT_TIME_LIMIT=240 ORDERSYNC_TIME_LIMIT=270 ORDERSYNC_LEASE=300"
)


def test_settings_that_fit_together(fresh: Installation) -> None:
    sentence = "They fit together; the time limits are 60 < 240 < 270 < 300 s."
    assert fresh.one("settings") == (
        "ok",
        f"{sentence} Embedded, and so for one machine: database and broker.",
        "",
    )
    away = {"DATABASE_URL": "postgresql://db.example/x", "REDIS_URL": "redis://broker.example"}
    assert fresh.but(**away).one("settings") == ("ok", sentence, "")


def test_time_limits_that_do_not_fit_hide_nothing_else(installation: Installation) -> None:
    environment = {"ORDERSYNC_LEASE": "10", "ORDERSYNC_CLOCK_SHIFT": ""}
    assert installation.but(**environment).one("settings") == (
        "wrong",
        "ORDERSYNC_TIME_LIMIT (270 s) must be above zero and below ORDERSYNC_LEASE (10 s).",
        LIMITS,
    )
    found = {
        each.check: each.level
        for each in installation.but(**environment).look(
            "settings",
            "database",
        )
    }
    assert found == {"settings": "wrong", "database": "ok"}


def test_a_number_that_is_none_is_named(fresh: Installation) -> None:
    assert fresh.but(ORDERSYNC_SWEEP_SECONDS="soon").one("settings") == (
        "wrong",
        "ORDERSYNC_SWEEP_SECONDS is 'soon'; it must be a number of seconds.",
        "ORDERSYNC_SWEEP_SECONDS=...",
    )


def test_several_numbers_that_are_none_are_told_one_after_the_other(installation: Installation) -> None:
    broken = installation.but(ORDERSYNC_SWEEP_SECONDS="0", ORDERSYNC_LEASE="long", ORDERSYNC_CLOCK_SHIFT="")
    assert broken.one("settings")[1] == "ORDERSYNC_LEASE is 'long'; it must be a number of seconds."
    assert broken.one("database")[0] == "ok"


def test_a_file_of_settings_that_cannot_be_read_is_all_there_is_to_say(
    fresh: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "env"
    file.write_text("DATABASE_URL\n", encoding="utf-8")
    (finding,) = fresh.but(ORDERSYNC_ENV_FILE=str(file)).look()
    assert (finding.check, finding.level, finding.do) == ("settings", "wrong", f"cat {file}")
    assert finding.found == f"{file}, line 1: expected NAME=value."


def test_a_shifted_clock_is_warned_of(fresh: Installation) -> None:
    assert fresh.but(ORDERSYNC_CLOCK_SHIFT="86400").one("settings") == (
        "warning",
        "The clock is shifted by 86400 s, which is for demonstrations.",
        "unset ORDERSYNC_CLOCK_SHIFT",
    )


def test_looking_makes_nothing(fresh: Installation) -> None:
    key = fresh.var / "secret.key"
    assert fresh.one("key") == ("ok", f"There is none yet; it is made as {key} when it is needed.", "")
    assert fresh.one("database")[0] == "warning"
    fresh.look()
    assert not fresh.var.exists()


def test_a_key_opens_what_is_stored(peers: Peers) -> None:
    peers.connect()
    assert peers.installation.one("key") == ("ok", "It opens all stored credentials (2).", "")


def test_a_lost_key_is_wrong_once_something_is_stored(peers: Peers) -> None:
    peers.connect()
    key = peers.installation.var / "secret.key"
    key.unlink()
    assert peers.installation.one("key") == (
        "wrong",
        f"There is no key, but credentials are stored: {key} is missing and ORDERSYNC_SECRET_KEY is not set.",
        "ORDERSYNC_SECRET_KEY=...",
    )
    assert peers.installation.one("site:bgm") == (
        "wrong",
        "There is no key that opens its credentials.",
        "ordersync doctor key",
    )
    assert not key.exists()


def test_another_key_than_the_one_of_old_is_named_for_each_that_it_does_not_open(peers: Peers) -> None:
    peers.connect()
    found = peers.installation.but(ORDERSYNC_SECRET_KEY=Fernet.generate_key().decode()).look(
        "key",
    )
    assert [(each.level, each.do) for each in found] == [("wrong", "ORDERSYNC_SECRET_KEY=NEW,OLD")] * 2
    assert found[0].found == (
        "The credentials of the site bgm were stored with another key; give the old one in ORDERSYNC_SECRET_KEY (new,old)."
    )


def test_what_is_no_key_is_wrong(fresh: Installation) -> None:
    assert fresh.but(ORDERSYNC_SECRET_KEY="hunter2").one("key") == (
        "wrong",
        "ORDERSYNC_SECRET_KEY holds no Fernet key (44 characters of URL-safe base64).",
        "ORDERSYNC_SECRET_KEY=...",
    )


def test_a_key_file_that_others_may_read_is_warned_of(peers: Peers) -> None:
    peers.connect()
    key = peers.installation.var / "secret.key"
    key.chmod(0o644)
    assert peers.installation.one("key") == (
        "warning",
        f"Others on this machine may read {key}.",
        f"chmod 600 {key}",
    )


def test_a_key_is_looked_at_although_the_database_is_away(fresh: Installation) -> None:
    key = Fernet.generate_key().decode()
    assert fresh.but(ORDERSYNC_SECRET_KEY=key, DATABASE_URL="postgresql://127.0.0.1:9/x").one("key") == (
        "warning",
        "It is a key; whether it opens what is stored is not known without the database.",
        "ordersync doctor key",
    )


def test_a_place_that_cannot_be_written_to_is_wrong(fresh: Installation, tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("", encoding="utf-8")
    var = str(blocker / "var")
    assert fresh.but(ORDERSYNC_VAR=var).one("folder") == (
        "wrong",
        f"{var} cannot be written to.",
        f"chown -R $(id -u) {blocker}",
    )
    assert fresh.but(ORDERSYNC_VAR=var).one("log")[:2] == (
        "wrong",
        f"{var}/log/order-sync.log cannot be written.",
    )


@pytest.mark.parametrize(
    ("free", "level"), [(5_000_000_000, "ok"), (500_000_000, "warning"), (5_000_000, "wrong")]
)
def test_room_that_runs_out_is_told(
    fresh: Installation, monkeypatch: pytest.MonkeyPatch, free: int, level: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    found = fresh.one("folder")
    assert found[:2] == (level, f"{fresh.var} can be written to; {free / 1e9:.1f} GB are free.")
    assert found[2] == ("" if level == "ok" else f"df -h {fresh.var.parent}")


def test_a_log_that_can_be_written(installation: Installation) -> None:
    log = installation.var / "log" / "order-sync.log"
    assert installation.one("log") == ("ok", f"{log} can be written.", "")
    log.parent.mkdir()
    log.write_text("", encoding="utf-8")
    assert installation.one("log") == ("ok", f"{log} can be written.", "")


def test_flower_is_a_note(fresh: Installation) -> None:
    assert fresh.but(ORDERSYNC_FLOWER_AUTH="a:b").one("flower") == ("ok", "ORDERSYNC_FLOWER_AUTH is set.", "")
    assert fresh.but(ORDERSYNC_FLOWER_AUTH="").one("flower") == (
        "ok",
        "ORDERSYNC_FLOWER_AUTH is not set.",
        "ORDERSYNC_FLOWER_AUTH=NAME:PASSWORD",
    )
