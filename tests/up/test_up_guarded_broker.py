"""`ordersync up` on a broker with a password, with a user of limited rights, and with TLS."""

import pytest

from tests.fixtures.guarded_broker import PASSWORD, PASSWORD_IN_URL, GuardedBroker
from tests.up.conftest import LOGIN, Installation, until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("up")]


def test_a_whole_run_goes_through_it_with_worker_beat_and_flower(
    installation: Installation, guarded_broker: GuardedBroker
) -> None:
    installation.ordersync.environment["REDIS_URL"] = guarded_broker.url
    up = installation.up()
    installation.sync(orders=2)
    assert until(lambda: up.tasks("fetch"), f"Flower knows the run's tasks: {up.output()}")
    status, body = up.get("/broker")
    assert (status, b"orders" in body) == (200, True)
    for check in ("broker", "worker", "beat"):
        installation.ordersync.good("doctor", check)
    found = installation.ordersync.json("limits")
    assert found["shared"] is True
    used = {each["account"]: each["used"] for each in found["accounts"]}
    assert all(used.values()), used
    said = up.output() + "".join(
        log.read_text(errors="replace") for log in installation.ordersync.var.rglob("*.log")
    )
    assert PASSWORD not in said
    assert PASSWORD_IN_URL not in said
    assert LOGIN not in said
