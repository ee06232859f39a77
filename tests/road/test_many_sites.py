"""Many sites at once: one that hangs takes nothing from the others."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from app.sync.configure import Asked, add_site
from app.sync.parts import site_named
from tests.road.conftest import Middleware

pytestmark = pytest.mark.slow

HTTP_TIMEOUT = 0.8


class Hanging:
    """A service that accepts every connection and never answers."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._held: list[socket.socket] = []
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._held.append(connection)

    def close(self) -> None:
        self._listener.close()
        for each in self._held:
            each.close()


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    made = Hanging()
    yield made
    made.close()


def add_hanging(middleware: Middleware, url: str, name: str) -> int:
    return add_site(
        middleware.program.parts,
        Asked(
            name=name,
            platform="woocommerce",
            url=f"{url}/{name}",
            allow_private=True,
            credentials={"key": "ck", "secret": "cs"},
            settings={},
        ),
        prefix=name.upper(),
        erp=None,
    )


def test_a_site_that_hangs_does_not_keep_the_others_from_being_read(
    middleware: Middleware, hanging: Hanging
) -> None:
    dead = add_hanging(middleware, hanging.url, "dead")
    store = middleware.program.parts.store
    middleware.start_worker()
    alone = middleware.wait(middleware.start_run())
    begun = time.monotonic()
    runs = [store.open_run(kind="orders", site_id=dead) for _ in range(5)]
    for run_id in runs:
        middleware.workers.send("fetch", site_id=dead, run_id=run_id, site="dead")
    beside = middleware.wait(middleware.start_run())
    took = time.monotonic() - begun
    # Runs of one site wait for their turn without a process of their own: one of four hangs, the others work.
    assert beside.state == alone.state == "finished"
    assert hanging.connections >= 1
    assert took < len(runs) * HTTP_TIMEOUT + 2
    for run_id in runs:
        assert middleware.wait(run_id).state == "failed"


def test_a_site_that_never_answers_is_asked_less_and_less_often_and_no_longer_by_its_schedule(
    middleware: Middleware, hanging: Hanging
) -> None:
    dead = add_hanging(middleware, hanging.url, "dead")
    store = middleware.program.parts.store
    middleware.start_worker()
    pauses: list[float] = []
    for _ in range(4):
        run_id = store.open_run(kind="orders", site_id=dead)
        middleware.workers.send("fetch", site_id=dead, run_id=run_id, site="dead")
        middleware.wait(run_id)
        deadline = time.monotonic() + 10
        while (site := site_named(middleware.program.parts, "dead")).order_last_run is None or (
            site.failures <= len(pauses)
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        pauses.append((site.order_next_run - site.order_last_run).total_seconds())
    assert site_named(middleware.program.parts, "dead").failures == 4
    assert pauses[0] <= 121
    assert pauses[3] == pytest.approx(900, abs=2)
