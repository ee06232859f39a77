"""What an explanation is made from: all that is stored of an order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.domain import document
from app.domain.order import Address, Line, LineType, Order, Payment
from app.domain.road import Stage
from app.errors import Misconfigured
from app.ports.explaining import Evidence
from app.ports.store import ErpRow, Site
from app.sync.options import erp_options
from app.sync.parts import Parts, erp_of

_SOMEBODY = "?"
"""Stands for a customer that is not known yet: no amount depends on who it is."""
_COLUMNS = (
    *("position", "name", "amount", "sku", "quantity", "listed", "credit"),
    *("nominal", "tax", "parent", "platform_line_id", "detail"),
)
"""The columns of a line that are named as in `Line`."""


@dataclass(frozen=True, slots=True)
class Material:
    """What is stored of an order. `order` is as it stands, None while it is not normalized.

    Where its personal data was erased, `order` is what its rows have kept of it, amounts above all.
    """

    order_number: str
    platform_order_id: str
    site_name: str
    state: str
    stage: Stage
    reason: str
    erased_at: datetime | None
    order: Order | None
    site: Site | None
    erp: ErpRow | None
    external_number: str
    customer_number: str
    erp_document: str
    erp_total: Decimal | None
    waiting_version: int | None
    evidence: Evidence


def material_of(parts: Parts, key: str) -> Material:
    """What is stored of the order `key`: all that an explanation is made from. Raises `Misconfigured`."""
    details = parts.store.order_details(key)
    if details is None:
        raise Misconfigured(f"There is no order {key!r}.")
    thread, row = details["thread"], details["order"]
    evidence = parts.store.evidence(thread["id"])
    sites = {each.id: each for each in (*parts.store.sites(), *parts.store.removed_sites())}
    site = sites.get(thread["site_id"])
    order = document.load_text(thread["document"]) if thread["document"] else None
    if thread["erased_at"] is not None and order is None and row is not None:
        order = _kept(row, details["lines"])
    erp = _erp_row(parts, site, None if row is None else row["erp_id"])
    return Material(
        order_number=thread["order_number"],
        platform_order_id=thread["platform_order_id"],
        site_name=thread["site"],
        state=thread["state"],
        stage=Stage(thread["stage"]),
        reason=thread["reason"],
        erased_at=thread["erased_at"],
        order=order,
        site=site,
        erp=erp,
        external_number="" if row is None else row["external_number"],
        customer_number=_customer(parts, erp, order, "" if row is None else row["erp_customer_number"]),
        erp_document="" if row is None else row["erp_document_number"],
        erp_total=None if row is None else row["erp_total"],
        waiting_version=thread["amended_version"],
        evidence=evidence,
    )


def _erp_row(parts: Parts, site: Site | None, erp_id: int | None) -> ErpRow | None:
    """The ERP that the order was written for, else the one it would go to; None where that cannot be said."""
    for each in parts.store.erps():
        if each.id == erp_id:
            return each
    try:
        return None if site is None or erp_id is not None else erp_of(parts, site)
    except Misconfigured:
        return None


def _customer(parts: Parts, erp: ErpRow | None, order: Order | None, written: str) -> str:
    """The customer of the order as far as it is known already."""
    if written or erp is None or order is None:
        return written or _SOMEBODY
    email = order.bill.email.strip().lower()
    known = parts.store.customer_numbers(erp.id, [email])
    return known.get(email) or erp_options(erp.settings).default_customer or _SOMEBODY


def _kept(row: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Order:
    """The order as its rows have it: without the people, whose data was erased."""
    return Order(
        number=row["order_number"],
        platform_order_id=row["platform_order_id"],
        currency=row["currency"],
        total=row["total"],
        created_at=row["order_date"],
        created_raw=row["order_date_raw"],
        bill=Address(),
        ship=Address(country=row["ship_country"]),
        payment=Payment(method=row["payment_method"], title=row["payment_title"]),
        lines=tuple(
            Line(type=LineType(each["line_type"]), **{name: each[name] for name in _COLUMNS})
            for each in lines
        ),
        status=row["status"],
    )
