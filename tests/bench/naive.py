"""What a competent person writes in an afternoon: one order after the other, one call after the other.

For each order: one SKU look-up per line, one look-up of the customer by e-mail, two of the document (is there an order of this
number, or an invoice?), one deep insert, one mark on the shop; and one list call for every hundred orders. Connections are kept, the
token is asked for once, the customers are there. It stores nothing, expands no kits, compares no totals, knows no retry, and
does things twice when it is cut off: all of that would only make it slower.
"""

from typing import Any

from tests.bench.wire import Wire, condition


def move_orders(wire: Wire, *, prefix: str) -> int:
    """Move every open order of the shop into the ERP, by numbers that begin with `prefix`; how many there were."""
    done = 0
    for page in wire.pages():
        for order in page.json():
            _move(wire, order, number=f"{prefix}-{order['number']}")
            done += 1
    return done


def _move(wire: Wire, order: dict[str, Any], *, number: str) -> None:
    for line in order["line_items"]:
        (item,) = _found(wire, "items", "number", line["sku"])
        assert not item["blocked"]
    (customer,) = _found(wire, "customers", "email", order["billing"]["email"])
    known = [
        _found(wire, kind, "externalDocumentNumber", number) for kind in ("salesOrders", "salesInvoices")
    ]
    if not any(known):
        body = order_body(order, number=number, customer=customer["number"])
        wire.call(wire.erp, "POST", f"{wire.company}/salesOrders", json=body)
    mark = {"meta_data": [{"key": "_mw_exported", "value": "1"}]}
    wire.call(wire.shop, "PUT", f"{wire.orders}/{order['id']}", json=mark)


def _found(wire: Wire, entity: str, field: str, value: str) -> list[dict[str, Any]]:
    wanted = condition(f"{field} eq '{value}'")
    url = f"{wire.company}/{entity}?{wanted}"
    rows: list[dict[str, Any]] = wire.call(wire.erp, "GET", url).json()["value"]
    return rows


def order_body(order: dict[str, Any], *, number: str, customer: str) -> dict[str, Any]:
    """An order of the shop as one deep insert."""
    ship = order["shipping"]
    amounts = (("40400", order["shipping_total"]), ("40500", order["total_tax"]))
    lines = [
        _line("Item", line["sku"], line["quantity"], float(line["total"]) / line["quantity"])
        for line in order["line_items"]
    ] + [_line("Account", account, 1, float(amount)) for account, amount in amounts if float(amount)]
    return {
        "externalDocumentNumber": number,
        "customerNumber": customer,
        "orderDate": order["date_created"][:10],
        "shipToName": f"{ship['first_name']} {ship['last_name']}",
        "shipToAddressLine1": ship["address_1"],
        "shipToCity": ship["city"],
        "shipToState": ship["state"],
        "shipToPostCode": ship["postcode"],
        "shipToCountry": ship["country"],
        "salesOrderLines": lines,
    }


def _line(kind: str, number: str, quantity: float, price: float) -> dict[str, Any]:
    return {
        "lineType": kind,
        "lineObjectNumber": number,
        "quantity": quantity,
        "unitPrice": round(price, 5),
        "taxCode": "NONTAXABLE",
    }
