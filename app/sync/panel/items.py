"""Items and kits as people page through them, switch them, and take them away as a file that can be imported again."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.errors import UsageError
from app.ports.catalogue import Item, Kit
from app.ports.store import ErpRow
from app.sync.items import import_items, import_kits, in_file
from app.sync.panel.parts import Panel
from app.sync.schedule_words import in_words

PAGE = 50
_FILE_PAGE = 2_000
ALLOWED = "allowed"
NOT_ALLOWED = "not_allowed"
STATUSES = (ALLOWED, NOT_ALLOWED)

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a list somebody is: beyond `after`, or just before `before`."""

    after: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of a list; `before` and `after` are what to ask for the pages beside it, empty where there is none."""

    rows: Sequence[Row]
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ItemList:
    """A page of an ERP's items, how many there are of each status, and its schedule in words."""

    erp: ErpRow
    page: Page[Item]
    counts: Mapping[str, int]
    schedule: str


def erp_chosen(panel: Panel, name: str) -> tuple[ErpRow | None, tuple[ErpRow, ...]]:
    """The ERP of this name, the first one where none is named, and all there are. None where there is none of this name."""
    rows = panel.store.erps()
    if not name:
        return next(iter(rows), None), rows
    return next((row for row in rows if row.name == name), None), rows


def item_list(panel: Panel, erp: ErpRow, *, text: str, status: str | None, place: Place) -> ItemList:
    """The items of an ERP whose SKU or name holds `text`."""
    found = panel.store.items_page(
        erp.id, text=text, status=status, after=place.after, before=place.before, limit=PAGE + 1
    )
    return ItemList(
        erp=erp,
        page=_page(found, place, key=lambda each: each.sku),
        counts=panel.store.item_counts(erp.id),
        schedule=in_words(erp.settings["items_schedule"]),
    )


def kit_list(panel: Panel, *, text: str, place: Place) -> Page[Kit]:
    """The kits whose own SKU or that of a component holds `text`."""
    found = panel.store.kits_page(text=text, after=place.after, before=place.before, limit=PAGE + 1)
    return _page(found, place, key=lambda each: each.parent_sku)


def switch_item(panel: Panel, erp: ErpRow, *, sku: str, status: str) -> None:
    """Whether an item may be sold. Raises `UsageError` where it is not known."""
    if status not in STATUSES:
        raise UsageError(f"The status {status!r} must be `allowed` or `not_allowed`.")
    if not panel.store.switch_item(erp.id, sku, status=status):
        raise UsageError(f"The ERP {erp.name} has no item {sku!r} here; read its items, or import it.")


def items_from(panel: Panel, erp: ErpRow, *, data: bytes, text: str) -> int:
    """Import items from a file, or else from what was typed. Returns how many are new. Raises `UsageError`, and nothing is imported."""
    return import_items(panel.parts, erp_id=erp.id, lines=_lines(data, text))


def kits_from(panel: Panel, *, data: bytes, text: str) -> int:
    """Import kits from a file, or else from what was typed. Returns how many. Raises `UsageError`, and nothing is imported."""
    return import_kits(panel.parts, lines=_lines(data, text))


def item_rows(panel: Panel, erp: ErpRow) -> Iterator[list[str]]:
    """All items of an ERP as the import reads them, the names of the columns first."""
    yield ["sku", "name", "status"]
    after = ""
    while found := panel.store.items_page(erp.id, after=after, limit=_FILE_PAGE):
        yield from ([in_file(each.sku), in_file(each.name), each.status] for each in found)
        after = found[-1].sku


def kit_rows(panel: Panel) -> Iterator[list[str]]:
    """All kits as the import reads them, the names of the columns first."""
    yield ["parent_sku", "component_sku", "quantity"]
    after = ""
    while found := panel.store.kits_page(after=after, limit=_FILE_PAGE):
        for kit in found:
            for each in kit.components:
                yield [in_file(kit.parent_sku), in_file(each.sku), f"{each.quantity.normalize():f}"]
        after = found[-1].parent_sku


def _page(found: Sequence[Row], place: Place, *, key: Callable[[Row], str]) -> Page[Row]:
    """A page out of one row more than it shows, which tells whether the list goes on."""
    goes_on = len(found) > PAGE
    if place.before:
        rows = found[-PAGE:]
        return Page(rows, before=key(rows[0]) if goes_on else "", after=key(rows[-1]) if rows else "")
    rows = found[:PAGE]
    return Page(
        rows,
        before=key(rows[0]) if rows and place.after else "",
        after=key(rows[-1]) if goes_on else "",
    )


def _lines(data: bytes, text: str) -> Iterable[str]:
    if data.strip() and text.strip():
        raise UsageError("Either choose a file or type the lines; there are both.")
    if data:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UsageError(
                'The file is not text in UTF-8; in Excel save it as "CSV UTF-8". Nothing was imported.'
            ) from None
    if not text.strip():
        raise UsageError("There is nothing to import: choose a file, or type the lines.")
    # A line may go on within quotes; only what ends lines in a file ends them here.
    return io.StringIO(text, newline="")
