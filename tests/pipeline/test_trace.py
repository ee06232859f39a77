"""An order's life as a timeline, on the screen and for scripts."""

import json
from datetime import datetime
from itertools import pairwise

import pytest

from app.errors import Misconfigured
from app.sync.configure import Asked, add_site
from app.sync.fetch import fetch
from app.sync.trace import duration, trace
from tests.pipeline.commands import command, good, printed_json
from tests.pipeline.world import MakeWorld, World, kit_order, plain_order


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    made = make_world(orders=[plain_order(1001), plain_order(1002, total="1.00"), kit_order(1003)])
    made.run()
    return made


def happened(world: World, key: str) -> list[tuple[str, str]]:
    return [(each.stage, each.what) for each in trace(world.parts, key).moments]


def test_the_life_of_an_order_that_went_through(world: World) -> None:
    (document,) = [each for each in world.documents() if each["externalDocumentNumber"] == "BGM-1001"]
    total = f"total {document['totalAmountIncludingTax']}, customer {document['customerNumber']}"
    assert happened(world, "BGM-1001") == [
        ("fetch", "read from the shop, version 1"),
        ("normalize", "read into our own form"),
        ("verify_skus", "all its SKUs are known"),
        ("expand_kits", "its kits were expanded"),
        ("apply_store_credit", "its store credit was spread over its lines"),
        ("write", "stored; the platform and the ERP are still to be told"),
        ("acknowledge", "marked in the shop as taken over"),
        ("export", "sent to the ERP"),
        ("export", f"the ERP holds it as document {document['number']}, {total}"),
    ]


def test_a_refusal_and_its_end_are_told_with_the_reason(world: World) -> None:
    told = happened(world, "BGM-1002")
    (refused,) = [what for stage, what in told if what.startswith("needs a person (balance): ")]
    assert "1.00" in refused
    assert any(what.startswith("error ") and "opened (balance" in what for _, what in told)
    world.clock.advance(3600)
    world.place(world.shop.order(1002) | {"total": "19.99"})
    world.run()
    told = happened(world, "1002")
    assert ("fetch", "changed in the shop: version 2 runs from the start") in told
    assert any("resolved: a new version arrived" in what for _, what in told)
    assert told[-1][1].startswith("the ERP holds it as document ")


def test_an_amendment_is_told_and_that_it_waits(world: World) -> None:
    world.clock.advance(3600)
    world.place(world.shop.order(1001) | {"customer_note": "Ring twice."})
    world.run()
    life = trace(world.parts, "BGM-1001")
    assert life.moments[-1].what == (
        "changed in the shop after it was sent: version 2 is kept and was sent nowhere"
    )
    assert life.moments[-1].after is not None
    assert life.moments[-1].after > 3000
    assert [each.version for each in life.history.received] == [1, 2]
    assert "Version 2 came after it was sent" in next(life.notes())


def test_each_line_says_when_by_whom_and_how_long_after(world: World) -> None:
    moments = trace(world.parts, "BGM-1001").moments
    assert moments[0].after is None
    for before, each in pairwise(moments):
        assert each.after == (each.at - before.at).total_seconds()
    assert {each.by for each in moments} == {"worker"}
    assert [each.number for each in moments] == list(range(1, 10))


def test_the_page_of_the_terminal(world: World) -> None:
    page = good(world, "trace", "BGM-1001")
    assert page.startswith("BGM-1001, bgm: done at deliver\n")
    for words in ("read from the shop, version 1", "sent to the ERP", "worker", "processing"):
        assert words in page
    assert '"order_key"' not in page


def test_in_full_the_raw_body_is_shown_with_its_numbers_as_they_came(world: World) -> None:
    page = good(world, "trace", "BGM-1001", "--full")
    assert "Version 1, as received" in page
    assert '"order_key": "wc_order_1001"' in page
    assert '"email": "buyer1001@example.test"' in page


def test_in_full_what_was_sent_to_the_erp_is_shown_with_its_answer(world: World) -> None:
    (sent,) = [each for each in trace(world.parts, "BGM-1001").moments if each.sent]
    assert sent.event == "exported"
    page = good(world, "trace", "BGM-1001", "--full")
    assert ": sent\n" in page
    assert ": answered\n" in page
    assert '"externalDocumentNumber": "BGM-1001"' in page


def test_json_has_everything(world: World) -> None:
    found = printed_json(world, "trace", "1001")
    assert (found["order"], found["site"], found["state"]) == ("BGM-1001", "bgm", "done")
    assert [each["event"] for each in found["timeline"]][-2:] == ["sending", "exported"]
    assert json.loads(found["versions"][0]["body"])["id"] == 1001
    assert datetime.fromisoformat(found["timeline"][0]["at"]).tzinfo is not None
    assert found["errors"] == found["repairs"] == []
    assert [each["kind"] for each in printed_json(world, "trace", "BGM-1002")["errors"]] == ["balance"]


def test_an_unknown_order_is_one_sentence(world: World) -> None:
    result = command(world, "trace", "BGM-7")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "ordersync: There is no order 'BGM-7'.\n"


def test_an_id_of_two_sites_orders_is_asked_back(world: World) -> None:
    other = add_site(
        world.parts,
        Asked(
            name="second",
            platform="woocommerce",
            url=world.shop_url.replace("127.0.0.1", "localhost"),
            allow_private=True,
            credentials={"key": "ck_sandbox", "secret": "cs_sandbox"},
            # The shop's orders carry our mark by now.
            settings={"min_order_date": "2020-01-01"},
        ),
        prefix="SEC",
        erp="bc",
    )
    run_id = world.parts.store.open_run(kind="orders", site_id=other)
    world.place(plain_order(1001))
    fetch(world.parts, site_id=other, run_id=run_id, ring=world.road.ring)
    assert len(world.rows("SELECT id FROM rm_thread WHERE platform_order_id = '1001'")) == 2
    with pytest.raises(Misconfigured) as refused:
        trace(world.parts, "1001")
    assert refused.value.reason == (
        "1001 is an order of several sites: SEC-1001 (second), BGM-1001 (bgm). Give the order number."
    )
    assert trace(world.parts, "BGM-1001").history.trail.site == "bgm"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0.0, "+0.0 s"),
        (59.0, "+59.0 s"),
        (120.0, "+2 min"),
        (7200.0, "+2.0 h"),
        (864_000.0, "+10 days"),
    ],
)
def test_durations_are_shown_in_the_unit_that_fits(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown
