"""The control door under `/_sandbox/`: no sign-in, no faults, no limits, not in the request log."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, request

from app.sandbox.erp.books import Books
from app.sandbox.erp.errors import Refusal, record_not_found
from app.sandbox.erp.ledger import Row
from app.sandbox.erp.orders import delete_order, ship_and_invoice
from app.sandbox.erp.records import put
from app.sandbox.erp.schema import LINES_OF
from app.sandbox.erp.state import Erp
from app.sandbox.erp.values import dump, load

_DOCUMENTS = {"salesOrders": "order", "salesInvoices": "invoice", "salesShipments": "shipment"}
_SHOWN = (
    "id", "number", "externalDocumentNumber", "orderNumber", "customerNumber", "currencyCode", "discountAmount",
    "totalAmountExcludingTax", "totalTaxAmount", "totalAmountIncludingTax",
)  # fmt: skip
_SHOWN_LINE = (
    "sequence", "lineType", "lineObjectNumber", "description", "quantity", "unitPrice", "discountAmount",
    "taxCode", "netAmount", "netTaxAmount",
)  # fmt: skip


def _json(body: Any, status: int = 200) -> Response:
    return Response(dump(body), status=status, content_type="application/json")


def _picked(row: Row, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: row.values[name] for name in names if name in row.values}


def _document(books: Books, entity: str, row: Row) -> dict[str, Any]:
    lines = books.lines(LINES_OF[entity], row)
    shown = [_picked(line, _SHOWN_LINE) for line in lines]
    return {"kind": _DOCUMENTS[entity]} | _picked(row, _SHOWN) | {"lines": shown}


def _documents(books: Books) -> dict[str, Any]:
    """Orders and invoices, the shipments beside them, and the assembly orders that exploded from lines."""
    kinds = {
        entity: [_document(books, entity, row) for row in books.table(entity).rows()] for entity in _DOCUMENTS
    }
    assembly = [
        {
            "number": line.hidden["assembly"],
            "documentNumber": books.row("salesOrders", line.values["documentId"]).values["number"],
            "itemNumber": line.values["lineObjectNumber"],
            "quantity": line.values["quantity"],
        }
        for line in books.table("salesOrderLines").rows()
        if line.hidden.get("assembly")
    ]
    return {
        "documents": kinds["salesOrders"] + kinds["salesInvoices"],
        "shipments": kinds["salesShipments"],
        "assemblyOrders": assembly,
    }


def _order(books: Books, number: str) -> Row:
    row = books.table("salesOrders").first("number", number)
    if row is None:
        raise record_not_found("Sales Header", number)
    return row


def _delete_document(books: Books, number: str) -> None:
    """Take a document away behind the client's back, be it order, invoice or shipment."""
    for entity in _DOCUMENTS:
        row = books.table(entity).first("number", number)
        if row is None:
            continue
        if entity == "salesOrders":
            delete_order(books, row)
            return
        for line in books.lines(LINES_OF[entity], row):
            books.table(LINES_OF[entity]).remove(line)
        books.table(entity).remove(row)
        return
    raise record_not_found("Sales Header", number)


def _refuse(error: Exception) -> Response:
    if isinstance(error, Refusal):
        return _json(error.body(), error.status)
    return _json({"error": {"code": "BadRequest", "message": str(error)}}, 400)


class _Door:
    """The views. Each holds the lock while it looks at the books or changes them."""

    def __init__(self, erp: Erp) -> None:
        self._erp = erp

    def faults(self) -> Response:
        if request.method == "POST":
            return _json(self._erp.faults.order(load(request.get_data())), 201)
        if request.method == "DELETE":
            self._erp.faults.clear()
        return _json({"value": self._erp.faults.waiting()})

    def requests(self) -> Response:
        if request.method == "DELETE":
            self._erp.forget_requests()
        return _json({"value": self._erp.requests()})

    def documents(self) -> Response:
        with self._erp.lock:
            return _json(_documents(self._erp.books))

    def delete(self, number: str) -> Response:
        with self._erp.lock:
            _delete_document(self._erp.books, number)
        return _json({})

    def ship(self, number: str) -> Response:
        with self._erp.lock:
            ship_and_invoice(self._erp.books, _order(self._erp.books, number))
        return _json({})

    def items(self) -> Response:
        return self._records("items")

    def customers(self) -> Response:
        return self._records("customers")

    def accounts(self) -> Response:
        return self._records("accounts")

    def latency(self) -> Response:
        if request.method == "PUT":
            body = load(request.get_data())
            milliseconds: Any = body.get("ms") if isinstance(body, dict) else None
            if type(milliseconds) not in {int, Decimal}:
                raise ValueError("ms is a number of milliseconds.")
            self._erp.latency_ms = max(0.0, float(milliseconds))
        return _json({"ms": Decimal(str(self._erp.latency_ms))})

    def switches(self) -> Response:
        if request.method == "PUT":
            body = load(request.get_data())
            with self._erp.lock:
                self._erp.switches.update(body if isinstance(body, dict) else {"": body})
        return _json(self._erp.switches.as_dict())

    def tokens(self) -> Response:
        self._erp.revoke_tokens()
        return _json({})

    def _records(self, entity: str) -> Response:
        with self._erp.lock:
            rows, status = self._erp.books.table(entity).rows(), 200
            if request.method == "POST":
                body = load(request.get_data())
                bodies = body if isinstance(body, list) else [body]
                rows, status = [put(self._erp.books, entity, one) for one in bodies], 201
            return _json({"value": [row.values | row.hidden for row in rows]}, status)


def control_door(erp: Erp) -> Blueprint:
    """The routes of the door."""
    views = _Door(erp)
    door = Blueprint("control", __name__, url_prefix="/_sandbox")
    routes: list[tuple[str, Callable[..., Response], list[str]]] = [
        ("/faults", views.faults, ["GET", "POST", "DELETE"]),
        ("/requests", views.requests, ["GET", "DELETE"]),
        ("/documents", views.documents, ["GET"]),
        ("/documents/<number>/delete", views.delete, ["POST"]),
        ("/documents/<number>/ship", views.ship, ["POST"]),
        ("/items", views.items, ["GET", "POST"]),
        ("/customers", views.customers, ["GET", "POST"]),
        ("/accounts", views.accounts, ["GET", "POST"]),
        ("/latency", views.latency, ["GET", "PUT"]),
        ("/switches", views.switches, ["GET", "PUT"]),
        ("/tokens", views.tokens, ["DELETE"]),
    ]
    for path, view, methods in routes:
        door.add_url_rule(path, view.__name__, view, methods=methods)
    door.register_error_handler(Refusal, _refuse)
    door.register_error_handler(ValueError, _refuse)
    return door
