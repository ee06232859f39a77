"""What the use-cases tell the log: kinds, ids and counts, once for each thing that a person is needed for."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.domain.road import Stage
from app.ports.store import Failed
from app.sync import pipeline
from app.sync.telling import tell_rejected
from tests.pipeline.test_maintenance import OPENS
from tests.pipeline.world import MakeWorld, World, plain_order

# About the log.
pytestmark = pytest.mark.once


def logged(act: Callable[[], object], *events: str) -> list[dict[str, Any]]:
    """The lines with these events that are logged meanwhile."""
    with capture_logs() as lines:
        act()
    return [dict(line) for line in lines if line["event"] in events]


def test_wrong_credentials_are_an_error_once_and_again_only_after_they_were_right(
    make_world: MakeWorld,
) -> None:
    world = make_world(orders=[plain_order(341)])
    right = world.shop.keyring

    def levels(run: Callable[[], object]) -> list[tuple[str, str]]:
        return [(line["log_level"], line["site"]) for line in logged(run, "site_paused")]

    def scheduled() -> None:
        world.clock.advance(3_600)
        pipeline.fetch(world.parts, site_id=world.site_id, ring=world.road.ring)

    world.shop.keyring = type(right)([])
    assert levels(world.run) == [("error", "bgm")]
    assert levels(world.run) == [("warning", "bgm")]
    assert levels(scheduled) == [("warning", "bgm")]
    world.shop.keyring = right
    assert levels(world.run) == []
    world.shop.keyring = type(right)([])
    assert levels(world.run) == [("error", "bgm")]


def test_an_erp_that_refuses_its_client_is_an_error_once_for_all_orders(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(621), plain_order(622)])
    world.erp._client = (world.erp._client[0], "another secret")
    world.erp.revoke_tokens()
    bells = world.fetch()
    world.walk(bells, last=Stage.NORMALIZE)
    (paused,) = logged(
        lambda: world.walk(bells, first=Stage.VERIFY_SKUS, last=Stage.VERIFY_SKUS), "erp_paused"
    )
    assert paused == {"event": "erp_paused", "log_level": "error", "erp": "bc", "see": "ordersync status"}
    again = logged(world.sync_items, "erp_paused", "items_synced")
    assert [(line["event"], line["log_level"]) for line in again] == [
        ("erp_paused", "warning"),
        ("items_synced", "warning"),
    ]


def _paused(world: World) -> None:
    world.clock.move_to(OPENS + timedelta(minutes=5))


def _failing(world: World) -> None:
    world.shop_fault("500_php_fatal", times=5)


@pytest.mark.parametrize(
    ("prepare", "state", "fetched"),
    [(_paused, "paused", 0), (_failing, "failed", 0), (lambda _: None, "finished", 2)],
)
def test_a_run_ends_with_one_summary_however_it_ends(
    make_world: MakeWorld, prepare: Callable[[World], None], state: str, fetched: int
) -> None:
    world = make_world(
        orders=[plain_order(701), plain_order(702)], at=OPENS - timedelta(hours=1), frozen=True
    )
    prepare(world)
    (summary,) = logged(world.run, "Summary")
    assert (summary["site"], summary["state"], summary["fetched"]) == ("bgm", state, fetched)
    assert summary["log_level"] == "info"
    assert {"run", "seconds", "written", "acknowledged", "exported", "held", "rejected"} <= summary.keys()


def test_a_rejected_order_is_told_by_number_and_kind_and_a_crashing_one_is_an_error() -> None:
    refused = Failed(id=1, reason="Zoë is blocked.", kind="customer", field="/bill/email")
    crashing = Failed(id=2, reason="Its processing was cut off 6 times.", kind="crash")

    def tell() -> None:
        told = tell_rejected(Stage.NORMALIZE, [refused, crashing], numbers={1: "BGM-1", 2: "BGM-2"})
        assert told == 2

    first, second = logged(tell, "order_rejected")
    assert first == {
        "event": "order_rejected",
        "log_level": "info",
        "order": "BGM-1",
        "link": "normalize",
        "kind": "customer",
        "field": "/bill/email",
    }
    assert (second["log_level"], second["order"], second["kind"]) == ("error", "BGM-2", "crash")


def test_a_step_tells_how_many_passed_wait_and_failed(make_world: MakeWorld) -> None:
    world = make_world(orders=[plain_order(801), plain_order(802) | {"line_items": []}])
    bells = world.fetch()
    (step,) = logged(lambda: world.walk(bells, last=Stage.NORMALIZE), "step")
    assert (step["link"], step["claimed"], step["passed"], step["waiting"], step["failed"]) == (
        *("normalize", 2, 1),
        *(0, 1),
    )
