"""Settings: where they come from, what is refused, and what unset means."""

from pathlib import Path

import pytest

from app.errors import Misconfigured
from app.settings import Settings, load_settings


def load(tmp_path: Path, dotenv: str = "", **environment: str) -> Settings:
    file = tmp_path / "env"
    file.write_text(dotenv, encoding="utf-8")
    return load_settings(environment, dotenv=file)


def test_unset_means_embedded_under_var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load_settings({})
    var = tmp_path.resolve() / "var"
    assert found == Settings(
        var=var,
        database_url=f"sqlite:///{var}/ordersync.db",
        redis_url=None,
        secret_key=None,
        secret_key_file=var / "secret.key",
        clock_shift=0.0,
        http_timeout=60.0,
        soft_time_limit=240.0,
        time_limit=270.0,
        lease=300.0,
        sweep_seconds=10.0,
        flower_auth=None,
        log_file=var / "log" / "order-sync.log",
        log_format="text",
        log_level="INFO",
        log_bytes=10_000_000,
        log_files=10,
    )
    assert (found.embedded_database, found.embedded_broker) == (True, True)
    assert list(tmp_path.iterdir()) == []


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    text = "ORDERSYNC_LEASE=400\nORDERSYNC_SWEEP_SECONDS=7\n"
    found = load(tmp_path, text, ORDERSYNC_LEASE="500")
    assert (found.lease, found.sweep_seconds, found.time_limit) == (500.0, 7.0, 270.0)


def test_the_file_of_the_working_directory_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("REDIS_URL=redis://127.0.0.1:1/0\n", encoding="utf-8")
    found = load_settings({})
    assert (found.redis_url, found.embedded_broker) == ("redis://127.0.0.1:1/0", False)
    assert load_settings({"ORDERSYNC_ENV_FILE": "/dev/null"}).redis_url is None


def test_empty_values_count_as_unset(tmp_path: Path) -> None:
    found = load(
        tmp_path, DATABASE_URL="", REDIS_URL="", ORDERSYNC_LEASE="", ORDERSYNC_SECRET_KEY="", ORDERSYNC_VAR=""
    )
    assert (found.redis_url, found.lease, found.secret_key) == (None, 300.0, None)
    assert found.database_url.endswith("/var/ordersync.db")


def test_the_file_may_have_comments_blank_lines_quotes_and_export(tmp_path: Path) -> None:
    text = "# a comment\n\n export ORDERSYNC_SECRET_KEY = 'a=b' \nORDERSYNC_FLOWER_AUTH=\"me:secret\"\n"
    found = load(tmp_path, text)
    assert (found.secret_key, found.flower_auth) == ("a=b", "me:secret")


def test_a_line_without_an_equals_sign_is_named_and_its_text_is_not(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as refused:
        load(tmp_path, "ORDERSYNC_LEASE=300\ncs_hidden\n")
    assert refused.value.reason == f"{tmp_path / 'env'}, line 2: expected NAME=value."


@pytest.mark.parametrize(
    "name", ["LEASE", "HTTP_TIMEOUT", "SOFT_TIME_LIMIT", "TIME_LIMIT", "CLOCK_SHIFT", "SWEEP_SECONDS"]
)
def test_what_is_no_number_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        load(tmp_path, **{f"ORDERSYNC_{name}": "5 min"})
    assert refused.value.reason == f"ORDERSYNC_{name} is '5 min'; it must be a number of seconds."


@pytest.mark.parametrize(
    "name", ["LEASE", "HTTP_TIMEOUT", "SOFT_TIME_LIMIT", "TIME_LIMIT", "CLOCK_SHIFT", "SWEEP_SECONDS"]
)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_number_without_end_is_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        load(tmp_path, **{f"ORDERSYNC_{name}": value})
    assert refused.value.reason == f"ORDERSYNC_{name} is {value!r}; it must be a number of seconds."


def test_the_log_can_be_moved_sized_and_switched_off(tmp_path: Path) -> None:
    moved = load(
        tmp_path,
        ORDERSYNC_LOG_FILE=str(tmp_path / "elsewhere.log"),
        ORDERSYNC_LOG_FORMAT="JSON",
        ORDERSYNC_LOG_LEVEL="debug",
        ORDERSYNC_LOG_BYTES="20000",
        ORDERSYNC_LOG_FILES="2",
    )
    assert moved.log_file == tmp_path / "elsewhere.log"
    assert (moved.log_format, moved.log_level, moved.log_bytes, moved.log_files) == (
        "json",
        "DEBUG",
        20_000,
        2,
    )
    assert load(tmp_path, ORDERSYNC_LOG_FILE="none").log_file is None


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("LOG_FORMAT", "xml", "it must be one of: text, json"),
        ("LOG_LEVEL", "loud", "it must be one of: INFO, DEBUG, WARNING, ERROR"),
        ("LOG_BYTES", "10 MB", "it must be a whole number from 10000 up"),
        ("LOG_BYTES", "9999", "it must be a whole number from 10000 up"),
        ("LOG_FILES", "1", "it must be a whole number from 2 up"),
    ],
)
def test_a_log_setting_that_cannot_be_used_is_named(
    tmp_path: Path, name: str, value: str, complaint: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        load(tmp_path, **{f"ORDERSYNC_{name}": value})
    assert refused.value.reason == f"ORDERSYNC_{name} is {value!r}; {complaint}."


@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_sweep_needs_a_pause_above_zero(tmp_path: Path, value: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        load(tmp_path, ORDERSYNC_SWEEP_SECONDS=value)
    assert refused.value.reason == f"ORDERSYNC_SWEEP_SECONDS ({value} s) must be above zero."


_CHAIN = ("HTTP_TIMEOUT", "SOFT_TIME_LIMIT", "TIME_LIMIT", "LEASE")


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("excess", [0, 1])
def test_each_time_limit_must_be_below_the_next(tmp_path: Path, place: int, excess: int) -> None:
    values = [10, 20, 30, 40]
    values[place] = values[place + 1] + excess
    environment = {f"ORDERSYNC_{name}": str(value) for name, value in zip(_CHAIN, values, strict=True)}
    with pytest.raises(Misconfigured) as refused:
        load(tmp_path, **environment)
    assert refused.value.reason == (
        f"ORDERSYNC_{_CHAIN[place]} ({values[place]} s) must be above zero and below "
        f"ORDERSYNC_{_CHAIN[place + 1]} ({values[place + 1]} s)."
    )


@pytest.mark.parametrize("value", ["0", "-5"])
def test_the_shortest_time_limit_must_be_above_zero(tmp_path: Path, value: str) -> None:
    with pytest.raises(Misconfigured, match=r"ORDERSYNC_HTTP_TIMEOUT \(.*\) must be above zero"):
        load(tmp_path, ORDERSYNC_HTTP_TIMEOUT=value)


def test_limits_in_the_right_order_are_taken(tmp_path: Path) -> None:
    environment = {
        f"ORDERSYNC_{name}": str(number) for name, number in zip(_CHAIN, (0.5, 1, 1.5, 2), strict=True)
    }
    found = load(tmp_path, **environment)
    assert (found.http_timeout, found.soft_time_limit, found.time_limit, found.lease) == (0.5, 1.0, 1.5, 2.0)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg://u:p@h/d"),
        ("postgresql://u:p@h/d?sslmode=require", "postgresql+psycopg://u:p@h/d?sslmode=require"),
        ("mysql://u:p@h/d", "mysql+pymysql://u:p@h/d"),
        ("mariadb://u:p@h/d", "mariadb+pymysql://u:p@h/d"),
        ("postgresql+psycopg://u@h/postgres://x", "postgresql+psycopg://u@h/postgres://x"),
        ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
    ],
)
def test_plain_database_addresses_get_the_driver_that_is_installed(
    tmp_path: Path, given: str, used: str
) -> None:
    found = load(tmp_path, DATABASE_URL=given)
    assert (found.database_url, found.embedded_database) == (used, used.startswith("sqlite"))


SECRETS = ("DATABASE_URL", "REDIS_URL", "ORDERSYNC_FLOWER_AUTH")


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_what_is_secret_may_stand_in_a_file(tmp_path: Path, name: str, ending: str) -> None:
    file = tmp_path / "secret"
    file.write_text(f"a:b {ending}", encoding="utf-8", newline="")
    found = load(tmp_path, **{f"{name}_FILE": str(file)})
    assert (
        dict(zip(SECRETS, (found.database_url, found.redis_url, found.flower_auth), strict=True))[name]
        == "a:b "
    )


@pytest.mark.parametrize("name", SECRETS)
def test_a_value_goes_before_a_file_and_an_empty_name_of_a_file_is_none(tmp_path: Path, name: str) -> None:
    found = load(tmp_path, **{name: "x:y", f"{name}_FILE": str(tmp_path / "none")})
    assert "x:y" in {found.database_url, found.redis_url, found.flower_auth}
    assert load(tmp_path, **{f"{name}_FILE": ""}) == load(tmp_path)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        (None, "which cannot be read (No such file or directory)."),
        (b"\xff\xfe\xff", "which cannot be read (it is no text)."),
        (b"\n", "which is empty."),
    ],
)
def test_a_file_that_holds_no_secret_is_named(
    tmp_path: Path, name: str, contents: bytes | None, expected: str
) -> None:
    file = tmp_path / "secret"
    if contents is not None:
        file.write_bytes(contents)
    with pytest.raises(Misconfigured) as refused:
        load(tmp_path, **{f"{name}_FILE": str(file)})
    assert refused.value.reason == f"{name}_FILE names {file}, {expected}"


@pytest.mark.parametrize("given", ["name", "name:", ":password", ":", "name:größe"])
def test_a_login_of_flowers_that_could_not_be_used_is_refused_without_being_shown(
    tmp_path: Path, given: str
) -> None:
    found = load(tmp_path, ORDERSYNC_FLOWER_AUTH=given)
    with pytest.raises(Misconfigured) as refused:
        found.flower_login()
    assert refused.value.reason == "ORDERSYNC_FLOWER_AUTH must be name:password, of plain ASCII characters."


def test_a_login_of_flowers_may_have_colons_and_blanks_in_its_password(tmp_path: Path) -> None:
    assert load(tmp_path, ORDERSYNC_FLOWER_AUTH="name:a b:c").flower_login() == "name:a b:c"


def test_the_days_after_which_orders_are_archived_can_be_set_and_0_is_never(tmp_path: Path) -> None:
    found = [load(tmp_path, ORDERSYNC_ARCHIVE_DAYS=each).archive_days for each in ("", "30", "0")]
    assert found == [90, 30, 0]


@pytest.mark.parametrize("value", ["-1", "a year", "36501"])
def test_days_that_cannot_be_are_named(tmp_path: Path, value: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        load(tmp_path, ORDERSYNC_ARCHIVE_DAYS=value)
    assert refused.value.reason == (
        f"ORDERSYNC_ARCHIVE_DAYS is {value!r}; it must be a whole number from 0 to 36500."
    )
