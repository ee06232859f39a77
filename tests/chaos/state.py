"""What the shops, the ERP and the database hold, read without a line of the program: control doors and plain SQL."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

Row = dict[str, Any]
_PAID = (11, 9)
_CENT = Decimal("0.01")
Tell = Callable[[str, str], Any]
"""Asks a control door: method and path; its JSON."""


@dataclass(frozen=True, slots=True)
class ShopOrder:
    """How an order stands in its shop. `wrong`: its own figures do not add up; `wanted`: its status is one that is read.

    `present` is what a stored version of it has to say.
    """

    site: str
    id: str
    number: str
    skus: tuple[str, ...]
    present: "Present"
    wrong: bool
    wanted: bool
    marked: bool
    modified: datetime

    @property
    def total(self) -> Decimal:
        """What the shop asks for it."""
        return self.present.total


@dataclass(frozen=True, slots=True)
class Present:
    """What of an order is changed by those who edit or cancel it: its status as the shop writes it, its total, the buyer's note."""

    status: str
    total: Decimal
    note: str

    def __str__(self) -> str:
        return f"status {self.status}, {self.total}" + (f", {self.note!r}" if self.note else "")


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the ERP."""

    number: str
    external: str
    total: Decimal


@dataclass(frozen=True, slots=True)
class State:
    """Everything that is checked. Tables are rows as the database has them, by the tables' names."""

    orders: tuple[ShopOrder, ...]
    documents: tuple[Document, ...]
    customers: tuple[str, ...]
    """The e-mail addresses of the ERP's customers, in lower case."""
    items: frozenset[str]
    tables: Mapping[str, list[Row]]


_TABLES: Mapping[str, str] = {
    "rm_sites": "id, name, prefix, cursor_modified, cursor_order_id, lease_until, lease_token, failures",
    "rm_thread": (
        "id, site_id, platform_order_id, order_number, version, amended_version, stage, state, reason, next_at, lease_until, "
        "lease_token, attempts, unsettled"
    ),
    "rm_erps": "id, name, lease_until, lease_token",
    "rm_items": "sku",
    "rm_step": "id, thread_id, kind, state, reason, next_at, lease_until, lease_token, intent_at, document_number",
    "rm_order": "id, thread_id, external_number, total, imported, acknowledged_at, erp_document_number",
    "rm_error_orders": "id, thread_id, kind, stage, reason, resolved_at",
    "rm_run": "id, site_id, state, started_at, read_at, finished_at",
    "rm_delivery": "id, site_id, platform_order_id, next_at, done_at, lease_until, lease_token",
    "rm_inbox": "site_id, platform_order_id, version, body",
}


def read_tables(url: str) -> Mapping[str, list[Row]]:
    """The columns that matter of the tables that matter, in one transaction."""
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            return {
                table: [
                    dict(row) for row in connection.execute(text(f"SELECT {columns} FROM {table}")).mappings()
                ]
                for table, columns in _TABLES.items()
            }
    finally:
        engine.dispose()


def moment(value: Any) -> datetime | None:
    """A time of the database, which SQLite keeps as text and the others without its zone: all are UTC."""
    if value is None:
        return None
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    assert isinstance(found, datetime)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def stored_of(body: str) -> Present:
    """What a stored body of either shop says."""
    read = json.loads(body, parse_float=Decimal)
    return _big_present(read) if "status_id" in read else _woo_present(read)


def _woo_present(body: Row) -> Present:
    return Present(
        body["status"], Decimal(body["total"]).quantize(_CENT), str(body.get("customer_note") or "")
    )


def _big_present(body: Row) -> Present:
    total = Decimal(str(body["total_inc_tax"])).quantize(_CENT)
    # Our mark takes an order from one of the paid statuses to the other, which is no change of it.
    status = "paid" if body["status_id"] in _PAID else str(body["status_id"])
    return Present(status, total, str(body.get("customer_message") or ""))


def woo_orders(tell: Tell, *, site: str) -> list[ShopOrder]:
    """What the WooCommerce shop holds."""
    return [_woo(row, site=site) for row in tell("GET", "orders?full=1")]


def _woo(row: Row, *, site: str) -> ShopOrder:
    body = row["body"]
    lines = sum(
        (
            Decimal(line["total"]) + Decimal(line["total_tax"])
            for kind in ("line_items", "shipping_lines", "fee_lines")
            for line in body[kind]
        ),
        Decimal(0),
    )
    total = Decimal(body["total"])
    return ShopOrder(
        site=site,
        id=str(row["id"]),
        number=str(body["number"]),
        skus=tuple(line["sku"] or "" for line in body["line_items"]),
        present=_woo_present(body),
        wrong=abs(lines - total) >= Decimal("0.02"),
        wanted=body["status"] == "processing",
        marked=row["mark"] is not None,
        modified=datetime.fromisoformat(body["date_modified_gmt"]).replace(tzinfo=UTC),
    )


def big_orders(tell: Tell, *, site: str) -> list[ShopOrder]:
    """What the BigCommerce store holds."""
    return [_big(row, site=site) for row in tell("GET", "orders?full=1")]


def _big(row: Row, *, site: str) -> ShopOrder:
    body = row["body"]
    names = ("subtotal_inc_tax", "shipping_cost_inc_tax", "handling_cost_inc_tax", "wrapping_cost_inc_tax")
    total = Decimal(str(body["total_inc_tax"]))
    off = Decimal(str(body["discount_amount"])) + Decimal(str(body["coupon_discount"]))
    computed = sum((Decimal(str(body[name])) for name in names), -off)
    marked = "Exported to middleware" in (row["staff_notes"] or "")
    return ShopOrder(
        site=site,
        id=str(row["id"]),
        number=str(row["id"]),
        skus=tuple(line["sku"] for line in row["lines"]),
        present=_big_present({**body, "status_id": row["status_id"]}),
        # Without the tax that a discount spares, which is shared out over the lines.
        wrong=abs(computed - total) >= Decimal("2.00"),
        wanted=row["status_id"] in _PAID,
        marked=marked,
        modified=parsedate_to_datetime(row["date_modified"]),
    )


def erp_documents(tell: Tell) -> list[Document]:
    """The ERP's orders and invoices."""
    return [
        Document(each["number"], each["externalDocumentNumber"], Decimal(each["totalAmountIncludingTax"]))
        for each in tell("GET", "documents")["documents"]
    ]


def erp_customers(tell: Tell) -> list[str]:
    """The addresses of those customers of the ERP that have one."""
    return [each["email"].lower() for each in tell("GET", "customers")["value"] if each.get("email")]


def erp_items(tell: Tell) -> frozenset[str]:
    """The numbers of the ERP's items."""
    return frozenset(each["number"] for each in tell("GET", "items")["value"])


Reader = Callable[..., list[ShopOrder]]


def read_state(*, url: str, erp: Tell, shops: Sequence[tuple[str, Reader, Tell]]) -> State:
    """All of it, the outside first: what is written there is known here already. `shops` are sites, how and where they are read."""
    return State(
        orders=tuple(order for site, reader, tell in shops for order in reader(tell, site=site)),
        documents=tuple(erp_documents(erp)),
        customers=tuple(erp_customers(erp)),
        items=erp_items(erp),
        tables=read_tables(url),
    )
