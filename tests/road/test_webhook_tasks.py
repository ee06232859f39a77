"""What a real worker does about webhooks: it reads what the sweeper rings for, and looks after them once a day."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from app.ports.deliveries import AlertKind
from app.ports.hooks import Delivery
from app.sync import hook_setup
from tests.road.conftest import Middleware

pytestmark = pytest.mark.slow


def until(
    middleware: Middleware, seen: Callable[[], object], *, rings: str = "", seconds: float = 60
) -> None:
    """Wait for it, with beat's sweeper or tick rung from here."""
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline
        if rings:
            middleware.workers.send(rings)
        time.sleep(0.3)


def test_a_delivery_that_nobody_was_rung_for_is_read_by_a_real_worker_after_a_sweep(
    middleware: Middleware,
) -> None:
    (order_id,) = middleware.shop.generate(1, 2, ["WID-001"])
    store = middleware.program.parts.store
    assert store.take_delivery(middleware.site_id, Delivery("d1", "order.created", str(order_id)))
    middleware.start_worker()
    until(middleware, middleware.documents, rings="sweep")
    (document,) = middleware.documents()
    assert document["externalDocumentNumber"] == f"BGM-{order_id}"
    assert store.due_deliveries(rung_before=0) == ()


def test_the_daily_tasks_bring_back_a_disabled_webhook_and_forget_old_deliveries(
    middleware: Middleware,
) -> None:
    parts = middleware.program.parts
    parts.store.take_delivery(middleware.site_id, Delivery("d1", "order.created", ""))
    with middleware.program.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rm_delivery SET received_at = '2026-01-01 00:00:00'")
    hook_setup.install(parts, "bgm", base_url="http://127.0.0.1:9")
    for webhook in middleware.shop.webhooks.all():
        webhook.status = "disabled"
    parts.store.check_hooks_at(middleware.site_id, parts.store.now() - timedelta(seconds=1))
    middleware.start_worker()
    until(
        middleware,
        lambda: {each.status for each in middleware.shop.webhooks.all()} == {"active"},
        rings="tick",
    )
    until(middleware, parts.store.open_alerts)
    assert [each.kind for each in parts.store.open_alerts()] == [AlertKind.WEBHOOK_DISABLED]
    middleware.workers.send("drop_deliveries")
    until(middleware, lambda: parts.store.last_delivery(middleware.site_id) is None)
