"""Answers and deliveries without a bound: refused soon, with no more memory than the bound."""

import contextlib
import gzip
import io
import os
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from app.runtime import free_port
from tests.cli.conftest import plain_environment
from tests.transport.peers import Connection, peer

ROOT = Path(__file__).parents[2]
MEGABYTE = 1024 * 1024
_ROOM = 60 * MEGABYTE
"""What reading may take beside the body itself: buffers, and the copy that is handed on."""

_READER = """
import sys, time
from app.transport import HttpClient, NoAnswer
client = HttpClient(account="bgm", base_url=sys.argv[1], timeout=30, allow_private=True, max_body=int(sys.argv[2]))
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
before, began = peak(), time.monotonic()
try:
    client.request("GET", "/orders")
except NoAnswer as error:
    print(peak() - before, time.monotonic() - began, error, sep="|", file=sys.stderr)
"""


def packed(megabytes: int) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as file:
        for _ in range(megabytes):
            file.write(b"0" * MEGABYTE)
    return out.getvalue()


def endless(call: Connection) -> None:
    call.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not call.peer.ended.is_set():
        try:
            call.raw(b"10000\r\n" + b" " * 65_536 + b"\r\n")
        except OSError:
            return


def gigabyte_of_gzip() -> Callable[[Connection], None]:
    body = packed(1024)
    assert len(body) < 2 * MEGABYTE
    return lambda call: call.reply(body, Content_Encoding="gzip")


def gigabyte_packed_twice() -> Callable[[Connection], None]:
    body = gzip.compress(packed(1024), 9)
    return lambda call: call.reply(body, Content_Encoding="gzip, gzip")


def deflated() -> Callable[[Connection], None]:
    body = zlib.compress(b"0" * (256 * MEGABYTE), 9)
    return lambda call: call.reply(body, Content_Encoding="deflate")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("_case", "made"),
    [
        ("1 MB that becomes 1 GB", gigabyte_of_gzip),
        ("2 kB that become 1 GB", gigabyte_packed_twice),
        ("a quarter of a megabyte that becomes 256 MB", deflated),
        ("100 MB", lambda: lambda call: call.reply(b" " * 100_000_000)),
        ("without an end", lambda: endless),
    ],
)
def test_an_answer_that_is_too_large_costs_no_more_memory_than_the_bound(
    _case: str, made: Callable[[], Callable[[Connection], None]]
) -> None:
    bound = 64 * MEGABYTE
    with peer(made()) as shop:
        done = subprocess.run(
            [sys.executable, "-c", _READER, shop.url, str(bound)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=ROOT,
        )
    grown, seconds, said = done.stderr.splitlines()[-1].split("|")
    assert said == f"the answer is larger than {bound} bytes"
    assert int(grown) < bound + _ROOM
    assert float(seconds) < 20


@pytest.mark.slow
@pytest.mark.parametrize("framing", ["with its length", "in chunks", "with a length that is not true"])
def test_a_delivery_of_a_hundred_megabytes_is_refused_and_the_server_stays_as_small_as_it_was(
    tmp_path: Path, framing: str
) -> None:
    port = free_port(0)
    environment = {
        **plain_environment(),
        "ORDERSYNC_VAR": str(tmp_path / "var"),
        "ORDERSYNC_ENV_FILE": os.devnull,
    }
    command = [sys.executable, "-m", "app.cli", "web", f"--port={port}"]
    with subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            _until_it_listens(port)
            process = psutil.Process(server.pid)
            before = process.memory_info().rss
            highest = [before]
            over = threading.Event()

            def watch() -> None:
                while not over.wait(0.02):
                    highest.append(process.memory_info().rss)

            watching = threading.Thread(target=watch)
            watching.start()
            answer = _send(port, framing=framing)
            over.set()
            watching.join()
            # Where less was announced, that much is a delivery that nobody signed.
            refusals = [b"401"] if "not true" in framing else [b"413"]
            assert answer.split(b" ")[1:2] in (refusals, []), answer[:100]
            assert max(highest) - before < 20 * MEGABYTE
            assert _status(port, b"GET /healthz HTTP/1.1\r\nHost: us\r\nConnection: close\r\n\r\n") == b"200"
        finally:
            server.terminate()
            server.wait(20)


def _until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("it does not listen")


def _send(port: int, *, framing: str) -> bytes:
    """A hundred megabytes, or as many as are taken; gives the answer, which is nothing where the connection was cut."""
    head = b"POST /hooks/bgm/order-updated HTTP/1.1\r\nHost: us\r\nContent-Type: application/json\r\n"
    size, block = 100 * MEGABYTE, b"x" * MEGABYTE
    length = 1000 if framing == "with a length that is not true" else size
    chunked = framing == "in chunks"
    head += b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % length
    received = b""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(head)
            for _ in range(size // MEGABYTE):
                connection.sendall(b"100000\r\n" + block + b"\r\n" if chunked else block)
            if chunked:
                connection.sendall(b"0\r\n\r\n")
        with contextlib.suppress(OSError):
            received = connection.recv(4096)
    return received


def _status(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(request)
        return connection.recv(4096).split(b" ")[1]
