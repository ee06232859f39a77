"""Where amounts come from, on every recorded WooCommerce order and on what the BigCommerce sandbox can make of one."""

import json
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from app.connectors import bigcommerce, woocommerce
from app.connectors.bigcommerce import figures as store_figures
from app.connectors.bigcommerce import mapping as store_mapping
from app.connectors.woocommerce import figures as shop_figures
from app.connectors.woocommerce import mapping as shop_mapping
from app.domain.order import LineType, Order
from app.errors import Reject
from app.ports.sales_channel import Figure, Makes, SalesChannel
from app.sandbox.shop import recorded_orders
from tests.connectors.bigcommerce_orders import ADDRESS, body, discount, line
from tests.connectors.test_bigcommerce_contract import VARIANTS, StorePlatform
from tests.contracts.sales_channel import check_figures

FOLDER = Path(__file__).parents[1] / "payloads" / "woocommerce" / "orders"


@dataclass
class Pure:
    """A sales channel without its platform."""

    mapping: Any
    figuring: Any
    settings: Any

    def normalize(self, body: str, *, prefix: str) -> Order:
        return cast("Order", self.mapping.normalize(body, prefix=prefix, settings=self.settings))

    def figures(self, body: str, *, prefix: str) -> tuple[Figure, ...]:
        found = self.figuring.figures(body, prefix=prefix, settings=self.settings)
        return cast("tuple[Figure, ...]", found)


def shop(**settings: Any) -> SalesChannel:
    chosen = woocommerce.settings.Settings(**settings)
    return cast("SalesChannel", Pure(shop_mapping, shop_figures, chosen))


def store(**settings: Any) -> SalesChannel:
    chosen = bigcommerce.settings.Settings(**settings)
    return cast("SalesChannel", Pure(store_mapping, store_figures, chosen))


def said(channel: SalesChannel, given: str, makes: Makes, *, position: int | None) -> list[tuple[str, str]]:
    """Pointer (or name) and value of the figures of one amount."""
    found = channel.figures(given, prefix="BGM")
    return [
        (each.pointer or each.name, f"{each.value.normalize():f}")
        for each in found
        if (each.position, each.makes) == (position, makes)
    ]


# WooCommerce


def test_every_recorded_order_that_passes_is_explained_by_its_own_figures() -> None:
    bodies = [json.dumps(each) for each in recorded_orders(keep_marks=True)]
    bodies += [path.read_text("utf-8") for path in sorted(FOLDER.glob("*.json")) if path.name[0] != "_"]
    outcomes: Counter[str] = Counter()
    for given in bodies:
        try:
            outcomes["explained"] += bool(check_figures(shop(), given))
        except Reject:
            with pytest.raises(Reject):
                shop().figures(given, prefix="BGM")
            outcomes["rejected"] += 1
    assert sum(outcomes.values()) == len(bodies) > 60
    assert outcomes["explained"] > 40


def changed(name: str, **changes: Any) -> str:
    recorded = json.loads((FOLDER / f"{name}.json").read_text("utf-8"), parse_float=Decimal)
    return json.dumps(recorded | changes, default=float)


def test_the_total_and_a_line_name_their_place_in_the_body() -> None:
    given = changed("storefront_cod")
    assert said(shop(), given, Makes.TOTAL, position=None) == [("/total", "74.16")]
    assert said(shop(), given, Makes.AMOUNT, position=1) == [("/line_items/0/total", "39.98")]


def test_rounding_and_a_gift_card_by_difference_are_ours_and_say_how() -> None:
    rounded = changed("storefront_cod", total="74.17")
    position = len(shop().normalize(rounded, prefix="BGM").lines)
    assert check_figures(shop(), rounded)
    assert said(shop(), rounded, Makes.AMOUNT, position=position) == [
        ("the order's total less all other lines", "0.01")
    ]
    short = changed("storefront_cod", total="60.00")
    channel = shop(gift_card_by_difference=True)
    assert check_figures(channel, short)
    assert said(channel, short, Makes.CREDIT, position=position) == [
        ("all other lines less the order's total", "14.16")
    ]


def test_a_coupon_finer_than_a_cent_and_a_fee_that_is_store_credit_are_shown_as_they_stand() -> None:
    recorded = json.loads((FOLDER / "storefront_cod.json").read_text("utf-8"))
    coupon = {"id": 9, "code": "ten", "discount": "3.005", "discount_type": "percent"}
    fee = {"id": 8, "name": "Store credit", "total": "-10.00", "total_tax": "0.00"}
    given = json.dumps(recorded | {"coupon_lines": [coupon], "fee_lines": [fee], "total": "64.16"})
    channel = shop(store_credit_fee_names=("store credit",))
    order = channel.normalize(given, prefix="BGM")
    assert check_figures(channel, given)
    (credit,), (off,) = order.of_type(LineType.STORE_CREDIT), order.of_type(LineType.COUPON)
    assert said(channel, given, Makes.NOMINAL, position=credit.position) == [("/fee_lines/0/total", "10")]
    assert said(channel, given, Makes.NOMINAL, position=off.position) == [
        ("/coupon_lines/0/discount", "3.005"),
        ("rounded to whole smallest units", "0.005"),
    ]


# BigCommerce


@pytest.mark.parametrize("name", VARIANTS)
def test_the_orders_of_every_sandbox_store_are_explained_by_its_own_figures(name: str) -> None:
    platform = StorePlatform(VARIANTS[name])
    try:
        channel = bigcommerce.CONNECTOR.open(platform.account())
        numbers = [platform.add_order() for _ in range(60)]
        found = channel.read(numbers)
        bodies = channel.complete([found[number].body for number in numbers])
        assert all(check_figures(channel, given) > 2 for given in bodies)
    finally:
        platform.close()


_SEVERAL: tuple[dict[str, Any], ...] = (
    {},
    {"is_tax_inclusive_pricing": True},
    {"discount_amount": "2.0000"},
    {"discount_amount": "3.3300", "is_tax_inclusive_pricing": True},
    {"store_credit_amount": "3.0000"},
    {"gift_certificate_amount": "4.0000", "store_credit_amount": "1.0000"},
)


@pytest.mark.parametrize("changes", _SEVERAL)
@pytest.mark.parametrize("lines", [1, 2, 7])
def test_discounts_tax_and_tender_are_explained(lines: int, changes: dict[str, Any]) -> None:
    rows = [line(at, total_ex_tax="10.0100", total_inc_tax="11.0100") for at in range(1, lines + 1)]
    assert check_figures(store(), body(rows, **changes)) > lines


def test_a_line_names_its_own_discounts_and_the_tax_that_was_taken_out() -> None:
    row = line(applied_discounts=[discount("1.0000"), discount("0.5000", code="X")])
    where = "/consignments/shipping/0/line_items/0"
    begins = [
        (f"{where}/total_inc_tax", "11"),
        (f"{where}/applied_discounts/0/amount", "-1"),
        (f"{where}/applied_discounts/1/amount", "-0.5"),
    ]
    told = body([row], discount_amount="1.5000", is_tax_inclusive_pricing=True)
    assert check_figures(store(), told)
    assert said(store(), told, Makes.AMOUNT, position=1) == [*begins, (f"{where}/total_tax", "-1")]
    shared = body([row], discount_amount="1.5000", is_tax_inclusive_pricing=True, total_tax="1.3600")
    assert check_figures(store(), shared)
    found = said(store(), shared, Makes.AMOUNT, position=1)
    assert found[:3] == begins
    assert [name for name, _ in found[3:]] == [
        "its share of the order's tax, taken out",
        "rounded to whole smallest units",
    ]


def test_store_credit_that_pays_for_the_order_is_taken_off_its_total() -> None:
    given = body(store_credit_amount="3.0000")
    assert said(store(), given, Makes.TOTAL, position=None) == [
        ("/total_inc_tax", "16.5"),
        ("/store_credit_amount", "-3"),
    ]


def test_wrapping_and_fees_however_spelt_are_explained() -> None:
    wrapped = body(wrapping_cost_ex_tax="2.0000", wrapping_cost_inc_tax="2.0000", total_inc_tax="18.5000")
    assert check_figures(store(), wrapped)
    for spelt in ({"cost_ex_tax": "1.0000"}, {"cost_exc_tax": "1.0000"}, {}):
        fee = {"id": 3, "type": "custom_fee", "cost_inc_tax": "1.1000", "cost_tax": "0.1000", **spelt}
        for total in ("17.6000", "16.5000"):
            given = body(
                fees=[fee],
                total_tax="1.6000" if total == "17.6000" else "1.5000",
                total_inc_tax=total,
            )
            assert check_figures(store(), given) > 4


def test_each_part_of_an_order_for_several_addresses_is_explained() -> None:
    rows = [[line(1)], [line(2, total_ex_tax="20.0000", total_inc_tax="22.0000", total_tax="2.0000")]]
    ship = [
        {**ADDRESS, "id": at, "shipping_method": "Ground", "line_items": part}
        for at, part in enumerate(rows, start=1)
    ]
    given = body([*rows[0], *rows[1]], ship=ship)
    channel = store(several_addresses="split")
    totals = []
    for part in (given, f'{given[:-1]}, "_group": 2}}'):
        assert check_figures(channel, part) > 2
        total, elsewhere = said(channel, part, Makes.TOTAL, position=None)
        assert total == ("/total_inc_tax", "38.5")
        assert elsewhere[0] == "what goes to the order's other addresses"
        totals.append(Decimal(total[1]) + Decimal(elsewhere[1]))
    assert sum(totals) == Decimal("38.5")
    assert min(totals) > 0
