"""Procfile, docker-compose.yml, Dockerfile and .env.example say what `ordersync up` does, and give nothing away."""

import os
import re
import shlex
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.celery_door import beat_command, flower_command, web_command, worker_command
from app.secrets import decrypt, encrypt, load_key
from app.settings import load_settings

ROOT = Path(__file__).parents[2]
OURS = ("worker", "beat", "web", "flower")
ONCE = "migrate"
SECRETS = (
    "postgres_password",
    "database_url",
    "valkey_password",
    "redis_url",
    "valkey_users",
    "ordersync_secret_key",
    "flower_auth",
)


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def procfile() -> dict[str, str]:
    text = (ROOT / "Procfile").read_text(encoding="utf-8")
    return dict(line.split(": ", 1) for line in text.splitlines())


def in_a_container(command: list[str]) -> list[str]:
    return ["python", *command[1:]]


def by_its_name(command: list[str]) -> list[str]:
    """`python -m app.cli ...` as people type it."""
    return ["ordersync", *command[3:]]


def test_procfile_compose_and_up_run_the_same_commands(compose: Any, procfile: dict[str, str]) -> None:
    assert {name: each["command"] for name, each in compose["services"].items() if "build" in each} == {
        ONCE: ["ordersync", "migrate"],
        "worker": in_a_container(worker_command()),
        "beat": in_a_container(beat_command()),
        "web": by_its_name(web_command(address="0.0.0.0")),
        # All of the container's addresses; whom they are open to is decided by the ports that are published.
        "flower": in_a_container(flower_command(address="0.0.0.0")),
    }
    lines = {name: re.sub(r"\$\{PORT:-(\d+)\}", r"\1", line) for name, line in procfile.items()}
    assert {name: shlex.split(line) for name, line in lines.items()} == {
        "release": ["ordersync", "migrate"],
        "worker": in_a_container(worker_command()),
        "beat": in_a_container(beat_command()),
        "flower": in_a_container(flower_command()),
        # Whoever runs a Procfile stands before it and hands on what comes from outside.
        "web": by_its_name(web_command(address="0.0.0.0")),
    }


def test_every_service_restarts_and_every_one_that_stays_has_a_health_check(compose: Any) -> None:
    services = dict(compose["services"])
    assert set(services) == {"postgres", "valkey", ONCE, *OURS}
    assert services.pop(ONCE)["restart"] == "on-failure"
    for name, service in services.items():
        assert service["restart"] == "always", name
        check = service["healthcheck"]
        assert check["test"][0] == ("CMD-SHELL" if name == "valkey" else "CMD"), name
        assert {"interval", "timeout", "retries"} <= set(check), name
    assert services["worker"]["healthcheck"]["test"][1:] == ["ordersync", "doctor", "worker", "--here"]
    assert services["beat"]["healthcheck"]["test"][1:] == ["ordersync", "doctor", "beat", "--here"]
    assert services["web"]["healthcheck"]["test"][1:] == ["ordersync", "web", "--check"]


def test_there_are_two_beats(compose: Any) -> None:
    assert compose["services"]["beat"]["deploy"]["replicas"] == 2


def test_the_broker_keeps_its_messages_and_refuses_new_ones_when_it_is_full(compose: Any) -> None:
    command = compose["services"]["valkey"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    users = options.pop("--aclfile")
    assert options == {"--appendonly": "yes", "--save": "", "--maxmemory-policy": "noeviction"}
    assert users == "/run/secrets/valkey_users"
    assert compose["services"]["valkey"]["volumes"] == ["valkey:/data"]


def test_a_stopped_worker_has_time_for_its_tasks(compose: Any) -> None:
    minutes = int(compose["services"]["worker"]["stop_grace_period"].removesuffix("m"))
    assert minutes * 60 > load_settings({}, dotenv=Path(os.devnull)).soft_time_limit


def test_nothing_but_flower_and_web_is_published_and_that_to_this_machine_only(compose: Any) -> None:
    published = {name: each["ports"] for name, each in compose["services"].items() if "ports" in each}
    assert published == {"flower": ["127.0.0.1:5555:5555"], "web": ["127.0.0.1:8080:8080"]}
    assert not [name for name, each in compose["services"].items() if "network_mode" in each]


def test_secrets_are_files_and_stand_in_no_environment(compose: Any) -> None:
    handed = [name for name in SECRETS if name != "valkey_password"]
    assert compose["secrets"] == {name: {"file": f"./secrets/{name}"} for name in handed}
    given = {name: set(each.get("secrets", ())) for name, each in compose["services"].items()}
    of_ours = {"database_url", "redis_url", "ordersync_secret_key"}
    assert given == {
        "postgres": {"postgres_password"},
        "valkey": {"valkey_users"},
        ONCE: of_ours,
        "worker": of_ours,
        "beat": of_ours,
        "web": of_ours,
        "flower": {"redis_url", "flower_auth"},
    }
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            where = f"{name}: {variable}={value}"
            if variable.endswith("_FILE") and value != "none":
                assert value.removeprefix("/run/secrets/") in given[name], where
            else:
                assert not re.search("PASSWORD|SECRET|AUTH|DATABASE_URL", variable), where
                assert "@" not in str(value), where
    assert "/secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_what_compose_sets_is_what_the_program_reads(compose: Any) -> None:
    for name in (ONCE, *OURS):
        for variable in compose["services"][name]["environment"]:
            assert variable in documented(), f"{name}: {variable}"


def documented() -> set[str]:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return set(re.findall(r"^#([A-Z_]+)=", text, flags=re.MULTILINE))


def test_every_setting_is_documented() -> None:
    source = (ROOT / "app" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'"((?:ORDERSYNC_[A-Z_]+|DATABASE_URL|REDIS_URL))"', source))
    files = {f"{name}_FILE" for name in re.findall(r'_secret\(values, "([A-Z_]+)"\)', source)}
    assert files == {"DATABASE_URL_FILE", "REDIS_URL_FILE", "ORDERSYNC_FLOWER_AUTH_FILE"}
    assert read
    assert (read | files) - documented() == set()


def test_the_image_is_not_root_and_holds_no_secret(compose: Any) -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if re.match("[A-Z]+ ", line)]
    kinds = [kind for kind, _ in steps]
    assert [what for kind, what in steps if kind == "USER"] == ["ordersync"]
    assert kinds.index("USER") < kinds.index("CMD")
    assert "ARG" not in kinds
    copied = [what.split()[:-1] for kind, what in steps if kind == "COPY"]
    assert copied == [["pyproject.toml", "constraints.txt"], ["app"], ["tasks"], ["workers"]]
    # The libraries' layer stands before the code's.
    installs = [
        index for index, (kind, what) in enumerate(steps) if kind == "RUN" and "libraries.txt" in what
    ]
    assert installs[0] < kinds.index("COPY", kinds.index("COPY") + 1)
    let_in = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert [line for line in let_in if line.startswith("!")] == [
        "!app",
        "!tasks",
        "!workers",
        "!pyproject.toml",
        "!constraints.txt",
    ]
    for name in (ONCE, *OURS):
        assert compose["services"][name]["build"] == "."
        assert "user" not in compose["services"][name]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which the script may make its files."""
    (tmp_path / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / "make_secrets.sh", tmp_path / "deploy")
    return tmp_path


def make_secrets(checkout: Path) -> dict[str, str]:
    done = subprocess.run(
        ["deploy/make_secrets.sh"], cwd=checkout, capture_output=True, text=True, check=True, timeout=30
    )
    found = {path.name: path.read_text(encoding="utf-8") for path in (checkout / "secrets").iterdir()}
    assert not [text for text in found.values() if text.strip() in done.stdout + done.stderr]
    return found


def test_the_secrets_that_are_made_can_be_used_and_are_their_owners_alone(checkout: Path) -> None:
    made = make_secrets(checkout)
    assert set(made) == set(SECRETS)
    folder = checkout / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    # Other users read them within the containers, to which compose shows the files with the mode they have here.
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o444}
    settings = load_settings(
        {
            "DATABASE_URL_FILE": str(folder / "database_url"),
            "REDIS_URL_FILE": str(folder / "redis_url"),
            "ORDERSYNC_FLOWER_AUTH_FILE": str(folder / "flower_auth"),
        },
        dotenv=Path(os.devnull),
    )
    password = made["postgres_password"].strip()
    assert len(password) == 32
    assert settings.database_url == f"postgresql+psycopg://ordersync:{password}@postgres/ordersync"
    of_broker = made["valkey_password"].strip()
    assert settings.redis_url == f"redis://ordersync:{of_broker}@valkey:6379/0"
    assert made["valkey_users"].splitlines() == [
        "user default off",
        f"user ordersync on >{of_broker} ~* &* +@all -@dangerous -@admin +info",
    ]
    assert settings.flower_login().startswith("ordersync:")
    key = load_key(given=None, file=folder / "ordersync_secret_key")
    assert decrypt(key, encrypt(key, {"a": "b"}), name="bgm") == {"a": "b"}


def test_secrets_that_are_there_are_left_as_they_are(checkout: Path) -> None:
    (checkout / "secrets").mkdir()
    (checkout / "secrets" / "postgres_password").write_text("mine\n", encoding="utf-8")
    made = make_secrets(checkout)
    assert made["postgres_password"] == "mine\n"
    assert made["database_url"] == "postgresql://ordersync:mine@postgres/ordersync\n"
    assert make_secrets(checkout) == made
