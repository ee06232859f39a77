"""Orders for several addresses, where the site takes one order for each: none is missed, and their parts come to the whole."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.bigcommerce.groups import count_of
from app.connectors.bigcommerce.mapping import normalize
from app.connectors.bigcommerce.settings import Settings
from app.domain.balance import computed_total, expected_total
from app.domain.credit import apply_store_credit
from app.domain.order import LineType, Order
from app.domain.reading import Position
from app.errors import Reject, Unknown
from app.ports.sales_channel import Gone, Seen
from tests.connectors.bigcommerce_orders import ADDRESS, body, line, text
from tests.connectors.bigcommerce_store import Shop, one
from tests.domain.profile import REPEATABLE

CENT = Decimal("0.01")
SPLIT = Settings(several_addresses="split")


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.close()


def several(shop: Shop, count: int = 2, **changes: Any) -> str:
    rows = [{"sku": f"SKU-{at}", "quantity": at + 1, "price": "10.00", "address": at} for at in range(count)]
    where = [{"city": f"City {at}", "shipping_cost": f"{at + 1}.00"} for at in range(count)]
    return str(shop.store.add_order({"products": rows, "shipping_addresses": where, **changes}))


def whole_and_parts(raw: str, count: int) -> tuple[Order, list[Order]]:
    """The order as it would be with one address, and each of its parts."""
    loaded = json.loads(raw)
    shipping = loaded["consignments"]["shipping"]
    rows = [row for each in shipping for row in each["line_items"]]
    together = {**loaded["consignments"], "shipping": [{**shipping[0], "line_items": rows}]}
    whole = normalize(json.dumps({**loaded, "consignments": together}), prefix="BGM", settings=Settings())
    parts = [
        normalize(raw if at == 1 else json.dumps({**loaded, "_group": at}), prefix="BGM", settings=SPLIT)
        for at in range(1, count + 1)
    ]
    return whole, parts


def test_each_address_is_an_order_of_its_own_with_its_lines(shop: Shop) -> None:
    order_id = several(shop)
    channel = shop.open(several_addresses="split")
    rows = channel.changed(Position(since=None), page_size=10).rows
    assert [(row.platform_order_id, row.number) for row in rows] == [
        (order_id, order_id),
        (f"{order_id}.2", f"{order_id}-2"),
    ]
    first, second = (channel.normalize(row.body, prefix="BGM") for row in rows)
    assert (first.number, first.platform_order_id) == (f"BGM-{order_id}", order_id)
    assert (second.number, second.platform_order_id) == (f"BGM-{order_id}-2", f"{order_id}.2")
    assert [(order.ship.city, order.skus) for order in (first, second)] == [
        ("City 0", ("SKU-0",)),
        ("City 1", ("SKU-1",)),
    ]
    assert [each.amount for order in (first, second) for each in order.of_type(LineType.SHIPPING)] == [
        Decimal("1.00"),
        Decimal("2.00"),
    ]
    assert first.total + second.total == Decimal(shop.store.order(int(order_id))["total_inc_tax"])


def test_the_parts_are_read_by_their_ids_like_any_order(shop: Shop) -> None:
    order_id = several(shop, 3)
    channel = shop.open(several_addresses="split")
    wanted = [order_id, f"{order_id}.2", f"{order_id}.3", f"{order_id}.4", f"{order_id}.1", f"{order_id}.02"]
    found = channel.read(wanted)
    rows = channel.changed(Position(since=None), page_size=10).rows
    assert [found[each] for each in wanted[:3]] == list(rows)
    assert all(isinstance(found[each], Gone) for each in wanted[3:])
    assert len({row.content_hash for row in rows}) == 3


def test_the_status_changes_with_the_last_address_so_that_no_part_is_missed(shop: Shop) -> None:
    order_id = several(shop, staff_notes="Two parcels")
    channel = shop.open(several_addresses="split")
    second = f"{order_id}.2"
    hashes = [one(channel, each).content_hash for each in (order_id, second)]
    outcome = channel.acknowledge([second])[second]
    assert isinstance(outcome, Seen)
    assert outcome.marked
    assert shop.status(order_id) == 11
    assert [row.marked for row in channel.changed(Position(since=None), page_size=10).rows] == [False, True]
    outcomes = channel.acknowledge([order_id, second])
    assert all(isinstance(each, Seen) and each.marked and each.eligible for each in outcomes.values())
    assert shop.status(order_id) == 9
    assert [each.split("] ")[-1] for each in shop.notes(order_id).splitlines()] == [
        "Two parcels",
        "address 2",
        "address 1",
    ]
    assert [one(channel, each).content_hash for each in (order_id, second)] == hashes


def test_all_parts_of_an_order_are_marked_with_one_update(shop: Shop) -> None:
    order_id = several(shop, 3)
    ids = [order_id, f"{order_id}.2", f"{order_id}.3"]
    channel = shop.open(several_addresses="split")
    shop.calls()
    outcomes = channel.acknowledge(ids)
    assert all(isinstance(each, Seen) and each.marked for each in outcomes.values())
    assert shop.calls()["PUT /v2/orders/{id}"] == 1
    assert shop.notes(order_id).count("Exported to middleware [") == 3
    channel.acknowledge(ids)
    assert shop.calls().get("PUT /v2/orders/{id}", 0) == 0


def test_a_lost_update_of_several_parts_marks_each_once_when_made_again(shop: Shop) -> None:
    order_id = several(shop)
    ids = [order_id, f"{order_id}.2"]
    channel = shop.open(several_addresses="split")
    shop.store.add_fault("reset_after", method="PUT")
    with pytest.raises(Unknown):
        channel.acknowledge(ids)
    outcomes = channel.acknowledge(ids)
    assert all(isinstance(each, Seen) and each.marked for each in outcomes.values())
    assert shop.notes(order_id).count("Exported to middleware [") == 2


def test_a_mark_from_before_the_orders_were_split_counts_for_every_address(shop: Shop) -> None:
    several(shop, staff_notes="Exported to middleware [2026-01-01T00:00:00Z]")
    channel = shop.open(several_addresses="split")
    assert [row.marked for row in channel.changed(Position(since=None), page_size=10).rows] == [True, True]


def test_the_census_counts_each_part(shop: Shop) -> None:
    order_id = several(shop)
    plain = str(shop.store.add_order({}))
    channel = shop.open(several_addresses="split")
    channel.acknowledge([order_id])
    rows = [row for page in channel.census(since=None, until=shop.now) for row in page]
    assert [(row.platform_order_id, row.eligible, row.total is None) for row in rows] == [
        (order_id, True, True),
        (f"{order_id}.2", True, True),
        (plain, True, False),
    ]


def test_parts_that_take_calls_of_their_own_are_completed_too(shop: Shop) -> None:
    order_id = several(shop, payment_method="Credit Card")
    channel = shop.open(several_addresses="split")
    (done,) = channel.complete([one(channel, f"{order_id}.2").body])
    assert isinstance(done, str)
    order = channel.normalize(done, prefix="BGM")
    assert (order.platform_order_id, order.payment.stripe) == (f"{order_id}.2", True)


def test_an_address_that_is_not_there_any_more_is_rejected(shop: Shop) -> None:
    raw = json.dumps({**json.loads(body()), "_group": 3})
    with pytest.raises(Reject) as error:
        normalize(raw, prefix="BGM", settings=SPLIT)
    assert "no address 3" in error.value.reason


def test_an_address_that_nothing_goes_to_is_no_order_and_its_costs_are_the_first_ones() -> None:
    where = [
        {**ADDRESS, "id": n, "cost_ex_tax": cost, "line_items": [line(n)] if n != 2 else []}
        for n, cost in ((1, "1.0000"), (2, "2.0000"), (3, "2.0000"))
    ]
    given = json.loads(body([line(1), line(3)], ship=where))
    assert count_of(given) == 2
    parts = [
        normalize(json.dumps({**given, "_group": group}), prefix="BGM", settings=SPLIT) for group in (1, 2)
    ]
    assert [str(part.of_type(LineType.SHIPPING)[0].amount) for part in parts] == ["3.00", "2.00"]
    with pytest.raises(Reject) as error:
        normalize(json.dumps({**given, "_group": 3}), prefix="BGM", settings=SPLIT)
    assert "no address 3" in error.value.reason


def test_a_part_keeps_the_options_of_its_own_lines() -> None:
    option = {"display_name": "Colour", "display_value": "Red"}
    rows = [line(n, product_options=[option]) for n in (1, 2)]
    where = [{**ADDRESS, "id": at, "line_items": [row]} for at, row in enumerate(rows, start=1)]
    raw = {**json.loads(body(rows, ship=where)), "_group": 2}
    order = normalize(json.dumps(raw), prefix="BGM", settings=SPLIT)
    assert [key for key, _ in order.meta if key.startswith("line")] == ["line 502: Colour"]


def test_an_address_without_a_street_rejects_its_own_part_only() -> None:
    where = [
        {**ADDRESS, "id": n, "line_items": [line(n)], **({"city": ""} if n == 2 else {})} for n in (1, 2)
    ]
    raw = body([line(1), line(2)], ship=where)
    assert normalize(raw, prefix="BGM", settings=SPLIT).ship.city == "Austin"
    with pytest.raises(Reject) as error:
        normalize(json.dumps({**json.loads(raw), "_group": 2}), prefix="BGM", settings=SPLIT)
    assert error.value.kind == "address"


amounts = st.integers(0, 20_000).map(lambda cents: Decimal(cents) / 100)


@REPEATABLE
@given(
    prices=st.tuples(*[st.lists(amounts, min_size=1, max_size=3)] * 3),
    shipping=st.tuples(amounts, amounts, amounts),
    rate=st.sampled_from([Decimal(0), Decimal("0.0825"), Decimal("0.19")]),
    tender=st.tuples(st.integers(0, 50), st.integers(0, 50)),
    inside=st.booleans(),
)
def test_the_parts_of_an_order_always_come_to_the_order(
    prices: tuple[list[Decimal], ...],
    shipping: tuple[Decimal, Decimal, Decimal],
    rate: Decimal,
    tender: tuple[int, int],
    inside: bool,
) -> None:
    rows: list[list[dict[str, Any]]] = [[], [], []]
    total = sum(shipping, Decimal(0))
    tax = Decimal(0)
    each_price = [(price, at) for at, own in enumerate(prices) for price in own]
    for number, (price, at) in enumerate(each_price, start=1):
        its_tax = (price * rate).quantize(CENT)
        rows[at].append(
            line(
                number, total_ex_tax=text(price), total_inc_tax=text(price + its_tax), total_tax=text(its_tax)
            )
        )
        total += price + its_tax
        tax += its_tax
    credit, gift = ((total * share / 100).quantize(CENT) for share in tender)
    where = [
        {**ADDRESS, "id": at + 1, "cost_ex_tax": float(shipping[at]), "line_items": rows[at]}
        for at in range(3)
    ]
    costs = {
        "shipping_cost_ex_tax": text(sum(shipping, Decimal(0))),
        "shipping_cost_inc_tax": text(sum(shipping, Decimal(0))),
        "shipping_cost_tax": "0.0000",
    }
    raw = body(
        [row for each in rows for row in each],
        ship=where,
        total_tax=text(tax),
        total_inc_tax=text(total - credit - gift if inside else total),
        store_credit_amount=text(credit),
        gift_certificate_amount=text(gift),
        **costs,
    )
    whole, parts = whole_and_parts(raw, 3)
    assert sum((part.total for part in parts), Decimal(0)) == whole.total
    for part in parts:
        assert expected_total(part.lines) == part.total >= 0
        assert computed_total(apply_store_credit(part, unit=CENT).lines) == part.total
    for kind in LineType:
        for name in ("amount", "nominal", "credit"):
            of_parts = [getattr(each, name) for part in parts for each in part.of_type(kind)]
            of_whole = [getattr(each, name) for each in whole.of_type(kind)]
            assert sum(of_parts, Decimal(0)) == sum(of_whole, Decimal(0))
