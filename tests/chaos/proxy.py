"""A TCP proxy on loopback that spoils some of what it carries: late, reset, never answered, cut short.

It is told of each request by the first bytes that the client sends after the server has spoken, and decides once for each.
"""

import asyncio
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

_CHUNK = 65_536
_SILENT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to requests: the share of each mishap (0 to 1), and the seconds of latency that a request has at most.

    `reset`: the connection is reset before the server sees the request; `lost`: after the server has it, in place of the answer;
    `half_open`: the request is taken and never answered, nor shown to the server; `cut`: the answer ends after `cut_after` bytes.
    """

    latency: float = 0.0
    reset: float = 0.0
    lost: float = 0.0
    half_open: float = 0.0
    cut: float = 0.0
    cut_after: int = 200


CALM = Weather()


class Proxy:
    """One listening port before one server. `met` counts the mishaps by their names in `Weather`.

    An answer counts as lost or cut once bytes of it were withheld: one that is shorter than the cut goes through whole.
    """

    def __init__(self, *, host: str, port: int, seed: int) -> None:
        self.weather = CALM
        self.met: Counter[str] = Counter()
        self.port = 0
        self._target = (host, port)
        self._chance = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more and let go of every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            _reset(writer)
        except asyncio.CancelledError:
            return
        finally:
            await _closed(writer)
            self._open.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request by request, until either side ends it or a mishap does."""
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        link = _Link()
        backwards = asyncio.create_task(self._answers(far_reader, writer, link))
        try:
            while data := await reader.read(_CHUNK):
                if link.answered:
                    link.answered = False
                    link.mishap = self._mishap()
                    link.passed, link.cut_after = 0, self.weather.cut_after
                    await asyncio.sleep(self._chance.uniform(0, self.weather.latency))
                if link.mishap == "reset":
                    _reset(writer)
                    return
                if link.mishap == "half_open":
                    await asyncio.sleep(_SILENT_SECONDS)
                    return
                far_writer.write(data)
                await far_writer.drain()
        finally:
            backwards.cancel()
            # Before anything is waited for: the wait may be cancelled.
            far_writer.close()
            await asyncio.gather(backwards, return_exceptions=True)
            await _closed(far_writer)

    async def _answers(
        self, far_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: "_Link"
    ) -> None:
        try:
            while data := await far_reader.read(_CHUNK):
                link.answered = True
                if link.mishap == "lost":
                    self.met["lost"] += 1
                    _reset(writer)
                    break
                left = link.cut_after - link.passed
                if link.mishap == "cut" and len(data) > left:
                    self.met["cut"] += 1
                    writer.write(data[:left])
                    await writer.drain()
                    break
                link.passed += len(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            _reset(writer)
        writer.close()

    def _mishap(self) -> str:
        """What befalls the next request; empty for nothing."""
        drawn = self._chance.random()
        weather = self.weather
        for name in ("reset", "lost", "half_open", "cut"):
            share: float = getattr(weather, name)
            if drawn < share:
                if name in {"reset", "half_open"}:
                    self.met[name] += 1
                return name
            drawn -= share
        return ""


@dataclass(slots=True)
class _Link:
    """What is known of one connection: what befalls the request under way, and whether the server has spoken since it came."""

    mishap: str = ""
    answered: bool = True
    passed: int = 0
    """Bytes of the answer that the client has been sent."""
    cut_after: int = 0


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection and wait until it is: nothing of it may be left when the loop ends."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Let closing this connection reset it."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            return
    writer.transport.abort()


class Proxies:
    """A thread in which proxies run; a context manager whose end stops them all."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self.all: list[Proxy] = []

    def before(self, *, host: str, port: int, seed: int) -> Proxy:
        """A new proxy that listens already."""
        proxy = Proxy(host=host, port=port, seed=seed)
        self._wait_for(proxy.start())
        self.all.append(proxy)
        return proxy

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for proxy in self.all:
            self._wait_for(proxy.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        done: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        done.result(timeout=10)
