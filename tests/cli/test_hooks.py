"""`site hooks` and `web`, as people and scripts use them."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from app.runtime import free_port
from tests.cli.conftest import ORDERSYNC, CommandLine, Systems, plain_environment, sentence

# About the web server.
pytestmark = pytest.mark.once

BASE = "http://127.0.0.1:9"


@pytest.fixture
def connected(ordersync: CommandLine, systems: Systems) -> CommandLine:
    systems.connect(ordersync)
    return ordersync


def hooks(ordersync: CommandLine, *arguments: str) -> str:
    return sentence(ordersync.good("site", "hooks", *arguments).stderr)


def test_webhooks_are_installed_checked_and_removed_each_with_a_sentence(connected: CommandLine) -> None:
    topics = "order.created, order.deleted, order.restored, order.updated"
    assert hooks(connected, "install", "bgm", "--url", BASE) == (
        f"The webhooks of bgm go to {BASE}/hooks/bgm/...: 4 made ({topics})."
    )
    assert hooks(connected, "install", "bgm", "--url", f"{BASE}/", "--rotate") == (
        f"The webhooks of bgm go to {BASE}/hooks/bgm/...: 4 as before. They are signed with a new secret from now on."
    )
    assert hooks(connected, "check", "bgm") == (
        f"The webhooks of bgm, which go to {BASE}/hooks/bgm/...: 4 as before."
    )
    page = sentence(connected.good("site", "show", "bgm").stdout)
    assert f"webhooks {BASE}/hooks/bgm" in page
    assert "alerts none" in page
    assert hooks(connected, "remove", "bgm", "--yes") == "4 webhooks of bgm removed."
    assert hooks(connected, "remove", "bgm", "--yes") == "The site bgm has no webhooks."


def test_scripts_get_json(connected: CommandLine) -> None:
    topics = ["order.created", "order.updated", "order.deleted", "order.restored"]
    url = f"{BASE}/hooks/bgm"
    assert connected.json("site", "hooks", "install", "bgm", "--url", BASE) == {
        "name": "bgm",
        "url": url,
        "topics": topics,
        "created": sorted(topics),
        "reactivated": [],
        "removed": 0,
    }
    checked = connected.json("site", "hooks", "check", "bgm")
    assert (checked["created"], checked["reactivated"], checked["removed"]) == ([], [], 0)
    shown = connected.json("site", "show", "bgm")
    assert (shown["webhooks"], shown["last_webhook"], shown["alerts"]) == (url, None, [])
    assert connected.json("site", "hooks", "remove", "bgm", "--yes") == {"name": "bgm", "removed": 4}


def test_what_cannot_be_done_is_said_in_one_sentence(connected: CommandLine) -> None:
    assert connected.refused(2, "site", "hooks", "check", "bgm") == (
        "The site bgm has no webhooks yet; `ordersync site hooks install bgm --url BASE` registers them."
    )
    assert connected.refused(2, "site", "hooks", "install", "bgm", "--url", "orders.example.com") == (
        "The address for webhooks must begin with https:// and name a host, such as https://orders.example.com."
    )
    assert connected.refused(2, "site", "hooks", "install", "other", "--url", BASE).startswith(
        "There is no site named 'other'"
    )
    assert connected.refused(2, "site", "hooks", "remove", "bgm").startswith(
        "Removing asks for a confirmation"
    )


def test_no_secret_is_shown_anywhere(connected: CommandLine) -> None:
    connected.good("site", "hooks", "install", "bgm", "--url", BASE)
    for command in (["site", "show", "bgm"], ["site", "list"], ["status"]):
        assert "secret" not in connected.good(*command, "--json").stdout.replace('["key", "secret"]', "")


def started(ordersync: CommandLine, port: int, said: Path) -> "subprocess.Popen[bytes]":
    with said.open("wb") as out:
        process = subprocess.Popen(
            [ORDERSYNC, "web", f"--port={port}"],
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=ordersync.var.parent,
            env={**plain_environment(), **ordersync.environment},
        )
    deadline = time.monotonic() + 30
    while "web_started" not in said.read_text(encoding="utf-8"):
        assert process.poll() is None, said.read_text(encoding="utf-8")
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_web_server_answers_and_ends_in_order_when_it_is_asked(
    ordersync: CommandLine, tmp_path: Path, number: signal.Signals
) -> None:
    port, said = free_port(0), tmp_path / "said.txt"
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    process = started(ordersync, port, said)
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            assert answer.read() == b"ok"
        assert ordersync.process("web", "--check", f"--port={port}").returncode == 0
        taken = ordersync.process("web", f"--port={port}")
        assert taken.returncode == 1
        assert re.search(
            rf"ordersync: The web server cannot listen on 127.0.0.1:{port} \(.*\)\.", taken.stderr
        )
        process.send_signal(number)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
    text = said.read_text(encoding="utf-8")
    assert "web_stopped" in text
    assert "Traceback" not in text
    assert ordersync.process("web", "--check", f"--port={port}").returncode == 1
    assert os.path.exists(ordersync.var / "log" / "order-sync.log")  # noqa: PTH110
