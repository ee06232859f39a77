"""An order as rows of `rm_order`, `rm_address` and `rm_lineitems`."""

from decimal import Decimal
from typing import Any

from sqlalchemy import String, Table

from app.db.tables import addresses, lineitems, orders
from app.db.types import Exact, storable
from app.domain.money import ZERO
from app.domain.order import Address, Line, LineType, Order
from app.domain.order import Verdict as SkuVerdict


class DoesNotFit(Exception):
    """A value does not fit its column. Nothing is cut: half a street sends a parcel nowhere."""

    def __init__(self, sentence: str, *, column: str) -> None:
        super().__init__(sentence)
        self.column = column


def order_row(order: Order, *, external_number: str) -> dict[str, Any]:
    """The header row, without the ids that place it and the times of its writing. Raises `DoesNotFit`."""
    products = order.of_type(LineType.PRODUCT)
    row = {
        "order_number": order.number,
        "external_number": external_number,
        "platform_order_id": order.platform_order_id,
        "order_date": order.created_at,
        "order_date_raw": order.created_raw,
        "status": order.status,
        "currency": order.currency,
        "subtotal": sum((line.amount for line in products), ZERO),
        "shipping_total": sum((line.amount for line in order.of_type(LineType.SHIPPING)), ZERO),
        "tax_total": sum((line.amount for line in order.of_type(LineType.TAX)), ZERO),
        "discount_total": sum((line.nominal for line in order.of_type(LineType.COUPON)), ZERO),
        "store_credit": sum((line.nominal for line in order.of_type(LineType.STORE_CREDIT)), ZERO),
        "total": order.total,
        "bill_first_name": order.bill.first_name,
        "bill_last_name": order.bill.last_name,
        "bill_email": order.bill.email,
        "ship_first_name": order.ship.first_name,
        "ship_last_name": order.ship.last_name,
        "ship_address1": order.ship.address1,
        "ship_city": order.ship.city,
        "ship_state": order.ship.state,
        "ship_postcode": order.ship.postcode,
        "ship_country": order.ship.country,
        "payment_method": order.payment.method,
        "payment_title": order.payment.title,
        "trans_id": order.payment.transaction_id,
        "paid_at": order.payment.paid_at,
        "klarna": order.payment.klarna,
        "stripe": order.payment.stripe,
        "paypal": order.payment.paypal,
        "customer_note": order.customer_note,
        "imported": 0,
    }
    return _fitted(orders, row)


def address_rows(order: Order) -> list[dict[str, Any]]:
    """The billing and the shipping address. Raises `DoesNotFit`."""
    return [_address("bill", order.bill), _address("ship", order.ship)]


def _address(kind: str, address: Address) -> dict[str, Any]:
    names = (
        "first_name",
        "last_name",
        "company",
        "address1",
        "address2",
        "city",
        "state",
        "postcode",
        "country",
        "email",
        "phone",
    )
    return _fitted(addresses, {"kind": kind, **{name: getattr(address, name) for name in names}})


def line_rows(order: Order) -> list[dict[str, Any]]:
    """Every line. Raises `DoesNotFit`."""
    return [_line(line) for line in order.lines]


def _line(line: Line) -> dict[str, Any]:
    row = {
        "position": line.position,
        "line_type": int(line.type),
        "parent": line.parent,
        "sku": line.sku,
        "name": line.name,
        "quantity": line.quantity,
        "listed": line.listed,
        "amount": line.amount,
        "credit": line.credit,
        "nominal": line.nominal,
        "tax": line.tax,
        "platform_line_id": line.platform_line_id,
        "detail": line.detail,
        "verdict": None if line.verdict is None else SkuVerdict(line.verdict).value,
        "verified_at": line.verified_at,
        "imported": 0,
    }
    return _fitted(lineitems, row)


_TYPES = {table: {column.name: column.type for column in table.c} for table in (orders, addresses, lineitems)}


def _fitted(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    types = _TYPES[table]
    for name, value in row.items():
        column = types[name]
        if isinstance(value, Decimal) and isinstance(column, Exact) and not column.holds(value):
            raise DoesNotFit(f"The field {name} has more digits than can be stored: {value}.", column=name)
        if not isinstance(value, str):
            continue
        if isinstance(column, String) and column.length is not None and len(value) > column.length:
            raise DoesNotFit(
                f"The field {name} is longer than the {column.length} characters that can be stored.",
                column=name,
            )
        row[name] = storable(value)
    return row
