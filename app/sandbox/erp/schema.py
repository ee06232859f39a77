"""The entities and their properties (contract sections 2 and 7), one table of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

Kind = Literal["guid", "text", "code", "decimal", "integer", "boolean", "date", "datetime", "enum"]

NO_GUID = "00000000-0000-0000-0000-000000000000"
NO_DATE = "0001-01-01"
NO_DATETIME = datetime(1, 1, 1, tzinfo=UTC)

_EMPTY: Mapping[Kind, Any] = {
    "guid": NO_GUID,
    "text": "",
    "code": "",
    "decimal": Decimal(0),
    "integer": 0,
    "boolean": False,
    "date": NO_DATE,
    "datetime": NO_DATETIME,
}


def encode_member(member: str) -> str:
    """An enum member's name as OData writes it: `Non-Inventory` is `Non_x002D_Inventory` (section 2)."""
    return "".join(c if c.isalnum() else f"_x{ord(c):04X}_" for c in member)


@dataclass(frozen=True, slots=True)
class Property:
    """One property: its type, its longest length (0 for none) and whether a client may write it."""

    name: str
    kind: Kind
    limit: int = 0
    locked: bool = False
    members: tuple[str, ...] = ()
    spellings: Mapping[str, str] = field(default_factory=dict)

    @property
    def empty(self) -> Any:
        """What an unset property reads as: never null (section 2)."""
        return encode_member(self.members[0]) if self.members else _EMPTY[self.kind]


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity set. `needs_document` marks lines, which are read by their document only."""

    name: str
    type_name: str
    table: str
    properties: Mapping[str, Property]
    unset: Mapping[str, Any]
    needs_document: str = ""

    def blank(self) -> dict[str, Any]:
        """A row in which every property is unset."""
        return dict(self.unset)


def _guid(name: str, *, locked: bool = False) -> Property:
    return Property(name, "guid", locked=locked)


def _text(name: str, limit: int, *, locked: bool = False) -> Property:
    return Property(name, "text", limit, locked)


def _code(name: str, limit: int, *, locked: bool = False) -> Property:
    return Property(name, "code", limit, locked)


def _plain(kind: Kind, *names: str, locked: bool = False) -> list[Property]:
    return [Property(name, kind, locked=locked) for name in names]


def _enum(name: str, *members: str, locked: bool = False) -> Property:
    spellings = {spelling: encode_member(m) for m in members for spelling in (m, encode_member(m), m.strip())}
    return Property(name, "enum", locked=locked, members=members, spellings=spellings)


def _address(prefix: str, *, locked: bool = False) -> list[Property]:
    limits = {"AddressLine1": 100, "AddressLine2": 50, "City": 30, "Country": 10, "State": 30, "PostCode": 20}
    codes = {"Country", "PostCode"}
    return [
        (_code if part in codes else _text)(prefix + part, limit, locked=locked)
        for part, limit in limits.items()
    ]


def _entity(name: str, type_name: str, table: str, *properties: Property, needs_document: str = "") -> Entity:
    unset = {p.name: p.empty for p in properties}
    return Entity(name, type_name, table, {p.name: p for p in properties}, unset, needs_document)


_ID = _guid("id", locked=True)
_MODIFIED = Property("lastModifiedDateTime", "datetime", locked=True)
_STATUSES = ("Draft", "In Review", "Open")

COMPANIES = _entity(
    "companies", "company", "Company", _ID, _text("name", 30, locked=True), _text("displayName", 250)
)

ITEMS = _entity(
    "items",
    "item",
    "Item",
    _ID,
    _code("number", 20),
    _text("displayName", 100),
    _text("displayName2", 50),
    _enum("type", "Inventory", "Service", "Non-Inventory"),
    _guid("itemCategoryId"),
    _code("itemCategoryCode", 20),
    *_plain("boolean", "blocked"),
    _code("gtin", 14),
    *_plain("decimal", "inventory", locked=True),
    *_plain("decimal", "unitPrice"),
    *_plain("boolean", "priceIncludesTax"),
    *_plain("decimal", "unitCost"),
    _guid("taxGroupId"),
    _code("taxGroupCode", 20),
    _guid("baseUnitOfMeasureId"),
    _code("baseUnitOfMeasureCode", 10),
    _guid("generalProductPostingGroupId"),
    _code("generalProductPostingGroupCode", 20),
    _guid("inventoryPostingGroupId"),
    _code("inventoryPostingGroupCode", 20),
    _MODIFIED,
)

ITEM_VARIANTS = _entity(
    "itemVariants",
    "itemVariant",
    "Item Variant",
    _ID,
    _guid("itemId"),
    _code("itemNumber", 20),
    _code("code", 10),
    _text("description", 100),
)

CUSTOMERS = _entity(
    "customers",
    "customer",
    "Customer",
    _ID,
    _code("number", 20),
    _text("displayName", 100),
    _enum("type", "Company", "Person"),
    _text("addressLine1", 100),
    _text("addressLine2", 50),
    _text("city", 30),
    _text("state", 30),
    _code("country", 10),
    _code("postalCode", 20),
    _text("phoneNumber", 30),
    _text("email", 80),
    _text("website", 80),
    _code("salespersonCode", 20),
    *_plain("decimal", "balanceDue", locked=True),
    *_plain("decimal", "creditLimit"),
    *_plain("boolean", "taxLiable"),
    _guid("taxAreaId"),
    _text("taxAreaDisplayName", 100, locked=True),
    _text("taxRegistrationNumber", 20),
    _guid("currencyId"),
    _code("currencyCode", 10),
    _guid("paymentTermsId"),
    _guid("shipmentMethodId"),
    _guid("paymentMethodId"),
    _enum("blocked", " ", "Ship", "Invoice", "All"),
    _MODIFIED,
)

_PARTIES = (
    _guid("customerId"),
    _code("customerNumber", 20),
    _text("customerName", 100, locked=True),
    _text("billToName", 100, locked=True),
    _guid("billToCustomerId"),
    _code("billToCustomerNumber", 20),
    _text("shipToName", 100),
    _text("shipToContact", 100),
    *_address("sellTo"),
    *_address("billTo", locked=True),
    *_address("shipTo"),
    _code("shortcutDimension1Code", 20),
    _code("shortcutDimension2Code", 20),
    _guid("currencyId"),
    _code("currencyCode", 10),
)
_TOTALS = (
    *_plain("decimal", "discountAmount"),
    *_plain("boolean", "discountAppliedBeforeTax", locked=True),
    *_plain("decimal", "totalAmountExcludingTax", "totalTaxAmount", "totalAmountIncludingTax", locked=True),
)

SALES_ORDERS = _entity(
    "salesOrders",
    "salesOrder",
    "Sales Header",
    _ID,
    _code("number", 20, locked=True),
    _code("externalDocumentNumber", 35),
    *_plain("date", "orderDate", "postingDate"),
    *_PARTIES,
    *_plain("boolean", "pricesIncludeTax"),
    _guid("paymentTermsId"),
    _guid("shipmentMethodId"),
    _code("salesperson", 20),
    *_plain("boolean", "partialShipping"),
    *_plain("date", "requestedDeliveryDate"),
    *_TOTALS,
    *_plain("boolean", "fullyShipped"),
    _enum("status", *_STATUSES, locked=True),
    _MODIFIED,
    _text("phoneNumber", 30),
    _text("email", 80),
)

SALES_INVOICES = _entity(
    "salesInvoices",
    "salesInvoice",
    "Sales Invoice Header",
    _ID,
    _code("number", 20, locked=True),
    _code("externalDocumentNumber", 35),
    *_plain("date", "invoiceDate", "postingDate", "dueDate"),
    _text("customerPurchaseOrderReference", 35),
    *_PARTIES,
    _guid("orderId", locked=True),
    _code("orderNumber", 20, locked=True),
    _guid("paymentTermsId"),
    _guid("shipmentMethodId"),
    _code("salesperson", 20),
    *_plain("boolean", "pricesIncludeTax"),
    *_plain("decimal", "remainingAmount", locked=True),
    *_TOTALS,
    _enum("status", " ", *_STATUSES, "Paid", "Canceled", "Corrective", locked=True),
    _MODIFIED,
    _text("phoneNumber", 30),
    _text("email", 80),
)

SALES_SHIPMENTS = _entity(
    "salesShipments",
    "salesShipment",
    "Sales Shipment Header",
    _ID,
    _code("number", 20, locked=True),
    _code("externalDocumentNumber", 35),
    *_plain("date", "invoiceDate", "postingDate", "dueDate"),
    _text("customerPurchaseOrderReference", 35),
    *_PARTIES,
    _code("orderNumber", 20, locked=True),
    _MODIFIED,
    _text("phoneNumber", 30),
    _text("email", 80),
)

_LINE_TYPES = ("Comment", "Account", "Item", "Resource", "Fixed Asset", "Charge", "Allocation Account")
_LINE_HEAD = (
    _ID,
    _guid("documentId"),
    *_plain("integer", "sequence"),
    _guid("itemId"),
    _guid("accountId"),
    _enum("lineType", *_LINE_TYPES),
    _code("lineObjectNumber", 20),
    _text("description", 100),
    _text("description2", 50),
    _guid("unitOfMeasureId"),
    _code("unitOfMeasureCode", 10),
)

SALES_ORDER_LINES = _entity(
    "salesOrderLines",
    "salesOrderLine",
    "Sales Line",
    *_LINE_HEAD,
    _guid("itemVariantId"),
    *_plain("decimal", "quantity", "unitPrice", "discountAmount", "discountPercent"),
    *_plain("boolean", "discountAppliedBeforeTax", locked=True),
    *_plain("decimal", "amountExcludingTax", locked=True),
    _code("taxCode", 20),
    *_plain(
        "decimal",
        "taxPercent",
        "totalTaxAmount",
        "amountIncludingTax",
        "invoiceDiscountAllocation",
        "netAmount",
        "netTaxAmount",
        "netAmountIncludingTax",
        locked=True,
    ),
    *_plain("date", "shipmentDate"),
    *_plain("decimal", "shippedQuantity", "invoicedQuantity", locked=True),
    *_plain("decimal", "invoiceQuantity", "shipQuantity"),
    needs_document="salesOrders",
)


def _posted_lines(name: str, type_name: str, table: str, document: str) -> Entity:
    return _entity(name, type_name, table, *SALES_ORDER_LINES.properties.values(), needs_document=document)


SALES_INVOICE_LINES = _posted_lines(
    "salesInvoiceLines", "salesInvoiceLine", "Sales Invoice Line", "salesInvoices"
)
SALES_SHIPMENT_LINES = _entity(
    "salesShipmentLines",
    "salesShipmentLine",
    "Sales Shipment Line",
    _ID,
    _guid("documentId"),
    _code("documentNumber", 20),
    *_plain("integer", "sequence"),
    _enum("lineType", *_LINE_TYPES),
    _code("lineObjectNumber", 20),
    _text("description", 100),
    _text("description2", 50),
    _code("unitOfMeasureCode", 10),
    *_plain("decimal", "unitPrice", "quantity"),
    *_plain("date", "shipmentDate"),
    needs_document="salesShipments",
)

ACCOUNTS = _entity(
    "accounts",
    "account",
    "G/L Account",
    _ID,
    _code("number", 20),
    _text("displayName", 100),
    _enum("category", " ", "Assets", "Liabilities", "Equity", "Income", "Cost of Goods Sold", "Expense"),
    _text("subCategory", 80),
    *_plain("boolean", "blocked"),
    _enum("accountType", "Posting", "Heading", "Total", "Begin Total", "End Total"),
    *_plain("boolean", "directPosting"),
    *_plain("decimal", "netChange", locked=True),
    _MODIFIED,
)

CURRENCIES = _entity(
    "currencies",
    "currency",
    "Currency",
    _ID,
    _code("code", 10),
    _text("displayName", 30),
    _text("symbol", 10),
    _text("amountDecimalPlaces", 5),
    *_plain("decimal", "amountRoundingPrecision"),
    _MODIFIED,
)

SHIPMENT_METHODS = _entity(
    "shipmentMethods",
    "shipmentMethod",
    "Shipment Method",
    _ID,
    _code("code", 10),
    _text("displayName", 100),
    _MODIFIED,
)

ENTITIES: Mapping[str, Entity] = {
    entity.name: entity
    for entity in (
        ITEMS,
        ITEM_VARIANTS,
        CUSTOMERS,
        SALES_ORDERS,
        SALES_ORDER_LINES,
        SALES_INVOICES,
        SALES_INVOICE_LINES,
        SALES_SHIPMENTS,
        SALES_SHIPMENT_LINES,
        ACCOUNTS,
        CURRENCIES,
        SHIPMENT_METHODS,
    )
}
LINES_OF: Mapping[str, str] = {e.needs_document: e.name for e in ENTITIES.values() if e.needs_document}
