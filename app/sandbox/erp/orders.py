"""Sales orders: deep insert, change, delete, ship and invoice (contract sections 2 and 4)."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.sandbox.erp.books import Books
from app.sandbox.erp.customers import find_customer, refuse_blocked, writable
from app.sandbox.erp.errors import bad_request, dialog, no_relation, record_not_found
from app.sandbox.erp.ledger import Row
from app.sandbox.erp.lines import Line, work_out
from app.sandbox.erp.schema import (
    NO_GUID,
    SALES_INVOICES,
    SALES_ORDERS,
    SALES_SHIPMENT_LINES,
    SALES_SHIPMENTS,
)
from app.sandbox.erp.values import round_half_away

_STEP = 10_000
_PARTS = {
    "AddressLine1": "addressLine1",
    "AddressLine2": "addressLine2",
    "City": "city",
    "Country": "country",
    "State": "state",
    "PostCode": "postalCode",
}


def _address_of(customer: Row, *prefixes: str) -> dict[str, Any]:
    return {p + part: customer.values[name] for p in prefixes for part, name in _PARTS.items()}


def _customer_of(books: Books, values: dict[str, Any]) -> Row:
    customer = find_customer(books, key=values.get("customerId"), number=values.get("customerNumber"))
    if customer is None:
        raise dialog("A customerNumber or a customerID must be provided.")
    refuse_blocked(customer)
    return customer


def _bill_to(books: Books, values: dict[str, Any], customer: Row, header: dict[str, Any]) -> dict[str, Any]:
    """The payer. While it is the customer itself, its address is a copy of the sell-to one (section 2)."""
    payer = find_customer(
        books,
        key=values.get("billToCustomerId"),
        number=values.get("billToCustomerNumber"),
        prefix="billTo",
    )
    if payer is None or payer is customer:
        payer = customer
        address = {"billTo" + part: header["sellTo" + part] for part in _PARTS}
    else:
        refuse_blocked(payer)
        address = _address_of(payer, "billTo")
    return address | {
        "billToCustomerId": payer.id,
        "billToCustomerNumber": payer.values["number"],
        "billToName": payer.values["displayName"],
    }


def _header(books: Books, values: dict[str, Any]) -> dict[str, Any]:
    customer = _customer_of(books, values)
    today = books.now().date().isoformat()
    header = SALES_ORDERS.blank() | _address_of(customer, "sellTo", "shipTo")
    header |= {
        "orderDate": today,
        "postingDate": today,
        "customerName": customer.values["displayName"],
        "shipToName": customer.values["displayName"],
        "phoneNumber": customer.values["phoneNumber"],
        "email": customer.values["email"],
        "currencyCode": customer.values["currencyCode"],
        "salesperson": customer.values["salespersonCode"],
        "shipmentMethodId": customer.values["shipmentMethodId"],
    }
    header |= values | {"customerId": customer.id, "customerNumber": customer.values["number"]}
    return header | _bill_to(books, values, customer, header) | _relations(books, values, header)


def _relations(books: Books, values: dict[str, Any], header: dict[str, Any]) -> dict[str, Any]:
    key = header["shipmentMethodId"]
    if key != NO_GUID and books.table("shipmentMethods").get(key) is None:
        raise no_relation(
            field="Shipment Method Code", table="Sales Header", value=key, related="Shipment Method"
        )
    code = values.get("currencyCode", "" if "currencyId" in values else header["currencyCode"])
    currency = books.currency(code=code, key=values.get("currencyId"), table="Sales Header")
    precision = books.precision(currency["currencyCode"])
    return currency | {"discountAmount": round_half_away(header["discountAmount"], precision)}


def _work_out(
    books: Books, header: dict[str, Any], lines: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    return work_out(
        lines,
        discount=header["discountAmount"],
        includes_tax=header["pricesIncludeTax"],
        precision=books.precision(header["currencyCode"]),
        percent=books.switches.tax_percent,
    )


def _read_line(books: Books, header: dict[str, Any], body: Any, *, document_id: str = "") -> Line:
    line = Line(books, precision=books.precision(header["currencyCode"]))
    line.write(body, document_id=document_id)
    line.finish()
    return line


def _add_line(books: Books, order: Row, values: dict[str, Any], *, sequence: int, assembly: bool) -> Row:
    """Insert a line; an Assemble-to-Order item explodes into an assembly order (section 2, "Kits")."""
    hidden = {"assembly": books.next_number("assemblyOrders")} if assembly and values["quantity"] else {}
    return books.add("salesOrderLines", values | {"documentId": order.id, "sequence": sequence}, hidden)


@dataclass(frozen=True, slots=True)
class Created:
    """A new order, and the totals its header had before the lines."""

    order: Row
    before: dict[str, Any]


def create_order(books: Books, body: Any) -> Created:
    """POST salesOrders: header and lines in one atomic request; everything is checked before any insert."""
    if not isinstance(body, dict):
        raise bad_request("Invalid Request Body: a JSON object is expected.")
    bodies = body.get("salesOrderLines", [])
    if not isinstance(bodies, list):
        raise bad_request("The property 'salesOrderLines' must be an array.")
    head = {name: value for name, value in body.items() if name != "salesOrderLines"}
    header = _header(books, writable(books, SALES_ORDERS, head))
    lines = [_read_line(books, header, line) for line in bodies]
    amounts, totals = _work_out(books, header, [line.values for line in lines])
    order = books.add("salesOrders", header | totals | {"number": books.next_number("salesOrders")})
    for position, (line, amount) in enumerate(zip(lines, amounts, strict=True), start=1):
        _add_line(books, order, line.values | amount, sequence=position * _STEP, assembly=line.assembly)
    return Created(order, dict.fromkeys(totals, Decimal(0)))


def change_order(books: Books, order: Row, body: Any) -> None:
    """PATCH salesOrders({id}). There is no deep PATCH (section 2, "Deep insert")."""
    if isinstance(body, dict) and "salesOrderLines" in body:
        raise bad_request("Deep update is not supported: change 'salesOrderLines' one by one.")
    values = writable(books, SALES_ORDERS, body)
    header = order.values | values
    customer = find_customer(books, key=header["customerId"], number=header["customerNumber"])
    if customer is None or customer.id != order.values["customerId"]:
        raise dialog("You cannot change the customer of an order that has lines.")
    payer = {
        name: values.get(name, order.values[name])
        for name in ("billToCustomerId", "billToCustomerNumber")
        if not values.keys() & {"billToCustomerId", "billToCustomerNumber"} or name in values
    }
    header |= _bill_to(books, payer, customer, header) | _relations(books, values, header)
    _settle(books, order, header, books.lines("salesOrderLines", order))


def _settle(books: Books, order: Row, header: dict[str, Any], rows: list[Row]) -> None:
    amounts, totals = _work_out(books, header, [row.values for row in rows])
    for row, amount in zip(rows, amounts, strict=True):
        books.change("salesOrderLines", row, amount)
    # The stamp is taken anew, whatever the header's values carried.
    fresh = {n: v for n, v in (header | totals).items() if n != "lastModifiedDateTime"}
    books.change("salesOrders", order, fresh)


def delete_order(books: Books, order: Row) -> None:
    """DELETE salesOrders({id}), with its lines."""
    for line in books.lines("salesOrderLines", order):
        books.table("salesOrderLines").remove(line)
    books.table("salesOrders").remove(order)


def add_line(books: Books, order: Row, body: Any) -> Row:
    """POST salesOrders({id})/salesOrderLines."""
    line = _read_line(books, order.values, body, document_id=order.id)
    rows = books.lines("salesOrderLines", order)
    amounts, _ = _work_out(books, order.values, [r.values for r in rows] + [line.values])
    sequence = (rows[-1].values["sequence"] if rows else 0) + _STEP
    row = _add_line(books, order, line.values | amounts[-1], sequence=sequence, assembly=line.assembly)
    _settle(books, order, order.values, [*rows, row])
    return row


def change_line(books: Books, row: Row, body: Any) -> None:
    """PATCH salesOrderLines({id})."""
    order = _order_of(books, row)
    line = Line(books, precision=books.precision(order.values["currencyCode"]), values=row.values)
    line.write(body, document_id=order.id)
    line.finish()
    rows = books.lines("salesOrderLines", order)
    changed = [line.values if other is row else other.values for other in rows]
    _work_out(books, order.values, changed)
    books.change("salesOrderLines", row, line.values)
    _settle(books, order, order.values, rows)


def delete_line(books: Books, row: Row) -> None:
    """DELETE salesOrderLines({id})."""
    order = _order_of(books, row)
    rows = [other for other in books.lines("salesOrderLines", order) if other is not row]
    _work_out(books, order.values, [other.values for other in rows])
    books.table("salesOrderLines").remove(row)
    _settle(books, order, order.values, rows)


def _order_of(books: Books, line: Row) -> Row:
    order = books.table("salesOrders").get(line.values["documentId"])
    if order is None:
        raise record_not_found("Sales Header", line.values["documentId"])
    return order


def ship_and_invoice(books: Books, order: Row) -> None:
    """The bound action: the order is gone, a shipment and an invoice remain (section 2, `fullyShipped`)."""
    lines = books.lines("salesOrderLines", order)
    if not any(line.values["quantity"] for line in lines):
        raise dialog("There is nothing to post.")
    customer = books.row("customers", order.values["customerId"])
    refuse_blocked(customer)
    common = {
        n: v for n, v in order.values.items() if n not in {"id", "number", "status", "lastModifiedDateTime"}
    }
    dates = {
        "invoiceDate": order.values["orderDate"],
        "dueDate": order.values["postingDate"],
        "orderNumber": order.values["number"],
    }
    invoiced = common | dates | {
        "orderId": order.id,
        "number": books.next_number("salesInvoices"),
        "remainingAmount": order.values["totalAmountIncludingTax"],
        "status": "Open",
    }  # fmt: skip
    shipped = common | dates | {"number": books.next_number("salesShipments")}
    invoice = books.add(
        "salesInvoices", {n: v for n, v in invoiced.items() if n in SALES_INVOICES.properties}
    )
    shipment = books.add(
        "salesShipments", {n: v for n, v in shipped.items() if n in SALES_SHIPMENTS.properties}
    )
    for line in lines:
        done = {"shippedQuantity": line.values["quantity"], "invoicedQuantity": line.values["quantity"]}
        books.add("salesInvoiceLines", line.values | done | {"documentId": invoice.id})
        kept = {n: v for n, v in line.values.items() if n in SALES_SHIPMENT_LINES.properties}
        number = {"documentId": shipment.id, "documentNumber": shipment.values["number"]}
        books.add("salesShipmentLines", kept | number)
    delete_order(books, order)
