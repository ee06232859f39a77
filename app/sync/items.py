"""Items and kits: read from the ERP by what changed, or imported from a person's file."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import structlog

from app.domain.kits import Component, KitError, Kits, leaves
from app.domain.order import sku_key
from app.errors import Misconfigured, OrderSyncError, UsageError
from app.ports.store import ErpRow, Site
from app.sync.parts import Parts, erp_maintenance_until, erp_of, paused_sentence
from app.sync.policy import HOLD_SKU, pause_until
from app.sync.schedule import next_items_run

log = structlog.get_logger("ordersync.items")


@dataclass(frozen=True, slots=True)
class ItemsResult:
    """How an item sync ended: `done`, `paused`, `failed` or `busy`."""

    state: str
    read: int = 0
    new: int = 0
    released: int = 0
    reason: str = ""


def sync_items(parts: Parts, *, erp_id: int) -> ItemsResult:
    """Read the ERP's items changed since the last time. Orders that waited for a new item are made due."""
    row = next(each for each in parts.store.erps() if each.id == erp_id)
    until = erp_maintenance_until(parts, row)
    if until is not None:
        return ItemsResult(state="paused", reason=paused_sentence(parts.store.now(), until))
    token = parts.store.claim_items_sync(erp_id, lease_seconds=parts.limits.lease)
    if token is None:
        return ItemsResult(state="busy", reason="Another run is reading the items at this moment.")
    try:
        result = _sync(parts, row)
    except Misconfigured as error:
        parts.store.pause_erp(erp_id, until=pause_until(parts.store.now()), reason=error.reason)
        log.error("erp_paused", erp=row.name, reason=error.reason)  # noqa: TRY400 - the reason says all; a trace would not help
        result = ItemsResult(state="failed", reason=error.reason)
    except OrderSyncError as error:
        result = ItemsResult(state="failed", reason=error.reason)
    finally:
        parts.store.release_items_sync(erp_id, token, next_run=next_items_run(parts, dict(row.settings)))
    log.info(
        "items_synced",
        erp=row.name,
        state=result.state,
        read=result.read,
        new=result.new,
        released=result.released,
    )
    return result


def _sync(parts: Parts, row: ErpRow) -> ItemsResult:
    read = new = 0
    for page in parts.peers.erp(row).changed_items(row.items_cursor):
        times = [item.modified_at for item in page if item.modified_at is not None]
        new += parts.store.save_items(row.id, page, source="erp", cursor=max(times, default=None))
        read += len(page)
    released = parts.store.release_held(hold_kind=HOLD_SKU, erp_id=row.id) if new else 0
    if row.paused_reason is not None:
        parts.store.pause_erp(row.id, until=None, reason=None)
    return ItemsResult(state="done", read=read, new=new, released=released)


def fill_if_empty(parts: Parts, site: Site) -> None:
    """Before the first orders: without any item known, every order would be held. Failures show when SKUs are verified."""
    row = erp_of(parts, site)
    if not parts.store.has_items(row.id):
        sync_items(parts, erp_id=row.id)


def import_items(parts: Parts, *, erp_id: int, lines: Iterable[str]) -> int:
    """Items from CSV text with the columns sku, name, status (`allowed` or `not_allowed`). Returns how many are new.

    Raises `UsageError` naming the line, before anything is stored.
    """
    found: dict[str, tuple[str, str]] = {}
    for number, record in _records(lines, required=("sku",)):
        status = (record.get("status") or "allowed").strip().lower()
        if status not in {"allowed", "not_allowed"}:
            raise UsageError(f"Line {number}: the status {status!r} must be `allowed` or `not_allowed`.")
        found[_sku(record["sku"], number)] = ((record.get("name") or "").strip(), status)
    new = parts.store.set_item_status(erp_id, found, source="import")
    parts.store.release_held(hold_kind=HOLD_SKU, erp_id=erp_id)
    return new


def import_kits(parts: Parts, *, lines: Iterable[str]) -> int:
    """Kits from CSV text with the columns parent_sku, component_sku, quantity. Returns how many kits were stored.

    Raises `UsageError` naming the line, or the circle, before anything is stored.
    """
    found: dict[str, dict[str, Component]] = {}
    for number, record in _records(lines, required=("parent_sku", "component_sku", "quantity")):
        parent, component = _sku(record["parent_sku"], number), _sku(record["component_sku"], number)
        if component in found.setdefault(parent, {}):
            raise UsageError(
                f"Line {number}: {component} stands twice in the kit {parent}; give its whole quantity once."
            )
        found[parent][component] = Component(sku=component, quantity=_quantity(record["quantity"], number))
    kits: dict[str, tuple[Component, ...]] = {parent: tuple(each.values()) for parent, each in found.items()}
    _refuse_circles({**parts.store.kits(), **kits}, kits)
    parts.store.save_kits(kits)
    return len(kits)


def _refuse_circles(all_kits: Kits, new: Kits) -> None:
    for parent in new:
        try:
            leaves(parent, kits=all_kits)
        except KitError as error:
            raise UsageError(str(error)) from None


def _records(lines: Iterable[str], *, required: tuple[str, ...]) -> Iterable[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(lines)
    columns = [(name or "").strip().lower().lstrip("\ufeff") for name in reader.fieldnames or ()]
    missing = [name for name in required if name not in columns]
    if missing:
        raise UsageError(f"The file must begin with a line of column names; missing: {', '.join(missing)}.")
    reader.fieldnames = columns
    for record in reader:
        if any((value or "").strip() for value in record.values() if isinstance(value, str)):
            yield (
                reader.line_num,
                {
                    name: value or ""
                    for name, value in record.items()
                    if isinstance(name, str) and isinstance(value, str | None)
                },
            )


def _sku(text: str, number: int) -> str:
    sku = sku_key(text)
    if not sku or len(sku) > 100:  # noqa: PLR2004 - the column's length
        raise UsageError(f"Line {number}: a SKU must have 1 to 100 characters.")
    return sku


def _quantity(text: str, number: int) -> Decimal:
    try:
        quantity = Decimal(text.strip())
    except InvalidOperation:
        quantity = Decimal(0)
    if not quantity.is_finite() or quantity <= 0 or quantity != round(quantity, 5):
        raise UsageError(
            f"Line {number}: the quantity {text.strip()!r} must be a number above zero with at most 5 decimals."
        )
    return quantity
