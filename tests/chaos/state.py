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
Tell = Callable[[str, str], Any]
"""Asks a control door: method and path; its JSON."""


@dataclass(frozen=True, slots=True)
class ShopOrder:
    """How an order stands in its shop. `wrong`: its own figures do not add up; `wanted`: its status is one that is read."""

    site: str
    id: str
    number: str
    skus: tuple[str, ...]
    total: Decimal
    wrong: bool
    wanted: bool
    marked: bool
    modified: datetime


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
    "rm_step": "id, thread_id, kind, state, reason, next_at, lease_until, lease_token, intent_at, document_number",
    "rm_order": "id, thread_id, external_number, total, imported, acknowledged_at, erp_document_number",
    "rm_error_orders": "id, thread_id, kind, stage, reason, resolved_at",
    "rm_run": "id, site_id, state, started_at, read_at, finished_at",
    "rm_delivery": "id, site_id, platform_order_id, next_at, done_at, lease_until",
    "rm_inbox": "site_id, platform_order_id, version",
}
_AMENDED = """
    SELECT t.id AS thread_id, i.version, i.body FROM rm_thread t
    JOIN rm_inbox i ON i.site_id = t.site_id AND i.platform_order_id = t.platform_order_id
    WHERE t.amended_version IS NOT NULL AND i.version IN (t.version, t.amended_version)
"""


def read_tables(url: str) -> Mapping[str, list[Row]]:
    """The columns that matter of the tables that matter, in one transaction; `amended` has the bodies of amended orders."""
    engine = create_engine(url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            asked = {table: f"SELECT {columns} FROM {table}" for table, columns in _TABLES.items()}
            return {
                table: [dict(row) for row in connection.execute(text(query)).mappings()]
                for table, query in {**asked, "amended": _AMENDED}.items()
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


def total_of(body: str) -> Decimal:
    """The total of a stored body of either shop."""
    read = json.loads(body, parse_float=Decimal)
    total: Decimal = Decimal(str(read["total"] if "total" in read else read["total_inc_tax"]))
    return total.quantize(Decimal("0.01"))


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
        total=total,
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
        total=total.quantize(Decimal("0.01")),
        # Without the tax that a discount spares, which is shared out over the lines.
        wrong=abs(computed - total) >= Decimal("2.00"),
        wanted=row["status_id"] in {11, 9},
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
