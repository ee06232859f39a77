"""The amounts of the sandbox store's orders keep what section 4 of the BigCommerce contract says of them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from app.sandbox.bigcommerce import DEMO_STORE_HASH, DEMO_TOKEN, Store, create_app, demo_orders

COSTS = ("subtotal_inc_tax", "shipping_cost_inc_tax", "handling_cost_inc_tax", "wrapping_cost_inc_tax")


def of(body: dict[str, Any], *names: str) -> Decimal:
    return sum((Decimal(str(body[name])) for name in names), Decimal(0))


def rows(store: Store, order_id: int, path: str) -> Any:
    """What GET answers for the rows of an order."""
    client = create_app(store).test_client()
    url = f"/stores/{DEMO_STORE_HASH}/v{3 if path == 'transactions' else 2}/orders/{order_id}/{path}"
    answer = client.get(url, headers={"X-Auth-Token": DEMO_TOKEN}, query_string={})
    found = answer.get_json()
    return found["data"] if path == "transactions" else found


def balanced(body: dict[str, Any]) -> bool:
    """Whether the total is lines and costs less what was taken off, and holds the tax once."""
    total = of(body, *COSTS) - of(body, "discount_amount", "coupon_discount")
    return total == of(body, "total_inc_tax") == of(body, "total_ex_tax", "total_tax")


@pytest.mark.parametrize("name", demo_orders())
def test_the_demos_orders_balance(name: str) -> None:
    store = Store()
    order_id = store.add_order(demo_orders()[name])
    assert balanced(store.order(order_id))


def test_generated_orders_balance_are_paid_and_await_fulfilment_with_buyers_of_their_own() -> None:
    store = Store()
    made = [store.order(order_id) for order_id in store.generate(60, lines=3)]
    assert all(balanced(body) for body in made)
    assert {(body["status_id"], body["payment_method"], body["payment_status"]) for body in made} == {
        (11, "Stripe", "captured")
    }
    assert all(body["payment_provider_id"].startswith("pi_") for body in made)
    assert len({body["billing_address"]["email"] for body in made}) == 60


def test_a_discount_is_taken_off_the_total_and_the_tax_is_of_what_is_left() -> None:
    store = Store()
    line = {"sku": "X", "quantity": 10, "price": "250", "tax_rate": "0.055"}
    order_id = store.add_order(
        {"is_tax_inclusive_pricing": True, "products": [line], "discount_amount": "100", "shipping_cost": 0}
    )
    body = store.order(order_id)
    assert (body["subtotal_inc_tax"], body["subtotal_ex_tax"]) == ("2500.0000", "2369.6682")
    assert (body["subtotal_tax"], body["total_tax"]) == ("125.1200", "125.1200")
    assert (body["total_inc_tax"], body["total_ex_tax"]) == ("2400.0000", "2274.8800")
    (row,) = rows(store, order_id, "products")
    assert row["discounted_total_inc_tax"] == "2400.0000"
    assert row["applied_discounts"] == [
        {
            "id": "manual-discount",
            "amount": "100.0000",
            "name": "Manual Discount",
            "code": None,
            "target": "order",
        }
    ]


def test_every_discount_is_shared_out_over_the_lines_to_the_cent() -> None:
    store = Store()
    order_id = store.add_order(
        {
            "products": [
                {"sku": "THIRD-3", "quantity": 3},
                {"sku": "COMP-A"},
                {"sku": "TS-1", "discounts": [{"amount": "1.11"}]},
            ],
            "discount_amount": "10.01",
            "coupons": [{"code": "TEN", "discount": "7.77", "type": 1, "amount": 10}],
        }
    )
    body, lines = store.order(order_id), rows(store, order_id, "products")
    taken = [row for line in lines for row in line["applied_discounts"]]
    assert sum(Decimal(row["amount"]) for row in taken if row["code"] == "TEN") == of(body, "coupon_discount")
    assert sum(Decimal(row["amount"]) for row in taken if not row["code"]) == of(body, "discount_amount")
    assert (body["coupon_discount"], body["discount_amount"]) == ("7.7700", "11.1200")
    left = sum(Decimal(line["discounted_total_inc_tax"]) for line in lines)
    assert left == of(body, "subtotal_inc_tax") - of(body, "discount_amount", "coupon_discount")
    assert balanced(body)
    (coupon,) = rows(store, order_id, "coupons")
    assert (coupon["code"], coupon["discount"], coupon["amount"], coupon["type"]) == ("TEN", 7.77, 10, 1)


def test_a_coupon_on_the_shipping_is_in_the_total_and_in_no_line() -> None:
    store = Store()
    order_id = store.add_order({"shipping_cost": "5", "coupons": [{"type": 3, "discount": "5"}]})
    assert store.order(order_id)["coupon_discount"] == "5.0000"
    assert [line["applied_discounts"] for line in rows(store, order_id, "products")] == [[]]
    assert balanced(store.order(order_id))


def test_store_credit_and_certificates_are_tender_unless_the_store_reads_it_otherwise() -> None:
    tender = {"store_credit_amount": "5.00", "gift_certificate_amount": "2.50", "customer_id": 3}
    store = Store()
    order_id = store.add_order(tender)
    body = store.order(order_id)
    assert (body["total_inc_tax"], balanced(body)) == ("21.8900", True)
    paid = {row["method"]: row["amount"] for row in rows(store, order_id, "transactions")}
    assert paid == {"store_credit": 5, "gift_certificate": 2.5, "credit_card": 14.39}
    lowered = Store(tender_in_total=True)
    order_id = lowered.add_order(tender)
    body = lowered.order(order_id)
    assert (body["total_inc_tax"], balanced(body)) == ("14.3900", False)
    assert sum(row["amount"] for row in rows(lowered, order_id, "transactions")) == pytest.approx(21.89)


def test_fees_stand_beside_the_total_unless_the_store_reads_it_otherwise() -> None:
    fees = {"fees": [{"cost": "3.00", "display_name_customer": "Pallet"}]}
    plain, other = Store(), Store(fees_in_total=True)
    assert plain.order(plain.add_order(fees))["total_inc_tax"] == "21.8900"
    order_id = other.add_order(fees)
    assert other.order(order_id)["total_inc_tax"] == "24.8900"
    (fee,) = rows(other, order_id, "fees")["fees"]
    assert (fee["cost_inc_tax"], fee["display_name_customer"]) == ("3.0000", "Pallet")


def test_children_of_a_pick_list_cost_nothing_and_name_their_parent() -> None:
    store = Store()
    order_id = store.add_order(
        {
            "products": [
                {"sku": "KIT-PARENT-123"},
                {"sku": "COMP-A", "parent": 0},
                {"product_id": 0, "sku": ""},
            ]
        }
    )
    kit, child, custom = rows(store, order_id, "products")
    assert (kit["parent_order_product_id"], kit["is_bundled_product"]) == (None, False)
    assert (child["parent_order_product_id"], child["is_bundled_product"]) == (kit["id"], True)
    assert child["total_inc_tax"] == "0.0000"
    assert (custom["product_id"], custom["sku"]) == (0, "")
    assert all(line["fulfillment_source"] == "" for line in (kit, child, custom))


def test_options_form_fields_and_wrapping_stand_where_the_platform_has_them() -> None:
    store = Store()
    order_id = store.add_order(demo_orders()["kit_and_options"])
    body = store.order(order_id)
    assert body["billing_address"]["form_fields"] == [{"name": "Delivery notes", "value": "Back door"}]
    text, upload = rows(store, order_id, "products")[0]["product_options"]
    assert (text["display_name"], text["value"]) == ("Engraving", "To Mia ❤")
    assert json.loads(upload["value"])["originalName"] == "crest.png"
    wrapped = store.add_order(demo_orders()["handling_and_wrapping"])
    (line,) = rows(store, wrapped, "products")
    assert (line["wrapping_name"], line["wrapping_cost_inc_tax"]) == ("Stars", "3.2900")
    assert store.order(wrapped)["wrapping_cost_inc_tax"] == "3.2900"


def test_amounts_can_come_without_their_zeros_and_given_ones_stand_as_given() -> None:
    store = Store()
    body = store.order(store.add_order({"bare_money": True, "products": [{"price": "8", "tax_rate": 0}]}))
    assert (body["subtotal_inc_tax"], body["discount_amount"], body["items_total"]) == ("8", "0", 1)
    wrong = store.order(store.add_order({"total_inc_tax": "1.0000", "payment_provider_id": 77}))
    assert (wrong["total_inc_tax"], wrong["payment_provider_id"]) == ("1.0000", 77)
    assert not balanced(wrong)


def test_payments_by_card_cash_authorisation_and_test_are_told_by_their_transactions() -> None:
    store = Store()
    card = store.add_order({"payment_method": "Credit Card"})
    assert store.order(card)["payment_provider_id"] == ""
    (row,) = rows(store, card, "transactions")
    assert (row["gateway"], row["payment_method_id"], row["order_id"]) == ("stripe", "stripe.card", str(card))
    assert (row["event"], row["test"], row["amount"]) == ("purchase", False, 21.89)
    held = store.add_order({"payment_status": "authorized", "test_payment": True})
    (row,) = rows(store, held, "transactions")
    assert (row["event"], row["test"]) == ("authorization", True)
    klarna = store.add_order({"payment_method": "Credit Card", "transactions": [{"gateway": "klarna"}]})
    assert [row["gateway"] for row in rows(store, klarna, "transactions")] == ["klarna"]


def test_a_refund_makes_a_transaction_and_moves_the_status() -> None:
    store = Store()
    order_id = store.add_order()
    store.refund(order_id, "5.00")
    body = store.order(order_id)
    assert (body["status_id"], body["refunded_amount"], body["total_inc_tax"]) == (14, "0.0000", "21.8900")
    store.refund(order_id, "16.89")
    assert store.order(order_id)["status_id"] == 4
    events = [row["event"] for row in rows(store, order_id, "transactions")]
    assert events == ["purchase", "refund", "refund"]
