"""One company's books: its tables, number series and the codes it knows."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.sandbox.erp.errors import Refusal, no_relation, record_not_found
from app.sandbox.erp.ledger import Journal, Row, Table
from app.sandbox.erp.schema import ENTITIES, NO_GUID
from app.sandbox.erp.switches import Switches

UNTAXED = "NONTAXABLE"
_SERIES = {
    "customers": ("C", 5, 10, 10),
    "salesOrders": ("S-ORD", 6, 101001, 1),
    "salesInvoices": ("PS-INV", 6, 103001, 1),
    "salesShipments": ("S-SHPT", 6, 102001, 1),
    "assemblyOrders": ("A", 5, 1, 1),
}
_INDEXES = {
    "items": ("number",),
    "itemVariants": ("itemId", "itemNumber"),
    "customers": ("number", "email", "tolower(email)"),
    "salesOrders": ("number", "externalDocumentNumber", "customerNumber"),
    "salesOrderLines": ("documentId",),
    "salesInvoices": ("number", "externalDocumentNumber", "orderNumber", "customerNumber"),
    "salesInvoiceLines": ("documentId",),
    "salesShipments": ("number", "externalDocumentNumber", "orderNumber", "customerNumber"),
    "salesShipmentLines": ("documentId",),
    "accounts": ("number",),
    "currencies": ("code",),
    "shipmentMethods": ("code",),
}


class Books:
    """A company's records. All access goes through the lock of the `Erp` that owns it."""

    def __init__(
        self,
        *,
        company_id: str,
        name: str,
        journal: Journal,
        switches: Switches,
        clock: Callable[[], datetime],
        own_currency: str = "USD",
    ) -> None:
        self.company_id = company_id
        self.name = name
        self.switches = switches
        self.own_currency = own_currency
        self.tax_codes = {"TAXABLE", UNTAXED, "LABOR", "MATERIALS"}
        self.units = {"PCS", "EA", "BOX", "HOUR", "KG"}
        self._clock = clock
        self._next = {series: start for series, (_, _, start, _) in _SERIES.items()}
        self._tables = {name: Table(e, journal, _INDEXES.get(name, ())) for name, e in ENTITIES.items()}

    def table(self, name: str) -> Table:
        """The rows of one entity set."""
        return self._tables[name]

    def now(self) -> datetime:
        """The clock, to the millisecond."""
        moment = self._clock()
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def next_number(self, series: str) -> str:
        """The next free number of a series: `C00010`, then `C00020` (section 2, customers)."""
        prefix, width, _, step = _SERIES[series]
        while True:
            number = f"{prefix}{self._next[series]:0{width}d}"
            self._next[series] += step
            if series not in self._tables or self._tables[series].first("number", number) is None:
                return number

    def row(self, entity: str, key: str) -> Row:
        """The row with this id, or 404."""
        row = self._tables[entity].get(key)
        if row is None:
            raise record_not_found(self._tables[entity].entity.table, key)
        return row

    def add(self, entity: str, values: dict[str, Any], hidden: dict[str, Any] | None = None) -> Row:
        """Insert a row, stamped with the time."""
        table = self._tables[entity]
        return table.add(self._stamped(table, values), hidden)

    def change(
        self, entity: str, row: Row, values: dict[str, Any], hidden: dict[str, Any] | None = None
    ) -> None:
        """Change a row, stamped with the time."""
        table = self._tables[entity]
        table.change(row, self._stamped(table, values), hidden)

    def lines(self, entity: str, document: Row) -> list[Row]:
        """The lines of a document, in sequence."""
        rows = self._tables[entity].find("documentId", document.id)
        return sorted(rows, key=lambda row: int(row.values["sequence"]))

    def currency(self, *, code: str | None, key: str | None, table: str) -> dict[str, Any]:
        """The currency's two properties; the company's own is kept blank, read as its code (section 2)."""
        unset = not code or code == self.own_currency
        if unset and (key is None or key == NO_GUID):
            return {"currencyCode": self.own_currency, "currencyId": NO_GUID}
        currencies = self._tables["currencies"]
        row = currencies.first("code", code) if code else currencies.get(key or "")
        if row is None:
            raise self._unknown_currency(table, code or key or "")
        if code and key and key not in {NO_GUID, row.id}:
            raise Refusal(
                400, "Application_DialogException", "The currency values do not match to a specific Currency."
            )
        own = row.values["code"] == self.own_currency
        return {"currencyCode": row.values["code"], "currencyId": NO_GUID if own else row.id}

    def precision(self, currency_code: str) -> Decimal:
        """The currency's amount rounding precision, 0.01 unless set (section 7)."""
        row = self._tables["currencies"].first("code", currency_code)
        found = row.values["amountRoundingPrecision"] if row else Decimal(0)
        return found or Decimal("0.01")

    def _unknown_currency(self, table: str, value: str) -> Refusal:
        return no_relation(field="Currency Code", table=table, value=value, related="Currency")

    def _stamped(self, table: Table, values: dict[str, Any]) -> dict[str, Any]:
        if "lastModifiedDateTime" not in table.entity.properties:
            return values
        return {"lastModifiedDateTime": self.now()} | values
