"""`ordersync explain`: arithmetic that a person in a hurry can read, JSON for scripts, and exit codes."""

import csv
import io
from decimal import Decimal

from tests.cli.conftest import CommandLine, Synced, sentence


def test_an_order_is_explained_block_by_block(synced: Synced) -> None:
    shown = sentence(synced.ordersync.good("explain", "BGM-188").stdout)
    assert shown.startswith("BGM-188 of bgm, done at deliver, ERP document S-ORD")
    for expected in (
        'total 107.06 USD total of the order /total "107.06"',
        "Line 1, product: COMP-B Component B (3 pieces)",
        'amount 89.99 line total, after discounts /line_items/0/total "89.99"',
        'before discounts 99.99 line subtotal, before discounts /line_items/0/subtotal "99.99"',
        "ERP item COMP-B: 3 x 33.33 - 10.00 = 89.99",
        "Line 3, coupon: ten",
        'worth 10.00 coupon /coupon_lines/0/discount "10"',
        "The lines are net of it already; it tells a value and changes no amount.",
        "right The lines = 107.06, the order's total.",
        "right The ERP's document = 107.06, the order's total.",
    ):
        assert expected in shown


def test_a_share_of_store_credit_is_written_out(synced: Synced) -> None:
    shown = sentence(synced.ordersync.good("explain", "BGM-161", "--line", "1").stdout)
    assert (
        "credit 5.88 its share of the store credit: 11.90 x 60.00 / 121.52 = 5.8756, in whole units by largest remainder"
        in shown
    )
    assert "left 60.00 - 5.88 = 54.12" in shown
    assert "ERP item COMP-A: 5 x 12.00 - 5.88 = 54.12" in shown
    assert "Line 2" not in shown


def test_a_product_that_the_erp_rounds_is_written_with_its_rounding(synced: Synced) -> None:
    shown = sentence(synced.ordersync.good("explain", "BGM-146", "--line", "1").stdout)
    assert "ERP item 000123: 7 x 1.00571 = 7.03997, rounded 7.04" in shown


def test_json_has_every_number_as_text(synced: Synced) -> None:
    found = synced.ordersync.json("explain", "152")
    assert (found["order_number"], found["currency"], found["notes"]) == ("BGM-152", "USD", [])
    assert (found["total"]["value"], found["total"]["figures"][0]["text"]) == ("383.27", "383.27")
    assert sum(Decimal(line["net"]) for line in found["lines"]) == Decimal("383.27")
    assert all(check["holds"] for check in found["checks"])
    assert found["lines"][0]["written"][0]["number"] == "KIT-PARENT-123"


def test_an_order_that_was_rejected_says_how_far_it_came(synced: Synced) -> None:
    shown = sentence(synced.ordersync.good("explain", "164").stdout)
    assert "rejected at normalize" in shown
    assert "was not brought into our own form yet: The amount 32.49" in shown


def test_what_is_not_there_is_1_and_wrong_use_is_2(synced: Synced, ordersync: CommandLine) -> None:
    assert synced.ordersync.refused(1, "explain", "BGM-1") == "There is no order 'BGM-1'."
    assert ordersync.refused(1, "explain", "152") == "There is no order '152'."
    assert "has no line 99; its lines are 1 to 6" in synced.ordersync.refused(
        2, "explain", "BGM-152", "--line", "99"
    )
    assert synced.ordersync.run("explain").exit_code == 2
    assert synced.ordersync.run("explain", "BGM-152", "--line", "none").exit_code == 2


def test_explaining_asks_no_outside_system(synced: Synced) -> None:
    before = synced.systems.asked()
    synced.ordersync.good("explain", "BGM-152")
    assert synced.systems.asked() == before


def test_of_every_order_all_sums_are_right(synced: Synced) -> None:
    rows = csv.DictReader(io.StringIO(synced.ordersync.good("export", "csv", "orders").stdout, newline=""))
    found = {row["platform_order_id"]: row["state"] for row in rows}
    assert len(found) == 40
    for each, state in found.items():
        explained = synced.ordersync.json("explain", each)
        assert [check["sentence"] for check in explained["checks"] if not check["holds"]] == []
        assert state != "done" or len(explained["checks"]) >= 7
