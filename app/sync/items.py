"""Items and kits: read from the ERP by what changed, or imported from a person's file."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation

import structlog

from app.domain.kits import Component, KitError, Kits, leaves
from app.domain.order import sku_key
from app.errors import Misconfigured, OrderSyncError, UsageError
from app.ports.store import ErpRow, Site
from app.sync.formulas import guarded, unguarded
from app.sync.parts import Parts, erp_maintenance_until, erp_of, paused_sentence
from app.sync.schedule import next_items_run
from app.sync.telling import pause_erp

log = structlog.get_logger("ordersync.items")

_LOOK_BACK = timedelta(minutes=10)
"""An ERP shows a change when its transaction ends, which may be minutes after the time the change bears."""
_LOOK_AGAIN = timedelta(milliseconds=1)
_TOO_MANY = 10**9
"""Quantities are below that, with at most five decimals: what the column of a line holds."""


@dataclass(frozen=True, slots=True)
class ItemsResult:
    """How an item sync ended: `done`, `partial` (time ran out, the next one goes on), `paused`, `failed` or `busy`."""

    state: str
    read: int = 0
    new: int = 0
    released: int = 0
    reason: str = ""


def sync_items(parts: Parts, *, erp_id: int) -> ItemsResult:
    """Read the ERP's items changed since the last time. Orders that waited for a new item are made due."""
    row = next((each for each in parts.store.erps() if each.id == erp_id), None)
    if row is None:
        # A message that was under way when its ERP was removed.
        return ItemsResult(state="failed", reason="The ERP was removed.")
    until = erp_maintenance_until(parts, row)
    if until is not None:
        return ItemsResult(state="paused", reason=paused_sentence(parts.store.now(), until))
    token = parts.store.claim_items_sync(erp_id, lease_seconds=parts.limits.lease)
    if token is None:
        return ItemsResult(state="busy", reason="Another run is reading the items at this moment.")
    result = ItemsResult(state="failed")
    failure = None
    try:
        result = _sync(parts, row)
    except Misconfigured as error:
        pause_erp(parts, row, error)
        failure = type(error).__name__
        result = ItemsResult(state="failed", reason=error.reason)
    except OrderSyncError as error:
        failure = type(error).__name__
        result = ItemsResult(state="failed", reason=error.reason)
    finally:
        again = parts.store.now() if result.state == "partial" else next_items_run(parts, dict(row.settings))
        parts.store.release_items_sync(erp_id, token, next_run=again)
    tell = log.info if failure is None else log.warning
    tell(
        "items_synced",
        erp=row.name,
        state=result.state,
        failure=failure,
        read=result.read,
        new=result.new,
        released=result.released,
    )
    return result


def _sync(parts: Parts, row: ErpRow) -> ItemsResult:
    started = parts.ticks()
    since = None if row.items_cursor is None else row.items_cursor - _LOOK_BACK
    cursor = row.items_cursor
    state, read, new = "done", 0, 0
    for page in parts.peers.erp(row).changed_items(since):
        # A further page may take as long as one call may: it is asked for only where that is left.
        if parts.ticks() - started >= parts.limits.soft_time_limit - parts.limits.http_timeout:
            state = "partial"
        times = [item.modified_at for item in page if item.modified_at is not None]
        cursor = _moved(cursor, times, since=since, is_last=state == "partial")
        new += parts.store.save_items(row.id, page, source="erp", cursor=cursor)
        read += len(page)
        if state == "partial":
            break
    released = parts.store.release_known() if new else 0
    if row.paused_reason is not None:
        parts.store.pause_erp(row.id, until=None, reason=None)
    reason = "" if state == "done" else "The time for one run is up; the next one goes on from here."
    return ItemsResult(state=state, read=read, new=new, released=released, reason=reason)


def _moved(
    cursor: datetime | None, times: list[datetime], *, since: datetime | None, is_last: bool
) -> datetime | None:
    """The cursor after a page. It never goes back, though pages from before it are read again."""
    if not times:
        return cursor
    read_to = max(times)
    if is_last and since is not None and read_to - _LOOK_BACK <= since:
        # More items bear the times of ten minutes than one run can read: looking back would begin here for ever.
        return read_to - _LOOK_AGAIN + _LOOK_BACK
    return read_to if cursor is None else max(cursor, read_to)


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
        sku = _sku(record["sku"], number)
        if sku in found:
            raise UsageError(f"Line {number}: {sku} stands twice in the file.")
        # No database takes a NUL, and PostgreSQL says so.
        found[sku] = (unguarded((record.get("name") or "").replace("\x00", "")), status)
    new = parts.store.set_item_status(erp_id, found, source="import")
    parts.store.release_known()
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
    try:
        yield from _read(reader, required)
    except csv.Error as error:
        raise UsageError(f"Line {reader.reader.line_num}: this cannot be read as CSV ({error}).") from None
    except UnicodeDecodeError:
        raise UsageError("The file must be text in UTF-8.") from None


def _read(reader: "csv.DictReader[str]", required: tuple[str, ...]) -> Iterable[tuple[int, dict[str, str]]]:
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


def in_file(text: str) -> str:
    """A SKU or a name for a file that a spreadsheet may open, and that the import reads as it was."""
    return guarded(text, with_blanks=True)


def _sku(text: str, number: int) -> str:
    sku = sku_key(unguarded(text))
    if not sku or len(sku) > 100:  # noqa: PLR2004 - the column's length
        raise UsageError(f"Line {number}: a SKU must have 1 to 100 characters.")
    if not sku.isprintable():
        raise UsageError(f"Line {number}: the SKU {sku!r} holds characters that cannot be read.")
    return sku


def _quantity(text: str, number: int) -> Decimal:
    try:
        quantity = Decimal(text.strip())
    except InvalidOperation:
        quantity = Decimal(0)
    if not quantity.is_finite() or not 0 < quantity < _TOO_MANY or quantity != round(quantity, 5):
        raise UsageError(
            f"Line {number}: the quantity {text.strip()!r} must be a number above zero "
            f"and below {_TOO_MANY}, with at most 5 decimals."
        )
    return quantity
