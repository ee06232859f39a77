"""Payments and refunds, as V3 shows them (contract section 8)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from .answers import JsonObject
from .dates import iso_text
from .money import ZERO, decimal, number
from .records import Ids, Order
from .statuses import PARTIALLY_REFUNDED, REFUNDED

_GATEWAYS = {
    "Stripe": ("stripe", "stripe.card"),
    "Klarna": ("klarna", "klarna.pay_now"),
    "PayPal": ("paypal", "paypalcommerce.paypal"),
    "Credit Card": ("stripe", "stripe.card"),
}


def transaction_row(ids: Ids, order: Order, given: JsonObject) -> JsonObject:
    """A transaction's row: a purchase by card where nothing else is given."""
    gateway, method_id = _GATEWAYS.get(order.body["payment_method"], ("stripe", "stripe.card"))
    number_of = ids.next("transaction")
    return {
        "id": number_of,
        "order_id": str(order.id),
        "event": "purchase",
        "method": "credit_card",
        "amount": number(order.body["total_inc_tax"]),
        "currency": order.body["default_currency_code"],
        "gateway": gateway,
        "gateway_transaction_id": f"pi_{order.id}x{number_of}",
        "status": "ok",
        "test": False,
        "fraud_review": False,
        "reference_transaction_id": None,
        "date_created": iso_text(order.created),
        "avs_result": None,
        "cvv_result": None,
        "credit_card": None,
        "gift_certificate": None,
        "store_credit": None,
        "offline": None,
        "custom": None,
        "payment_instrument_token": None,
        "payment_method_id": method_id,
        **given,
    }


def paid_by(ids: Ids, order: Order, payable: Decimal, *, test: bool) -> list[JsonObject]:
    """The transactions of an order as its fields tell: store credit, gift certificate, and the rest by its gateway.

    An order paid in cash or by bank transfer has none.
    """
    body, rows = order.body, []
    credit, certificate = decimal(body["store_credit_amount"]), decimal(body["gift_certificate_amount"])
    given: JsonObject
    no_gateway: JsonObject = {"gateway": None, "gateway_transaction_id": None, "test": test}
    if credit:
        left = {"remaining_balance": 0}
        given = {"method": "store_credit", "amount": number(credit), "store_credit": left}
        method = {"payment_method_id": "bigcommerce.store_credit"}
        rows.append(transaction_row(ids, order, {**no_gateway, **given, **method}))
    if certificate:
        spent = number(certificate)
        balance = {
            "code": "GIFT-1",
            "original_balance": spent,
            "starting_balance": spent,
            "remaining_balance": 0,
        }
        given = {"method": "gift_certificate", "amount": spent, "gift_certificate": balance}
        method = {"payment_method_id": "bigcommerce.gift_certificate"}
        rows.append(transaction_row(ids, order, {**no_gateway, **given, **method}))
    if body["payment_method"] in _GATEWAYS and payable > ZERO:
        event = "authorization" if body["payment_status"] == "authorized" else "purchase"
        given = {"event": event, "amount": number(payable), "test": test}
        if body["payment_provider_id"]:
            given["gateway_transaction_id"] = str(body["payment_provider_id"])
        rows.append(transaction_row(ids, order, given))
    return rows


def give_back(order: Order, amount: Decimal, *, ids: Ids, now: datetime, reason: str) -> JsonObject:
    """A refund of the order as a whole: its row, the transaction, and the status that follows."""
    row: JsonObject = {
        "id": ids.next("refund"),
        "order_id": order.id,
        "user_id": 1,
        "created": iso_text(now),
        "reason": reason,
        "total_amount": number(amount),
        "total_tax": 0,
        "items": [{"item_type": "ORDER", "item_id": order.id, "requested_amount": number(amount)}],
        "payments": [
            {
                "id": 1,
                "provider_id": "stripe",
                "amount": number(amount),
                "offline": False,
                "is_declined": False,
                "declined_message": "",
            }
        ],
    }
    order.refunds.append(row)
    paid = {"event": "refund", "amount": number(amount), "date_created": iso_text(now)}
    order.transactions.append(transaction_row(ids, order, paid))
    back = sum((decimal(one["total_amount"]) for one in order.refunds), ZERO)
    whole = back >= decimal(order.body["total_inc_tax"])
    order.body["status_id"] = REFUNDED if whole else PARTIALLY_REFUNDED
    order.body["payment_status"] = "refunded" if whole else "partially refunded"
    return row
