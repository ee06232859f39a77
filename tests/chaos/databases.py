"""The database under the middleware: a real server of the run's own that can be killed and comes back, or a file."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Protocol

import psutil
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from app.errors import Misconfigured, UsageError
from app.runtime import free_port
from app.runtime.tether import start_tethered
from tests.fixtures.mariadb import program_of_mariadb
from tests.fixtures.postgres import _carried_installation, _public_folder, _usable_installation, _user_id

_START_SECONDS = 60.0
NAMES = ("postgresql", "mariadb", "sqlite")


class Database(Protocol):
    """A database for one run. `start` returns when it answers; `kill` and `kill_one` are SIGKILL to all of it and to one connection."""

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def is_up(self) -> bool: ...

    def kill(self) -> bool: ...

    def kill_one(self, number: int) -> bool: ...

    def stop(self) -> None: ...


def new_database(name: str, *, var: Path) -> Database:
    """The database of this name, not yet started. Raises `UsageError` for another name than those of `NAMES`."""
    match name:
        case "postgresql":
            return Postgres()
        case "mariadb":
            return MariaDb()
        case "sqlite":
            return Sqlite(var / "ordersync.db")
    raise UsageError(f"There is no database {name!r}; there are: {', '.join(NAMES)}.")


class Sqlite:
    """A file: there is nothing to kill."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"

    def start(self) -> None:
        """The program makes the file."""

    def is_up(self) -> bool:
        return True

    def kill(self) -> bool:
        return False

    def kill_one(self, number: int) -> bool:
        return False

    def stop(self) -> None:
        """The file goes with its folder."""


class _Server:
    """What both servers have in common: a process, a folder of its own, and an address that stays."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def user(self) -> int | None:
        raise NotImplementedError

    def start(self) -> None:
        """Start it, again and again while what is left of a killed one is in its way, until it answers."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                with (self._folder / "server.log").open("ab") as log:
                    self._process = start_tethered(
                        self.command(),
                        death_signal=signal.SIGKILL,
                        cwd=self._folder,
                        output=log,
                        user_id=self.user(),
                    )
            time.sleep(0.1)
            if self._process.poll() is None and _answers(self.url):
                return
        raise Misconfigured(f"The database did not start; see {self._folder / 'server.log'}.")

    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> bool:
        if self._process is None or not self.is_up():
            return False
        self._process.kill()
        self._process.wait()
        return True

    def kill_one(self, number: int) -> bool:
        return False

    def stop(self) -> None:
        if self._process is not None and self.is_up():
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


class Postgres(_Server):
    """The server that the wheel brings; a kill of the process does it no harm without fsync either."""

    def __init__(self) -> None:
        self._port = free_port(0)
        base = _public_folder()
        super().__init__(base, f"postgresql+psycopg://postgres@127.0.0.1:{self._port}/postgres")
        user = _user_id()
        self._binaries = _usable_installation(_carried_installation(), base=base, user=user) / "bin"
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [str(self._binaries / "initdb"), "-D", str(base / "data"), *options],
            check=True,
            capture_output=True,
            cwd=base,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )

    def user(self) -> int | None:
        return _user_id()

    def command(self) -> list[str]:
        settings = ("listen_addresses=127.0.0.1", "fsync=off", "full_page_writes=off", "max_connections=60")
        arguments = [argument for each in settings for argument in ("-c", each)]
        place = ["-D", str(self._folder / "data"), "-p", str(self._port), "-k", str(self._folder)]
        return [str(self._binaries / "postgres"), *place, *arguments]

    def kill_one(self, number: int) -> bool:
        """SIGKILL the process of one client, upon which the server throws all clients out and recovers."""
        if self._process is None or not self.is_up():
            return False
        serving = [each for each in psutil.Process(self._process.pid).children() if _serves_a_client(each)]
        if not serving:
            return False
        try:
            serving[number % len(serving)].kill()
        except psutil.NoSuchProcess:
            return False
        return True


def _serves_a_client(process: psutil.Process) -> bool:
    try:
        return "127.0.0.1" in " ".join(process.cmdline())
    except psutil.Error:
        return False


class MariaDb(_Server):
    """Debian's server with its own settings for durability."""

    def __init__(self) -> None:
        self._program, installer = program_of_mariadb("mariadbd"), program_of_mariadb("mariadb-install-db")
        self._port = free_port(0)
        self._password = secrets.token_hex(8)
        folder = Path(tempfile.mkdtemp(prefix="ordersync-mdb-", dir="/tmp"))
        login = f"root:{self._password}"
        super().__init__(
            folder, f"mariadb+pymysql://{login}@127.0.0.1:{self._port}/ordersync?charset=utf8mb4"
        )
        user = self.user()
        if user is not None:
            os.chown(folder, user, user)
        as_whom = [] if user is None else ["--user=mysql"]
        subprocess.run(
            [
                *(installer, *as_whom, f"--datadir={folder / 'data'}", "--skip-test-db"),
                "--auth-root-authentication-method=normal",
            ],
            check=True,
            capture_output=True,
        )
        begin = (
            "CREATE DATABASE IF NOT EXISTS ordersync CHARACTER SET utf8mb4;\n"
            f"ALTER USER root@localhost IDENTIFIED BY '{self._password}';\n"
            f"CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY '{self._password}';\n"
            "GRANT ALL ON *.* TO root@'127.0.0.1';\n"
        )
        (folder / "begin.sql").write_text(begin, encoding="utf-8")
        if user is not None:
            os.chown(folder / "begin.sql", user, user)

    def user(self) -> int | None:
        return pwd.getpwnam("mysql").pw_uid if os.geteuid() == 0 else None

    def command(self) -> list[str]:
        folder = self._folder
        return [
            *(self._program, "--no-defaults", f"--datadir={folder / 'data'}"),
            *(f"--port={self._port}", "--bind-address=127.0.0.1", f"--socket={folder / 's.sock'}"),
            *("--skip-name-resolve", f"--init-file={folder / 'begin.sql'}"),
        ]


def _answers(url: str) -> bool:
    engine = create_engine(url, connect_args={"connect_timeout": 2})
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    finally:
        engine.dispose()
    return True
