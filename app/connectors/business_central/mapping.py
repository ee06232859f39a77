"""Their words to ours and ours to theirs. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from app.connectors.business_central import fitting, schema
from app.connectors.business_central.lines import line_body, planned_lines
from app.connectors.business_central.settings import Settings
from app.domain.order import Address, Order, sku_key
from app.errors import Misconfigured, Reject, Retry
from app.ports.erp import Draft, ErpCustomer, ErpDocument, ErpItem, ItemKind, Plan, PlannedLine
from app.transport import json_text

_KINDS = {
    "Inventory": ItemKind.INVENTORY,
    "Non-Inventory": ItemKind.NON_INVENTORY,
    "Service": ItemKind.SERVICE,
}
_ITEM = schema.ItemRow()
_CUSTOMER = schema.CustomerRow()
_DOCUMENT = schema.DocumentRow()
_UNSET_YEAR = 1


def item(row: Any) -> ErpItem:
    """A row of `items`. Raises `Misconfigured` for a type that is not known here: guessing it could ship a kit twice."""
    loaded = schema.load(_ITEM, row)
    kind = _KINDS.get(schema.plain(loaded["type"]))
    if kind is None:
        raise Misconfigured(
            f"The item {loaded['number']} has the type {schema.plain(loaded['type'])!r}, which Order Sync does not know."
        )
    return ErpItem(
        number=sku_key(loaded["number"]),
        name=loaded["displayName"],
        blocked=loaded["blocked"],
        kind=kind,
        modified_at=_moment(loaded["lastModifiedDateTime"]),
    )


def customer(row: Any) -> ErpCustomer:
    """A row of `customers`."""
    loaded = schema.load(_CUSTOMER, row)
    return ErpCustomer(
        number=loaded["number"],
        name=loaded["displayName"],
        email=loaded["email"],
        blocked=schema.plain(loaded["blocked"]),
    )


def document(row: Any) -> ErpDocument:
    """A row of `salesOrders`."""
    return _document(schema.load(_DOCUMENT, row), posted=False)


def documents(rows: Iterable[tuple[str, Any]]) -> dict[str, tuple[ErpDocument, ...]]:
    """Rows of `salesOrders` and `salesInvoices` as documents, by external number in upper case.

    An order that was invoiced in part stands in both places, and one invoiced in parts leaves several invoices; each is
    still one document. Invoices that name the same order are one, with their totals added; the open order stands for its own.
    """
    found: dict[str, list[ErpDocument]] = {}
    orders: set[str] = set()
    invoiced: dict[tuple[str, str], ErpDocument] = {}
    loaded = [(entity, schema.load(_DOCUMENT, row)) for entity, row in rows]
    for entity, row in loaded:
        if entity == "salesOrders":
            orders.add(row["number"])
            found.setdefault(sku_key(row["externalDocumentNumber"]), []).append(_document(row, posted=False))
    for entity, row in loaded:
        if entity == "salesOrders" or row["orderNumber"] in orders:
            continue
        key = (sku_key(row["externalDocumentNumber"]), row["orderNumber"] or row["id"])
        invoice = _document(row, posted=True)
        earlier = invoiced.get(key)
        invoiced[key] = invoice if earlier is None else replace(earlier, total=earlier.total + invoice.total)
    for (external_number, _), invoice in invoiced.items():
        found.setdefault(external_number, []).append(invoice)
    return {number: tuple(each) for number, each in found.items()}


def order_body(draft: Draft, *, settings: Settings) -> dict[str, Any]:
    """The deep insert of one order, in the page's own order of properties. Raises `Reject` where it cannot be written."""
    order = draft.order
    ship = order.ship if _has_address(order.ship) else order.bill
    body: dict[str, Any] = {
        "externalDocumentNumber": external_number(draft.external_number),
        "orderDate": order.created_at.astimezone(UTC).date().isoformat(),
        "customerNumber": _required(draft.customer_number, fitting.NUMBER, what="The customer number"),
        "shipToName": fitting.text(ship.company or ship.name, fitting.NAME),
        "shipToContact": fitting.text(ship.name, fitting.NAME),
        **_address(order.bill, prefix="sellTo", settings=settings),
        **_address(ship, prefix="shipTo", settings=settings),
    }
    # The company's own currency is stored blank, and its code need not be in the currency table (contract section 2).
    if order.currency != settings.company_currency:
        body["currencyCode"] = fitting.code(order.currency, fitting.CURRENCY, what="The currency")
    return body | {
        "pricesIncludeTax": False,
        "phoneNumber": fitting.phone(order.bill.phone),
        "email": fitting.code(order.bill.email, fitting.EMAIL, what="The e-mail address", shown=False),
        "salesOrderLines": [line_body(line, settings=settings) for line in _lines(draft, settings)],
    }


def order_plan(draft: Draft, *, settings: Settings) -> Plan:
    """What `order_body` writes, line by line, and its text as it is sent. Raises `Reject` as that does."""
    request = json_text(order_body(draft, settings=settings))
    return Plan(lines=_lines(draft, settings), request=request)


def _lines(draft: Draft, settings: Settings) -> tuple[PlannedLine, ...]:
    return planned_lines(order=draft.order, items=draft.items, settings=settings)


def external_number(number: str) -> str:
    """The number as the ERP stores it. Raises `Reject` where it does not fit: cut, it could be another order's."""
    return _required(sku_key(number), fitting.EXTERNAL_NUMBER, what="The order number")


def customer_body(order: Order, *, settings: Settings) -> dict[str, Any]:
    """A new customer from the billing address; the ERP's number series gives the number. Raises `Reject`."""
    bill = order.bill
    email = fitting.code(bill.email, fitting.EMAIL, what="The e-mail address", shown=False)
    name = fitting.text(bill.company or bill.name or email, fitting.NAME)
    if not name:
        raise Reject(
            "The billing address has neither a name nor an e-mail address to make a customer from.",
            field="/bill",
        )
    fields = _address(bill, prefix="", settings=settings)
    return {
        "displayName": name,
        "type": "Company" if bill.company.strip() else "Person",
        "addressLine1": fields["AddressLine1"],
        "addressLine2": fields["AddressLine2"],
        "city": fields["City"],
        "state": fields["State"],
        "country": fields["Country"],
        "postalCode": fields["PostCode"],
        "phoneNumber": fitting.phone(bill.phone),
        "email": email,
    }


def _address(address: Address, *, prefix: str, settings: Settings) -> dict[str, str]:
    """All six parts, empty ones too: the ERP fills what is left out from the customer's own address (contract section 2)."""
    country = settings.countries.get(address.country, address.country)
    return {
        f"{prefix}AddressLine1": fitting.text(address.address1, fitting.ADDRESS_1),
        f"{prefix}AddressLine2": fitting.text(address.address2, fitting.ADDRESS_2),
        f"{prefix}City": fitting.text(address.city, fitting.CITY),
        f"{prefix}Country": fitting.code(country, fitting.COUNTRY, what="The country", shown=False),
        f"{prefix}State": fitting.text(address.state, fitting.STATE),
        f"{prefix}PostCode": fitting.code(
            address.postcode, fitting.POSTCODE, what="The postcode", shown=False
        ),
    }


def _has_address(address: Address) -> bool:
    return any((address.address1, address.city, address.postcode, address.country))


def _required(value: str, length: int, *, what: str) -> str:
    number = fitting.code(value, length, what=what)
    if not number:
        raise Reject(f"{what} is empty.")
    return number


def _document(row: Mapping[str, Any], *, posted: bool) -> ErpDocument:
    return ErpDocument(
        id=row["id"],
        number=row["number"],
        external_number=row["externalDocumentNumber"],
        customer_number=row["customerNumber"],
        total=row["totalAmountIncludingTax"],
        currency=row["currencyCode"],
        posted=posted,
    )


def _moment(text: str) -> datetime | None:
    """A time in UTC; an unset one (year 1) is None."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Retry(f"Business Central sent a time that cannot be read ({text}).") from None
    if moment.year == _UNSET_YEAR:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
