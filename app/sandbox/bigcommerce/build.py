"""Orders made from a short description, with all their amounts worked out (contract section 4).

A description has the fields of a V2 order, which stand as given, and these instructions:

``products``
    Lines: ``sku``, ``quantity``, ``price`` (for one), ``tax_rate``, ``discounts`` (rows of ``applied_discounts``, at
    least with ``amount``; one with a ``code`` is a coupon's), ``address`` (place in ``shipping_addresses``), ``parent``
    (place in ``products``: the line is a pick-list child), ``wrapping`` (``cost``, ``name``, ``message``),
    ``product_options``; any other field stands as given.
``shipping_addresses``, ``coupons``, ``fees``, ``messages``, ``transactions``
    Rows of the sub-resources, completed. An address may have a ``shipping_cost`` and a ``handling_cost``, a fee a ``cost``.
``shipping_cost``, ``handling_cost``
    Costs, of the first address. ``discount_amount`` and each coupon's ``discount`` are shared out over the lines.
``tax_rate``
    For all lines and costs, 0.095 by default.
``date_created``, ``date_modified``, ``date_shipped``
    Datetimes, or texts of either format.
``test_payment``, ``bare_money``
    Mark the payment as a test; write amounts without the zeros at the end.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from .answers import JsonObject
from .dates import moment_of, whole_second
from .money import ZERO, decimal, split, text, with_tax
from .payments import paid_by, transaction_row
from .records import Ids, Order, copied
from .rows import ADDRESS, TAX_RATE, address_row, coupon_row, fee_row, line_row, price_of
from .statuses import AWAITING_FULFILLMENT, COMPLETED
from .totals import TotalRules, set_costs, set_line_amounts, set_line_discounts, set_totals

_INSTRUCTIONS = frozenset(
    "id products shipping_addresses coupons fees messages transactions shipping_cost handling_cost tax_rate"
    " date_created date_modified date_shipped test_payment bare_money billing_address".split()
)
_OF_A_LINE = frozenset("price tax_rate discounts address parent wrapping product_options quantity".split())
_CURRENCIES = ("currency_code", "default_currency_code", "store_default_currency_code")
_PLAIN = {
    "customer_id": 0,
    "is_tax_inclusive_pricing": False,
    "payment_status": "captured",
    "refunded_amount": "0.0000",
    "store_credit_amount": "0.0000",
    "gift_certificate_amount": "0.0000",
    "ip_address": "192.0.2.10",
    "ip_address_v6": "",
    "geoip_country": "United States",
    "geoip_country_iso2": "US",
    "currency_id": 1,
    "currency_exchange_rate": "1.0000000000",
    "default_currency_id": 1,
    "staff_notes": "",
    "customer_message": "",
    "discount_amount": "0.0000",
    "coupon_discount": "0.0000",
    "is_deleted": False,
    "ebay_order_id": "0",
    "is_email_opt_in": False,
    "credit_card_type": None,
    "order_source": "www",
    "channel_id": 1,
    "external_source": None,
    "external_id": None,
    "external_merchant_id": None,
    "tax_provider_id": "BasicTaxProvider",
    "customer_locale": "en",
    "external_order_id": "",
    "store_default_to_transactional_exchange_rate": "1.0000000000",
}
_ON_SHIPPING = (3, 4)
"""Types of coupon that take money off the shipping, so that no line has a share of it."""


def build_order(given: JsonObject, *, ids: Ids, now: datetime, currency: str, rules: TotalRules) -> Order:
    """An order as described; with nothing described one widget, paid by card, awaiting fulfilment, made now."""
    given = copied(given)
    order = _bare_order(given, ids, now, currency)
    rate, inclusive = decimal(given.get("tax_rate", TAX_RATE)), bool(order.body["is_tax_inclusive_pricing"])
    _put_addresses(order, given, ids, rate, inclusive=inclusive)
    _put_lines(order, given.get("products", [{}]), ids, rate, inclusive=inclusive)
    _put_discounts(order, given, ids)
    order.fees = [fee_row(ids, row) for row in given.get("fees", [])]
    set_totals(order, rules)
    order.body.update(
        {name: value for name, value in given.items() if name not in _INSTRUCTIONS | {"discount_amount"}}
    )
    if "transactions" in given:
        order.transactions = [transaction_row(ids, order, row) for row in given["transactions"]]
    else:
        payable = decimal(order.body["total_inc_tax"])
        if not rules.tender_in_total:
            tender = (order.body["store_credit_amount"], order.body["gift_certificate_amount"])
            payable -= sum(map(decimal, tender), ZERO)
        order.transactions = paid_by(ids, order, payable, test=bool(given.get("test_payment")))
    order.messages = [
        {"id": ids.next("message"), "order_id": order.id, **row} for row in given.get("messages", [])
    ]
    return order


def _bare_order(given: JsonObject, ids: Ids, now: datetime, currency: str) -> Order:
    """The order without lines, addresses and amounts; with a default for all that is not given."""
    order_id = int(given["id"]) if "id" in given else ids.next("order")
    rows = given.get("products", [{}])
    digital = bool(rows) and all(row.get("type", "physical") != "physical" for row in rows)
    method = given.get("payment_method", "Stripe")
    body: JsonObject = {
        "id": order_id,
        **copied(_PLAIN),
        "status_id": COMPLETED if digital else AWAITING_FULFILLMENT,
        "payment_method": method,
        "payment_provider_id": f"pi_{order_id:012d}" if method == "Stripe" else "",
        "order_is_digital": digital,
        **dict.fromkeys(_CURRENCIES, currency),
        "cart_id": f"00000000-0000-4000-8000-{order_id:012d}",
        "billing_address": {**ADDRESS, "email": f"guest{order_id}@example.test", "form_fields": []},
    }
    body["billing_address"].update(given.get("billing_address", {}))
    for name in ("store_credit_amount", "gift_certificate_amount"):
        given[name] = text(decimal(given.get(name, 0)))
    body.update({name: value for name, value in given.items() if name in body and name not in _INSTRUCTIONS})
    created = moment_of(given.get("date_created"), now)
    return Order(
        order_id,
        body,
        created,
        moment_of(given.get("date_modified"), created if "date_created" in given else whole_second(now)),
        moment_of(given["date_shipped"], now) if given.get("date_shipped") else None,
        bare_money=bool(given.get("bare_money")),
    )


def _put_addresses(order: Order, given: JsonObject, ids: Ids, rate: Decimal, *, inclusive: bool) -> None:
    rows = given.get("shipping_addresses", [] if order.body["order_is_digital"] else [{}])
    for place, row in enumerate(rows):
        first = place == 0
        shipping = row.pop("shipping_cost", given.get("shipping_cost", 0) if first else 0)
        handling = row.pop("handling_cost", given.get("handling_cost", 0) if first else 0)
        address = address_row(ids, order.id, order.body["billing_address"], row)
        set_costs(
            address, "cost", with_tax(decimal(shipping), rate, inclusive=inclusive), inclusive=inclusive
        )
        set_costs(
            address,
            "handling_cost",
            with_tax(decimal(handling), rate, inclusive=inclusive),
            inclusive=inclusive,
        )
        address.update(row)
        order.addresses.append(address)
    order.body["shipping_address_count"] = len(order.addresses)


def _put_lines(order: Order, rows: list[JsonObject], ids: Ids, rate: Decimal, *, inclusive: bool) -> None:
    for row in rows:
        line = line_row(ids, order.id, row)
        line_rate = order.rates[line["id"]] = decimal(row.get("tax_rate", rate))
        physical = line["type"] == "physical"
        line["order_address_id"] = (
            order.addresses[row.get("address", 0)]["id"] if physical and order.addresses else 0
        )
        if row.get("parent") is not None:
            line.update(parent_order_product_id=order.lines[row["parent"]]["id"], is_bundled_product=True)
        wrapping = row.get("wrapping") or {}
        if wrapping:
            line.update(wrapping_id=1, wrapping_name=wrapping.get("name", "Paper"))
            line["wrapping_message"] = wrapping.get("message", "")
            costs = with_tax(decimal(wrapping.get("cost", 0)), line_rate, inclusive=inclusive)
            set_costs(line, "wrapping_cost", costs, inclusive=inclusive)
        set_line_amounts(line, price_of(row), line_rate, inclusive=inclusive)
        line["applied_discounts"] = [
            {"id": "line-discount", "name": "Line discount", "code": None, "target": "product"}
            | {**one, "amount": text(decimal(one["amount"]))}
            for one in row.get("discounts", [])
        ]
        line.update({name: value for name, value in row.items() if name not in _OF_A_LINE})
        order.lines.append(line)


def _put_discounts(order: Order, given: JsonObject, ids: Ids) -> None:
    """The order's discounts and coupons, each shared out over the lines by what they cost."""
    weights = [decimal(line["total_inc_tax"]) for line in order.lines]
    order.coupons = [coupon_row(ids, order.id, row) for row in given.get("coupons", [])]
    shared = [("manual-discount", "Manual Discount", None, decimal(given.get("discount_amount", 0)))]
    shared += [
        (str(row["coupon_id"]), row["code"], row["code"], decimal(row["discount"]))
        for row in order.coupons
        if row["type"] not in _ON_SHIPPING
    ]
    on_lines = [row for line in order.lines for row in line["applied_discounts"]]
    of_coupons = sum((decimal(row["amount"]) for row in on_lines if row["code"]), ZERO)
    of_others = sum((decimal(row["amount"]) for row in on_lines if not row["code"]), ZERO)
    for discount_id, name, code, amount in shared:
        for line, part in zip(order.lines, split(amount, weights), strict=True):
            if part:
                row = {"id": discount_id, "amount": text(part), "name": name, "code": code, "target": "order"}
                line["applied_discounts"].append(row)
    for line in order.lines:
        set_line_discounts(line, order.rates[line["id"]])
    coupons = sum((decimal(row["discount"]) for row in order.coupons), ZERO)
    order.body["coupon_discount"] = text(coupons + of_coupons)
    order.body["discount_amount"] = text(decimal(given.get("discount_amount", 0)) + of_others)
